"""Types with many fields, and many objects with much in each: through a server in a process of its own, and its store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import Indexed, Schema
from object_database.types import OneOf, TupleOf
from tests.conftest import ServerProcess

FIELDS = 200
OBJECTS = 10_000

# Each takes about a second on a quiet machine; growth with the square of either number would take minutes.
pytestmark = pytest.mark.timeout(40)

schema = Schema("large_types")

KINDS: tuple[Any, ...] = (int, str, float, bool, bytes, OneOf(None, int), TupleOf(int), tuple[int, str])
NAMES = [f"field_{i}" for i in range(FIELDS)]
Wide: Any = schema.define(
    type("Wide", (), {"__annotations__": {"number": Indexed[int], **{n: KINDS[i % 8] for i, n in enumerate(NAMES)}}})
)


@schema.define
class Deep:
    number: Indexed[int]
    value: tuple[tuple[tuple[int, str], tuple[float, tuple[bool, None]]], ...]


def value_of(field: int, number: int) -> Any:
    return (
        number * field,
        f"text {number} {field}",
        number / 8 + field,
        number % 2 == 0,
        b"%d" % number,
        number if field % 16 < 8 else None,
        (number, field),
        (field, "x"),
    )[field % 8]


def row_of(number: int) -> dict[str, Any]:
    return {name: value_of(i, number) for i, name in enumerate(NAMES)}


def nested(number: int) -> Any:
    return tuple(((number + i, f"item {i}"), (number / 2, (i % 2 == 0, None))) for i in range(4))


def test_a_type_of_200_fields(start_server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    server = start_server("--data-dir", str(tmp_path))
    with server.connect() as writer, server.connect() as reader:
        for db in (writer, reader):
            db.subscribeToSchema(schema)
        with writer.transaction():
            made = [Wide(number=n, **row_of(n)) for n in range(100)]
            assert made[7].field_1 == "text 7 1"
        with writer.transaction():
            for wide in made[::10]:
                setattr(wide, NAMES[-1], (1, "changed"))
        reader.flush()
        with reader.view():
            assert len(Wide.lookupAll()) == len(made)
            for number, wide in enumerate(made):
                expected = row_of(number) | ({NAMES[-1]: (1, "changed")} if number % 10 == 0 else {})
                assert {name: getattr(wide, name) for name in NAMES} == expected
                assert wide.snapshot()[1:] == tuple(expected.values())
    server.process.terminate()
    server.finish()
    again = start_server("--data-dir", str(tmp_path))
    with again.connect() as db:
        db.subscribeToSchema(schema)
        with db.view():
            assert Wide.lookupOne(number=99).field_6 == (99, 6)


def test_10000_objects_of_nested_tuples(start_server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    server = start_server("--data-dir", str(tmp_path))
    with server.connect() as writer, server.connect() as reader:
        for db in (writer, reader):
            db.subscribeToType(Deep)
        with writer.transaction():
            made = [Deep(number=n, value=nested(n)) for n in range(OBJECTS)]
        reader.flush()
        with reader.view():
            assert Deep.lookupAll() == tuple(made)
            first = [deep.value for deep in made]
            assert first == [nested(n) for n in range(OBJECTS)]
            second = [deep.value for deep in made]
            assert second == first
            assert sum(a is b for a, b in zip(first, second, strict=True)) > OBJECTS * 0.8  # decoded once each
    server.process.terminate()
    server.finish()
    again = start_server("--data-dir", str(tmp_path))
    with again.connect() as db:
        db.subscribeToType(Deep)
        with db.view():
            assert [Deep.lookupOne(number=n).value for n in (0, OBJECTS - 1)] == [nested(0), nested(OBJECTS - 1)]
