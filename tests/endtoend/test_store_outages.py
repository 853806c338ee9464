"""A server and its clients while their store is away, full, read-only, taken by another, or back without what it had."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import (
    DatabaseConnection,
    DisconnectedException,
    Indexed,
    InMemoryPersistence,
    InMemServer,
    Schema,
    TcpServer,
    connect,
)
from object_database.errors import FencedError, FlushTimeoutError, ServerError, StoreBehindError, StoreUnavailableError
from object_database.persistence import Persistence, RedisPersistence, SqlitePersistence
from tests.faulty import FaultyPersistence
from tests.redis_process import RedisProcess, until_told

pytestmark = pytest.mark.timeout(120)

schema = Schema("outages")


@schema.define
class Thing:
    number: Indexed[int]


class Call:
    """One call in a thread of its own."""

    def __init__(self, do: Callable[[], Any]):
        self.result: Any = None
        self.raised: BaseException | None = None
        self._do = do
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._do()
        except BaseException as error:
            self.raised = error

    def end(self, timeout: float = 30) -> Any:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "still waiting"
        if self.raised is not None:
            raise self.raised
        return self.result


def make(db: DatabaseConnection, number: int) -> None:
    with db.transaction():
        Thing(number=number)


def numbers(db: DatabaseConnection) -> list[int]:
    with db.view():
        return sorted(thing.number for thing in Thing.lookupAll())


def store_in(redis: RedisProcess, **options: Any) -> RedisPersistence:
    return RedisPersistence(url=redis.url, **{"timeout_s": 1.0, "wait_ms": 500, **options})


def left_in(store: Persistence) -> list[int]:
    """What a later server finds."""
    with InMemServer(store, "t") as server:
        server._core.check()
        with server.connect("t") as db:
            db.subscribeToSchema(schema)
            return numbers(db)


# ---- a redis that goes away and comes back


def killed(redis: RedisProcess) -> None:
    redis.kill()
    redis.start()


def cut(redis: RedisProcess) -> None:
    with redis.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)


@pytest.fixture(params=["killed", "cut", "paused"])
def happens(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Callable[[RedisProcess], None]:
    times = 0

    def paused(redis: RedisProcess) -> None:
        """Until the store has given its connection up, and has made it again."""
        nonlocal times
        times += 1
        redis.freeze()
        try:
            until_told(caplog, times=times)
        finally:
            redis.thaw()
        until_told(caplog, " is back, after ", times)

    return {"killed": killed, "cut": cut, "paused": paused}[request.param]


def test_clients_stay_connected_while_redis_is_away_and_nothing_is_lost(
    start_redis: Any, happens: Callable[[RedisProcess], None]
) -> None:
    redis = start_redis()
    with TcpServer("localhost", 0, store_in(redis), None, "t") as server:
        clients = [server.connect("t") for _ in range(4)]
        acknowledged: list[int] = []
        is_over = threading.Event()

        def work(number: int) -> None:
            db = clients[number]
            db.subscribeToSchema(schema)
            count = 0
            while not is_over.is_set() or count == 0:
                make(db, 10_000 * number + count)
                acknowledged.append(10_000 * number + count)
                count += 1

        calls = [Call(lambda number=number: work(number)) for number in range(4)]
        for _ in range(3):
            happens(redis)
        is_over.set()
        for call in calls:
            call.end()
        for db in clients:
            make(db, -1)
            db.flush()
        assert server.failure() is None
        server._core.check()
        assert numbers(clients[0]) == sorted([*acknowledged, -1, -1, -1, -1])
    assert left_in(store_in(redis)) == sorted([*acknowledged, -1, -1, -1, -1])


def test_a_redis_that_stays_away_stops_the_server_within_the_bound(start_redis: Any) -> None:
    redis = start_redis()
    with TcpServer("localhost", 0, store_in(redis, retry_s=1.0), None, "t", store_retry_s=1.0) as server:
        db, idle = server.connect("t"), server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        redis.kill()
        start = time.monotonic()
        with pytest.raises(DisconnectedException):
            make(db, 2)
        assert 0.9 < time.monotonic() - start < 10
        assert idle.disconnected.wait(10)
        assert "gave no answer for 1.0 s" in str(server.failure())
        assert isinstance(server.store_lost, StoreUnavailableError)
        redis.start()
    assert left_in(store_in(redis)) == [1]


def test_a_redis_that_stands_still_stops_the_server_within_the_bound(start_redis: Any) -> None:
    redis = start_redis()
    with TcpServer("localhost", 0, store_in(redis, retry_s=1.0), None, "t", store_retry_s=1.0) as server:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        redis.freeze()
        with pytest.raises(DisconnectedException):
            make(db, 2)
        assert isinstance(server.store_lost, StoreUnavailableError)
        redis.thaw()
    # Nobody was told what became of it, and what redis does late with it is one of both.
    assert left_in(store_in(redis)) in ([1], [1, 2])


def test_a_server_that_is_stopped_does_not_wait_for_a_redis_that_is_away(start_redis: Any) -> None:
    redis = start_redis()
    server = TcpServer("localhost", 0, store_in(redis, lease_s=1.0), None, "t")
    with server:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        redis.kill()
        call = Call(lambda: make(db, 2))
        start = time.monotonic()
        Call(server.stop).end()
        assert time.monotonic() - start < 15
        with pytest.raises(DisconnectedException):
            call.end()
    redis.start()
    assert left_in(store_in(redis)) == [1]


# ---- a redis that refuses


def test_a_full_redis_refuses_commits_and_the_server_goes_on(start_redis: Any) -> None:
    redis = start_redis("--maxmemory-policy", "noeviction")
    with TcpServer("localhost", 0, store_in(redis), None, "t") as server, redis.client() as client:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        client.config_set("maxmemory", "1")
        for _ in range(2):
            with pytest.raises(ServerError, match="nothing of it was carried out"):
                make(db, 2)
        client.config_set("maxmemory", "0")
        make(db, 3)
        assert numbers(db) == [1, 3]
        server._core.check()
    assert left_in(store_in(redis)) == [1, 3]


def test_a_redis_that_becomes_a_replica_refuses_commits_until_it_is_promoted(start_redis: Any) -> None:
    redis, primary = start_redis(), start_redis(port=0)
    with TcpServer("localhost", 0, store_in(redis), None, "t") as server, redis.client() as client:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        client.replicaof("127.0.0.1", 1)  # nobody there: it keeps what it has, and takes no writes
        with pytest.raises(ServerError, match="nothing of it was carried out"):
            make(db, 2)
        client.replicaof("NO", "ONE")
        make(db, 3)
        assert numbers(db) == [1, 3]
    assert primary.process is not None
    assert left_in(store_in(redis)) == [1, 3]


def test_a_redis_that_comes_back_behind_stops_the_server_which_says_what_was_lost(start_redis: Any) -> None:
    redis = start_redis(is_durable=False)
    with TcpServer("localhost", 0, store_in(redis), None, "t") as server:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        tid = db.currentTransactionId()
        killed(redis)
        with pytest.raises(DisconnectedException):
            make(db, 2)
        assert isinstance(server.store_lost, StoreBehindError)
        assert server.store_lost.acknowledged == tid
        assert f"it confirmed transaction {tid} and now ends at 0" in str(server.failure())


def test_a_server_that_wants_replicas_acknowledges_nothing_without_them(start_server: Any, start_redis: Any) -> None:
    redis = start_redis()
    program = start_server("--redis-url", redis.url, "--redis-min-replicas", "1", "--store-retry", "1.5")
    assert "it is acknowledged when 1 replica has it" in program.greeting
    with pytest.raises(DisconnectedException):  # the numbers of a connection are reserved in a group too
        program.connect()
    code, _, complaint = program.finish()
    assert code == 1
    assert "0 of 1 replicas had it within 1000 ms" in complaint


class Attentive(TcpServer):
    _STORE_CHECK_S = 0.1


def test_a_server_without_commits_notices_that_its_store_lost_something(start_redis: Any) -> None:
    redis = start_redis(is_durable=False)
    with Attentive("localhost", 0, store_in(redis), None, "t") as server:
        db = server.connect("t")
        killed(redis)
        assert db.disconnected.wait(20)
        assert isinstance(server.store_lost, StoreBehindError)


def test_a_server_without_commits_notices_that_another_has_taken_over(tmp_path: Path) -> None:
    with Attentive("localhost", 0, SqlitePersistence(tmp_path), None, "t") as first:
        db = first.connect("t")
        with InMemServer(SqlitePersistence(tmp_path), "t", take_over=True):
            assert db.disconnected.wait(20)
            assert isinstance(first.store_lost, FencedError)


# ---- the program


def test_a_second_server_is_refused_or_takes_over_and_the_first_one_ends(start_server: Any, tmp_path: Path) -> None:
    first = start_server("--data-dir", str(tmp_path))
    db = first.connect()
    db.subscribeToSchema(schema)
    make(db, 1)
    with pytest.raises(RuntimeError, match=rf"is in use by a server, .* process {first.process.pid}, ") as refused:
        start_server("--data-dir", str(tmp_path))
    assert "(2, " in str(refused.value)
    second = start_server("--data-dir", str(tmp_path), "--take-over")
    with pytest.raises(DisconnectedException):
        make(db, 2)
    code, _, complaint = first.finish()
    assert code == 1
    assert "was taken over by another server" in complaint
    assert "Traceback" not in complaint
    with second.connect() as db:
        db.subscribeToSchema(schema)
        make(db, 3)
        assert numbers(db) == [1, 3]


@pytest.mark.parametrize("has_takeover", [False, True])
def test_the_same_in_redis(start_server: Any, start_redis: Any, has_takeover: bool) -> None:
    redis = start_redis()
    first = start_server("--redis-url", redis.url)
    db = first.connect()
    db.subscribeToSchema(schema)
    make(db, 1)
    if not has_takeover:
        with pytest.raises(RuntimeError, match=rf"{first.process.pid}"):
            start_server("--redis-url", redis.url)
        make(db, 2)
        return
    start_server("--redis-url", redis.url, "--take-over")
    with pytest.raises(DisconnectedException):
        make(db, 2)
    code, _, complaint = first.finish()
    assert (code, "was taken over by another server" in complaint) == (1, True)


def test_a_store_that_stays_away_ends_the_program_with_a_sentence(start_server: Any, start_redis: Any) -> None:
    redis = start_redis()
    program = start_server("--redis-url", redis.url, "--store-retry", "0.5")
    db = program.connect()
    db.subscribeToSchema(schema)
    redis.kill()
    with pytest.raises(DisconnectedException):
        make(db, 1)
    code, _, complaint = program.finish()
    assert code == 1
    assert "gave no answer for 0.5 s" in complaint
    assert "Traceback" not in complaint


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_signal_under_load_loses_nothing_acknowledged(
    start_server: Any, start_redis: Any, tmp_path: Path, kind: str
) -> None:
    redis = start_redis() if kind == "redis" else None
    where = ["--data-dir", str(tmp_path)] if redis is None else ["--redis-url", redis.url]
    program = start_server(*where)
    acknowledged: list[int] = []
    enough = threading.Event()

    def work(start: int) -> None:
        with program.connect() as db:
            db.subscribeToSchema(schema)
            for number in range(start, start + 100_000):
                make(db, number)
                acknowledged.append(number)
                if len(acknowledged) > 40:
                    enough.set()

    calls = [Call(lambda number=number: work(100_000 * number)) for number in range(4)]
    assert enough.wait(30)
    program.signal(signal.SIGTERM)
    start = time.monotonic()
    assert program.finish()[0] == 0
    assert time.monotonic() - start < 10
    for call in calls:
        with pytest.raises(DisconnectedException):
            call.end()
    left = left_in(SqlitePersistence(tmp_path) if redis is None else store_in(redis))
    assert set(acknowledged) <= set(left)
    assert len(left) <= len(acknowledged) + 4  # one of each client was under way


def test_a_signal_ends_a_start_that_waits_for_its_store(start_redis: Any) -> None:
    import subprocess
    import sys

    from tests.conftest import SERVER_PROGRAM

    redis = start_redis()
    redis.freeze()
    command = [sys.executable, str(SERVER_PROGRAM), "--service-token", "t", "--redis-url", redis.url, "localhost", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        wait_for_signal_handler(program.pid)
        program.terminate()
        assert program.communicate(timeout=20)[0] == "stopped\n"
        assert program.returncode == 0


def wait_for_signal_handler(pid: int) -> None:
    """Until the process catches SIGTERM."""
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)


# ---- loading


def fill(path: Path, count: int) -> None:
    with InMemServer(SqlitePersistence(path), "t") as server, server.connect("t") as db:
        db.subscribeToSchema(schema)
        with db.transaction():
            for number in range(count):
                Thing(number=number)


def test_loading_is_one_line_where_nobody_watches(start_server: Any, tmp_path: Path) -> None:
    fill(tmp_path, 500)
    program = start_server("--data-dir", str(tmp_path))
    program.signal(signal.SIGTERM)
    _, _, complaint = program.finish()
    assert complaint.startswith("loading: 500 of 500 objects, ")
    assert complaint.count("\n") == 1
    assert "\r" not in complaint


def test_loading_shows_its_progress_on_a_terminal(tmp_path: Path) -> None:
    import pty
    import subprocess
    import sys

    fill(tmp_path, 500)
    program = (
        "import sys\n"
        "from object_database.frontends import database_server\n"
        "database_server.Progress.EVERY_S = 0.0\n"
        "sys.exit(database_server.main(sys.argv[1:]))\n"
    )
    ours, theirs = pty.openpty()
    options = ["--service-token", "t", "--data-dir", str(tmp_path), "localhost", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *options], stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving on")
        process.terminate()
        process.communicate(timeout=20)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
    first, *later = shown.split("\r\x1b[K")[1:]
    assert first.startswith("loading [")
    assert "] 100 of 500 objects, " in first
    assert first.endswith(" s left")
    assert later[-1].startswith("loading: 500 of 500 objects, ")
    assert shown.count("\n") == 1


def test_clients_that_try_again_get_in_when_everything_is_loaded() -> None:
    store = FaultyPersistence(InMemoryPersistence())
    with TcpServer("localhost", 0, store, None, "t") as server:
        port = server.port
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        db.disconnect()
    stall = store.stall("load")
    starting = Call(lambda: TcpServer("localhost", port, store, None, "t").__enter__())
    assert stall.reached.wait(20)

    def look() -> list[int]:
        with connect("localhost", port, "t", timeout=30, retry=True) as db:
            db.subscribeToSchema(schema)
            return numbers(db)

    with pytest.raises(DisconnectedException):
        connect("localhost", port, "t")
    waiting = Call(look)
    stall.release()
    assert waiting.end() == [1]
    starting.end().stop()


# ---- a store that stands still


def test_who_comes_while_the_store_stands_still_gets_in_and_reads() -> None:
    store = FaultyPersistence(InMemoryPersistence())
    with TcpServer("localhost", 0, store, None, "t") as server:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        stall = store.stall("apply")
        call = Call(lambda: make(db, 2))
        assert stall.reached.wait(20)
        late = server.connect("t")
        late.subscribeToSchema(schema)
        assert numbers(late) == [1]
        with pytest.raises(FlushTimeoutError):
            late.flush(timeout=0.05)
        stall.release()
        call.end()
        late.flush()
        assert numbers(late) == [1, 2]


# ---- a disk that fails


def set_file_bytes_max(process: Any, count: int) -> None:
    """The disk of a process then refuses to write behind that, with no word of being full."""
    import resource

    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (count, resource.RLIM_INFINITY))


def test_a_disk_that_fails_for_a_while_loses_nothing_and_clients_stay(start_server: Any, tmp_path: Path) -> None:
    program = start_server("--data-dir", str(tmp_path))
    db, other = program.connect(), program.connect()
    for each in (db, other):
        each.subscribeToSchema(schema)
    make(db, 1)
    set_file_bytes_max(program.process, 10_000)
    call = Call(lambda: make(db, 2))
    while "disk I/O error" not in (said := program.process.stderr.readline()):
        assert said, "it has ended"
    set_file_bytes_max(program.process, -1)
    call.end()
    make(other, 3)
    program.process.kill()
    program.finish()
    assert left_in(SqlitePersistence(tmp_path)) == [1, 2, 3]


def test_a_disk_that_goes_on_failing_ends_the_program_with_a_sentence(start_server: Any, tmp_path: Path) -> None:
    program = start_server("--data-dir", str(tmp_path), "--store-retry", "0.5")
    db = program.connect()
    db.subscribeToSchema(schema)
    make(db, 1)
    set_file_bytes_max(program.process, 10_000)
    with pytest.raises(DisconnectedException):
        make(db, 2)
    code, _, complaint = program.finish()
    assert code == 1
    assert complaint.splitlines()[-1].startswith("database_server: ")
    assert complaint.endswith("may have more than 10,000 bytes (ulimit -f)\n")
    assert "Traceback" not in complaint
    assert left_in(SqlitePersistence(tmp_path)) in ([1], [1, 2])


# ---- a file that somebody else has locked


def test_a_file_that_is_locked_for_a_while_is_waited_for(tmp_path: Path) -> None:
    with TcpServer("localhost", 0, SqlitePersistence(tmp_path), None, "t") as server:
        db = server.connect("t")
        db.subscribeToSchema(schema)
        make(db, 1)
        other = sqlite3.connect(tmp_path / "objects.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        call = Call(lambda: make(db, 2))
        other.execute("ROLLBACK")
        other.close()
        call.end()
        assert numbers(db) == [1, 2]
