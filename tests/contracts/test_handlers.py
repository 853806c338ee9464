"""What runs behind a program's back: transaction handlers, onConfirmed, unconfirmed commits; and the waits (D19, D27)."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from object_database import DatabaseConnection, DisconnectedException, Indexed, RevisionConflictException, Schema
from object_database.database_connection import TransactionResult
from object_database.errors import (
    BlockingCallError,
    FlushTimeoutError,
    ObjectDoesntExistException,
    UniqueViolationError,
)
from object_database.schema import IndexId, ObjectFieldId, Unique
from object_database.server import Server
from object_database.view import MaskView

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

schema = Schema("handlers")
PATIENCE_S = 20
EXISTS, TRUE = 0xFFFF, b"\x05"


@schema.define
class Cell:
    value: Indexed[int]  # a write of it is a read as well (D13)
    plain: int


@schema.define
class Other:
    value: int


@pytest.fixture
def cells(connect_db: Connect) -> DatabaseConnection:
    made = connect_db()
    made.subscribeToSchema(schema)
    return made


@pytest.fixture
def writer(connect_db: Connect) -> DatabaseConnection:
    made = connect_db()
    made.subscribeToSchema(schema)
    return made


@pytest.fixture
def cell(cells: DatabaseConnection, writer: DatabaseConnection) -> Cell:
    with cells.transaction():
        made = Cell(value=1)
    writer.flush()
    return made


class Heard:
    """A handler or callback that keeps what it is called with, for a test that waits for it."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Any] = queue.Queue()

    def __call__(self, *arguments: Any) -> None:
        self._calls.put(arguments[0] if len(arguments) == 1 else arguments)

    def next(self) -> Any:
        return self._calls.get(timeout=PATIENCE_S)

    def is_empty(self) -> bool:
        return self._calls.empty()


# ---- transaction handlers


def test_a_handler_is_told_what_a_transaction_changed(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell
) -> None:
    heard = Heard()
    cells.registerOnTransactionHandler(heard)
    with writer.transaction() as t:
        cell.value = 2
        made = Cell(value=3)
        expected_writes, index_writes = t.getFieldWrites(), t.getIndexWrites()
    writes, adds, removes, tid = heard.next()
    assert writes == expected_writes
    assert {*adds, *removes} == index_writes
    assert tid == writer.currentTransactionId() == cells.currentTransactionId()
    base = next(iter(writes)).fieldId & ~0xFFFF
    assert adds[IndexId(base | EXISTS, TRUE)] == (made._identity,)
    assert all(isinstance(key, ObjectFieldId) and not key.isIndexValue for key in writes)
    with writer.transaction():
        made.delete()
    writes, adds, removes, _ = heard.next()
    assert writes[ObjectFieldId(made._identity, base | EXISTS)] is None
    assert adds == {}
    assert removes[IndexId(base | EXISTS, TRUE)] == (made._identity,)


def test_a_handler_sees_its_transaction_or_a_later_one(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell
) -> None:
    heard = Heard()

    def look(_writes: Any, _adds: Any, _removes: Any, tid: int) -> None:
        with cells.view() as view:
            heard(tid, view.transaction_id(), cell.value)

    cells.registerOnTransactionHandler(look)
    for value in range(10, 20):
        with writer.transaction():
            cell.value = value
    last = writer.currentTransactionId()
    while True:
        tid, seen, value = heard.next()
        assert seen >= tid
        if tid == last:
            break
    assert value == 19


def test_handlers_are_called_in_order_and_dropped_ones_are_not(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell
) -> None:
    first, second = Heard(), Heard()
    cells.registerOnTransactionHandler(first)
    cells.registerOnTransactionHandler(second)
    for value in (5, 6):
        with writer.transaction():
            cell.value = value
        assert first.next()[3] == second.next()[3] == writer.currentTransactionId()
    cells.dropTransactionHandler(first)
    with writer.transaction():
        cell.value = 7
    second.next()
    assert first.is_empty()
    cells.dropTransactionHandler(second)
    cells.dropTransactionHandler(second)  # nothing
    cells.registerOnTransactionHandler(first)
    with writer.transaction():
        cell.value = 8
    assert first.next()[3] == writer.currentTransactionId()
    assert second.is_empty()


def test_own_transactions_are_told_as_well(cells: DatabaseConnection, cell: Cell) -> None:
    heard = Heard()
    cells.registerOnTransactionHandler(heard)
    with cells.transaction():
        cell.value = 3
    assert heard.next()[3] == cells.currentTransactionId()


def test_a_completed_subscription_is_told_without_a_change(connect_db: Connect, cell: Cell) -> None:
    late, heard = connect_db(), Heard()
    late.registerOnTransactionHandler(heard)
    late.subscribeToType(Cell)
    assert heard.next() == ({}, {}, {}, late.currentTransactionId())


def test_what_a_handler_raises_is_logged_and_the_next_is_called(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()

    def fail(*_: Any) -> None:
        raise KeyError("a handler of the program")

    cells.registerOnTransactionHandler(fail)
    cells.registerOnTransactionHandler(heard)
    with writer.transaction():
        cell.value = 2
    heard.next()
    assert "a handler of the program" in caplog.text


def test_a_slow_handler_is_told_of_many_transactions_at_once(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell
) -> None:
    heard, entered, go_on = Heard(), threading.Event(), threading.Event()

    def slow(*told: Any) -> None:
        entered.set()
        go_on.wait(PATIENCE_S)
        heard(*told)

    cells.registerOnTransactionHandler(slow)
    count = 1500
    for value in range(count):
        with writer.transaction().noconfirm():
            cell.plain = 1000 + value
        if value == 0:
            writer.flush()
            assert entered.wait(PATIENCE_S)
    writer.flush()
    cells.flush()
    go_on.set()
    last, calls = writer.currentTransactionId(), 0
    while True:
        writes, adds, removes, tid = heard.next()
        calls += 1
        assert len(writes) == 1
        assert adds == removes == {}
        if tid == last:
            break
    assert calls < count / 2, "beyond the bound waiting transactions are merged"
    with writer.transaction() as t:
        cell.plain = 1000 + count - 1
        assert writes == t.getFieldWrites(), "of what was merged the last value is told"


@pytest.mark.parametrize(
    "wait",
    [
        lambda db, cell: db.flush(),
        lambda db, cell: db.addSchema(Schema("handlers_more")) or db.flush(),
        lambda db, cell: db.waitForCondition(lambda: True),
        lambda db, cell: db.waitForTransactionId(1),
        lambda db, cell: write(db, cell),
    ],
    ids=["flush", "addSchema", "waitForCondition", "waitForTransactionId", "commit"],
)
def test_a_handler_must_not_wait_for_its_connection(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell, wait: Callable[..., Any]
) -> None:
    heard = Heard()

    def handler(*_: Any) -> None:
        try:
            wait(cells, cell)
            heard(None)
        except Exception as error:
            heard(error)

    cells.registerOnTransactionHandler(handler)
    with writer.transaction():
        cell.value = 2
    assert isinstance(heard.next(), BlockingCallError)


def write(db: DatabaseConnection, cell: Cell) -> None:
    with db.transaction():
        cell.value = 99


def test_a_handler_may_commit_without_waiting_and_wait_for_other_connections(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell
) -> None:
    heard, done = Heard(), Heard()

    def handler(*_: Any) -> None:
        cells.dropTransactionHandler(handler)
        with cells.transaction().onConfirmed(heard):
            Other(value=1)
        with cells.transaction().noconfirm():
            Other(value=2)
        writer.flush()
        done(None)

    cells.registerOnTransactionHandler(handler)
    with writer.transaction():
        cell.value = 2
    assert done.next() is None
    assert heard.next().matches.Success
    cells.flush()
    with cells.view() as view:
        assert view.count(Other) == 2


def test_the_thread_ends_with_the_connection(cells: DatabaseConnection, cell: Cell) -> None:
    heard = Heard()
    cells.registerOnTransactionHandler(lambda *_: heard(threading.current_thread()))
    with cells.transaction():
        cell.value = 2
    thread = heard.next()
    assert thread.daemon
    assert thread is not threading.current_thread()
    cells.disconnect()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    with pytest.raises(DisconnectedException):
        cells.registerOnTransactionHandler(heard)


def test_a_connection_with_handlers_is_kept_and_one_without_is_not(server: Server, writer: DatabaseConnection) -> None:
    heard = Heard()
    db = server.connect("TOKEN")
    db.subscribeToSchema(schema)
    db.registerOnTransactionHandler(heard)
    gone = weakref.ref(db)
    del db
    gc.collect()
    with writer.transaction():
        Cell(value=1)
    assert heard.next()[3] == writer.currentTransactionId()
    gone().dropTransactionHandler(heard)  # type: ignore[union-attr]
    deadline = time.monotonic() + PATIENCE_S
    while gone() is not None and time.monotonic() < deadline:
        gc.collect()
    assert gone() is None


# ---- onConfirmed


def test_a_callback_is_told_that_the_commit_was_carried_out(cells: DatabaseConnection, cell: Cell) -> None:
    heard = Heard()
    with cells.transaction().onConfirmed(heard):
        cell.value = 2
    result = heard.next()
    assert result.matches.Success
    assert not result.matches.RevisionConflict
    assert result.error is None
    with cells.view():
        assert cell.value == 2  # visible before the callback
    with cells.transaction().onConfirmed(heard):
        pass  # nothing was to be done, and it is
    assert heard.next().matches.Success


def test_a_callback_is_told_of_a_conflict(cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell) -> None:
    heard = Heard()
    with cells.transaction().onConfirmed(heard):
        cell.value += 1
        with MaskView(), writer.transaction():
            cell.value = 7
    result = heard.next()
    assert result.matches.RevisionConflict
    assert not result.matches.Success
    assert result.key.obj == cell
    assert isinstance(result.error, RevisionConflictException)


def test_a_callback_is_told_of_other_refusals(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell
) -> None:
    heard = Heard()
    transaction = cells.transaction().onConfirmed(heard)
    with transaction.nocommit():
        cell.value = 3
    with writer.transaction():
        cell.delete()
    cells.flush()
    transaction.commit()
    result = heard.next()
    assert isinstance(result.error, (ObjectDoesntExistException, RevisionConflictException))
    assert result.matches.ServerException or result.matches.RevisionConflict


def test_a_value_that_is_not_unique_is_told_as_the_error_that_it_is(cells: DatabaseConnection) -> None:
    unique, heard = Schema("handlers_unique"), Heard()

    @unique.define
    class Name:
        text: Unique[str]

    cells.subscribeToSchema(unique)
    for _ in range(2):
        with cells.transaction().onConfirmed(heard):
            Name(text="same")
    assert heard.next().matches.Success
    result = heard.next()
    assert result.matches.ServerException
    assert "UniqueViolationError" in result.traceback
    assert isinstance(result.error, UniqueViolationError)


def test_a_callback_is_called_also_after_the_end(server: Server, cells: DatabaseConnection, cell: Cell) -> None:
    heard = Heard()
    transaction = cells.transaction().onConfirmed(heard)
    with transaction.nocommit():
        cell.value = 3
    cells.disconnect()
    transaction.commit()
    result = heard.next()
    assert result.matches.Disconnected
    assert isinstance(result.error, DisconnectedException)


def test_callbacks_come_in_the_order_of_the_commits(cells: DatabaseConnection, cell: Cell) -> None:
    heard = Heard()
    for value in range(300):
        with cells.transaction().onConfirmed(lambda result, value=value: heard((value, result.matches.Success))):
            cell.plain = value
    assert [heard.next() for _ in range(300)] == [(value, True) for value in range(300)]


def test_a_callback_that_commits_again_goes_on(cells: DatabaseConnection, cell: Cell) -> None:
    done = threading.Event()

    def again(result: TransactionResult) -> None:
        assert result.matches.Success
        with cells.view():
            left = cell.plain
        if left == 0:
            return done.set()
        with cells.transaction().onConfirmed(again):
            cell.plain = left - 1

    with cells.transaction().onConfirmed(again):
        cell.plain = 50
    assert done.wait(PATIENCE_S)


# ---- unconfirmed commits


def test_unconfirmed_commits_are_there_after_a_flush(cells: DatabaseConnection, cell: Cell) -> None:
    for value in range(3000):  # more than may be unanswered at a time
        with cells.transaction().noconfirm():
            cell.plain = value
    cells.flush()
    with cells.view():
        assert cell.plain == 2999
    assert cells.lost_commits == 0


def test_lost_commits_are_counted_and_logged(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell, caplog: pytest.LogCaptureFixture
) -> None:
    for value in range(5):
        with cells.transaction().noconfirm():
            cell.value += 1
            with MaskView(), writer.transaction():
                cell.value = 10 * value
    cells.flush()
    assert cells.lost_commits == 5
    deadline = time.monotonic() + PATIENCE_S
    while "5 in all" not in caplog.text and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert "5 in all" in caplog.text
    records = [record for record in caplog.records if "unconfirmed commits were lost" in record.message]
    assert len(records) <= 3, "one line for many losses"
    assert {record.levelno for record in records} == {logging.WARNING}


def test_large_unconfirmed_commits_wait_for_each_other(cells: DatabaseConnection) -> None:
    big = Schema("handlers_big")

    @big.define
    class Blob:
        data: bytes

    cells.subscribeToSchema(big)
    for number in range(6):  # each alone takes half of what may be unanswered, the last is above it
        with cells.transaction().noconfirm():
            for _ in range(2 if number < 5 else 5):
                Blob(data=bytes(2 << 20))
    cells.flush()
    with cells.view() as view:
        assert view.count(Blob) == 15
    assert cells.lost_commits == 0


# ---- waits


def test_waiting_for_a_transaction_of_others(cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell) -> None:
    tid = writer.currentTransactionId()
    waited = Heard()

    def wait() -> None:
        cells.waitForTransactionId(tid + 1, PATIENCE_S)
        with cells.view() as view:
            waited(view.transaction_id())

    thread = threading.Thread(target=wait)
    thread.start()
    with writer.transaction():
        cell.value = 2
    assert waited.next() >= tid + 1
    thread.join()
    with pytest.raises(FlushTimeoutError, match="did not arrive in time"):
        cells.waitForTransactionId(tid + 1000, 0.01)


def test_waiting_for_a_transaction_that_changes_nothing_here(connect_db: Connect, writer: DatabaseConnection) -> None:
    stranger = connect_db()
    with writer.transaction():
        Cell(value=1)
    stranger.waitForTransactionId(writer.currentTransactionId(), PATIENCE_S)
    assert stranger.currentTransactionId() >= writer.currentTransactionId()


def test_a_condition_is_looked_at_again_after_max_sleep_time(cells: DatabaseConnection) -> None:
    looks = 0

    def third_time() -> bool:
        nonlocal looks
        looks += 1
        return looks == 3

    assert cells.waitForCondition(third_time, timeout=PATIENCE_S, maxSleepTime=0.001)


def test_a_completed_subscription_wakes_who_waits_for_a_condition(connect_db: Connect, cell: Cell) -> None:
    late, looked, met = connect_db(), threading.Event(), Heard()
    late.subscribeToNone(Cell)

    def is_here() -> bool:
        looked.set()
        return len(Cell.lookupAll()) == 1

    thread = threading.Thread(target=lambda: met(late.waitForCondition(is_here, timeout=PATIENCE_S)))
    thread.start()
    assert looked.wait(PATIENCE_S)
    late.subscribeToType(Cell)
    assert met.next() is True
    thread.join()


def test_the_last_transaction_of_a_type_and_of_a_schema(
    cells: DatabaseConnection, writer: DatabaseConnection, cell: Cell, connect_db: Connect
) -> None:
    stranger = connect_db()
    assert stranger.currentTransactionIdForType(Cell) == stranger.currentTransactionIdForSchema(schema) == 0
    at_cell = cells.currentTransactionIdForType(Cell)
    assert at_cell > 0
    assert cells.currentTransactionIdForType(Other) == 0
    with writer.transaction():
        Other(value=1)
    cells.flush()
    assert cells.currentTransactionIdForType(Cell) == at_cell
    assert cells.currentTransactionIdForType(Other) == cells.currentTransactionId()
    assert cells.currentTransactionIdForSchema(schema) == cells.currentTransactionId()


def test_a_thread_that_the_system_does_not_give_is_asked_for_again(
    cells: DatabaseConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    heard = Heard()
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError), cells.transaction().onConfirmed(heard):
            Cell(value=1)
        with pytest.raises(RuntimeError):
            cells.registerOnTransactionHandler(heard)
    with cells.transaction().onConfirmed(heard):
        Cell(value=2)
    assert heard.next().matches.Success
    cells.dropTransactionHandler(heard)  # was not registered
    cells.disconnect()
