"""TupleOf, ListOf, Set, Dict, ConstDict, Tuple and Python's own containers: what is built, taken and read."""

from __future__ import annotations

import collections
import copy
import pickle
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from object_database import DatabaseConnection, Indexed, Schema
from object_database.errors import SchemaError, ValueTypeError
from object_database.types import ConstDict, Dict, FrozenDict, ListOf, OneOf, Set, Tuple, TupleOf, field_spec

schema = Schema("containers")


@schema.define
class Friend:
    name: str


@schema.define
class Box:
    numbers: Indexed[TupleOf(int)]
    names: list[str]
    nested: tuple[tuple[int, ...], ...]
    pair: tuple[int, str]
    tags: frozenset[str]
    bag: Set(int)
    counts: ConstDict(str, int)
    settings: dict[str, list[int]]
    grid: Dict(Tuple(int, int), float)
    friends: TupleOf(Friend)
    maybe: list[int | None]
    floats: tuple[float, ...]


@pytest.fixture
def box(db: DatabaseConnection) -> Box:
    db.subscribeToSchema(schema)
    with db.transaction():
        return Box()


def stored(db: DatabaseConnection, box: Box, field: str, value: Any) -> Any:
    with db.transaction():
        setattr(box, field, value)
    with db.view():
        return getattr(box, field)


# ---- building


def test_one_type_for_the_same_parts() -> None:
    assert TupleOf(int) is TupleOf(int)
    assert TupleOf(int) is not ListOf(int)
    assert ConstDict(str, TupleOf(OneOf(None, int))) is ConstDict(str, TupleOf(OneOf(None, int)))
    assert Tuple(int, str) is not Tuple(str, int)


def test_types_tell_their_parts() -> None:
    assert TupleOf(int).ElementType is ListOf(int).ElementType is Set(int).ElementType is int
    assert (ConstDict(str, int).KeyType, Dict(str, int).ValueType) == (str, int)
    assert Tuple(int, TupleOf(str)).ElementTypes == (int, TupleOf(str))
    assert TupleOf("int").ElementType == "int"  # a value is a literal, and no name
    assert TupleOf(None).ElementType is type(None)


def test_types_are_shown_as_they_are_written() -> None:
    shown = "ConstDict(str, TupleOf(OneOf(None, Tuple(int, Set(bytes), ListOf(Dict(str, float))))))"
    assert repr(eval(shown)) == shown
    assert repr(TupleOf) == "TupleOf"


@pytest.mark.parametrize(
    ("native", "ours"),
    [
        (tuple[int, ...], TupleOf(int)),
        (typing.Tuple[int, ...], TupleOf(int)),  # noqa: UP006
        (Sequence[int], TupleOf(int)),
        (list[int], ListOf(int)),
        (typing.List[int], ListOf(int)),  # noqa: UP006
        (tuple[int, str], Tuple(int, str)),
        (tuple[()], Tuple()),
        (set[int], Set(int)),
        (frozenset[int], Set(int)),
        (AbstractSet[int], Set(int)),
        (dict[str, int], Dict(str, int)),
        (typing.Dict[str, int], Dict(str, int)),  # noqa: UP006
        (Mapping[str, int], ConstDict(str, int)),
        (list[dict[str, tuple[int | None, ...]]], ListOf(Dict(str, TupleOf(OneOf(None, int))))),
    ],
)
def test_python_s_own_containers_are_the_same_stored_types(native: Any, ours: Any) -> None:
    assert field_spec(native) == field_spec(ours) is not None


def test_a_list_is_stored_as_a_tuple_is_and_a_dict_as_a_constdict() -> None:
    assert field_spec(ListOf(int)) == field_spec(TupleOf(int)) == ("tupleof", "int")
    assert field_spec(Dict(str, int)) == field_spec(ConstDict(str, int)) == ("dictof", "str", "int")
    assert field_spec(Tuple()) == ("tuple",)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TupleOf(),
        lambda: TupleOf(int, str),
        lambda: ConstDict(str),
        lambda: Set(complex),
        lambda: TupleOf([int]),
        lambda: TupleOf(list),
        lambda: Tuple(int, {}),
    ],
)
def test_parts_that_cannot_be_stored_are_refused(make: Any) -> None:
    with pytest.raises(TypeError, match=r"TupleOf|ConstDict|Set|Tuple"):
        make()


def test_types_are_pickled_and_copied_as_themselves() -> None:
    for kept in (TupleOf(int), Dict(str, OneOf(None, "a")), Tuple(int, Set(str)), ListOf(ConstDict(bytes, float))):
        assert pickle.loads(pickle.dumps(kept)) is copy.deepcopy(kept) is kept


# ---- calling a type


def test_calling_a_type_gives_an_immutable_value() -> None:
    assert TupleOf(int)([1, True]) == (1, 1)
    assert type(TupleOf(float)([1, 2])[0]) is float
    assert ListOf(str)(("a",)) == ("a",)
    assert Tuple(int, str)([5, "x"]) == (5, "x")
    assert Set(int)([3, 1, 3]) == frozenset({1, 3})
    made = ConstDict(str, float)({"b": 1, "a": 2})
    assert type(made) is FrozenDict
    assert list(made.items()) == [("a", 2.0), ("b", 1.0)]
    assert type(Dict(str, int)({})) is FrozenDict


def test_calling_a_type_without_a_value_gives_its_default() -> None:
    assert (TupleOf(int)(), ListOf(int)(), Set(int)(), Tuple(int, str)()) == ((), (), frozenset(), (0, ""))
    assert ConstDict(str, int)() == {}


def test_a_value_that_does_not_fit_is_refused_with_its_place() -> None:
    with pytest.raises(ValueTypeError, match=r"^TupleOf\(int\)\[1\]: str was given"):
        TupleOf(int)([1, "2"])
    with pytest.raises(ValueTypeError, match=r"^ConstDict\(str, int\)"):
        ConstDict(str, int)({"a": "b"})


def test_isinstance_tells_what_a_type_gives() -> None:
    assert isinstance((1, 2), TupleOf(int))
    assert isinstance((), TupleOf(int))
    assert not isinstance((1, "a"), TupleOf(int))
    assert not isinstance([1], ListOf(int))  # a list is taken, and a tuple is what is read
    assert isinstance((1, "a"), Tuple(int, str))
    assert not isinstance((1,), Tuple(int, str))
    assert isinstance(frozenset({1}), Set(int))
    assert isinstance(ConstDict(str, int)({"a": 1}), ConstDict(str, int))
    assert not isinstance(ConstDict(str, int)({"a": 1}), ConstDict(str, str))
    assert not isinstance({}, Dict(str, int))


# ---- fields


def test_a_container_that_is_not_given_is_empty(db: DatabaseConnection, box: Box) -> None:
    with db.view():
        assert (box.numbers, box.names, box.nested, box.pair, box.friends) == ((), (), (), (0, ""), ())
        assert (box.tags, box.bag, box.counts, box.settings, box.grid) == (frozenset(), frozenset(), {}, {}, {})


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("numbers", [1, 2], (1, 2)),
        ("numbers", (1, True), (1, 1)),
        ("numbers", {3}, (3,)),
        ("numbers", range(3), (0, 1, 2)),
        ("numbers", (n * n for n in range(3)), (0, 1, 4)),
        ("numbers", {1: "a", 2: "b"}.keys(), (1, 2)),
        ("numbers", collections.deque([1, 2]), (1, 2)),
        ("floats", [1, 2.5, True], (1.0, 2.5, 1.0)),
        ("names", ["a", "b"], ("a", "b")),
        ("nested", [[1], (), [2, 3]], ((1,), (), (2, 3))),
        ("pair", [1, "a"], (1, "a")),
        ("tags", {"b", "a"}, frozenset({"a", "b"})),
        ("tags", ["b", "b"], frozenset({"b"})),
        ("bag", (3, 1, 2), frozenset({1, 2, 3})),
        ("maybe", [None, 1], (None, 1)),
    ],
)
def test_iterables_are_taken_and_their_elements_converted(
    db: DatabaseConnection, box: Box, field: str, value: Any, expected: Any
) -> None:
    found = stored(db, box, field, value)
    assert found == expected
    assert type(found) is type(expected)
    assert [type(each) for each in found] == [type(each) for each in expected]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("names", "ab"),  # the reference makes ('a', 'b') of it
        ("numbers", b"ab"),
        ("numbers", bytearray(b"ab")),
        ("numbers", memoryview(b"ab")),
        ("numbers", 5),
        ("numbers", None),
        ("numbers", [1.5]),  # the reference truncates
        ("numbers", ["1"]),
        ("pair", (1,)),
        ("pair", (1, "a", 2)),
        ("pair", ("a", 1)),
        ("tags", "ab"),
        ("bag", [[1]]),
        ("counts", [("a", 1)]),
        ("counts", {1: 1}),
        ("counts", {"a": "b"}),
        ("counts", None),
        ("settings", {"a": 5}),
        ("friends", [5]),
    ],
)
def test_what_does_not_fit_is_refused_with_the_fields_name(
    db: DatabaseConnection, box: Box, field: str, value: Any
) -> None:
    with db.transaction():
        before = getattr(box, field)
        with pytest.raises(TypeError, match=rf"^containers\.Box\.{field}"):
            setattr(box, field, value)
        assert getattr(box, field) == before


def test_the_place_of_what_does_not_fit_is_told(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        with pytest.raises(TypeError, match=r"^containers\.Box\.nested\[1\]\[2\]: str was given"):
            box.nested = [[1], [2, 3, "4"]]
        with pytest.raises(TypeError, match=r"^containers\.Box\.settings\['b'\]\[0\]: str was given"):
            box.settings = {"a": [1], "b": ["x"]}


def test_mappings_are_read_as_sorted_frozen_dicts(db: DatabaseConnection, box: Box) -> None:
    found = stored(db, box, "counts", {"b": 2, "a": 1})
    assert found == {"a": 1, "b": 2}
    assert list(found) == ["a", "b"]
    assert isinstance(found, Mapping)
    with pytest.raises(TypeError):
        found["a"] = 99
    assert stored(db, box, "counts", found + {"c": 3, "a": 9}) == {"a": 9, "b": 2, "c": 3}
    assert stored(db, box, "counts", found - ["a", "missing"]) == {"b": 2}
    assert stored(db, box, "counts", collections.OrderedDict(z=1)) == {"z": 1}
    assert stored(db, box, "settings", {"a": [1, 2]}) == {"a": (1, 2)}
    assert stored(db, box, "grid", {(1, 2): 1, (0, 5): 2.5}) == {(0, 5): 2.5, (1, 2): 1.0}


def test_keys_that_are_many_long_or_not_ascii_are_read_as_themselves() -> None:
    texts = [f"{i}" for i in range(2000)] + ["k" * n for n in range(40)] + ["\u00e9", "\u20ac" * 9, "\0", "\0\0", "k\0"]
    given = {text: i for i, text in enumerate(texts)}
    for _ in range(2):  # keys that were read last are kept at hand
        for kind in (Dict(str, int), Dict(OneOf(int, str), int)):
            read = kind(given)
            assert read == given
            assert [(type(key), key.encode()) for key in read] == [(str, key) for key in sorted(map(str.encode, given))]


@pytest.mark.parametrize("items", [range(5), range(5, 0, -1), (3, 1, 2), (3, 1, 3, 1, 2), (700, 700), range(-40, 40)])
def test_sets_and_dicts_may_be_given_in_any_order(items: Sequence[int]) -> None:
    assert TupleOf(Set(int))([items, items]) == (frozenset(items),) * 2
    read = Dict(int, Set(int))(dict.fromkeys(items, (2, 1)))
    assert list(read.items()) == [(key, {1, 2}) for key in sorted(set(items))]


def test_what_was_given_is_copied_and_what_is_read_cannot_be_changed(db: DatabaseConnection, box: Box) -> None:
    """In the reference a Dict that is read can be changed, and every later view of the client sees it."""
    given: dict[str, list[int]] = {"a": [1]}
    with db.transaction():
        box.settings = given
        given["a"].append(2)
        given["b"] = []
        assert box.settings == {"a": (1,)}
    with db.view():
        with pytest.raises(TypeError):
            box.settings["a"] = ()
        with pytest.raises(AttributeError):
            box.names.append("x")
        with pytest.raises(AttributeError):
            box.tags.add("x")


def test_a_tuple_that_is_read_is_a_tuple(db: DatabaseConnection, box: Box) -> None:
    """The reference's TupleOf is none: neither isinstance nor the hash agree, and `[...]` does not compare."""
    found = stored(db, box, "numbers", [3, 1])
    assert type(found) is tuple
    assert hash(found) == hash((3, 1))
    assert found + (5,) == (3, 1, 5)
    assert found < (3, 2)
    match found:
        case (first, *rest):
            assert (first, rest) == (3, [1])


def test_references_stand_in_containers(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        friends = [Friend(name=name) for name in ("Ada", "Bob")]
        box.friends = friends
    with db.view():
        assert [friend.name for friend in box.friends] == ["Ada", "Bob"]


def test_a_tuple_is_the_key_of_an_index(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        made = [Box(numbers=numbers) for numbers in ((1,), (1, 2), (2,))]
        assert Box.lookupAll(numbers=[1, 2]) == (made[1],)
    with db.view():
        assert Box.lookupAll(numbers=(1,)) == (made[0],)
        assert Box.lookupAll(numbers=()) == (box,)


def test_a_type_that_nobody_applied_is_refused_in_a_class_body() -> None:
    for unapplied in (TupleOf, Dict, OneOf, list, typing.List, dict):  # noqa: UP006
        with pytest.raises(SchemaError, match=r"slips\.Thing\.items: a field cannot be a"):
            Schema("slips").define(type("Thing", (), {"items": unapplied}))
