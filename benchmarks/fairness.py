"""What a client that commits a little at a time has to wait while another one asks for much.

The small client commits on a schedule, every PACE_S, and waits are counted from the time that was due: a stall of 100 ms
counts as 50 late commits and not as one, so that the percentiles are of time and not of luck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from commits import LARGE_GAP_S
from model import Counter, Pair, connected, load, make
from processes import Process
from registry import Run, Sample, at_most, benchmark, figure
from timing import percentile

PACE_S = 0.002
TEXT_BYTES = 20_000_000


def paced_client(port: int, seconds: float) -> Iterator[Any]:
    """Worker: increments an object of its own on schedule. Each step yields milliseconds {"p50", "p99", "max"}."""
    with connected(port) as db:
        db.subscribeToNone(Counter)
        with db.transaction():
            counter = Counter()
        yield None
        while True:
            waits = []
            due = time.perf_counter()
            end = due + seconds
            while due < end:
                time.sleep(max(0.0, due - time.perf_counter()))
                with db.transaction():
                    counter.value += 1
                waits.append((time.perf_counter() - due) * 1e3)
                due += PACE_S
            yield {"p50": percentile(waits, 50), "p99": percentile(waits, 99), "max": max(waits)}


def creating_client(port: int, seconds: float, objects: int) -> Iterator[Any]:
    """Worker: makes `objects` objects of two fields in one transaction and deletes them in the next one, for a while."""
    with connected(port) as db:
        db.subscribeToNone(Pair)
        yield None
        while True:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                with db.transaction():
                    made = [make("Pair", number) for number in range(objects)]
                time.sleep(LARGE_GAP_S)
                with db.transaction():
                    for pair in made:
                        pair.delete()
                time.sleep(LARGE_GAP_S)
            yield None


def writing_client(port: int, seconds: float, objects: int) -> Iterator[Any]:
    """Worker: commits one long text, again and again for a while. objects: of TEXT_BYTES, one after the other."""
    with connected(port) as db:
        db.subscribeToNone(Pair)
        with db.transaction():
            pairs = [Pair() for _ in range(objects)]
        yield None
        while True:
            end = time.perf_counter() + seconds
            turn = 0
            while time.perf_counter() < end:
                turn += 1
                with db.transaction():
                    pairs[turn % objects].text = chr(97 + turn % 26) * TEXT_BYTES
                time.sleep(LARGE_GAP_S)
            yield None


def subscribing_client(port: int, seconds: float, objects: int) -> Iterator[Any]:
    """Worker: connects and subscribes to everything, again and again for a while."""
    with connected(port) as first:
        first.subscribeToType(Pair)
        yield None
        while True:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                with connected(port) as db:
                    db.subscribeToType(Pair)
            yield None


def beside(run: Run, busy: Callable[..., Any], objects: int, prepare: Callable[[int], Any] | None = None) -> Sample:
    port = run.server()
    if prepare is not None:
        prepare(port)
    large: Process = run.client(busy, port=port, seconds=3 * run.seconds, objects=objects)
    small = run.client(paced_client, port=port, seconds=2.5 * run.seconds)
    quiet, loud = [], []
    for _ in range(run.repetitions):
        quiet.append(small.step())
        large.ask()
        loud.append(small.step())
        large.answer()
    names = ("p99", "p50", "max")
    return Sample(
        {name: [step[name] for step in loud] for name in names},
        {name: [step[name] for step in quiet] for name in names},
    )


@benchmark(
    "fairness.objects",
    "commits of a client while another makes and deletes many objects in one transaction; probe: while it rests",
    size=200_000,
    quick_size=200_000,
)
@figure(name="p99", unit="ms", bar=at_most(80, minimum=200))
@figure(name="p50", unit="ms")
@figure(name="max", unit="ms")
def objects(run: Run) -> Sample:
    return beside(run, creating_client, run.size)


@benchmark("fairness.text", "the same while another commits texts of 20 MB")
@figure(name="p99", unit="ms", bar=at_most(80, minimum=200))
@figure(name="p50", unit="ms")
@figure(name="max", unit="ms")
def text(run: Run) -> Sample:
    return beside(run, writing_client, 1)


@benchmark(
    "fairness.subscription",
    "the same while another subscribes to many objects",
    size=1_000_000,
    quick_size=100_000,
)
@figure(name="p99", unit="ms", bar=at_most(80, minimum=200))
@figure(name="p50", unit="ms")
@figure(name="max", unit="ms")
def subscription(run: Run) -> Sample:
    def fill_with_pairs(port: int) -> None:
        run.client(load, port=port, kind="Pair", count=run.size).step()

    return beside(run, subscribing_client, run.size, fill_with_pairs)
