"""What holds for every way to reach a server: each test here runs over memory and over TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from object_database import InMemServer, TcpServer
from object_database.server import Server


@pytest.fixture(params=["memory", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = {
        "memory": lambda: InMemServer(auth_token="TOKEN"),
        "tls": lambda: TcpServer("localhost", 0, auth_token="TOKEN"),
    }[request.param]()
    with made as running:
        yield running
        running._core.check()  # every invariant of the engine
