"""The current view belongs to one thread and one task: sixteen threads and their tasks on one connection (D8)."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable

import pytest

from object_database import DatabaseConnection, Schema, current_transaction
from object_database.errors import NoViewError

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

THREADS = 16
ROUNDS = 20

schema = Schema("current_view")


@schema.define
class Cell:
    owner: int
    value: int


def test_threads_and_tasks_of_one_connection_never_see_each_others_view(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        cells = [Cell(owner=number) for number in range(THREADS)]
    start = threading.Barrier(THREADS)
    failures: list[BaseException] = []

    def has_no_view(cell: Cell) -> None:
        assert current_transaction() is None
        with pytest.raises(NoViewError):
            _ = cell.value

    async def child(cell: Cell, seed: int) -> None:
        chance = random.Random(seed)
        has_no_view(cell)
        for _ in range(3):
            with db.view() as view:
                assert current_transaction() is view
                seen = cell.value
                await asyncio.sleep(0)
                assert current_transaction() is view
                assert cell.value == seen
                if chance.random() < 0.3:
                    await asyncio.to_thread(has_no_view, cell)
                    assert cell.value == seen
            has_no_view(cell)

    async def parent(cell: Cell, seed: int) -> None:
        with db.view() as view:
            children = [asyncio.create_task(child(cell, seed + number)) for number in range(3)]
            await asyncio.sleep(0)
            assert current_transaction() is view
            await asyncio.gather(*children)
            assert current_transaction() is view

    def work(number: int) -> None:
        cell = cells[number]
        start.wait()
        for turn in range(ROUNDS):
            has_no_view(cell)
            with db.transaction() as transaction:
                assert current_transaction() is transaction
                assert (cell.owner, cell.value) == (number, turn)
                cell.value = turn + 1
                assert cell.value == turn + 1
            if turn % 5 == number % 5:
                asyncio.run(parent(cell, turn))

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)
            start.abort()

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    with db.view():
        assert [cell.value for cell in cells] == [ROUNDS] * THREADS
