"""Enums as field types: read as members, stored as their values."""

from __future__ import annotations

import enum
import sys
import time
from typing import Any

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError
from object_database.types import OneOf, TupleOf, field_spec

schema = Schema("enums")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    ROT = "red"  # an alias  # noqa: PIE796


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Shape(enum.Enum):
    CIRCLE = (1, 2)
    SQUARE = object()


@schema.define
class Thing:
    colour: Indexed[Colour]
    level: Level = Level.HIGH
    shape: Shape
    maybe: Colour | None
    several: tuple[Colour, ...]
    by_colour: dict[Colour, int]


def test_a_member_is_stored_as_its_value_or_else_as_its_name() -> None:
    assert field_spec(Colour) == ("enum", Colour, (("RED", Colour.RED, "red"), ("GREEN", Colour.GREEN, "green")))
    assert [stored for _, _, stored in field_spec(Level)[2]] == [1, 10]
    assert [stored for _, _, stored in field_spec(Shape)[2]] == ["CIRCLE", "SQUARE"]


@pytest.mark.parametrize("values", [(1, 2**63), ("a", "\ud800"), (1, (2,)), (float("nan"), float("-nan"))])
def test_one_value_that_cannot_be_stored_or_told_apart_and_all_are_names(values: tuple[Any, ...]) -> None:
    made = enum.Enum("Made", {"A": values[0], "B": values[1]})
    assert [stored for _, _, stored in field_spec(made)[2]] == ["A", "B"]


def test_members_are_read_as_members(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing()
        assert (thing.colour, thing.level, thing.shape, thing.maybe) == (Colour.RED, Level.HIGH, Shape.CIRCLE, None)
        thing.colour, thing.maybe, thing.shape = Colour.GREEN, Colour.ROT, Shape.SQUARE
        thing.several, thing.by_colour = [Colour.RED, Colour.GREEN], {Colour.GREEN: 1}
    with db.view():
        assert thing.colour is Colour.GREEN
        assert thing.maybe is Colour.RED
        assert thing.shape is Shape.SQUARE
        assert thing.several == (Colour.RED, Colour.GREEN)
        assert thing.by_colour[Colour.GREEN] == 1
        assert Thing.lookupAll(colour=Colour.GREEN) == (thing,)
        assert Thing.lookupAll(colour=Colour.RED) == ()


def _enum_of(count: int) -> Any:
    return enum.Enum("Many", {f"m{i}": i for i in range(count)})  # type: ignore[misc]


def test_each_of_thousands_of_members_is_found() -> None:
    for many in (_enum_of(5000), enum.Enum("Texts", {f"m{i}": f"{i:b}" for i in range(1000)})):  # type: ignore[misc]
        assert TupleOf(many)(list(many)) == tuple(many)
        with pytest.raises(TypeError, match="Colour was given, and the field takes"):
            TupleOf(many)([Colour.RED])


def test_thousands_of_members_take_no_longer_to_be_found_than_a_few() -> None:
    """Member by member it would be hundreds of times as long."""

    def fastest_ns(count: int) -> float:
        many = _enum_of(count)
        kind, members = TupleOf(many), [list(many)[-1]] * 1000

        def taken() -> int:
            began = time.perf_counter_ns()
            kind(members)
            return time.perf_counter_ns() - began

        return min(taken() for _ in range(20))

    assert fastest_ns(5000) < 10 * fastest_ns(5)


@pytest.mark.parametrize("value", [None, 5, "lost", Level.LOW])
def test_what_is_no_member_is_refused(db: DatabaseConnection, value: Any) -> None:
    db.subscribeToSchema(schema)
    with db.transaction(), pytest.raises(TypeError, match=r"enums\.Thing\.colour"):
        Thing(colour=value)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="StrEnum came with 3.11")
def test_a_str_enum_is_an_enum_too() -> None:
    made = enum.StrEnum("Made", ["A", "B"])
    assert [stored for _, _, stored in field_spec(made)[2]] == ["a", "b"]


def test_what_has_no_members_to_choose_from_is_refused() -> None:
    class Empty(enum.Enum):
        pass

    class Bits(enum.Flag):
        A = 1

    for kind, hint in ((Empty, "it has no members"), (Bits, "write int"), (enum.Enum, "it has no members")):
        with pytest.raises(SchemaError, match=rf"^slips\.Thing\.kind: a field cannot be a .*{hint}"):
            Schema("slips").define(type("Thing", (), {"__annotations__": {"kind": kind}}))
    with pytest.raises(SchemaError, match="write its class, Colour"):
        OneOf(None, Colour.RED)


def test_an_enum_inside_of_a_class_is_a_name_there_and_no_field(db: DatabaseConnection) -> None:
    inside = Schema("inside")

    @inside.define
    class Job:
        class State(enum.Enum):
            NEW = 1
            DONE = 2

        state: State = State.NEW

    db.subscribeToSchema(inside)
    assert inside.typeToDef(Job).fields == (" exists", "state")
    with db.transaction():
        job = Job()
        assert job.state is Job.State.NEW
        job.state = Job.State.DONE
    with db.view():
        assert job.state is Job.State.DONE
