"""DatabaseConnection: a program's end of the line to a server.

A connection keeps a local copy of what it subscribed to and keeps it up to date. All methods may be called from any
thread; those that wait take a timeout in seconds (None waits for ever) and raise DisconnectedException at once when the
server goes away.
"""

from __future__ import annotations

import functools
import inspect
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, overload

from object_database import _core
from object_database.core_schema import Connection
from object_database.dispatcher import Dispatcher, TransactionResult
from object_database.errors import (
    ConnectionStateError,
    DisconnectedException,
    FlushTimeoutError,
    InvalidArgumentError,
    LookupTypeError,
    SchemaError,
)
from object_database.schema import IndexId, ObjectFieldId, Schema
from object_database.view import retrying

__all__ = ["DatabaseConnection", "Everything", "TransactionHandler", "TransactionResult"]

if TYPE_CHECKING:
    from typing_extensions import Self  # known to every type checker; nothing to install

_P = ParamSpec("_P")
_R = TypeVar("_R")

# What registerOnTransactionHandler takes: (writes, set_adds, set_removes, tid).
TransactionHandler: TypeAlias = Callable[
    [dict[ObjectFieldId, bytes | None], dict[IndexId, tuple[int, ...]], dict[IndexId, tuple[int, ...]], int], object
]

_LONG_S = 3600.0
_FOR_EVER_S = 1e9
_NO_TRANSACTION = 2**63  # later than any
_SHORTEST_SLEEP_S = 0.001
_RETRIES = 99


class Everything:
    """A name that programs for the reference may import; nothing uses it."""


def _seconds(timeout: float | None) -> float:
    return -1.0 if timeout is None else max(0.0, float(timeout))


def _schema_of(t: type[Any]) -> Schema:
    if not _core.is_database_type(t):
        raise SchemaError(f"{t!r} is not a type of a schema")
    schema: Schema = t.__schema__
    return schema


class CompletionEvent:
    """Is set when a subscription is complete. Has what programs use of threading.Event."""

    def __init__(self, subscription: Any, db: DatabaseConnection):
        self._subscription = subscription
        self._db = db

    def is_set(self) -> bool:
        return bool(self._subscription.is_answered())

    def wait(self, timeout: float | None = None) -> bool:
        self._db._check_may_wait("a subscription's event")
        try:
            self._subscription.wait(_seconds(timeout))
        except TimeoutError:
            return False
        return True


class EndEvent:
    """Is set when a connection has ended. Has what programs use of threading.Event."""

    def __init__(self, db: DatabaseConnection):
        self._db = db

    def is_set(self) -> bool:
        return self._db._closed_reason() is not None

    def wait(self, timeout: float | None = None) -> bool:
        self._db._check_may_wait("the end of the connection")
        self._db._wait_for_transaction(_NO_TRANSACTION, _FOR_EVER_S if timeout is None else max(0.0, timeout))
        return self.is_set()


class DatabaseConnection(_core.Connection):
    """What connect() and a server's connect() give; not made by hand.

    `view()` and `transaction()` are the way to the data; `with connect(...) as db` disconnects at the end.
    """

    def __init__(self, line: Any, auth_token: str, allow_pickle: bool = False):
        super().__init__(line)
        self._allow_pickle = bool(allow_pickle)
        self._auth_token = auth_token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        state = "disconnected" if self._closed_reason() is not None else "connected"
        peer = self._facts().get("peername")
        where = f" to {peer[0]}:{peer[1]}" if peer else " in this process"
        return f"<DatabaseConnection {state}{where}, transaction {self._transaction_id()}>"

    @property
    def connectionObject(self) -> Connection | None:
        """The core.Connection object of this connection: the server made it, and it vanishes with the connection, so
        that others who refer to it can tell. None once disconnected."""
        return None if self._closed_reason() is not None else Connection.fromIdentity(self._identity())

    # What programs for the reference ask a connection: it is initialized when they get it, and pickles nothing.
    initialized: threading.Event = threading.Event()
    initialized.set()
    serializationContext: None = None

    @property
    def disconnected(self) -> EndEvent:
        """Is set when the connection has ended, for whatever reason."""
        return EndEvent(self)

    @property
    def auth_token(self) -> str:
        """The token that the connection was made with, for a program that opens another one."""
        return self._auth_token

    def authenticate(self, token: str) -> None:
        """The token was proved when the connection was made: a second time is an error, as in the reference."""
        raise ConnectionStateError("this connection is authenticated already; connect() takes the token")

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
        self._check_may_wait("addSchema()")
        self._define_schema(schema.name, schema._database_types(), _seconds(timeout))

    def subscribeToSchema(
        self,
        *schemas: Schema,
        block: bool = True,
        lazySubscription: bool | None = None,
        excluding: Iterable[type[Any]] = (),
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
        t: type[Any],
        block: bool = True,
        lazySubscription: bool | None = None,
        timeout: float | None = None,
    ) -> tuple[CompletionEvent, ...]:
        """Load every object of a type and keep them up to date. Arguments and errors as in subscribeToSchema."""
        self.addSchema(_schema_of(t), timeout=timeout)
        return self._subscribe_to([t], block, timeout)

    def subscribeToNone(
        self, t: type[Any], block: bool = True, timeout: float | None = None
    ) -> tuple[CompletionEvent, ...]:
        """Work with a type without loading it: the objects that this connection creates are seen, no others."""
        self.addSchema(_schema_of(t), timeout=timeout)
        return self._waited([self._subscribe(t, False)], block, timeout)

    def subscribeToIndex(
        self,
        t: type[Any],
        block: bool = True,
        lazySubscription: bool | None = None,
        timeout: float | None = None,
        **index: Any,
    ) -> tuple[CompletionEvent, ...]:
        """Load the objects of a type with an index value, and keep them up to date.

        Objects that get the value later come in whole; one that loses it stays here and is kept up to date. Several
        keywords are several subscriptions: what any of them asks for.

        Args:    index: name=value of an index; a tuple of values for an index over several fields.
                 block, lazySubscription, timeout: as in subscribeToSchema.
        Raises:  LookupTypeError: no such index.  SubscribeTimeoutError, DisconnectedException.
        """
        if not index:
            raise LookupTypeError(f"subscribeToIndex({t.__name__}, ...) needs an index as a keyword: state='new'")
        self.addSchema(_schema_of(t), timeout=timeout)
        return self._waited([self._subscribe_key(t, *key) for key in index.items()], block, timeout)

    def subscribeToObject(self, o: Any, timeout: float | None = None) -> None:
        """Load one object, known by its handle, and keep it up to date. Errors as of subscribeToObjects."""
        self.subscribeToObjects([o], timeout=timeout)

    def subscribeToObjects(
        self, objects: Iterable[Any], block: bool = True, timeout: float | None = None
    ) -> tuple[CompletionEvent, ...]:
        """Load objects, known by their handles, and keep them up to date. What does not exist is known not to.

        Args:    objects: handles, of one type or several.  block, timeout: as in subscribeToSchema.
        Raises:  SubscribeTimeoutError, DisconnectedException.
        """
        by_type: dict[type[Any], list[Any]] = {}
        for handle in objects:
            by_type.setdefault(type(handle), []).append(handle)
        for t in by_type:
            self.addSchema(_schema_of(t), timeout=timeout)
        subscriptions = [
            self._subscribe_objects(t, handles[start : start + _core.LIST_ITEMS_MAX])
            for t, handles in by_type.items()
            for start in range(0, len(handles), _core.LIST_ITEMS_MAX)
        ]
        return self._waited(subscriptions, block, timeout)

    def subscribe(self, *wanted: Schema | type[Any], timeout: float | None = None, **index: Any) -> None:
        """Load what a program works with, and keep it up to date; returns when it is here.

        Args:    wanted: schemas and types; with `index`, one type.
                 index: name=value of an index of the type: only the objects with this value.
                 timeout: seconds for each type; None waits for ever.
        Raises:  SubscribeTimeoutError, SchemaMismatchError, DisconnectedException, SchemaError.
        """
        if index:
            if len(wanted) != 1 or isinstance(wanted[0], Schema):
                raise SchemaError("subscribe(T, name=value) takes one type; an index belongs to a type")
            self.subscribeToIndex(wanted[0], timeout=timeout, **index)
            return
        for each in wanted:
            if isinstance(each, Schema):
                self.subscribeToSchema(each, timeout=timeout)
            else:
                self.subscribeToType(each, timeout=timeout)

    def subscribeMultiple(
        self,
        subscriptions: Iterable[tuple[str, str, tuple[str, Any] | None, bool]],
        block: bool = True,
        timeout: float | None = None,
    ) -> tuple[CompletionEvent, ...]:
        """Subscriptions by name: (schema, type, None or (index name, value), is_lazy). The schemas are added already.

        Returns: as of subscribeToSchema.  Raises: SchemaNotAddedError, LookupTypeError, SubscribeTimeoutError.
        """
        pending = []
        for schema_name, type_name, key, _is_lazy in subscriptions:
            t = self._type_named(f"{schema_name}.{type_name}")
            pending.append(self._subscribe(t, True) if key is None else self._subscribe_key(t, *key))
        return self._waited(pending, block, timeout)

    def requestLazyObjects(self, objects: Iterable[Any]) -> None:
        """Have lazy objects loaded soon. Subscriptions load at once, so that nothing is left to do."""
        for handle in objects:
            _schema_of(type(handle))
        if (reason := self._closed_reason()) is not None:
            raise DisconnectedException(reason)

    def loadLazyObject(self, identity: int, schemaName: str, typeName: str) -> None:
        """Load one object and keep it up to date. Raises SchemaNotAddedError, DisconnectedException."""
        self.subscribeToObject(self._type_named(f"{schemaName}.{typeName}").fromIdentity(identity))

    def isSubscribedToIndex(self, t: type[Any], lazy: bool = False, **index: Any) -> bool:
        """Whether lookups of these index values see everything. `lazy`: for programs written for the reference."""
        return all(self._is_subscribed_to_key(t, *key) for key in index.items())

    def isSubscribedToType(self, t: type[Any]) -> bool:
        """Whether every object of the type is here."""
        return bool(self._is_subscribed(t))

    def isSubscribedToSchema(self, schema: Schema) -> bool:
        """Whether every object of every type of the schema is here."""
        return all(self._is_subscribed(t) for t in schema._database_types())

    def _subscribe_to(self, wanted: list[type[Any]], block: bool, timeout: float | None) -> tuple[CompletionEvent, ...]:
        return self._waited([self._subscribe(t, True) for t in wanted if not self._is_subscribed(t)], block, timeout)

    def _waited(self, subscriptions: list[Any], block: bool, timeout: float | None) -> tuple[CompletionEvent, ...]:
        if not block:
            return tuple(CompletionEvent(subscription, self) for subscription in subscriptions)
        if subscriptions:
            self._check_may_wait("a subscription that blocks")
        for subscription in subscriptions:
            subscription.wait(_seconds(timeout))
        return ()

    # ---- transactions

    @overload
    def transactional(self, function: Callable[_P, _R], /) -> Callable[_P, _R]: ...

    @overload
    def transactional(
        self, /, *, retries: int = _RETRIES, timeout: float | None = None
    ) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...

    def transactional(self, function: Any = None, /, *, retries: int = _RETRIES, timeout: float | None = None) -> Any:
        """Decorator: run a function in a transaction, and again after a conflict.

            @db.transactional
            def pay(order): order.state = "paid"

        The function may run several times, so what it does besides should bear that. Between the later tries there is a
        random pause, 50 ms at most.

        Args:    retries: how often it is run again at most.  timeout: seconds for each commit; None waits for ever.
        Raises:  RevisionConflictException: the last one; anything else that the function or the commit raises, at once.
        """

        def decorate(f: Callable[..., Any]) -> Callable[..., Any]:
            if inspect.iscoroutinefunction(f) or inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f):
                raise InvalidArgumentError(
                    f"{f.__qualname__} would leave its transaction before it has run: a transactional function is no "
                    "coroutine and no generator"
                )

            @functools.wraps(f)
            def in_transaction(*args: Any, **kwargs: Any) -> Any:
                transaction = self.transaction()
                if timeout is not None:
                    transaction.withCommitTimeout(timeout)
                with transaction:
                    return f(*args, **kwargs)

            return retrying(in_transaction, retries)

        if retries < 0:
            raise InvalidArgumentError(f"retries is 0 or more; {retries} was given")
        return decorate if function is None else decorate(function)

    def current_transaction(self) -> _core.View | None:
        """The view or transaction that is open in this thread and task, or None."""
        return _core.current_transaction()

    # ---- handlers

    @property
    def _dispatcher(self) -> Dispatcher:
        own: Dispatcher | None = self.__dict__.get("_own_dispatcher")
        return own if own is not None else self.__dict__.setdefault("_own_dispatcher", Dispatcher(self))

    def registerOnTransactionHandler(self, handler: TransactionHandler) -> None:
        """Have handler(writes, set_adds, set_removes, tid) called for every transaction that changes what is here.

        It is called on one thread of this connection, in order, when views see the change: a view opened in it is at
        `tid` or later. A handler that is slow is told of several transactions at once. It must not wait for this
        connection (BlockingCallError); what it raises is logged. While a subscription completes it is called with
        nothing but a tid.

        Args:    handler: writes: {ObjectFieldId: canonical bytes, or None where it was deleted};
                 set_adds, set_removes: {IndexId: identities that the index value gained or lost}.
        Raises:  DisconnectedException.
        """
        if not callable(handler):
            raise InvalidArgumentError(f"a handler is a function; {handler!r} was given")
        if (reason := self._closed_reason()) is not None:
            raise DisconnectedException(reason)
        self._dispatcher.add_handler(handler)

    def dropTransactionHandler(self, handler: TransactionHandler) -> None:
        """Do not call a handler any more; nothing when it is not registered. It may be running just now."""
        self._dispatcher.drop_handler(handler)

    @property
    def lost_commits(self) -> int:
        """How many unconfirmed commits were refused, or without an outcome when the connection ended."""
        return self._dispatcher.losses

    def _expect_result(self, callback: Callable[[TransactionResult], object]) -> int:
        """Called by the core before a commit with onConfirmed."""
        return self._dispatcher.expect(callback, self)

    def _forget_result(self, token: int) -> None:
        """Called by the core when such a commit was not sent after all."""
        self._dispatcher.forget(token)

    def _expect_losses(self) -> None:
        """Called by the core before the first unconfirmed commit."""
        self._dispatcher.start()

    # ---- the line itself

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything that the server had committed before this call is visible here.

        Raises: FlushTimeoutError, DisconnectedException.
        """
        self._check_may_wait("flush()")
        self._flush(_seconds(timeout))

    def waitForCondition(
        self, cond: Callable[[], object], timeout: float | None = None, maxSleepTime: float | None = None
    ) -> bool:
        """Wait until a condition holds, looking again whenever something new has arrived.

        Args:    cond: called in a fresh view; what it returns counts as a bool.  timeout: seconds; None waits for ever.
                 maxSleepTime: seconds after which it is looked at again in any case.
        Returns: whether the condition held before the timeout.
        Raises:  DisconnectedException; whatever cond raises.
        """
        self._check_may_wait("waitForCondition()")
        end = None if timeout is None else time.monotonic() + timeout
        longest = _LONG_S if maxSleepTime is None else max(_SHORTEST_SLEEP_S, maxSleepTime)
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
        """Wait until views see transaction `tid`.

        A transaction that changed nothing this connection covers is waited for as well: the server is asked for it once;
        of one that comes later the next heartbeat tells at the latest.

        Raises:  FlushTimeoutError, DisconnectedException.
        """
        self._check_may_wait("waitForTransactionId()")
        if self._transaction_id() < tid:
            self._request_flush()
        seen = self._wait_for_transaction(tid, _FOR_EVER_S if timeout is None else max(0.0, timeout))
        if (reason := self._closed_reason()) is not None:
            raise DisconnectedException(reason)
        if seen >= tid:
            return
        raise FlushTimeoutError(f"transaction {tid} did not arrive in time; the last one is {seen}")

    def currentTransactionId(self) -> int:
        """The last transaction of the server that this connection knows of."""
        return int(self._transaction_id())

    def currentTransactionIdForType(self, t: type[Any]) -> int:
        """The last transaction that this connection knows to have changed objects of a type; 0 when there was none."""
        return int(self._touched_at(t))

    def currentTransactionIdForSchema(self, schema: Schema) -> int:
        """The last transaction that this connection knows to have changed objects of a schema; 0 when there was none."""
        return max((self.currentTransactionIdForType(t) for t in schema._database_types()), default=0)

    def getConnectionMetadata(self) -> dict[str, Any]:
        """Facts of a TLS connection: peername and sockname, each (host, port), and the certificate's fingerprint."""
        return dict(self._facts())

    def disconnect(self, block: bool = False) -> None:
        """Leave the server. Calls that wait raise DisconnectedException; handles and open views stay readable."""
        self._disconnect()
