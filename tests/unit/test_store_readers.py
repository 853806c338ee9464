"""Reading a store beside the server that has it: one state, or an error that says it was none."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from object_database import Schema, TcpServer, connect
from object_database.cli import main
from object_database.errors import (
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreMovedError,
    StoreUnavailableError,
)
from object_database.persistence import (
    Batch,
    Group,
    InMemoryPersistence,
    Persistence,
    RedisPersistence,
    SqlitePersistence,
)
from object_database.store_readers import RedisReader, StoreReader, reader_of
from tests.redis_process import RedisProcess

schema = Schema("read_while_in_use")


@schema.define
class Counter:
    value: int


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


def copies_in(process: RedisProcess) -> list[bytes]:
    with process.client() as client:
        return list(client.keys("odb:copy:*"))


def test_a_busy_redis_is_read_as_it_was_when_its_objects_were_copied(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)) as store:
        store.apply(Group(1, 4, 4, [(9, 3, b"nine")]))
        store.apply(Group(1, 4, 4, [(9, 3, None)]))  # type 3 has no objects, and so no key
        with reader_of(in_redis(redis_process), is_busy=True) as reader:
            assert len(copies_in(redis_process)) == 2
            store.apply(
                Group(1, 4, 5, [(7, 1, b"SEVEN"), (9, 1, b"nine"), (8, 2, None), (10, 3, b"ten"), (11, 4, b"x")])
            )
            check_content(reader)
            reader.confirm()
        assert copies_in(redis_process) == []
        assert store.last_tid() == 5  # and whoever commits was not disturbed


def test_copies_that_are_gone_are_noticed_and_those_of_a_killed_reader_go(redis_process: RedisProcess) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)), reader_of(in_redis(redis_process), is_busy=True) as reader:
        with redis_process.client() as client:
            assert all(0 < client.ttl(key) <= 600 for key in copies_in(redis_process))
            client.delete(*copies_in(redis_process))
        assert rows_of(reader) == []
        with pytest.raises(StoreUnavailableError, match="has lost what it copied"):
            reader.confirm()


@pytest.mark.parametrize("name", ["meta", "sessions", "objects:1"])
def test_a_key_of_a_busy_redis_that_is_no_hash_is_damage(redis_process: RedisProcess, name: str) -> None:
    redis_process.flush_all()
    with served(in_redis(redis_process)):
        pass
    with redis_process.client() as client:
        client.set(f"odb:{name}", b"text")
    with pytest.raises(StoreCorruptError, match="somebody else has written to its keys"):
        with reader_of(in_redis(redis_process), is_busy=True) as reader:
            rows_of(reader)
    assert copies_in(redis_process) == []


@pytest.mark.parametrize("why", ["no room", "may not"])
def test_a_redis_that_cannot_copy_is_watched(redis_process: RedisProcess, why: str) -> None:
    redis_process.flush_all()
    url = redis_process.url
    with served(in_redis(redis_process)) as store, redis_process.client() as client:
        if why == "no room":
            client.config_set("maxmemory", client.info("memory")["used_memory"] * 3 // 2)
        else:
            client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all", "-copy")
            url = url.replace("unix://", "unix://reader:secret@")
        try:
            with reader_of(RedisPersistence(url=url), is_busy=True) as reader:
                assert copies_in(redis_process) == []
                check_content(reader)
                store.apply(Group(1, 4, 5, [(7, 1, b"SEVEN")]))
                with pytest.raises(StoreMovedError, match="was written to while it was read"):
                    reader.confirm()
        finally:
            client.config_set("maxmemory", 0)


@pytest.mark.parametrize("command", [["backup", "{}/copy"], ["export", "{}/copy"], ["export", "-"], ["check"]])
def test_tools_read_a_redis_while_somebody_never_ceases_to_commit(
    redis_process: RedisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Every row of a group has the same value, so a copy of anything but one state would show."""
    redis_process.flush_all()
    confirm, batches_read = RedisReader.confirm, RedisReader.rows
    with TcpServer("localhost", 0, in_redis(redis_process), None, "token") as server:
        db = connect("localhost", server.port, "token")
        db.subscribeToSchema(schema)
        with db.transaction():
            counters = [Counter() for _ in range(100)]

        def commit() -> None:
            with db.transaction():
                for each in counters:
                    each.value += 1

        def rows(reader: RedisReader) -> Iterator[Batch]:
            for batch in batches_read(reader):
                commit()
                yield batch

        def confirmed(reader: RedisReader) -> None:
            commit()
            confirm(reader)

        monkeypatch.setattr(RedisReader, "rows", rows)
        monkeypatch.setattr(RedisReader, "confirm", confirmed)
        words = [word.format(tmp_path) for word in command]
        assert main([words[0], "--redis-url", redis_process.url, *words[1:]]) == 0
    if command[0] != "backup":
        return
    with SqlitePersistence(tmp_path / "copy") as store:
        store.open()
        rows_of_counters = [row for batch in store.load() for row in batch if row[0] in {c._identity for c in counters}]
    assert len(rows_of_counters) == 100
    assert len({row for _, _, row in rows_of_counters}) == 1


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
