"""Stores on their own: what loading costs a server that starts, and a group each commit that waits for it.

Probe of a durable group: a file that is appended to, 8 KiB and an fdatasync.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from registry import Run, Sample, at_least, at_most, benchmark, figure

from object_database.persistence import Group, Persistence, RedisPersistence, SqlitePersistence

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
TYPES = 5
ROW = bytes(30)  # two ints and a short text
GROUPS = 200


def measured(run: Run, store: Persistence, folder: Path, before_groups: Callable[[], object] = lambda: None) -> Sample:
    """Fill an empty store, load it, and apply groups of one row."""
    epoch = store.open().epoch
    rows = [(each * 3 + 100_000_000, each % TYPES, ROW) for each in range(run.size)]
    store.apply(Group(epoch, 0, 1, rows))
    loads, groups, appends = [], [], []
    tid = 1
    for _ in range(run.repetitions):
        began = time.perf_counter()
        if sum(map(len, store.load())) != run.size:
            raise RuntimeError("not every object was loaded")
        loads.append(run.size / (time.perf_counter() - began))
    before_groups()
    for _ in range(run.repetitions):
        appends.append(append_us(folder))
        began = time.perf_counter()
        for _ in range(GROUPS):
            object_id, type_number, _ = rows[tid * 7919 % run.size]
            store.apply(Group(epoch, tid, tid + 1, [(object_id, type_number, b"%d" % tid)], {}, [(b"s", tid, tid + 1)]))
            tid += 1
        groups.append((time.perf_counter() - began) / GROUPS * 1e6)
    store.close()
    return Sample({"": loads, "group": groups}, {"group": appends})


def append_us(folder: Path) -> float:
    file = os.open(folder / "probe", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for _ in range(GROUPS // 4):
        os.write(file, bytes(8192))
        os.fdatasync(file)
    took = time.perf_counter() - began
    os.close(file)
    return took / (GROUPS // 4) * 1e6


@benchmark("stores.sqlite", "load every object; a group of one row, with its fsync", size=300_000)
@figure(unit="objects/s", bar=at_least(500_000))
@figure(unit="us", name="group")
def sqlite(run: Run) -> Sample:
    with tempfile.TemporaryDirectory(dir=".") as folder:  # on a disk: /tmp may be in memory
        return measured(run, SqlitePersistence(folder), Path(folder))


@benchmark("stores.sqlite_work", "the same without the fsync: what is ours of it", size=300_000)
@figure(unit="objects/s", bar=at_least(500_000))
@figure(unit="us", name="group", bar=at_most(100))
def sqlite_work(run: Run) -> Sample:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = SqlitePersistence(folder)
        return measured(run, store, Path(folder), lambda: store._ask("PRAGMA synchronous = OFF"))


def redis(run: Run) -> Sample:
    with tempfile.TemporaryDirectory(dir=".") as folder, tempfile.TemporaryDirectory() as short:
        options = ["--port", "0", "--unixsocket", f"{short}/s", "--dir", str(Path(folder).resolve()), "--save", ""]
        server = subprocess.Popen(
            [str(REDIS), *options, "--appendonly", "yes", "--appendfsync", "always"], stdout=subprocess.DEVNULL
        )
        try:
            return measured(run, RedisPersistence(url=f"unix://{short}/s"), Path(folder))
        finally:
            server.kill()
            server.wait()


if REDIS is not None:
    redis = benchmark("stores.redis", "the same with a redis that appends always", size=300_000)(
        figure(unit="objects/s", bar=at_least(200_000))(figure(unit="us", name="group")(redis))
    )
