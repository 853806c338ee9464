"""NamedTuple(x=int): records without a class statement."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from typing import Any

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError, ValueTypeError
from object_database.types import NamedTuple, OneOf, TupleOf, field_spec

schema = Schema("named_tuples")

Point = NamedTuple(x=int, y=int)
Entry = NamedTuple(x=int, y=str, z=OneOf(None, float))


class Vector(NamedTuple(x=int, y=int)):
    """A record with methods."""

    def length(self) -> float:
        return float((self.x**2 + self.y**2) ** 0.5)

    @property
    def flipped(self) -> Vector:
        return self.replacing(x=self.y, y=self.x)


@schema.define
class Thing:
    entry: Indexed[Entry]
    maybe: OneOf(None, NamedTuple(rows=int, cols=int))
    vector: Vector
    points: TupleOf(Point)


# ---- the type


def test_one_type_for_the_same_fields_in_the_same_order() -> None:
    assert NamedTuple(x=int, y=int) is Point
    assert NamedTuple(y=int, x=int) is not Point
    assert Entry.ElementNames == ("x", "y", "z")
    assert Entry.ElementTypes == (int, str, OneOf(None, float))
    assert NamedTuple(a="literal").ElementTypes == ("literal",)


def test_the_spec_of_an_anonymous_record_and_of_a_class() -> None:
    assert field_spec(Point) == ("record", Point, "", "namedtuple", (("x", "int", ()), ("y", "int", ())))
    assert field_spec(Vector)[1:4] == (Vector, "Vector", "namedtuple")
    assert field_spec(NamedTuple(day=date))[4] == (("day", "date", None),)  # a day has no default: it is required


@pytest.mark.parametrize(
    "name", ["replacing", "ElementNames", "__init__", "_parts", "_fields", "_spec", "a b", "a:b", ""]
)
def test_a_field_cannot_have_a_name_that_every_record_uses_or_that_is_none(name: str) -> None:
    with pytest.raises(SchemaError, match=f"cannot be named '{name}'"):
        NamedTuple(**{name: int})


def test_names_that_python_has_for_arguments_are_names_of_fields_too() -> None:
    made = NamedTuple(self=int, cls=int, args=int, fields=int)(self=1, cls=2, args=3, fields=4)
    assert made.replacing(self=5, cls=6) == (5, 6, 3, 4)


@pytest.mark.parametrize("kind", [list, [1], complex, {}])
def test_a_field_needs_a_type_that_can_be_stored(kind: Any) -> None:
    with pytest.raises(TypeError, match="NamedTuple field x: a field cannot be a"):
        NamedTuple(x=kind)


def test_a_class_that_derives_from_one_adds_no_fields() -> None:
    with pytest.raises(SchemaError, match=r"More\.z: a class that derives from a NamedTuple"):

        class More(NamedTuple(x=int)):
            z: int


# ---- values


def test_a_record_is_made_of_fields_by_name_or_of_all_at_once() -> None:
    assert Entry(x=1, y="a") == Entry(y="a", x=True) == Entry((1, "a", None)) == Entry([1, "a", None]) == (1, "a", None)
    assert Entry() == (0, "", None)
    assert Entry({"y": "b"}) == (0, "b", None)
    assert Entry(NamedTuple(z=float, x=int)(z=1.5, x=7)) == (7, "", 1.5)
    assert type(Entry(x=1)) is Entry
    assert type(Vector(x=1)) is Vector


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Entry(1, "a"), "takes its fields by name, or one tuple"),
        (lambda: Entry(q=1), "has no field 'q'; it has x, y, z"),
        (lambda: Entry((1, "a")), "3 fields"),
        (lambda: Entry({"q": 1}), "q"),
        (lambda: Entry(x="1"), r"x.*str was given"),
        (lambda: Entry(x=1.5), r"x.*float was given"),
        (lambda: Entry(5), "int was given"),
        (lambda: NamedTuple(day=date)(), "day"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_a_record_is_a_tuple_with_names() -> None:
    entry = Entry(x=1, y="a", z=0.5)
    assert isinstance(entry, tuple)
    assert (entry.x, entry[1], entry.z, len(entry), list(entry)) == (1, "a", 0.5, 3, [1, "a", 0.5])
    assert hash(entry) == hash((1, "a", 0.5))
    assert entry == (1, "a", 0.5)
    assert Point(x=1, y=2) == Vector(x=1, y=2) == NamedTuple(a=int, b=int)(a=1, b=2)
    assert Entry(x=1, y="a") < Entry(x=1, y="b") < Entry(x=2)
    match entry:
        case Entry(x=1, y=found):
            assert found == "a"
        case _:
            pytest.fail("no match by name")
    match entry:
        case Entry(1, "a", third):
            assert third == 0.5
        case _:
            pytest.fail("no match by position")


def test_a_record_is_shown_by_its_fields() -> None:
    assert repr(Entry(x=1, y="a")) == "(x=1, y='a', z=None)"
    assert repr(Vector(x=1, y=2)) == "Vector(x=1, y=2)"


def test_replacing_gives_a_changed_copy() -> None:
    entry = Entry(x=1, y="a")
    assert entry.replacing(x=5) == (5, "a", None)
    assert entry == (1, "a", None)
    assert type(Vector(x=1, y=2).flipped) is Vector
    with pytest.raises(ValueError, match="has no field 'q'"):
        entry.replacing(q=1)
    with pytest.raises(ValueTypeError, match="str was given"):
        entry.replacing(x="1")


def test_a_record_is_immutable() -> None:
    for record in (Entry(x=1), Vector(x=1)):
        for change in (lambda r: setattr(r, "x", 2), lambda r: setattr(r, "new", 2), lambda r: delattr(r, "x")):
            with pytest.raises(AttributeError, match="is immutable"):
                change(record)


def test_records_are_pickled_and_copied() -> None:
    for record in (Entry(x=1, y="a"), Vector(x=3, y=4)):
        again = pickle.loads(pickle.dumps(record))
        assert (type(again), again) == (type(record), record)
        assert copy.copy(record) is copy.deepcopy(record) is record


def test_types_are_shown_and_pickled_as_they_are_written() -> None:
    assert repr(Entry) == "NamedTuple(x=int, y=str, z=OneOf(None, float))"
    assert pickle.loads(pickle.dumps(Entry)) is Entry
    assert pickle.loads(pickle.dumps(TupleOf(Entry))) is TupleOf(Entry)
    assert pickle.loads(pickle.dumps(Vector)) is Vector
    assert copy.deepcopy(Entry) is Entry


# ---- fields


def test_records_are_read_as_what_they_are(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(entry={"x": 5}, maybe=(2, 3), vector=Vector(x=3, y=4), points=[(1, 2), {"y": 5}])
        empty = Thing()
    with db.view():
        assert (type(thing.entry), thing.entry) == (Entry, (5, "", None))
        assert (thing.maybe.rows, thing.maybe.cols) == (2, 3)
        assert thing.vector.length() == 5.0
        assert [point.y for point in thing.points] == [2, 5]
        assert (empty.entry, empty.maybe, empty.vector, empty.points) == ((0, "", None), None, (0, 0), ())
        assert type(empty.vector) is Vector


def test_a_record_is_taken_by_name_from_another_one(db: DatabaseConnection) -> None:
    """Also for a class that derives from one, which in the reference takes itself and its base alone."""
    db.subscribeToSchema(schema)
    with db.transaction():
        assert Thing(entry=NamedTuple(y=str, x=int)(x=1, y="b")).entry == (1, "b", None)
        assert Thing(vector=Point(x=1, y=2)).vector == Vector(x=1, y=2)
        assert Thing(vector=(1, 2)).vector == Vector(x=1, y=2)
        with pytest.raises(TypeError, match=r"named_tuples\.Thing\.entry"):
            Thing(entry=NamedTuple(other=int)(other=1))
        with pytest.raises(TypeError, match=r"named_tuples\.Thing\.entry"):
            Thing(entry=None)
        with pytest.raises(TypeError, match=r"named_tuples\.Thing\.points\[1\]\.y: str was given"):
            Thing(points=[(1, 2), (1, "2")])


def test_a_record_is_the_key_of_an_index(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        one, other = Thing(entry={"x": 1}), Thing(entry={"x": 1, "y": "a"})
        assert Thing.lookupAll(entry={"x": 1}) == (one,)
    with db.view():
        assert Thing.lookupAll(entry=Entry(x=1, y="a")) == (other,)
        assert Thing.lookupAll(entry=(2, "", None)) == ()
