"""FrozenDict: the mapping that dict fields give."""

from __future__ import annotations

import copy
import gc
import pickle
import types
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import pytest

from object_database.schema import indexValueFor
from object_database.types import ConstDict, FrozenDict

pytestmark = pytest.mark.sanitizer


def test_it_reads_like_a_dict_with_its_keys_in_order() -> None:
    made: Any = FrozenDict({"b": 1, "a": 2}, c=3)
    assert list(made) == ["a", "b", "c"]
    assert list(reversed(made)) == ["c", "b", "a"]
    assert (list(made.keys()), list(made.values()), len(made)) == (["a", "b", "c"], [2, 1, 3], 3)
    assert (made["a"], made.get("x"), made.get("x", 5), "a" in made, "x" in made) == (2, None, 5, True, False)
    assert repr(made) == "{'a': 2, 'b': 1, 'c': 3}"
    assert dict(**made) == {"a": 2, "b": 1, "c": 3}
    assert list(FrozenDict({10: 1, 9: 2, "a": 3, None: 4})) == [None, "a", 9, 10]
    with pytest.raises(KeyError) as missing:
        made[("x", "y")]
    assert missing.value.args == (("x", "y"),)


def test_nothing_changes_it() -> None:
    made: Any = FrozenDict(a=1)
    for name in ("__setitem__", "__delitem__", "pop", "update", "clear", "setdefault", "popitem", "__ior__"):
        assert not hasattr(made, name)
    with pytest.raises((AttributeError, TypeError)):
        made.keys().mapping["a"] = 5
    with pytest.raises(AttributeError):
        made.x = 1
    same = made
    made += {"b": 2}
    assert (same, made) == ({"a": 1}, {"a": 1, "b": 2})


def test_it_equals_every_mapping_with_its_items_and_hashes_without_order() -> None:
    made = FrozenDict(a=1, b=2)
    others: list[Any] = [
        {"b": 2, "a": 1},
        OrderedDict(b=2, a=1),
        types.MappingProxyType({"a": 1, "b": 2}),
        FrozenDict(b=2, a=1),
    ]
    for other in others:
        assert made == other
        assert other == made
        assert (made != other) is False
    assert made != {"a": 1}
    assert made != [("a", 1), ("b", 2)]
    assert hash(made) == hash(FrozenDict(b=2, a=1))
    assert {made: 1}[FrozenDict(b=2, a=1)] == 1
    with pytest.raises(TypeError):
        hash(FrozenDict(a=[]))


def test_it_is_ordered_by_its_items_as_an_index_orders_it() -> None:
    made = [FrozenDict(each) for each in ({}, {"a": 1}, {"a": 1, "b": 0}, {"a": 2}, {"b": 0})]
    mixed = [made[each] for each in (3, 1, 4, 0, 2)]
    kind = ConstDict(str, int)
    assert sorted(mixed) == made == sorted(mixed, key=lambda each: indexValueFor(kind, each))
    assert made[0] < made[1] <= made[1] < made[2]
    assert made[4] > made[3] >= made[3]
    with pytest.raises(TypeError):
        assert made[0] < {"a": 1}
    with pytest.raises(TypeError):
        assert FrozenDict({1: 1}) < FrozenDict({"a": 1})


def test_it_is_added_to_and_taken_from() -> None:
    made: Any = FrozenDict(b=1)
    assert made + {"a": 5, "b": 2} == {"a": 5, "b": 2}
    assert list(made + {"a": 5}) == ["a", "b"]
    assert {"a": 5, "b": 2} + made == {"a": 5, "b": 1}
    assert (made | {"a": 5}, {"b": 2} | made) == ({"a": 5, "b": 1}, {"b": 1})
    assert (made - ["b"], made - ["x"], type(made - "b")) == ({}, {"b": 1}, FrozenDict)
    with pytest.raises(TypeError):
        made + [1]
    with pytest.raises(TypeError):
        [1] - made


def test_it_is_a_mapping_that_is_matched_copied_and_pickled() -> None:
    made: Any = FrozenDict(a=1, b=(2,))
    assert isinstance(made, Mapping)
    match made:
        case {"a": found, **rest}:
            assert (found, rest) == (1, {"b": (2,)})
        case _:
            pytest.fail("it is no mapping")
    assert copy.copy(made) is made
    assert copy.deepcopy(made) is made
    assert FrozenDict(made) is made
    again = pickle.loads(pickle.dumps(made))
    assert (again, type(again)) == (made, FrozenDict)


def test_the_collector_finds_it_in_cycles() -> None:
    class Held:
        pass

    gc.collect()
    held = Held()
    held.me = FrozenDict(a=held)  # type: ignore[attr-defined]
    del held
    gc.collect()
    assert not any(isinstance(each, Held) for each in gc.get_objects())


def test_nobody_gets_hold_of_the_dict_inside() -> None:
    """A view of a dict hands it to whatever its `mapping` is compared with."""
    compared: list[object] = []

    class Greedy:
        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return True

        __hash__ = None  # type: ignore[assignment]

    frozen = FrozenDict({"a": 1})
    for view in (frozen.keys(), frozen.values(), frozen.items()):
        assert view == Greedy()
        assert getattr(view, "mapping", None) == Greedy()
    assert len(compared) == 6
    assert not any(isinstance(each, dict) for each in compared)
