"""Annotations: wrappers and aliases that mean other types, and what is said of those that are no field types."""

from __future__ import annotations

import array
import collections
import ctypes
import datetime
import decimal
import fractions
import pathlib
import typing
from collections.abc import Callable, Iterable, MutableMapping
from typing import Annotated, Any, ClassVar, Final, NewType, TypeVar

import pytest

from object_database import DatabaseConnection, Indexed, Schema, Unique
from object_database.errors import SchemaError
from object_database.types import OneOf, TupleOf, field_spec, field_type

T = TypeVar("T")
UserId = NewType("UserId", int)
Names = list[str]


def refused(annotation: Any) -> str:
    """What is said of a class body with this annotation."""
    with pytest.raises(SchemaError) as caught:
        Schema("slips").define(type("Thing", (), {"__annotations__": {"it": annotation}}))
    return str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "spec"),
    [
        (Any, "object"),
        (object, "object"),
        (UserId, "int"),
        (tuple[UserId, ...], ("tupleof", "int")),
        (Annotated[int, "metres", 5], "int"),
        (Annotated[list[Annotated[str, "x"]], 1], ("tupleof", "str")),
        (Annotated[OneOf(None, int), 1] | str, ("oneof", "none", "int", "str")),
        (Names, ("tupleof", "str")),
        (Any | None, ("oneof", "none", "object")),
    ],
)
def test_wrappers_and_aliases_are_what_they_stand_for(annotation: Any, spec: Any) -> None:
    assert field_spec(annotation) == spec


def test_the_form_of_the_vocabulary_is_given_back() -> None:
    assert field_type(int | None) is OneOf(None, int)
    assert field_type(tuple[str, ...]) is TupleOf(str)
    assert field_type(Any) is object
    with pytest.raises(SchemaError, match="a field cannot be a <class 'list'>: write"):
        field_type(list)


def test_annotated_may_mark_an_index(db: DatabaseConnection) -> None:
    schema = Schema("marked")

    @schema.define
    class User:
        id: Annotated[UserId, Unique]
        name: Annotated[str, "shown", Indexed]
        age: Annotated[int, "years"]

    assert schema.typeToDef(User).indices == (" exists", "id", "name")
    db.subscribeToSchema(schema)
    with db.transaction():
        user = User(id=5, name="Ada")
        assert User.lookupOne(id=UserId(5)) == User.lookupOne(name="Ada") == user


def test_a_constant_is_no_field() -> None:
    schema = Schema("constants")

    @schema.define
    class User:
        LIMITS: ClassVar[list[int]] = [1, 2]
        Kind: ClassVar = list
        name: str

    assert schema.typeToDef(User).fields == (" exists", "name")
    assert User.Kind is list


@pytest.mark.parametrize(
    ("annotation", "hint"),
    [
        (list, "write list[int], say"),
        (typing.List, "write list[int], say"),  # noqa: UP006
        (dict, "write dict[str, int], say"),
        (typing.Dict, "write dict[str, int], say"),  # noqa: UP006
        (dict[str], "write dict[str, int], say"),  # type: ignore[misc]
        (list[int, str], "write list[int], say"),  # type: ignore[misc]
        (set, "write set[int], say"),
        (frozenset, "write frozenset[int], say"),
        (tuple, "write tuple[int, ...] or tuple[int, str], say"),
        (tuple[..., int], "it stands in tuple[int, ...] alone"),  # type: ignore[misc]
        (typing.Optional, "write Optional[int] or int | None, say"),
        (typing.Union, "write int | str, say"),
        (typing.Literal, 'write Literal["new", "paid"], say'),
        (OneOf, "a field cannot be a OneOf: it takes types: OneOf(...)"),
        (TupleOf, "it takes types: TupleOf(...)"),
        (Indexed, "it takes a type: Indexed[int]"),
        (Unique, "it takes a type: Unique[int]"),
        (tuple[Indexed[int], ...], "it stands around the whole type of a field"),
        (Callable, "functions cannot be stored; store a name"),
        (Callable[[int], str], "functions cannot be stored; store a name"),
        (type, "classes cannot be stored; store a name"),
        (type[int], "classes cannot be stored; store a name"),
        (T, "a field has one type; write it"),
        (list[T], "a field has one type; write it"),
        (Final[int], "a constant of the class is a ClassVar"),
        (Iterable[int], "write tuple[..., ...]"),
        (MutableMapping[str, int], "write dict[...], which is read as a FrozenDict"),
        (collections.deque[int], "generic classes cannot be fields"),
        (collections.OrderedDict, "write dict[...] with the types of its keys and values"),
        (bytearray, "write bytes"),
        (complex, "write tuple[float, float]"),
        (list[complex], "write tuple[float, float]"),
        (dict[str, tuple[complex, ...]], "write tuple[float, float]"),
        (pathlib.Path, "write str"),
        (array.array, "write a frozen dataclass, or `object`"),
        (fractions.Fraction, "write a frozen dataclass, or `object`"),
        (ctypes.c_int, "write a frozen dataclass, or `object`"),
        (collections.UserString, "write a frozen dataclass, or `object`"),
        (type("Name", (str,), {}), "write str; what is stored and read is one"),
        (typing.NamedTuple, "write a class that derives from it"),
        (datetime, "it is a module; write datetime.datetime"),
        (decimal, "it is a module; write what is meant of it"),
        (decimal.Decimal(5), "a field cannot be a Decimal('5')"),
        (5, "write a type; a value is its default, behind `=`"),
        ([int], "write a type; a value is its default, behind `=`"),
        (typing.Literal[1.5 + 2j], "a field cannot be a (1.5+2j)"),
        (int | list, "write list[int], say"),
        ("list", "write list[int], say"),
        ("list[int", "cannot be resolved"),
        ("itn", "the annotation 'itn' cannot be resolved: name 'itn' is not defined"),
        ("list[itn]", "name 'itn' is not defined"),
        (list["itn"], "name 'itn' is not defined"),  # noqa: F821
        ("int.nothing", "cannot be resolved"),
        ("int()", "a field cannot be a 0"),
    ],
)
def test_what_is_no_field_type_is_refused_with_what_to_write(annotation: Any, hint: str) -> None:
    said = refused(annotation)
    assert said.startswith("slips.Thing.it: ")
    assert hint in said


@pytest.mark.parametrize(
    "member",
    [typing.Optional[list], list[complex], Callable[[int], int], T, list, complex, Final, typing.List, OneOf, Indexed],  # noqa: UP006, UP045
)
def test_a_member_that_is_meant_to_be_a_type_and_is_none_never_passes(member: Any) -> None:
    """In the reference members that are no types are ignored: `x = Optional[int]` was no field."""
    with pytest.raises(SchemaError, match=r"^slips\.Thing\.it: a field cannot be a "):
        Schema("slips").define(type("Thing", (), {"it": member}))


@pytest.mark.parametrize("member", [(int,), [int], {"a": int}, "int", 5, (5, int)])
def test_a_member_that_is_a_value_never_passes(member: Any) -> None:
    with pytest.raises(SchemaError, match=r"^slips\.Thing\.it = .* is neither a field, an index nor a method"):
        Schema("slips").define(type("Thing", (), {"it": member}))


def test_members_that_are_python_s_own_annotations_are_fields(db: DatabaseConnection) -> None:
    schema = Schema("assigned")

    @schema.define
    class Thing:
        maybe = typing.Optional[int]  # noqa: UP045
        either = int | str
        names = list[str]
        kind = typing.Literal["a", "b"]
        lines = TupleOf(str)
        by_name = Indexed(dict[str, int])

    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(names=["x"], by_name={"a": 1})
        assert (thing.maybe, thing.either, thing.names, thing.kind, thing.lines) == (None, 0, ("x",), "a", ())
        assert Thing.lookupOne(by_name={"a": 1}) == thing


def test_what_an_ordinary_base_class_has_beside_fields_is_left_alone(db: DatabaseConnection) -> None:
    schema = Schema("bases")

    class Mixin:
        helper: Callable[[], int]
        values: list = []  # type: ignore[type-arg]
        count: int = 5

    @schema.define
    class Thing(Mixin):
        name: str

    assert schema.typeToDef(Thing).fields == (" exists", "count", "name")
    assert Thing.values == []
