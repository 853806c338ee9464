"""What a field holds that was not given: the default of the class body, the type's own, or an error."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import time
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any, Literal

import pytest

from object_database import DatabaseConnection, Indexed, Object, Schema
from object_database.errors import SchemaError, ValueTypeError
from object_database.types import Alternative, FrozenDict, NamedTuple, OneOf, Tuple, TupleOf

schema = Schema("given")


@dataclass(frozen=True)
class Line:
    item: str
    count: int = 1


Event = Alternative("Event", Nothing={}, Moved={"x": int})


@schema.define
class Order:
    state: Literal["new", "paid"] = "paid"
    tags: frozenset[str] = frozenset({"a"})
    meta: dict[str, list[int]] = {"a": [1]}
    names: list[str] = ["x"]
    ratio: float = 3
    lines: tuple[Line, ...] = (Line("tea"),)
    event: Event = Event.Moved(x=5)
    made: list[str] = field(default_factory=lambda: ["m"])
    plain: int = field(default=7)
    nothing: str = field()
    number: Indexed[int] = 9


@schema.define
class Delivery:
    placed: datetime
    line: Line
    note: str


MOMENT = datetime(2024, 1, 1, tzinfo=timezone.utc)


def test_a_default_is_a_value_of_the_type(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        assert Order.lookupAll(number=9) == (order,)
    with db.view():
        assert (order.state, order.tags, order.names, order.made) == ("paid", {"a"}, ("x",), ("m",))
        assert (order.meta, type(order.meta)) == ({"a": (1,)}, FrozenDict)
        assert repr(order.ratio) == "3.0"
        assert (order.lines, order.event) == ((Line("tea"),), Event.Moved(x=5))
        assert (order.plain, order.nothing) == (7, "")


def test_a_default_is_copied_when_the_class_is_defined(db: DatabaseConnection) -> None:
    mine: dict[str, int] = {"a": 1}
    copied = Schema("copied")

    class Thing:
        counts: dict[str, int] = mine

    thing: Any = copied.define(Thing)
    mine["a"] = 99
    db.subscribeToSchema(copied)
    assert inspect.signature(thing).parameters["counts"].default == {"a": 1}
    with db.transaction():
        assert thing().counts == {"a": 1}


@pytest.mark.parametrize(
    ("annotation", "default", "error"),
    [
        (list[int], ["1"], r"slips\.Thing\.it \(default\)\[0\]: str was given"),
        (list[int], None, r"slips\.Thing\.it \(default\): NoneType was given"),
        (Literal["a", "b"], "c", r"slips\.Thing\.it \(default\): 'c' was given, and the field takes 'a' or 'b'"),
        (dict[str, int], {1: 1}, r"slips\.Thing\.it \(default\)"),
        (datetime, 0, r"slips\.Thing\.it \(default\): int was given"),
        (Line, ("a", "b"), r"slips\.Thing\.it \(default\)\.count: str was given"),
    ],
)
def test_a_default_that_does_not_fit_is_refused(annotation: Any, default: Any, error: str) -> None:
    with pytest.raises(ValueTypeError, match=error):
        Schema("slips").define(type("Thing", (), {"__annotations__": {"it": annotation}, "it": default}))


@pytest.mark.parametrize(
    ("annotation", "factory"),
    [
        (uuid.UUID, uuid.uuid4),
        (datetime, datetime.now),
        (date, date.today),
        (int, itertools.count().__next__),
        (float, time.time),
    ],
)
def test_a_factory_of_new_values_is_refused(annotation: Any, factory: Any) -> None:
    """A default is one value, kept in the catalogue; a factory that runs for each object is what __init__ is for."""
    body = {"__annotations__": {"it": annotation}, "it": field(default_factory=factory)}
    with pytest.raises(SchemaError, match=r"^slips\.Thing\.it: its default_factory is no default.*__init__"):
        Schema("slips").define(type("Thing", (), body))


def test_a_union_has_the_default_of_its_first_arm_that_has_one(db: DatabaseConnection) -> None:
    """In a field, in a record, in an Alternative, and for whoever calls the type."""
    unions = Schema("unions")
    moment = OneOf(datetime, None)
    stop: Any = NamedTuple(at=moment, count=int)
    move: Any = Alternative("Move", To={"at": moment}, Nothing={})

    class Thing:
        field = moment
        record = stop
        event = move
        several = OneOf(NamedTuple(at=datetime), int, None)
        pair = Tuple(OneOf(datetime, "never"), moment)

    thing: Any = unions.define(Thing)
    values = (None, (None, 0), move.To(at=None), 0, ("never", None))
    assert (moment(), stop(), move()) == values[:3]
    assert tuple(each.default for each in inspect.signature(thing).parameters.values()) == values
    db.subscribeToSchema(unions)
    with db.transaction():
        made = thing()
        assert tuple(made.snapshot()) == values


# ---- required fields


def test_a_field_whose_type_has_no_default_must_be_given(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        made = Delivery(placed=MOMENT, line=Line("tea"))
        assert (made.placed, made.line, made.note) == (MOMENT, Line("tea"), "")
        for missing, given in (("placed", {"line": Line("tea")}), ("line", {"placed": MOMENT}), ("placed", {})):
            with pytest.raises(TypeError, match=rf"given\.Delivery.*{missing}"):
                Delivery(**given)


def test_signatures_show_what_must_be_given() -> None:
    parameters = inspect.signature(Delivery).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "placed": inspect.Parameter.empty,
        "line": inspect.Parameter.empty,
        "note": "",
    }
    assert parameters["placed"].annotation is datetime
    assert inspect.signature(Order).parameters["ratio"].default == 3.0


def test_the_documentation_shows_types_as_they_are_written() -> None:
    documented = Schema("documented")

    class Thing(Object, schema=documented):
        maybe: int | None
        names: list[str] = ["x"]
        state: Literal["a", "b"] = "a"

    assert Thing.__doc__ == "Thing(maybe: OneOf(None, int), names: ListOf(str) = ('x',), state: OneOf('a', 'b') = 'a')"


@pytest.mark.parametrize(
    ("kind", "is_required"),
    [
        (datetime, True),
        (Tuple(int, date), True),
        (Tuple(int, str), False),
        (NamedTuple(day=date), True),
        (NamedTuple(day=OneOf(None, date)), False),
        (OneOf(date, None), False),
        (OneOf(date, datetime), True),
        (OneOf(None, date), False),
        (TupleOf(date), False),
        (Line, True),
        (Alternative("Shape", Circle={"on": date}, Empty={}), True),
        (Alternative("Form", Empty={}, Circle={"on": date}), False),
        (object, False),
    ],
)
def test_which_types_have_a_default(kind: Any, is_required: bool) -> None:
    made = Schema("asked").define(type("Thing", (), {"it": kind}))
    has_none = inspect.signature(made).parameters["it"].default is inspect.Parameter.empty
    assert has_none == is_required


def test_a_dataclass_field_is_no_member_of_its_own() -> None:
    with pytest.raises(SchemaError, match=r"slips\.Thing\.it"):
        Schema("slips").define(type("Thing", (), {"it": dataclasses.field(default=5)}))
