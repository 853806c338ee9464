"""A server for one process: the same engine without a network, for tests and for programs that need no other."""

from __future__ import annotations

from typing import Any

from object_database.persistence_interface import Persistence
from object_database.server import Server

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
    ):
        super().__init__(kvstore, auth_token, transactionWatcher, memory_max=memory_max, take_over=take_over)
