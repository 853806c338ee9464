"""Programs with different definitions of one type work on one server (D18)."""

import re
from collections.abc import Callable
from dataclasses import make_dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Literal, NamedTuple

import pytest

from object_database import DatabaseConnection, Index, Indexed, OneOf, Schema
from object_database.errors import SchemaMismatchError
from object_database.types import Alternative

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]


def program(db: DatabaseConnection, annotations: dict[str, object], **members: object) -> type:
    """The type evolved.Order as one program defines it, subscribed to on its connection."""
    schema = Schema("evolved")
    order = schema.define(type("Order", (), {"__annotations__": annotations, **members}))
    db.subscribeToSchema(schema)
    return order


def test_a_field_that_is_added_later_reads_as_its_default_in_older_objects(connect_db: Connect) -> None:
    old_db, new_db = connect_db(), connect_db()
    old = program(old_db, {"number": int})
    with old_db.transaction():
        made = old(number=1)
    new = program(new_db, {"number": int, "state": str, "note": OneOf(None, str), "total": float}, state="new")
    with new_db.view():
        order = new.fromIdentity(made._identity)
        assert (order.number, order.state, order.note, order.total) == (1, "new", None, 0.0)
        assert order.snapshot() == (1, "new", None, 0.0)
    with new_db.transaction():
        order.state = "paid"
    old_db.flush()
    with old_db.transaction():
        made.number = 2  # by a program that knows nothing of states
    new_db.flush()
    with new_db.view():
        assert (order.number, order.state) == (2, "paid")


def test_what_an_older_program_creates_has_the_defaults_of_the_fields_it_does_not_know(connect_db: Connect) -> None:
    new_db, old_db = connect_db(), connect_db()
    new = program(new_db, {"number": int, "state": Indexed[str]}, state="new")
    old = program(old_db, {"number": int})
    with old_db.transaction():
        made = old(number=1)
    new_db.flush()
    with new_db.view():
        assert [order._identity for order in new.lookupAll(state="new")] == [made._identity]


def test_the_first_definition_of_a_field_fixes_what_is_not_stored(connect_db: Connect) -> None:
    first_db, second_db, third_db = connect_db(), connect_db(), connect_db()
    bare = program(first_db, {})
    with first_db.transaction():
        made = bare()
    first = program(second_db, {"state": str}, state="first")
    second = program(third_db, {"state": str}, state="second")
    with second_db.view():
        assert first.fromIdentity(made._identity).state == "first"
    with third_db.view():
        assert second.fromIdentity(made._identity).state == "first"
    with third_db.transaction():
        assert second().state == "second"  # stored by who creates it


def test_a_subset_of_the_fields_is_enough(connect_db: Connect) -> None:
    whole_db, part_db = connect_db(), connect_db()
    whole = program(whole_db, {"a": Indexed[int], "b": int, "c": str}, by_a_b=Index("a", "b"))
    part = program(part_db, {"c": str})
    with part_db.transaction():
        made = part(c="x")
    whole_db.flush()
    with whole_db.view():
        found = whole.lookupOne(by_a_b=(0, 0))
        assert (found._identity, found.a, found.c) == (made._identity, 0, "x")


@pytest.mark.parametrize(
    ("annotations", "members"),
    [({"a": str}, {}), ({"a": OneOf(None, str)}, {}), ({"a": int, "b": int}, {"by": Index("b")})],
)
def test_what_does_not_fit_the_catalogue_is_refused_whole(
    connect_db: Connect, annotations: dict[str, object], members: dict[str, object]
) -> None:
    first_db, second_db, third_db = connect_db(), connect_db(), connect_db()
    first = program(first_db, {"a": int, "b": int}, by=Index("a"))
    with first_db.transaction():
        first()
    with pytest.raises(SchemaMismatchError, match=r"evolved\.Order\.(a|by) is .* on this server"):
        program(second_db, {**annotations, "later": int}, **members)
    program(third_db, {"later": str})  # nothing of the refused one was taken


Colour, Hue = Enum("Colour", {"RED": 1}), Enum("Colour", {"RED": "r"})  # type: ignore[misc]


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        (
            make_dataclass("Line", [("price", int)], frozen=True),
            make_dataclass("Line", [("price", int), ("note", str)], frozen=True),
            "Line(price: int) on this server, and Line(price: int, note: str) in this program",
        ),
        (Colour, Hue, "Colour (RED = 1) on this server, and Colour (RED = 'r') in this program"),
        (
            Alternative("Event", Made={}, Paid={"sum": float}),
            Alternative("Event", Paid={"sum": float}, Made={}),
            "Event: Made() or Paid(sum: float = 0.0) on this server, and Event: Paid(sum: float = 0.0) or Made() in this",
        ),
    ],
)
def test_types_of_one_name_are_told_apart_in_a_refusal(
    connect_db: Connect, there: Any, here: Any, message: str
) -> None:
    program(connect_db(), {"it": there})
    with pytest.raises(SchemaMismatchError, match=re.escape(message)):
        program(connect_db(), {"it": here})


def test_a_field_becomes_wider_and_older_programs_go_on(connect_db: Connect) -> None:
    old_db, new_db, later_db = connect_db(), connect_db(), connect_db()
    old = program(old_db, {"number": Indexed[int]})
    with old_db.transaction():
        made = old(number=1)
    new = program(new_db, {"number": Indexed[OneOf(None, int)]})
    with new_db.transaction():
        new()
    later = program(later_db, {"number": Indexed[int]})  # with the older definition, after the wider one
    with later_db.transaction():
        later(number=1)
    for db, order in ((old_db, old), (new_db, new), (later_db, later)):
        db.flush()
        with db.view():
            assert len(order.lookupAll()) == 3
            assert order.lookupAny(number=1)._identity == made._identity
            assert len(order.lookupAll(number=1)) == 2
    with new_db.view():
        assert len(new.lookupAll(number=None)) == 1


def test_an_index_is_added_to_a_type_that_has_objects(connect_db: Connect) -> None:
    old_db, new_db = connect_db(), connect_db()
    old = program(old_db, {"number": int})
    with old_db.transaction():
        for number in range(2000):
            old(number=number % 7)
    new = program(new_db, {"number": Indexed[int], "state": str}, by=Index("state", "number"), state="new")
    with new_db.view():
        assert len(new.lookupAll(number=3)) == len(new.lookupAll(by=("new", 3))) == 286
    with old_db.transaction():
        old(number=3)
    new_db.flush()
    with new_db.view():
        assert len(new.lookupAll(by=("new", 3))) == 287
    both_db = connect_db()
    program(both_db, {"number": int})
    both = program(both_db, {"number": Indexed[int]})  # one connection, which has the objects already
    with both_db.view():
        assert len(both.lookupAll(number=3)) == 287


def line_of_two() -> type:
    class Line(NamedTuple):
        price: int = 0
        count: int = 1

    return Line


def line_of_three() -> type:
    class Line(NamedTuple):
        price: int = 0
        count: int = 1
        unit: str = "piece"

    return Line


OldLine, NewLine = line_of_two(), line_of_three()
OldEvent = Alternative("Event", Paid={"amount": int})
NewEvent = Alternative("Event", Paid={"amount": int}, Sent={"to": str})


@pytest.mark.parametrize(
    ("old_type", "new_type", "old_value", "same_value", "new_value"),
    [
        (int, int | None, 5, 5, None),
        (Literal["new", "paid"], Literal["new", "paid", "sent"], "paid", "paid", "sent"),
        (tuple[int, ...], tuple[int | None, ...], (1, 2), (1, 2), (1, None)),
        (OldLine, NewLine, OldLine(3, 4), NewLine(3, 4), NewLine(3, 4, "box")),
        (OldEvent, NewEvent, OldEvent.Paid(amount=3), NewEvent.Paid(amount=3), NewEvent.Sent(to="Ada")),
    ],
    ids=["union", "literal", "tuple", "record", "alternative"],
)
def test_values_that_an_older_program_does_not_know_cost_it_that_field_alone(
    connect_db: Connect, old_type: Any, new_type: Any, old_value: Any, same_value: Any, new_value: Any
) -> None:
    old_db, new_db = connect_db(), connect_db()
    old = program(old_db, {"kind": Indexed[old_type], "number": int})
    with old_db.transaction():
        old(kind=old_value, number=1)
    new = program(new_db, {"kind": Indexed[new_type], "number": int})
    with new_db.transaction():
        made = new(kind=new_value, number=2)
    old_db.flush()
    unknown = old.fromIdentity(made._identity)
    with old_db.view():
        assert old.lookupOne(kind=old_value).number == 1
        assert len(old.lookupAll()) == 2
        assert unknown.number == 2
        if old_type is OldLine:
            assert unknown.kind == OldLine(3, 4)  # of a record's fields it reads those that it knows
        else:
            with pytest.raises(SchemaMismatchError, match=r"evolved\.Order\.kind"):
                assert unknown.kind
    with old_db.transaction():
        unknown.number = 3
    new_db.flush()
    with new_db.view():
        assert (made.kind, made.number) == (new_value, 3)
        assert new.lookupOne(kind=new_value) == made
        assert new.lookupOne(kind=same_value).number == 1
    with old_db.transaction():
        unknown.kind = old_value
    new_db.flush()
    with new_db.view():
        assert len(new.lookupAll(kind=same_value)) == 2
        assert not new.lookupAll(kind=new_value)


def test_a_required_field_cannot_be_added_later(connect_db: Connect) -> None:
    first_db, second_db, third_db = connect_db(), connect_db(), connect_db()
    program(first_db, {"number": int})
    with pytest.raises(SchemaMismatchError, match=r"evolved\.Order\.placed is datetime, which has no default"):
        program(second_db, {"number": int, "placed": datetime})
    program(third_db, {"number": int, "placed": datetime | None})
