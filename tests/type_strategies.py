"""Field types that are made up, each with values of it, and what is known of a value without asking the core.

made_types()    a strategy of Made: the annotation, and a strategy of its values as a field gives them
same(a, b)      equal, of the same classes all the way down, bit by bit: -0.0 is not 0.0, a NaN is a NaN
order(a, b)     -1, 0 or 1: the order that index keys must have, written down a second time and in another way
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import struct
import typing
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from object_database import Schema, _core
from object_database.errors import ObjectDatabaseError
from object_database.types import (
    Alternative,
    ConstDict,
    Dict,
    Float32,
    Forward,
    FrozenDict,
    Int8,
    Int16,
    Int32,
    ListOf,
    NamedTuple,
    OneOf,
    Set,
    Tuple,
    TupleOf,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    field_spec,
    register_codec,
    register_record,
)
from object_database.types_alternatives import AlternativeBase

Strategy = st.SearchStrategy[Any]

targets = Schema("targets")


@targets.define
class Target:
    name: str


@register_record
@dataclass(frozen=True)
class MadeKnown:
    """A record that object fields hold."""

    x: int = 0
    y: float = 0.0


class Celsius:
    """A class that object fields hold by a codec."""

    def __init__(self, degrees: float):
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Celsius) and self.degrees == other.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


register_codec(Celsius, lambda value: value.degrees, Celsius, "tests.MadeCelsius")

Shape = Alternative("MadeShape", Dot={}, Circle={"radius": float}, Box={"width": int, "height": int})
register_record(Shape)
Tree = Forward("MadeTree")
Tree = Tree.define(
    Alternative("MadeTree", Leaf={"value": OneOf(None, int)}, Node={"children": TupleOf(Tree), "name": str})
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Level(enum.IntEnum):
    HIGH = 300
    LOW = -1


class Named(enum.Enum):
    """Its values cannot be stored, so its names are."""

    B = (1, 2)
    A = frozenset()


@dataclass(frozen=True)
class Made:
    """A field type that was made up."""

    annotation: Any
    values: Strategy
    # Python's own `<` says the order of any two of its values that hold no NaN
    is_python_ordered: bool = False
    shown: str = ""
    is_rounding: bool = False  # a float32 lies in it: a union would take any float with it

    def __repr__(self) -> str:
        return self.shown or getattr(self.annotation, "__name__", repr(self.annotation))

    @property
    def spec(self) -> Any:
        spec = field_spec(self.annotation)
        assert spec is not None, self
        return spec


# ---- scalars

INTS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(
        [sign * (1 << bits) + d for sign in (1, -1) for bits in (7, 8, 15, 16, 31, 32, 62) for d in (-1, 0, 1)]
    ),
    st.integers(-3, 3),
)
# One NaN object: a set of Python's own may hold several, which are one value to a field.
FLOATS = st.one_of(st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf]), st.floats(allow_nan=False))
SHORT_FLOATS = st.one_of(st.sampled_from([0.0, -0.0, math.nan]), st.floats(width=32, allow_nan=False))
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
BYTES = st.binary(max_size=8)
DECIMALS = st.one_of(
    st.sampled_from(
        [Decimal(text) for text in ("0", "-0", "0.00", "0E+5", "1", "1.0", "1.00", "1E+2", "100", "-1.5", "-1.50")]
    ),
    st.builds(
        lambda negative, digits, exponent: Decimal((int(negative), tuple(digits), exponent)),
        st.booleans(),
        st.lists(st.integers(0, 9), min_size=1, max_size=40),
        st.integers(-30, 30),
    ),
)
# Offsets and moments of the whole range, and the same moment in several zones.
ZONES = st.one_of(
    st.just(timezone.utc),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
)
_NOON = datetime(2024, 2, 29, 12, tzinfo=timezone.utc)
DATETIMES = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=ZONES),
    ZONES.map(_NOON.astimezone),
    st.sampled_from([datetime.min, datetime.max, datetime.max.replace(tzinfo=timezone(timedelta(hours=-23)))]),
)
_DELTA_MIN, _DELTA_MAX = timedelta(microseconds=-(1 << 63)), timedelta(microseconds=(1 << 63) - 1)


def _scalar(annotation: Any, values: Strategy, is_python_ordered: bool = True) -> Made:
    return Made(annotation, values, is_python_ordered)


def _range(annotation: Any, least: int, most: int) -> Made:
    return _scalar(annotation, st.one_of(st.integers(least, most), st.sampled_from([least, most, most // 2])))


SCALARS = [
    _scalar(None, st.none(), False),
    _scalar(bool, st.booleans()),
    _scalar(int, INTS),
    _scalar(float, FLOATS),
    _scalar(str, TEXTS),
    _scalar(bytes, BYTES),
    _scalar(datetime, DATETIMES, False),
    _scalar(date, st.dates()),
    _scalar(time, st.times()),
    _scalar(timedelta, st.timedeltas(_DELTA_MIN, _DELTA_MAX)),
    _scalar(Decimal, DECIMALS),
    _scalar(uuid.UUID, st.uuids()),
    _range(Int8, -(2**7), 2**7 - 1),
    _range(Int16, -(2**15), 2**15 - 1),
    _range(Int32, -(2**31), 2**31 - 1),
    _range(UInt8, 0, 2**8 - 1),
    _range(UInt16, 0, 2**16 - 1),
    _range(UInt32, 0, 2**32 - 1),
    _range(UInt64, 0, 2**64 - 1),
    Made(Float32, SHORT_FLOATS, True, is_rounding=True),
    _scalar(Colour, st.sampled_from(Colour), False),
    _scalar(Level, st.sampled_from(Level), False),
    _scalar(Named, st.sampled_from(Named), False),
    _scalar(Literal["a", "b", 1, None, True], st.sampled_from(["a", "b", 1, None, True]), False),
    _scalar(OneOf(1, 1.5, "", b"x"), st.sampled_from([1, 1.5, "", b"x"]), False),
    _scalar(
        Shape,
        st.one_of(
            st.builds(Shape.Dot),
            st.builds(lambda radius: Shape.Circle(radius=radius), FLOATS),
            st.builds(lambda width, height: Shape.Box(width=width, height=height), INTS, INTS),
        ),
    ),
    _scalar(
        Tree,
        st.recursive(
            st.builds(lambda value: Tree.Leaf(value=value), st.none() | INTS),
            lambda trees: st.builds(
                lambda children, name: Tree.Node(children=children, name=name),
                st.lists(trees, max_size=3).map(tuple),
                TEXTS,
            ),
            max_leaves=5,
        ),
        False,
    ),
    _scalar(Target, st.integers(1, 5).map(Target.fromIdentity), False),
]


# ---- object fields


def _hashable(values: Strategy) -> Strategy:
    return st.recursive(
        values,
        lambda items: st.one_of(
            st.lists(items, max_size=3).map(tuple),
            st.frozensets(items, max_size=3),
            st.dictionaries(items, items, max_size=3).map(FrozenDict),
        ),
        max_leaves=6,
    )


ANYTHING = _hashable(
    st.one_of(
        st.none(), st.booleans(), INTS, FLOATS, TEXTS, BYTES, DATETIMES, st.dates(), st.times(), DECIMALS, st.uuids(),
        st.timedeltas(_DELTA_MIN, _DELTA_MAX),
        st.builds(MadeKnown, INTS, FLOATS),
        st.builds(Shape.Circle, FLOATS),
        st.builds(Celsius, st.floats(allow_nan=False)),
        st.integers(1, 5).map(Target.fromIdentity),
    )
)  # fmt: skip
OBJECT = Made(object, ANYTHING)


# ---- what has parts


def _rounding(parts: list[Made]) -> bool:
    return any(part.is_rounding for part in parts)


def _one_of(parts: list[Made]) -> Made | None:
    try:
        annotation = OneOf(*(part.annotation for part in parts))
    except TypeError:  # all the same
        return None
    text, _ = _core.describe_spec(field_spec(OneOf(None, annotation)))
    try:
        _core.write_catalogue([("s", "T", [("it", text, None)], [])])
    except ObjectDatabaseError:  # it has arms that could not be told apart
        return None
    if any(part.is_rounding for part in parts):
        return None
    return Made(annotation, st.one_of(*(part.values for part in parts)))


def _dict_of(make: Any, key: Made, value: Made) -> Made:
    values = st.dictionaries(key.values, value.values, max_size=3).map(
        lambda made: FrozenDict({key: made[key] for key in _distinct(made)})
    )
    return Made(make(key.annotation, value.annotation), values, is_rounding=_rounding([key, value]))


def _tuple_of(make: Any, part: Made) -> Made:
    return Made(
        make(part.annotation),
        st.lists(part.values, max_size=4).map(tuple),
        part.is_python_ordered,
        is_rounding=part.is_rounding,
    )


def _set_of(part: Made) -> Made:
    values = st.frozensets(part.values, max_size=4).map(lambda made: frozenset(_distinct(made)))
    return Made(Set(part.annotation), values, is_rounding=part.is_rounding)


def _distinct(values: Any) -> list[Any]:
    """Python finds two records different when each holds a NaN of its own; a set holds one of them."""
    ordered = _sorted(values)
    return [each for i, each in enumerate(ordered) if i == 0 or _known_order(ordered[i - 1], each) != 0]


def _tuple(parts: list[Made]) -> Made:
    made = Tuple(*(part.annotation for part in parts))
    is_ordered = all(part.is_python_ordered for part in parts)
    return Made(made, st.tuples(*(part.values for part in parts)), is_ordered, is_rounding=_rounding(parts))


RECORD_KINDS = ("NamedTuple", "typing.NamedTuple", "dataclass", "slots", "struct")


def _record(kind: str, name: str, parts: list[Made], defaults: list[Any]) -> Made:
    """defaults: of the last of the parts."""
    names = [f"f{i}" for i in range(len(parts))]
    required = len(parts) - len(defaults)
    cls: Any
    if kind == "NamedTuple":
        cls = NamedTuple(**{field: part.annotation for field, part in zip(names, parts, strict=True)})
    elif kind == "typing.NamedTuple":
        cls = typing.NamedTuple(name, [(field, part.annotation) for field, part in zip(names, parts, strict=True)])
        cls._field_defaults.update(zip(names[required:], defaults, strict=True))  # what a class body would give
        cls.__new__.__defaults__ = tuple(defaults)
    elif kind == "struct":
        fields = [(field, part.annotation) for field, part in zip(names, parts, strict=True)]
        with_defaults = [(*each, default) for each, default in zip(fields[required:], defaults, strict=True)]
        cls = msgspec.defstruct(name, [*fields[:required], *with_defaults], frozen=True)
    else:
        made = [(field, part.annotation) for field, part in zip(names, parts, strict=True)]
        given = [
            (*each, dataclasses.field(default=value)) for each, value in zip(made[required:], defaults, strict=True)
        ]
        cls = dataclasses.make_dataclass(name, [*made[:required], *given], frozen=True, slots=kind == "slots")

    def build(values: tuple[Any, ...]) -> Any:
        return cls(values) if kind == "NamedTuple" else cls(*values)

    given_values = [
        st.one_of(part.values, st.just(default)) if has_default else part.values
        for part, default, has_default in zip(
            parts, [None] * required + defaults, [False] * required + [True] * len(defaults), strict=True
        )
    ]
    is_ordered = kind in ("NamedTuple", "typing.NamedTuple") and all(part.is_python_ordered for part in parts)
    return Made(cls, st.tuples(*given_values).map(build), is_ordered, f"{kind} {name}{parts}", _rounding(parts))


def _alternative(name: str, arms: list[list[Made]]) -> Made:
    cls = Alternative(
        name, **{f"A{i}": {f"f{j}": part.annotation for j, part in enumerate(parts)} for i, parts in enumerate(arms)}
    )

    def of_arm(arm: int) -> Strategy:
        make = getattr(cls, f"A{arm}")
        parts = st.tuples(*(part.values for part in arms[arm]))
        return parts.map(lambda values: make(**{f"f{j}": value for j, value in enumerate(values)}))

    is_ordered = all(part.is_python_ordered for parts in arms for part in parts)
    is_rounding = any(_rounding(parts) for parts in arms)
    return Made(cls, st.one_of(*map(of_arm, range(len(arms)))), is_ordered, f"{name}{arms}", is_rounding)


@st.composite
def made_types(draw: st.DrawFn, depth: int = 3) -> Made:
    """A field type of any kind, with types of any kind in it."""
    count = 0

    def one(depth: int) -> Made:
        nonlocal count
        if depth == 0 or draw(st.integers(0, 3)) == 0:
            return draw(st.sampled_from([*SCALARS, OBJECT]))
        kind = draw(st.sampled_from(["oneof", "tupleof", "setof", "dictof", "tuple", "record", "alternative"]))
        if kind == "oneof":
            return _one_of(several(depth, 2)) or one(depth - 1)
        if kind == "tupleof":
            return _tuple_of(draw(st.sampled_from([TupleOf, ListOf])), one(depth - 1))
        if kind == "setof":
            return _set_of(one(depth - 1))
        if kind == "dictof":
            return _dict_of(draw(st.sampled_from([Dict, ConstDict])), one(depth - 1), one(depth - 1))
        if kind == "tuple":
            return _tuple(several(depth, 0))
        count += 1
        name = f"R{count}"
        if kind == "alternative":
            return _alternative(name, [several(depth, 0) for _ in range(draw(st.integers(1, 3)))])
        parts = several(depth, 0)
        defaults = [] if not parts else [draw(part.values) for part in parts[draw(st.integers(0, len(parts))) :]]
        record_kind = draw(st.sampled_from(RECORD_KINDS))
        if any(_has_target(default) for default in defaults):  # they have no number before there is a connection
            defaults = []
        return _record(record_kind, name, parts, [] if record_kind == "NamedTuple" else defaults)

    def several(depth: int, least: int) -> list[Made]:
        return [one(depth - 1) for _ in range(draw(st.integers(least, 3)))]

    return one(depth)


# ---- what is known of values


def fields_of(value: Any) -> list[Any] | None:
    """Of a record or an arm; None: it is neither."""
    if isinstance(value, AlternativeBase):
        return [getattr(value, name) for name in type(value).__match_args__]
    if isinstance(value, tuple) and type(value) is not tuple:
        return list(value)
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    return None


def parts_of(value: Any) -> list[Any]:
    """What lies directly in a value."""
    fields = fields_of(value)
    if fields is not None:
        return fields
    if isinstance(value, FrozenDict):
        return [each for pair in value.items() for each in pair]
    return list(value) if type(value) in (tuple, frozenset) else []


def all_of(value: Any) -> Iterator[Any]:
    yield value
    for part in parts_of(value):
        yield from all_of(part)


def _has_target(value: Any) -> bool:
    return any(isinstance(each, Target) for each in all_of(value))


def is_made_by_code_of_the_program(value: Any) -> bool:
    return any(isinstance(each, (Celsius, msgspec.Struct)) for each in all_of(value))


def has_nan(value: Any) -> bool:
    return any(isinstance(each, float) and each != each for each in all_of(value))


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)
    if isinstance(a, Decimal):
        return a.as_tuple() == b.as_tuple()
    if isinstance(a, datetime):
        return bool(a == b) and a.utcoffset() == b.utcoffset()
    if isinstance(a, (frozenset, FrozenDict)):
        ones, others = _sorted(a), _sorted(b)
        is_same = len(a) == len(b) and all(map(same, ones, others))
        return is_same and (
            isinstance(a, frozenset) or all(same(a[x], b[y]) for x, y in zip(ones, others, strict=True))
        )
    if fields_of(a) is not None or type(a) is tuple:
        ones, others = parts_of(a), parts_of(b)
        return len(ones) == len(others) and all(map(same, ones, others))
    return bool(a == b)


class Unknown(Exception):
    """The order of two records of different names is that of a hash."""


def _rank(value: Any) -> tuple[int, Any]:
    """The kind of a stored value, and what two of a kind are compared by."""
    if isinstance(value, enum.Enum):
        return _rank(value.name if isinstance(value, Named) else value.value)
    fields = fields_of(value)
    if isinstance(value, AlternativeBase):
        return 0x58, (type(value)._alternative.__name__, value.Index, fields)
    if fields is not None:
        anonymous = getattr(type(value), "_parts", None) is not None
        return 0x50, ("" if anonymous else type(value).__name__, 0, fields)
    for cls, rank in _RANKS:
        if isinstance(value, cls):
            return rank(value)
    raise AssertionError(f"no kind: {value!r}")


_RANKS: list[tuple[type, Callable[[Any], tuple[int, Any]]]] = [
    (type(None), lambda value: (0x02, 0)),
    (bool, lambda value: (0x04, value)),
    (str, lambda value: (0x20, value)),
    (bytes, lambda value: (0x24, value)),
    (datetime, lambda value: (0x32 if value.tzinfo is None else 0x30, value)),
    (date, lambda value: (0x34, value)),
    (time, lambda value: (0x36, value)),
    (timedelta, lambda value: (0x38, value)),
    (Decimal, lambda value: (0x3A, value)),
    (uuid.UUID, lambda value: (0x3C, value)),
    (Target, lambda value: (0x60, value._identity)),
    (Celsius, lambda value: (0x68, value.degrees)),
    (int, lambda value: (0x77, value)),
    (
        float,
        lambda value: (0x90, (value != value, 0.0 if value != value else value)),
    ),  # a NaN is last, and equals itself
    (tuple, lambda value: (0x40, list(value))),
    (FrozenDict, lambda value: (0x44, [[key, value[key]] for key in _sorted(value)])),
    (frozenset, lambda value: (0x48, _sorted(value))),
]


def _sorted(values: Any) -> list[Any]:
    return sorted(values, key=functools.cmp_to_key(_known_order))


def _known_order(a: Any, b: Any) -> int:
    """Any order will do where the order of hashes decides: sets are compared with sets that were sorted alike."""
    return order(a, b, by_name=True)


def _compare(a: Any, b: Any) -> int:
    return (a > b) - (a < b)


def order(a: Any, b: Any, by_name: bool = False) -> int:
    """Raises Unknown, unless records of different names are to be ordered by their names."""
    (kind, content), (other_kind, other_content) = _rank(a), _rank(b)
    if kind != other_kind:
        return _compare(kind, other_kind)
    if kind in (0x50, 0x58):
        if content[0] != other_content[0] and not by_name:
            raise Unknown
        return _compare(content[:2], other_content[:2]) or _lexicographic(content[2], other_content[2], by_name)
    if kind == 0x44:
        return _lexicographic(
            [x for pair in content for x in pair], [x for pair in other_content for x in pair], by_name
        )
    if kind in (0x40, 0x48):
        return _lexicographic(content, other_content, by_name)
    return _compare(content, other_content)


def _lexicographic(ones: list[Any], others: list[Any], by_name: bool) -> int:
    found = (order(one, other, by_name) for one, other in zip(ones, others, strict=False))
    return next((each for each in found if each), _compare(len(ones), len(others)))
