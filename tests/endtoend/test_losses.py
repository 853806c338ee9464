"""A server that answers nothing and then is gone for good, while every kind of call waits for it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from object_database import DatabaseConnection, DisconnectedException, Schema, connect

pytestmark = pytest.mark.timeout(60)


def schema_of(name: str) -> Schema:
    made = Schema(name)
    made.define(type("Thing", (), {"n": int}))
    return made


known, loaded = schema_of("known"), schema_of("loaded")


def commit(db: DatabaseConnection) -> None:
    with db.transaction():
        loaded.Thing(n=1)


def wait_for_events(db: DatabaseConnection) -> None:
    for event in db.subscribeToSchema(known, block=False):
        event.wait()


WAITS: dict[str, Callable[[DatabaseConnection], Any]] = {
    "flush": lambda db: db.flush(),
    "commit": commit,
    "addSchema": lambda db: db.addSchema(schema_of("unknown")),
    "subscribeToType": lambda db: db.subscribeToType(known.Thing),
    "events": wait_for_events,
    "waitForCondition": lambda db: db.waitForCondition(lambda: False),
    "waitForTransactionId": lambda db: db.waitForTransactionId(1000),
}


def ready(db: DatabaseConnection) -> DatabaseConnection:
    db.addSchema(known)
    db.subscribeToSchema(loaded)
    return db


class Call:
    """One call in a thread of its own."""

    def __init__(self, do: Callable[[], Any]):
        self.raised: BaseException | None = None
        self._do = do
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._do()
        except BaseException as error:
            self.raised = error

    def end(self) -> BaseException | None:
        self._thread.join(20)
        assert not self._thread.is_alive(), "still waiting"
        return self.raised


def killed(server: Any) -> None:
    server.kill()


def stopped_in_good_order(server: Any) -> None:
    """It wakes up, and may answer some of what it was asked before it says farewell."""
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGCONT)
    server.finish()


def test_every_call_that_waits_for_a_dead_server_is_told_at_once(server_process: Any) -> None:
    connections = {what: ready(server_process.connect()) for what in WAITS}
    server_process.freeze()
    calls = {what: Call(lambda do=do, what=what: do(connections[what])) for what, do in WAITS.items()}
    start = time.monotonic()
    killed(server_process)
    raised = {what: type(call.end()) for what, call in calls.items()}
    assert raised == dict.fromkeys(WAITS, DisconnectedException)
    assert time.monotonic() - start < 10  # four heartbeats take 20 s


def test_every_call_that_waits_for_a_server_that_stops_ends(server_process: Any) -> None:
    connections = {what: ready(server_process.connect()) for what in WAITS}
    server_process.freeze()
    calls = {what: Call(lambda do=do, what=what: do(connections[what])) for what, do in WAITS.items()}
    stopped_in_good_order(server_process)
    for what, call in calls.items():
        error = call.end()
        assert error is None or isinstance(error, DisconnectedException), (what, error)
        with pytest.raises(DisconnectedException):
            connections[what].view()


def test_calls_of_many_threads_on_one_connection_are_all_told(server_process: Any) -> None:
    db = ready(server_process.connect())
    server_process.freeze()
    calls = [Call(lambda do=do: do(db)) for do in WAITS.values() for _ in range(3)]
    killed(server_process)
    assert [type(call.end()) for call in calls] == [DisconnectedException] * len(calls)


def test_connecting_to_a_server_that_dies_meanwhile_fails_at_once(server_process: Any) -> None:
    server_process.freeze()
    call = Call(lambda: connect("localhost", server_process.port, "TOKEN", timeout=3600))
    killed(server_process)
    assert isinstance(call.end(), DisconnectedException)


def test_what_was_loaded_from_a_dead_server_is_still_read_in_an_open_view(server_process: Any) -> None:
    db = ready(server_process.connect())
    commit(db)
    with db.view():
        killed(server_process)
        assert isinstance(Call(db.flush).end(), DisconnectedException)
        assert [thing.n for thing in loaded.Thing.lookupAll()] == [1]


def test_the_next_server_on_the_same_port_is_a_new_one(start_server: Callable[..., Any]) -> None:
    first = start_server()
    db = ready(first.connect())
    commit(db)
    with db.view():
        (thing,) = loaded.Thing.lookupAll()
    first.kill()
    second = start_server(port=first.port)
    with pytest.raises(DisconnectedException):
        db.flush()
    with ready(second.connect()) as again:
        with again.view():
            assert loaded.Thing.lookupAll() == ()
            assert not thing.exists()
