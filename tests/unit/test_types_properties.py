"""What holds for every type and all of its values, over random ones."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pickle
import typing
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from object_database.schema import indexValueFor
from object_database.types import (
    Alternative,
    ConstDict,
    FrozenDict,
    Int8,
    ListOf,
    NamedTuple,
    OneOf,
    Set,
    Tuple,
    TupleOf,
    field_spec,
    field_type,
)


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Line(typing.NamedTuple):
    item: str
    count: int = 1


@dataclass(frozen=True, order=True)
class Point:
    x: int
    y: float = 0.5


Event = Alternative("Event", Nothing={}, Moved={"x": int, "on": datetime.date}, Named={"name": str})

INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
FLOATS = st.floats(allow_nan=False)
DATES = st.dates()

# type -> values of it, as they are read
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: INTS,
    float: FLOATS,
    str: TEXTS,
    bytes: st.binary(max_size=5),
    type(None): st.none(),
    Int8: st.integers(-128, 127),
    datetime.datetime: st.datetimes(),
    datetime.date: DATES,
    datetime.timedelta: st.timedeltas(datetime.timedelta(-100_000_000), datetime.timedelta(100_000_000)),
    decimal.Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1e9, max_value=1e9),
    Colour: st.sampled_from(Colour),
    Line: st.builds(Line, TEXTS, INTS),
    Point: st.builds(Point, INTS, FLOATS),
    Event: st.one_of(
        st.builds(Event.Nothing),
        st.builds(Event.Moved, x=INTS, on=DATES),
        st.builds(Event.Named, name=TEXTS),
    ),
}
# the arms of a OneOf may be any of these: no two of them hold a value of another one's
DIFFERENT = [type(None), bool, int, float, str, bytes, datetime.date, decimal.Decimal, Line, Point, Event]


class Kind(typing.NamedTuple):
    """A type, and values of it."""

    type: Any
    values: st.SearchStrategy[Any]


def containers(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    keys = st.sampled_from([bool, int, str, bytes, datetime.date, Event]).map(lambda kind: Kind(kind, SCALARS[kind]))
    return st.one_of(
        inner.map(lambda e: Kind(TupleOf(e.type), st.lists(e.values, max_size=3).map(tuple))),
        inner.map(lambda e: Kind(ListOf(e.type), st.lists(e.values, max_size=3).map(tuple))),
        keys.map(lambda e: Kind(Set(e.type), st.frozensets(e.values, max_size=3))),
        st.tuples(keys, inner).map(
            lambda e: Kind(
                ConstDict(e[0].type, e[1].type), st.dictionaries(e[0].values, e[1].values, max_size=3).map(FrozenDict)
            )
        ),
        st.lists(inner, max_size=3).map(
            lambda parts: Kind(Tuple(*(e.type for e in parts)), st.tuples(*(e.values for e in parts)))
        ),
        st.lists(inner, min_size=1, max_size=3).map(_record),
        inner.filter(lambda e: e.type is not type(None)).map(lambda e: Kind(OneOf(None, e.type), st.none() | e.values)),
    )


def _record(parts: list[Kind]) -> Kind:
    made = NamedTuple(**{f"f{i}": part.type for i, part in enumerate(parts)})
    return Kind(made, st.tuples(*(part.values for part in parts)).map(lambda values: tuple.__new__(made, values)))


LEAVES = st.one_of(
    st.sampled_from(list(SCALARS)).map(lambda kind: Kind(kind, SCALARS[kind])),
    st.lists(st.sampled_from(DIFFERENT), min_size=2, max_size=4, unique=True).map(
        lambda arms: Kind(OneOf(*arms), st.one_of([SCALARS[arm] for arm in arms]))
    ),
)
KINDS = st.recursive(LEAVES, containers, max_leaves=6)


@st.composite
def kinds_and_values(draw: st.DrawFn, count: int = 1) -> Any:
    kind = draw(KINDS)
    return (kind.type, *(draw(kind.values) for _ in range(count)))


def converted(kind: Any, value: Any) -> Any:
    """The value as a field of this type would read it back: through its bytes."""
    return TupleOf(kind)((value,))[0]


@settings(max_examples=100, deadline=None)
@given(kinds_and_values())
def test_what_is_read_is_what_was_given(case: Any) -> None:
    kind, value = case
    found = converted(kind, value)
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value) or isinstance(value, (frozenset, FrozenDict, tuple, Point))
    assert isinstance((found,), TupleOf(kind))
    assert hash(found) == hash(value)


@settings(max_examples=50, deadline=None)
@given(kinds_and_values())
def test_a_type_is_itself_again_however_it_comes(case: Any) -> None:
    kind, value = case
    assert field_type(kind) is kind
    assert field_type(TupleOf(kind)) is TupleOf(kind)
    assert field_spec(TupleOf(kind)) == ("tupleof", field_spec(kind))
    assert pickle.loads(pickle.dumps(TupleOf(kind))) is TupleOf(kind)
    assert pickle.loads(pickle.dumps(converted(kind, value))) == value


def is_ordered(kind: Any) -> bool:
    """Whether Python compares all values of a type with each other, and says what the order of an index is."""
    if (
        hasattr(kind, "Types")
        or kind in (type(None), Colour)
        or isinstance(kind, (type(Set(int)), type(ConstDict(str, int))))
    ):
        return False
    parts = getattr(kind, "parts", None) or [part for _, part in getattr(kind, "_parts", ())]
    return all(is_ordered(part) for part in parts if isinstance(part, type) or hasattr(part, "parts"))


@settings(max_examples=100, deadline=None)
@given(kinds_and_values(count=2))
def test_keys_are_equal_where_values_are_and_ordered_as_values_are(case: Any) -> None:
    kind, one, other = case
    one_key, other_key = indexValueFor(kind, one), indexValueFor(kind, other)
    is_same_kind = not any(isinstance(v, (bool, int, float)) for v in (one, other)) or type(one) is type(other)
    if is_ordered(kind):
        assert (one_key == other_key) == (one == other)
        assert (one_key < other_key) == (one < other)
    elif one == other and is_same_kind and not isinstance(one, (tuple, FrozenDict, frozenset)):
        assert one_key == other_key
    elif one_key == other_key:
        assert one == other


def test_the_strategies_make_what_they_should() -> None:
    assert is_ordered(TupleOf(Tuple(int, str)))
    assert not is_ordered(TupleOf(OneOf(None, int)))
    assert math.copysign(1, converted(float, -0.0)) == -1
