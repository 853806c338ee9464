"""What every store promises (persistence_interface.py), for each of them: memory, SQLite, redis."""

from __future__ import annotations

import itertools
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from object_database.errors import (
    FencedError,
    InvalidArgumentError,
    ServerStateError,
    StoreError,
    StoreFullError,
    StoreInUseError,
    StoreUnavailableError,
)
from object_database.persistence import Group, InMemoryPersistence, Persistence, RedisPersistence, SqlitePersistence
from object_database.persistence_interface import SESSIONS_MAX
from tests import redis_process as redis_process_module
from tests import store_model
from tests.faulty import DIE, FaultyPersistence, RetriedPersistence
from tests.redis_process import RedisProcess
from tests.store_model import contents_after, contents_of, group_of

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["memory", "sqlite", "redis", "redis without hiredis", "faulty"]
DURABLE = ["sqlite", "redis"]  # outlive their process

Make = Callable[[], Persistence]


def maker(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """Makes handles of one new, empty store: what two servers would each have."""
    if kind == "sqlite":
        return lambda: SqlitePersistence(tmp_path / "store.sqlite")
    if kind.startswith("redis"):
        process: RedisProcess = request.getfixturevalue("redis_process")
        process.flush_all()

        def in_redis() -> Persistence:
            store = RedisPersistence(url=process.url, lease_s=2)
            if kind == "redis without hiredis":
                from redis._parsers import _RESP2Parser

                store._make_connection.__self__.connection_kwargs["parser_class"] = _RESP2Parser
            return store

        return in_redis
    if kind == "faulty":
        seeds = itertools.count()
        return lambda: RetriedPersistence(
            FaultyPersistence(SqlitePersistence(tmp_path / "store.sqlite")), seed=next(seeds)
        )
    content = InMemoryPersistence()._content

    def in_memory() -> Persistence:
        store = InMemoryPersistence()
        store._content = content  # in one process there is no other way to two handles
        return store

    return in_memory


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Persistence] = []
    make_one = maker(request.param, tmp_path, request)

    def make_and_remember() -> Persistence:
        made.append(make_one())
        return made[-1]

    yield make_and_remember
    for store in made:
        store.close()


def rows_of(store: Persistence) -> dict[int, tuple[int, bytes]]:
    loaded = [row for batch in store.load() for row in batch]
    assert len({row[0] for row in loaded}) == len(loaded)
    return {object_id: (type_number, row) for object_id, type_number, row in loaded}


# ---- content


def test_a_new_store_is_empty_and_has_a_history(make: Make) -> None:
    store = make()
    state = store.open()
    assert len(state.history) == 16
    assert state[1:] == (1, 0, {}, 0, {})
    assert list(store.load()) == []
    assert store.last_tid() == 0


def test_what_replaces_a_store_is_all_that_is_in_it_and_begins_a_new_history(make: Make) -> None:
    store = make()
    old = store.open()
    store.apply(
        Group(1, 0, 5, [(7, 1, b"seven"), (8, 2, b"eight")], {"catalogue": b"c", "x": b""}, [(b"s" * 16, 5, 4)])
    )
    store.replace(Group(1, 5, 6, [(8, 3, b"EIGHT"), (9, 1, b"nine")], {"catalogue": b"d"}, [(b"t" * 16, 1, 2)]))
    store.apply(Group(1, 6, 7, [(9, 1, b"NINE")]))
    store.close()
    new = store.open()
    assert new.history != old.history
    assert new[1:] == (2, 7, {"catalogue": b"d"}, 2, {b"t" * 16: (1, 2)})
    assert rows_of(store) == {8: (3, b"EIGHT"), 9: (1, b"NINE")}


def test_who_was_taken_over_replaces_nothing(make: Make) -> None:
    first, second = make(), make()
    first.open()
    first.apply(Group(1, 0, 1, [(7, 1, b"seven")]))
    state = second.open(take_over=True)
    with pytest.raises(FencedError):
        first.replace(Group(1, 1, 2, []))
    with pytest.raises(InvalidArgumentError, match="nothing was done"):
        second.replace(Group(2, 0, 2, []))
    second.close()
    assert second.open().history == state.history
    assert rows_of(second) == {7: (1, b"seven")}


def test_no_two_stores_have_the_same_history(tmp_path: Path) -> None:
    first, second = SqlitePersistence(tmp_path / "a"), InMemoryPersistence()
    with first, second:
        assert first.open().history != second.open().history


def test_what_was_applied_is_there_when_it_is_opened_again(make: Make) -> None:
    store = make()
    new = store.open()
    store.apply(Group(1, 0, 3, [(7, 1, b"seven"), (8, 2, b"eight"), (9, 1, b"nine")], {"catalogue": b"c", "x": b""}))
    store.apply(Group(1, 3, 4, [(7, 1, b"SEVEN"), (8, 2, None)], {"catalogue": b"d"}, [(b"s" * 16, 5, 4)]))
    assert store.last_tid() == 4
    store.close()
    again = make()
    state = again.open()
    assert state == (new.history, 2, 4, {"catalogue": b"d", "x": b""}, 2, {b"s" * 16: (5, 4)})
    assert rows_of(again) == {7: (1, b"SEVEN"), 9: (1, b"nine")}


def test_rows_are_bytes_and_come_back_as_they_were(make: Make) -> None:
    store = make()
    store.open()
    every = bytes(range(256))
    rows: list[Any] = [(0, 0, every), (1, 0, b""), (2, 0, b"\r\n$3\r\n"), (3, 0, b"\xff" * 300), (-(1 << 63), 1, b"a")]
    rows += [((1 << 63) - 1, (1 << 32) - 1, b"\0"), (4, 2, b"\xed\xa0\x80"), (5, 0, every * 20_000)]
    store.apply(Group(1, 0, 1, rows, {"name\n of é": every}, [(every[:16], 1, 1), (b"\r\n", 2, 1)]))
    store.close()
    state = store.open()
    assert rows_of(store) == {object_id: (type_number, row) for object_id, type_number, row in rows}
    assert state.facts == {"name\n of é": every}
    assert state.sessions == {every[:16]: (1, 1), b"\r\n": (2, 1)}


def test_to_delete_what_is_not_there_is_no_error(make: Make) -> None:
    store = make()
    store.open()
    store.apply(Group(1, 0, 1, [(7, 1, None), (8, 1, b"x")], {}))
    assert rows_of(store) == {8: (1, b"x")}


def test_a_deleted_object_can_be_created_again(make: Make) -> None:
    store = make()
    store.open()
    for tid, row in enumerate([b"a", None, b"b"], 1):
        store.apply(Group(1, tid - 1, tid, [(7, 1, row)]))
    assert rows_of(store) == {7: (1, b"b")}


def test_groups_may_be_empty_or_hold_facts_alone(make: Make) -> None:
    store = make()
    store.open()
    store.apply(Group(1, 0, 0, [], {"reserved_tid": b"1000"}))
    store.apply(Group(1, 0, 0, [], {"reserved_tid": b"1000"}))  # the reply was lost, say
    store.apply(Group(1, 0, 0, []))
    store.apply(Group(1, 0, 5, []))
    store.close()
    assert store.open()[2:] == (5, {"reserved_tid": b"1000"}, 0, {})


def test_the_last_commit_of_each_session_is_kept(make: Make) -> None:
    store = make()
    store.open()
    store.apply(Group(1, 0, 3, [], {}, [(b"a", 1, 1), (b"b", 1, 2), (b"a", 2, 3)]))
    store.apply(Group(1, 3, 4, [], {}, [(b"a", 7, 4)]))
    store.close()
    assert list(store.open().sessions.items()) == [(b"b", (1, 2)), (b"a", (7, 4))]


def test_of_too_many_sessions_those_are_kept_that_committed_last(make: Make) -> None:
    store = make()
    store.open()
    many = [(b"%d" % n, 1, n) for n in range(1, SESSIONS_MAX + 1)]
    store.apply(Group(1, 0, SESSIONS_MAX, [], {}, many))
    tid = SESSIONS_MAX + 1
    store.apply(Group(1, SESSIONS_MAX, tid, [], {}, [(b"1", 2, tid)]))  # the oldest one is active again
    store.apply(Group(1, tid, tid + 2, [], {}, [(b"new", 1, tid + 1), (b"newer", 1, tid + 2)]))
    store.close()
    sessions = store.open().sessions
    assert len(sessions) == SESSIONS_MAX
    assert {b"1", b"4", b"new", b"newer"} <= sessions.keys()
    assert not {b"2", b"3"} & sessions.keys()
    tid += 2
    store.apply(Group(2, tid, tid + 1, [], {}, [(b"x", 1, tid + 1)]))  # known again after the start
    store.close()
    sessions = store.open().sessions
    assert len(sessions) == SESSIONS_MAX
    assert b"4" not in sessions
    assert b"5" in sessions


def test_a_large_group_and_its_load_in_batches(make: Make) -> None:
    store = make()
    store.open()
    rows = [(n, n % 3, b"%d" % n) for n in range(30_000)]
    store.apply(Group(1, 0, 30_000, rows))
    store.apply(Group(1, 30_000, 30_001, [(n, n % 3, None) for n in range(0, 30_000, 2)]))
    batches = list(store.load(rows_max=1000))
    assert max(map(len, batches)) <= 1000
    assert sorted(row for batch in batches for row in batch) == rows[1::2]
    assert list(map(len, store.load(rows_max=1))) == [1] * 15_000
    with pytest.raises(InvalidArgumentError, match="at least 1 row"):
        next(store.load(rows_max=0))


def test_batches_of_large_objects_are_short(make: Make) -> None:
    store = make()
    store.open()
    store.apply(Group(1, 0, 1, [(n, 0, bytes(1 << 18)) for n in range(300)]))
    batches = list(store.load())
    assert sum(map(len, batches)) == 300
    assert (
        max(map(len, batches[1:])) <= 130
    )  # the first one, of 100, tells; a hash gives its objects only nearly as asked


# ---- conditions


def test_a_group_that_does_not_follow_is_refused_and_changes_nothing(make: Make) -> None:
    store = make()
    store.open()
    store.apply(Group(1, 0, 5, [(7, 1, b"x")]))
    for previous, last in [(0, 6), (4, 6), (6, 7), (9, 10)]:
        with pytest.raises(InvalidArgumentError, match="ends at transaction 5"):
            store.apply(Group(1, previous, last, [(7, 1, b"wrong")], {"wrong": b""}, [(b"wrong", 1, 1)]))
    with pytest.raises(InvalidArgumentError, match="ids go up"):
        store.apply(Group(1, 5, 4, []))
    assert store.last_tid() == 5
    store.close()
    assert store.open()[2:] == (5, {}, 1, {})
    assert rows_of(store) == {7: (1, b"x")}


def test_a_group_whose_reply_was_lost_is_recognised_when_it_comes_again(make: Make) -> None:
    store = FaultyPersistence(make())
    store.open()
    store.plan("apply", after=StoreUnavailableError("the reply was lost"))
    group = Group(1, 0, 2, [(7, 1, b"x")], {"f": b"1"}, [(b"s", 1, 2)])
    with pytest.raises(StoreUnavailableError):
        store.apply(group)
    assert store.last_tid() == 2
    store.apply(group)
    store.apply(Group(1, 2, 3, [(8, 1, b"y")]))
    assert rows_of(store) == {7: (1, b"x"), 8: (1, b"y")}


def test_a_group_that_never_arrived_can_be_sent_again(make: Make) -> None:
    store = FaultyPersistence(make())
    store.open()
    group = Group(1, 0, 2, [(7, 1, b"x")])
    for error in (StoreUnavailableError("lost"), StoreFullError("full")):
        store.plan("apply", before=error)
        with pytest.raises(type(error)):
            store.apply(group)
        assert store.last_tid() == 0
    store.apply(group)
    assert store.last_tid() == 2
    assert store.groups == [group] * 3


def test_the_epoch_rises_with_every_open_and_an_old_one_is_refused(make: Make) -> None:
    store = make()
    assert store.open().epoch == 1
    store.apply(Group(1, 0, 1, [(7, 1, b"x")]))
    store.close()
    assert store.open().epoch == 2
    with pytest.raises(FencedError, match="of epoch 1"):
        store.apply(Group(1, 1, 2, [(7, 1, b"late")]))
    store.apply(Group(2, 1, 2, [(8, 1, b"y")]))
    assert rows_of(store) == {7: (1, b"x"), 8: (1, b"y")}


# ---- owners


def test_a_store_belongs_to_one_live_server(make: Make) -> None:
    first, second = make(), make()
    first.open()
    for other in (second, first):
        with pytest.raises(StoreInUseError, match="--take-over") as refusal:
            other.open()
        assert (refusal.value.host, refusal.value.pid) == (socket.gethostname(), os.getpid())
        assert refusal.value.since
    first.apply(Group(1, 0, 1, [(7, 1, b"x")]))
    first.close()
    assert second.open()[1:3] == (2, 1)


def test_a_taken_over_server_can_write_no_more(make: Make) -> None:
    old, new = make(), make()
    old.open()
    old.apply(Group(1, 0, 1, [(7, 1, b"old")]))
    state = new.open(take_over=True)
    assert state[1:3] == (2, 1)
    for group in (
        Group(1, 1, 2, [(7, 1, b"late")], {"late": b""}),
        Group(2, 1, 2, [(7, 1, b"late")]),
        Group(1, 0, 1, []),
    ):
        with pytest.raises(FencedError, match="taken over|epoch"):
            old.apply(group)
    with pytest.raises(FencedError, match="taken over"):
        old.last_tid()
    new.apply(Group(2, 1, 2, [(8, 1, b"new")]))
    old.close()  # gives back nothing: it is not his
    third = make()
    with pytest.raises(StoreInUseError):
        third.open()
    new.apply(Group(2, 2, 3, [(9, 1, b"newer")]))
    assert rows_of(new) == {7: (1, b"old"), 8: (1, b"new"), 9: (1, b"newer")}
    new.close()
    assert third.open()[1:4] == (3, 3, {})


def test_a_group_that_was_on_its_way_during_a_takeover_is_refused(make: Make) -> None:
    old, new = FaultyPersistence(make()), make()
    old.open()
    stall = old.stall("apply")
    errors: list[Exception] = []

    def write() -> None:
        try:
            old.apply(Group(1, 0, 1, [(7, 1, b"late")]))
        except FencedError as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    assert stall.reached.wait(20)
    new.open(take_over=True)
    new.apply(Group(2, 0, 1, [(7, 1, b"new")]))
    stall.release()
    writer.join(20)
    assert len(errors) == 1
    assert rows_of(new) == {7: (1, b"new")}


def test_a_store_can_be_taken_over_again_and_again(make: Make) -> None:
    stores = [make() for _ in range(4)]
    assert [store.open(take_over=True).epoch for store in stores] == [1, 2, 3, 4]
    for store in stores[:-1]:
        with pytest.raises(FencedError):
            store.last_tid()
    stores[-1].apply(Group(4, 0, 1, []))


def test_a_store_that_is_not_open_says_so(make: Make) -> None:
    store = make()
    store.close()
    calls: list[Callable[[], object]] = [
        store.last_tid,
        lambda: store.apply(Group(1, 0, 1, [])),
        lambda: list(store.load()),
    ]
    for call in calls:
        with pytest.raises(ServerStateError, match="is not open"):
            call()
    store.open()
    store.close()
    store.close()
    for call in calls:
        with pytest.raises(ServerStateError, match="is not open"):
            call()


def test_a_store_describes_itself(make: Make) -> None:
    store = make()
    store.open()
    assert "lost" in store.describe() or "lose" in store.describe() or "outlives" in store.describe()
    assert repr(store)


# ---- a model


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_store_is_a_dict_that_survives(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    make_one = maker(kind, tmp_path_factory.mktemp("model"), request)
    with ExitStack() as opened:  # hypothesis may end an example at any draw

        def make() -> Persistence:
            return opened.enter_context(make_one())

        lives(make, data)


def lives(make: Make, data: st.DataObject) -> None:
    """What may happen to a store, told to it and to a dict."""
    store = make()
    state = store.open()
    epoch, tid = state.epoch, 0
    rows: dict[int, tuple[int, bytes]] = {}
    facts: dict[str, bytes] = {}
    steps = st.sampled_from(["group", "group", "group", "again", "stale", "reopen", "taken over"])
    group = Group(epoch, 0, 0, [])
    for step in data.draw(st.lists(steps, min_size=1, max_size=12)):
        if step == "group":
            changes = data.draw(st.dictionaries(st.integers(-3, 12), st.none() | st.binary(max_size=6), max_size=6))
            changed_facts = data.draw(st.dictionaries(st.sampled_from("abc"), st.binary(max_size=3), max_size=2))
            next_tid = tid + data.draw(st.integers(0, 3))
            group = Group(epoch, tid, next_tid, [(each, each % 3, row) for each, row in changes.items()], changed_facts)
            store.apply(group)
            tid = next_tid
            for object_id, type_number, row in group.rows:
                rows.pop(object_id, None)
                if row is not None:
                    rows[object_id] = (type_number, row)
            facts.update(changed_facts)
        elif step == "again" and group.epoch == epoch:
            store.apply(group)
        elif step == "stale":
            with pytest.raises((FencedError, InvalidArgumentError)):
                store.apply(Group(epoch - 1, tid, tid + 1, [(1, 1, b"stale")]))
            with pytest.raises(InvalidArgumentError):
                store.apply(Group(epoch, tid + 1, tid + 2, [(1, 1, b"stale")]))
        elif step == "reopen":
            store.close()
            epoch = store.open().epoch
        elif step == "taken over":
            old, store = store, make()
            epoch = store.open(take_over=True).epoch
            with pytest.raises(FencedError):
                old.apply(Group(epoch - 1, tid, tid + 1, [(1, 1, b"late")]))
            old.close()
        assert store.last_tid() == tid
        assert rows_of(store) == rows
    store.close()
    last = store.open()
    assert (last.history, last.last_tid, last.facts, last.object_count) == (state.history, tid, facts, len(rows))
    store.close()


# ---- crashes


class Writer:
    """tests/store_model.py in a process of its own."""

    def __init__(self, kind: str, where: str):
        command = [sys.executable, str(ROOT / "tests" / "store_model.py"), kind, where]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        greeting = self.process.stdout.readline()
        if greeting != "open\n":
            raise RuntimeError(f"the writer did not open its store: {self.process.communicate()}")

    def acknowledged(self, count: int) -> int:
        """The last transaction that was acknowledged, once there were so many more."""
        assert self.process.stdout is not None
        return [int(self.process.stdout.readline()) for _ in range(count)][-1]

    def kill(self) -> int | None:
        """Kill it, and return the last transaction that it had got acknowledged unseen, if any."""
        assert self.process.stdout is not None
        self.process.kill()
        out = self.process.stdout.read()  # communicate() would miss what readline() has read ahead
        self.process.communicate()
        whole = [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
        return int(whole[-1]) if whole else None


def place_of(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return str(tmp_path / "store.sqlite")
    process: RedisProcess = request.getfixturevalue("redis_process")
    process.flush_all()
    return process.url


@pytest.mark.parametrize("kind", DURABLE)
def test_nothing_acknowledged_is_lost_and_nothing_half_done_after_a_kill(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    where = place_of(kind, tmp_path, request)
    acknowledged = 0
    for _ in range(6):
        writer = Writer(kind, where)
        acknowledged = writer.acknowledged(rng.randint(1, 15))
        acknowledged = writer.kill() or acknowledged
        store = store_model.store_at(kind, where)
        state = store.open()  # at once: the kernel, or its number of process, tells that the owner is gone
        assert acknowledged <= state.last_tid <= acknowledged + 1
        assert contents_of(store, state) == contents_after(state.last_tid)
        store.close()


# Python 3.12 and later warn of forks in programs with threads, which a lease is.
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@FORKS
@pytest.mark.parametrize("kind", DURABLE)
@pytest.mark.parametrize(("moment", "expected"), [("before", 3), ("after", 4)])
def test_a_server_that_dies_at_a_group_leaves_it_whole_or_not_at_all(
    kind: str, moment: str, expected: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = place_of(kind, tmp_path, request)
    child = os.fork()
    if child == 0:  # pragma: no cover - it ends by a signal
        try:
            store = FaultyPersistence(store_model.store_at(kind, where))
            epoch = store.open().epoch
            store.plan("apply", **{moment: DIE}, call=4)
            for tid in range(1, 10):
                store.apply(group_of(tid, epoch))
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    store = store_model.store_at(kind, where)
    state = store.open()
    assert state.last_tid == expected
    assert contents_of(store, state) == contents_after(expected)
    store.close()


@FORKS
@pytest.mark.parametrize("kind", DURABLE)
def test_a_forked_child_may_not_use_the_store_and_does_not_keep_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = place_of(kind, tmp_path, request)
    store = store_model.store_at(kind, where)
    state = store.open()
    may_end_read, may_end = os.pipe()
    said, say = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - coverage does not follow
        os.close(may_end)
        try:
            store.apply(group_of(1, state.epoch))
        except ServerStateError as error:
            os.write(say, b"refused" if "belongs to the parent" in str(error) else b"wrong error")
        store.close()
        os.read(may_end_read, 1)
        os._exit(0)
    assert os.read(said, 100) == b"refused"
    store.apply(group_of(1, state.epoch))  # its close() closed nothing here
    store.close()
    again = store_model.store_at(kind, where)
    assert again.open().last_tid == 1  # while the child lives on
    again.close()
    for end in (may_end, may_end_read, said, say):
        os.close(end)
    os.waitpid(child, 0)


def test_no_redis_is_a_reason_to_skip_but_not_where_there_must_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_process_module, "PROGRAM", None)
    monkeypatch.delenv("ODB_TESTS_NEED_REDIS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install redis-server"):
        redis_process_module.need_redis()
    monkeypatch.setenv("ODB_TESTS_NEED_REDIS", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install redis-server"):
        redis_process_module.need_redis()


def test_errors_of_stores_are_one_family() -> None:
    from object_database import errors

    names = [name for name in errors.__all__ if name.startswith("Store") or name == "FencedError"]
    assert len(names) == 9
    assert all(issubclass(getattr(errors, name), StoreError) for name in names)
