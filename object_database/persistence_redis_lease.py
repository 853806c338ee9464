"""Keeps a server's name at a store in redis alive, on a thread and a connection of its own.

The lease tells the next server whether somebody is there. It protects nothing: that is the epoch's part (K3). So a lease
that could not be renewed in time, because redis was away, is written again as long as the store is still ours.
"""

from __future__ import annotations

import threading
from typing import Any

from object_database.errors import ObjectDatabaseError
from object_database.persistence_owner import Owner
from object_database.persistence_redis_line import Line, Lost

__all__ = ["Lease"]


class Lease:
    def __init__(self, line: Line, key: str, meta: str, owner: Owner, lease_s: float):
        self._line = line
        self._key, self._meta = key, meta
        self._owner, self._words = owner, owner.to_json()
        self._lease_s = lease_s
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, name="odb-store-lease", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give the store back at once, if redis is there and it is still ours."""
        self._is_ended.set()
        self._thread.join()
        try:
            if self._is_ours():
                self._line.ask(("MULTI",), ("DEL", self._key), ("EXEC",))
        except (Lost, ObjectDatabaseError):
            pass  # it ends by itself
        finally:
            self._line.drop()

    def _renew_until_ended(self) -> None:
        while not self._is_ended.wait(self._lease_s / 3):
            try:
                if not self._is_ours():
                    return
                self._line.ask(("MULTI",), ("SET", self._key, self._words, "PX", int(self._lease_s * 1000)), ("EXEC",))
            except (Lost, ObjectDatabaseError):
                pass  # the next time, perhaps

    def _is_ours(self) -> bool:
        """Whether the store is ours; a takeover from now on voids the next EXEC, because it writes this key."""
        replies: list[Any] = self._line.ask(("WATCH", self._key), ("HGET", self._meta, "token"))
        return bool(replies[1] == self._owner.token.encode())
