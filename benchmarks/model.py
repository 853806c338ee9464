"""The schema that all benchmarks share, the server they talk to, and how objects get there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from object_database import DatabaseConnection, Indexed, Schema, TcpServer, connect

HOST = "127.0.0.1"
TOKEN = "benchmark-token"
OBJECTS_PER_LOAD = 10_000  # in one transaction, below what the server would take in several turns
GROUP_SIZE = 100  # objects that share a value of the second index

schema = Schema("benchmark")


@schema.define
class Pair:
    number: int
    text: str


@schema.define
class IndexedPair:
    number: Indexed[int]
    text: Indexed[str]


@schema.define
class Counter:
    value: int


@schema.define
class Stamp:
    number: int
    sent_ns: int


def serve() -> Iterator[int]:
    """Worker: a server with a certificate made for it. Yields its port."""
    with TcpServer(HOST, 0, auth_token=TOKEN) as server:
        yield server.port


def connected(port: int) -> DatabaseConnection:
    db = connect(HOST, port, TOKEN)
    db.addSchema(schema)
    return db


def make(kind: str, number: int) -> Any:
    return getattr(schema, kind)(number=number, text=f"text {number // GROUP_SIZE}")


def fill(db: DatabaseConnection, kind: str, count: int) -> list[Any]:
    made: list[Any] = []
    while len(made) < count:
        with db.transaction():
            made += [make(kind, number) for number in range(len(made), min(count, len(made) + OBJECTS_PER_LOAD))]
    return made


def load(port: int, kind: str, count: int) -> Iterator[None]:
    """Worker: a client that makes objects, confirmed, and holds nothing else."""
    with connected(port) as db:
        db.subscribeToNone(getattr(schema, kind))
        yield None
        fill(db, kind, count)
        yield None
