"""v.get, v.find, v.all, v.first, v.last, v.count, v.covers (D6): complete answers, or an error (D20)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from object_database import DatabaseConnection, Index, Indexed, NotSubscribedError, RevisionConflictException, Schema
from object_database.errors import LookupTypeError, SchemaError, ViewStateError
from object_database.view import MaskView

Connect = Callable[[], DatabaseConnection]

schema = Schema("view_queries")


@schema.define
class Order:
    number: Indexed[int]
    state: Indexed[str]
    by_both = Index("state", "number")


@pytest.fixture
def shop(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


@pytest.fixture
def orders(shop: DatabaseConnection) -> list[Order]:
    with shop.transaction():
        return [Order(number=number, state="new" if number < 3 else "paid") for number in range(5)]


@pytest.mark.parametrize("kind", ["view", "transaction"])
def test_queries_answer_by_index_and_of_all(shop: DatabaseConnection, orders: list[Order], kind: str) -> None:
    with getattr(shop, kind)() as v:
        assert v.get(Order, number=1) == orders[1]
        assert v.get(Order, by_both=("paid", 4)) == orders[4]
        assert v.find(Order, number=1) == orders[1]
        assert v.find(Order, number=77) is None
        assert v.all(Order) == tuple(orders)
        assert v.all(Order, state="paid") == tuple(orders[3:])
        assert v.all(Order, state="lost") == ()
        assert (v.first(Order), v.last(Order)) == (orders[0], orders[4])
        assert (v.first(Order, state="paid"), v.last(Order, state="new")) == (orders[3], orders[2])
        assert v.first(Order, state="lost") is v.last(Order, state="lost") is None
        assert (v.count(Order), v.count(Order, state="new"), v.count(Order, state="lost")) == (5, 3, 0)
        assert v.covers(Order) and v.covers(Order, number=77)


def test_queries_see_what_the_transaction_wrote(shop: DatabaseConnection, orders: list[Order]) -> None:
    with shop.transaction() as v:
        orders[0].delete()
        orders[4].state = "new"
        made = Order(number=9, state="new")
        gone = Order(number=10, state="new")
        gone.delete()
        assert v.count(Order) == len(v.all(Order)) == 5
        assert v.count(Order, state="new") == 4
        assert v.all(Order, state="new") == (orders[1], orders[2], orders[4], made)
        assert v.first(Order) == orders[1]
        assert v.last(Order) == v.last(Order, state="new") == made
        assert v.count(Order, state="paid") == 1


def test_get_wants_one_and_find_at_most_one(shop: DatabaseConnection, orders: list[Order]) -> None:
    with shop.view() as v:
        with pytest.raises(LookupTypeError, match="no view_queries.Order with number=77"):
            v.get(Order, number=77)
        with pytest.raises(LookupTypeError, match="more than one view_queries.Order with state='new'"):
            v.get(Order, state="new")
        with pytest.raises(LookupTypeError, match="more than one view_queries.Order in this view"):
            v.find(Order)


@pytest.mark.parametrize("query", ["all", "first", "last", "count", "get", "find"])
def test_an_incomplete_answer_is_an_error_also_in_a_view(connect_db: Connect, orders: list[Order], query: str) -> None:
    part = connect_db()
    part.subscribeToNone(Order)
    for make in (part.view, part.transaction):
        with make() as v:
            assert not v.covers(Order) and not v.covers(Order, number=1)
            with pytest.raises(NotSubscribedError):
                getattr(v, query)(Order, number=1)
            with pytest.raises(NotSubscribedError):
                getattr(v, query)(Order)
    with part.view():
        assert Order.lookupAll() == ()  # what the reference's lookups answer from


def test_an_index_value_that_is_subscribed_is_enough(connect_db: Connect, orders: list[Order]) -> None:
    part = connect_db()
    part.subscribeToIndex(Order, state="paid")
    with part.view() as v:
        assert v.covers(Order, state="paid") and not v.covers(Order, state="new") and not v.covers(Order)
        assert v.count(Order, state="paid") == 2
        with pytest.raises(NotSubscribedError):
            v.count(Order, state="new")


@pytest.mark.parametrize("query", ["count", "last", "first", "all"])
def test_a_query_is_a_read(shop: DatabaseConnection, orders: list[Order], query: str) -> None:
    with pytest.raises(RevisionConflictException), shop.transaction() as v:
        getattr(v, query)(Order, state="lost")
        orders[0].number = 100
        with MaskView(), shop.transaction():
            Order(number=50, state="lost")


def test_questions_that_make_no_sense_are_refused(shop: DatabaseConnection) -> None:
    with shop.view() as v:
        with pytest.raises(LookupTypeError):
            v.get()  # type: ignore[call-arg]
        with pytest.raises(LookupTypeError):
            v.get(Order, 5)  # type: ignore[call-arg]
        with pytest.raises(LookupTypeError):
            v.get(Order, number=1, state="new")
        with pytest.raises(LookupTypeError, match="no index named"):
            v.covers(Order, colour="red")
        for wrong in (int, 5, Order.fromIdentity(5)):
            with pytest.raises(SchemaError):
                v.count(wrong)  # type: ignore[arg-type]


def test_a_query_is_asked_of_the_view_that_is_open_here(shop: DatabaseConnection) -> None:
    closed = shop.view()
    with shop.view(), pytest.raises(ViewStateError, match="not the one"):
        closed.count(Order)
    with pytest.raises(TypeError):
        closed.count(Order)


# ---- db.transactional


def test_a_transactional_function_runs_in_a_transaction(shop: DatabaseConnection) -> None:
    @shop.transactional
    def make(number: int, *, state: str = "new") -> Order:
        """Makes one."""
        return Order(number=number, state=state)

    made = make(1, state="paid")
    assert (make.__name__, make.__doc__) == ("make", "Makes one.")
    with shop.view():
        assert (made.number, made.state) == (1, "paid")


def test_a_transactional_function_is_run_again_after_a_conflict(shop: DatabaseConnection, orders: list[Order]) -> None:
    tries = 0

    @shop.transactional(timeout=10)
    def increment() -> None:
        nonlocal tries
        tries += 1
        orders[0].number += 1
        if tries < 6:
            with MaskView(), shop.transaction():
                orders[0].number = orders[0].number + 100

    increment()
    assert tries == 6
    with shop.view():
        assert orders[0].number == 501


@pytest.mark.parametrize("retries", [0, 4])
def test_retries_are_bounded(shop: DatabaseConnection, orders: list[Order], retries: int) -> None:
    tries = 0

    @shop.transactional(retries=retries)
    def hopeless() -> None:
        nonlocal tries
        tries += 1
        orders[0].number += 1
        with MaskView(), shop.transaction():
            orders[0].number = tries

    with pytest.raises(RevisionConflictException):
        hopeless()
    assert tries == retries + 1


def test_other_exceptions_pass_and_nothing_is_written(shop: DatabaseConnection, orders: list[Order]) -> None:
    @shop.transactional
    def fail() -> None:
        orders[0].number = 99
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    with shop.view():
        assert orders[0].number == 0


def test_what_would_not_run_inside_of_the_transaction_is_refused(shop: DatabaseConnection) -> None:
    async def coroutine() -> None: ...

    def generator():  # type: ignore[no-untyped-def]
        yield

    for function in (coroutine, generator):
        with pytest.raises(ValueError, match="no coroutine and no generator"):
            shop.transactional(function)
    with pytest.raises(ValueError, match="retries"):
        shop.transactional(retries=-1)
