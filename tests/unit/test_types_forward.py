"""Types that hold themselves: Forward, names in quotes, aliases that come back."""

from __future__ import annotations

import sys
import typing
from dataclasses import dataclass
from typing import Any, Union

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError
from object_database.types import (
    Alternative,
    ConstDict,
    Forward,
    NamedTuple,
    OneOf,
    TupleOf,
    field_spec,
)

schema = Schema("forward")

Json = Forward("Json")
Json = Json.define(OneOf(None, bool, int, float, str, TupleOf(Json), ConstDict(str, Json)))

Node = Forward("Node")
Node = Node.define(NamedTuple(value=int, children=TupleOf(Node)))

Native = Union[None, int, str, "list[Native]", "dict[str, Native]"]


@dataclass(frozen=True)
class Comment:
    text: str
    answers: tuple[Comment, ...] = ()
    about: Thing | None = None


@schema.define
class Thing:
    json: Indexed[Json]
    node: Node
    native: Native
    comment: Comment | None


DEEP: Any = {"a": [1, None, {"b": [[], {}]}], "c": "text", "d": 1.5, "e": True}
FROZEN: Any = {"a": (1, None, {"b": ((), {})}), "c": "text", "d": 1.5, "e": True}


def test_a_type_that_comes_back_says_again() -> None:
    spec = field_spec(Json)
    key = spec[1]
    assert spec[:3] == ("forward", key, "Json")
    assert spec[3] == (
        "oneof",
        "none",
        "bool",
        "int",
        "float",
        "str",
        ("tupleof", ("again", key)),
        ("dictof", "str", ("again", key)),
    )


def test_a_forward_and_what_it_stands_for_are_one_type() -> None:
    forward = Forward("Same")
    defined = forward.define(OneOf(None, TupleOf(forward)))
    assert field_spec(forward) == field_spec(defined)
    assert field_spec(TupleOf(forward)) == field_spec(TupleOf(defined)) == ("tupleof", field_spec(defined))


def test_a_forward_that_does_not_come_back_is_what_it_stands_for() -> None:
    forward = Forward("Plain")
    assert forward.define(OneOf(None, int)) is OneOf(None, int)
    assert field_spec(TupleOf(forward)) == ("tupleof", ("oneof", "none", "int"))
    assert field_spec(OneOf(str, forward)) == ("oneof", "str", "none", "int")


def test_a_recursive_union_gives_its_arms_to_another_one() -> None:
    tree = Forward("Tree")
    defined = tree.define(OneOf(int, TupleOf(tree)))
    again = ("forward", tree, "Tree", ("oneof", "int", ("tupleof", ("again", tree))))
    assert (
        field_spec(OneOf(None, defined)) == field_spec(None | defined) == ("oneof", "none", "int", ("tupleof", again))
    )
    assert OneOf(None, defined)([1, [2]]) == (1, (2,))
    node = Forward("Node")
    node = node.define(OneOf(int, Alternative("Leaf", Leaf={"again": TupleOf(node), "enum": int})))
    made = OneOf(None, node)
    leaf = node.Types[1].Leaf
    assert made(leaf(again=[1, leaf(again=[2])])).again[1].again == (2,)


def test_types_can_hold_each_other() -> None:
    one, other = Forward("One"), Forward("Other")
    one_defined = one.define(TupleOf(other))
    other_defined = other.define(OneOf(None, one))
    assert field_spec(one_defined)[:3] == ("forward", one, "One")
    assert field_spec(other_defined) == (
        "forward",
        other,
        "Other",
        ("oneof", "none", ("tupleof", ("again", other))),
    )


def test_a_linked_list_of_records_ends_with_none() -> None:
    link = Forward("Link")
    link = link.define(NamedTuple(value=int, next=OneOf(None, link)))
    assert field_spec(link)[3][4] == (
        ("value", "int", ()),
        ("next", ("oneof", "none", ("again", field_spec(link)[1])), ()),
    )
    made = link(value=1, next=link(value=2))
    assert made == (1, (2, None))
    assert made.next.value == 2


def test_a_forward_is_defined_once_and_before_it_is_used() -> None:
    forward = Forward("Late")
    with pytest.raises(SchemaError, match=r"Forward\('Late'\) is not defined yet: Late = Late\.define"):
        TupleOf(forward)([1])
    with pytest.raises(SchemaError, match=r"^slips\.Thing\.it: Forward\('Late'\) is not defined yet"):
        Schema("slips").define(type("Thing", (), {"it": TupleOf(forward)}))
    with pytest.raises(SchemaError, match="cannot stand for itself"):
        forward.define(forward)
    forward.define(int)
    with pytest.raises(SchemaError, match="is defined already"):
        forward.define(str)
    assert TupleOf(forward)([1]) == (1,)


def test_a_forward_stands_for_a_field_type() -> None:
    with pytest.raises(TypeError, match="a field cannot be a"):
        Forward("Bad").define([int])


def test_two_types_of_one_name_inside_of_each_other_are_told_apart_or_refused() -> None:
    outer, inner = Forward("Name"), Forward("Name")
    inner_defined = inner.define(OneOf(None, TupleOf(inner), ConstDict(str, outer)))
    outer_defined = outer.define(OneOf(int, TupleOf(inner_defined)))
    with pytest.raises(SchemaError, match="two types named 'Name' lie inside of each other"):
        Schema("slips").define(type("Thing", (), {"it": outer_defined}))


def test_an_alternative_comes_back_through_a_forward() -> None:
    tree = Forward("Tree")
    tree = tree.define(Alternative("Tree", Leaf={"value": int}, Branch={"parts": TupleOf(tree)}))
    made = tree.Branch(parts=[tree.Leaf(1), tree.Branch(parts=[tree.Leaf(2)])])
    assert made.parts[1].parts[0].value == 2


Mixed = Union[None, int, str, list["Mixed"], "dict[str, Mixed]"]
Text = "None | int | str | list[Text] | dict[str, Text]"


def test_a_native_alias_comes_back_by_its_name_however_it_is_written() -> None:
    names = {"Native": Native, "Mixed": Mixed, "Text": Text}
    for annotation in (Native, "Native", Mixed, "Mixed", "Text", Text):
        spec = field_spec(annotation, lambda text: eval(text, dict(names)))
        again = ("again", spec[1])
        union = ("oneof", "none", "int", "str", ("tupleof", again), ("dictof", "str", again))
        assert spec == ("forward", spec[1], "again0", union)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with 3.12")
def test_a_type_statement_may_be_recursive() -> None:
    scope: dict[str, Any] = {}
    exec("type Tree = int | list[Tree]", scope)
    spec = field_spec(scope["Tree"])
    assert spec == ("forward", spec[1], "again0", ("oneof", "int", ("tupleof", ("again", spec[1]))))


def test_values_of_recursive_types_are_stored_and_read(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(json=DEEP, node=(1, [(2, []), {"value": 3}]), native={"a": [1, {"b": None}]})
        thing.comment = Comment("first", (Comment("second", about=thing), Comment("third", (Comment("fourth"),))))
        empty = Thing()
    with db.view():
        assert thing.json == FROZEN
        assert thing.json["a"][2]["b"] == ((), {})
        assert (thing.node.children[1].value, thing.node.children[0].children) == (3, ())
        assert thing.native == {"a": (1, {"b": None})}
        assert thing.comment.answers[1].answers[0].text == "fourth"
        assert thing.comment.answers[0].about == thing
        assert (empty.json, empty.node, empty.native, empty.comment) == (None, (0, ()), None, None)
        assert Thing.lookupAll(json=DEEP) == (thing,)
        assert Thing.lookupAll(json=None) == (empty,)


def test_a_value_that_never_ends_is_refused(db: DatabaseConnection) -> None:
    endless: list[Any] = []
    endless.append(endless)
    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises((TypeError, OverflowError), match=r"forward\.Thing\.json"):
            Thing(json=endless)


def test_names_in_quotes_are_found_wherever_they_stand(db: DatabaseConnection) -> None:
    quoted = Schema("quoted")

    class Holder:
        lines: "tuple[Line, ...]"  # noqa: UP037
        others: list["Later"]  # noqa: UP037
        by_name: typing.Dict[str, "Later"]  # noqa: UP006, UP037
        maybe: typing.Optional["Line"]  # noqa: UP037, UP045
        indexed: Indexed["str | None"]  # noqa: UP037
        assigned = Indexed("int")

    @dataclass(frozen=True)
    class Line:
        text: str

    holder: Any = quoted.define(Holder)

    @quoted.define
    class Later:
        name: str

    db.subscribeToSchema(quoted)
    with db.transaction():
        later = Later(name="Ada")
        made = holder(lines=[Line("a")], others=[later], by_name={"a": later}, maybe=Line("b"), indexed="x", assigned=5)
    with db.view():
        assert (made.lines, made.others, made.maybe) == ((Line("a"),), (later,), Line("b"))
        assert made.by_name["a"].name == "Ada"
        assert holder.lookupAll(indexed="x") == holder.lookupAll(assigned=5) == (made,)
