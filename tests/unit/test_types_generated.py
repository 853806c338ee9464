"""What holds for every field type and every value of it, shown on types that are made up (tests/type_strategies.py).

`make test-python` tries the same examples each time; `make properties EXAMPLES=10000` others, and as many as one likes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from object_database import DatabaseConnection, Indexed, InMemServer, Schema, _core
from object_database.errors import StoreCorruptError, TextError, ValueRangeError, ValueTypeError
from object_database.persistence import InMemoryPersistence
from object_database.schema import indexValueFor
from object_database.types import OneOf, Set, TupleOf
from tests.type_strategies import (
    ANYTHING,
    Made,
    Unknown,
    has_nan,
    is_made_by_code_of_the_program,
    made_types,
    order,
    parts_of,
    same,
    targets,
)

EXAMPLES = int(os.environ.get("ODB_EXAMPLES", 0))
# Some strategies are long when they are shown, and those that filter are.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.timeout(0 if "ODB_EXAMPLES" in os.environ else 300),  # a finding is made small before it is shown
]
REFUSALS = (ValueTypeError, ValueRangeError, TextError)


def examples(few: int) -> settings:
    return settings(
        max_examples=EXAMPLES or few,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )


def convert(made: Made, value: Any) -> Any:
    return _core.convert(made.spec, value, "S.T.f")


# ---- conversion


@examples(150)
@given(st.data())
def test_what_is_written_is_read_as_it_was(data: st.DataObject) -> None:
    made = data.draw(made_types())
    for _ in range(3):
        value = data.draw(made.values)
        read = convert(made, value)
        assert same(read, value), f"{value!r} became {read!r}"


@examples(120)
@given(st.data())
def test_whatever_is_given_is_taken_or_refused_with_the_place(data: st.DataObject) -> None:
    made = data.draw(made_types())
    other = data.draw(st.one_of(JUNK, ANYTHING, made_types(depth=2).flatmap(lambda each: each.values)))
    try:
        read = convert(made, other)
    except REFUSALS as error:
        message = str(error)
    else:
        message = "S.T.f"
        assert same(convert(made, read), read)  # what a field gives, it takes
    assert message.startswith("S.T.f")


class Foreign:
    """What no field takes."""


def _endless() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


JUNK = st.one_of(
    st.builds(Foreign),
    st.sampled_from(
        [
            Foreign,
            int,
            ...,
            NotImplemented,
            1j,
            bytearray(b"x"),
            memoryview(b"x"),
            range(3),
            "\ud800",
            2**63,
            -(2**63) - 1,
        ]
    ),
    st.sampled_from(
        [2**64, 10**400, float("1e300"), [[[]]], {"f0": 1}, {1: {2}}, {"a": [1, "x"]}, "red", ("",), {None}]
    ),
    st.sampled_from([[1, 1.0], [True, 1], [0.0, -0.0], ["a", "a"], [(1,), (1.0,)]]),
    st.builds(_endless),
    st.builds(lambda: iter([1, 2])),
    st.builds(lambda: (each for each in ("a", 1))),
    st.lists(st.integers() | st.text(st.characters(), max_size=2), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@dataclass(frozen=True)
class Slip:
    """A value with something in it that no field takes, and where that is."""

    value: Any
    place: str


def slips(value: Any, spec: Any) -> Iterator[Slip]:
    """Each place in a value, as far as the place is exactly known: a union says where the arm that came furthest failed."""
    yield Slip(Foreign(), "")
    kind = spec[0] if isinstance(spec, tuple) else spec
    if kind in ("tupleof", "tuple"):
        for i, item in enumerate(value):
            for slip in slips(item, spec[1] if kind == "tupleof" else spec[1 + i]):
                yield Slip([*value[:i], slip.value, *value[i + 1 :]], f"[{i}]{slip.place}")
    elif kind == "dictof":
        for key in value:
            if type(key) not in (type(None), bool, int, float, str, bytes):  # others are shown as their class
                continue
            for slip in slips(value[key], spec[2]):
                yield Slip({**value, key: slip.value}, f"[{key!a}]{slip.place}")
    elif kind == "record":
        names = [name for name, _, _ in spec[4]]
        fields = {name: getattr(value, name) for name in names}
        for name, part, _ in spec[4]:
            for slip in slips(fields[name], part):
                yield Slip({**fields, name: slip.value}, f".{name}{slip.place}")


@examples(100)
@given(st.data())
def test_a_slip_is_told_with_its_place(data: st.DataObject) -> None:
    made = data.draw(made_types())
    slip = data.draw(st.sampled_from(list(itertools.islice(slips(data.draw(made.values), made.spec), 50))))
    note(repr(slip))
    with pytest.raises(ValueTypeError) as caught:
        convert(made, slip.value)
    place, _, rest = str(caught.value).partition(": ")
    assert place.split(" (")[0].startswith(f"S.T.f{slip.place}"), caught.value
    assert "Foreign" in rest, caught.value


@examples(80)
@given(st.data())
def test_a_set_of_a_list_has_each_value_once(data: st.DataObject) -> None:
    made = data.draw(made_types(depth=2))
    items = data.draw(st.lists(made.values, max_size=4))
    field = Made(Set(made.annotation), st.none())
    read = convert(field, items)
    assert same(convert(field, read), read)
    assert convert(field, [*items, *items]) == read or has_nan(read)
    assert _core.convert(("tuple", field.spec), (read,), "S.T.f") == (read,) or has_nan(read)


@pytest.mark.parametrize(
    ("element", "items"),
    [
        (OneOf(int, float), [1, 1.0]),
        (OneOf(None, bool, int, str), [True, 1]),
        (object, [True, 1, 1.0, Decimal(1)]),
        (OneOf(TupleOf(int), TupleOf(float)), [[1], [1.0]]),
    ],
)
def test_a_set_has_one_of_what_python_finds_equal(element: Any, items: list[Any]) -> None:
    field = Set(element)
    key = indexValueFor(field, items)
    read = field(items)
    assert len(read) == 1
    assert indexValueFor(field, read) == key  # what is read finds what was written


# ---- through a server: rows, keys, lookups


class Stage:
    """A server with a store that can be looked into, and two programs."""

    def __init__(
        self, server: InMemServer, store: InMemoryPersistence, writer: DatabaseConnection, reader: DatabaseConnection
    ):
        self.server, self.store, self.writer, self.reader = server, store, writer, reader
        self.numbers = itertools.count()

    def define(self, annotation: Any) -> Any:
        """A type with a field `key` of this type, indexed."""
        schema = Schema(f"made{next(self.numbers)}")
        body = {"__annotations__": {"key": Indexed(annotation)}}
        defined: Any = schema.define(type("Thing", (), body))
        for db in (self.writer, self.reader):
            db.subscribeToSchema(schema)
        return defined

    def commit(self, defined: Any, values: list[Any]) -> list[Any]:
        with self.writer.transaction():
            return [defined(key=value) for value in values]

    def row(self, thing: Any) -> tuple[int, bytes]:
        return self.store._content.rows[thing._identity]


@pytest.fixture(scope="module")
def stages() -> Iterator[Callable[[], Stage]]:
    """A new server now and then: a connection tells of all its types with every schema that is added."""
    made: list[Stage] = []

    def close() -> None:
        made[-1].writer.disconnect()
        made[-1].reader.disconnect()
        made[-1].server._core.check()
        made.pop().server.stop()

    def stage() -> Stage:
        if made and next(made[-1].numbers) > 100:
            close()
        if not made:
            store = InMemoryPersistence()
            server = InMemServer(store, auth_token="TOKEN")
            server.start()
            made.append(Stage(server, store, server.connect("TOKEN"), server.connect("TOKEN")))
            for db in (made[-1].writer, made[-1].reader):
                db.subscribeToSchema(targets)
        return made[-1]

    yield stage
    if made:
        close()


@examples(120)
@given(st.data())
def test_keys_are_ordered_and_equal_as_values_are(stages: Callable[[], Stage], data: st.DataObject) -> None:
    made = data.draw(made_types())
    values = data.draw(st.lists(made.values, min_size=2, max_size=6))
    with stages().writer.view():  # references have their numbers from a connection
        keys = [_core.index_value(made.spec, value) for value in values]
    for (value, key), (other, other_key) in itertools.combinations(zip(values, keys, strict=True), 2):
        try:
            expected = order(value, other)
        except Unknown:
            assert key != other_key
            continue
        assert (key > other_key) - (key < other_key) == expected, f"{value!r}, {other!r}: {key!r}, {other_key!r}"
        if made.is_python_ordered and not has_nan((value, other)):
            assert (value < other, value == other) == (expected < 0, expected == 0), f"{value!r}, {other!r}"


@examples(50)
@given(st.data())
def test_lookups_find_what_is_equal(stages: Callable[[], Stage], data: st.DataObject) -> None:
    stage = stages()
    made = data.draw(made_types())
    values = data.draw(st.lists(made.values, min_size=1, max_size=6))
    defined = stage.define(made.annotation)
    things = stage.commit(defined, values)
    stage.reader.flush()
    for db in (stage.writer, stage.reader):
        with db.view():
            for thing, value in zip(things, values, strict=True):
                assert same(thing.key, value)
                if parts_of(value) and not is_made_by_code_of_the_program(value):
                    assert thing.key is thing.key  # decoded once
                assert defined.lookupAll(key=value) == tuple(
                    each for each, its in zip(things, values, strict=True) if is_equal(value, its)
                )


def is_equal(value: Any, other: Any) -> bool:
    try:
        return order(value, other) == 0
    except Unknown:
        return False


@examples(50)
@given(st.data())
def test_a_damaged_row_is_refused_or_another_one(stages: Callable[[], Stage], data: st.DataObject) -> None:
    stage = stages()
    made = data.draw(made_types())
    number, row = stage.row(stage.commit(stage.define(made.annotation), [data.draw(made.values)])[0])
    types = _core.read_catalogue(stage.store._content.facts["catalogue"])
    assert types.encode_row(number, types.decode_row(number, row)) == row
    for _ in range(10):
        damaged = bytearray(row)
        for _ in range(data.draw(st.integers(1, 2))):
            at = data.draw(st.integers(0, len(damaged)))
            if data.draw(st.booleans()) and at < len(damaged):
                damaged[at] = data.draw(st.integers(0, 255))
            elif data.draw(st.booleans()):
                damaged.insert(at, data.draw(st.integers(0, 255)))
            else:
                del damaged[at : at + data.draw(st.integers(1, 4))]
        try:
            fields = types.decode_row(number, bytes(damaged))
        except StoreCorruptError:
            continue
        if "key" in fields:  # else the row says in its own way that it has no value
            assert types.encode_row(number, fields) == damaged
