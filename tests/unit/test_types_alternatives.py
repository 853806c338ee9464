"""Alternative("Expr", Add={...}): a value is one of several named arms."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from typing import Any

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError, ValueTypeError
from object_database.types import Alternative, Forward, NamedTuple, OneOf, TupleOf, field_spec

schema = Schema("alternatives")


def evaluated(self: Any) -> int:
    match self:
        case Expr.Constant(value):
            return int(value)
        case Expr.Add(left, right):
            return left.evaluated() + right.evaluated()
        case _:
            return 0


Expr = Forward("Expr")
Expr = Expr.define(
    Alternative("Expr", Constant={"value": int}, Add={"l": Expr, "r": Expr}, Nil={}, evaluated=evaluated)
)
Event = Alternative("Event", Opened={}, Moved={"x": int, "y": OneOf(None, int)}, Named={"name": str, "on": date})
Shown = Alternative(
    "Shown",
    A={"n": int},
    __str__=lambda self: f"<{self.n}>",
    __len__=lambda self: self.n,
    double=property(lambda self: 2 * self.n),
)


@schema.define
class Job:
    event: Indexed[OneOf(None, Event)]
    expr: Expr
    history: TupleOf(Event)


# ---- the type


def test_arms_are_subclasses() -> None:
    assert issubclass(Expr.Add, Expr)
    assert [arm.__name__ for arm in Expr.__typed_python_alternatives__] == ["Constant", "Add", "Nil"]
    assert Event.Moved.ElementType is NamedTuple(x=int, y=OneOf(None, int))
    assert Event.Moved.__match_args__ == ("x", "y")
    assert Expr.Add.__qualname__ == "Expr.Add"
    assert Expr.__module__ == __name__


def test_names_that_python_has_for_arguments_are_names_of_fields_too() -> None:
    made = Alternative("Made", A={"self": int, "cls": int, "args": int, "fields": int})
    assert repr(made.A(self=1, cls=2, args=3, fields=4)) == "A(self=1, cls=2, args=3, fields=4)"


def test_the_same_definition_twice_is_two_types() -> None:
    one, other = (Alternative("Twice", A={"n": int}) for _ in range(2))
    assert one is not other
    assert one.A(n=1) != other.A(n=1)
    with pytest.raises(TypeError):
        one(other.A(n=1))


def test_the_spec_lists_the_arms_and_comes_back_by_the_class() -> None:
    again = ("again", Expr)
    assert field_spec(Expr) == (
        "alternative",
        Expr,
        "Expr",
        (
            ("Constant", Expr.Constant, (("value", "int", ()),)),
            ("Add", Expr.Add, (("l", again, ()), ("r", again, ()))),
            ("Nil", Expr.Nil, ()),
        ),
    )
    assert field_spec(Event)[3][2][2] == (("name", "str", ()), ("on", "date", None))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), {"A": {}}), "argument"),
        (((5,), {"A": {}}), "an Alternative needs a name first"),
        ((("not a name",), {"A": {}}), "an Alternative needs a name first"),
        ((("E",), {}), "Alternative 'E' needs an arm"),
        ((("E",), {"A": 5}), r"E\.A is neither an arm, a dict of fields and types, nor a method: 5"),
        ((("E",), {"A": {"x": list}}), r"E\.A\.x: a field cannot be a <class 'list'>: write list\[int\]"),
        ((("E",), {"A": {"x": [5]}}), r"E\.A\.x: a field cannot be a \[5\]"),
        ((("E",), {"A": {"matches": int}}), r"E\.A\.matches: a field cannot have this name"),
        ((("E",), {"A": {"_fields_of": int}}), r"E\.A\._fields_of: a field cannot have this name"),
        ((("E",), {"A": {"class": int}}), r"E\.A\.class: a field cannot have this name"),
        ((("E",), {"A": {5: int}}), r"E\.A\.5: a field cannot have this name"),
        ((("E",), {"Name": {}}), r"E\.Name: an arm cannot have this name"),
        ((("E",), {"A": {"x": int}, "x": lambda self: 5}), r"E\.A: 'x' is the name of a method too"),
    ],
)
def test_a_definition_that_cannot_be_meant_so_is_refused(arguments: Any, message: str) -> None:
    args, members = arguments
    with pytest.raises(TypeError, match=message):
        Alternative(*args, **members)


# ---- values


def test_an_arm_takes_its_fields_by_name_and_a_single_one_as_it_is() -> None:
    assert Expr.Constant(value=3) == Expr.Constant(3)
    assert Event.Moved(x=1).y is None
    assert Event.Moved() == Event.Moved(x=0, y=None)
    assert Expr() == Expr.Constant(0)
    assert Expr.Add() == Expr.Add(l=Expr.Constant(0), r=Expr.Constant(0))
    assert Expr(Expr.Nil()) == Expr.Nil()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Event.Moved(1, 2), r"Event\.Moved takes its fields by name: x, y"),
        (lambda: Event.Opened(1), r"Event\.Opened takes its fields by name: it has none"),
        (lambda: Event.Moved(z=1), r"Event\.Moved has no field 'z'; it has x, y"),
        (lambda: Event.Moved(x="1"), r"Event\.Moved\.x: str was given"),
        (lambda: Event.Named(name="a"), r"Event\.Named\.on has no default: give a value"),
        (lambda: Expr.Add(l=5), r"Expr\.Add\.l"),
        (lambda: Expr(5), r"Expr takes a value of its own only; write Expr\.Constant\(\.\.\.\), Expr\.Add"),
        (lambda: Expr(value=5), "Expr takes a value of its own only"),
        (lambda: Expr(Expr.Nil), "Expr takes a value of its own only"),  # the class is no value
    ],
)
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_matches_tells_the_arm_and_a_slip_is_an_error() -> None:
    event = Event.Moved(x=1)
    assert event.matches.Moved
    assert not event.matches.Opened
    assert (event.Name, event.Index) == ("Moved", 1)
    assert isinstance(event, Event)
    assert not isinstance(event, Event.Opened)
    assert dir(event.matches) == ["Moved", "Named", "Opened"]
    with pytest.raises(AttributeError, match="Event has no arm 'Mooved'; it has Opened, Moved, Named"):
        event.matches.Mooved  # in the reference: False


def test_fields_are_attributes_and_others_are_errors() -> None:
    add = Expr.Add(l=Expr.Constant(1), r=Expr.Nil())
    assert add.l.value == 1
    with pytest.raises(AttributeError, match=r"Expr\.Add has no 'value'; it has l, r"):
        add.value
    with pytest.raises(AttributeError, match=r"Expr\.Nil has no 'value'; it has no fields"):
        Expr.Nil().value


def test_a_value_is_immutable() -> None:
    event = Event.Moved(x=1)
    for change in (lambda: setattr(event, "x", 2), lambda: setattr(event, "new", 2), lambda: delattr(event, "x")):
        with pytest.raises(AttributeError, match="is immutable"):
            change()
    assert event.x == 1


def test_values_are_equal_and_ordered_by_arm_and_fields() -> None:
    ordered = [Expr.Constant(1), Expr.Constant(2), Expr.Add(l=Expr(), r=Expr()), Expr.Nil()]
    assert sorted(ordered[::-1]) == ordered  # noqa: C415
    assert Expr.Constant(1) < Expr.Constant(2) <= Expr.Constant(2) < Expr.Nil()
    assert Expr.Nil() > Expr.Constant(5) >= Expr.Constant(5)
    assert len({Expr.Constant(1), Expr.Constant(1), Expr.Constant(2), Expr.Nil(), Expr.Nil()}) == 3
    assert Expr.Constant(1) != 1
    assert Expr.Constant(0) != Shown.A(n=0)
    for compare in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
        assert getattr(Expr.Nil(), compare)(Event.Opened()) is NotImplemented


def test_values_are_shown_as_the_reference_shows_them() -> None:
    add = Expr.Add(l=Expr.Constant(1), r=Expr.Constant(2))
    assert repr(add) == "Add(l=Constant(value=1,), r=Constant(value=2,))"
    assert repr(Expr.Nil()) == "Nil()"


def test_methods_and_special_methods_are_given_by_keyword() -> None:
    add = Expr.Add(l=Expr.Constant(1), r=Expr.Add(l=Expr.Constant(2), r=Expr.Nil()))
    assert add.evaluated() == 3
    assert str(Shown.A(n=5)) == "<5>"
    assert (len(Shown.A(n=5)), Shown.A(n=5).double) == (5, 10)
    assert bool(Shown.A(n=1))
    assert not Shown.A(n=0)
    assert Expr.Nil()  # an arm without fields is true


def test_values_match() -> None:
    match Event.Moved(x=1, y=2):
        case Event.Opened():
            pytest.fail("another arm")
        case Event.Moved(x, y=y):
            assert (x, y) == (1, 2)
        case _:
            pytest.fail("no match")


def test_values_are_pickled_and_copied() -> None:
    add = Expr.Add(l=Expr.Constant(1), r=Expr.Nil())
    assert pickle.loads(pickle.dumps(add)) == add
    assert copy.copy(add) is copy.deepcopy(add) is add


# ---- fields


def test_fields_hold_alternatives(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        expr = Expr.Add(l=Expr.Constant(1), r=Expr.Add(l=Expr.Constant(2), r=Expr.Nil()))
        events = [Event.Opened(), Event.Moved(x=1, y=2), Event.Named(name="a", on=date(2024, 2, 29))]
        job = Job(event=events[1], expr=expr, history=events)
        empty = Job()
    with db.view():
        assert job.event == Event.Moved(x=1, y=2)
        assert type(job.event) is Event.Moved
        assert job.event.matches.Moved
        assert job.expr == expr
        assert job.expr.evaluated() == 3
        assert job.history == tuple(events)
        assert (empty.event, empty.expr, empty.history) == (None, Expr.Constant(0), ())
        with pytest.raises(AttributeError, match="is immutable"):
            job.event.x = 2


def test_an_alternative_is_the_key_of_an_index(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        made = {event: Job(event=event) for event in (None, Event.Opened(), Event.Moved(x=1), Event.Moved(x=1, y=0))}
        assert Job.lookupAll(event=Event.Moved(x=1)) == (made[Event.Moved(x=1)],)
    with db.view():
        assert {event: Job.lookupAll(event=event) for event in made} == {e: (job,) for e, job in made.items()}
        assert Job.lookupAll(event=Event.Moved(x=2)) == ()


@pytest.mark.parametrize("value", [5, "Opened", {}, (), Event, Event.Opened, Expr.Nil()])
def test_a_field_takes_values_of_its_own_alternative_only(db: DatabaseConnection, value: Any) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(TypeError, match=r"^alternatives\.Job\.event: "):
            Job(event=value)


def test_a_single_arm_is_no_field_type() -> None:
    with pytest.raises(SchemaError, match=r"slips\.Thing\.it: a field cannot be of one arm, Expr\.Add: write Expr"):
        Schema("slips").define(type("Thing", (), {"it": Expr.Add}))


def test_a_field_of_an_arm_converts_as_every_field_does() -> None:
    made = Alternative("Converting", A={"items": TupleOf(float), "limit": OneOf(None, int)})
    assert made.A(items=[1, 2]).items == (1.0, 2.0)
    with pytest.raises(ValueTypeError, match=r"Converting\.A\.items\[1\]: str was given"):
        made.A(items=[1, "2"])
