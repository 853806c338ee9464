"""The heartbeat interval: what it may be, and that servers and their clients live by it."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from object_database import InMemServer, TcpServer
from object_database.errors import InvalidArgumentError
from object_database.messages import getHeartbeatInterval, setHeartbeatInterval


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = getHeartbeatInterval()
    yield
    setHeartbeatInterval(before)


def test_it_is_five_seconds_unless_set() -> None:
    assert getHeartbeatInterval() == 5.0
    setHeartbeatInterval(2)
    assert getHeartbeatInterval() == 2.0
    assert isinstance(getHeartbeatInterval(), float)


@pytest.mark.parametrize("interval", [0, -1, 0.019, 3601, math.inf, math.nan, None, "5", True, [5]])
def test_what_is_no_interval_is_refused_and_changes_nothing(interval: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="a heartbeat interval takes 0.02 to 3600 seconds; .* was given"):
        setHeartbeatInterval(interval)
    assert getHeartbeatInterval() == 5.0


CLIENT = """
import sys
from object_database import connect
db = connect("localhost", int(sys.argv[1]), "TOKEN")
print("connected", flush=True)
sys.stdin.readline()
"""


def test_a_client_that_is_silent_for_four_intervals_is_given_up() -> None:
    setHeartbeatInterval(0.2)
    with TcpServer("localhost", 0, auth_token="TOKEN") as server:
        setHeartbeatInterval(5.0)  # what is set later is for later servers
        command = [sys.executable, "-c", CLIENT, str(server.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "connected\n"
            assert server._core.figures()["connections"] == 1
            client.send_signal(signal.SIGSTOP)
            start = time.monotonic()
            while server._core.figures()["connections"] > 0:
                assert time.monotonic() - start < 10, "with the default interval it takes 20 s"
            client.kill()


def test_clients_follow_the_interval_of_their_server() -> None:
    setHeartbeatInterval(0.05)
    with InMemServer(auth_token="t") as quick, TcpServer("localhost", 0, auth_token="t") as quick_too:
        setHeartbeatInterval(5.0)
        with quick.connect("t") as db, quick_too.connect("t") as other:
            # Idle for more than four intervals: without its client's heartbeats a server would have closed it.
            assert not db.waitForCondition(lambda: False, timeout=0.4)
            assert not other.waitForCondition(lambda: False, timeout=0.1)
            db.flush()
            other.flush()
