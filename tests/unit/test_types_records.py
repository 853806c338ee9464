"""Classes that programs write as field types: typing.NamedTuple, frozen dataclasses, frozen msgspec.Structs."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import typing
import uuid
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError
from object_database.types import TupleOf, field_spec

schema = Schema("records")
T = TypeVar("T")


class Line(typing.NamedTuple):
    item: str
    price: float
    count: int = 1


@dataclass(frozen=True)
class Address:
    street: str
    city: str = "Bergen"
    tags: frozenset[str] = frozenset()
    notes: tuple[str, ...] = field(default_factory=tuple)
    LIMIT: typing.ClassVar[int] = 5

    def __post_init__(self) -> None:
        made.append(self.street)


made: list[str] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    value: int
    left: Tree | None = None
    right: Tree | None = None


@dataclass(frozen=True)
class Person:
    name: str
    home: Address
    order: Order | None = None  # a database type that is defined below


@dataclass(frozen=True)
class Employee(Person):
    boss: Person | None = None


@schema.define
class Order:
    lines: tuple[Line, ...]
    address: Indexed[Address | None]
    tree: Tree | None
    person: Person | Address | None
    employee: Employee | None


def test_what_a_class_says_becomes_its_spec() -> None:
    assert field_spec(Line) == (
        "record",
        Line,
        "Line",
        "namedtuple",
        (("item", "str", None), ("price", "float", None), ("count", "int", (1,))),
    )
    assert field_spec(Address) == (
        "record",
        Address,
        "Address",
        "dataclass",
        (
            ("street", "str", None),
            ("city", "str", ("Bergen",)),
            ("tags", ("setof", "str"), (frozenset(),)),
            ("notes", ("tupleof", "str"), ((),)),
        ),
    )
    again = ("oneof", "none", ("again", Tree))
    fields = (("value", "int", None), ("left", again, (None,)), ("right", again, (None,)))
    assert field_spec(Tree) == ("record", Tree, "Tree", "dataclass", fields)


def test_fields_of_bases_come_first_and_their_names_are_those_of_their_module() -> None:
    assert [name for name, _, _ in field_spec(Employee)[4]] == ["name", "home", "order", "boss"]


def test_records_are_read_as_objects_of_their_classes(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    home = Address("Strandgaten", tags=frozenset({"old"}))
    with db.transaction():
        order = Order(lines=[Line("tea", 3), ("cup", 5, 2), {"item": "pot", "price": 9.5}], address=home)
        order.tree = Tree(value=1, left=Tree(value=2, right=Tree(value=3)))
        order.person = Person("Ada", home, order)
        order.employee = Employee("Bob", home, boss=Person("Ada", home))
    made.clear()
    with db.view():
        assert order.lines == (("tea", 3.0, 1), ("cup", 5.0, 2), ("pot", 9.5, 1))
        assert {type(line) for line in order.lines} == {Line}
        assert order.address == home
        assert type(order.address) is Address
        assert order.tree.left.right.value == 3
        assert order.tree.right is None
        assert order.person.order == order
        assert order.employee.boss.name == "Ada"
        assert Order.lookupAll(address=home) == (order,)
        assert Order.lookupAll(address=Address("Elsewhere")) == ()
        assert made == ["Elsewhere"]  # reading calls no program's code
        with pytest.raises(dataclasses.FrozenInstanceError):
            order.address.street = "x"


def test_a_class_is_matched(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(person=Person("Ada", Address("Strandgaten")))
        match order.person:
            case Person(name, Address(street)):
                assert (name, street) == ("Ada", "Strandgaten")
            case _:
                pytest.fail("no match")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lines": [Line("tea", "3")]}, r"records\.Order\.lines\[0\]\.price: str was given"),
        ({"lines": [("tea",)]}, r"records\.Order\.lines\[0\]"),
        ({"lines": [{"item": "tea"}]}, r"records\.Order\.lines\[0\].*price"),
        ({"lines": [{"item": "tea", "prize": 1, "price": 1}]}, r"records\.Order\.lines\[0\].*prize"),
        ({"tree": Tree(value=1, left=Tree(value="x"))}, r"records\.Order\.tree\.left\.value: str was given"),
        ({"address": "Strandgaten"}, r"records\.Order\.address: str was given"),
        ({"address": Tree(value=1)}, r"records\.Order\.address: .*Tree was given"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(db: DatabaseConnection, fields: Any, message: str) -> None:
    db.subscribeToSchema(schema)
    with db.transaction(), pytest.raises(TypeError, match=message):
        Order(**fields)


# ---- defaults of their fields


def test_a_factory_that_always_gives_the_same_is_a_default_and_another_one_is_none() -> None:
    @dataclass(frozen=True)
    class Made:
        notes: tuple[str, ...] = field(default_factory=lambda: ("a",))
        counts: dict[str, int] = field(default_factory=dict)
        id: uuid.UUID = field(default_factory=uuid.uuid4)
        at: datetime.datetime = field(default_factory=datetime.datetime.now)
        number: int = field(default_factory=iter(range(100)).__next__)

    assert {name: default for name, _, default in field_spec(Made)[4]} == {
        "notes": (("a",),),
        "counts": ({},),
        "id": None,
        "at": None,
        "number": None,
    }


# ---- what is refused


@dataclass
class Mutable:
    x: int


class Undecorated(Address):
    extra: int


@dataclass(frozen=True)
class OfAList(list):  # type: ignore[type-arg]
    x: int = 1


@dataclass(frozen=True)
class Bad:
    x: complex


@dataclass(frozen=True)
class Lost:
    x: nowhere  # type: ignore[name-defined]  # noqa: F821


@dataclass(frozen=True)
class Box(Generic[T]):
    x: T


class Movie(typing.TypedDict):
    name: str


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Mutable, r"which can be changed: write @dataclass\(frozen=True\)"),
        (Undecorated, "it derives from a dataclass; decorate it too"),
        (OfAList, "it derives from list, beside its fields"),
        (Bad, r"Bad\.x: a field cannot be a <class 'complex'>: write tuple\[float, float\]"),
        (Lost, r"Lost\.x: name 'nowhere' is not defined"),
        (Box[int], "generic classes cannot be fields"),
        (Box, r"Box\.x: a field cannot be a ~T: a field has one type"),
        (collections.namedtuple("Untyped", "a b"), r"its fields have no types; write a class of typing\.NamedTuple"),
        (Movie, r"write a frozen dataclass, or dict\[str, \.\.\.\]"),
        (object(), "a field cannot be a <object"),
    ],
)
def test_a_class_that_cannot_be_a_record_is_refused_with_what_to_write(kind: Any, message: str) -> None:
    for annotation in (kind, tuple[kind, ...] if isinstance(kind, type) else kind):
        with pytest.raises(SchemaError, match=rf"^slips\.Thing\.it: .*{message}"):
            Schema("slips").define(type("Thing", (), {"__annotations__": {"it": annotation}}))


def test_a_plain_class_is_refused_with_what_to_write() -> None:
    class Plain:
        pass

    with pytest.raises(
        SchemaError, match=r"slips\.Thing\.it: .*write a frozen dataclass, or `object` after register_codec"
    ):
        Schema("slips").define(type("Thing", (), {"it": TupleOf(int), "__annotations__": {"it": Plain}}))


# ---- msgspec


def test_frozen_structs_are_records(db: DatabaseConnection) -> None:
    msgspec = pytest.importorskip("msgspec")

    class Point(msgspec.Struct, frozen=True):  # type: ignore[misc]
        x: int
        y: int = 5
        tags: tuple[str, ...] = msgspec.field(default_factory=tuple)

    class Loose(msgspec.Struct):  # type: ignore[misc]
        x: int

    assert field_spec(Point) == (
        "record",
        Point,
        "Point",
        "struct",
        (("x", "int", None), ("y", "int", (5,)), ("tags", ("tupleof", "str"), ((),))),
    )
    with pytest.raises(SchemaError, match=r"slips\.Thing\.it: .*frozen=True"):
        Schema("slips").define(type("Thing", (), {"__annotations__": {"it": Loose}}))
    structs = Schema("structs")

    @structs.define
    class Place:
        at: Indexed[Point | None]

    db.subscribeToSchema(structs)
    with db.transaction():
        place = Place(at=Point(1, tags=("a",)))
    with db.view():
        assert place.at == Point(1, 5, ("a",))
        assert type(place.at) is Point
        assert Place.lookupAll(at=Point(1, 5, ("a",))) == (place,)
