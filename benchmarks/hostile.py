"""What peers that mean no good cost: memory of those that connect and stay silent, and what others wait for meanwhile."""

from __future__ import annotations

import resource
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

from fairness import paced_client
from model import HOST, TOKEN
from registry import Run, Sample, at_most, benchmark, figure

from object_database import TcpServer

KIB = 1024
SETTLE_S = 0.3
GARBAGE = b"\xff" * 2000
FRAME_OF_4_GIB = b"\xff\xff\xff\xff\x01\x00"


def allow_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class PatientServer(TcpServer):
    _HANDSHAKE_S = 120.0  # so that all of the silent peers can be looked at together


def patient_server() -> Iterator[int]:
    """Worker: a server that gives strangers two minutes. Yields its port."""
    allow_descriptors()
    with PatientServer(HOST, 0, auth_token=TOKEN) as server:
        yield server.port


def server() -> Iterator[int]:
    """Worker: a server with its usual deadlines. Yields its port."""
    allow_descriptors()
    with TcpServer(HOST, 0, auth_token=TOKEN) as running:
        yield running.port


def secure_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def silent_peers(port: int, count: int, is_secure: bool) -> Iterator[None]:
    """Worker: a step opens `count` connections and holds them."""
    allow_descriptors()
    context = secure_context()
    held: list[socket.socket] = []
    yield None
    while True:
        for _ in range(count):
            peer = socket.create_connection((HOST, port))
            held.append(context.wrap_socket(peer) if is_secure else peer)
        yield None


def hostile_peers(port: int, count: int, seconds: float) -> Iterator[int]:
    """Worker: a step holds up to `count` connections that are silent, send garbage or announce a frame of 4 GiB, with
    and without TLS, and opens new ones for those that the server closes. Yields how many were opened."""
    allow_descriptors()
    context = secure_context()
    yield 0
    while True:
        held: list[socket.socket] = []
        end = time.perf_counter() + seconds
        opened = 0
        while time.perf_counter() < end:
            if len(held) >= count:
                held.pop(0).close()
            peer = socket.create_connection((HOST, port))
            try:
                if opened % 10 == 0:  # a handshake costs this side as much as the server
                    peer = context.wrap_socket(peer)
                peer.sendall([b"", GARBAGE, FRAME_OF_4_GIB][opened % 3])
            except OSError:
                pass  # it was closed already
            held.append(peer)
            opened += 1
            time.sleep(0.001)  # a thousand a second; without a pause this measures how much of the machine is left
        for peer in held:
            peer.close()
        yield opened


def bytes_per_peer(run: Run, is_secure: bool) -> float:
    process = run.processes.start(patient_server)
    peers = run.client(silent_peers, port=process.ready, count=run.size, is_secure=is_secure)
    run.client(silent_peers, port=process.ready, count=50, is_secure=is_secure).step()  # what the first ones cost
    before = process.resident_bytes
    peers.step()
    time.sleep(SETTLE_S)
    gained = process.resident_bytes - before
    peers.end()
    process.end()
    return gained / run.size / KIB


@benchmark(
    "hostile.silent", "memory of the server for a peer that connects and stays silent", size=1000, quick_size=1000
)
@figure(name="before TLS", unit="KiB", bar=at_most(64))
@figure(name="after TLS", unit="KiB", bar=at_most(64))
def silent(run: Run) -> Sample:
    rounds = min(run.repetitions, 3)
    return Sample(
        {
            "before TLS": [bytes_per_peer(run, is_secure=False) for _ in range(rounds)],
            "after TLS": [bytes_per_peer(run, is_secure=True) for _ in range(rounds)],
        }
    )


@benchmark(
    "hostile.beside",
    "commits of a client beside a thousand peers that are silent or send garbage; probe: without them",
    size=1000,
    quick_size=1000,
)
@figure(name="p99", unit="ms")
@figure(name="p50", unit="ms")
@figure(name="max", unit="ms")
@figure(name="opened", unit="peers/s")
def beside(run: Run) -> Sample:
    port = int(run.processes.start(server).ready)
    hostile = run.client(hostile_peers, port=port, count=run.size, seconds=3 * run.seconds)
    small = run.client(paced_client, port=port, seconds=2.5 * run.seconds)
    quiet: list[Any] = []
    loud: list[Any] = []
    opened = []
    for _ in range(run.repetitions):
        quiet.append(small.step())
        hostile.ask()
        loud.append(small.step())
        opened.append(hostile.answer() / (3 * run.seconds))
    names = ("p99", "p50", "max")
    values = {name: [step[name] for step in loud] for name in names}
    return Sample({**values, "opened": opened}, {name: [step[name] for step in quiet] for name in names})
