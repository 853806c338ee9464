"""The tree of exceptions, and what a conflict tells."""

from __future__ import annotations

import contextvars
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import object_database
from object_database import DatabaseConnection, Indexed, RevisionConflictException, Schema, errors

Connect = Callable[[], DatabaseConnection]

schema = Schema("conflicts")


@schema.define
class Cell:
    value: int
    colour: Indexed[str]


@pytest.mark.parametrize("name", errors.__all__)
def test_every_exception_is_in_the_one_tree(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.ObjectDatabaseError)
    assert error.__doc__
    assert isinstance(error.retryable, bool)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("DisconnectedException", ConnectionError),
        ("AuthenticationError", PermissionError),
        ("ConnectTimeoutError", TimeoutError),
        ("ConnectTimeoutError", AssertionError),
        ("CommitTimeoutError", TimeoutError),
        ("FlushTimeoutError", TimeoutError),
        ("SchemaTimeoutError", TimeoutError),
        ("SubscribeTimeoutError", TimeoutError),
        ("SchemaError", AssertionError),
        ("SchemaError", TypeError),
        ("SchemaNotAddedError", TypeError),
        ("NoViewError", TypeError),
        ("NoTransactionError", TypeError),
        ("ValueTypeError", TypeError),
        ("LookupTypeError", TypeError),
        ("NotSettableError", TypeError),
        ("NotSettableError", AttributeError),
        ("InvalidArgumentError", ValueError),
        ("NotSubscribedError", errors.ObjectDoesntExistException),
        ("TransactionTooOldError", errors.RevisionConflictException),
    ],
)
def test_except_clauses_for_builtin_exceptions_still_match(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


def test_only_conflicts_are_worth_a_retry() -> None:
    retryable = {name for name in errors.__all__ if getattr(errors, name).retryable}
    assert retryable == {"RevisionConflictException", "TransactionTooOldError"}
    assert not issubclass(errors.SnapshotTooOldError, RevisionConflictException)


def test_what_can_be_helped_has_a_hint() -> None:
    for name in (
        "NoViewError",
        "NoTransactionError",
        "SchemaNotAddedError",
        "NotSubscribedError",
        "AuthenticationError",
    ):
        assert getattr(errors, name).hint


def test_the_exceptions_of_the_package_are_those_of_the_tree() -> None:
    for name in set(errors.__all__) & set(object_database.__all__):
        assert getattr(object_database, name) is getattr(errors, name)


# ---- what a conflict tells


@pytest.fixture
def conflict(connect_db: Connect) -> Callable[..., RevisionConflictException]:
    """Runs `read`, then `win` on another connection, then writes; gives the conflict."""
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)

    def run(read: Callable[[], Any], win: Callable[[], Any]) -> RevisionConflictException:
        def winner() -> None:
            with second.transaction():
                win()

        second.flush()
        with pytest.raises(RevisionConflictException) as caught:
            with first.transaction():
                read()
                contextvars.copy_context().run(winner)
                Cell()
        return caught.value

    with first.transaction():
        run.cell = Cell(colour="grey")  # type: ignore[attr-defined]
    return run


def test_a_conflict_on_a_field_names_type_field_object_and_both_transactions(
    conflict: Callable[..., RevisionConflictException],
) -> None:
    cell = conflict.cell
    error = conflict(lambda: cell.value, lambda: setattr(cell, "value", 5))
    assert error.key == ("field", "conflicts.Cell", "value", cell)
    assert (error.as_of, error.written_at) == (1, 2)
    assert error.won_by > 0
    assert str(error) == (
        f"conflicts.Cell({cell._identity}).value was written in transaction 2 by connection {error.won_by}, "
        "after this one had read it as of 1"
    )
    assert (error.retryable, error.hint) == (True, "run the transaction again")


def test_a_conflict_on_existence_names_the_object(conflict: Callable[..., RevisionConflictException]) -> None:
    cell = conflict.cell
    error = conflict(cell.exists, cell.delete)
    assert error.key == ("existence", "conflicts.Cell", "", cell)
    assert f"conflicts.Cell({cell._identity}) was deleted in transaction 2" in str(error)


def test_a_conflict_on_an_index_key_names_the_index(conflict: Callable[..., RevisionConflictException]) -> None:
    error = conflict(lambda: Cell.lookupAll(colour="red"), lambda: Cell(colour="red"))
    assert error.key == ("index key", "conflicts.Cell", "colour", None)
    assert "a key of the index conflicts.Cell.colour was written in transaction 2" in str(error)


def test_a_conflict_on_the_set_of_all_objects_names_the_type(
    conflict: Callable[..., RevisionConflictException],
) -> None:
    error = conflict(Cell.lookupAll, lambda: Cell(colour="red"))
    assert error.key == ("type set", "conflicts.Cell", "", None)
    assert "the set of all conflicts.Cell objects was changed in transaction 2" in str(error)


def test_the_connection_that_won_is_the_one_that_committed(connect_db: Connect) -> None:
    loser, *winners = (connect_db() for _ in range(3))
    for db in (loser, *winners):
        db.subscribeToSchema(schema)
    with loser.transaction():
        cell = Cell()
    seen = []

    def win(db: DatabaseConnection) -> None:
        db.flush()
        with db.transaction():
            cell.value += 1

    for winner in (*winners, winners[0]):
        with pytest.raises(RevisionConflictException) as caught:
            with loser.transaction():
                cell.value += 1
                contextvars.copy_context().run(win, winner)
        seen.append(caught.value.won_by)
    assert seen[0] == seen[2] != seen[1]


def test_errors_can_be_made_by_programs_too() -> None:
    bare = RevisionConflictException()
    assert bare.retryable
    assert bare.key is None
    assert errors.ObjectDoesntExistException(None).obj is None
    assert str(pickle.loads(pickle.dumps(errors.DisconnectedException("gone")))) == "gone"
