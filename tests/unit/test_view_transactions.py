"""Views at a transaction id, commits by hand, and how a transaction is set up (D7, D19)."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from object_database import (
    DatabaseConnection,
    Indexed,
    RevisionConflictException,
    Schema,
    current_transaction,
)
from object_database.errors import (
    FutureTransactionError,
    NoViewError,
    SnapshotTooOldError,
    ValueTypeError,
    ViewStateError,
)
from object_database.view import MaskView

Connect = Callable[[], DatabaseConnection]

schema = Schema("view_transactions")


@schema.define
class Cell:
    value: Indexed[int]


@pytest.fixture
def cells(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


@pytest.fixture
def cell(cells: DatabaseConnection) -> Cell:
    with cells.transaction():
        return Cell(value=1)


def write(db: DatabaseConnection, cell: Cell, value: int) -> None:
    with MaskView(), db.transaction():
        cell.value = value


# ---- a version of one's choice


def test_a_view_is_opened_at_a_version_that_another_view_keeps(cells: DatabaseConnection, cell: Cell) -> None:
    kept = cells.view()
    write(cells, cell, 2)
    with cells.view(kept.transaction_id()) as view:
        assert view.transaction_id() == kept.transaction_id()
        assert cell.value == 1
    with cells.view(transaction_id=cells.currentTransactionId()):
        assert cell.value == 2


def test_a_transaction_at_an_old_version_conflicts_with_what_came_after(cells: DatabaseConnection, cell: Cell) -> None:
    kept = cells.view()
    write(cells, cell, 2)
    with pytest.raises(RevisionConflictException), cells.transaction(kept.transaction_id()):
        cell.value += 10
    with cells.view():
        assert cell.value == 2


def test_a_version_that_nobody_keeps_is_too_old(cells: DatabaseConnection, cell: Cell) -> None:
    old = cells.currentTransactionId()
    write(cells, cell, 2)
    for make in (cells.view, cells.transaction):
        with pytest.raises(SnapshotTooOldError, match=f"version {old} is no longer kept"):
            make(old)


def test_a_version_of_the_future_is_an_assertion_error(cells: DatabaseConnection) -> None:
    for make in (cells.view, cells.transaction):
        with pytest.raises(FutureTransactionError, match="has not arrived here") as raised:
            make(cells.currentTransactionId() + 1)
        assert isinstance(raised.value, AssertionError)


@pytest.mark.parametrize("wrong", [-1, "1", 1.5, 1 << 70])
def test_a_transaction_id_is_a_number(cells: DatabaseConnection, wrong: Any) -> None:
    with pytest.raises(ValueTypeError):
        cells.view(wrong)


# ---- commits by hand


def test_nocommit_leaves_the_commit_to_the_program(cells: DatabaseConnection, cell: Cell) -> None:
    transaction = cells.transaction()
    with transaction.nocommit():
        assert current_transaction() is transaction
        cell.value = 2
    assert current_transaction() is None
    with cells.view():
        assert cell.value == 1
    with transaction.nocommit():  # what was written is still there
        assert cell.value == 2
        cell.value = 3
    transaction.commit()
    with cells.view():
        assert cell.value == 3


def test_a_transaction_commits_once(cells: DatabaseConnection, cell: Cell) -> None:
    transaction = cells.transaction()
    with transaction.nocommit():
        cell.value = 2
    transaction.commit()
    with pytest.raises(ViewStateError, match="finished"):
        transaction.commit()
    with pytest.raises(ViewStateError, match="finished"), transaction:
        pass
    with pytest.raises(ViewStateError, match="finished"), transaction.nocommit():
        pass
    assert cells.currentTransactionId() == transaction_count(cells)


def transaction_count(db: DatabaseConnection) -> int:
    db.flush()
    return db.currentTransactionId()


def test_a_commit_inside_of_nocommit_ends_the_transaction_there(cells: DatabaseConnection, cell: Cell) -> None:
    transaction = cells.transaction()
    with transaction.nocommit():
        cell.value = 2
        transaction.commit()
        assert current_transaction() is None
        with pytest.raises(NoViewError):
            _ = cell.value
    with cells.view():
        assert cell.value == 2


def test_a_commit_inside_of_a_plain_block_is_refused(cells: DatabaseConnection, cell: Cell) -> None:
    with cells.transaction() as transaction:
        cell.value = 2
        with pytest.raises(ViewStateError, match="nocommit"):
            transaction.commit()
    with cells.view():
        assert cell.value == 2


def test_views_are_not_committed(cells: DatabaseConnection) -> None:
    with pytest.raises(ViewStateError, match="static"):
        cells.view().commit()


def test_a_refused_commit_by_hand_is_over(cells: DatabaseConnection, cell: Cell) -> None:
    transaction = cells.transaction()
    with transaction.nocommit():
        cell.value += 1
    write(cells, cell, 5)
    with pytest.raises(RevisionConflictException):
        transaction.commit()
    with pytest.raises(ViewStateError):
        transaction.commit()


def test_nocommit_keeps_the_rules_of_views(cells: DatabaseConnection) -> None:
    with cells.view(), pytest.raises(ViewStateError, match="open already"), cells.transaction().nocommit():
        pass


def test_an_exception_inside_of_nocommit_passes_and_the_writes_stay(cells: DatabaseConnection, cell: Cell) -> None:
    transaction = cells.transaction()
    with pytest.raises(KeyError), transaction.nocommit():
        cell.value = 2
        raise KeyError
    transaction.commit()
    with cells.view():
        assert cell.value == 2


# ---- how it is set up


def test_settings_chain_in_any_order_and_also_after_entering(cells: DatabaseConnection, cell: Cell) -> None:
    transaction = cells.transaction()
    context = object()
    assert (
        transaction.noLog().noconfirm().withCommitTimeout(5).setSerializationContext(context).onConfirmed(print)
        is transaction
    )
    assert transaction.serializationContext is context
    assert cells.view().serializationContext is None
    with cells.transaction() as late:
        late.noconfirm().noLog()
        cell.value = 2
    cells.flush()
    with cells.view():
        assert cell.value == 2


def test_a_callback_that_refers_to_its_transaction_is_no_leak(cells: DatabaseConnection, cell: Cell) -> None:
    class Held:
        pass

    def commit() -> weakref.ref[Held]:
        held = Held()
        with cells.transaction() as transaction:
            transaction.addViewWatcher(lambda *_: (transaction, held))
            cell.value = 2
        return weakref.ref(held)

    gone = commit()
    gc.collect()
    assert gone() is None


def test_a_slow_commit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    from object_database.view import _log_slow_commit

    with caplog.at_level(logging.INFO, "object_database.view"):
        _log_slow_commit(1.5, False)
    assert "a commit took 1.5 s and failed" in caplog.text


# ---- MaskView


def test_a_masked_view_is_back_afterwards(cells: DatabaseConnection, cell: Cell) -> None:
    mask = MaskView()
    with cells.view() as outer:
        with mask:
            assert current_transaction() is None
            with cells.transaction():
                cell.value = 2
                with mask, cells.view():
                    assert cell.value == 1
                assert cell.value == 2
        assert current_transaction() is outer
        assert cell.value == 1
    with MaskView():
        pass
    assert current_transaction() is None


def test_a_mask_that_is_not_entered_cannot_be_left() -> None:
    with pytest.raises(ViewStateError, match="not entered"):
        MaskView().__exit__(None, None, None)


def test_a_view_left_open_under_a_mask_is_not_current_any_more(cells: DatabaseConnection, cell: Cell) -> None:
    with cells.view() as outer:
        with MaskView():
            inner = cells.view().__enter__()
        assert current_transaction() is outer
        inner.__exit__(None, None, None)
        assert current_transaction() is outer
        assert cell.value == 1
