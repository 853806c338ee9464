"""What a store costs: confirmed commits beside the same without a store, and how fast objects come back at a start.

A group of commits costs an fsync, or redis an fsync, so these say as much about the disk as about the program: `--dir
/dev/shm` shows the program alone.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from commits import CLIENTS, increment_client, together
from model import HOST, TOKEN, Counter, connected, load
from registry import Run, Sample, at_least, at_most, at_most_of_probe, benchmark, figure

from object_database import TcpServer
from object_database.persistence import (
    Group,
    InMemoryPersistence,
    Persistence,
    RedisPersistence,
    SqlitePersistence,
)
from object_database.store_readers import RedisReader, reader_of

APPENDS = 200  # of the store alone
IN_FLIGHT = 64  # of a client that does not wait for each commit
COMMITTERS = 4  # beside a backup


def store_at(where: str) -> Persistence:
    if where == "memory":
        return InMemoryPersistence()
    return RedisPersistence(url=where) if where.startswith("unix:") else SqlitePersistence(where)


def serve_from(where: str) -> Iterator[Any]:
    """Worker: a server on this store. Yields its port, what it loaded, and how long loading and all of the start took."""
    progress: list[tuple[int, float]] = [(0, 0.0)]
    server = TcpServer(HOST, 0, store_at(where), auth_token=TOKEN)
    server._on_loading = lambda loaded, count, seconds: progress.append((loaded, seconds))
    began = time.perf_counter()
    with server:
        yield {
            "port": server.port,
            "loaded": progress[-1][0],
            "load_s": progress[-1][1],
            "start_s": time.perf_counter() - began,
        }


def append_alone(where: str) -> Iterator[float]:
    """Worker: groups of one small row, one after the other. Yields what a group takes in the middle, in microseconds."""
    with store_at(where) as store:
        state = store.open()
        yield 0.0
        tid = state.last_tid
        while True:
            durations = []
            for _ in range(APPENDS):
                began = time.perf_counter()
                store.apply(Group(state.epoch, tid, tid + 1, [(1, 1, b"x" * 12)], {}, [(b"s" * 16, tid, tid + 1)]))
                durations.append(time.perf_counter() - began)
                tid += 1
            yield statistics.median(durations) * 1e6


@contextmanager
def place(run: Run, kind: str) -> Iterator[str]:
    """A new store of that kind, which is gone afterwards."""
    if kind == "memory":
        yield kind
        return
    with tempfile.TemporaryDirectory(prefix="odb-", dir=run.directory) as folder:
        if kind == "sqlite":
            yield folder
            return
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            raise RuntimeError("no redis-server (or valkey-server) on this machine")
        options = [
            "--port",
            "0",
            "--unixsocket",
            "s",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--daemonize",
            "no",
        ]
        redis = subprocess.Popen(
            [program, "--dir", folder, *options],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        try:
            assert redis.stdout is not None
            for line in redis.stdout:
                if "ready to accept connections at" in line:
                    break
            yield f"unix://{folder}/s"
        finally:
            redis.kill()
            redis.communicate()


def ahead_client(port: int, seconds: float) -> Iterator[Any]:
    """Worker: commits to objects of its own, and goes on while up to IN_FLIGHT of them are not confirmed. Each step yields
    the rate of those that were confirmed."""
    with connected(port) as db:
        db.subscribeToNone(Counter)
        with db.transaction():
            counters = [Counter() for _ in range(IN_FLIGHT)]
        may_go = threading.Semaphore(IN_FLIGHT)
        refused = []

        def confirmed(result: Any) -> None:
            if not result.matches.Success:
                refused.append(result)
            may_go.release()

        yield None
        value = 0
        while True:
            began = time.perf_counter()
            count = 0
            while time.perf_counter() < began + seconds:
                value += 1
                may_go.acquire()
                with db.transaction().onConfirmed(confirmed):
                    counters[value % IN_FLIGHT].value = value
                count += 1
            for _ in range(IN_FLIGHT):
                may_go.acquire()
            took = time.perf_counter() - began
            may_go.release(IN_FLIGHT)
            assert not refused, refused
            yield {"per_s": count / took}


def eight(run: Run, kind: str, client: Callable[..., Iterator[Any]] = increment_client, **more: Any) -> Sample:
    with place(run, kind) as where:
        options: dict[str, Any] = {"seconds": run.seconds, **more}
        server = run.client(serve_from, where=where)
        in_memory = run.clients(CLIENTS, client, port=run.server(), **options)
        in_store = run.clients(CLIENTS, client, port=server.ready["port"], **options)
        rates, memory_rates = [], []
        for _ in range(run.repetitions):
            memory_rates.append(sum(step["per_s"] for step in together(in_memory)))
            rates.append(sum(step["per_s"] for step in together(in_store)))
        for each in (*in_store, server):
            each.end()
    ratios = [100 * rate / memory for rate, memory in zip(rates, memory_rates, strict=True)]
    return Sample({"": ratios, "rate": rates, "in memory": memory_rates})


def one(run: Run, kind: str) -> Sample:
    with place(run, kind) as where, place(run, kind) as other:
        options: dict[str, Any] = {"seconds": run.seconds, "subscribed": "none"}
        server = run.client(serve_from, where=where)
        in_memory = run.client(increment_client, port=run.server(), **options)
        in_store = run.client(increment_client, port=server.ready["port"], **options)
        alone = run.client(append_alone, where=other)
        taken, allowed, own, memory = [], [], [], []
        for _ in range(run.repetitions):
            memory.append(in_memory.step()["p50_us"])
            own.append(alone.step())
            taken.append(in_store.step()["p50_us"])
            allowed.append(own[-1] + 1.3 * memory[-1])
        for each in (in_store, alone, server):
            each.end()
    return Sample({"": taken, "store alone": own, "in memory": memory}, {"": allowed})


def restart(run: Run, kind: str) -> Sample:
    with place(run, kind) as where:
        server = run.client(serve_from, where=where)
        rates, seconds, gained = [], [], []
        for count in (1, run.size - 1):  # what a first client and type cost is not counted
            empty = server.resident_bytes
            loader = run.client(load, port=server.ready["port"], kind="IndexedPair", count=count)
            loader.step()
            loader.end()
        server.end()
        for _ in range(min(3, run.repetitions)):
            server = run.client(serve_from, where=where)
            assert server.ready["loaded"] == run.size, server.ready
            rates.append(server.ready["loaded"] / server.ready["load_s"])
            seconds.append(server.ready["start_s"])
            gained.append((server.resident_bytes - empty) / run.size)
            server.end()
    return Sample({"": rates, "start": seconds, "memory": gained})


def committing(run: Run, where: str) -> tuple[Any, Any]:
    """A server on this store with run.size objects, and clients that commit to it."""
    server = run.client(serve_from, where=where)
    port = server.ready["port"]
    loader = run.client(load, port=port, kind="IndexedPair", count=run.size)
    loader.step()
    loader.end()
    return server, run.clients(COMMITTERS, increment_client, port=port, seconds=run.seconds, subscribed="none")


def backup_client(where: str, seconds: float) -> Iterator[Any]:
    """Worker: each step makes one backup of the store after the other and yields how long one took."""
    command = [sys.executable, "-m", "object_database", "--data-dir", where, "backup", "--overwrite"]
    yield None
    while True:
        began = time.perf_counter()
        count = 0
        while time.perf_counter() < began + seconds:
            subprocess.run([*command, f"{where}/copy.sqlite"], check=True, stdout=subprocess.DEVNULL)
            count += 1
        yield (time.perf_counter() - began) / count


def beside_backup(run: Run) -> Sample:
    with place(run, "sqlite") as where:
        server, clients = committing(run, where)
        backup = run.client(backup_client, where=where, seconds=run.seconds)
        lost, quiet, took = [], [], []
        for _ in range(run.repetitions):
            before = sum(step["per_s"] for step in together(clients))
            backup.ask()
            beside = sum(step["per_s"] for step in together(clients))
            took.append(backup.answer())
            after = sum(step["per_s"] for step in together(clients))
            quiet.append((before + after) / 2)
            lost.append(100 * (1 - beside / quiet[-1]))
        for each in (*clients, backup, server):
            each.end()
    return Sample({"": lost, "backup": took, "quiet": quiet})


def copying_reader(where: str) -> Iterator[Any]:
    """Worker: each step has redis copy the objects, as `odb backup` does while others commit, and drops the copies."""
    yield None
    while True:
        with reader_of(store_at(where), is_busy=True) as reader:
            if not isinstance(reader, RedisReader) or not reader._copies:
                raise RuntimeError("this redis copies nothing: it takes redis 6.2 or later")
        yield None


def beside_copy(run: Run) -> Sample:
    with place(run, "redis") as where:
        server, clients = committing(run, where)
        reader = run.client(copying_reader, where=where)
        longest, quiet = [], []
        for _ in range(run.repetitions):
            quiet.append(max(step["max_ms"] for step in together(clients)))
            for each in clients:
                each.ask()
            reader.step()
            longest.append(max(each.answer()["max_ms"] for each in clients))
        for each in (*clients, reader, server):
            each.end()
    return Sample({"": longest, "quiet": quiet}, {"": quiet})


@benchmark(
    "stores.eight_sqlite", "8 clients on SQLite, each subscribed to its own object, over the same without a store"
)
@figure(unit="% of in memory", bar=at_least(60))
@figure(name="rate", unit="commits/s")
@figure(name="in memory", unit="commits/s")
def eight_sqlite(run: Run) -> Sample:
    return eight(run, "sqlite", subscribed="none")


@benchmark("stores.eight_redis", "8 clients on redis, AOF always")
@figure(unit="% of in memory", bar=at_least(50))
@figure(name="rate", unit="commits/s")
@figure(name="in memory", unit="commits/s")
def eight_redis(run: Run) -> Sample:
    return eight(run, "redis", subscribed="none")


@benchmark(
    "stores.eight_memory", "8 clients on InMemoryPersistence(): what the way through any store leaves of the rate"
)
@figure(unit="% of in memory")
@figure(name="rate", unit="commits/s")
@figure(name="in memory", unit="commits/s")
def eight_memory(run: Run) -> Sample:
    return eight(run, "memory", subscribed="none")


@benchmark("stores.ahead_sqlite", f"8 clients on SQLite, each with up to {IN_FLIGHT} commits that it does not wait for")
@figure(unit="% of in memory", bar=at_least(60))
@figure(name="rate", unit="commits/s")
@figure(name="in memory", unit="commits/s")
def ahead_sqlite(run: Run) -> Sample:
    return eight(run, "sqlite", ahead_client)


@benchmark("stores.ahead_redis", "the same on redis, AOF always")
@figure(unit="% of in memory", bar=at_least(50))
@figure(name="rate", unit="commits/s")
@figure(name="in memory", unit="commits/s")
def ahead_redis(run: Run) -> Sample:
    return eight(run, "redis", ahead_client)


@benchmark("stores.one_sqlite", "one client's commit on SQLite; probe: the store alone and 1.3 times in memory")
@figure(unit="us", bar=at_most_of_probe(1.0))
@figure(name="store alone", unit="us")
@figure(name="in memory", unit="us")
def one_sqlite(run: Run) -> Sample:
    return one(run, "sqlite")


@benchmark("stores.one_redis", "one client's commit on redis; probe likewise")
@figure(unit="us", bar=at_most_of_probe(1.0))
@figure(name="store alone", unit="us")
@figure(name="in memory", unit="us")
def one_redis(run: Run) -> Sample:
    return one(run, "redis")


@benchmark("stores.load_sqlite", "objects with two indexes come back from SQLite at a start", size=1_000_000)
@figure(unit="objects/s", bar=at_least(500_000))
@figure(name="start", unit="s", bar=at_most(10))
@figure(name="memory", unit="B", bar=at_most(130))
def load_sqlite(run: Run) -> Sample:
    return restart(run, "sqlite")


@benchmark("stores.load_redis", "objects with two indexes come back from redis at a start", size=1_000_000)
@figure(unit="objects/s", bar=at_least(200_000))
@figure(name="start", unit="s", bar=at_most(10))
@figure(name="memory", unit="B", bar=at_most(130))
def load_redis(run: Run) -> Sample:
    return restart(run, "redis")


@benchmark("stores.backup", f"what a backup of SQLite costs {COMMITTERS} clients that commit", size=1_000_000)
@figure(unit="% of their rate", bar=at_most(30))
@figure(name="backup", unit="s")
@figure(name="quiet", unit="commits/s")
def backup(run: Run) -> Sample:
    return beside_backup(run)


@benchmark(
    "stores.copy_pause",
    f"the longest wait of {COMMITTERS} clients that commit while redis copies the objects for a backup; probe: without",
    size=100_000,
)
@figure(unit="ms")
@figure(name="quiet", unit="ms")
def copy_pause(run: Run) -> Sample:
    return beside_copy(run)
