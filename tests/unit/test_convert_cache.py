"""Values that are read again are the same objects, as long as they are the same values (D9)."""

from __future__ import annotations

import gc
import weakref
from typing import Any, NamedTuple

import pytest

from object_database import DatabaseConnection, Schema

pytestmark = pytest.mark.sanitizer

schema = Schema("cache")


class Pair(NamedTuple):
    left: int
    right: int


@schema.define
class Thing:
    numbers: tuple[int, ...]
    pair: Pair = Pair(0, 0)
    names: dict[str, int]


@pytest.fixture
def thing(db: DatabaseConnection) -> Any:
    db.subscribeToSchema(schema)
    with db.transaction():
        return Thing(numbers=[1000, 2000], pair=(1, 2), names={"a": 1})


def test_a_value_is_made_once_for_each_version(db: DatabaseConnection, thing: Any) -> None:
    with db.view():
        read = thing.numbers
        assert thing.numbers is read
        assert thing.pair is thing.pair
        assert thing.names is thing.names
        assert thing.names is not thing.pair
    with db.view():
        assert thing.numbers is read
    with db.transaction():
        assert thing.numbers is read
        thing.numbers = [3000]
        assert thing.numbers == (3000,)
    with db.view():
        assert thing.numbers == (3000,)


def test_an_older_view_keeps_its_value(db: DatabaseConnection, thing: Any) -> None:
    older = db.view()
    with db.transaction():
        thing.numbers = [5000]
    for _ in range(2):
        with db.view():
            assert thing.numbers == (5000,)
        with older.nocommit():
            assert thing.numbers == (1000, 2000)


def test_a_transactions_own_writes_are_never_kept(db: DatabaseConnection, thing: Any) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        for number in range(5):
            thing.numbers = [number]
            assert thing.numbers == (number,)
            assert thing.pair == (1, 2)
        made = Thing(numbers=[7])
        assert (made.numbers, made.pair) == ((7,), (0, 0))
        raise ZeroDivisionError
    with db.view():
        assert thing.numbers == (1000, 2000)


def test_two_objects_and_two_connections_are_told_apart(connect_db: Any) -> None:
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)
    with first.transaction():
        things = [Thing(numbers=[number]) for number in range(100)]
    second.waitForCondition(lambda: len(Thing.lookupAll()) == 100, 10)
    for db in (first, second):
        for _ in range(2):
            with db.view():
                assert [thing.numbers for thing in things] == [(number,) for number in range(100)]


class Marked(tuple):  # type: ignore[type-arg]
    pass


def test_the_cache_is_given_up_with_its_connection_and_bounded(connect_db: Any) -> None:
    local = Schema("bounded")

    class Big:
        names: dict[str, tuple[int, ...]]

    made: Any = local.define(Big)
    db = connect_db()
    db.subscribeToSchema(local)
    with db.transaction():
        things = [made(names={str(number): range(1000)}) for number in range(9000)]

    def alive() -> int:
        gc.collect()
        return sum(type(each).__name__ == "FrozenDict" for each in gc.get_objects())

    before = alive()
    with db.view():
        for thing in things:
            assert len(thing.names) == 1
    kept = alive() - before
    assert 100 < kept < 5000  # 64 MiB of about 2 KB each that take 16 times as much in memory
    db.disconnect()
    assert alive() - before < 10
    assert weakref.ref(db)() is db
