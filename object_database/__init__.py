"""Distributed in-memory objects for Python.

Classes on a Schema become strongly typed, indexed objects that many processes share through a server. Start with
docs/object_engine.md; the names below are what most programs need.
"""

from object_database._version import __version__

try:
    from . import _core as _core
except ImportError as _error:  # pragma: no cover - only in a broken installation
    raise ImportError(
        f"the compiled core of object_database is missing or does not load ({_error}). "
        "In a checkout: pip install -e . (a checkout hides an installed package, so it needs its own core); "
        "it takes a C++20 compiler and the OpenSSL headers (Debian, Ubuntu: apt-get install g++ libssl-dev)."
    ) from _error

from object_database.core_schema import core_schema
from object_database.database_connection import DatabaseConnection
from object_database.errors import (
    AuthenticationError,
    DisconnectedException,
    NotSubscribedError,
    ObjectDatabaseError,
    ObjectDoesntExistException,
    RevisionConflictException,
    SchemaMismatchError,
    UniqueViolationError,
)
from object_database.inmem_server import InMemServer
from object_database.persistence import InMemoryPersistence, RedisPersistence, SqlitePersistence
from object_database.schema import Index, Indexed, Object, Schema, SubscribeLazilyByDefault, Unique
from object_database.tcp_server import TcpServer, connect
from object_database.types import OneOf
from object_database.view import MaskView, Transaction, View, current_transaction, revisionConflictRetry

__all__ = [
    "AuthenticationError",
    "DatabaseConnection",
    "DisconnectedException",
    "InMemServer",
    "InMemoryPersistence",
    "Index",
    "Indexed",
    "MaskView",
    "NotSubscribedError",
    "Object",
    "ObjectDatabaseError",
    "ObjectDoesntExistException",
    "OneOf",
    "RedisPersistence",
    "RevisionConflictException",
    "Schema",
    "SchemaMismatchError",
    "SqlitePersistence",
    "SubscribeLazilyByDefault",
    "TcpServer",
    "Transaction",
    "Unique",
    "UniqueViolationError",
    "View",
    "__version__",
    "connect",
    "core_schema",
    "current_transaction",
    "revisionConflictRetry",
]
