"""Connections: how they begin, what they bring, how they end."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from object_database import (
    AuthenticationError,
    DatabaseConnection,
    DisconnectedException,
    Indexed,
    NotSubscribedError,
    RevisionConflictException,
    Schema,
    current_transaction,
    revisionConflictRetry,
)
from object_database.errors import ConnectionStateError, NoTransactionError, ServerStateError
from object_database.server import Server

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

schema = Schema("lines")


@schema.define
class Message:
    number: Indexed[int]
    text: str


def in_thread(do: Callable[[], Any]) -> Callable[[], BaseException | None]:
    """Starts `do`; what is returned joins it and gives what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def join() -> BaseException | None:
        thread.join(10)
        assert not thread.is_alive(), "still waiting"
        return raised[0] if raised else None

    return join


def flush_for_ever(db: DatabaseConnection) -> None:
    while True:
        db.flush()


# ---- beginning


@pytest.mark.parametrize("token", ["", "token", "TOKEN ", "TOKENTOKEN", "ŤOKEN", "T" * 3000])
def test_a_wrong_token_is_refused_within_a_second(server: Server, token: str) -> None:
    start = time.monotonic()
    with pytest.raises(AuthenticationError, match="token"):
        server.connect(token)
    assert time.monotonic() - start < 1
    server.connect("TOKEN").disconnect()


def test_a_refused_token_leaves_nothing_behind(server: Server, connect_db: Connect) -> None:
    db = connect_db()
    for _ in range(20):
        with pytest.raises(AuthenticationError):
            server.connect("wrong")
    db.flush()
    assert server._core.figures()["connections"] == 1


def test_connections_say_what_they_are(db: DatabaseConnection) -> None:
    assert "DatabaseConnection connected" in repr(db)
    assert db.currentTransactionId() == 0
    db.disconnect()
    assert "DatabaseConnection disconnected" in repr(db)


# ---- what is there


def test_what_one_commits_the_other_sees(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)
    with first.transaction():
        message = Message(number=1, text="hello")
    second.flush()
    with second.transaction():
        assert Message.lookupOne(number=1) == message
        message.text += " world"
    first.flush()
    with first.view():
        assert message.text == "hello world"


def test_a_subscription_brings_what_was_there_before(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    with first.transaction():
        made = [Message(number=n % 10, text="x" * n) for n in range(3000)]  # several pieces
    with first.transaction():
        made.pop(0).delete()
    second.subscribeToSchema(schema)
    with second.view():
        assert Message.lookupAll() == tuple(made)
        assert [message.text for message in made] == ["x" * n for n in range(1, 3000)]
        assert Message.lookupAll(number=3) == tuple(made[2::10])


def test_a_subscription_that_does_not_block_completes(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    with first.transaction():
        Message(number=1)
    (event,) = second.subscribeToSchema(schema, block=False)
    assert event.wait(10)
    assert event.is_set()
    assert second.isSubscribedToSchema(schema)
    with second.view():
        assert Message.lookupOne(number=1)
    assert second.subscribeToSchema(schema, block=False) == ()  # nothing left to do
    assert second.subscribeToType(Message) == ()


def test_a_subscription_misses_nothing_while_others_commit(connect_db: Connect) -> None:
    writer, reader = connect_db(), connect_db()
    writer.subscribeToSchema(schema)
    with writer.transaction():
        for n in range(2000):
            Message(number=n, text="x" * 100)
    stop = threading.Event()

    def write() -> None:
        number = 10_000
        while not stop.is_set():
            with writer.transaction():
                Message(number=number)
                Message.lookupOne(number=number - 10_000).number = number + 10_000
            number += 1

    join = in_thread(write)
    reader.subscribeToSchema(schema)
    stop.set()
    assert join() is None
    reader.flush()
    with writer.view() as view:
        expected = {message: message.number for message in Message.lookupAll()}
        tid = view.transaction_id()
    with reader.view() as view:
        assert view.transaction_id() == tid
        assert {message: message.number for message in Message.lookupAll()} == expected


def test_a_large_value_and_a_large_transaction_pass(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)
    with first.transaction():
        big = Message(text="ä" * 1_000_000)
        many = [Message(number=n, text="y" * 100) for n in range(30_000)]
    second.flush()
    with second.view():
        assert big.text == "ä" * 1_000_000
        assert len(Message.lookupAll()) == len(many) + 1
        assert (many[0].number, many[-1].number) == (0, 29_999)


def test_commits_of_many_connections_are_all_there(connect_db: Connect) -> None:
    connections = [connect_db() for _ in range(4)]
    for db in connections:
        db.subscribeToSchema(schema)
    with connections[0].transaction():
        counter = Message()

    def count(db: DatabaseConnection) -> None:
        @revisionConflictRetry
        def add_one() -> None:
            with db.transaction():
                counter.number += 1
                Message(number=-1)

        db.flush()
        for _ in range(25):
            add_one()

    joins = [in_thread(lambda db=db: count(db)) for db in connections]
    assert [join() for join in joins] == [None] * 4
    for db in connections:
        db.flush()
        with db.view():
            assert counter.number == 100
            assert len(Message.lookupAll(number=-1)) == 100


def test_wait_for_condition_wakes_when_it_holds(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)
    seen = []
    join = in_thread(lambda: seen.append(second.waitForCondition(lambda: Message.lookupAny(number=7) is not None)))
    with first.transaction():
        Message(number=6)
    with first.transaction():
        Message(number=7)
    assert join() is None
    assert seen == [True]
    assert second.waitForCondition(lambda: False, timeout=0.01) is False
    assert current_transaction() is None


def test_wait_for_condition_raises_what_the_condition_raises(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with pytest.raises(ZeroDivisionError):
        db.waitForCondition(lambda: 1 / 0)
    with pytest.raises(NoTransactionError):
        db.waitForCondition(Message)
    assert current_transaction() is None


def test_flush_brings_everything_that_was_committed_before(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)
    for n in range(100):
        with first.transaction():
            message = Message(number=n)
        second.flush()
        with second.view() as view:
            assert message.number == n
            assert view.transaction_id() == first.currentTransactionId() == n + 1
    second.waitForTransactionId(100, timeout=10)
    with pytest.raises(TimeoutError, match=r"transaction 101 did not arrive in time; the last one is 100"):
        second.waitForTransactionId(101, timeout=0.01)


def test_the_objects_of_a_connection_outlive_it(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    with first.transaction():
        message = Message(number=1)
    first.disconnect()
    second.subscribeToSchema(schema)
    with second.transaction():
        assert message.number == 1
        message.number = 2


# ---- the end


def test_disconnect_wakes_whoever_waits(connect_db: Connect) -> None:
    db, other = connect_db(), connect_db()
    db.subscribeToSchema(schema)
    joins = [in_thread(lambda: flush_for_ever(db)) for _ in range(3)]
    joins.append(in_thread(lambda: db.waitForCondition(lambda: False)))
    joins.append(in_thread(lambda: other.flush()))
    db.flush()
    db.disconnect()
    db.disconnect()  # again
    raised = [join() for join in joins]
    assert [type(error) for error in raised] == [DisconnectedException] * 4 + [type(None)]
    assert "disconnected by this program" in str(raised[0])


def test_a_server_that_stops_wakes_whoever_waits_and_says_so(server: Server, connect_db: Connect) -> None:
    connections = [connect_db() for _ in range(3)]
    for db in connections:
        db.subscribeToSchema(schema)
    joins = [in_thread(lambda db=db: flush_for_ever(db)) for db in connections]
    joins.append(in_thread(lambda: connections[0].waitForCondition(lambda: False)))
    connections[0].flush()
    start = time.monotonic()
    server.stop()
    server.stop()  # again
    raised = [join() for join in joins]
    assert time.monotonic() - start < 5
    assert {type(error) for error in raised} == {DisconnectedException}
    assert "the server stops" in str(raised[0])


def test_after_a_disconnect_every_call_says_so_and_what_is_open_stays_readable(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    late = Schema("late")
    with db.transaction():
        message = Message(number=1)
    transaction = db.transaction()
    with db.view():
        db.disconnect()
        assert message.number == 1
        assert Message.lookupAll(number=1) == (message,)
    calls = [db.view, db.transaction, db.flush, lambda: db.waitForCondition(lambda: True)]
    calls.append(lambda: db.subscribeToNone(Message))
    for call in calls:
        with pytest.raises(DisconnectedException, match="disconnected by this program"):
            call()
    late.define(type("Thing", (), {"n": int}))
    with pytest.raises(DisconnectedException):
        db.addSchema(late)
    with pytest.raises(DisconnectedException):
        with transaction:
            assert message.number == 1
            message.number = 2
    assert current_transaction() is None


def test_a_connection_is_left_at_the_end_of_its_with_block(server: Server) -> None:
    with server.connect("TOKEN") as db:
        db.flush()
    with pytest.raises(DisconnectedException):
        db.view()


def test_a_connection_that_nobody_holds_is_left(server: Server, connect_db: Connect) -> None:
    observer = connect_db()
    dropped = server.connect("TOKEN")
    dropped.subscribeToSchema(schema)
    view = dropped.view()
    assert server._core.figures()["connections"] == 2
    del dropped
    gc.collect()
    assert server._core.figures()["connections"] == 2  # the view holds it
    del view
    gc.collect()
    while server._core.figures()["connections"] > 1:  # its farewell is on the way
        observer.flush()


def test_a_stopped_server_takes_no_connections_and_does_not_start_again(server: Server) -> None:
    with pytest.raises(ServerStateError, match="this server was started already"):
        server.start()
    server.stop()
    with pytest.raises(DisconnectedException):
        server.connect("TOKEN")
    with pytest.raises(ServerStateError):
        server.start()


def test_a_lost_commit_is_told_apart_from_a_refused_one(server: Server, connect_db: Connect) -> None:
    db = connect_db()
    db.subscribeToSchema(schema)
    transaction = db.transaction()
    server.stop()
    with pytest.raises(DisconnectedException) as caught:
        with transaction:
            Message(number=1)
    assert not isinstance(caught.value, RevisionConflictException)
    assert not caught.value.retryable


def test_not_subscribed_is_no_reason_to_disconnect(db: DatabaseConnection) -> None:
    db.addSchema(schema)
    with db.view(), pytest.raises(NotSubscribedError):
        Message.lookupAll()
    db.flush()


def test_a_connection_gives_the_token_for_another_one(db: DatabaseConnection, server: Server) -> None:
    with server.connect(db.auth_token) as other:
        other.flush()
    assert db.auth_token == "TOKEN"
    assert db.auth_token not in repr(db)
    assert db.initialized.is_set()
    with pytest.raises(ConnectionStateError):
        db.authenticate(db.auth_token)
