"""Servers and clients over TLS 1.3.

The token never travels: both sides prove that they know it, and bind the proof to the TLS channel, so that the
self-made certificate is safe against somebody in the middle (SCRAM-SHA-256-PLUS, RFC 7677, RFC 9266).
"""

from __future__ import annotations

from typing import Any

from object_database import _core
from object_database.database_connection import DatabaseConnection
from object_database.errors import InvalidArgumentError, ValueTypeError
from object_database.persistence_interface import Persistence
from object_database.server import Server
from object_database.store_keeper import RETRY_S
from object_database.util import CertificateFiles

__all__ = ["TcpServer", "connect"]


def connect(
    host: str, port: int, auth_token: str, timeout: float = 10.0, retry: bool = False, *, allow_pickle: bool = False
) -> DatabaseConnection:
    """Connect to a server.

    Args:    timeout: seconds for all of it.  retry: while nobody listens yet, try again until the timeout.
             allow_pickle: `object` fields hold whatever can be pickled, and pickles in them are read. Reading one runs
             what its writer put into it, so only where everybody who can write is trusted as much as this program.
    Returns: a connection that is welcome: its token is proved.
    Raises:  AuthenticationError: the token is wrong.  DisconnectedException (an OSError): nobody listens, or the peer
             is no server of this package.  ConnectTimeoutError: no answer in time.
    """
    line = _core.connect_tls(host, _checked_port(port), auth_token, float(timeout), bool(retry))
    return DatabaseConnection(line, auth_token, allow_pickle)


def _checked_port(port: int) -> int:
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise InvalidArgumentError(f"a port is a number from 0 to 65535; {port!r} was given")
    return port


class TcpServer(Server):
    """A server that listens for TLS connections.

    Args:    host: an address or name of this machine; `localhost` listens on IPv4 and IPv6.
             port: 0 picks a free one; after start() `port` tells which.
             mem_store: None, or where objects live when the server stops, as of Server.
             ssl_context: None for a certificate made for this process, or util.sslContextFromCertPath(cert, key),
                 or util.generateSslContext().
             auth_token: what clients must know; not empty.
             memory_max: bytes that the objects may take with their indexes; None for no limit.
             take_over, store_retry_s: as of Server.
    Raises:  InvalidArgumentError: an empty token, a bad address or certificate.
             ServerError, from start(): the port is taken or not allowed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        mem_store: Persistence | None = None,
        ssl_context: CertificateFiles | None = None,
        auth_token: str = "",
        transactionWatcher: Any = None,
        *,
        memory_max: int | None = None,
        take_over: bool = False,
        store_retry_s: float = RETRY_S,
    ):
        if not auth_token:
            raise InvalidArgumentError("a server on the network needs a token that is not empty")
        if ssl_context is not None and not isinstance(ssl_context, CertificateFiles):
            raise ValueTypeError(
                "ssl_context takes None or what util.sslContextFromCertPath(cert, key) gives: "
                "the private key of an ssl.SSLContext cannot be read back (D32)"
            )
        super().__init__(
            mem_store,
            auth_token,
            transactionWatcher,
            memory_max=memory_max,
            take_over=take_over,
            store_retry_s=store_retry_s,
        )
        self.host: str = host
        self.port: int = _checked_port(port)
        self._certificate = ssl_context

    def start(self) -> None:
        super().start()
        files = self._certificate
        try:
            self._running().listen(self.host, self.port, files and files.certificate_path, files and files.key_path)
        except BaseException:
            self.stop()
            self._core = None
            raise
        self.port = self._running().port

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return str(self._running().fingerprint)

    def connect(self, auth_token: str, *, allow_pickle: bool = False) -> DatabaseConnection:
        """A TLS connection to this server. allow_pickle: as of connect()."""
        self._running()
        return connect(self.host, self.port, auth_token, allow_pickle=allow_pickle)
