"""OneOf, Literal and unions: what is built, and which arm takes a value. (tests/unit/test_types.py has scalar arms.)"""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any, Literal, NamedTuple, Optional, Union

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError, ValueTypeError
from object_database.types import Dict, ListOf, OneOf, TupleOf, field_spec

schema = Schema("unions")


@schema.define
class Order:
    state: Literal["new", "paid", "sent"] = "paid"
    first_wins: OneOf("b", "a")
    mixed: Indexed[OneOf(None, str, 1.0, "literal", 7)]
    numbers: OneOf(1, 2, "hi")
    flag: OneOf(True, False)
    floats: OneOf(0.0, -0.0)
    lists: OneOf(TupleOf(int), TupleOf(str))
    strict: Literal[1] | None


# ---- building


def test_one_type_for_the_same_arms_in_the_same_order() -> None:
    assert OneOf(None, int) is OneOf(None, int)
    assert OneOf(None, int) is not OneOf(int, None)
    assert OneOf(None, OneOf(int, OneOf(str, None))) is OneOf(None, int, str)
    assert OneOf(int, str, int) is OneOf(int, str)


def test_arms_are_types_and_values() -> None:
    assert OneOf(None, str, 1.0, "literal").Types == (type(None), str, 1.0, "literal")
    assert repr(OneOf(None, str, 1.0, "literal", b"x", True)) == "OneOf(None, str, 1.0, 'literal', b'x', True)"
    assert OneOf(*OneOf(None, "a", 5).Types) is OneOf(None, "a", 5)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), (0.0, -0.0), ("a", b"a")])
def test_values_that_are_equal_or_alike_are_different_arms(one: Any, other: Any) -> None:
    kept = OneOf(one, other)
    assert [(type(arm), repr(arm)) for arm in kept.Types] == [(type(arm), repr(arm)) for arm in (one, other)]
    assert OneOf(one, other, one) is kept
    assert [repr(arm) for arm in field_spec(kept)[1:]] == [repr(("literal", one)), repr(("literal", other))]


def test_a_union_is_written_in_every_way_of_python() -> None:
    expected = OneOf(None, int, str)
    assert field_spec(int | str | None) == field_spec(expected) == ("oneof", "none", "int", "str")
    assert field_spec(Union[int, None, str]) == field_spec(Optional[Union[int, str]]) == field_spec(expected)  # noqa: UP007, UP045
    assert field_spec(Literal["a", None, "b"]) == field_spec(OneOf(None, "a", "b"))
    assert field_spec(Literal["a"] | Literal["b"]) == field_spec(Literal["a", "b"])
    assert field_spec(Literal["a"]) == ("literal", "a")
    assert field_spec(TupleOf(int) | None) == field_spec(None | TupleOf(int)) == ("oneof", "none", ("tupleof", "int"))
    assert field_spec(TupleOf(int) | TupleOf(str)) == ("oneof", ("tupleof", "int"), ("tupleof", "str"))


@pytest.mark.parametrize("arm", [[1], {}, 1j, object(), list, Ellipsis, (1,), SchemaError])
def test_what_is_neither_a_type_nor_a_literal_is_refused(arm: Any) -> None:
    with pytest.raises(SchemaError, match="^OneOf takes types and values: a field cannot be a"):
        OneOf(None, arm)


def test_a_type_is_copied_and_pickled_as_itself() -> None:
    for kept in (OneOf(None, "a", 1.5), OneOf(int, TupleOf(str))):
        assert copy.copy(kept) is copy.deepcopy(kept) is pickle.loads(pickle.dumps(kept)) is kept


def test_a_type_is_let_go_with_its_last_user() -> None:
    class Alone:
        pass

    before = len(type(OneOf(int, str))._made)
    made: Any = [OneOf(None, f"only here {n}") for n in range(5)]
    assert len(type(made[0])._made) > before
    del made
    if sys.implementation.name == "cpython":
        assert len(type(OneOf(int, str))._made) <= before + 1


def test_a_type_cannot_be_changed_or_derived_from() -> None:
    with pytest.raises(AttributeError, match="is immutable"):
        OneOf(int, str).Types = ()
    with pytest.raises(AttributeError, match="is immutable"):
        OneOf(int, str).colour = "red"
    with pytest.raises(TypeError, match="a class cannot derive from OneOf"):

        class Derived(OneOf(int, str)):
            pass


def test_arms_that_are_stored_alike_are_one() -> None:
    assert field_spec(OneOf(TupleOf(int), ListOf(int))) == field_spec(TupleOf(int))
    assert field_spec(OneOf(None, TupleOf(int), ListOf(int))) == field_spec(OneOf(None, TupleOf(int)))
    assert field_spec(TupleOf(OneOf(ListOf(None), TupleOf(None)))) == ("tupleof", ("tupleof", "none"))


def test_no_value_is_an_instance_of_a_union() -> None:
    assert not isinstance(1, OneOf(None, int))
    assert isinstance((1, None), TupleOf(OneOf(None, int)))


def _records(count: int) -> list[Any]:
    return [NamedTuple(f"R{i}", [("x", int)]) for i in range(count)]  # type: ignore[misc]


def test_the_last_of_as_many_arms_as_there_may_be_is_stored_many_times(db: DatabaseConnection) -> None:
    many, wide = _records(512), Schema("wide")

    @wide.define
    class Log:
        entries: TupleOf(OneOf(*many))

    db.subscribeToSchema(wide)
    entries = (many[-1](1), many[0](2)) * 2000
    with db.transaction():
        log = Log(entries=entries)
    with db.view():
        assert log.entries == entries
        assert type(log.entries[0]) is many[-1]


@pytest.mark.parametrize(
    ("union", "words"),
    [
        (OneOf(*_records(513)), "a union of more than 512 arms, literals not counted: write an Alternative"),
        (
            OneOf(*(TupleOf(each) for each in _records(25))),
            "more than 24 arms that are tuples: each would have to",
        ),
        (OneOf(*(Dict(str, each) for each in _records(25))), "more than 24 arms that are dicts"),
    ],
)
def test_a_union_that_is_too_wide_is_refused_with_the_class_that_has_it(union: Any, words: str) -> None:
    with pytest.raises(SchemaError, match=rf"^wide\.Log\.entry: .*{words}"):
        Schema("wide").define(type("Log", (), {"__annotations__": {"entry": union}}))


# ---- values


def test_calling_a_union_converts() -> None:
    assert OneOf(None, int)() is None
    assert OneOf(int, None)() == 0
    assert OneOf("b", "a")() == "b"
    assert OneOf(None, int)(5) == 5
    assert OneOf(None, TupleOf(int))([1, 2]) == (1, 2)
    with pytest.raises(ValueTypeError, match=r"^OneOf\(None, int\): str was given"):
        OneOf(None, int)("5")
    with pytest.raises(TypeError, match="takes one value, not 2"):
        OneOf(None, int)(1, 2)


def test_an_arm_that_is_exact_comes_before_one_that_converts() -> None:
    for arms, value, expected in (
        ((float, int), 2, 2),
        ((int, bool), True, True),
        ((bool, int), 1, 1),
        ((float, int), True, 1.0),
        ((int, float), True, 1),
        ((None, float), 1, 1.0),
        ((str, "literal"), "literal", "literal"),
        ((TupleOf(int), TupleOf(str)), ["a"], ("a",)),
    ):
        found = OneOf(*arms)(value)
        assert (type(found), found) == (type(expected), expected), arms
    for arms, value in (((None, int), 1.5), ((None, bool), 1), ((int, str), None), ((int, str), b"a")):
        with pytest.raises(ValueTypeError):  # the reference makes 1 of 1.5, and True of 1
            OneOf(*arms)(value)


def test_the_first_arm_gives_the_default(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        assert (order.state, order.first_wins, order.mixed, order.numbers) == ("paid", "b", None, 1)
        assert (order.flag, order.lists, order.strict) == (True, (), None)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("state", "sent", "sent"),
        ("mixed", "anything", "anything"),
        ("mixed", "literal", "literal"),
        ("mixed", 1.0, 1.0),
        ("mixed", 7, 7),
        ("numbers", 2, 2),
        ("flag", False, False),
        ("floats", -0.0, -0.0),
        ("floats", 0.0, 0.0),
        ("lists", (), ()),
        ("lists", ("a", "b"), ("a", "b")),
        ("lists", [1], (1,)),
        ("strict", 1, 1),
    ],
)
def test_an_arm_takes_its_values(db: DatabaseConnection, field: str, value: Any, expected: Any) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(**{field: value})
    with db.view():
        assert repr(getattr(order, field)) == repr(expected)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("state", "lost", "unions.Order.state"),
        ("state", None, "unions.Order.state"),
        ("mixed", 2.0, "unions.Order.mixed"),
        ("mixed", True, "unions.Order.mixed"),
        ("mixed", b"a", "unions.Order.mixed"),
        ("numbers", 3, "unions.Order.numbers"),
        ("numbers", 1.0, "unions.Order.numbers"),
        ("flag", 1, "unions.Order.flag"),
        ("lists", ("a", 1), "unions.Order.lists"),
        ("lists", "ab", "unions.Order.lists"),
        ("strict", 1.0, "unions.Order.strict"),
        ("strict", True, "unions.Order.strict"),  # the reference makes 1 of it
        ("strict", "1", "unions.Order.strict"),
    ],
)
def test_a_literal_takes_exactly_its_value(db: DatabaseConnection, field: str, value: Any, message: str) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(TypeError, match=message):
            Order(**{field: value})


def test_a_union_of_types_and_literals_is_an_index(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        made = {value: Order(mixed=value) for value in (None, "literal", "x", 1.0, 7)}
    with db.view():
        assert {value: Order.lookupAll(mixed=value) for value in made} == {v: (order,) for v, order in made.items()}
