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
from typing import Any, ParamSpec, TypeVar

from object_database._core import Transaction, View, ViewWatcher, current_transaction, mask_view, unmask_view
from object_database.errors import (
    DisconnectedException,
    ObjectDatabaseError,
    ObjectDoesntExistException,
    RevisionConflictException,
    ServerError,
    ViewStateError,
)

__all__ = [
    "DisconnectedException",
    "FieldNotDefaultInitializable",
    "MaskView",
    "ObjectDoesntExistException",
    "RevisionConflictException",
    "ServerError",
    "Transaction",
    "View",
    "ViewWatcher",
    "current_transaction",
    "revisionConflictRetry",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_TRIES_MAX = 100
_PAUSE_S_MAX = 0.05  # several commits of a slow network; many clients on one key spread out over it
_FREE_TRIES = 3  # most conflicts are gone at once: a pause would only cost time

_log = logging.getLogger(__name__)


class FieldNotDefaultInitializable(ObjectDatabaseError):
    """A name that programs for the reference may import; nothing raises it."""


class MaskView:
    """Context manager: hides the view that is open here, so that an independent one can be opened meanwhile.

    with db.view():
        with MaskView(), db.transaction():
            ...
    """

    def __init__(self) -> None:
        self._hidden: list[Any] = []

    def __enter__(self) -> MaskView:
        self._hidden.append(mask_view())
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._hidden:
            raise ViewStateError("this MaskView is not entered")
        unmask_view(self._hidden.pop())


def _log_slow_commit(seconds: float, is_ok: bool) -> None:
    """Called by the core for a confirmed commit that took long."""
    _log.info("a commit took %.1f s%s", seconds, "" if is_ok else " and failed")


def revisionConflictRetry(f: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: run a function again, from the start, while its transactions meet a RevisionConflictException.

    The function opens its own transactions. From the fourth try on there is a random pause, twice as long each time and
    50 ms at most.

    Raises:  RevisionConflictException: the last one, after 100 tries; anything else that the function raises, at once.
    """
    return retrying(f, _TRIES_MAX - 1)


def retrying(f: Callable[_P, _R], retries: int) -> Callable[_P, _R]:
    """`f`, run again after a RevisionConflictException, `retries` times at most, with growing random pauses."""

    @functools.wraps(f)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for tried in range(1, retries + 1):
            try:
                return f(*args, **kwargs)
            except RevisionConflictException as conflict:
                _log.debug("try %d of %s: %s", tried, getattr(f, "__qualname__", f), conflict)
            if tried >= _FREE_TRIES:
                longest = min(_PAUSE_S_MAX, 0.0005 * 2.0 ** min(tried - _FREE_TRIES, 30))
                time.sleep(random.uniform(0.0, longest))
        return f(*args, **kwargs)

    return run
