"""Where a server keeps its objects."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from object_database.errors import InvalidArgumentError, ServerStateError

__all__ = ["InMemoryPersistence"]


class InMemoryPersistence:
    """The store of a server that keeps objects in memory: they are gone when the server stops.

        server = TcpServer(host, port, InMemoryPersistence(), None, token)

    One store belongs to one server, once: after its server has stopped there is nothing in it that another could go on
    with, so it is refused rather than served as if it were empty.

    Args: db: a number, for programs written for the reference; two stores never share objects, whatever their numbers.
    """

    def __init__(self, db: int = 0):
        if not isinstance(db, int):
            raise InvalidArgumentError(f"db is a number; {db!r} was given")
        self.db = db
        self._owner: weakref.ref[Any] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"InMemoryPersistence(db={self.db})"

    def _claim(self, server: Any) -> None:
        """Make it the store of a server that starts. The same server may claim it again: its first start failed.

        Raises: ServerStateError: another one was started with it.
        """
        with self._lock:
            if self._owner is not None and self._owner() is not server:
                raise ServerStateError(
                    f"{self!r} was used by another server already, and its objects are that server's alone: "
                    "make a new InMemoryPersistence() for this one"
                )
            self._owner = weakref.ref(server)
