"""Bytes for each object, from the memory that fresh processes hold before and after. Probe: the same as plain objects.

A server remembers besides what was written lately, in 64 MiB at most however many objects there are (D14). Each key of an
index that an object comes into is a write: the objects alone are measured with a short memory, and then with the usual one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from model import GROUP_SIZE, HOST, TOKEN, connected, load, schema, serve
from probes import PlainPair
from processes import resident_bytes
from registry import Run, Sample, at_most, benchmark, figure

from object_database import TcpServer

SETTLE_S = 0.5  # buffers of the last messages are gone by then
REPETITIONS = 3  # of a million objects each; memory hardly varies


class Forgetful(TcpServer):
    _CONFLICT_WINDOW = 1 << 20


def serve_forgetful() -> Iterator[int]:
    """Worker: a server that remembers few of the last commits. Yields its port."""
    with Forgetful(HOST, 0, auth_token=TOKEN) as server:
        yield server.port


def holding_client(port: int, kind: str) -> Iterator[Any]:
    """Worker: subscribes. Yields bytes gained."""
    with connected(port) as db:
        yield None
        before = resident_bytes()
        db.subscribeToType(getattr(schema, kind))
        time.sleep(SETTLE_S)
        yield resident_bytes() - before


def plain_objects(count: int) -> Iterator[Any]:
    """Worker: the same values in plain objects, in a dict by their identity. Yields bytes gained."""
    yield None
    before = resident_bytes()
    held = {number: PlainPair(number, f"text {number // GROUP_SIZE}") for number in range(count)}
    yield resident_bytes() - before
    held.clear()


def on_server(run: Run, kind: str, serving: Callable[[], Iterator[int]] = serve_forgetful) -> float:
    server = run.client(serving)
    run.client(load, port=server.ready, kind=kind, count=1).step()  # what a first client and type cost is not counted
    before = server.resident_bytes
    loader = run.client(load, port=server.ready, kind=kind, count=run.size)
    loader.step()
    loader.end()
    time.sleep(SETTLE_S)
    gained = server.resident_bytes - before
    server.end()
    return gained


def on_client(run: Run, kind: str) -> float:
    server = run.server_process()
    run.client(load, port=server.ready, kind=kind, count=run.size).step()
    gained = run.client(holding_client, port=server.ready, kind=kind).step()
    server.end()
    return gained


def sample(run: Run, gained: Callable[[Run, str], float], kind: str) -> Sample:
    plain = run.client(plain_objects, count=run.size)
    probe = plain.step() / run.size
    plain.end()
    return Sample.of([gained(run, kind) / run.size for _ in repetitions(run)], [probe])


def repetitions(run: Run) -> range:
    return range(min(run.repetitions, REPETITIONS))


@benchmark("memory.server", "object of an int and a short str", size=1_000_000, quick_size=200_000)
@figure(unit="B", bar=at_most(90, minimum=200))
def server(run: Run) -> Sample:
    return sample(run, on_server, "Pair")


@benchmark("memory.client", "the same, on a subscribed client", size=1_000_000, quick_size=200_000)
@figure(unit="B", bar=at_most(90, minimum=200))
def client(run: Run) -> Sample:
    return sample(run, on_client, "Pair")


@benchmark(
    "memory.server_indexed", "the same with an index on each of the two fields", size=1_000_000, quick_size=200_000
)
@figure(unit="B", bar=at_most(130))
@figure(unit="B", name="just created")
def server_indexed(run: Run) -> Sample:
    found = sample(run, on_server, "IndexedPair")
    found.values["just created"] = [on_server(run, "IndexedPair", serve) / run.size for _ in repetitions(run)]
    return found


@benchmark("memory.client_indexed", "the same, on a subscribed client", size=1_000_000, quick_size=200_000)
@figure(unit="B", bar=at_most(130))
def client_indexed(run: Run) -> Sample:
    return sample(run, on_client, "IndexedPair")
