"""Where a server keeps its objects: in memory, in an SQLite file, in redis, or in a store of your own.

    TcpServer(host, port, SqlitePersistence("objects.sqlite"), None, token)

Persistence says what a store of your own has to do; docs/reference/persistence.md tells what each of ours can lose.
"""

from __future__ import annotations

from object_database.persistence_interface import Batch, Group, Persistence, State
from object_database.persistence_memory import InMemoryPersistence
from object_database.persistence_redis import RedisPersistence
from object_database.persistence_sqlite import SqlitePersistence

__all__ = [
    "Batch",
    "Group",
    "InMemoryPersistence",
    "Persistence",
    "RedisPersistence",
    "SqlitePersistence",
    "State",
]
