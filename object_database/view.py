"""Views and transactions: consistent snapshots of what a connection holds.

    with db.view():                 # read-only
        print(order.state)

    with db.transaction():          # reads and writes; commits on leaving, or raises RevisionConflictException
        order.state = "paid"

A view pins one version of the connection's local copy. It stays as it is while others commit, and it takes no lock and
no message to read. A view that stays open keeps the old versions of what changes meanwhile alive.
"""

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
]
