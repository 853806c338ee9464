"""odb as people run it: on stores of every kind, beside servers that use them, on damaged ones, and stopped in the middle."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import Indexed, InMemServer, OneOf, Schema, Unique, __version__, _core
from object_database.persistence import Persistence, RedisPersistence, SqlitePersistence
from object_database.store_readers import reader_of
from tests.redis_process import RedisProcess

schema = Schema("shop")


@schema.define
class Customer:
    name: Indexed[str]


@schema.define
class Order:
    number: Unique[int]
    by: OneOf(None, Customer)  # type: ignore[valid-type]
    blob: bytes
    price: float


Options = list[str]


def odb(*words: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "object_database", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, input=stdin)


def done(*words: str | Path, stdin: str | None = None) -> str:
    """What it prints when it succeeds."""
    found = odb(*words, stdin=stdin)
    assert found.returncode == 0, found.stderr
    return found.stdout


def refused(*words: str | Path, stdin: str | None = None) -> str:
    """The one sentence with which it ends."""
    found = odb(*words, stdin=stdin)
    assert found.returncode == 2, found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    return found.stderr.splitlines()[-1]


def fill(store: Persistence, first: int = 0, count: int = 20) -> None:
    with InMemServer(kvstore=store, auth_token="t") as server, server.connect("t") as db:
        db.subscribeToSchema(schema)
        with db.transaction():
            customer = Customer(name="Ada")
            for number in range(first, first + count):
                Order(number=number, by=customer if number % 2 else None, blob=b"\0%d" % number, price=number / 3)


def orders_in(store: Persistence) -> list[Any]:
    with InMemServer(kvstore=store, auth_token="t") as server, server.connect("t") as db:
        db.subscribeToSchema(schema)
        with db.view():
            return sorted(
                (each.number, each._identity, each.by and (each.by.name, each.by._identity), each.blob, each.price)
                for each in Order.lookupAll()
            )


def history_of(store: Persistence) -> bytes:
    with store:
        return store.open().history


Place = Callable[[str], tuple[Options, Persistence]]


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """A new store of a kind: how odb is told of it, and the store."""
    databases = iter(range(16))

    def make(kind: str) -> tuple[Options, Persistence]:
        if kind == "sqlite":
            directory = tmp_path / f"data{next(databases)}"
            return ["--data-dir", str(directory)], SqlitePersistence(directory / "objects.sqlite")
        process: RedisProcess = request.getfixturevalue("redis_process")
        number = next(databases)
        if number == 0:
            process.flush_all()
        url = f"unix://{process.socket}?db={number}"
        return ["--redis-url", url], RedisPersistence(url=url, lease_s=2)

    return make


KINDS = pytest.mark.parametrize("kind", ["sqlite", "redis"])
PAIRS = pytest.mark.parametrize(("kind", "other"), [("sqlite", "redis"), ("redis", "sqlite"), ("sqlite", "sqlite")])


# ---- from one store to another


@PAIRS
def test_a_backup_is_restored_into_a_store_of_any_kind(kind: str, other: str, place: Place, tmp_path: Path) -> None:
    options, store = place(kind)
    others, copy = place(other)
    fill(store)
    before = orders_in(store)
    backup = tmp_path / "b.sqlite"
    assert done(*options, "backup", backup).endswith("21 objects at transaction 1\n")
    assert [each.name for each in tmp_path.glob("*b.sqlite*")] == ["b.sqlite"]
    assert done("restore", backup, *others).startswith("21 objects of transaction 1 are in ")
    assert orders_in(copy) == before
    assert history_of(copy) != history_of(store)  # D12
    assert done(*others, "check").startswith("sound: 21 objects at transaction 1")


@PAIRS
def test_exported_lines_are_imported_into_a_store_of_any_kind(
    kind: str, other: str, place: Place, tmp_path: Path
) -> None:
    options, store = place(kind)
    others, copy = place(other)
    fill(store)
    before = orders_in(store)
    file = tmp_path / "objects.jsonl"
    assert done(*options, "export", file).endswith("21 objects at transaction 1\n")
    done(*others, "import", file)
    assert orders_in(copy) == before
    assert history_of(copy) != history_of(store)
    first, *lines = file.read_text().splitlines()
    assert json.loads(first)["objects"] == len(lines) == 21
    again = done(*others, "export", "-").splitlines()
    assert sorted(again[1:]) == sorted(lines)


def test_identities_of_both_stores_are_never_given_again(place: Place, tmp_path: Path) -> None:
    options, store = place("sqlite")
    fill(store)
    used = {each[1] for each in orders_in(store)}
    done(*options, "export", tmp_path / "a")
    others, copy = place("sqlite")
    done(*others, "import", tmp_path / "a")
    fill(copy, first=100)
    identities = [each[1] for each in orders_in(copy)]
    assert used < set(identities)
    assert len(identities) == len(set(identities)) == 40


def test_pipes_work(place: Place) -> None:
    options, store = place("sqlite")
    fill(store)
    others, copy = place("sqlite")
    done(*others, "import", "-", stdin=done(*options, "export", "-"))
    assert orders_in(copy) == orders_in(store)


@pytest.mark.parametrize(("command", "closing", "name"), [("import", "<&-", "stdin"), ("export", ">&-", "stdout")])
def test_a_pipe_that_is_closed_is_told(command: str, closing: str, name: str, place: Place) -> None:
    options, store = place("sqlite")
    fill(store)
    words = [sys.executable, "-m", "object_database", *options, command, "-"]
    shell = ["sh", "-c", f'"$@" {closing}', "sh", *words]
    found = subprocess.run(shell, stderr=subprocess.PIPE, text=True, timeout=50)
    assert (found.returncode, found.stderr) == (2, f"odb {command}: {name} is closed: name a file\n")


@KINDS
def test_only_an_empty_store_is_restored_into_unless_it_may_be_replaced(
    kind: str, place: Place, tmp_path: Path
) -> None:
    options, store = place(kind)
    fill(store, count=5)
    before = orders_in(store)
    done(*options, "backup", tmp_path / "b")
    fill(store, first=50, count=3)
    history = history_of(store)
    assert "the store is not empty: it has 10 objects" in refused(*options, "restore", tmp_path / "b")
    assert len(orders_in(store)) == 8
    done(*options, "restore", tmp_path / "b", "--overwrite")
    assert orders_in(store) == before
    assert history_of(store) != history
    assert done(*options, "check").splitlines()[-1].startswith("sound: 6 objects")


@KINDS
def test_a_store_that_a_server_has_is_not_restored_into(kind: str, place: Place, tmp_path: Path) -> None:
    options, store = place(kind)
    fill(store)
    done(*options, "backup", tmp_path / "b")
    with InMemServer(kvstore=store, auth_token="t"):
        said = refused(*options, "restore", tmp_path / "b", "--overwrite")
        assert f"process {os.getpid()}" in said
        assert said.endswith("stop it first")  # odb takes no store from a live server
        assert f"process {os.getpid()}" in done(*options, "stats")
    assert len(orders_in(store)) == 20


@KINDS
@pytest.mark.parametrize("command", ["restore", "import"])
def test_a_store_that_cannot_be_had_is_refused_before_its_new_content_is_read(
    command: str, kind: str, place: Place, tmp_path: Path
) -> None:
    options, store = place(kind)
    fill(store)
    done(*options, "backup", tmp_path / "restore")
    break_sqlite("UPDATE objects SET row = 'text'")(tmp_path / "restore")
    (tmp_path / "import").write_text("no JSON")
    damage = {"restore": "somebody wrote to the file", "import": "line 1: "}[command]
    with InMemServer(kvstore=store, auth_token="t"):
        assert f"process {os.getpid()}" in refused(*options, command, tmp_path / command, "--overwrite")
    assert "the store is not empty" in refused(*options, command, tmp_path / command)
    assert damage in refused(*options, command, tmp_path / command, "--overwrite")
    assert len(orders_in(store)) == 20


def test_a_data_directory_that_is_a_link_to_nowhere_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("nowhere")
    (tmp_path / "lines").write_text("no JSON")
    assert "/data is no directory where you may write" in refused(
        "--data-dir", tmp_path / "data", "import", tmp_path / "lines"
    )


@KINDS
def test_what_no_server_would_start_from_is_not_restored(kind: str, place: Place, tmp_path: Path) -> None:
    options, store = place("sqlite")
    fill(store)
    done(*options, "backup", tmp_path / "b")
    break_sqlite("UPDATE objects SET row = x'0105'")(tmp_path / "b")
    others, copy = place(kind)
    assert "is damaged" in refused(*others, "restore", tmp_path / "b")
    assert not reader_of(copy).is_there()


# ---- beside a server


@KINDS
def test_copies_of_a_store_in_use_are_the_state_at_one_transaction(kind: str, place: Place, tmp_path: Path) -> None:
    # Every transaction moves one from an account to another, so each consistent state has the same sum.
    options, store = place(kind)
    with InMemServer(kvstore=store, auth_token="t") as server, server.connect("t") as db:
        db.subscribeToSchema(schema)
        with db.transaction():
            accounts = [Order(number=number, price=100.0) for number in range(300)]
        stop, copied = threading.Event(), 0

        def move() -> None:
            step = 0
            while not stop.is_set():
                step += 1
                with db.transaction():
                    accounts[step % 300].price -= 1
                    accounts[step * 7 % 300].price += 1

        mover = threading.Thread(target=move)
        mover.start()
        try:
            for number in range(3):
                for command in ("backup", "export"):
                    found = odb(*options, command, tmp_path / f"{command}{number}")
                    assert found.returncode == 0 or (kind == "redis" and "was written to while" in found.stderr)
                    copied += found.returncode == 0
        finally:
            stop.set()
            mover.join()
    assert copied == 6 or kind == "redis"
    for each in tmp_path.glob("backup*"):
        orders = orders_in(SqlitePersistence(each))
        assert (len(orders), sum(order[4] for order in orders)) == (300, 30_000.0)
    for each in tmp_path.glob("export*"):
        lines = [json.loads(line) for line in each.read_text().splitlines()[1:]]
        assert (len(lines), sum(line["fields"]["price"] for line in lines)) == (300, 30_000.0)
    assert done(*options, "check").endswith(f"300 objects at transaction {last_tid_of(store)}\n")


def last_tid_of(store: Persistence) -> int:
    with store:
        return store.open().last_tid


@KINDS
def test_a_store_in_use_can_be_looked_at(kind: str, place: Place, tmp_path: Path) -> None:
    options, store = place(kind)
    fill(store)
    with InMemServer(kvstore=store, auth_token="t") as server, server.connect("t") as db:
        db.subscribeToSchema(schema)
        with db.transaction():
            Order(number=1000)
        assert done(*options, "check") == "sound: 22 objects at transaction 1000001\n"
        assert "shop.Order" in done(*options, "stats")
        done(*options, "backup", tmp_path / "b")
        with db.transaction():  # the server still has its store
            Order(number=1001)
    assert len(orders_in(store)) == 22
    assert len(orders_in(SqlitePersistence(tmp_path / "b"))) == 21


# ---- check and stats


def break_sqlite(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute(statement)
        db.close()

    return change


def break_row(path: Path) -> None:
    """The second order gets the number of the first."""
    db = sqlite3.connect(path, isolation_level=None)
    types = _core.read_catalogue(db.execute("SELECT value FROM facts WHERE name = 'catalogue'").fetchone()[0])
    (_, number, row), (second, _, _) = db.execute("SELECT * FROM objects ORDER BY id DESC LIMIT 2").fetchall()
    assert types.decode_row(number, row)["number"] == 19
    db.execute("UPDATE objects SET row = ? WHERE id = ?", (row, second))
    db.close()


def break_pages(path: Path) -> None:
    db = sqlite3.connect(path)
    root, size = db.execute(
        "SELECT rootpage, (SELECT * FROM pragma_page_size()) FROM sqlite_master WHERE name = 'objects'"
    ).fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xee" * size)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a row of bytes": (
        break_sqlite("UPDATE objects SET row = x'ffff' WHERE id % 7 = 0"),
        "is no row: its bytes are damaged",
    ),
    "a value of another type": (
        break_sqlite("UPDATE objects SET row = x'01200161' WHERE id = (SELECT MAX(id) FROM objects)"),
        "field number holds 'a', and takes int",
    ),
    "a text instead of bytes": (
        break_sqlite("UPDATE objects SET row = 'text'"),
        "is no row: somebody wrote to the file",
    ),
    "a text instead of a fact": (
        break_sqlite("UPDATE facts SET value = 'text' WHERE name = 'catalogue'"),
        "somebody wrote to its tables what does not belong there",
    ),
    "an unknown type": (break_sqlite("UPDATE objects SET type = 77"), "a type that is not in the catalogue: 77"),
    "two of a unique key": (break_row, "of shop.Order have one key in number, which is unique"),
    "an identity nobody was given": (
        break_sqlite("UPDATE objects SET id = 900000000000 WHERE id = (SELECT MAX(id) FROM objects)"),
        "object 900000000000 has an identity that was never reserved",
    ),
    "a transaction nobody was given": (
        break_sqlite("UPDATE store SET last_tid = 123456789"),
        "it ends at transaction 123456789, and only those up to 1000000 were reserved",
    ),
    "a commit of the future": (
        break_sqlite("INSERT INTO sessions VALUES (x'00ff', 1, 50)"),
        "session 00ff has a commit 1 of transaction 50, and the store ends at 1",
    ),
    "no catalogue": (break_sqlite("DELETE FROM facts WHERE name = 'catalogue'"), "is not in the catalogue"),
    "half a catalogue": (
        break_sqlite("UPDATE facts SET value = SUBSTR(value, 1, 20) WHERE name = 'catalogue'"),
        "the catalogue: type 1 of its catalogue cannot be read",
    ),
    "no reservations": (
        break_sqlite("UPDATE facts SET value = x'01' WHERE name = 'reservations'"),
        "the reservations: its reservations are none",
    ),
    "a page": (break_pages, "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_check_finds(damage: str, place: Place) -> None:
    options, store = place("sqlite")
    fill(store)
    assert done(*options, "check") == "sound: 21 objects at transaction 1\n"
    change, words = DAMAGE[damage]
    change(store.path)  # type: ignore[attr-defined]
    found = odb(*options, "check")
    assert found.returncode == 1, found.stderr
    assert any(line.startswith("damage: ") and words in line for line in found.stdout.splitlines()), found.stdout
    assert found.stdout.splitlines()[-1].startswith("DAMAGED, ")


def test_check_finds_what_was_done_to_a_redis(place: Place, redis_process: RedisProcess) -> None:
    import redis

    options, store = place("redis")
    fill(store)
    with redis.Redis(unix_socket_path=redis_process.socket) as client:
        number = next(int(each) for each in client.smembers("odb:types") if client.hlen(b"odb:objects:" + each) == 20)
        object_id = next(iter(client.hkeys(f"odb:objects:{number}")))
        client.hset("odb:objects:77", object_id, b"\0")
        found = odb(*options, "check")
        assert found.returncode == 1
        assert "damage: odb:objects:77 is not named in odb:types" in found.stdout
        client.sadd("odb:types", 77)
        assert f"object {int(object_id)} is there twice, of types {number} and 77" in odb(*options, "check").stdout


def test_a_reference_to_a_deleted_object_is_noted_and_no_damage(place: Place) -> None:
    options, store = place("sqlite")
    fill(store, count=3)
    with InMemServer(kvstore=store, auth_token="t") as server, server.connect("t") as db:
        db.subscribeToSchema(schema)
        with db.transaction():
            Customer.lookupOne(name="Ada").delete()
    lines = done(*options, "check").splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("note: shop.Order ")
    assert lines[0].endswith("which is not there")
    assert lines[1] == "sound: 3 objects at transaction 1000001"


def test_stats_tell_what_a_store_is(place: Place, tmp_path: Path) -> None:
    options, store = place("sqlite")
    fill(store)
    lines = done(*options, "stats").splitlines()
    facts = {line[:12].strip(): line[13:] for line in lines[: lines.index("")]}
    assert facts["format"] == "1"
    assert facts["last tid"] == "1"
    assert facts["epoch"] == "1"
    assert facts["owner"] == "none"
    assert facts["history"] == history_of(store).hex()
    assert [line.split()[:2] for line in lines[lines.index("") + 1 :]] == [
        ["type", "objects"],
        ["shop.Customer", "1"],
        ["shop.Order", "20"],
        ["all", "21"],
    ]
    done(*options, "backup", tmp_path / "objects.sqlite")
    assert f"copied from  history {facts['history']}, transaction 1" in done("--data-dir", tmp_path, "stats")


# ---- stopped in the middle


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_leaves_nothing_half_made(number: int, place: Place, tmp_path: Path) -> None:
    options, store = place("sqlite")
    fill(store)
    lines = done(*options, "export", "-").splitlines(keepends=True)
    others, copy = place("sqlite")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "object_database", *others, "import", str(pipe)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        with pipe.open("w") as writing:  # returns when the program has opened it too
            writing.write("".join(lines[:-1]))
            writing.flush()
            program.send_signal(number)
            _, said = program.communicate(timeout=30)
    assert program.returncode == 130
    assert said.splitlines()[-1] == "odb import: stopped; what it writes is there as a whole, or not at all"
    with copy:
        assert copy.open().object_count == 0


def test_an_export_that_fails_leaves_no_file(place: Place, tmp_path: Path) -> None:
    options, store = place("sqlite")
    fill(store)
    break_sqlite("UPDATE objects SET row = x'ffff' WHERE id = (SELECT MAX(id) FROM objects)")(store.path)  # type: ignore[attr-defined]
    out = tmp_path / "out"
    out.mkdir()
    assert "is no row: its bytes are damaged" in refused(*options, "export", out / "e")
    assert list(out.iterdir()) == []


# ---- words


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data-dir", "nowhere", "stats"], "odb stats: there is no directory nowhere"),
        (["--data-dir", ".", "stats"], "odb stats: there is no store "),
        (["--data-dir", ".", "--redis_port", "1", "check"], "odb check: objects live in one place"),
        (["--data-dir", "d", "restore", "nothing"], "odb restore: there is no store "),
        (["--data-dir", "d", "restore", "."], "odb restore: there is no store "),
        (["--data-dir", "d", "import", "nothing"], "odb import: nothing: No such file or directory"),
        (["--data-dir", "d", "import", "."], "odb import: .: Is a directory"),
        (["--data-dir", "d", "import", "/dev/null"], "odb import: /dev/null, line 1: the file is empty"),
        (
            ["--data-dir", "/dev/null/d", "import", "-"],
            "odb import: /dev/null/d/objects.sqlite cannot be made: /dev/null",
        ),
        (
            ["--redis-url", "unix:///nowhere", "stats"],
            "odb stats: redis at /nowhere, database 0, keys odb:* gives no answer",
        ),
        (["--data-dir", "d", "serve"], "odb serve: the options of serve stand behind the word"),
        (["serve", "localhost", "0", "--service-token", "", "--inmem"], "odb serve: a token is needed"),
        ([], "odb: error: the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--redis-url" in words:
        pytest.importorskip("redis")
    monkeypatch.chdir(tmp_path)
    for name in ("ODB_SERVICE_TOKEN", "ODB_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert refused(*words).startswith(sentence)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["odb", "object_database"])
def test_it_is_there_under_both_names(name: str) -> None:
    program = Path(sys.executable).parent / name
    found = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"object_database {__version__}\n"


def test_help_names_every_command() -> None:
    words = done("--help")
    for command in ("backup", "restore", "export", "import", "check", "stats", "serve"):
        assert f"    {command} " in words
    assert "usage: odb serve" in done("serve", "--help")
