"""What every server has: an engine of its own thread, started and stopped, and connections of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from object_database import _core
from object_database.database_connection import DatabaseConnection
from object_database.errors import InvalidArgumentError, ObjectDatabaseError, ServerStateError
from object_database.messages import getHeartbeatInterval
from object_database.persistence_interface import Persistence
from object_database.store_keeper import RETRY_S, StoreKeeper

if TYPE_CHECKING:
    from typing_extensions import Self  # known to every type checker; nothing to install

__all__ = ["Server"]


class Server:
    """Base of TcpServer and InMemServer.

    Args:    auth_token: what clients must know.
             kvstore: where objects live when the server stops: a Persistence, such as SqlitePersistence(path) or
             RedisPersistence(); InMemoryPersistence() keeps them in this process. None: they are gone.
             transactionWatcher: None.
             memory_max: bytes that the objects may take with their indexes; None for no limit. A commit that would take
             more raises ServerError; deletions, and whatever takes no more than before, go through.
             take_over: take the store from a live server too, which then cannot write any more.
             store_retry_s: how long a store that does not answer is waited for, its own waits included; clients stay
             connected meanwhile, and the server stops when it is over.
    """

    # What tests and tools set in classes of their own.
    _HANDSHAKE_S: float = _core.HANDSHAKE_S  # for TLS, and again for authentication (D30)
    _STORE_CHECK_S: float = 5.0  # how often an idle server asks its store whether it is still its own
    _CONFLICT_WINDOW: int = _core.CONFLICT_WINDOW  # bytes (D14)

    def __init__(
        self,
        kvstore: Persistence | None = None,
        auth_token: str = "",
        transactionWatcher: Any = None,
        *,
        memory_max: int | None = None,
        take_over: bool = False,
        store_retry_s: float = RETRY_S,
    ):
        if kvstore is not None and not isinstance(kvstore, Persistence):
            raise InvalidArgumentError(f"a store is None or a Persistence; {kvstore!r} was given")
        if transactionWatcher is not None:
            raise InvalidArgumentError(
                f"this release has no transaction watchers: give None; {transactionWatcher!r} was given"
            )
        if not isinstance(auth_token, str):
            raise InvalidArgumentError("the token is a str")
        self._keeper = None if kvstore is None else StoreKeeper(kvstore, take_over, store_retry_s, self._STORE_CHECK_S)
        self._on_loading: Callable[[int, int, float], object] | None = None
        if memory_max is not None and (not isinstance(memory_max, int) or not 0 < memory_max < 2**63):
            raise InvalidArgumentError(f"memory_max is a number of bytes above 0, or None; {memory_max!r} was given")
        self._auth_token = auth_token
        self._memory_max = memory_max
        self._core: _core.Server | None = None

    def start(self) -> None:
        """Start serving, with the heartbeat of messages.getHeartbeatInterval().

        Raises: ServerStateError: it was started before.  StoreInUseError: its store is a live server's.
                StoreError: the store cannot be opened or read, or is damaged.
        """
        if self._core is not None:
            raise ServerStateError("this server was started already")
        keeper = self._keeper
        try:
            durable = None if keeper is None else keeper.open_store()
            self._core = _core.start_server(
                self._auth_token,
                getHeartbeatInterval(),
                memory_max=self._memory_max,
                handshake_s=self._HANDSHAKE_S,
                conflict_window=self._CONFLICT_WINDOW,
                durable=durable,
            )
            if keeper is not None:
                keeper.load(self._core, self._on_loading)
                keeper.start(self._core)
        except BaseException:
            self.stop()
            self._core = None
            raise

    def stop(self) -> None:
        """Say farewell to every client and end; what was acknowledged is in the store by then. Idempotent."""
        if self._core is not None:
            self._core.stop()
        if self._keeper is not None:
            self._keeper.stop()

    def connect(self, auth_token: str, *, allow_pickle: bool = False) -> DatabaseConnection:
        """A connection of this process to the server. allow_pickle: as of tcp_server.connect().

        Raises: AuthenticationError for a wrong token.
        """
        if not isinstance(auth_token, str):
            raise InvalidArgumentError("the token is a str")
        return DatabaseConnection(_core.connect_memory(self._running(), auth_token, 10.0), auth_token, allow_pickle)

    def failure(self) -> str | None:
        """What ended the service: an internal error, which is a bug, or the loss of the store. None while all is well."""
        return None if self._core is None else self._core.failure()

    @property
    def store_lost(self) -> ObjectDatabaseError | None:
        """Why the store was lost, which ended the service; None while all is well."""
        return None if self._keeper is None else self._keeper.lost

    def _running(self) -> _core.Server:
        if self._core is None:
            raise ServerStateError("the server is not started: call start() or use `with`")
        return self._core

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
