"""export and import: values of every kind as JSON, bit by bit."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from object_database import _core
from object_database.cli.checking import _references
from object_database.cli.lines import read_value, write_value
from object_database.errors import InvalidArgumentError

pytestmark = pytest.mark.sanitizer

CATALOGUE = [("shop", "Order", [("it", "object", None), ("when", "datetime", None)], [])]
NUMBERS = {"shop.Order": 1}
NAMES = list(NUMBERS)

zones = st.one_of(st.none(), st.integers(-86_399, 86_399).map(lambda s: dt.timezone(dt.timedelta(seconds=s))))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.text(),
    st.binary(),
    st.tuples(st.just(1), st.integers(0, (1 << 63) - 1)),
    st.datetimes(timezones=zones),
    st.dates(),
    st.times(),
    st.timedeltas(dt.timedelta(days=-106_751_990), dt.timedelta(days=106_751_990)),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.binary().map(lambda raw: {"pickle": raw}),
)
keys = st.one_of(st.integers(-100, 100), st.text(max_size=3))


def fields_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    before = st.lists(st.tuples(st.sampled_from([1, 3]), values), max_size=3)
    return st.tuples(before, st.lists(st.tuples(st.just(2), values), max_size=2)).map(lambda both: both[0] + both[1])


def made_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    tags = st.integers(0, (1 << 32) - 1)
    return st.one_of(
        st.lists(values, max_size=3).map(lambda items: {"tuple": items}),
        st.sets(keys, max_size=3).map(lambda items: {"set": list(items)}),
        st.dictionaries(keys, values, max_size=3).map(lambda items: {"dict": list(items.items())}),
        st.tuples(st.text(min_size=1, max_size=5), values).map(lambda pair: {"codec": pair}),
        st.tuples(tags, fields_of(values)).map(lambda parts: {"record": parts}),
        st.tuples(tags.map(lambda tag: tag or 1), st.integers(0, 100), fields_of(values)).map(
            lambda parts: {"alternative": parts}
        ),
    )


values = st.recursive(scalars, made_of, max_leaves=10)


@pytest.fixture(scope="module")
def types() -> _core.StoredTypes:
    return _core.read_catalogue(_core.write_catalogue(CATALOGUE))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
@example({"tuple": [(1, 5), {"tuple": []}]})
@example(dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=23))))
@example(Decimal("-0E+5"))
@example({"record": (7, [(3, Decimal("1.00")), (2, -0.0)])})
def test_values_of_every_kind_come_back_from_json_bit_by_bit(types: _core.StoredTypes, value: Any) -> None:
    row = types.encode_row(1, {"it": value})
    decoded = types.decode_row(1, row)["it"]
    assert types.encode_row(1, {"it": decoded}) == row
    text = json.dumps(write_value(decoded, NAMES), allow_nan=False)
    assert types.encode_row(1, {"it": read_value(json.loads(text), NUMBERS)}) == row


def test_what_people_read_is_plain() -> None:
    shown = {
        '{"datetime": "2024-01-31T12:00:00+01:00"}': dt.datetime(
            2024, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=1))
        ),
        '{"date": "2024-01-31"}': dt.date(2024, 1, 31),
        '{"time": "12:00:00.000005"}': dt.time(12, 0, 0, 5),
        '{"timedelta": "-5"}': dt.timedelta(microseconds=-5),
        '{"decimal": "1.50"}': Decimal("1.50"),
        '{"uuid": "00000000-0000-0000-0000-00000000004d"}': UUID(int=77),
        '[1, ["a"]]': {"tuple": [1, {"tuple": ["a"]}]},
        '{"dict": [["a", [1]]]}': {"dict": [("a", {"tuple": [1]})]},
        '{"record": 7, "fields": [[">", {"ref": "shop.Order", "id": 5}]]}': {"record": (7, [(3, (1, 5))])},
        '{"alternative": 7, "arm": 1, "fields": []}': {"alternative": (7, 1, [])},
        '{"codec": "x.Y", "value": {"set": [1]}}': {"codec": ("x.Y", {"set": [1]})},
    }
    for text, value in shown.items():
        assert json.dumps(write_value(value, NAMES)) == text
        assert read_value(json.loads(text), NUMBERS) == value


@pytest.mark.parametrize(
    "value",
    [
        {"datetime": "yesterday"},
        {"decimal": "much"},
        {"uuid": "5"},
        {"timedelta": "1.5"},
        {"dict": [["a"]]},
        {"dict": "a"},
        {"record": 7, "fields": [["?", 1]]},
        {"record": 7},
        {"pickle": "%"},
        {"nothing": []},
    ],
)
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="."):
        read_value(value, NUMBERS)


@pytest.mark.parametrize(
    "value",
    [
        {"record": ("x", [])},
        {"record": (7, [(4, 1)])},
        {"record": (7, [(2, 1), (3, 1)])},
        {"alternative": (7, -1, [])},
        {"codec": (5, 1)},
        {"set": [1, 1]},
        {"dict": [("a", 1), ("a", 2)]},
        {"tuple": [[]]},
        {"two": 1, "words": 2},
        object(),
    ],
)
def test_bytes_that_no_program_writes_are_not_written(types: _core.StoredTypes, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"shop\.Order\.it takes object"):
        types.encode_row(1, {"it": value})


def test_nested_values_have_a_bound(types: _core.StoredTypes) -> None:
    value: Any = 5
    for _ in range(1000):
        value = {"tuple": [value]}
    with pytest.raises((InvalidArgumentError, RecursionError)):
        types.encode_row(1, {"it": value})


def test_references_are_found_wherever_they_are() -> None:
    value = {
        "tuple": [(1, 5), {"dict": [((1, 6), {"set": [(1, 7)]})]}, {"codec": ("x", {"record": (7, [(3, (1, 8))])})}]
    }
    assert sorted(_references(value)) == [(1, 5), (1, 6), (1, 7), (1, 8)]
    assert list(_references({"pickle": b"x"})) == []
