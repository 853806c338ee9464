"""How fast a fresh client has everything, and how soon it sees what others commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from model import Pair, Stamp, connected, load
from probes import Bracket
from registry import WHEN_BIG, Run, Sample, at_least, at_most, benchmark, figure
from timing import percentile

COMMITS_PACE_S = 0.001  # with the timer's own delay and the commit well below 1,000 a second
LOOK_TIMEOUT_S = 60.0


def subscribing_client(port: int, count: int) -> Iterator[Any]:
    """Worker: subscribes once. Yields objects per second."""
    with connected(port) as db:
        yield None
        began = time.perf_counter()
        db.subscribeToType(Pair)
        took = time.perf_counter() - began
        with db.view():
            found = len(Pair.lookupAll())
        assert found == count, f"{found} objects of {count} arrived"
        yield count / took


@benchmark(
    "subscriptions.load", "a fresh client subscribes to a type", size=100_000, quick_size=100_000, grows=WHEN_BIG
)
@figure(unit="objects/s", bar=at_least(1_000_000, minimum=300_000))
def subscribe(run: Run) -> Sample:
    port = run.server()
    run.client(load, port=port, kind="Pair", count=run.size).step()
    rates = []
    with Bracket() as probe:
        for _ in range(run.repetitions):
            client = run.client(subscribing_client, port=port, count=run.size)
            rates.append(client.step())
            client.end()
    return Sample.of(rates, probe.per_s)


def stamping_client(port: int, commits: int) -> Iterator[Any]:
    """Worker: commits the time, again and again. A step takes `commits` of them."""
    with connected(port) as db:
        db.subscribeToNone(Stamp)
        with db.transaction():
            stamp = Stamp()
        number = 0
        yield None
        while True:
            for _ in range(commits):
                time.sleep(COMMITS_PACE_S)
                number += 1
                with db.transaction():
                    stamp.number = number
                    stamp.sent_ns = time.monotonic_ns()  # one clock for all processes of a machine
            yield None


def looking_client(port: int, commits: int) -> Iterator[Any]:
    """Worker: opens one view after the other until it has seen the last stamp. Yields microseconds [p50, p99]."""
    with connected(port) as db:
        db.subscribeToType(Stamp)
        with db.view():
            stamp = Stamp.lookupOne()
        last = 0
        yield None
        while True:
            delays: list[float] = []
            until = last + commits
            give_up_ns = time.monotonic_ns() + int(LOOK_TIMEOUT_S * 1e9)
            while last < until:
                with db.view():
                    number, sent_ns = stamp.number, stamp.sent_ns
                now_ns = time.monotonic_ns()
                if number != last:
                    last = number
                    delays.append((now_ns - sent_ns) / 1e3)
                assert now_ns < give_up_ns, f"stamp {until} did not arrive, the last one was {last}"
            yield [percentile(delays, 50), percentile(delays, 99)]


@benchmark("subscriptions.seen", "from a commit to a new view of a subscriber in another process", size=1000)
@figure(name="p50", unit="us", bar=at_most(100))
@figure(name="p99", unit="us", bar=at_most(400))
def seen(run: Run) -> Sample:
    port = run.server()
    writer = run.client(stamping_client, port=port, commits=run.size)
    reader = run.client(looking_client, port=port, commits=run.size)
    steps = []
    with Bracket() as probe:
        for _ in range(run.repetitions):
            reader.ask()
            writer.step()
            steps.append(reader.answer())
    return Sample(
        {"p50": [p50 for p50, _ in steps], "p99": [p99 for _, p99 in steps]},
        {"p50": probe.p50_us, "p99": probe.p99_us},
    )
