"""What a server takes for a store, that a store is one live server's, and that the next server finds what was left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import (
    Indexed,
    InMemoryPersistence,
    InMemServer,
    RevisionConflictException,
    Schema,
    TcpServer,
    Unique,
    connect,
)
from object_database.errors import (
    InvalidArgumentError,
    ServerError,
    ServerStateError,
    StoreFullError,
    StoreInUseError,
    StoreUnavailableError,
    UniqueViolationError,
)
from object_database.persistence import Group, Persistence, SqlitePersistence
from object_database.server import Server
from tests.faulty import FaultyPersistence

schema = Schema("kept")


@schema.define
class Item:
    name: Indexed[str]
    number: Unique[int]
    other: "Item"  # type: ignore[name-defined]  # noqa: UP037
    count: int = 0


def in_memory(**arguments: Any) -> Server:
    return InMemServer(kvstore=arguments.pop("store", None), auth_token="t", **arguments)


def on_network(**arguments: Any) -> Server:
    return TcpServer("localhost", 0, arguments.pop("store", None), None, "t", **arguments)


MAKERS = pytest.mark.parametrize("make", [in_memory, on_network])


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Persistence]:
    """Gives the same store again and again."""
    if request.param == "sqlite":
        return lambda: SqlitePersistence(str(tmp_path / "objects.sqlite"))
    store = InMemoryPersistence()
    return lambda: store


@MAKERS
@pytest.mark.parametrize("store", [InMemoryPersistence, {}, "redis://localhost", 0, False])
def test_a_server_takes_a_persistence_and_nothing_else(make: Any, store: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="a store is None or a Persistence; .* was given"):
        make(store=store)


@MAKERS
def test_a_server_takes_no_transaction_watcher(make: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no transaction watchers: give None"):
        make(transactionWatcher=object())


@MAKERS
def test_the_next_server_finds_everything_that_was_acknowledged(make: Any, reopen: Any) -> None:
    with make(store=reopen()) as server:
        db = server.connect("t")
        db.subscribe(schema)
        with db.transaction():
            first = Item(name="a", number=1)
            second = Item(name="b", number=2, other=first)
        with db.transaction():
            first.count = 7
            third = Item(name="a", number=3)
        with db.transaction():
            third.delete()
        last = db.currentTransactionId()
    with make(store=reopen()) as server:
        db = server.connect("t")
        db.subscribe(schema)
        assert db.currentTransactionId() > last
        with db.view():
            assert Item.lookupAll() == (first, second)
            assert Item.lookupAll(name="a") == (first,)
            assert (first.count, second.other, second.number) == (7, first, 2)
            assert not third.exists()
        with pytest.raises(UniqueViolationError), db.transaction():
            Item(number=2)
        with db.transaction():
            fourth = Item(name="a", number=4)
        assert fourth._identity > second._identity
        server._core.check()


def test_definitions_go_on_where_they_were(reopen: Any) -> None:
    before, after = Schema("grows"), Schema("grows")

    @before.define
    class Thing:
        a: int = 1

    with in_memory(store=reopen()) as server:
        db = server.connect("t")
        db.subscribe(before)
        with db.transaction():
            thing = Thing(a=5)

    @after.define  # type: ignore[no-redef]
    class Thing:
        b: str = "new"
        a: int = 1

    with in_memory(store=reopen()) as server:
        db = server.connect("t")
        db.subscribe(after)
        with db.transaction():
            (found,) = Thing.lookupAll()
            assert (found._identity, found.a, found.b) == (thing._identity, 5, "new")
            found.b = "old"
    with in_memory(store=reopen()) as server:
        db = server.connect("t")
        db.subscribe(after)
        with db.view():
            assert Thing.lookupOne().b == "old"


def test_a_store_belongs_to_one_live_server(reopen: Any) -> None:
    with in_memory(store=reopen()):
        with pytest.raises(StoreInUseError):
            on_network(store=reopen()).start()
    with in_memory(store=reopen()) as server:
        server.connect("t").flush()


def test_a_server_whose_store_was_taken_over_stops_serving(tmp_path: Path) -> None:
    path = str(tmp_path / "objects.sqlite")
    with in_memory(store=SqlitePersistence(path)) as old:
        db = old.connect("t")
        db.subscribe(schema)
        with db.transaction():
            item = Item(number=1)
        with in_memory(store=SqlitePersistence(path), take_over=True) as new:
            with pytest.raises(ConnectionError), db.transaction():
                item.count = 1
            assert "taken over" in str(old.failure())
            assert type(old.store_lost).__name__ == "FencedError"
            db = new.connect("t")
            db.subscribe(schema)
            with db.transaction():
                assert item.count == 0
                item.count = 2


def test_a_server_whose_start_failed_may_start_again_with_its_store() -> None:
    with on_network() as holder:
        second = TcpServer("localhost", holder.port, InMemoryPersistence(), None, "t")
        with pytest.raises(ServerError):
            second.start()
        with pytest.raises(ServerStateError, match="not started"):
            second.connect("t")
    with second:
        connect("localhost", second.port, "t").disconnect()


def test_a_full_store_refuses_commits_and_the_server_goes_on() -> None:
    store = FaultyPersistence(InMemoryPersistence())
    with in_memory(store=store) as server:
        db = server.connect("t")
        db.subscribe(schema)
        with db.transaction():
            item = Item(number=1)
        store.plan("apply", before=StoreFullError("no space left"))
        with pytest.raises(ServerError, match="nothing of it was carried out"), db.transaction():
            item.count = 1
        with db.transaction():
            assert item.count == 0
            item.count = 2
        server._core.check()


def test_a_lost_reply_is_asked_for_again_and_nothing_is_done_twice() -> None:
    store = FaultyPersistence(InMemoryPersistence())
    with in_memory(store=store) as server:
        db = server.connect("t")
        db.subscribe(schema)
        with db.transaction():
            item = Item(number=1)
        store.plan("apply", after=StoreUnavailableError("the reply was lost"))
        with db.transaction():
            item.count += 1
        with db.view():
            assert item.count == 1


def test_a_store_that_fails_in_a_way_of_its_own_ends_the_service_and_says_how() -> None:
    store = FaultyPersistence(InMemoryPersistence())
    with in_memory(store=store) as server:
        db = server.connect("t")
        db.subscribe(schema)
        store.plan("apply", before=ZeroDivisionError("a bug of the store"))
        with pytest.raises(ConnectionError), db.transaction():
            Item(number=1)
        assert "in an unexpected way: ZeroDivisionError: a bug of the store" in str(server.store_lost)
        assert server.failure() == str(server.store_lost)


def test_conflicts_are_found_across_groups(reopen: Any) -> None:
    with in_memory(store=reopen()) as server:
        one, two = server.connect("t"), server.connect("t")
        for db in (one, two):
            db.subscribe(schema)
        with one.transaction():
            item = Item(number=1)
        two.flush()
        stale = two.transaction()
        with one.transaction():
            item.count += 1
        with pytest.raises(RevisionConflictException), stale:
            item.count += 1


def test_a_damaged_store_is_refused_with_what_is_wrong() -> None:
    store = InMemoryPersistence()
    with in_memory(store=store) as server:
        db = server.connect("t")
        db.subscribe(schema)
        with db.transaction():
            item = Item(number=1)
    state = store.open()
    store.apply(Group(state.epoch, state.last_tid, state.last_tid, [(item._identity, 1, b"garbage")]))
    store.close()
    with pytest.raises(ServerError, match=f"the store is damaged: object {item._identity} is no row of its type"):
        in_memory(store=store).start()


def test_the_number_of_a_store_is_a_number() -> None:
    assert repr(InMemoryPersistence()) == "InMemoryPersistence(db=0)"
    assert InMemoryPersistence(db=3).db == 3
    with pytest.raises(InvalidArgumentError, match="db is a number; 'x' was given"):
        InMemoryPersistence("x")  # type: ignore[arg-type]
