"""typed_python's own types. It can be installed on old Pythons only, so most of this is shown on classes with its attributes."""

from __future__ import annotations

from typing import Any

import pytest

from object_database import DatabaseConnection, Schema
from object_database.errors import SchemaError
from object_database.types import ConstDict, ListOf, NamedTuple, OneOf, Set, Tuple, TupleOf, field_spec, field_type


def theirs(category: str, **attributes: Any) -> Any:
    """A class as typed_python's are."""
    return type(category, (), {"__typed_python_category__": category, **attributes})


INT8 = theirs("Int8")
TUPLE = theirs("TupleOf", ElementType=int)
RECORD = theirs("NamedTuple", ElementNames=("x", "y"), ElementTypes=(int, TUPLE))
VALUE = theirs("Value", Value="new")


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [
        (TUPLE, TupleOf(int)),
        (theirs("ListOf", ElementType=str), ListOf(str)),
        (theirs("Set", KeyType=str), Set(str)),
        (theirs("ConstDict", KeyType=str, ValueType=TUPLE), ConstDict(str, TupleOf(int))),
        (theirs("Dict", KeyType=str, ValueType=float), ConstDict(str, float)),
        (theirs("Tuple", ElementTypes=(int, TUPLE)), Tuple(int, TupleOf(int))),
        (theirs("OneOf", Types=(type(None), VALUE, 5, TUPLE)), OneOf(None, "new", 5, TupleOf(int))),
        (RECORD, NamedTuple(x=int, y=TupleOf(int))),
        (INT8, "int8"),
        (theirs("Int64"), int),
    ],
)
def test_their_types_are_ours(foreign: Any, ours: Any) -> None:
    assert field_spec(foreign) == (ours if isinstance(ours, str) else field_spec(ours))
    assert field_spec(list[foreign]) == ("tupleof", field_spec(foreign))
    assert field_spec(TupleOf(foreign)) == ("tupleof", field_spec(foreign))


def test_their_alternative_becomes_one_of_ours_once() -> None:
    arms = (
        theirs("ConcreteAlternative", Name="A", ElementType=RECORD),
        theirs("ConcreteAlternative", Name="B", ElementType=theirs("NamedTuple", ElementNames=(), ElementTypes=())),
    )
    foreign = theirs("Alternative", __typed_python_alternatives__=arms)
    ours = field_type(foreign)
    assert field_type(foreign) is ours
    assert ours.A(x=1, y=[2]).y == (2,)
    assert ours.B() == ours.B()


def test_their_other_types_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"slips\.Thing\.it: .*typed_python's PointerTo has no counterpart here"):
        Schema("slips").define(type("Thing", (), {"it": theirs("PointerTo")}))


def test_a_class_body_may_use_them(db: DatabaseConnection) -> None:
    schema = Schema("foreign")
    thing: Any = schema.define(type("Thing", (), {"items": TUPLE, "record": RECORD, "state": VALUE}))
    db.subscribeToSchema(schema)
    with db.transaction():
        made = thing(items=[1, 2], record=(1, [2]))
        assert (made.items, made.record.y, made.state) == ((1, 2), (2,), "new")


def test_the_package_itself() -> None:
    package = pytest.importorskip("typed_python")
    assert field_spec(package.TupleOf(int)) == field_spec(TupleOf(int))
    assert field_spec(package.OneOf(None, int, "x")) == field_spec(OneOf(None, int, "x"))
    assert field_spec(package.ConstDict(str, package.NamedTuple(a=int))) == field_spec(
        ConstDict(str, NamedTuple(a=int))
    )
