"""Reading a store beside the server that has it: one state, or an error that says it was none."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from object_database.errors import StoreCorruptError, StoreError, StoreFormatError, StoreMovedError
from object_database.persistence import Group, InMemoryPersistence, Persistence, RedisPersistence, SqlitePersistence
from object_database.store_readers import StoreReader, reader_of
from tests.redis_process import RedisProcess


def in_redis(process: RedisProcess) -> RedisPersistence:
    return RedisPersistence(url=process.url, lease_s=0.3)


def served(store: Persistence) -> Persistence:
    """As a server has it that has committed once."""
    store.open()
    store.apply(Group(1, 0, 4, [(7, 1, b"seven"), (8, 2, b"eight")], {"catalogue": b"c"}, [(b"s" * 16, 5, 4)]))
    return store


def rows_of(reader: StoreReader) -> list[tuple[int, int, bytes]]:
    return sorted(row for batch in reader.rows() for row in batch)


def check_content(reader: StoreReader) -> None:
    content = reader.content
    assert (content.format, content.epoch, content.last_tid, content.object_count) == (1, 1, 4, 2)
    assert len(content.history) == 16
    assert content.facts == {"catalogue": b"c"}
    assert content.sessions == {b"s" * 16: (5, 4)}
    assert rows_of(reader) == [(7, 1, b"seven"), (8, 2, b"eight")]
    assert reader.sizes() == {1: (1, 5), 2: (1, 5)}
    owner = reader.owner()
    assert owner is not None
    assert owner.pid > 0
    assert list(reader.findings()) == []


def test_a_file_is_read_as_it_was_when_reading_began(tmp_path: Path) -> None:
    with served(SqlitePersistence(tmp_path / "s")) as store, reader_of(SqlitePersistence(tmp_path / "s")) as reader:
        store.apply(Group(1, 4, 5, [(7, 1, b"SEVEN"), (9, 1, b"nine"), (8, 2, None)]))
        check_content(reader)
        reader.confirm()
        assert store.last_tid() == 5


def test_a_file_where_nobody_can_write_is_read_without_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(SqlitePersistence(tmp_path / "s")):
        pass
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may run as root, who may write everywhere
    before = sorted(tmp_path.iterdir())
    with reader_of(SqlitePersistence(tmp_path / "s")) as reader:
        assert rows_of(reader) == [(7, 1, b"seven"), (8, 2, b"eight")]
        assert sorted(tmp_path.iterdir()) == before
        reader.confirm()
        with SqlitePersistence(tmp_path / "s") as store:
            store.open()
            with pytest.raises(StoreMovedError, match="opened by a server while it was read"):
                reader.confirm()


def test_a_redis_that_is_written_to_meanwhile_is_noticed(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)) as store, reader_of(in_redis(redis_process)) as reader:
        check_content(reader)
        store.apply(Group(1, 4, 5, [(7, 1, b"SEVEN")]))
        with pytest.raises(StoreMovedError, match="was written to while it was read.*BGSAVE"):
            reader.confirm()


def test_the_lease_of_a_quiet_server_disturbs_nobody(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)), reader_of(in_redis(redis_process)) as reader:
        with redis_process.client() as client:
            before = client.info("commandstats")["cmdstat_exec"]["calls"]
            while client.info("commandstats")["cmdstat_exec"]["calls"] < before + 2:  # renewed twice
                threading.Event().wait(0.01)
        check_content(reader)
        reader.confirm()


def test_a_server_without_commits_that_asks_for_its_store_disturbs_nobody(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)) as store, reader_of(in_redis(redis_process)) as reader:
        assert store.last_tid() == 4
        check_content(reader)
        reader.confirm()


def test_rows_that_change_while_they_are_read_are_no_damage(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)) as store, reader_of(in_redis(redis_process)) as reader:
        batches = reader.rows()
        next(batches)
        store.apply(Group(1, 4, 5, [(9, 1, b"nine")]))
        with pytest.raises(StoreMovedError):
            list(batches)


@pytest.mark.parametrize("is_quiet", [False, True])
def test_sizes_are_told_while_somebody_commits(
    redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch, is_quiet: bool
) -> None:
    """Quiet: what changes the objects is no commit, so their numbers are damaged."""
    redis_process.flush_all()
    with served(in_redis(redis_process)) as store, reader_of(in_redis(redis_process)) as reader:
        line, tid = reader._store._line, 4  # type: ignore[attr-defined]
        ask = line.ask

        def asked(*commands: Any) -> Any:
            """Before the objects of a type are counted, somebody adds one."""
            nonlocal tid
            if commands[0][0] == "HLEN":
                tid += 1
                if is_quiet:
                    ask(("HSET", commands[0][1], tid + 100, b"more"))
                else:
                    number = int(commands[0][1].rpartition(":")[2])
                    store.apply(Group(1, tid - 1, tid, [(tid + 100, number, b"more")]))
            return ask(*commands)

        monkeypatch.setattr(line, "ask", asked)
        if is_quiet:
            with pytest.raises(StoreCorruptError, match="somebody writes to it"):
                reader.sizes()
        else:
            assert reader.sizes() == {1: (1, 5), 2: (1, 5)}


def test_rows_that_do_not_agree_in_a_quiet_redis_are_damage(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)), reader_of(in_redis(redis_process)) as reader:
        batches = reader.rows()
        next(batches)
        with redis_process.client() as client:
            client.hset("odb:objects:1", "9", b"nine")
        with pytest.raises(StoreCorruptError, match="somebody writes to it"):
            list(batches)


def test_what_is_no_store_is_told(tmp_path: Path, redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no database at all\n" * 100)
    for store, words in (
        (SqlitePersistence(tmp_path / "nothing"), "there is no store"),
        (SqlitePersistence(tmp_path / "empty"), "holds no store"),
        (SqlitePersistence(tmp_path / "text"), "is no SQLite database"),
        (in_redis(redis_process), "there is no store"),
    ):
        with pytest.raises(StoreFormatError, match=words):
            reader_of(store).__enter__()
    with pytest.raises(StoreError, match="this kind of store has no reader"):
        reader_of(InMemoryPersistence())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "text"]
