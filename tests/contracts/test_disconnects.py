"""Connections that are lost: what is under way ends at once, what comes later says so, what is here stays readable."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from object_database import (
    DatabaseConnection,
    DisconnectedException,
    Indexed,
    ObjectDatabaseError,
    Schema,
    current_transaction,
)
from object_database.errors import ServerStateError
from object_database.server import Server

pytestmark = [pytest.mark.sanitizer, pytest.mark.timeout(60)]

Connect = Callable[[], DatabaseConnection]

schema = Schema("losses")
_numbers = itertools.count()


@schema.define
class Thing:
    number: Indexed[int]
    text: str


def fresh_schema() -> Schema:
    """A schema that no connection knows yet."""
    made = Schema(f"fresh_{next(_numbers)}")
    made.define(type("Thing", (), {"n": int}))
    return made


def commit(db: DatabaseConnection) -> None:
    with db.transaction():
        Thing(number=1)


def commit_in_time(db: DatabaseConnection) -> None:
    with db.transaction().withCommitTimeout(3600):
        Thing(number=2)


def wait_for_an_event(db: DatabaseConnection) -> None:
    for event in db.subscribeToSchema(fresh_schema(), block=False):
        event.wait()


# What waits, each again and again until the connection ends.
WAITS: dict[str, Callable[[DatabaseConnection], Any]] = {
    "flush": lambda db: db.flush(),
    "commit": commit,
    "a commit with a timeout": commit_in_time,
    "addSchema": lambda db: db.addSchema(fresh_schema()),
    "subscribeToSchema": lambda db: db.subscribeToSchema(fresh_schema()),
    "subscribeToNone": lambda db: db.subscribeToNone(fresh_schema().Thing),
    "an event": wait_for_an_event,
    "waitForCondition": lambda db: db.waitForCondition(lambda: False),
    "waitForTransactionId": lambda db: db.waitForTransactionId(1 << 40),
}


class Waiter:
    """A thread that does something until it raises."""

    def __init__(self, do: Callable[[], Any]):
        self._do = do
        self._raised: BaseException | None = None
        self._is_in = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._is_in.wait(10)

    def _run(self) -> None:
        self._is_in.set()
        try:
            while True:
                self._do()
        except BaseException as error:
            self._raised = error

    def raised(self) -> BaseException | None:
        self._thread.join(10)
        assert not self._thread.is_alive(), "still waiting"
        return self._raised


def by_this_program(server: Server, db: DatabaseConnection) -> None:
    db.disconnect()


def by_its_server(server: Server, db: DatabaseConnection) -> None:
    server.stop()


ENDS = {"disconnected by this program": by_this_program, "the server stops": by_its_server}


@pytest.mark.parametrize("why", ENDS)
@pytest.mark.parametrize("wait", WAITS)
def test_whoever_waits_is_woken_and_told_why(server: Server, db: DatabaseConnection, wait: str, why: str) -> None:
    db.subscribeToSchema(schema)
    waiters = [Waiter(lambda: WAITS[wait](db)) for _ in range(3)]
    db.flush()
    start = time.monotonic()
    ENDS[why](server, db)
    for waiter in waiters:
        error = waiter.raised()
        assert isinstance(error, DisconnectedException), repr(error)
        assert why in str(error)
    assert time.monotonic() - start < 5


def test_connecting_to_a_server_that_stops_ends_with_an_error(server: Server) -> None:
    waiters = [Waiter(lambda: server.connect("TOKEN").disconnect()) for _ in range(3)]
    server.connect("TOKEN").disconnect()
    server.stop()
    for waiter in waiters:
        assert isinstance(waiter.raised(), (DisconnectedException, ServerStateError))


def test_two_threads_may_disconnect_at_once(server: Server) -> None:
    for _ in range(20):
        db = server.connect("TOKEN")
        gate = threading.Barrier(3)

        def leave(db: DatabaseConnection = db, gate: threading.Barrier = gate) -> None:
            gate.wait()
            db.disconnect()

        threads = [threading.Thread(target=leave) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        with pytest.raises(DisconnectedException):
            db.flush()


# ---- afterwards

NEEDS_THE_SERVER: dict[str, Callable[[DatabaseConnection], Any]] = {
    "view": lambda db: db.view(),
    "transaction": lambda db: db.transaction(),
    "flush": lambda db: db.flush(),
    "flush with a timeout": lambda db: db.flush(timeout=3600),
    "addSchema": lambda db: db.addSchema(fresh_schema()),
    "addSchema, known": lambda db: db.addSchema(schema),
    "subscribeToSchema, known": lambda db: db.subscribeToSchema(schema),
    "subscribeToType, known": lambda db: db.subscribeToType(Thing),
    "subscribeToNone, known": lambda db: db.subscribeToNone(Thing),
    "subscribeToSchema": lambda db: db.subscribeToSchema(fresh_schema()),
    "subscribeToSchema without block": lambda db: db.subscribeToSchema(fresh_schema(), block=False),
    "subscribeToType": lambda db: db.subscribeToType(fresh_schema().Thing),
    "subscribeToNone": lambda db: db.subscribeToNone(fresh_schema().Thing),
    "waitForCondition": lambda db: db.waitForCondition(lambda: True),
    "waitForTransactionId": lambda db: db.waitForTransactionId(0),
}


@pytest.mark.parametrize("why", ENDS)
@pytest.mark.parametrize("call", NEEDS_THE_SERVER)
def test_what_needs_the_server_says_that_it_is_gone(
    server: Server, db: DatabaseConnection, call: str, why: str
) -> None:
    db.subscribeToSchema(schema)
    ENDS[why](server, db)
    assert db.disconnected.wait(10)  # it takes a moment until a client knows
    start = time.monotonic()
    with pytest.raises(DisconnectedException, match=why) as caught:
        NEEDS_THE_SERVER[call](db)
    assert not caught.value.retryable
    assert time.monotonic() - start < 5
    assert current_transaction() is None


@pytest.mark.parametrize("why", ENDS)
def test_what_is_known_here_is_still_told(server: Server, db: DatabaseConnection, why: str) -> None:
    db.subscribeToSchema(schema)
    commit(db)
    facts = db.getConnectionMetadata()
    ENDS[why](server, db)
    assert db.isSubscribedToType(Thing)
    assert db.isSubscribedToSchema(schema)
    assert db.currentTransactionId() == 1
    assert db.getConnectionMetadata() == facts
    assert db.disconnected.wait(10)  # it takes a moment until a client knows
    assert "disconnected" in repr(db)
    db.disconnect()
    db.disconnect(block=True)


@pytest.mark.parametrize("why", ENDS)
def test_views_that_are_open_stay_as_they_are(server: Server, db: DatabaseConnection, why: str) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(number=1, text="here")
    early, transaction = db.view(), db.transaction()
    with db.view():
        ENDS[why](server, db)
        assert (thing.text, Thing.lookupAll(number=1)) == ("here", (thing,))
    with early:  # made before, entered after
        assert thing.exists()
    with transaction:  # without a write there is nothing to commit
        assert thing.number == 1
    assert current_transaction() is None


@pytest.mark.parametrize("why", ENDS)
@pytest.mark.parametrize("is_inside", [False, True])
def test_a_transaction_that_cannot_be_committed_any_more_says_so(
    server: Server, db: DatabaseConnection, why: str, is_inside: bool
) -> None:
    db.subscribeToSchema(schema)
    transaction = db.transaction()
    if not is_inside:
        ENDS[why](server, db)
    with pytest.raises(DisconnectedException, match=why):
        with transaction:
            thing = Thing(number=1)
            thing.text = "written"
            if is_inside:
                ENDS[why](server, db)
            thing.number = 2
            assert Thing.lookupAll() == (thing,)
            thing.delete()
            Thing(number=3)
    assert current_transaction() is None


def test_an_exception_in_a_lost_transaction_is_the_one_that_is_raised(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with pytest.raises(ZeroDivisionError):
        with db.transaction():
            Thing(number=1)
            db.disconnect()
            1 / 0
    assert current_transaction() is None


def test_the_others_do_not_notice(server: Server, connect_db: Connect) -> None:
    stays = connect_db()
    stays.subscribeToSchema(schema)
    for _ in range(10):
        leaves = server.connect("TOKEN")
        leaves.subscribeToSchema(schema)
        waiter = Waiter(lambda leaves=leaves: commit(leaves))
        stays.waitForCondition(Thing.lookupAny)
        leaves.disconnect()
        assert isinstance(waiter.raised(), DisconnectedException)
        stays.flush()
        with stays.transaction():
            for thing in Thing.lookupAll():
                thing.delete()


# ---- exceptions where the engine calls the program


def test_a_condition_may_disconnect(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    calls = []

    def leave() -> bool:
        calls.append(db.disconnect())
        return False

    with pytest.raises(DisconnectedException):
        db.waitForCondition(leave, timeout=30)
    assert len(calls) == 1
    assert current_transaction() is None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, DisconnectedException])
def test_what_a_condition_raises_ends_the_wait_and_the_connection_lives(
    db: DatabaseConnection, error: type[BaseException]
) -> None:
    db.subscribeToSchema(schema)

    def fail() -> bool:
        raise error("the condition's own")

    for _ in range(3):
        with pytest.raises(error, match="the condition's own"):
            db.waitForCondition(fail)
        assert current_transaction() is None
    commit(db)


def test_a_condition_cannot_open_a_view_and_what_it_returns_is_asked_in_the_view(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with pytest.raises(ObjectDatabaseError, match=r"open|inside|nest"):
        db.waitForCondition(lambda: db.view().__enter__())

    class Asks:
        def __bool__(self) -> bool:
            return not Thing.lookupAll()

    assert db.waitForCondition(Asks)


def test_a_truth_that_cannot_be_told_is_the_conditions_error(db: DatabaseConnection) -> None:
    class Untold:
        def __bool__(self) -> bool:
            raise ArithmeticError("neither")

    with pytest.raises(ArithmeticError, match="neither"):
        db.waitForCondition(Untold)
    assert current_transaction() is None
    db.flush()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_init_raises_undoes_that_object_and_the_rest_is_committed(
    connect_db: Connect, error: type[BaseException]
) -> None:
    made = Schema("fails")

    @made.define
    class Fragile:
        number: Indexed[int]

        def __init__(self, number: int, fails: bool = False) -> None:
            self.number = number
            if fails:
                raise error(f"number {number}")

    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(made)
    with first.transaction():
        whole = Fragile(1)
        with pytest.raises(error, match="number 2"):
            Fragile(2, fails=True)
        assert Fragile.lookupAll() == (whole,)
        assert Fragile.lookupAll(number=2) == ()
        Fragile(3)
    second.flush()
    with second.view():
        assert [fragile.number for fragile in Fragile.lookupAll()] == [1, 3]
        assert Fragile.lookupAny(number=2) is None
