"""What comes and goes leaves nothing behind: connections, subscriptions, commits, objects, on both sides.

Server and clients live in this process, so its memory, descriptors and threads are those of both. `make leaks` runs the
same with more cycles.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from object_database import Indexed, InMemServer, Schema, TcpServer
from object_database.server import Server

CYCLES = int(os.environ.get("ODB_LEAK_CYCLES", "300"))
OBJECTS = int(os.environ.get("ODB_LEAK_OBJECTS", "100000"))

MIB = 1 << 20

schema = Schema("leaks")


@schema.define
class Thing:
    number: Indexed[int]
    text: Indexed[str]


def resident_kib() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


class Held:
    """What this process holds at this moment."""

    def __init__(self) -> None:
        gc.collect()
        self.kib = resident_kib()
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.native_threads = len(os.listdir("/proc/self/task"))
        self.threads = threading.active_count()
        self.objects = len(gc.get_objects())


def wait_until_alone(server: Server, connections: int) -> None:
    while server._core.figures()["connections"] != connections:  # pytest's timeout is the bound
        server._core.check()


needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
under_asan = "libasan" in os.environ.get("LD_PRELOAD", "")


# What a server remembers of past commits is bounded, but it takes many of them to get there.
class ForgetfulInMemServer(InMemServer):
    _CONFLICT_WINDOW = 1 << 20


class ForgetfulTcpServer(TcpServer):
    _CONFLICT_WINDOW = 1 << 20


SERVERS: dict[str, Callable[[], Server]] = {
    "memory": lambda: ForgetfulInMemServer(auth_token="T"),
    "tls": lambda: ForgetfulTcpServer("localhost", 0, auth_token="T"),
}


@needs_proc
@pytest.mark.parametrize("transport", SERVERS)
def test_connections_that_come_and_go_leave_nothing(transport: str) -> None:
    with SERVERS[transport]() as server, server.connect("T") as keeper:
        keeper.subscribeToSchema(schema)
        with keeper.transaction():
            for number in range(100):
                Thing(number=number, text="kept")

        def cycle(is_polite: bool) -> None:
            db = server.connect("T")
            db.subscribeToSchema(schema)
            with db.transaction():
                things = [Thing(number=number, text=f"text {number}") for number in range(10)]
            with db.transaction():
                for thing in things:
                    thing.delete()
            db.flush()
            if is_polite:
                db.disconnect()

        def cycles(count: int) -> Held:
            for number in range(count):
                cycle(is_polite=number % 2 == 0)
            gc.collect()
            wait_until_alone(server, 1)
            keeper.flush()
            return Held()

        before = cycles(max(50, CYCLES // 4))  # caches and arenas are filled by then
        after = cycles(CYCLES)
        assert server._core.figures()["objects"] == 100
        assert (after.descriptors, after.native_threads, after.threads) == (
            before.descriptors,
            before.native_threads,
            before.threads,
        )
        assert after.objects - before.objects < 100
        if not under_asan:
            assert after.kib - before.kib < 4096 + CYCLES // 2, "KiB; half a KiB for each connection is noise"


@needs_proc
def test_servers_that_come_and_go_leave_nothing() -> None:
    def cycles(count: int) -> Held:
        for _ in range(count):
            with TcpServer("localhost", 0, auth_token="T") as server, server.connect("T") as db:
                db.subscribeToSchema(schema)
                with db.transaction():
                    Thing(number=1)
        return Held()

    before = cycles(10)
    after = cycles(max(20, CYCLES // 10))
    assert after.threads == before.threads
    assert after.native_threads <= before.native_threads
    assert after.descriptors <= before.descriptors
    if not under_asan:
        assert after.kib - before.kib < 8192


@needs_proc
@pytest.mark.parametrize("transport", SERVERS)
def test_objects_that_come_and_go_leave_nothing(transport: str) -> None:
    with SERVERS[transport]() as server, server.connect("T") as writer, server.connect("T") as reader:
        for db in (writer, reader):
            db.subscribeToSchema(schema)

        def cycle() -> None:
            with writer.transaction():
                things = [Thing(number=number, text=f"text {number % 100}") for number in range(10_000)]
            with writer.transaction():
                for thing in things:
                    thing.number += 1
            with writer.transaction():
                for thing in things:
                    thing.delete()
            reader.flush()

        def cycles(objects: int) -> Held:
            for _ in range(objects // 10_000):
                cycle()
            while server._core.figures()["bytes"] > MIB:  # until the server's next tick; pytest's timeout is the bound
                server._core.check()
            return Held()

        before = cycles(max(50_000, OBJECTS // 4))
        after = cycles(OBJECTS)
        assert server._core.figures()["objects"] == 0
        assert after.objects - before.objects < 100
        if not under_asan:
            assert after.kib - before.kib < 8192 + OBJECTS // 1000
        for db in (writer, reader):
            with db.view():
                assert Thing.lookupAll() == ()
