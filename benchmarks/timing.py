"""How the clients measure: clocks around loops, percentiles, loops for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

UNROLLED = 10


def loop(statement: str, **names: Any) -> Callable[[int], None]:
    """A function of n that runs the statement n times; unrolled, so that the loop itself costs next to nothing."""
    body = "; ".join([statement] * UNROLLED)
    parameters = "".join(f", {name}={name}" for name in names)  # defaults are locals: the fastest names
    return _compiled(f"def run(n{parameters}):\n for _ in range(n // {UNROLLED}):\n  {body}", names)


def loop_over(statement: str, **names: Any) -> Callable[[list], None]:
    """A function of a list that runs the statement for each `o` of it."""
    parameters = "".join(f", {name}={name}" for name in names)
    return _compiled(f"def run(objects{parameters}):\n for o in objects:\n  {statement}", names)


def _compiled(source: str, names: dict[str, Any]) -> Callable:
    scope = dict(names)
    exec(source, scope)
    return scope["run"]


def ns_each(function: Callable, argument: Any, count: int) -> float:
    began = time.perf_counter_ns()
    function(argument)
    return (time.perf_counter_ns() - began) / count


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(percent / 100 * (len(ordered) - 1)))]


def repeat_for(seconds: float, action: Callable[[], Any]) -> list[float]:
    """Run the action again and again. Returns: seconds that each run took."""
    durations = []
    now = time.perf_counter()
    end = now + seconds
    while now < end:
        action()
        before, now = now, time.perf_counter()
        durations.append(now - before)
    return durations
