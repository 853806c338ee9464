"""Every type that can be an index is looked up by: alone, unique, and as a part of composite indexes."""

from __future__ import annotations

import contextvars
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec
import pytest

from object_database import DatabaseConnection, Index, Indexed, Schema, Unique
from object_database.errors import UniqueViolationError, ValueRangeError, ValueTypeError
from object_database.types import (
    Alternative,
    ConstDict,
    Float32,
    Forward,
    FrozenDict,
    Int8,
    OneOf,
    Set,
    Tuple,
    TupleOf,
    UInt64,
    register_record,
)

Connect = Callable[[], DatabaseConnection]

schema = Schema("index_types")
EAST, WEST = timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))
NOON = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 200


class Size(enum.Enum):
    """Its values cannot be stored: its names are."""

    SMALL = (1, 1)
    LARGE = (9, 9)


@register_record
@dataclass(frozen=True)
class Address:
    street: str
    city: str = "Bergen"


class Line(NamedTuple):
    item: str
    price: Decimal


class Point(msgspec.Struct, frozen=True):
    x: int
    y: float = 0.0


Event = Alternative("Event", Created={}, Paid={"amount": Decimal}, Moved={"to": str, "at": datetime})
Tree = Forward("Tree")
Tree = Tree.define(Alternative("Tree", Leaf={"value": int}, Node={"left": Tree, "right": Tree}))


@schema.define
class Customer:
    name: str


# field -> its type, two different values, and what is equal to the first of them though it is written in another way
KINDS: dict[str, tuple[Any, Any, Any, list[Any]]] = {
    "truth": (bool, True, False, []),
    "whole": (int, -(2**63), 2**63 - 1, []),
    "real": (float, 0.0, 5e-324, [-0.0, 0, False]),
    "not_a_number": (float, float("nan"), float("inf"), [-float("nan")]),
    "text": (str, "a\0b", "a\0", []),
    "raw": (bytes, b"\0\xff", b"", []),
    "small": (Int8, -128, 127, []),
    "large": (UInt64, 2**64 - 1, 2**63, []),
    "short": (Float32, 0.5, 1.5, []),
    "moment": (
        datetime,
        NOON,
        NOON + timedelta(microseconds=1),
        [NOON.astimezone(EAST), NOON.astimezone(WEST)],
    ),
    "wall_clock": (datetime, datetime(2024, 2, 29, 12), NOON, [datetime(2024, 2, 29, 12, fold=1)]),
    "day": (date, date.min, date.max, []),
    "clock": (time, time(0), time(23, 59, 59, 999999), []),
    "length": (timedelta, timedelta(days=-1), timedelta(microseconds=1), [timedelta(hours=-24)]),
    "price": (Decimal, Decimal("1"), Decimal("-1"), [Decimal("1.00"), Decimal("0.1E+1")]),
    "zero": (Decimal, Decimal("0"), Decimal("1E-30"), [Decimal("-0"), Decimal("0E+9")]),
    "number": (uuid.UUID, uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), []),
    "colour": (Colour, Colour.RED, Colour.BLUE, []),
    "level": (Level, Level.LOW, Level.HIGH, []),
    "size": (Size, Size.SMALL, Size.LARGE, []),
    "word": (Literal["new", "paid", 1], "new", 1, []),
    "maybe": (int | None, 1, 0, [True]),
    "several": (OneOf(None, bool, int, float, str), 1, 1.0, []),
    "yes_or_no": (OneOf(None, bool, int, float, str), True, 1, []),
    "tuple_of": (TupleOf(int), (1, 2), (1,), [[1, 2], range(1, 3)]),
    "tuple": (Tuple(int, str), (1, "a"), (1, ""), [[1, "a"]]),
    "nested": (TupleOf(Tuple(Decimal, TupleOf(str))), ((Decimal(1), ("a",)),), (), [[[Decimal("1.0"), ["a"]]]]),
    "set_of": (Set(str), frozenset("ab"), frozenset("a"), [["b", "a", "b"], {"a", "b"}]),
    "dict_of": (
        ConstDict(str, float),
        {"a": 1.0, "b": 0.0},
        {"a": 1.0},
        [{"b": -0.0, "a": 1}, FrozenDict(a=1.0, b=0.0)],
    ),
    "record": (Address, Address("Strandgaten"), Address("Strandgaten", "Oslo"), [{"street": "Strandgaten"}]),
    "named_tuple": (Line, Line("tea", Decimal("3.5")), Line("tea", Decimal(3)), [("tea", Decimal("3.50"))]),
    "struct": (Point, Point(1), Point(1, 1.0), [(1, -0.0)]),
    "maybe_record": (Address | None, Address(""), Address("a"), [("", "Bergen")]),
    "event": (Event, Event.Paid(amount=Decimal(1)), Event.Created(), [Event.Paid(amount=Decimal("1.0"))]),
    "event_at": (
        Event | None,
        Event.Moved(to="x", at=NOON),
        Event.Moved(to="x", at=NOON.replace(tzinfo=None)),
        [Event.Moved(to="x", at=NOON.astimezone(EAST))],
    ),
    "tree": (
        Tree,
        Tree.Node(left=Tree.Leaf(value=1), right=Tree.Leaf(value=2)),
        Tree.Leaf(value=1),
        [Tree.Node(left=Tree.Leaf(value=1), right=Tree.Leaf(value=2))],
    ),
    "anything": (object, (1, Address("a")), (1.0, Address("a")), [[1, Address("a")]]),
}


def typed(field: str, marker: Any) -> tuple[Schema, Any]:
    made = Schema(f"of_{field}")
    return made, made.define(type("Thing", (), {"__annotations__": {"key": marker[KINDS[field][0]], "name": str}}))


@pytest.fixture(params=KINDS)
def field(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_value_is_found_however_it_is_written(connect_db: Connect, field: str) -> None:
    _, value, other, equals = KINDS[field]
    made, thing = typed(field, Indexed)
    db, reader = connect_db(), connect_db()
    for each in (db, reader):
        each.subscribeToSchema(made)
    with db.transaction():
        one, two, three = thing(key=value), thing(key=other), thing(key=value)
        assert thing.lookupAll(key=value) == (one, three)  # of its own writes
    reader.flush()

    def change() -> None:
        with db.transaction():
            three.key = other
            one.delete()
        reader.flush()

    with reader.view():
        for written in [value, *equals]:
            assert thing.lookupAll(key=written) == (one, three), written
        assert thing.lookupAny(key=value) == one
        assert thing.lookupOne(key=other) == two
        contextvars.Context().run(change)
        # what was committed since is not seen
        assert thing.lookupAll(key=value) == (one, three)
        assert thing.lookupAll(key=other) == (two,)
    for each in (db, reader):
        with each.view():
            assert thing.lookupAll(key=value) == ()
            assert thing.lookupAll(key=other) == (two, three)


def test_a_subscription_to_a_key_brings_what_is_equal_to_it(connect_db: Connect, field: str) -> None:
    _, value, other, equals = KINDS[field]
    made, thing = typed(field, Indexed)
    db, reader = connect_db(), connect_db()
    db.subscribeToSchema(made)
    reader.addSchema(made)
    with db.transaction():
        one, _ = thing(key=value), thing(key=other)
    reader.subscribeToIndex(thing, key=[value, *equals][-1])
    with reader.view():
        assert thing.lookupAll(key=value) == (one,)
    with db.transaction():
        two = thing(key=value)
    reader.flush()
    with reader.view():
        assert thing.lookupAll(key=value) == (one, two)


def test_a_unique_value_is_there_once_however_it_is_written(connect_db: Connect, field: str) -> None:
    _, value, other, equals = KINDS[field]
    made, thing = typed(field, Unique)
    db, second = connect_db(), connect_db()
    for each in (db, second):
        each.subscribeToSchema(made)
    with db.transaction():
        one, two = thing(key=value), thing(key=other)
    second.flush()
    for written in [value, *equals]:
        with pytest.raises(UniqueViolationError):
            with second.transaction():
                thing(key=written)
    with second.transaction():  # on the state at the end: two may change places
        one.key, two.key = other, value
    with second.view():
        assert (thing.lookupOne(key=value), thing.lookupOne(key=other)) == (two, one)


def test_what_the_field_does_not_take_is_no_key(db: DatabaseConnection, field: str) -> None:
    made, thing = typed(field, Indexed)
    db.subscribeToSchema(made)
    with db.view(), pytest.raises((ValueTypeError, ValueRangeError), match=rf"of_{field}\.Thing\.key"):
        thing.lookupAll(key=Ellipsis)


# ---- composite indexes


@schema.define
class Order:
    customer: Customer
    broker: Customer | None
    event: Event
    at: datetime
    until: datetime | None
    total: Decimal
    colour: Colour = Colour.RED
    home: Address | None
    lines: tuple[Line, ...]
    notes: dict[str, str]
    by_customer = Index("customer", "broker")
    by_event = Index("event", "until")
    by_moment = Index("at", "total", "colour")
    by_home = Index("home", "lines")
    by_notes = Index("notes", "customer", "event")
    once = Index("customer", "at", "total", unique=True)


@pytest.fixture
def shop(connect_db: Connect) -> tuple[DatabaseConnection, DatabaseConnection]:
    connections = connect_db(), connect_db()
    for db in connections:
        db.subscribeToSchema(schema)
    return connections


def order(customer: Customer, total: str, **fields: Any) -> Order:
    given = {"event": Event.Paid(amount=Decimal("2.50")), "at": NOON, **fields}
    return Order(customer=customer, total=Decimal(total), **given)


def test_composite_indexes_hold_parts_of_every_kind(shop: tuple[DatabaseConnection, DatabaseConnection]) -> None:
    db, reader = shop
    lines = [("tea", Decimal("3.50"))]
    with db.transaction():
        ada, bob = Customer(name="Ada"), Customer(name="Bob")
        plain = order(ada, "1")
        full = order(ada, "2.0", broker=bob, until=NOON, home=Address("a"), lines=lines, notes={"x": "1", "y": ""})
        other = order(bob, "2", colour=Colour.BLUE, event=Event.Created(), notes={"x": "1"})
    reader.flush()
    for each in shop:
        with each.view():
            assert Order.lookupAll(by_customer=(ada, None)) == (plain,)
            assert Order.lookupAll(by_customer=(ada, bob)) == (full,)
            assert Order.lookupAll(by_customer=(bob, None)) == (other,)
            assert Order.lookupAll(by_customer=(bob, bob)) == ()
            assert Order.lookupAll(by_event=(Event.Paid(amount=Decimal("2.5")), None)) == (plain,)
            assert Order.lookupAll(by_event=(Event.Paid(amount=Decimal("2.5")), NOON.astimezone(WEST))) == (full,)
            assert Order.lookupAll(by_event=(Event.Created(), None)) == (other,)
            assert Order.lookupAll(by_moment=(NOON.astimezone(EAST), Decimal("2.000"), Colour.RED)) == (full,)
            assert Order.lookupAll(by_moment=(NOON, Decimal(2), Colour.BLUE)) == (other,)
            assert Order.lookupAll(by_home=(Address("a"), (Line("tea", Decimal("3.5")),))) == (full,)
            assert Order.lookupAll(by_home=(None, ())) == (plain, other)
            assert Order.lookupAll(by_notes=({"y": "", "x": "1"}, ada, Event.Paid(amount=Decimal("2.50")))) == (full,)
            assert Order.lookupAll(by_notes=({}, ada, Event.Paid(amount=Decimal("2.5")))) == (plain,)


def test_what_a_composite_index_held_stays_in_old_views(shop: tuple[DatabaseConnection, DatabaseConnection]) -> None:
    db, reader = shop
    with db.transaction():
        ada, bob = Customer(name="Ada"), Customer(name="Bob")
        one = order(ada, "1", broker=bob)
    reader.flush()

    def change() -> None:
        with db.transaction():
            one.broker = None
            one.event = Event.Moved(to="Oslo", at=NOON)
        reader.flush()

    with reader.view():
        contextvars.Context().run(change)
        assert Order.lookupAll(by_customer=(ada, bob)) == (one,)
        assert Order.lookupAll(by_event=(Event.Paid(amount=Decimal("2.5")), None)) == (one,)
    with reader.view():
        assert Order.lookupAll(by_customer=(ada, bob)) == ()
        assert Order.lookupAll(by_customer=(ada, None)) == (one,)
        assert Order.lookupAll(by_event=(Event.Moved(to="Oslo", at=NOON.astimezone(EAST)), None)) == (one,)


def test_a_unique_composite_index_tells_values_and_not_how_they_are_written(
    shop: tuple[DatabaseConnection, DatabaseConnection],
) -> None:
    db, second = shop
    with db.transaction():
        ada = Customer(name="Ada")
        order(ada, "1")
        order(ada, "2")
    second.flush()
    with pytest.raises(UniqueViolationError):
        with second.transaction():
            order(ada, "1.00", at=NOON.astimezone(EAST))
    with second.transaction():
        order(ada, "1.00", at=NOON.replace(tzinfo=None))
