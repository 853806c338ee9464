"""Views and transactions: what they see, where they are current, how they end (D7, D8)."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from object_database import (
    DatabaseConnection,
    Indexed,
    RevisionConflictException,
    Schema,
    Transaction,
    View,
    current_transaction,
)
from object_database.errors import NoViewError, ViewStateError

Connect = Callable[[], DatabaseConnection]

schema = Schema("views")


@schema.define
class Cell:
    value: Indexed[int]
    note: str = "none"


@pytest.fixture
def cells(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


@pytest.fixture
def cell(cells: DatabaseConnection) -> Cell:
    with cells.transaction():
        return Cell(value=1)


@pytest.fixture
def other(connect_db: Connect) -> DatabaseConnection:
    """A second connection, which writes."""
    made = connect_db()
    made.subscribeToSchema(schema)
    return made


def elsewhere(do: Callable[..., None], *arguments: Any) -> None:
    """Beside a view that is open here: in a context of its own, where that view is not current."""
    contextvars.copy_context().run(do, *arguments)


def write(db: DatabaseConnection, cell: Cell, value: int) -> None:
    with db.transaction():
        cell.value = value


# ---- what a view sees


@pytest.mark.sanitizer
def test_a_view_keeps_its_version_while_others_commit(
    cells: DatabaseConnection, cell: Cell, other: DatabaseConnection
) -> None:
    created = []

    def commit(value: int) -> None:
        with other.transaction():
            cell.value = value
            created.append(Cell(value=1))

    def delete() -> None:
        with other.transaction():
            cell.delete()

    with cells.view() as view:
        before = view.transaction_id()
        for value in range(2, 50):
            elsewhere(commit, value)
            cells.flush()  # now it is here, and changes nothing
            assert cell.value == 1
            assert Cell.lookupAll() == Cell.lookupAll(value=1) == (cell,)
            assert not created[-1].exists()
        elsewhere(delete)
        cells.flush()
        assert cell.exists()
        assert cell.value == 1
        assert view.transaction_id() == before
    with cells.view() as view:
        assert not cell.exists()
        assert view.transaction_id() == before + 49


def test_a_view_that_was_made_earlier_sees_what_was_there_when_it_was_made(
    cells: DatabaseConnection, cell: Cell, other: DatabaseConnection
) -> None:
    view = cells.view()
    with other.transaction():
        cell.value = 2
    cells.flush()
    with view:
        assert cell.value == 1


def test_views_of_different_versions_live_side_by_side(
    cells: DatabaseConnection, cell: Cell, other: DatabaseConnection
) -> None:
    views = []
    for value in range(10):
        with other.transaction():
            cell.value = value
        cells.flush()
        views.append(cells.view())
    seen = []
    for view in reversed(views):
        with view:
            seen.append((cell.value, Cell.lookupAll(value=view.transaction_id() - 2) == (cell,)))
    assert seen == [(value, True) for value in reversed(range(10))]


def test_own_writes_are_seen_at_once_and_by_the_next_view(cells: DatabaseConnection, cell: Cell) -> None:
    with cells.transaction():
        cell.value = 5
        assert cell.value == 5
        assert Cell.lookupAll(value=5) == (cell,)
        assert Cell.lookupAll(value=1) == ()
    with cells.view():
        assert (cell.value, Cell.lookupOne(value=5)) == (5, cell)


@pytest.mark.sanitizer
def test_lookups_see_own_writes_of_every_kind(cells: DatabaseConnection) -> None:
    with cells.transaction():
        old = [Cell(value=n % 3) for n in range(9)]
    with cells.transaction():
        new = [Cell(value=n % 3) for n in range(6)]
        old[0].value = 2  # moves
        old[3].value = 1
        old[3].value = 0  # and back
        old[1].delete()
        new[4].delete()
        new[0].value = 1
        assert Cell.lookupAll(value=0) == (old[3], old[6], new[3])
        assert Cell.lookupAll(value=1) == (old[4], old[7], new[0], new[1])
        assert Cell.lookupAll(value=2) == (old[0], old[2], old[5], old[8], new[2], new[5])
        assert Cell.lookupAny(value=1) == Cell.lookupOne(value=1) == old[4]
        assert Cell.lookupAll() == tuple(c for c in sorted([*old, *new]) if c not in (old[1], new[4]))
        inside = {value: Cell.lookupAll(value=value) for value in range(3)}
    with cells.view():
        assert {value: Cell.lookupAll(value=value) for value in range(3)} == inside


def test_an_exception_discards_every_write(cells: DatabaseConnection, cell: Cell) -> None:
    with pytest.raises(ZeroDivisionError):
        with cells.transaction():
            cell.value = 5
            made = Cell(value=6)
            1 / 0
    with cells.view():
        assert cell.value == 1
        assert not made.exists()
        assert Cell.lookupAll() == (cell,)


def test_a_transaction_without_writes_is_not_sent(cells: DatabaseConnection, cell: Cell) -> None:
    before = cells.currentTransactionId()
    with cells.transaction():
        cell.value, Cell.lookupAll()
        Cell(value=9).delete()
    cells.flush()
    assert cells.currentTransactionId() == before


def test_a_commit_advances_the_transaction_id_by_one(cells: DatabaseConnection, cell: Cell) -> None:
    before = cells.currentTransactionId()
    with cells.transaction():
        cell.value = 2
        Cell(value=3)
    assert cells.currentTransactionId() == before + 1
    with cells.view() as view:
        assert view.transaction_id() == before + 1


# ---- the life of a view


def test_a_view_knows_its_connection_and_is_the_current_one(cells: DatabaseConnection) -> None:
    assert current_transaction() is None
    with cells.view() as view:
        assert current_transaction() is view
        assert view.db() is cells
        assert type(view) is View
    with cells.transaction() as transaction:
        assert current_transaction() is transaction
        assert type(transaction) is Transaction
        assert isinstance(transaction, View)
    assert current_transaction() is None


@pytest.mark.parametrize("outer", ["view", "transaction"])
@pytest.mark.parametrize("inner", ["view", "transaction"])
def test_views_do_not_nest(cells: DatabaseConnection, cell: Cell, outer: str, inner: str) -> None:
    with getattr(cells, outer)() as first:
        with pytest.raises(ViewStateError, match="they do not nest"):
            with getattr(cells, inner)():
                pytest.fail("entered")
        assert current_transaction() is first
        assert cell.value == 1


@pytest.mark.parametrize("kind", ["view", "transaction"])
def test_a_finished_view_is_not_entered_again(cells: DatabaseConnection, kind: str) -> None:
    with getattr(cells, kind)() as view:
        with pytest.raises(ViewStateError, match="is entered already"):
            view.__enter__()
    with pytest.raises(ViewStateError, match=r"is finished; make a new one with db\.view\(\)"):
        with view:
            pytest.fail("entered")
    with pytest.raises(ViewStateError):
        view.__exit__(None, None, None)
    with pytest.raises(ViewStateError, match="is finished"):
        view.transaction_id()
    assert view.db() is cells


def test_a_view_that_was_never_entered_is_not_left(cells: DatabaseConnection) -> None:
    view = cells.view()
    with pytest.raises(ViewStateError, match="is not entered"):
        view.__exit__(None, None, None)
    with view:
        assert current_transaction() is view


def test_views_are_made_by_connections_only() -> None:
    for made in (View, Transaction):
        with pytest.raises(TypeError):
            made()


def test_a_refused_transaction_is_over(cells: DatabaseConnection, cell: Cell, other: DatabaseConnection) -> None:
    with pytest.raises(RevisionConflictException):
        with cells.transaction():
            cell.value += 1
            elsewhere(write, other, cell, 10)
    assert current_transaction() is None
    with cells.view():
        assert cell.value == 10  # the winner's write has arrived with the refusal


# ---- where it is current


def test_another_thread_does_not_see_the_view(cells: DatabaseConnection, cell: Cell) -> None:
    seen: list[Any] = []

    def look(context: contextvars.Context) -> None:
        def read() -> None:
            seen.append(current_transaction())
            try:
                cell.value
            except NoViewError as error:
                seen.append(type(error))

        read()
        context.run(read)  # not even with the variables of the thread that entered it

    with cells.view():
        thread = threading.Thread(target=look, args=(contextvars.copy_context(),))
        thread.start()
        thread.join()
        assert cell.value == 1
    assert seen == [None, NoViewError] * 2


def test_each_thread_has_a_view_of_its_own(cells: DatabaseConnection, cell: Cell, other: DatabaseConnection) -> None:
    seen = []

    def read() -> None:
        with cells.view():
            seen.append(cell.value)

    with cells.view():
        thread = threading.Thread(target=write, args=(other, cell, 2))
        thread.start()
        thread.join()
        cells.flush()
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert cell.value == 1
    assert seen == [2]


def test_a_child_task_and_to_thread_do_not_see_the_view(cells: DatabaseConnection, cell: Cell) -> None:
    async def child() -> str:
        try:
            return str(cell.value)
        except NoViewError:
            return "no view"

    def in_thread() -> object:
        return current_transaction()

    async def main() -> list[object]:
        with cells.view():
            seen = [await child(), await asyncio.create_task(child())]
            seen.append(await asyncio.to_thread(in_thread))
            seen.extend(await asyncio.gather(child(), child()))
            assert cell.value == 1  # still, in this task
            return seen

    assert asyncio.run(main()) == ["1", "no view", None, "no view", "no view"]


def test_tasks_have_views_of_their_own_that_overlap(cells: DatabaseConnection, cell: Cell) -> None:
    async def main() -> None:
        turns = [asyncio.Event() for _ in range(3)]

        async def reader() -> list[int]:
            with cells.view():
                seen = [cell.value]
                turns[0].set()
                await turns[1].wait()
                seen.append(cell.value)
            turns[2].set()
            return seen

        async def writer() -> int:
            await turns[0].wait()
            with cells.transaction():
                cell.value = 2
            with cells.view():
                turns[1].set()
                await turns[2].wait()
                return cell.value

        assert await asyncio.gather(reader(), writer()) == [[1, 1], 2]

    asyncio.run(main())


def test_a_context_that_is_run_again_has_its_view_again(cells: DatabaseConnection, cell: Cell) -> None:
    context = contextvars.copy_context()
    view = cells.view()
    context.run(view.__enter__)
    assert current_transaction() is None
    assert context.run(current_transaction) is view
    with cells.transaction():
        cell.value = 2
    assert context.run(lambda: cell.value) == 1
    context.run(view.__exit__, None, None, None)
    assert context.run(current_transaction) is None


def test_a_view_that_is_left_in_another_thread_is_over(cells: DatabaseConnection, cell: Cell) -> None:
    view = cells.view()
    view.__enter__()
    thread = threading.Thread(target=view.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert current_transaction() is None
    with cells.view():
        assert cell.value == 1


@pytest.mark.sanitizer
def test_readers_in_many_threads_see_consistent_versions_while_others_write(
    cells: DatabaseConnection, other: DatabaseConnection
) -> None:
    with cells.transaction():
        pair = Cell(value=0), Cell(value=0)
    stop = threading.Event()
    torn: list[tuple[int, int]] = []
    rounds = []

    def read() -> None:
        count = 0
        while not stop.is_set() or count == 0:
            with cells.view():
                seen = pair[0].value, pair[1].value
                if seen[0] != seen[1] or len(Cell.lookupAll(value=seen[0])) != 2:
                    torn.append(seen)
            count += 1
        rounds.append(count)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    other.flush()
    for value in range(1, 300):
        with other.transaction():
            pair[0].value = value
            pair[1].value = value
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert len(rounds) == 3


def test_a_generator_closed_in_another_thread_leaves_the_view_there_alone(db: DatabaseConnection) -> None:
    def reading() -> Iterator[None]:
        with db.view():
            yield

    held: list[Iterator[None]] = []

    def hold() -> None:
        generator = reading()
        next(generator)
        held.append(generator)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    with db.transaction() as transaction:
        held.pop()  # the generator is collected here, and leaves its view
        assert current_transaction() is transaction
    assert current_transaction() is None


def test_values_that_are_overwritten_do_not_count_against_the_limit(cells: DatabaseConnection, cell: Cell) -> None:
    with cells.transaction():
        for length in range(0, 300_000, 100):
            cell.note = "x" * length  # 450 MB in all
        cell.note = ""
        cell.note = "the end"
    with cells.view():
        assert cell.note == "the end"


def test_lookups_after_writes_stop_when_they_have_enough(cells: DatabaseConnection, cell: Cell) -> None:
    with cells.transaction():
        more = [Cell(value=1) for _ in range(5)]
        more[0].delete()
        cell.value = 2
        assert Cell.lookupAny(value=1) == Cell.lookupOne(value=1) == more[1]
        assert Cell.lookupAll(value=1) == tuple(more[1:])
        assert Cell.lookupAny() == cell
        cell.delete()
        assert Cell.lookupAny() == more[1]
        assert Cell.lookupAll() == tuple(more[1:])
