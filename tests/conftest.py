"""Fixtures that every folder of tests shares: a running server, connections to it, and servers in processes of their own.

`server` lives in the process of the tests and has no network. tests/contracts replaces it with two, so that everything there
runs over memory and over TLS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from object_database import DatabaseConnection, InMemServer, connect
from object_database.persistence import RedisPersistence
from object_database.server import Server
from tests.redis_process import RedisProcess

ROOT = Path(__file__).resolve().parents[1]
SERVER_PROGRAM = ROOT / "object_database" / "frontends" / "database_server.py"
TOKEN = "TOKEN"

# A shell that runs the tests in the background has them ignore Ctrl-C, and the programs that they start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def server() -> Iterator[Server]:
    with InMemServer(auth_token=TOKEN) as running:
        yield running
        running._core.check()  # every invariant of the engine


@pytest.fixture
def connect_db(server: Server) -> Iterator[Callable[[], DatabaseConnection]]:
    """Makes one more connection to the server."""
    opened = []

    def make() -> DatabaseConnection:
        opened.append(server.connect(TOKEN))
        return opened[-1]

    yield make
    for db in opened:
        db.disconnect()


@pytest.fixture
def db(connect_db: Callable[[], DatabaseConnection]) -> DatabaseConnection:
    return connect_db()


class ServerProcess:
    """database_server.py on a free port. The process can be frozen: it then answers nothing, as one that is lost does."""

    def __init__(self, *options: str, host: str = "localhost", port: int = 0, token: str = TOKEN):
        self.token = token
        has_store = any(each.startswith(("--data-dir", "--redis")) for each in options)
        store = [] if has_store else ["--inmem"]
        command = [str(SERVER_PROGRAM), "--service-token", token, *store, host, str(port), *options]
        self.process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        if not self.greeting.startswith("serving on"):
            raise RuntimeError(f"the server did not start: {self.greeting!r}, {self.finish()}")
        self.port = int(self.greeting.split(",")[0].rsplit(":", 1)[1])

    def connect(self, token: str | None = None) -> DatabaseConnection:
        return connect("localhost", self.port, self.token if token is None else token)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)  # until it has really stopped

    def finish(self) -> tuple[int, str, str]:
        """Exit code and what is left of stdout and stderr, once the process has ended."""
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start_server() -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server in a process of its own; arguments as of ServerProcess."""
    started = []

    def start(*options: str, **arguments: object) -> ServerProcess:
        started.append(ServerProcess(*options, **arguments))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def server_process(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    return start_server()


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisProcess]]:
    """Starts redis servers of the test, with the options that it gives."""
    started: list[RedisProcess] = []
    with tempfile.TemporaryDirectory(prefix="odb") as directory:  # the address of a socket must be short

        def start(*options: str, **arguments: Any) -> RedisProcess:
            started.append(RedisProcess(Path(directory) / str(len(started)), *options, **arguments))
            return started[-1]

        yield start
        for process in started:
            process.kill()


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisProcess]:
    """One redis for the tests of a file, which leave each other's keys alone or remove them."""
    with tempfile.TemporaryDirectory(prefix="odb") as directory:
        process = RedisProcess(Path(directory))
        yield process
        process.kill()


@pytest.fixture
def open_store() -> Iterator[Callable[..., RedisPersistence]]:
    """Opens stores in a redis, with short times to wait."""
    opened: list[RedisPersistence] = []

    def make(process: RedisProcess, **options: Any) -> RedisPersistence:
        settings = {"lease_s": 2.0, "timeout_s": 5.0, "retry_s": 20.0, **options}
        opened.append(RedisPersistence(url=process.url, **settings))
        opened[-1].open()
        return opened[-1]

    yield make
    for store in opened:
        store.close()
