"""A redis server of a test's own: it listens on a socket in a directory of the test, so it needs no port that is free."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_the_tests() -> None:
    """However they end: pytest-timeout leaves by os._exit."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# Another version than the one on the PATH can be named.
PROGRAM = os.environ.get("ODB_TESTS_REDIS_SERVER") or shutil.which("redis-server") or shutil.which("valkey-server")


def need_redis() -> None:
    """Skip the test where there is no redis. Fail it where somebody has said that there must be one, as .ci/run does."""
    reason = "no redis-server (or valkey-server) on this machine: Debian, Ubuntu: apt-get install redis-server"
    if PROGRAM is None:
        if os.environ.get("ODB_TESTS_NEED_REDIS"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        import redis  # noqa: F401
    except ImportError:
        if os.environ.get("ODB_TESTS_NEED_REDIS"):
            pytest.fail("the package redis is missing")
        pytest.skip("the package redis is missing: pip install redis")


class RedisProcess:
    """On a socket in its directory, and on `port` too where one is given. It can be killed and started again."""

    def __init__(self, directory: Path, *options: str, port: int = 0, is_durable: bool = True):
        need_redis()
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        # The address of a socket takes 107 bytes.
        self.socket = str(directory / "s")
        self.port = port
        aof = ["--appendonly", "yes", "--appendfsync", "always"] if is_durable else ["--appendonly", "no"]
        self.options = [*aof, "--save", "", *options]
        self.process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self, until: str = "ready to accept connections") -> None:
        """Returns when it has said this: by default, that it listens and has loaded what it had."""
        assert self.process is None
        Path(self.socket).unlink(missing_ok=True)
        command = [PROGRAM or "", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", "s", "--dir"]
        command += [str(self.directory), "--daemonize", "no", "--logfile", "", *self.options]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.directory,
            preexec_fn=_die_with_the_tests,
            env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},  # a sanitizer of ours
        )
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if until in line.lower():  # worded and numbered differently by each release
                break
        else:
            self.kill()
            raise RuntimeError("redis did not start:\n" + "".join(seen))

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def freeze(self) -> None:
        assert self.process is not None
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)  # until it has really stopped

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def client(self) -> Any:
        import redis

        return redis.Redis(unix_socket_path=self.socket, socket_timeout=10)

    def flush_all(self) -> None:
        with self.client() as client:
            client.flushall()


def until_told(caplog: pytest.LogCaptureFixture, words: str = " is waited for, ", times: int = 1) -> None:
    """Returns when stores have told so many times that their redis is away, or whatever these words say of it."""
    while sum(words in record.getMessage() for record in list(caplog.records)) < times:
        threading.Event().wait(0.01)
