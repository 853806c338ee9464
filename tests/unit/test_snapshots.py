"""Snapshots: the values of an object as a row that outlives the view (D6)."""

from __future__ import annotations

import contextvars
import copy
import gc
from collections.abc import Callable

import pytest

from object_database import (
    DatabaseConnection,
    Indexed,
    NotSubscribedError,
    ObjectDoesntExistException,
    RevisionConflictException,
    Schema,
)
from object_database.errors import NoViewError, SchemaError

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

schema = Schema("snapshots")


@schema.define
class Order:
    number: Indexed[int]
    state: str = "new"
    previous: Order | None


@schema.define
class Urgent(Order):
    hours: int


@schema.define
class Marker:
    pass


@pytest.fixture
def shop(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


def test_a_snapshot_outlives_view_and_object(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order(number=1)
    with shop.view():
        row = order.snapshot()
    with shop.transaction():
        order.number = 2
        order.delete()
    assert row == (1, "new", None)
    assert (row.number, row.state, row.previous) == (1, "new", None)
    assert isinstance(row, Order.Row)
    assert repr(row) == "Order(number=1, state='new', previous=None)"
    with pytest.raises(AttributeError):
        row.number = 5
    assert row._asdict() == {"number": 1, "state": "new", "previous": None}
    assert copy.deepcopy(row) == row


def test_a_row_is_made_once_and_named_like_the_type() -> None:
    assert Order.Row is Order.Row
    assert (Order.Row.__name__, Order.Row.__module__, Order.Row._fields) == (
        "Order",
        __name__,
        ("number", "state", "previous"),
    )
    assert Order.Row.__annotations__["number"] is int
    assert Order.fromIdentity(1).Row is Order.Row
    assert "Order" in Order.Row.__doc__


def test_a_derived_type_has_a_row_of_its_own(shop: DatabaseConnection) -> None:
    assert Urgent.Row is not Order.Row
    with shop.transaction():
        assert Urgent(number=1, hours=5).snapshot() == Urgent.Row(1, "new", None, 5)
    assert type("Plain", (Urgent,), {}).Row is Urgent.Row


def test_a_snapshot_in_a_transaction_sees_its_writes_and_reads_every_field(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    for db in (first, second):
        db.subscribeToSchema(schema)
    with first.transaction():
        order = Order(number=1)
    second.flush()
    mine = first.transaction()
    with pytest.raises(RevisionConflictException, match=r"snapshots\.Order\(\d+\)\.state was written"), mine:
        order.number = 7
        assert order.snapshot().number == 7
        change(second, order)


def change(db: DatabaseConnection, order: Order) -> None:
    def write() -> None:
        with db.transaction():
            order.state = "paid"

    contextvars.Context().run(write)


def test_an_object_that_is_not_there_gives_no_snapshot(shop: DatabaseConnection, connect_db: Connect) -> None:
    with shop.transaction():
        order, marker = Order(number=1), Marker()
    for made in (order, marker):
        with pytest.raises(NoViewError):
            made.snapshot()
    with shop.view():
        assert marker.snapshot() == ()
    other = connect_db()
    other.addSchema(schema)
    with other.view(), pytest.raises(NotSubscribedError):
        order.snapshot()
    with shop.transaction():
        order.delete()
        marker.delete()
        for made in (order, marker, Order.fromIdentity(0)):
            with pytest.raises(ObjectDoesntExistException):
                made.snapshot()


def test_fields_and_members_of_these_names_are_the_programs_own(db: DatabaseConnection) -> None:
    """Programs for the reference may have used the names; ours step back."""
    taken = Schema("taken_names")

    @taken.define
    class Camera:
        snapshot = bytes
        Row = int

    class Mixin:
        def snapshot(self) -> str:
            return "mine"

        def Row(self) -> str:
            return "row"

    @taken.define
    class Mixed(Mixin):
        n: int

    @taken.define
    class Written:
        def Row(self) -> str:
            return "written"

    @taken.define
    class Derived(Written):
        n: int

    db.subscribeToSchema(taken)
    with db.transaction():
        camera = Camera(snapshot=b"x", Row=5)
        assert (camera.snapshot, camera.Row) == (b"x", 5)
        assert (Mixed().snapshot(), Mixed().Row()) == ("mine", "row")
        assert (Derived().Row(), Derived().snapshot()) == ("written", (0,))


def test_names_that_a_named_tuple_cannot_have_are_positions(db: DatabaseConnection) -> None:
    odd = Schema("odd_names")
    thing = odd.define(type("Thing", (), {"n": int, "class": str, "_private": int, "count": int, "a-b": int}))
    db.subscribeToSchema(odd)
    with db.transaction():
        row = thing(**{"n": 1, "class": "x", "_private": 2, "count": 3, "a-b": 4}).snapshot()
    assert row == (1, "x", 2, 3, 4)
    assert row._fields == ("n", "_1", "_2", "count", "_4")
    assert row.count == 3


def test_a_plain_subclass_has_no_snapshots(shop: DatabaseConnection) -> None:
    special = type("Special", (Order,), {})
    with pytest.raises(SchemaError):
        special.fromIdentity(1)


def test_rows_of_one_type_do_not_pile_up(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order(number=1)
        rows = [order.snapshot() for _ in range(100)]
    assert len({type(row) for row in rows}) == 1
    assert not any(gc.is_tracked(value) for value in rows[0])
