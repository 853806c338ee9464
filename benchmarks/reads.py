"""Reading and writing attributes, and opening views and transactions: work that never leaves the process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from model import Pair, connected, fill
from probes import PlainPair
from registry import ALWAYS, Run, Sample, at_most, benchmark, figure
from timing import loop, loop_over, ns_each

READS = 500_000  # of one object in one repetition: long enough for the clock, short enough to fall between two pauses
OPENINGS = 50_000
SHUFFLE_SEED = 7

SAME, IN_ORDER, SCATTERED = "same", "in order", "scattered"


class Abandoned(Exception):
    """Leaves a transaction without a commit, whose cost belongs to other benchmarks."""


def measured(db: Any, is_transaction: bool, action: Callable[[], float]) -> float:
    if not is_transaction:
        with db.view():
            return action()
    try:
        with db.transaction():
            result = action()
            raise Abandoned
    except Abandoned:
        return result


def attribute_client(port: int, count: int, statement: str, order: str, is_transaction: bool) -> Iterator[Any]:
    """Worker: the statement, where `o` is an object, on one object again and again or on each of `count` once.

    Each step yields [nanoseconds, the same for plain objects]."""
    with connected(port) as db:
        db.subscribeToType(Pair)
        objects = fill(db, "Pair", count)
        plain = [PlainPair(number, "text") for number in range(count)]
        if order == SCATTERED:
            random.Random(SHUFFLE_SEED).shuffle(objects)
            random.Random(SHUFFLE_SEED).shuffle(plain)
        on_objects, on_plain = timed(statement, objects, order), timed(statement, plain, order)
        measured(db, is_transaction, on_objects)  # the interpreter specializes its code
        on_plain()
        yield None
        while True:
            yield [measured(db, is_transaction, on_objects), on_plain()]


def timed(statement: str, objects: list, order: str) -> Callable[[], float]:
    if order == SAME:
        again = loop(statement, o=objects[0])
        return lambda: ns_each(again, READS, READS)
    each = loop_over(statement)
    return lambda: ns_each(each, objects, len(objects))


def opening_client(port: int, method: str) -> Iterator[Any]:
    """Worker: opens and closes a view or transaction. Each step yields [nanoseconds, those of a plain attribute read]."""
    with connected(port) as db:
        empty = views if method == "view" else transactions
        plain = loop("o.number", o=PlainPair(1, "text"))
        empty(db)
        yield None
        while True:
            yield [ns_each(empty, db, OPENINGS), ns_each(plain, READS, READS)]


def views(db: Any) -> None:
    for _ in range(OPENINGS):
        with db.view():
            pass


def transactions(db: Any) -> None:
    for _ in range(OPENINGS):
        with db.transaction():
            pass


def of_attribute(run: Run, statement: str, order: str, is_transaction: bool = False) -> Sample:
    return of_client(
        run, attribute_client, count=run.size, statement=statement, order=order, is_transaction=is_transaction
    )


def of_client(run: Run, function: Callable, **arguments: Any) -> Sample:
    client = run.client(function, port=run.server(), **arguments)
    steps = [client.step() for _ in range(run.repetitions)]
    return Sample.of([ours for ours, _ in steps], [plain for _, plain in steps])


@benchmark("reads.same", "int field of one object, in a view", size=100_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(60, minimum=100))
def read_same(run: Run) -> Sample:
    return of_attribute(run, "o.number", SAME)


@benchmark(
    "reads.distinct", "int field of many objects, in the order of their creation, in a view", 100_000, grows=ALWAYS
)
@figure(unit="ns", bar=at_most(150))
def read_distinct(run: Run) -> Sample:
    return of_attribute(run, "o.number", IN_ORDER)


@benchmark("reads.scattered", "int field of many objects, in random order, in a view", size=100_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(150))
def read_scattered(run: Run) -> Sample:
    return of_attribute(run, "o.number", SCATTERED)


@benchmark("reads.empty_view", "with db.view(): pass")
@figure(unit="ns", bar=at_most(500))
def empty_view(run: Run) -> Sample:
    return of_client(run, opening_client, method="view")


@benchmark("transactions.first_read", "int field, each object once", size=10_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(150))
def first_read(run: Run) -> Sample:
    return of_attribute(run, "o.number", IN_ORDER, is_transaction=True)


@benchmark("transactions.repeated_read", "int field of one object, read before", size=10_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(80))
def repeated_read(run: Run) -> Sample:
    return of_attribute(run, "o.number", SAME, is_transaction=True)


@benchmark("transactions.first_write", "int field, each object once", size=10_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(120))
def first_write(run: Run) -> Sample:
    return of_attribute(run, "o.number = 7", IN_ORDER, is_transaction=True)


@benchmark("transactions.repeated_write", "int field of one object, written before", size=10_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(120))
def repeated_write(run: Run) -> Sample:
    return of_attribute(run, "o.number = 7", SAME, is_transaction=True)


@benchmark("transactions.empty", "with db.transaction(): pass")
@figure(unit="ns")
def empty_transaction(run: Run) -> Sample:
    return of_client(run, opening_client, method="transaction")
