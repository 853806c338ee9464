"""The schema that every server has: its connections, as objects.

There is one core.Connection for each live connection; the server makes it and deletes it when the connection ends. A
reference to one therefore tells whether somebody is still there: `worker.connection.exists()`.
"""

from __future__ import annotations

from typing import Any

from object_database.errors import InvalidArgumentError
from object_database.schema import Object, Schema

__all__ = ["Connection", "core_schema"]

core_schema: Schema = Schema("core")


class Connection(Object, schema=core_schema):
    """A connection to the server, while it lives."""

    heartbeats_suspended: bool

    def __init__(self, *args: Any, **fields: Any):
        raise InvalidArgumentError("core.Connection objects are made by the server, one for each connection")


core_schema.freeze()  # nobody adds types to what belongs to the server
