"""What a server takes for a store, and that one store is one server's."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from object_database import InMemoryPersistence, InMemServer, TcpServer, connect
from object_database.errors import InvalidArgumentError, ServerError, ServerStateError
from object_database.server import Server


def in_memory(**arguments: Any) -> Server:
    return InMemServer(kvstore=arguments.pop("store", None), auth_token="t", **arguments)


def on_network(**arguments: Any) -> Server:
    return TcpServer("localhost", 0, arguments.pop("store", None), None, "t", **arguments)


MAKERS = pytest.mark.parametrize("make", [in_memory, on_network])


@MAKERS
def test_a_server_takes_a_store_in_memory(make: Any) -> None:
    with make(store=InMemoryPersistence()) as server:
        server.connect("t").flush()


@MAKERS
@pytest.mark.parametrize("store", [InMemoryPersistence, {}, "redis://localhost", 0, False])
def test_a_server_takes_no_other_store_and_says_which(make: Any, store: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"the store is None or InMemoryPersistence\(\); .* was given"):
        make(store=store)


@MAKERS
def test_a_server_takes_no_transaction_watcher(make: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no transaction watchers: give None"):
        make(transactionWatcher=object())


def test_a_store_belongs_to_one_server() -> None:
    store = InMemoryPersistence()
    with in_memory(store=store):
        with pytest.raises(ServerStateError, match=r"used by another server already.*make a new InMemoryPersistence"):
            on_network(store=store).start()


def test_a_store_whose_server_is_gone_is_not_taken_for_an_empty_one() -> None:
    store = InMemoryPersistence()
    with in_memory(store=store):
        pass
    gc.collect()
    with pytest.raises(ServerStateError, match="used by another server already"):
        in_memory(store=store).start()


def test_a_server_that_was_never_started_does_not_use_up_its_store() -> None:
    store = InMemoryPersistence()
    in_memory(store=store)
    with in_memory(store=store) as server:
        server.connect("t").flush()


def test_a_server_whose_start_failed_may_start_again_with_its_store() -> None:
    with on_network() as holder:
        second = TcpServer("localhost", holder.port, InMemoryPersistence(), None, "t")
        with pytest.raises(ServerError):
            second.start()
        with pytest.raises(ServerStateError, match="not started"):
            second.connect("t")
    with second:
        connect("localhost", second.port, "t").disconnect()


def test_the_number_of_a_store_is_a_number() -> None:
    assert repr(InMemoryPersistence()) == "InMemoryPersistence(db=0)"
    assert InMemoryPersistence(db=3).db == 3
    with pytest.raises(InvalidArgumentError, match="db is a number; 'x' was given"):
        InMemoryPersistence("x")  # type: ignore[arg-type]
