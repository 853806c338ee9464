"""Peers that mean no good, a hundred of each kind: closed within their deadlines, while a client goes on as if alone."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from object_database import DatabaseConnection, Schema, TcpServer

PEERS = 100
PATIENCE_S = 30.0
DEADLINE_S = 0.5

schema = Schema("hostile")


@schema.define
class Counter:
    value: int


class ImpatientServer(TcpServer):
    _HANDSHAKE_S = DEADLINE_S


@pytest.fixture
def server() -> Iterator[TcpServer]:
    with ImpatientServer("localhost", 0, auth_token="TOKEN") as running:
        yield running
        running._core.check()


@pytest.fixture
def db(server: TcpServer) -> Iterator[DatabaseConnection]:
    with server.connect("TOKEN") as db:
        db.subscribeToSchema(schema)
        yield db


def plain(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def secure(port: int) -> socket.socket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain(port))


def silent_before_tls(port: int) -> socket.socket:
    return plain(port)


def garbage_before_tls(port: int) -> socket.socket:
    peer = plain(port)
    peer.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    return peer


def half_a_greeting_of_tls(port: int) -> socket.socket:
    peer = plain(port)
    peer.sendall(b"\x16\x03\x01\x02\x00\x01")
    return peer


def silent_after_tls(port: int) -> socket.socket:
    return secure(port)


def garbage_after_tls(port: int) -> socket.socket:
    peer = secure(port)
    peer.sendall(b"\xff" * 5000)
    return peer


def a_frame_of_four_gigabytes(port: int) -> socket.socket:
    peer = secure(port)
    peer.sendall(b"\xff\xff\xff\xff\x01\x00")
    return peer


def half_a_hello(port: int) -> socket.socket:
    peer = secure(port)
    peer.sendall(b"\x00\x00\x00\x20\x01\x00")
    return peer


def is_hung_up_on(peer: socket.socket) -> bool:
    """Once the server has closed the connection; a timeout of PATIENCE_S says that it has not."""
    try:
        while peer.recv(4096):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    return True


@pytest.mark.parametrize(
    "kind",
    [
        silent_before_tls,
        garbage_before_tls,
        half_a_greeting_of_tls,
        silent_after_tls,
        garbage_after_tls,
        a_frame_of_four_gigabytes,
        half_a_hello,
    ],
)
def test_hostile_peers_are_closed_in_time_and_disturb_nobody(
    server: TcpServer, db: DatabaseConnection, kind: Callable[[int], socket.socket]
) -> None:
    with db.transaction():
        counter = Counter()
    peers = []
    for _ in range(PEERS):
        peers.append(kind(server.port))
        with db.transaction():
            counter.value += 1
    began = time.monotonic()
    for peer in peers:
        assert is_hung_up_on(peer)
        peer.close()
    # The deadline of the last one, and a little for the clock of the server and for a slow machine.
    assert time.monotonic() - began < DEADLINE_S + 10
    with db.transaction():
        counter.value += 1
    with db.view():
        assert counter.value == PEERS + 1
    assert server._core.figures()["connections"] == 1
