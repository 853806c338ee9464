"""What views say of their reads and writes: getFieldReads and the rest, view watchers, ViewWatcher."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from object_database import DatabaseConnection, Index, Indexed, RevisionConflictException, Schema
from object_database.errors import ValueTypeError, ViewStateError
from object_database.schema import IndexId, ObjectFieldId
from object_database.view import MaskView, ViewWatcher

Connect = Callable[[], DatabaseConnection]

schema = Schema("view_recording")


@schema.define
class Cell:
    plain: int
    value: Indexed[int]
    by_both = Index("value", "plain")


EXISTS, TRUE = 0xFFFF, b"\x05"
PLAIN, VALUE = 0, 1


@pytest.fixture
def cells(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


@pytest.fixture
def cell(cells: DatabaseConnection) -> Cell:
    with cells.transaction():
        return Cell(plain=1, value=2)


def base_of(db: DatabaseConnection, cell: Cell) -> int:
    """The type's number, shifted to where fields are added."""
    with db.transaction() as t:
        _ = cell.plain
        return t.getFieldReads()[0].fieldId - PLAIN


def key(db: DatabaseConnection, value: int) -> bytes:
    with db.transaction() as t:
        Cell.lookupAny(value=value)
        return t.getIndexReads()[0].indexValue


# ---- reads and writes as keys


def test_a_transaction_knows_what_it_read(cells: DatabaseConnection, cell: Cell) -> None:
    base, two = base_of(cells, cell), key(cells, 2)
    with cells.transaction() as t:
        assert t.getFieldReads() == t.getIndexReads() == []
        assert (cell.plain, cell.exists()) == (1, True)
        assert set(t.getFieldReads()) == {
            ObjectFieldId(cell._identity, base + PLAIN),
            ObjectFieldId(cell._identity, base + EXISTS),
        }
        Cell.lookupAll()
        Cell.lookupAny(value=2)
        Cell.lookupAny(by_both=(2, 1))
        reads = set(t.getIndexReads())
        assert IndexId(base + EXISTS, TRUE) in reads
        assert IndexId(base + VALUE, two) in reads, "an index over the one field of its name has the field's number"
        others = [read.fieldId - base for read in reads if read.fieldId & 0xFFFF not in (EXISTS, VALUE)]
        assert len(others) == 1 and others[0] & 0x8000, "other indexes have numbers of their own"


def test_a_transaction_knows_what_it_writes(cells: DatabaseConnection, cell: Cell) -> None:
    base, two, three = base_of(cells, cell), key(cells, 2), key(cells, 3)
    with cells.transaction() as t:
        assert t.getFieldWrites() == {} and t.getIndexWrites() == set()
        cell.plain = 7
        assert [*t.getFieldWrites()] == [ObjectFieldId(cell._identity, base + PLAIN)]
        assert all(write.fieldId != base + VALUE for write in t.getIndexWrites())
        cell.value = 3
        assert {IndexId(base + VALUE, two), IndexId(base + VALUE, three)} <= t.getIndexWrites()
        made = Cell(value=3)
        writes = t.getFieldWrites()
        assert writes[ObjectFieldId(made._identity, base + EXISTS)] == TRUE
        assert (
            writes[ObjectFieldId(made._identity, base + VALUE)] == writes[ObjectFieldId(cell._identity, base + VALUE)]
        )
        cell.delete()
        writes = t.getFieldWrites()
        assert writes[ObjectFieldId(cell._identity, base + EXISTS)] is None
        assert writes[ObjectFieldId(cell._identity, base + PLAIN)] is None
        assert IndexId(base + EXISTS, TRUE) in t.getIndexWrites()
        made.delete()
        assert all(written.objId != made._identity for written in t.getFieldWrites())
    with pytest.raises(ViewStateError):
        t.getFieldWrites()


def test_a_read_only_view_has_no_writes(cells: DatabaseConnection) -> None:
    with cells.view() as view:
        assert view.getFieldWrites() == {} and view.getIndexWrites() == set()


# ---- a plain view notes on demand


def test_a_plain_view_notes_from_the_first_question_on(cells: DatabaseConnection, cell: Cell) -> None:
    base = base_of(cells, cell)
    with cells.view() as view:
        assert view.getFieldReads() == []
        _ = cell.plain
        Cell.lookupAll()
    assert view.getFieldReads() == [ObjectFieldId(cell._identity, base + PLAIN)], "also after its end"
    assert view.getIndexReads() == [IndexId(base + EXISTS, TRUE)]


@pytest.mark.parametrize("read", [lambda c: c.plain, lambda c: c.exists(), lambda c: Cell.lookupAll()])
def test_reads_that_were_not_noted_are_an_error_and_not_nothing(
    cells: DatabaseConnection, cell: Cell, read: Callable[[Cell], Any]
) -> None:
    with cells.view() as view:
        read(cell)
        with pytest.raises(ViewStateError, match="did not note"):
            view.getFieldReads()
        with pytest.raises(ViewStateError, match="did not note"):
            view.getIndexReads()


def test_an_object_that_is_not_there_is_a_read_of_the_set_of_all(cells: DatabaseConnection, cell: Cell) -> None:
    base = base_of(cells, cell)
    with cells.transaction():
        cell.delete()
    with cells.view() as view:
        view.getFieldReads()
        assert not cell.exists()
        assert view.getFieldReads() == []
        assert view.getIndexReads() == [IndexId(base + EXISTS, TRUE)]


# ---- marks


def test_a_marked_field_is_a_dependency(cells: DatabaseConnection, cell: Cell) -> None:
    base = base_of(cells, cell)
    with pytest.raises(RevisionConflictException), cells.transaction() as t:
        t.markFieldRead(base + PLAIN, cell._identity)
        Cell()
        with MaskView(), cells.transaction():
            cell.plain = 5


@pytest.mark.parametrize("by_type", [False, True])
def test_a_marked_index_value_is_a_dependency(cells: DatabaseConnection, cell: Cell, by_type: bool) -> None:
    base, nine = base_of(cells, cell), key(cells, 9)
    with pytest.raises(RevisionConflictException), cells.transaction() as t:
        t.markIndexRead(*((base + EXISTS, TRUE) if by_type else (base + VALUE, nine)))
        cell.plain = 5
        with MaskView(), cells.transaction():
            Cell(value=9)


def test_marks_are_among_the_reads(cells: DatabaseConnection, cell: Cell) -> None:
    base, two = base_of(cells, cell), key(cells, 2)
    for make in (cells.view, cells.transaction):
        with make() as view:
            view.markFieldRead(base + EXISTS, cell._identity)
            view.markIndexRead(base + VALUE, two)
            assert view.getFieldReads() == [ObjectFieldId(cell._identity, base + EXISTS)]
            assert view.getIndexReads() == [IndexId(base + VALUE, two)]


def test_marks_of_what_is_not_there_are_refused(cells: DatabaseConnection, cell: Cell) -> None:
    base = base_of(cells, cell)
    with cells.transaction() as t:
        for field, oid in [(base + 77, 1), (1 << 60, 1), (3, 1), (-1, 1), (base, 0), (base, -5)]:
            with pytest.raises(ValueTypeError):
                t.markFieldRead(field, oid)
        for field, value in [(base + PLAIN, b"x"), (base + 0x8000 + 9, b"x"), (base + VALUE, b""), (base + VALUE, "x")]:
            with pytest.raises(ValueTypeError):
                t.markIndexRead(field, value)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            t.markFieldRead(base)  # type: ignore[call-arg]
    with pytest.raises(ViewStateError):
        t.markFieldRead(base, cell._identity)


# ---- watchers of one view


def test_a_view_watcher_is_told_of_every_read_and_write(cells: DatabaseConnection, cell: Cell) -> None:
    base, two, three = base_of(cells, cell), key(cells, 2), key(cells, 3)
    told: list[tuple[str, int, Any]] = []
    with cells.transaction() as t:
        t.addViewWatcher(lambda *event: told.append(event))
        _ = cell.plain
        assert told == [("fieldRead", base + PLAIN, cell._identity)]
        told.clear()
        Cell.lookupAll(value=2)
        assert told == [("indexRead", base + VALUE, two)]
        told.clear()
        cell.value = 3
        assert told[:3] == [
            ("fieldWritten", base + VALUE, cell._identity),
            ("indexWritten", base + VALUE, two),
            ("indexWritten", base + VALUE, three),
        ]
        told.clear()
        cell.delete()
        assert ("fieldWritten", base + EXISTS, cell._identity) in told
        assert ("indexWritten", base + EXISTS, TRUE) in told
        told.clear()
        assert not cell.exists()
        made = Cell()
        assert ("fieldWritten", base + EXISTS, made._identity) in told
    with cells.view() as view:
        view.addViewWatcher(lambda *event: told.append(event))
        told.clear()
        assert view.count(Cell) == 1
        assert told == [("indexRead", base + EXISTS, TRUE)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_view_watcher_raises_is_swallowed(cells: DatabaseConnection, cell: Cell) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("watcher")

    with cells.transaction() as t:
        t.addViewWatcher(fail)
        cell.plain = cell.plain + 1
    with cells.view():
        assert cell.plain == 2


def test_an_interrupt_in_a_view_watcher_goes_on(cells: DatabaseConnection, cell: Cell) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), cells.transaction() as t:
        t.addViewWatcher(interrupt)
        cell.plain = 7
    with cells.view():
        assert cell.plain == 1


@pytest.mark.sanitizer
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("act", ["read", "write", "create", "delete", "look up", "count"])
def test_a_view_watcher_that_ends_its_view_breaks_nothing(cells: DatabaseConnection, cell: Cell, act: str) -> None:
    transaction = cells.transaction()
    transaction.__enter__()
    transaction.addViewWatcher(lambda *_: transaction.__exit__(None, None, None))
    try:
        {
            "read": lambda: cell.plain,
            "write": lambda: setattr(cell, "value", 9),
            "create": lambda: Cell(value=5),
            "delete": lambda: cell.delete(),
            "look up": lambda: Cell.lookupAll(value=2),
            "count": lambda: transaction.count(Cell),
        }[act]()
    except ViewStateError:
        pass
    with cells.view():
        Cell.lookupAll()


def test_a_view_watcher_may_read_and_look_up_itself(cells: DatabaseConnection, cell: Cell) -> None:
    depth = 0

    def look(*_: Any) -> None:
        nonlocal depth
        if depth == 0:
            depth += 1
            assert Cell.lookupAll(value=77) == ()
            assert cell.plain == 1
            depth -= 1

    with cells.view() as view:
        view.addViewWatcher(look)
        assert Cell.lookupAll(value=2) == (cell,)
        assert Cell.lookupAny(value=2) == cell


# ---- ViewWatcher


def test_a_view_watcher_extent_sees_every_view_that_is_left(cells: DatabaseConnection, cell: Cell) -> None:
    base = base_of(cells, cell)
    seen: list[tuple[Any, bool, list[Any]]] = []
    with ViewWatcher(lambda view, failed: seen.append((view, failed, view.getFieldReads()))):
        with cells.view() as first:
            _ = cell.plain
        with pytest.raises(KeyError), cells.transaction() as second:
            raise KeyError
        with cells.transaction().nocommit() as third:
            pass
    with cells.view():
        pass
    assert [(view, failed) for view, failed, _ in seen] == [(first, False), (second, True), (third, False)]
    assert seen[0][2] == [ObjectFieldId(cell._identity, base + PLAIN)]


def test_the_watcher_comes_before_the_commit_and_can_prevent_it(cells: DatabaseConnection, cell: Cell) -> None:
    def refuse(view: Any, _failed: bool) -> None:
        assert len(view.getFieldWrites()) == 1
        raise ValueError("not today")

    with ViewWatcher(refuse), pytest.raises(ValueError, match="not today"), cells.transaction():
        cell.plain = 9
    with cells.view():
        assert cell.plain == 1


def test_watchers_nest_the_innermost_first(cells: DatabaseConnection) -> None:
    order: list[str] = []
    with ViewWatcher(lambda *_: order.append("outer")), ViewWatcher(lambda *_: order.append("inner")), cells.view():
        pass
    assert order == ["inner", "outer"]


def test_a_watcher_belongs_to_its_thread_and_task(cells: DatabaseConnection) -> None:
    seen: list[Any] = []

    def look() -> None:
        with cells.view():
            pass

    async def child() -> None:
        look()

    async def main() -> None:
        with ViewWatcher(lambda view, _: seen.append(view)):
            await asyncio.create_task(child())
            await asyncio.to_thread(look)
            assert seen == []
            look()
            await asyncio.sleep(0)
            look()

    asyncio.run(main())
    assert len(seen) == 2
    with ViewWatcher(lambda view, _: seen.append(view)):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert len(seen) == 2


def test_a_watcher_is_open_once(cells: DatabaseConnection) -> None:
    watcher = ViewWatcher(lambda *_: None)
    with watcher, pytest.raises(ViewStateError), watcher:
        pass
    with pytest.raises(ViewStateError):
        watcher.__exit__(None, None, None)
    with pytest.raises(ValueTypeError):
        ViewWatcher(5)  # type: ignore[arg-type]
