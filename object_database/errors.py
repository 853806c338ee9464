"""Every exception of the package, in one tree with the root ObjectDatabaseError (D5).

Three questions can be asked of any of them:

    error.retryable    True when the same transaction, run again, may well succeed
    error.hint         what to do about it, a sentence, or None
    error.key          what the error is about, where that is one thing, or None

Where programs written for the reference expect a builtin exception, the class inherits from that too, so their
`except TypeError` and `except AssertionError` still match. Timeouts are also TimeoutError.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "AuthenticationError",
    "BlockingCallError",
    "CodecError",
    "CommitTimeoutError",
    "ConnectTimeoutError",
    "ConnectionStateError",
    "DisconnectedException",
    "FencedError",
    "FlushTimeoutError",
    "FutureTransactionError",
    "InternalError",
    "InvalidArgumentError",
    "LookupTypeError",
    "NoTransactionError",
    "NoViewError",
    "NotSettableError",
    "NotSubscribedError",
    "ObjectDatabaseError",
    "ObjectDoesntExistException",
    "ProtocolError",
    "ProtocolVersionError",
    "RevisionConflictException",
    "SchemaError",
    "SchemaMismatchError",
    "SchemaNotAddedError",
    "SchemaTimeoutError",
    "ServerError",
    "ServerStateError",
    "SnapshotTooOldError",
    "StoreBehindError",
    "StoreCorruptError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreInUseError",
    "StoreMovedError",
    "StoreUnavailableError",
    "SubscribeTimeoutError",
    "TextError",
    "TransactionTooLargeError",
    "TransactionTooOldError",
    "UniqueViolationError",
    "ValueRangeError",
    "ValueTypeError",
    "ViewStateError",
]


class ObjectDatabaseError(Exception):
    """Root of the tree."""

    retryable: bool = False
    hint: str | None = None
    key: Any = None


class InternalError(ObjectDatabaseError):
    """An invariant of this package is broken: a bug in it, please report it."""


# ---- connections


class DisconnectedException(ObjectDatabaseError, ConnectionError):
    """The connection is gone; a commit that was under way may or may not have been carried out."""

    hint: str | None = "connect again and subscribe again; handles stay valid"


class AuthenticationError(ObjectDatabaseError, PermissionError):
    """The token was refused, or somebody in the middle does not know it."""

    hint: str | None = "use the token that the server was started with"


class ProtocolError(DisconnectedException):
    """The server sent something that the protocol does not allow."""

    hint: str | None = "the peer is not a server of this package, or one of the two has a bug"


class ProtocolVersionError(ObjectDatabaseError, ConnectionError):
    """Client and server have no version of the protocol in common."""

    hint: str | None = "install the same release on both sides"


class ServerError(ObjectDatabaseError):
    """The server could not carry out a valid request; nothing of it was done."""


class ServerStateError(ObjectDatabaseError):
    """A server of this process that is used before its start or after its end, or started twice."""


class ConnectionStateError(ObjectDatabaseError, AssertionError):
    """A connection that is asked for what it has done already."""


class _Timeout(ObjectDatabaseError, TimeoutError):
    pass


# AssertionError: what the reference's connect() raised.
class ConnectTimeoutError(_Timeout, AssertionError):
    """The server did not answer, or not with a welcome, in time."""


class CommitTimeoutError(_Timeout):
    """The commit was sent but not answered in time; it may still succeed."""


class FlushTimeoutError(_Timeout):
    """The flush was not answered in time."""


class SchemaTimeoutError(_Timeout):
    """The definition of a schema was not answered in time."""


class SubscribeTimeoutError(_Timeout):
    """A subscription was not complete in time."""


# ---- schemas


class SchemaError(ObjectDatabaseError, TypeError, AssertionError):
    """A definition that cannot be meant so, or a type that is used before it is defined."""


class SchemaNotAddedError(SchemaError):
    """The connection does not know the type yet."""

    hint: str | None = "call db.addSchema(schema) or db.subscribeToSchema(schema)"


class SchemaMismatchError(ObjectDatabaseError):
    """The server's catalogue has another definition of something in the schema."""


# ---- views and objects


class NoViewError(ObjectDatabaseError, TypeError):
    """Objects were read outside of a view or transaction."""

    hint: str | None = "with db.view(): ..."


class NoTransactionError(ObjectDatabaseError, TypeError):
    """Objects were created, written or deleted outside of a transaction."""

    hint: str | None = "with db.transaction(): ..."


class ViewStateError(ObjectDatabaseError):
    """A view was entered twice, inside of another one, or used after its end."""


class SnapshotTooOldError(ObjectDatabaseError):
    """A view of a version that is no longer kept."""

    hint: str | None = "only versions that a view holds open, and the latest one, are kept"


# AssertionError: what the reference's view(tid) raised.
class FutureTransactionError(ObjectDatabaseError, AssertionError):
    """A view of a transaction that has not arrived here."""

    hint: str | None = "db.waitForTransactionId(tid) waits for it"


class BlockingCallError(ObjectDatabaseError, RuntimeError):
    """A call that waits for a connection, on the thread that runs the handlers of that connection."""


class ValueTypeError(ObjectDatabaseError, TypeError):
    """A value that the field does not take."""


class ValueRangeError(ObjectDatabaseError, OverflowError):
    """A number that does not fit: ints have 64 bits with a sign."""


class TextError(ObjectDatabaseError, ValueError):
    """A str that is no text: it holds lone surrogates."""


class CodecError(ObjectDatabaseError):
    """Code of the program that was called to store or to read a value raised an exception, which is the __cause__.

    It is a registered codec's, a Struct's constructor, what a pickle calls, or a key's __hash__.
    """

    hint: str | None = "mend the function that is named, or catch in it what it may raise"


class LookupTypeError(ObjectDatabaseError, TypeError):
    """A lookup that cannot be answered: no such index, nothing found, or more than the one expected."""


class NotSettableError(ObjectDatabaseError, TypeError, AttributeError):
    """An attribute that is no field and no property with a setter."""


class ObjectDoesntExistException(ObjectDatabaseError):
    """The object does not exist in this view: it was deleted, or not created yet.

    Attributes: obj: its handle; key: the same.
    """

    def __init__(self, obj: Any, message: str | None = None):
        name = getattr(type(obj), "__name__", "object")
        super().__init__(message or f"{name}({getattr(obj, '_identity', 0)}) does not exist in this view")
        self.obj: Any = obj
        self.key: Any = obj


class NotSubscribedError(ObjectDoesntExistException):
    """The answer lies outside of what this connection is subscribed to, so it is not known here."""

    hint: str | None = "subscribe to the type, then open a new view"

    def __init__(self, obj: Any):
        if isinstance(obj, str):
            super().__init__(None, obj)
        else:
            super().__init__(
                obj,
                f"{type(obj).__name__}({obj._identity}) is not covered by this view: no subscription that was complete "
                "when the view was opened includes it",
            )


# ---- commits


class Conflict(NamedTuple):
    """What two transactions disagreed about. `member` is the field's or index's name, "" for existence and type sets."""

    kind: str  # "field", "existence", "index key", "type set", "unique" or ""
    type_name: str  # "schema.Type"
    member: str
    obj: Any  # handle or None


class RevisionConflictException(ObjectDatabaseError):
    """Somebody else wrote what this transaction had read; nothing of it was carried out.

    Attributes:
        key: a Conflict: kind, type_name, member, obj.
        as_of: transaction id that this transaction had read as of.
        written_at: transaction id of the other write; 0 when it is not known any more.
        won_by: identity of the connection that made it; 0 when it is not known any more.
    """

    retryable: bool = True
    hint: str | None = "run the transaction again"

    def __init__(
        self,
        key: Any = None,
        fieldDef: Any = None,
        *,
        message: str | None = None,
        as_of: int = 0,
        written_at: int = 0,
        won_by: int = 0,
    ):
        super().__init__(message if message is not None else f"conflict on {key}")
        self.key: Any = key
        self.fieldDef: Any = fieldDef
        self.as_of = as_of
        self.written_at = written_at
        self.won_by = won_by


class TransactionTooOldError(RevisionConflictException):
    """The transaction read a version so old that the server cannot tell any more what changed since."""


class TransactionTooLargeError(ObjectDatabaseError):
    """A transaction over the limits of the server."""

    hint: str | None = "split it into smaller ones"


class UniqueViolationError(ObjectDatabaseError):
    """Another object has a value that only one may have; nothing of the transaction was carried out.

    It is not a conflict: the same transaction, run again, is refused again (D15).

    Attributes: key: a Conflict, kind "unique", with the index as its member.  obj: handle of the other object.
    """

    hint: str | None = "look the value up first, in the same transaction, and use the object that is found"

    def __init__(self, key: Any = None, *, message: str | None = None):
        super().__init__(message if message is not None else f"a value is not unique: {key}")
        self.key: Any = key
        self.obj: Any = getattr(key, "obj", None)


# ---- stores; what a server may do after each is told in object_database/persistence_interface.py


class StoreError(ObjectDatabaseError):
    """A store could not do what a server asked of it."""


class StoreInUseError(StoreError):
    """Another live server owns the store, or a tool that changes it.

    Attributes: host, pid: of its process.  since: when it took the store, UTC, as text.
    """

    def __init__(self, where: str, host: str = "?", pid: int = 0, since: str = "?"):
        super().__init__(
            f"{where} is in use by a server, or by an odb command, on {host}, process {pid}, since {since}: stop it "
            "first; or take the store from it with --take-over (take_over=True), which ends its work"
        )
        self.host: str = host
        self.pid: int = pid
        self.since: str = since


class FencedError(StoreError):
    """Another server has taken the store over; nothing was done, and this one can write no more."""

    hint: str | None = "stop this server: the other one goes on with its objects"


class StoreFullError(StoreError):
    """The store takes no writes now: out of disk or memory, or read-only. Nothing was done; later groups may succeed."""

    hint: str | None = "make room in the store; the server goes on and serves reads"


class StoreUnavailableError(StoreError):
    """The store did not answer within its bound: what was asked may or may not have been done; last_tid() tells."""

    hint: str | None = "bring the store back, then start the server again"


class StoreBehindError(StoreError):
    """The store came back without transactions that it had acknowledged.

    Attributes: acknowledged: last transaction id that the store had confirmed.  found: the last one that it holds now.
    """

    hint: str | None = "bring back the lost content from a replica or a backup, then start the server again"

    def __init__(self, where: str, acknowledged: int, found: int):
        super().__init__(
            f"{where} has lost what it had acknowledged: it confirmed transaction {acknowledged} and now ends at {found}"
        )
        self.acknowledged: int = acknowledged
        self.found: int = found


class StoreMovedError(StoreError):
    """The store was written to while a tool read it, so what was read is the state at no transaction."""


class StoreFormatError(StoreError):
    """The store was written by a newer release, or is no store of this package."""


class StoreCorruptError(StoreError):
    """The content of the store is damaged, or somebody else changed it."""

    hint: str | None = "restore a backup; keep the damaged store for a look at what happened"


class InvalidArgumentError(ObjectDatabaseError, ValueError):
    """An address, certificate or option that cannot be used."""


_SHOWN_LETTERS = 200  # of a message that is somebody else's


def codec_error(where: str, cause: BaseException) -> CodecError:
    """What the core raises instead of an exception of the program's own code; `where`: the field, and whose code it is."""
    try:
        text = str(cause)
    except Exception:  # of a class of the program
        text = ""
    shown = text if len(text) <= _SHOWN_LETTERS else text[:_SHOWN_LETTERS] + "..."
    error = CodecError(f"{where} raised {type(cause).__name__}{': ' if shown else ''}{shown}")
    error.__cause__ = cause
    if isinstance(cause, ObjectDatabaseError):  # it may read objects, and a conflict stays one
        error.retryable, error.hint = cause.retryable, cause.hint
    return error


_KINDS = {0: "", 1: "field", 2: "existence", 3: "index key", 4: "type set"}


def _described(conflict: Conflict) -> str:
    if conflict.kind == "field":
        return f"{conflict.type_name}({conflict.obj._identity}).{conflict.member}"
    if conflict.kind == "existence":
        return f"{conflict.type_name}({conflict.obj._identity})"
    if conflict.kind == "index key":
        return f"a key of the index {conflict.type_name}.{conflict.member}"
    return f"the set of all {conflict.type_name} objects"


def commit_error(
    outcome: int,
    key_kind: int,
    type_name: str,
    member: str,
    obj: Any,
    as_of: int,
    written_at: int,
    won_by: int,
    message: str,
) -> ObjectDatabaseError:
    """The exception for a commit that the server refused; called by the core with the numbers of messages.h."""
    conflict = Conflict(_KINDS[key_kind], type_name, member, obj)
    if outcome == 1:
        done = "deleted" if conflict.kind == "existence" else "changed" if conflict.kind == "type set" else "written"
        by = f" by connection {won_by}" if won_by else ""
        text = f"{_described(conflict)} was {done} in transaction {written_at}{by}, after this one had read it as of {as_of}"
        return RevisionConflictException(conflict, message=text, as_of=as_of, written_at=written_at, won_by=won_by)
    if outcome == 2:
        text = f"this transaction read as of {as_of}, which is longer ago than the server remembers; run it again"
        return TransactionTooOldError(conflict, message=text, as_of=as_of)
    if outcome == 3:
        return ObjectDoesntExistException(obj, f"{_described(conflict)} was written although it does not exist")
    if outcome == 5:
        return UniqueViolationError(conflict._replace(kind="unique"), message=message)
    if outcome == 6:
        return TransactionTooLargeError(message)
    return ServerError(message)
