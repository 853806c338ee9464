"""Identities: the numbers of objects, unique in a server, given in blocks (D28)."""

from __future__ import annotations

import threading

from object_database.errors import ValueRangeError

__all__ = ["IDENTITY_BLOCK_SIZE", "IdentityProducer"]

IDENTITY_BLOCK_SIZE = 100_000_000


class IdentityProducer:
    """Gives the identities of one block, one after the other. Any thread may ask.

    Connections have their own way to do this; a producer is for tools that number objects themselves.
    """

    def __init__(self, ix: int):
        self._next = ix * IDENTITY_BLOCK_SIZE + 1  # 0 would be an unset reference
        self._end = (ix + 1) * IDENTITY_BLOCK_SIZE
        self._lock = threading.Lock()

    def createIdentity(self) -> int:
        """A number that this producer has not given before. Raises ValueRangeError: the block is used up."""
        with self._lock:
            if self._next >= self._end:
                raise ValueRangeError(f"all identities below {self._end} are given; take the producer of another block")
            self._next += 1
            return self._next - 1
