"""typed_python's own types. It can be installed on old Pythons only, so some of this is shown on classes with its attributes."""

from __future__ import annotations

from typing import Any

import pytest

from object_database import DatabaseConnection, Schema, _core
from object_database.errors import SchemaError, ValueTypeError
from object_database.types import (
    ConstDict,
    Float32,
    ListOf,
    NamedTuple,
    OneOf,
    Set,
    Tuple,
    TupleOf,
    UInt8,
    field_spec,
    field_type,
)


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


def test_their_recursive_types_come_back_by_a_forward() -> None:
    nested = theirs("OneOf")
    nested.Types = (type(None), theirs("TupleOf", ElementType=nested))
    assert _core.describe_spec(field_spec(nested))[0] == "forward(again0,oneof(none,tupleof(again(again0))))"


def test_a_class_body_may_use_them(db: DatabaseConnection) -> None:
    schema = Schema("foreign")
    thing: Any = schema.define(type("Thing", (), {"items": TUPLE, "record": RECORD, "state": VALUE}))
    db.subscribeToSchema(schema)
    with db.transaction():
        made = thing(items=[1, 2], record=(1, [2]))
        assert (made.items, made.record.y, made.state) == ((1, 2), (2,), "new")


def test_a_value_of_theirs_is_translated_as_deep_as_it_lies(db: DatabaseConnection) -> None:
    schema = Schema("values")
    concrete = theirs("ConcreteAlternative", Name="A", Index=0, ElementType=theirs("NamedTuple", ElementNames=("x",)))
    concrete.ElementType.ElementTypes = (INT8,)
    foreign = theirs("Alternative", __typed_python_alternatives__=(concrete,))
    concrete.Alternative = foreign
    thing: Any = schema.define(type("Thing", (), {"it": list[tuple[str, foreign]], "number": int}))
    db.subscribeToSchema(schema)
    value, number = concrete(), INT8()
    value.x = number
    type(number).__int__ = lambda _: 7  # type: ignore[attr-defined]
    with db.transaction():
        made = thing(it=[("a", value)], number=number)
        assert made.number == 7
        assert made.it == (("a", field_type(foreign).A(x=7)),)
        with pytest.raises(ValueTypeError, match=r"^values\.Thing\.it\[0\]\[0\]: int was given"):
            made.it = [(7, value)]


@pytest.fixture
def package() -> Any:
    """typed_python, where it is installed: docs/reference/types.md says how."""
    return pytest.importorskip("typed_python")


def test_the_package_itself(package: Any) -> None:
    assert field_spec(package.TupleOf(int)) == field_spec(TupleOf(int))
    assert field_spec(package.OneOf(None, int, "x")) == field_spec(OneOf(None, int, "x"))
    assert field_spec(package.ConstDict(str, package.NamedTuple(a=int))) == field_spec(
        ConstDict(str, NamedTuple(a=int))
    )
    assert field_spec(package.Set(package.UInt8)) == field_spec(Set(UInt8))
    assert field_spec(package.Tuple(package.Float32, bytes)) == field_spec(Tuple(Float32, bytes))


def test_values_of_the_package(package: Any, db: DatabaseConnection) -> None:
    shape = package.Alternative("Shape", Dot={}, Circle={"radius": float, "tags": package.TupleOf(str)})
    record = package.NamedTuple(a=int, b=str)
    values: list[tuple[Any, Any, Any]] = [
        (package.TupleOf(int), package.TupleOf(int)((1, 2)), (1, 2)),
        (package.ListOf(str), package.ListOf(str)(["a"]), ("a",)),
        (package.Set(int), package.Set(int)([1, 2]), {1, 2}),
        (package.Dict(int, str), package.Dict(int, str)({1: "a"}), {1: "a"}),
        (package.ConstDict(str, int), package.ConstDict(str, int)({"a": 1}), {"a": 1}),
        (package.Tuple(int, str), package.Tuple(int, str)((1, "a")), (1, "a")),
        (record, record(a=1, b="x"), (1, "x")),
        (package.Int32, package.Int32(3), 3),
        (package.Float32, package.Float32(1.5), 1.5),
        (shape, shape.Circle(radius=2.0, tags=("a",)), field_type(shape).Circle(radius=2.0, tags=("a",))),
        (
            package.TupleOf(package.OneOf(None, shape)),
            [None, shape.Dot()],
            (None, field_type(shape).Dot()),
        ),
    ]
    schema = Schema("package")
    names = [f"f{i}" for i in range(len(values))]
    thing: Any = schema.define(
        type("Thing", (), {name: annotation for name, (annotation, _, _) in zip(names, values, strict=True)})
    )
    db.subscribeToSchema(schema)
    with db.transaction():
        made = thing(**{name: given for name, (_, given, _) in zip(names, values, strict=True)})
    with db.view():
        for name, (_, given, expected) in zip(names, values, strict=True):
            assert getattr(made, name) == expected, given


def test_recursive_types_of_the_package(package: Any, db: DatabaseConnection) -> None:
    forward = package.Forward("Nested")
    nested = forward.define(package.OneOf(None, package.TupleOf(forward)))
    forward = package.Forward("Tree")
    tree = forward.define(package.Alternative("Tree", Leaf={}, Node={"left": forward, "right": forward}))
    schema = Schema("recursive")
    thing: Any = schema.define(type("Thing", (), {"nested": nested, "tree": tree}))
    db.subscribeToSchema(schema)
    with db.transaction():
        made = thing(nested=[None, [None]], tree=tree.Node(left=tree.Leaf(), right=tree.Leaf()))
    ours = field_type(tree)
    with db.view():
        assert made.nested == (None, (None,))
        assert made.tree == ours.Node(left=ours.Leaf(), right=ours.Leaf())
