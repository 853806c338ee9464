"""memory_max: a server that is full says so, and can be emptied."""

from __future__ import annotations

from typing import Any

import pytest

from object_database import InMemServer, Schema, TcpServer
from object_database.errors import InvalidArgumentError, ServerError
from object_database.frontends.database_server import size

schema = Schema("full")


@schema.define
class Page:
    text: str


def test_a_full_server_refuses_growth_and_takes_deletions() -> None:
    with InMemServer(auth_token="T", memory_max=2 << 20) as server, server.connect("T") as db:
        db.subscribeToSchema(schema)
        pages: list[Any] = []
        with pytest.raises(ServerError, match=r"memory is full.*2097152 bytes.*--memory-max.*delete objects"):
            while True:
                with db.transaction():
                    page = Page(text="x" * 100_000)
                pages.append(page)
        assert len(pages) == 20
        assert 2_000_000 < server._core.figures()["bytes"] <= 2 << 20
        with pytest.raises(ServerError), db.transaction():
            pages[0].text = "y" * 200_000
        with db.transaction():
            pages[0].text = "short"
        with db.transaction():
            pages[1].delete()
        with db.transaction():
            Page(text="y" * 150_000)


@pytest.mark.parametrize("memory_max", [0, -1, "2G", 1.5, 2**63])
def test_a_limit_that_is_none_is_refused(memory_max: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="memory_max is a number of bytes"):
        InMemServer(auth_token="T", memory_max=memory_max)
    with pytest.raises(InvalidArgumentError):
        TcpServer("localhost", 0, auth_token="T", memory_max=memory_max)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4096", 4096), ("1K", 1024), ("512M", 512 << 20), ("2g", 2 << 30), ("1.5GiB", 3 << 29), ("2GB", 2 << 30)],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "M", "0", "-1", "1X", "1e9", "half"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        size(text)
