"""Views and transactions: consistent snapshots of what a connection holds.

    with db.view():                 # read-only
        print(order.state)

    with db.transaction():          # reads and writes; commits on leaving, or raises RevisionConflictException
        order.state = "paid"

A view pins one version of the connection's local copy. It stays as it is while others commit, and it takes no lock and
no message to read. A view that stays open keeps the old versions of what changes meanwhile alive.
"""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from object_database._core import Transaction, View, current_transaction
from object_database.errors import (
    DisconnectedException,
    ObjectDoesntExistException,
    RevisionConflictException,
    ServerError,
)

__all__ = [
    "DisconnectedException",
    "ObjectDoesntExistException",
    "RevisionConflictException",
    "ServerError",
    "Transaction",
    "View",
    "current_transaction",
    "revisionConflictRetry",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_TRIES_MAX = 100
_PAUSE_S_MAX = 0.05  # several commits of a slow network; many clients on one key spread out over it
_FREE_TRIES = 3  # most conflicts are gone at once: a pause would only cost time

_log = logging.getLogger(__name__)


def revisionConflictRetry(f: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: run a function again, from the start, while its transactions meet a RevisionConflictException.

    The function opens its own transactions. From the fourth try on there is a random pause, twice as long each time and
    50 ms at most.

    Raises:  RevisionConflictException: the last one, after 100 tries; anything else that the function raises, at once.
    """

    @functools.wraps(f)
    def retrying(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for tried in range(1, _TRIES_MAX):
            try:
                return f(*args, **kwargs)
            except RevisionConflictException as conflict:
                _log.debug("try %d of %s: %s", tried, getattr(f, "__qualname__", f), conflict)
            if tried >= _FREE_TRIES:
                longest = min(_PAUSE_S_MAX, 0.0005 * 2.0 ** (tried - _FREE_TRIES))
                time.sleep(random.uniform(0.0, longest))
        return f(*args, **kwargs)

    return retrying
