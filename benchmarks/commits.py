"""Confirmed commits over TLS: one client, eight, eight that quarrel, beside subscribers and beside large transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from model import Counter, Pair, connected, fill, load, make, schema
from probes import Bracket
from registry import ALWAYS, Run, Sample, at_least, at_least_of_probe, at_most, benchmark, figure
from timing import percentile, repeat_for

from object_database import RevisionConflictException

CLIENTS = 8
SUBSCRIBERS = 16
SUBSCRIBERS_PER_PROCESS = 4
WARM_UP_S = 0.2
LARGE_GAP_S = 0.05  # between large transactions: the others' commits must be seen to recover


def increment_client(port: int, seconds: float, subscribed: str) -> Iterator[Any]:
    """Worker: increments an object of its own. subscribed: "schema" for everything, "type" for the counters of all
    clients, "none" for its own.

    Each step yields its rate and what it waited for a commit."""
    with connected(port) as db:
        if subscribed == "schema":
            db.subscribeToSchema(schema)
        elif subscribed == "type":
            db.subscribeToType(Counter)
        else:
            db.subscribeToNone(Counter)
        with db.transaction():
            counter = Counter()

        def increment() -> None:
            with db.transaction():
                counter.value += 1

        repeat_for(WARM_UP_S, increment)
        yield None
        while True:
            durations = repeat_for(seconds, increment)
            yield {
                "per_s": len(durations) / sum(durations),
                "p50_us": percentile(durations, 50) * 1e6,
                "p99_us": percentile(durations, 99) * 1e6,
                "max_ms": max(durations) * 1e3,
            }


def contending_client(port: int, seconds: float) -> Iterator[Any]:
    """Worker: increments the one Counter that there is, again after each conflict."""
    with connected(port) as db:
        db.subscribeToType(Counter)
        with db.view():
            counter = Counter.lookupOne()
        attempts = 0

        def increment() -> None:
            nonlocal attempts
            while True:
                attempts += 1
                try:
                    with db.transaction():
                        counter.value += 1
                    return
                except RevisionConflictException:
                    pass

        yield None
        while True:
            attempts = 0
            durations = repeat_for(seconds, increment)
            yield {"per_s": len(durations) / sum(durations), "attempts": attempts, "successes": len(durations)}


def make_counter(port: int) -> Iterator[None]:
    """Worker: makes one Counter."""
    with connected(port) as db:
        db.subscribeToNone(Counter)
        with db.transaction():
            Counter()
        yield None


def subscribers(port: int, count: int) -> Iterator[None]:
    """Worker: connections that are told of every Counter."""
    held = [connected(port) for _ in range(count)]
    for db in held:
        db.subscribeToType(Counter)
    yield None
    for db in held:
        db.disconnect()


def large_client(port: int, objects: int, seconds: float) -> Iterator[Any]:
    """Worker: commits transactions that write one field of each of `objects` objects, for a while."""
    with connected(port) as db:
        db.subscribeToNone(Pair)
        held = fill(db, "Pair", objects)
        value = 0
        yield None
        while True:
            end = time.perf_counter() + seconds
            committed = 0
            while time.perf_counter() < end or committed == 0:
                value += 1
                with db.transaction():
                    for pair in held:
                        pair.number = value
                committed += 1
                time.sleep(LARGE_GAP_S)
            yield committed


@benchmark("commits.one", "one client increments an object, subscribed to many others", size=10_000, grows=ALWAYS)
@figure(unit="commits/s", bar=at_least_of_probe(0.5, minimum=10_000, minimum_of_probe=0.3))
@figure(name="p50", unit="us")
@figure(name="p99", unit="us")
@figure(name="p99/p50", unit="x", bar=at_most(4))
def one_client(run: Run) -> Sample:
    port = run.server()
    run.client(load, port=port, kind="Pair", count=run.size).step()
    client = run.client(increment_client, port=port, seconds=run.seconds, subscribed="schema")
    with Bracket() as probe:
        steps = [client.step() for _ in range(run.repetitions)]
    return Sample(
        {
            "": [step["per_s"] for step in steps],
            "p50": [step["p50_us"] for step in steps],
            "p99": [step["p99_us"] for step in steps],
            "p99/p50": [step["p99_us"] / step["p50_us"] for step in steps],
        },
        {
            "": probe.per_s,
            "p50": probe.p50_us,
            "p99": probe.p99_us,
            "p99/p50": [taken.p99_us / taken.p50_us for taken in probe.taken],
        },
    )


def eight(run: Run, subscribed: str) -> Sample:
    clients = run.clients(CLIENTS, increment_client, port=run.server(), seconds=run.seconds, subscribed=subscribed)
    totals = []
    with Bracket() as probe:
        for _ in range(run.repetitions):
            totals.append(sum(step["per_s"] for step in together(clients)))
    return Sample.of(totals, probe.per_s)


def together(clients: list) -> list[Any]:
    for client in clients:
        client.ask()
    return [client.answer() for client in clients]


@benchmark("commits.eight_own", "8 clients, each subscribed to its own object; in total")
@figure(unit="commits/s", bar=at_least(60_000))
def eight_own(run: Run) -> Sample:
    return eight(run, "none")


@benchmark("commits.eight_all", "8 clients, each subscribed to the objects of all; in total")
@figure(unit="commits/s", bar=at_least(20_000))
def eight_all(run: Run) -> Sample:
    return eight(run, "type")


@benchmark("commits.eight_contend", "8 clients increment one counter and try again after a conflict; in total")
@figure(unit="successes/s", bar=at_least(10_000))
@figure(name="attempts", unit="per success")
def eight_contend(run: Run) -> Sample:
    port = run.server()
    run.client(make_counter, port=port)
    clients = run.clients(CLIENTS, contending_client, port=port, seconds=run.seconds)
    totals, attempts = [], []
    with Bracket() as probe:
        for _ in range(run.repetitions):
            steps = together(clients)
            totals.append(sum(step["per_s"] for step in steps))
            attempts.append(sum(step["attempts"] for step in steps) / sum(step["successes"] for step in steps))
    return Sample({"": totals, "attempts": attempts}, {"": probe.per_s})


@benchmark("commits.subscribers", f"what {SUBSCRIBERS} subscribers cost a client that commits")
@figure(unit="% of its rate", bar=at_most(30))
def sixteen_subscribers(run: Run) -> Sample:
    port = run.server()
    client = run.client(increment_client, port=port, seconds=run.seconds, subscribed="none")
    alone = [client.step()["per_s"] for _ in range(run.repetitions)]
    run.clients(SUBSCRIBERS // SUBSCRIBERS_PER_PROCESS, subscribers, port=port, count=SUBSCRIBERS_PER_PROCESS)
    heard = [client.step()["per_s"] for _ in range(run.repetitions)]
    return Sample.of([100 * (1 - with_them / without) for without, with_them in zip(alone, heard, strict=True)])


UNCONFIRMED = 20_000  # in one step: many times what may be unanswered


def unconfirmed_client(port: int, count: int) -> Iterator[Any]:
    """Worker: writes to 100 objects without waiting for outcomes. Each step yields commits per second, up to the flush
    that brings the last one."""
    with connected(port) as db:
        db.subscribeToType(Counter)
        with db.transaction():
            counters = [Counter() for _ in range(100)]
        yield None
        value = 0
        while True:
            began = time.perf_counter()
            for number in range(count):
                value += 1
                with db.transaction().noconfirm():
                    counters[number % 100].value = value
            db.flush()
            took = time.perf_counter() - began
            with db.view():
                assert counters[(count - 1) % 100].value == value, "flush did not bring the last write"
            yield count / took


@benchmark("commits.unconfirmed", "one client that waits for no outcome, counted to the flush", size=UNCONFIRMED)
@figure(unit="commits/s", bar=at_least(250_000, minimum=150_000))
def unconfirmed(run: Run) -> Sample:
    client = run.client(unconfirmed_client, port=run.server(), count=run.size)
    return Sample.of([client.step() for _ in range(run.repetitions)])


def beside_large(run: Run, fields: int) -> Sample:
    port = run.server()
    large = run.client(large_client, port=port, objects=fields, seconds=run.seconds)
    small = run.client(increment_client, port=port, seconds=2 * run.seconds + 0.5, subscribed="none")
    delays, quiet = [], []
    for _ in range(run.repetitions):
        quiet.append(small.step()["max_ms"])
        steps = together([small, large])
        delays.append(steps[0]["max_ms"])
    return Sample.of(delays, quiet)


@benchmark(
    "commits.beside_20k", "longest commit of a client while another commits 20,000 fields; probe: while it rests"
)
@figure(unit="ms", bar=at_most(20))
def beside_20k(run: Run) -> Sample:
    return beside_large(run, 20_000)


@benchmark(
    "commits.beside_200k", "longest commit of a client while another commits 200,000 fields; probe: while it rests"
)
@figure(unit="ms", bar=at_most(80))
def beside_200k(run: Run) -> Sample:
    return beside_large(run, 200_000)


def bulk_client(port: int, count: int) -> Iterator[Any]:
    """Worker: makes `count` objects in one transaction. Each step yields objects per second, commit included."""
    with connected(port) as db:
        db.subscribeToType(Pair)
        yield None
        while True:
            began = time.perf_counter()
            with db.transaction():
                for number in range(count):
                    make("Pair", number)
            yield count / (time.perf_counter() - began)


@benchmark("commits.bulk", "objects made in one transaction, with its commit", size=100_000, grows=ALWAYS)
@figure(unit="objects/s", bar=at_least(400_000))
def bulk(run: Run) -> Sample:
    port = run.server()
    rates = []
    with Bracket() as probe:
        for _ in range(run.repetitions):
            client = run.client(bulk_client, port=port, count=run.size)
            rates.append(client.step())
            client.end()
    return Sample.of(rates, probe.per_s)
