"""The thread that brings a server's commits to its store, one group at a time (D11).

The engine checks a group and leaves it here; when the store has taken it for good, the engine carries it out, announces it
and answers whoever committed. Nothing is acknowledged before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from object_database import _core
from object_database.errors import (
    FencedError,
    ObjectDatabaseError,
    StoreBehindError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from object_database.persistence_interface import Group, Persistence, State

__all__ = ["RETRY_S", "StoreKeeper"]

RETRY_S = 30.0  # a store that restarts or fails over is waited for so long; clients stay connected meanwhile
_PAUSE_S_MAX = 1.0
_GRACE_S = 5.0  # a server that stops waits so long for a store that does not answer
_LOAD_ROWS = 2_000  # of a batch: larger ones are no faster, and Python keeps the memory that they took
_LOOK_S = 1.0  # how often the thread looks whether the server has stopped, if nothing else wakes it
_FULL_LOG_S = 10.0  # a full store refuses every commit: it is said this often

_log = logging.getLogger(__name__)


class StoreKeeper:
    """A store in the service of one server.

    Args: store: closed, and opened by open_store().  take_over: from a live server too.  retry_s: see RETRY_S.
          check_s: how often a server without commits asks its store whether it is still its own.
    """

    def __init__(self, store: Persistence, take_over: bool = False, retry_s: float = RETRY_S, check_s: float = 5.0):
        self._store = store
        self._take_over = take_over
        self._retry_s = retry_s
        self._check_s = check_s
        self._state: State | None = None
        self._core: Any = None
        self._thread: threading.Thread | None = None
        self._is_stopping = threading.Event()
        self._full_said_at = -_FULL_LOG_S
        self.lost: ObjectDatabaseError | None = None  # why the service ended, if it did because of the store

    def open_store(self) -> tuple[bytes, int, dict[str, bytes]]:
        """What _core.start_server() starts from. Raises what Persistence.open() raises."""
        self._state = self._store.open(self._take_over)
        return self._state.history, self._state.last_tid, dict(self._state.facts)

    def load(self, core: Any, on_progress: Callable[[int, int, float], object] | None = None) -> None:
        """Bring every object into memory: on_progress(loaded, of how many, seconds so far)."""
        count = self._opened().object_count
        begin, loaded = time.monotonic(), 0
        for batch in self._store.load(_LOAD_ROWS):
            core.load(batch)
            loaded += len(batch)
            if on_progress is not None:
                on_progress(loaded, count, time.monotonic() - begin)
        core.loaded()
        _log.info("loaded %d objects in %.1f s from %s", loaded, time.monotonic() - begin, self._store.describe())

    def start(self, core: _core.Server) -> None:
        """Take the server's groups from now on."""
        self._core = core
        self._thread = threading.Thread(target=self._work, name="odb-store", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """After the server has stopped: bring the last group home and give the store back. Idempotent.

        A store that does not answer is not waited for to its bound: nobody was told of that group.
        """
        self._is_stopping.set()
        if self._thread is not None:
            self._thread.join(_GRACE_S)
            if self._thread.is_alive():
                self._store.close()  # ends the wait
                self._thread.join()
        self._store.close()

    def _opened(self) -> State:
        if self._state is None:
            raise StoreError("the store is not open")
        return self._state

    def _work(self) -> None:
        epoch = self._opened().epoch
        look_s = min(_LOOK_S, self._check_s)
        asked = time.monotonic()
        while True:
            found = self._core.next_group(look_s)
            if found is not None:
                if not self._keep(Group(epoch, *found)):
                    return
            elif self._core.is_done():
                return
            elif time.monotonic() - asked < self._check_s:
                continue
            elif not self._is_ours():
                return
            asked = time.monotonic()

    def _is_ours(self) -> bool:
        """Whether the store goes on. Without this a server that only reads would never hear that it was taken over."""
        try:
            self._store.last_tid()
        except StoreError as error:
            # What is not certain yet is left to the next group; a store that is full still keeps what it has.
            if isinstance(error, (FencedError, StoreBehindError, StoreCorruptError)):
                return self._lose(error)
        except Exception as error:
            return self._lose(_unexpected(error))
        return True

    def _keep(self, group: Group) -> bool:
        """Whether the store goes on."""
        begin, pause = time.monotonic(), 0.01
        while True:
            try:
                self._store.apply(group)
            except StoreFullError as error:
                self._say_full(error)
                self._core.group_done(False)
                return True
            except StoreUnavailableError as error:
                if time.monotonic() - begin > self._retry_s or self._is_stopping.is_set():
                    return self._lose(error)
                _log.warning("the store does not answer, and is tried again: %s", error)
                self._is_stopping.wait(pause)
                pause = min(_PAUSE_S_MAX, 2 * pause)
            except ObjectDatabaseError as error:
                return self._lose(error)
            except Exception as error:
                return self._lose(_unexpected(error))
            else:
                self._core.group_done(True)
                return True

    def _lose(self, error: ObjectDatabaseError) -> bool:
        self.lost = error
        _log.critical("the server stops serving: %s", error)
        self._core.store_lost(str(error))
        return False

    def _say_full(self, error: StoreFullError) -> None:
        now = time.monotonic()
        if now - self._full_said_at >= _FULL_LOG_S:
            self._full_said_at = now
            _log.error("the store takes no commits, which are refused: %s", error)


def _unexpected(error: Exception) -> StoreError:
    """For a store of somebody's own, or a bug: nobody knows what the store holds now. Called while it is handled."""
    _log.exception("the store failed")
    return StoreError(f"the store failed in an unexpected way: {type(error).__name__}: {error}")
