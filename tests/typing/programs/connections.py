"""Servers, stores, connections, subscriptions, handlers."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import assert_type

from object_database import (
    AuthenticationError,
    DatabaseConnection,
    Indexed,
    InMemoryPersistence,
    InMemServer,
    Object,
    Schema,
    SqlitePersistence,
    TcpServer,
    connect,
)
from object_database.core_schema import Connection
from object_database.database_connection import CompletionEvent, TransactionResult
from object_database.persistence import Persistence
from object_database.schema import IndexId, ObjectFieldId
from object_database.server import Server
from object_database.types import register_codec, register_record

work = Schema("jobs")


class Job(Object, schema=work):
    queue: Indexed[str]
    is_done: bool = False
    worker: Connection | None = None
    result: object = None


@register_record
@dataclass(frozen=True)
class Report:
    pages: int


class Heard:
    """A handler with state."""

    def __init__(self) -> None:
        self.tids: list[int] = []
        self.has_come = threading.Event()

    def __call__(
        self,
        writes: dict[ObjectFieldId, bytes | None],
        added: dict[IndexId, tuple[int, ...]],
        removed: dict[IndexId, tuple[int, ...]],
        tid: int,
    ) -> None:
        self.tids.append(tid)
        if writes:
            self.has_come.set()


def subscribe(db: DatabaseConnection) -> None:
    db.addSchema(work, timeout=5)
    db.subscribe(Job, queue="mail")
    db.subscribe(work, Job, timeout=5.0)
    events = db.subscribeToType(Job, block=False)
    assert_type(events, tuple[CompletionEvent, ...])
    for event in events:
        assert event.wait(5)
    assert_type(db.subscribeToIndex(Job, queue="print"), tuple[CompletionEvent, ...])
    assert_type(db.isSubscribedToType(Job), bool)
    assert db.isSubscribedToType(Job)
    assert db.isSubscribedToSchema(work)


def run(server: Server) -> None:
    with server.connect("t") as db, server.connect("t") as other:
        subscribe(db)
        other.subscribeToNone(Job)
        heard, results = Heard(), list[TransactionResult]()
        is_confirmed = threading.Event()
        db.registerOnTransactionHandler(heard)

        def confirmed(result: TransactionResult) -> None:
            results.append(result)
            is_confirmed.set()

        with other.transaction().noconfirm().onConfirmed(confirmed):
            job = Job(queue="mail", worker=other.connectionObject)
        other.flush()
        assert is_confirmed.wait(10)
        assert results[0].matches.Success

        assert_type(db.waitForCondition(lambda: job.exists(), timeout=10), bool)
        db.waitForTransactionId(other.currentTransactionId(), timeout=10)
        assert heard.has_come.wait(10)
        db.dropTransactionHandler(heard)
        assert_type(db.lost_commits, int)
        assert_type(db.connectionObject, Connection | None)

        with db.transaction():
            job.is_done = True
            job.result = {"sent": Report(pages=2)}
            if job.worker is not None:
                assert_type(job.worker, Connection)
        with db.view() as view:
            job = view.get(Job, queue="mail")
            assert_type(job.result, object)
            assert job.is_done
            assert job.result == {"sent": Report(2)}


def main() -> None:
    register_codec(complex, lambda c: (c.real, c.imag), lambda pair: complex(*pair))
    with tempfile.TemporaryDirectory() as folder:
        store: Persistence = SqlitePersistence(Path(folder) / "objects.sqlite")
        with InMemServer(store, auth_token="t", memory_max=1 << 30) as server:
            run(server)
    with TcpServer("localhost", 0, InMemoryPersistence(), auth_token="t") as server:
        assert_type(server, TcpServer)
        with connect("localhost", server.port, "t", timeout=5.0, retry=True) as db:
            assert_type(db, DatabaseConnection)
            subscribe(db)
        try:
            connect(server.host, server.port, auth_token="wrong")
        except AuthenticationError as error:
            assert_type(error.hint, str | None)


if __name__ == "__main__":
    main()
