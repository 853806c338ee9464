"""What runs behind a program's back: transaction handlers and onConfirmed callbacks of one connection, on one thread.

The core puts events into a queue, in order and after what they tell of is visible. The thread is started when the first
handler, callback or unconfirmed commit asks for it, and ends with the connection. It holds no lock while it calls the
program, so handlers may register and drop handlers, open views, and commit without waiting for the outcome. What they
must not do is wait for their own connection: that raises BlockingCallError (D27).
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

from object_database import _core
from object_database.errors import DisconnectedException, RevisionConflictException

__all__ = ["Dispatcher", "TransactionResult"]

_LOSSES_LOGGED_S = 1.0  # at most once in so many seconds: a writer whose every commit is refused must not fill the log
_EXIT_S = 1.0  # for a handler that runs when the interpreter ends

_log = logging.getLogger(__name__)


class _Matches:
    """`result.matches.Success` and so on: whether the result is of that kind."""

    __slots__ = ("_kind",)

    def __init__(self, kind: str):
        self._kind = kind

    def __getattr__(self, kind: str) -> bool:
        if kind.startswith("_"):
            raise AttributeError(kind)
        return kind == self._kind


class TransactionResult:
    """What became of a commit that nobody waited for; onConfirmed callbacks are given one.

        result.matches.Success             it was carried out
        result.matches.RevisionConflict    result.key: what somebody else wrote
        result.matches.ServerException     result.traceback: why it was refused otherwise, as text
        result.matches.Disconnected        the connection ended first; it may have been carried out

    Attributes: kind: one of these names.  error: the exception that a confirmed commit would have raised, or None.
    """

    __slots__ = ("error", "key", "kind", "traceback")

    def __init__(self, kind: str, *, key: Any = None, traceback: str = "", error: BaseException | None = None):
        self.kind: str = kind
        self.key: Any = key
        self.traceback: str = traceback
        self.error: BaseException | None = error

    @classmethod
    def Success(cls) -> TransactionResult:
        return cls("Success")

    @classmethod
    def RevisionConflict(cls, key: Any = None, error: BaseException | None = None) -> TransactionResult:
        return cls("RevisionConflict", key=key, error=error)

    @classmethod
    def ServerException(cls, traceback: str = "", error: BaseException | None = None) -> TransactionResult:
        return cls("ServerException", traceback=traceback, error=error)

    @classmethod
    def Disconnected(cls, error: BaseException | None = None) -> TransactionResult:
        return cls("Disconnected", error=error)

    @classmethod
    def of(cls, error: BaseException | None) -> TransactionResult:
        """The result of a commit that would have raised this, or nothing."""
        if error is None:
            return cls.Success()
        if isinstance(error, RevisionConflictException):
            return cls.RevisionConflict(error.key, error)
        if isinstance(error, DisconnectedException):
            return cls.Disconnected(error)
        return cls.ServerException("".join(traceback.format_exception_only(type(error), error)).strip(), error)

    @property
    def matches(self) -> _Matches:
        return _Matches(self.kind)

    def __repr__(self) -> str:
        about = {"RevisionConflict": self.key, "ServerException": self.traceback}.get(self.kind)
        return f"TransactionResult.{self.kind}({'' if about is None else about})"


class Dispatcher:
    """The handlers and callbacks of one connection, and the thread that runs them.

    While there are any the connection is kept alive; otherwise this knows it only as long as the program holds it.
    """

    def __init__(self, connection: Any):
        self._events = _core.Events(connection)
        self._lock = threading.RLock()
        self._connection = weakref.ref(connection)
        self._kept: Any = None  # the connection, while there are handlers
        self._handlers: list[Callable[..., object]] = []
        self._collecting = threading.Lock()
        self._callbacks: dict[int, tuple[Callable[[TransactionResult], object], Any]] = {}  # token -> (callback, db)
        self._last_token = 0
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._logged_losses = 0
        self._logged_at = -_LOSSES_LOGGED_S
        _dispatchers.add(self)

    @property
    def losses(self) -> int:
        return int(self._events.losses())

    def add_handler(self, handler: Callable[..., object]) -> None:
        with self._collecting:
            with self._lock:
                self.start()
                self._handlers = [*self._handlers, handler]
                connection: Any = self._connection()
                self._kept = connection
                is_first = len(self._handlers) == 1
            if is_first:
                try:
                    _core.collect_changes(connection, True)
                except BaseException:
                    self._remove(handler)
                    raise

    def drop_handler(self, handler: Callable[..., object]) -> None:
        with self._collecting:
            connection = self._remove(handler)
            if connection is not None:
                _core.collect_changes(connection, False)

    def _remove(self, handler: Callable[..., object]) -> Any:
        """Takes a handler out; the connection, when it was the last one."""
        with self._lock:
            if handler not in self._handlers:
                return None
            left = list(self._handlers)
            left.remove(handler)
            self._handlers = left
            if left:
                return None
            connection, self._kept = self._kept, None
            return connection

    def expect(self, callback: Callable[[TransactionResult], object], connection: Any) -> int:
        """The token under which a commit's outcome will come; `callback` is then called with it."""
        with self._lock:
            self.start()
            self._last_token += 1
            self._callbacks[self._last_token] = (callback, connection)
            return self._last_token

    def forget(self, token: int) -> None:
        """Nothing will come under this token."""
        with self._lock:
            self._callbacks.pop(token, None)

    def start(self) -> None:
        """Let the thread run, if it does not."""
        with self._lock:
            if self._thread is None and not self._is_stopping:
                thread = threading.Thread(target=self._run, name="odb-handlers", daemon=True)
                thread.start()  # may fail, where the system has no thread to spare: then the next one tries again
                self._thread = thread

    def stop(self) -> None:
        """End the thread, after the call that it is in."""
        with self._lock:
            self._is_stopping = True
            thread = self._thread
        self._events.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_EXIT_S)

    # ---- the thread

    def _run(self) -> None:
        self._events.become_dispatcher()
        while not self._is_stopping:
            until_losses = self._logged_at + _LOSSES_LOGGED_S - time.monotonic()
            event = self._events.next(until_losses <= 0, -1.0 if until_losses <= 0 else until_losses)
            if event is None or event[0] == "woken":
                continue
            if event[0] == "end":
                if self._has_ended():
                    return
                continue
            try:
                self._handle(*event)
            except Exception:  # of our own: the next events are handled all the same
                _log.exception("an event of a connection could not be handled")
            del event  # it may hold the last reference to the connection

    def _has_ended(self) -> bool:
        """Outcomes that are still missing will not come. False when a callback asked for one meanwhile."""
        with self._lock:
            missing = list(self._callbacks.values())
            self._callbacks.clear()
            self._handlers = []
            self._kept = None
            if not missing:
                self._thread = None
                return True
        for callback, connection in missing:
            error = DisconnectedException(connection._closed_reason() or "the connection ended")
            self._call(callback, TransactionResult.Disconnected(error))
        return False

    def _handle(self, kind: str, *about: Any) -> None:
        if kind == "commit":
            token, outcome = about
            with self._lock:
                expected = self._callbacks.pop(token, None)
            if expected is not None:
                callback, connection = expected
                self._call(callback, TransactionResult.of(_core.commit_error(connection, outcome)))
        elif kind == "changes":
            handlers, connection = self._handlers, self._kept
            if handlers and connection is not None:
                told = _core.told_changes(connection, about[0])
                for handler in handlers:
                    self._call(handler, *told)
        elif kind == "lost":
            self._log_losses(*about)

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            _log.exception("a handler of a connection raised")

    def _log_losses(self, count: int, reason: str) -> None:
        new, self._logged_losses = count - self._logged_losses, count
        if new == 0:  # those were in the last line already: they came while it was on its way
            return
        self._logged_at = time.monotonic()
        _log.warning("%d unconfirmed commits were lost, %d in all; the last one: %s", new, count, reason)


_dispatchers: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


def _stop_all() -> None:
    for dispatcher in list(_dispatchers):
        dispatcher.stop()


atexit.register(_stop_all)


def _after_fork() -> None:
    """The threads are the parent's; one of them may have held a lock, which is then held for ever here."""
    for dispatcher in list(_dispatchers):
        dispatcher._lock = threading.RLock()
        dispatcher._collecting = threading.Lock()
    _dispatchers.clear()


os.register_at_fork(after_in_child=_after_fork)
