"""A server for one process: the same engine without a network, for tests and for programs that need no other."""

from __future__ import annotations

from typing import Any

from object_database.persistence_interface import Persistence
from object_database.server import Server
from object_database.store_keeper import RETRY_S

__all__ = ["InMemServer"]


class InMemServer(Server):
    """`with InMemServer(auth_token="t") as server: db = server.connect("t")`. Arguments as of Server."""

    def __init__(
        self,
        kvstore: Persistence | None = None,
        auth_token: str = "",
        transactionWatcher: Any = None,
        *,
        memory_max: int | None = None,
        take_over: bool = False,
        store_retry_s: float = RETRY_S,
    ):
        super().__init__(
            kvstore,
            auth_token,
            transactionWatcher,
            memory_max=memory_max,
            take_over=take_over,
            store_retry_s=store_retry_s,
        )
