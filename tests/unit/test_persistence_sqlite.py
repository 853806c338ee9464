"""SqlitePersistence: the file, its log, its owner, and what a disk can do to them. What every store does is in contracts."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from object_database import persistence_sqlite
from object_database.errors import (
    FencedError,
    InvalidArgumentError,
    StoreCorruptError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreUnavailableError,
)
from object_database.persistence import Group, Persistence, SqlitePersistence
from object_database.persistence_sqlite import CACHE_KIB, READ_ONCE_CACHE_KIB, translated
from tests.store_model import contents_after, contents_of, group_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def filled(store: Persistence, tids: int) -> Persistence:
    """The same store, open, with so many transactions in it."""
    state = store.open()
    for tid in range(state.last_tid + 1, tids + 1):
        store.apply(group_of(tid, state.epoch))
    return store


# ---- the file


def test_a_directory_gets_a_file_of_its_own(tmp_path: Path) -> None:
    with SqlitePersistence(tmp_path) as store:
        store.open()
        assert (tmp_path / "objects.sqlite").stat().st_mode & 0o777 == 0o600


def test_folders_are_made_and_paths_may_be_text(tmp_path: Path) -> None:
    with SqlitePersistence(str(tmp_path / "a" / "b.sqlite")) as store:
        store.open()
    assert (tmp_path / "a" / "b.sqlite").exists()
    with pytest.raises(InvalidArgumentError, match="path is that of a file"):
        SqlitePersistence(5)  # type: ignore[arg-type]


def test_a_link_to_the_file_is_the_same_store_with_the_same_owner(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    filled(SqlitePersistence(link), 3).close()
    with SqlitePersistence(path) as store:
        assert contents_of(store, store.open()) == contents_after(3)
        with pytest.raises(StoreInUseError):
            SqlitePersistence(link).open()


def test_people_can_look_into_it_while_it_is_in_use(path: Path) -> None:
    with filled(SqlitePersistence(path), 20) as store:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            held = {each: (number, row) for each, number, row in db.execute("SELECT id, type, row FROM objects")}
            assert held == contents_after(20)[0]
            assert db.execute("SELECT last_tid FROM store").fetchall() == [(20,)]
        db.close()
        assert str(path) in store.describe()


def test_every_commit_is_synchronised(path: Path) -> None:
    with SqlitePersistence(path) as store:
        store.open()
        assert store._ask("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._ask("PRAGMA synchronous").fetchone() == (2,)


def test_to_load_leaves_no_pages_in_memory(path: Path) -> None:
    with SqlitePersistence(path) as store:
        filled(store, 4)

        def cache_kib() -> int:
            return -store._database().execute("PRAGMA cache_size").fetchone()[0]

        batches = store.load(rows_max=1)
        next(batches)
        assert cache_kib() == READ_ONCE_CACHE_KIB
        batches.close()
        assert cache_kib() == CACHE_KIB


def test_a_copy_that_is_used_apart_can_be_given_a_history_of_its_own(path: Path) -> None:
    with SqlitePersistence(path) as store:
        history = store.open().history
    with sqlite3.connect(path) as db:
        db.execute("UPDATE store SET history = NULL")
    db.close()
    with SqlitePersistence(path) as store:
        assert len(store.open().history) == 16 != history
        assert store._opened.epoch == 2


# ---- formats


def test_a_file_of_a_newer_release_is_refused_and_stays_as_it_is(path: Path) -> None:
    filled(SqlitePersistence(path), 3).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    store = SqlitePersistence(path)
    for _ in range(2):
        with pytest.raises(StoreFormatError, match="has format 99, and this release reads up to 1"):
            store.open()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT epoch FROM store").fetchone() == (1,)
    db.close()


def test_a_file_of_an_older_release_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(SqlitePersistence(path), 3).close()
    steps = [*persistence_sqlite.FORMAT_STEPS, lambda db: db.execute("CREATE TABLE novelty (x)")]
    monkeypatch.setattr(persistence_sqlite, "FORMAT_STEPS", steps)
    for _ in range(2):
        with SqlitePersistence(path) as store:
            assert contents_of(store, store.open()) == contents_after(3)
            assert store._ask("SELECT * FROM novelty").fetchall() == []
            assert store._ask("PRAGMA user_version").fetchone() == (2,)


def test_an_upgrade_that_fails_leaves_the_older_format(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(SqlitePersistence(path), 3).close()
    steps = [
        *persistence_sqlite.FORMAT_STEPS,
        lambda db: (db.execute("DROP TABLE objects"), db.execute("INSERT INTO nowhere VALUES (1)")),
    ]
    with monkeypatch.context() as patched:
        patched.setattr(persistence_sqlite, "FORMAT_STEPS", steps)
        with pytest.raises(StoreUnavailableError, match="no such table: nowhere"):
            SqlitePersistence(path).open()
    with SqlitePersistence(path) as store:
        assert contents_of(store, store.open()) == contents_after(3)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 5"]
)
def test_a_database_of_another_program_is_refused(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(StoreFormatError, match="of another program"):
        SqlitePersistence(path).open()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"my diary\n" * 1000)
    with pytest.raises(StoreFormatError, match="no SQLite database"):
        SqlitePersistence(path).open()
    assert path.read_bytes() == b"my diary\n" * 1000


# ---- crashes: what the disk holds


def test_a_log_that_is_cut_short_or_torn_leaves_whole_groups(tmp_path: Path) -> None:
    """A copy of a store that is in use is what a loss of power leaves; then bytes of the log are lost, or wrong."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    with filled(SqlitePersistence(tmp_path / "live.sqlite"), 30) as store:
        log = Path(f"{store.path}-wal").read_bytes()  # type: ignore[attr-defined]
        seen = set()
        for number in range(25):
            copy = tmp_path / f"{number}.sqlite"
            shutil.copy(tmp_path / "live.sqlite", copy)
            place = rng.randrange(len(log))
            torn = bytearray(log)
            if number == 0:
                pass
            elif number % 2:
                del torn[place:]
            else:
                torn[place : place + 100] = rng.randbytes(len(torn[place : place + 100]))
            Path(f"{copy}-wal").write_bytes(torn)
            with SqlitePersistence(copy) as recovered:
                state = recovered.open()
                seen.add(state.last_tid)
                assert contents_of(recovered, state) == contents_after(state.last_tid)
                if number == 0:
                    assert state.last_tid == 30
                filled_on = state.last_tid + 1
                recovered.apply(group_of(filled_on, state.epoch))  # it goes on from there
                assert recovered.last_tid() == filled_on
        assert len(seen) > 1


def test_a_damaged_page_is_found_when_it_is_loaded(path: Path) -> None:
    with SqlitePersistence(path) as store:
        store.open()
        store.apply(Group(1, 0, 1, [(n, 0, bytes(100)) for n in range(5000)]))
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xee" * 100
    path.write_bytes(content)
    store = SqlitePersistence(path)
    with store, pytest.raises(StoreCorruptError, match="is damaged"):
        store.open()
        list(store.load())


def test_a_store_without_its_row_is_damaged(path: Path) -> None:
    filled(SqlitePersistence(path), 3).close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM store")
    db.close()
    with pytest.raises(StoreCorruptError, match="exactly one row"):
        SqlitePersistence(path).open()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE store SET last_tid = 'abc'",
        "UPDATE store SET last_tid = -1",
        "UPDATE store SET history = 'abc'",
        "UPDATE store SET history = x'0102'",
        "INSERT INTO facts VALUES ('more', 5)",
        "INSERT INTO sessions VALUES ('text', 1, 1)",
        "UPDATE objects SET row = 'text'",
        "UPDATE objects SET type = 'text'",
    ],
)
def test_what_somebody_wrote_by_hand_is_damage(path: Path, statement: str) -> None:
    with SqlitePersistence(path) as store:
        store.open()
        store.apply(Group(1, 0, 1, [(1, 1, b"row")]))
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    with pytest.raises(StoreCorruptError, match="somebody wrote to"), SqlitePersistence(path) as store:
        store.open()
        list(store.load())


# ---- disks that are full, read-only, or broken


def test_a_full_disk_does_nothing_and_the_store_goes_on_when_there_is_room(path: Path) -> None:
    with filled(SqlitePersistence(path), 10) as store:
        assert isinstance(store, SqlitePersistence)
        pages = store._ask("PRAGMA page_count").fetchone()[0]
        store._ask(f"PRAGMA max_page_count = {pages + 2}")
        large = Group(1, 10, 11, [(n, 1, bytes(1000)) for n in range(1000)], {"f": b"1"})
        for _ in range(2):
            with pytest.raises(StoreFullError, match="nothing was done"):
                store.apply(large)
            assert store.last_tid() == 10
            assert contents_of(store, state_of(store)) == contents_after(10)
        store.apply(group_of(11, 1)._replace(rows=[]))  # a small one still fits
        store._ask("PRAGMA max_page_count = 1000000")
        store.apply(large._replace(previous_tid=11, last_tid=12))
        assert store.last_tid() == 12


def state_of(store: SqlitePersistence):  # type: ignore[no-untyped-def]
    """State as of now, from its tables."""
    from object_database.persistence import State

    sessions = {key: (seq, tid) for key, seq, tid in store._ask("SELECT session, seq, tid FROM sessions")}
    return State(b"", 0, store.last_tid(), dict(store._ask("SELECT name, value FROM facts").fetchall()), 0, sessions)


def test_a_read_only_store_does_nothing(path: Path) -> None:
    with filled(SqlitePersistence(path), 3) as store:
        assert isinstance(store, SqlitePersistence)
        store._ask("PRAGMA query_only = ON")
        with pytest.raises(StoreFullError, match="read-only; nothing was done"):
            store.apply(group_of(4, 1))
        assert store.last_tid() == 3
        store._ask("PRAGMA query_only = OFF")
        store.apply(group_of(4, 1))


def test_an_error_of_the_disk_leaves_the_outcome_open_until_the_disk_works_again(path: Path) -> None:
    program = f"""
import resource, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from object_database.errors import StoreUnavailableError
from object_database.persistence import Group, SqlitePersistence
store = SqlitePersistence({str(path)!r})
store.open()
store.apply(Group(1, 0, 1, [(1, 1, b"first")]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # the disk then refuses to write, with no word of being full
for call in (lambda: store.apply(Group(1, 1, 2, [(n, 1, bytes(1000)) for n in range(1000)])), store.last_tid,
             lambda: store.apply(Group(1, 1, 2, []))):
    try:
        call()
        print("no error")
    except StoreUnavailableError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(store.last_tid(), list(store.load()))
store.apply(Group(1, 1, 2, [(2, 1, b"second")]))
store.close()
print(store.open()[1:3], list(store.load()))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert "disk I/O error" in lines[0]
    for line in lines[:3]:
        assert line.endswith("likely because no file of this process may have more than 10,000 bytes (ulimit -f)")
    assert "no error" not in lines
    assert lines[3:] == ["1 [[(1, 1, b'first')]]", "(2, 2) [[(1, 1, b'first'), (2, 1, b'second')]]"]


def test_a_value_that_cannot_be_stored_changes_nothing(path: Path) -> None:
    with filled(SqlitePersistence(path), 3) as store:
        with pytest.raises(InvalidArgumentError, match="cannot be stored; nothing was done"):
            store.apply(Group(1, 3, 4, [(1000, 1, b"x"), (1001, 1, object())], {"f": b""}))  # type: ignore[list-item]
        with pytest.raises(OverflowError):
            store.apply(Group(1, 3, 4, [(1000, 1, b"x"), (1 << 64, 1, b"")]))
        store.apply(group_of(4, 1))
        assert {row[0] for batch in store.load() for row in batch} == contents_after(4)[0].keys()


def test_a_program_that_locks_the_file_is_waited_for_and_then_named(path: Path) -> None:
    with filled(SqlitePersistence(path, busy_s=0.1), 3) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked by another program"):
            store.apply(group_of(4, 1))
        assert store.last_tid() == 3
        other.execute("ROLLBACK")
        other.close()
        store.apply(group_of(4, 1))
        assert store.last_tid() == 4


def test_a_file_that_is_taken_away_or_replaced_is_noticed(path: Path) -> None:
    with filled(SqlitePersistence(path), 3) as store:
        path.rename(path.with_suffix(".away"))
        for call in (lambda: store.apply(group_of(4, 1)), store.last_tid):
            with pytest.raises(StoreCorruptError, match="taken away while it was in use"):
                call()
        path.touch()
        with pytest.raises(StoreCorruptError, match="replaced while it was in use"):
            store.apply(group_of(4, 1))


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        ("database or disk is full", 13, StoreFullError),
        ("attempt to write a readonly database", 8, StoreFullError),
        ("disk I/O error", 10, StoreUnavailableError),
        ("database is locked", 5, StoreUnavailableError),
        ("database disk image is malformed", 11, StoreCorruptError),
        ("file is not a database", 26, StoreFormatError),
        ("something new", 0, StoreUnavailableError),
    ],
)
def test_errors_are_told_apart_by_code_or_by_text(words: str, code: int, kind: type[Exception], path: Path) -> None:
    error = sqlite3.OperationalError(words)  # CPython 3.10 gives the text alone
    assert type(translated(error, path)) is kind
    if code:
        coded = sqlite3.OperationalError("in another language")
        coded.sqlite_errorcode = code | 0x300  # type: ignore[attr-defined]
        assert type(translated(coded, path)) is kind
    assert type(translated(MemoryError(), path)) is StoreFullError


def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError, match="cannot be opened: .*Not a directory|cannot be opened: .*exists"):
        SqlitePersistence(tmp_path / "file" / "store.sqlite").open()


# ---- owners


def test_the_store_is_free_when_its_server_was_killed(path: Path) -> None:
    program = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from object_database.persistence import SqlitePersistence
store = SqlitePersistence({str(path)!r})
store.open(); print("open", flush=True); sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    store = SqlitePersistence(path)
    with pytest.raises(StoreInUseError) as refusal:
        store.open()
    assert refusal.value.pid == other.pid
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert store.open().epoch == 2
    store.close()


def test_a_store_whose_epoch_went_back_with_its_file_fences_by_the_owner(path: Path) -> None:
    """A file put back from a backup gives an epoch to a second server that a first one has already."""
    first, second = SqlitePersistence(path), SqlitePersistence(path)
    first.open()
    second.open(take_over=True)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE store SET epoch = 1")  # of the first, with the token of the second
    db.close()
    with pytest.raises(FencedError):
        first.apply(group_of(1, 1))
    first.close()
    second.close()


def test_a_store_that_went_back_says_what_is_lost(path: Path) -> None:
    from object_database.errors import StoreBehindError

    with filled(SqlitePersistence(path), 9) as store:
        with sqlite3.connect(path) as db:
            db.execute("UPDATE store SET last_tid = 7")
        db.close()
        for call in (lambda: store.apply(group_of(10, 1)), lambda: store.apply(group_of(8, 1)), store.last_tid):
            with pytest.raises(StoreBehindError, match="confirmed transaction 9 and now ends at 7") as lost:
                call()
            assert (lost.value.acknowledged, lost.value.found) == (9, 7)


def test_what_stands_in_the_owner_file_is_only_shown(path: Path) -> None:
    holder = SqlitePersistence(path)
    holder.open()
    for text in (b"", b"\xff\xfe", b"{}", b"[1]", b'{"host": 5, "pid": "x"}'):
        Path(f"{path}.owner").write_bytes(text)
        with pytest.raises(StoreInUseError) as refusal:
            SqlitePersistence(path).open()
        assert (refusal.value.host, refusal.value.pid) == ("?", 0)
    holder.close()


def test_the_log_stays_small(path: Path) -> None:
    with SqlitePersistence(path) as store:
        store.open()
        for tid in range(1, 401):
            store.apply(Group(1, tid - 1, tid, [(n, 1, os.urandom(2000)) for n in range(10)]))
        assert Path(f"{path}-wal").stat().st_size < 10 << 20
    assert not Path(f"{path}-wal").exists()
