"""Values into bytes and back: beside msgspec's msgpack of the same value, in the same process and run.

Beside a write or read of a field, which also finds the object and keeps the write, stands msgspec's encoding or decoding alone.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import typing
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from model import connected
from reads import Abandoned
from registry import NEVER, Run, Sample, at_most_of_probe, benchmark, figure
from timing import loop, loop_over, ns_each

from object_database import Schema, _core
from object_database.types import FrozenDict, field_spec

BURST = 1000  # rounds: so short that most of them are not interrupted, and the fastest tells the cost
BURSTS = 50
SCALAR_RATIO = 1.5
WIDE_FIELDS = 200
CACHED_RATIO = 1.1  # of a scalar's read: what is left is noise

schema = Schema("benchmark_codec")


class Line(typing.NamedTuple):
    item: str
    count: int
    price: float
    is_gift: bool


@dataclasses.dataclass(frozen=True)
class Row:
    item: str
    count: int
    price: float
    is_gift: bool


class Struct(msgspec.Struct, frozen=True):
    item: str
    count: int
    price: float
    is_gift: bool


_FIELDS = ("a short text", 12_345, 9.75, True)
NESTED = tuple(((i, f"item {i}"), (i / 2, (True, None))) for i in range(4))

# name -> the field's type, a value
VALUES: dict[str, tuple[Any, Any]] = {
    "bool": (bool, True),
    "int": (int, 12_345),
    "float": (float, 9.75),
    "str": (str, "a short text"),
    "bytes": (bytes, b"some short bytes"),
    "datetime": (datetime.datetime, datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)),
    "decimal": (decimal.Decimal, decimal.Decimal("19.90")),
    "uuid": (uuid.UUID, uuid.UUID(int=0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0)),
    "optional": (int | None, 12_345),
    "namedtuple": (Line, Line(*_FIELDS)),
    "dataclass": (Row, Row(*_FIELDS)),
    "struct": (Struct, Struct(*_FIELDS)),
    "tuple": (tuple[int, ...], tuple(range(1000, 1010))),
    "dict": (dict[str, int], FrozenDict({f"key {i}": i for i in range(4)})),
    "nested": (tuple[tuple[tuple[int, str], tuple[float, tuple[bool, None]]], ...], NESTED),
}


def _database_type(name: str, kind: Any, value: Any) -> Any:
    body = {"__annotations__": {"number": int, "value": kind}, "number": 7, "value": value}
    return schema.define(type(name, (), body))


TYPES = {name: _database_type(name.capitalize(), kind, value) for name, (kind, value) in VALUES.items()}

_names = [f"f{i}" for i in range(WIDE_FIELDS)]
Wide: Any = schema.define(
    type("Wide", (), {"__annotations__": {name: (int, str, float, bool)[i % 4] for i, name in enumerate(_names)}})
)
WIDE_ROW = {name: (i, f"text {i}", i / 2, True)[i % 4] for i, name in enumerate(_names)}


def fastest(function: Callable[..., Any]) -> float:
    """Nanoseconds of one round."""
    return min(ns_each(function, BURST, BURST) for _ in range(BURSTS))


class Theirs:
    """msgspec's view of the same type and value."""

    def __init__(self, kind: Any, value: Any):
        self.value = dict(value) if isinstance(value, FrozenDict) else value
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(kind).decode
        self.bytes = self.encode(self.value)
        if self.decode(self.bytes) != self.value:
            raise RuntimeError(f"msgspec reads {kind} in another way")


def codec_client(port: int, name: str, count: int) -> Iterator[Any]:
    """Worker: each step yields {figure: [ours, theirs]} in nanoseconds."""
    kind, value = VALUES[name]
    theirs = Theirs(kind, value)
    both_ways = loop(
        "convert(spec, value, where)", convert=_core.convert, spec=field_spec(kind), value=value, where="it"
    )
    both_theirs = loop("decode(encode(value))", decode=theirs.decode, encode=theirs.encode, value=theirs.value)
    encode, decode = (
        loop("f(value)", f=theirs.encode, value=theirs.value),
        loop("f(b)", f=theirs.decode, b=theirs.bytes),
    )
    with connected(port) as db:
        db.subscribeToSchema(schema)
        database_type = TYPES[name]
        with db.transaction():
            objects = [database_type(number=i) for i in range(count)]
        write = loop_over("o.value = value", value=value)
        read = loop_over("o.value")

        def writes() -> float:
            try:
                with db.transaction():
                    taken = ns_each(write, objects, count)
                    raise Abandoned
            except Abandoned:
                return taken

        def reads() -> float:
            with db.transaction():  # new rows, so that nothing was decoded before
                for each in objects:
                    each.number += 1
            with db.view():
                return ns_each(read, objects, count)

        yield None
        while True:
            yield {
                "": [fastest(both_ways), fastest(both_theirs)],
                "write": [writes(), fastest(encode)],
                "read": [reads(), fastest(decode)],
            }


def of_steps(run: Run, worker: Callable[..., Any], **arguments: Any) -> Sample:
    client = run.client(worker, port=run.server(), **arguments)
    client.step()
    steps = [client.step() for _ in range(run.repetitions)]
    values = {name: [step[name][0] for step in steps] for name in steps[0]}
    return Sample(values, {name: [step[name][1] for step in steps] for name in steps[0]})


def _declare(name: str) -> None:
    @benchmark(f"codec.{name}", f"a value into bytes and back: {name}", size=10_000, grows=NEVER)
    @figure(unit="ns", bar=at_most_of_probe(SCALAR_RATIO))
    @figure(unit="ns", name="write")
    @figure(unit="ns", name="read")
    def measure(run: Run) -> Sample:
        return of_steps(run, codec_client, name=name, count=run.size)


for _name in VALUES:
    _declare(_name)


# ---- many fields, and containers that are read twice


def wide_client(port: int, count: int) -> Iterator[Any]:
    """Worker: each step yields, for each field, {figure: [ours, plain]} in nanoseconds."""
    plain_type = dataclasses.make_dataclass("Plain", _names, slots=True)
    values = list(WIDE_ROW.values())
    with connected(port) as db:
        db.subscribeToSchema(schema)
        fields = count * WIDE_FIELDS
        read = loop_over("; ".join(f"o.{name}" for name in _names))
        make = loop_over("Wide(**row)", Wide=Wide, row=WIDE_ROW)
        make_plain = loop_over("Plain(*values)", Plain=plain_type, values=values)
        plain = [plain_type(*values) for _ in range(count)]
        yield None
        while True:
            with db.transaction():
                created = ns_each(make, range(count), fields)
            with db.view():
                objects = list(Wide.lookupAll())
                seen = ns_each(read, objects, fields)
            yield {
                "": [seen, ns_each(read, plain, fields)],
                "create": [created, ns_each(make_plain, range(count), fields)],
            }
            with db.transaction():
                for each in objects:
                    each.delete()


@benchmark("codec.wide", "an object of 200 fields: each field read", size=200, grows=NEVER)
@figure(unit="ns")
@figure(unit="ns", name="create")
def wide(run: Run) -> Sample:
    return of_steps(run, wide_client, count=run.size)


def nested_client(port: int, count: int) -> Iterator[Any]:
    """Worker: each step yields {figure: [ours, plain]} in nanoseconds for each object."""
    theirs = Theirs(*VALUES["nested"])
    nested = TYPES["nested"]
    encode, decode = (
        loop("f(value)", f=theirs.encode, value=theirs.value),
        loop("f(b)", f=theirs.decode, b=theirs.bytes),
    )
    with connected(port) as db:
        db.subscribeToSchema(schema)
        read, read_scalar = loop_over("o.value"), loop_over("o.number")
        make = loop_over("nested(number=1, value=value)", nested=nested, value=NESTED)
        yield None
        while True:
            with db.transaction():
                created = ns_each(make, range(count), count)
            with db.view():
                objects = list(nested.lookupAll())
                cold = ns_each(read, objects, count)
                second = ns_each(read, objects, count)
                scalar = ns_each(read_scalar, objects, count)
                same = fastest(loop("o.value", o=objects[0]))
                same_scalar = fastest(loop("o.number", o=objects[0]))
            yield {
                "": [second, scalar],
                "one_object": [same, same_scalar],
                "first_read": [cold, fastest(decode)],
                "create": [created, fastest(encode)],
            }
            with db.transaction():
                for each in objects:
                    each.delete()


@benchmark(
    "codec.twice", "nested tuples of many objects, read for the second time; beside a read of an int", size=10_000
)
@figure(unit="ns", bar=at_most_of_probe(CACHED_RATIO))
@figure(unit="ns", bar=at_most_of_probe(CACHED_RATIO), name="one_object")
@figure(unit="ns", name="first_read")
@figure(unit="ns", name="create")
def twice(run: Run) -> Sample:
    return of_steps(run, nested_client, count=run.size)
