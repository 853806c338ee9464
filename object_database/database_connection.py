"""DatabaseConnection: a program's end of the line to a server.

A connection keeps a local copy of what it subscribed to and keeps it up to date. All methods may be called from any
thread; those that wait take a timeout in seconds (None waits for ever) and raise DisconnectedException at once when the
server goes away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from object_database import _core
from object_database.errors import DisconnectedException, FlushTimeoutError, SchemaError
from object_database.schema import Schema

__all__ = ["DatabaseConnection"]

_LONG_S = 3600.0


def _seconds(timeout: float | None) -> float:
    return -1.0 if timeout is None else max(0.0, float(timeout))


def _schema_of(t: type) -> Schema:
    if not _core.is_database_type(t):
        raise SchemaError(f"{t!r} is not a type of a schema")
    schema: Schema = t.__schema__  # type: ignore[attr-defined]
    return schema


class CompletionEvent:
    """Is set when a subscription is complete. Has what programs use of threading.Event."""

    def __init__(self, subscription: Any):
        self._subscription = subscription

    def is_set(self) -> bool:
        return bool(self._subscription.is_answered())

    def wait(self, timeout: float | None = None) -> bool:
        try:
            self._subscription.wait(_seconds(timeout))
        except TimeoutError:
            return False
        return True


class DatabaseConnection(_core.Connection):
    """What connect() and a server's connect() give; not made by hand.

    `view()` and `transaction()` are the way to the data; `with connect(...) as db` disconnects at the end.
    """

    def __enter__(self) -> DatabaseConnection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        state = "disconnected" if self._closed_reason() is not None else "connected"
        peer = self._facts().get("peername")
        where = f" to {peer[0]}:{peer[1]}" if peer else " in this process"
        return f"<DatabaseConnection {state}{where}, transaction {self._transaction_id()}>"

    # ---- schemas and subscriptions

    def addSchema(self, schema: Schema, block: bool = True, timeout: float | None = None) -> None:
        """Make a schema's types known to the server and usable here; freezes the schema.

        Args:    schema: its types may refer to types of other schemas.  timeout: seconds; None waits for ever.
                 block: for programs written for the reference; the answer is always waited for.
        Raises:  SchemaMismatchError: the server has another definition of a field or index; nothing was taken.
                 SchemaTimeoutError, DisconnectedException.
        """
        if not isinstance(schema, Schema):
            raise SchemaError(f"{schema!r} is not a Schema")
        schema.freeze()
        if (reason := self._closed_reason()) is not None:
            raise DisconnectedException(reason)  # also where nothing is left to ask the server for
        if all(self._is_bound(database_type) for database_type in schema._database_types()):
            return
        self._define_schema(schema.name, schema._database_types(), _seconds(timeout))

    def subscribeToSchema(
        self,
        *schemas: Schema,
        block: bool = True,
        lazySubscription: bool | None = None,
        excluding: Iterable[type] = (),
        timeout: float | None = None,
    ) -> tuple[CompletionEvent, ...]:
        """Load every type of the given schemas and keep them up to date.

        Args:    schemas: one or more.  excluding: types that are left out.  timeout: seconds for each type.
                 block: wait until the data is here.  lazySubscription: data is loaded at once in any case.
        Returns: () when block; else an event for each type not subscribed yet.
        Raises:  SubscribeTimeoutError: names the type.  SchemaMismatchError, DisconnectedException.
        """
        excluded = set(excluding)
        for schema in schemas:
            self.addSchema(schema, timeout=timeout)
        wanted = [t for schema in schemas for t in schema._database_types() if t not in excluded]
        return self._subscribe_to(wanted, block, timeout)

    def subscribeToType(
        self,
        t: type,
        block: bool = True,
        lazySubscription: bool | None = None,
        timeout: float | None = None,
    ) -> tuple[CompletionEvent, ...]:
        """Load every object of a type and keep them up to date. Arguments and errors as in subscribeToSchema."""
        self.addSchema(_schema_of(t), timeout=timeout)
        return self._subscribe_to([t], block, timeout)

    def subscribeToNone(self, t: type, block: bool = True, timeout: float | None = None) -> tuple[CompletionEvent, ...]:
        """Work with a type without loading it: the objects that this connection creates are seen, no others."""
        self.addSchema(_schema_of(t), timeout=timeout)
        return self._waited([self._subscribe(t, False)], block, timeout)

    def isSubscribedToType(self, t: type) -> bool:
        """Whether every object of the type is here."""
        return bool(self._is_subscribed(t))

    def isSubscribedToSchema(self, schema: Schema) -> bool:
        """Whether every object of every type of the schema is here."""
        return all(self._is_subscribed(t) for t in schema._database_types())

    def _subscribe_to(self, wanted: list[type], block: bool, timeout: float | None) -> tuple[CompletionEvent, ...]:
        return self._waited([self._subscribe(t, True) for t in wanted if not self._is_subscribed(t)], block, timeout)

    @staticmethod
    def _waited(subscriptions: list[Any], block: bool, timeout: float | None) -> tuple[CompletionEvent, ...]:
        if not block:
            return tuple(CompletionEvent(subscription) for subscription in subscriptions)
        for subscription in subscriptions:
            subscription.wait(_seconds(timeout))
        return ()

    # ---- the line itself

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything that the server had committed before this call is visible here.

        Raises: FlushTimeoutError, DisconnectedException.
        """
        self._flush(_seconds(timeout))

    def waitForCondition(
        self, cond: Callable[[], Any], timeout: float | None = None, maxSleepTime: float | None = None
    ) -> bool:
        """Wait until a condition holds, looking again whenever something new has arrived.

        Args:    cond: called in a fresh view; what it returns counts as a bool.  timeout: seconds; None waits for ever.
                 maxSleepTime: seconds after which it is looked at again in any case.
        Returns: whether the condition held before the timeout.
        Raises:  DisconnectedException; whatever cond raises.
        """
        end = None if timeout is None else time.monotonic() + timeout
        longest = _LONG_S if maxSleepTime is None else max(0.0, maxSleepTime)
        while True:
            step = self._step()
            with self.view():
                if cond():
                    return True
            left = longest if end is None else min(longest, end - time.monotonic())
            if end is not None and left <= 0 and time.monotonic() >= end:
                return False
            self._wait_for_step(step, left)

    def waitForTransactionId(self, tid: int, timeout: float | None = None) -> None:
        """Wait until views see transaction `tid`. Raises TimeoutError, DisconnectedException."""
        if not self.waitForCondition(lambda: self._transaction_id() >= tid, timeout, maxSleepTime=0.05):
            raise FlushTimeoutError(
                f"transaction {tid} did not arrive in time; the last one is {self._transaction_id()}"
            )

    def currentTransactionId(self) -> int:
        """The last transaction of the server that this connection knows of."""
        return int(self._transaction_id())

    def getConnectionMetadata(self) -> dict[str, Any]:
        """Facts of a TLS connection: peername and sockname, each (host, port), and the certificate's fingerprint."""
        return dict(self._facts())

    def disconnect(self, block: bool = False) -> None:
        """Leave the server. Calls that wait raise DisconnectedException; handles and open views stay readable."""
        self._disconnect()
