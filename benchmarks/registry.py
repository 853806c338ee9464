"""What a benchmark is: a function that measures, and for each of its figures a unit and a bar.

    @benchmark("lookups.one", "lookupOne by an index of one int field", size=100_000, grows=ALWAYS)
    @figure(unit="ns", bar=at_most(300))
    def lookup_one(run: Run) -> Sample: ...

A bar is a goal, never a test: a figure that misses it is printed as such, and nothing fails. Some bars have a minimum
beside the goal, which a release keeps while the goal is not reached.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from model import serve
from processes import Process, Processes

ALWAYS, WHEN_BIG, NEVER = "always", "when big", "never"

QUICK_DIVISOR = 10  # --quick: sizes that leave a whole run at about two minutes
GROWTH = 10


@dataclass(frozen=True)
class Bar:
    """The goal of a figure: an absolute number, or a multiple of the probe's figure."""

    goal: float
    is_ceiling: bool
    is_of_probe: bool = False
    minimum: float | None = None
    minimum_of_probe: float | None = None  # with `minimum`: whichever is easier

    def verdict(self, value: float, probe: float | None) -> str:
        if self.is_of_probe and probe is None:
            return "no probe"
        if self._holds(value, self.goal * (probe or 1.0) if self.is_of_probe else self.goal):
            return "met"
        minima = [] if self.minimum is None else [self.minimum]
        if self.minimum_of_probe is not None and probe is not None:
            minima.append(self.minimum_of_probe * probe)
        return "minimum met" if any(self._holds(value, minimum) for minimum in minima) else "not met"

    def _holds(self, value: float, limit: float) -> bool:
        return value <= limit if self.is_ceiling else value >= limit


def at_most(goal: float, minimum: float | None = None) -> Bar:
    return Bar(goal, is_ceiling=True, minimum=minimum)


def at_least(goal: float, minimum: float | None = None) -> Bar:
    return Bar(goal, is_ceiling=False, minimum=minimum)


def at_most_of_probe(goal: float) -> Bar:
    return Bar(goal, is_ceiling=True, is_of_probe=True)


def at_least_of_probe(goal: float, minimum: float | None = None, minimum_of_probe: float | None = None) -> Bar:
    return Bar(goal, is_ceiling=False, is_of_probe=True, minimum=minimum, minimum_of_probe=minimum_of_probe)


@dataclass(frozen=True)
class Figure:
    """One printed line. `name` is empty for the figure that the benchmark is named after."""

    name: str
    unit: str
    bar: Bar | None

    @property
    def is_rate(self) -> bool:
        return self.unit.endswith("/s")


@dataclass
class Sample:
    """What a function measured: for each figure the values of the repetitions, and its probe's, if it has one."""

    values: dict[str, list[float]]
    probes: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, values: list[float], probes: list[float] | None = None) -> Sample:
        return cls({"": values}, {"": probes} if probes else {})

    def median(self, name: str) -> float:
        return statistics.median(self.values[name])

    def probe(self, name: str) -> float | None:
        return statistics.median(self.probes[name]) if self.probes.get(name) else None


@dataclass
class Run:
    """What a function is told, and its way to start processes; they are ended when it returns or raises."""

    size: int
    repetitions: int
    seconds: float  # of one repetition, where a rate is counted over time
    processes: Processes
    directory: str | None = None  # for files of stores; None: where temporary files go

    def server(self) -> int:
        """Start a server. Returns: its port."""
        return int(self.server_process().ready)

    def server_process(self) -> Process:
        return self.processes.start(serve)

    def client(self, function: Callable[..., object], /, **arguments: object) -> Process:
        return self.processes.start(function, **arguments)

    def clients(self, count: int, function: Callable[..., object], /, **arguments: object) -> list[Process]:
        return [self.client(function, **arguments) for _ in range(count)]


@dataclass(frozen=True)
class Benchmark:
    name: str
    about: str
    function: Callable[[Run], Sample]
    figures: tuple[Figure, ...]
    size: int
    quick_size: int
    grows: str

    def matches(self, wanted: str) -> bool:
        """Whether it is meant by `--only wanted`: its own name or the theme before the dot."""
        return self.name == wanted or self.name.startswith(wanted + ".")

    def growth_size(self, size: int, is_big: bool) -> int | None:
        return size * GROWTH if self.grows == ALWAYS or (self.grows == WHEN_BIG and is_big) else None


benchmarks: dict[str, Benchmark] = {}  # name -> benchmark, in the order of printing


def figure(unit: str, bar: Bar | None = None, name: str = "") -> Callable[[Callable], Callable]:
    """Declare a figure of the function below; stands under @benchmark, once for each figure, in order of printing."""

    def declare(function: Callable) -> Callable:
        function.figures = (Figure(name, unit, bar), *getattr(function, "figures", ()))  # decorators run upwards
        return function

    return declare


def benchmark(
    name: str, about: str, size: int = 1, quick_size: int | None = None, grows: str = NEVER
) -> Callable[[Callable], Callable]:
    """Register a function. `grows`: whether it runs again at ten times the size, and what that costs is printed."""

    def register(function: Callable) -> Callable:
        assert name not in benchmarks, name
        small = quick_size or max(1, size // QUICK_DIVISOR)
        benchmarks[name] = Benchmark(name, about, function, function.figures, size, small, grows)
        return function

    return register
