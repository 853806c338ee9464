"""Programs with an old and a new definition of one type work on the same objects, across a restart of the server."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import DatabaseConnection, Index, Indexed, OneOf, Schema, TcpServer, Unique
from object_database.cli import main as odb
from object_database.errors import RevisionConflictException, SchemaMismatchError, UniqueViolationError
from object_database.persistence import SqlitePersistence

STATES = ["new", "paid", "sent"]


class Program:
    """One program: its definition of shop.Order, and which indexes it knows over which fields."""

    def __init__(self, annotations: dict[str, Any], indexes: dict[str, tuple[str, ...]], **members: Any):
        self.schema = Schema("shop")
        self.Order = self.schema.define(type("Order", (), {"__annotations__": annotations, **members}))
        self.indexes = indexes
        self.db: DatabaseConnection

    def connect(self, server: TcpServer) -> None:
        self.db = server.connect("t")
        self.db.subscribeToSchema(self.schema)

    def verify(self) -> int:
        """That every index agrees with the values, in one view. How many objects there are."""
        self.db.flush()
        with self.db.view():
            orders = self.Order.lookupAll()
            for index, fields in self.indexes.items():
                expected = defaultdict(list)
                for order in orders:
                    values = tuple(getattr(order, field) for field in fields)
                    expected[values if len(fields) > 1 else values[0]].append(order)
                for value, members in expected.items():
                    assert list(self.Order.lookupAll(**{index: value})) == members, (index, value)
            return len(orders)

    def work(self, chance: random.Random, count: int) -> None:
        """Transactions of one or two changes each; whatever another program is faster with is done by it."""
        for _ in range(count):
            try:
                with self.db.transaction():
                    self.change(chance)
            except (RevisionConflictException, UniqueViolationError):
                continue

    def change(self, chance: random.Random) -> None:
        orders = (
            self.Order.lookupAll(state=chance.choice(STATES)) if "state" in self.indexes else self.Order.lookupAll()
        )
        if not orders or chance.random() < 0.2:
            self.Order(number=chance.randrange(50))
            return
        order = chance.choice(orders)
        if chance.random() < 0.1:
            order.delete()
            return
        order.state = chance.choice(STATES)
        if "owner" in self.indexes:
            order.owner = chance.choice([None, 1, 2, 3])
            order.number = chance.choice([None, chance.randrange(50)])
        else:
            order.number = chance.randrange(50)


def old_program() -> Program:
    return Program({"number": int, "state": str}, {}, state="new")


def new_program() -> Program:
    return Program(
        {
            "number": Indexed[OneOf(None, int)],
            "state": Indexed[str],
            "owner": Indexed[OneOf(None, int)],
            "ticket": Unique[OneOf(None, int)],
        },
        {"number": ("number",), "state": ("state",), "owner": ("owner",), "both": ("owner", "state")},
        state="new",
        both=Index("owner", "state"),
    )


def run_together(*work: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_an_old_and_a_new_program_work_together_across_a_restart(tmp_path: Path) -> None:
    chance = random.Random(5)
    path = tmp_path / "objects.sqlite"
    old, new = old_program(), new_program()
    with TcpServer("localhost", 0, SqlitePersistence(path), None, "t") as server:
        old.connect(server)
        with old.db.transaction():
            for number in range(3000):  # so that the indexes are made in turns
                old.Order(number=number % 50, state=STATES[number % 3])
        run_together(lambda: old.work(random.Random(1), 150), lambda: new.connect(server))
        assert new.verify() == old.verify()
        run_together(lambda: old.work(random.Random(2), 100), lambda: new.work(random.Random(3), 100))
        count = new.verify()
        assert old.verify() == count
        server._core.check()
    with TcpServer("localhost", 0, SqlitePersistence(path), None, "t") as server:
        old.connect(server)  # the older one first: the store remembers what the newer one brought
        new.connect(server)
        assert old.verify() == new.verify() == count
        run_together(lambda: old.work(chance, 50), lambda: new.work(random.Random(4), 50))
        assert old.verify() == new.verify()
        server._core.check()
    assert odb(["--data-dir", str(tmp_path), "check"]) == 0


def test_what_an_old_program_does_not_know_costs_it_that_field_alone(tmp_path: Path) -> None:
    old, new = old_program(), new_program()
    with TcpServer("localhost", 0, auth_token="t") as server:
        old.connect(server)
        with old.db.transaction():
            made = old.Order(number=1)
        new.connect(server)
        with new.db.transaction():
            new.Order.fromIdentity(made._identity).number = None
            new.Order.fromIdentity(made._identity).owner = 7
        old.db.flush()
        with old.db.view():
            assert made.state == "new"
            with pytest.raises(SchemaMismatchError, match=r"shop\.Order\.number"):
                made.number
        with old.db.transaction():
            made.state = "paid"
            made.number = 5
        new.db.flush()
        with new.db.view():
            order = new.Order.lookupOne(number=5)
            assert (order.state, order.owner) == ("paid", 7)


def test_a_unique_index_is_refused_while_two_objects_clash_and_taken_afterwards(tmp_path: Path) -> None:
    old = old_program()
    unique = Program({"number": Unique[int], "state": str}, {"number": ("number",)}, state="new")
    with TcpServer("localhost", 0, auth_token="t") as server:
        old.connect(server)
        with old.db.transaction():
            orders = [old.Order(number=number % 999) for number in range(1000)]
        with pytest.raises(SchemaMismatchError, match="have the same value"):
            unique.connect(server)
        with old.db.transaction():
            orders[0].number = 5000
        unique.connect(server)
        assert unique.verify() == 1000
        with pytest.raises(UniqueViolationError), old.db.transaction():  # by a program that does not know the index
            orders[1].number = 5000
