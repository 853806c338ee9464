"""backup and restore, and what import has in common with them.

A backup is a store in one SQLite file, so it can be looked at, checked, exported, and restored into a store of any kind. It has
no history of its own (D12): whoever opens it first, after a restore or put into a data directory by hand, gives it one. The fact
"origin" tells where it comes from.
"""

from __future__ import annotations

import argparse
import fcntl
import glob
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from object_database import _core
from object_database.errors import StoreError, StoreInUseError, StoreMovedError
from object_database.persistence import Group, Persistence, SqlitePersistence, State
from object_database.store_options import store_of
from object_database.store_readers import Content, SqliteReader, StoreReader, reader_of
from object_database.util_progress import Progress

__all__ = ["ATTEMPTS", "Row", "backup", "filling", "load_into_core", "origin_of", "restore", "whole_file"]

ATTEMPTS = 3  # to read a redis: between two commits, and then with copies of its objects

Row = tuple[int, int, bytes]  # object id, type number, row

_BESIDE = ("", "-wal", "-shm", "-journal", ".owner")  # what SQLite and SqlitePersistence put beside a file


# ---- backup


def backup(options: argparse.Namespace) -> int:
    source = store_of(options, must_exist=True)
    with whole_file(options.dest, options.overwrite, source) as path:
        content = try_again(lambda is_busy: _copy(reader_of(source, is_busy), path))
        _make_backup(path, content)
    print(f"{options.dest}: {content.object_count:,} objects at transaction {content.last_tid}")
    return 0


def try_again(work: Callable[[bool], Content]) -> Content:
    """Do it until nobody writes meanwhile, ATTEMPTS times at most; work is told whether somebody did before."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return work(attempt > 0)
        except StoreMovedError:
            continue
    return work(True)


def _copy(unopened: StoreReader, path: Path) -> Content:
    _empty(path)  # of what an attempt before this one left
    with unopened as reader, Progress("copying", "pages" if isinstance(unopened, SqliteReader) else "objects") as said:
        content = reader.content
        if isinstance(reader, SqliteReader):
            reader.copy_to(path, said)
            reader.confirm()
            return content
        with SqlitePersistence(path) as store:
            epoch, copied = store.open().epoch, 0
            for batch in reader.rows():
                store.apply(Group(epoch, 0, 0, batch))
                copied += len(batch)
                said(copied, max(copied, content.object_count))
            store.apply(Group(epoch, 0, content.last_tid, (), content.facts, commits_of(content)))
        reader.confirm()
        return content


def commits_of(content: Content) -> list[tuple[bytes, int, int]]:
    oldest_first = sorted(content.sessions.items(), key=lambda each: each[1][1])
    return [(session, seq, tid) for session, (seq, tid) in oldest_first]


def _make_backup(path: Path, content: Content) -> None:
    import sqlite3

    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = DELETE")  # one file, which opening turns into one with a log again
        db.execute("BEGIN")
        db.execute("UPDATE store SET history = NULL, token = ''")
        if content.history:  # else it is a copy of a copy, whose origin is known
            db.execute("INSERT OR REPLACE INTO facts VALUES ('origin', ?)", (origin_of(content),))
        db.execute("COMMIT")
    finally:
        db.close()


def origin_of(content: Content) -> bytes:
    """What the fact "origin" says, for people."""
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return json.dumps({"history": content.history.hex(), "tid": content.last_tid, "copied": made}).encode()


@contextmanager
def whole_file(path: Path, overwrite: bool = False, source: Persistence | None = None) -> Iterator[Path]:
    """A name to write to, beside `path`; it becomes `path` at the end, or vanishes when the block raises.

    A store that servers open is never overwritten: what its log holds would be lost, or be read into the new file.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a directory: name a file in it")
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already: give --overwrite to replace it, or name another file")
    if path.exists() and isinstance(source, SqlitePersistence) and source.path.exists() and path.samefile(source.path):
        raise ValueError(f"{path} is that very store: name another file")
    if any(Path(f"{path}{suffix}").exists() for suffix in _BESIDE[1:]):
        raise ValueError(f"{path} is a store that a server works or worked with: name another file, or use odb restore")
    if not path.parent.is_dir():
        raise ValueError(f"there is no directory {path.parent}")
    _remove_abandoned(path)
    partial = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        with _locked(partial):
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
    except OSError as error:
        if error.filename is None:  # of a write: the disk is full, say
            error.filename = str(path)
        raise
    finally:
        _remove(partial)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """A new file, locked as long as somebody writes to it: the kernel drops the lock with the process, however it ends."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with suppress(OSError):  # a file system without locks: nobody can take it for abandoned there
                fcntl.flock(fd, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(fd), path.stat()):
                continue  # somebody has just taken it for abandoned
            _empty(path)
            yield
            return
        finally:
            os.close(fd)


def _remove_abandoned(path: Path) -> None:
    """What those left that were killed while they wrote to `path`."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        try:
            fd = os.open(partial, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another one's, or gone already
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(partial)
        except OSError:
            pass  # somebody writes to it, or nobody can tell
        finally:
            os.close(fd)


def _empty(path: Path) -> None:
    os.truncate(path, 0)
    for suffix in _BESIDE[1:]:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _remove(path: Path) -> None:
    for suffix in _BESIDE:
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# ---- restore


def restore(options: argparse.Namespace) -> int:
    target = store_of(options)
    rows: list[Row] = []
    with SqliteReader(SqlitePersistence(options.source)) as reader:
        if isinstance(target, SqlitePersistence) and target.path.exists() and target.path.samefile(reader.path):
            raise ValueError(f"{reader.path} is that very store")
        content = reader.content
        with filling(target, options.overwrite) as fill:
            with Progress("reading") as said:
                for batch in reader.rows():
                    rows += batch
                    said(len(rows), content.object_count)
            reader.confirm()
            fill(content, rows)
    print(f"{len(rows):,} objects of transaction {content.last_tid} are in {reader_of(target).where}")
    return 0


def open_for_tool(store: Persistence) -> State:
    """Open a store to change it. A tool takes it from no server, as a server with --take-over would."""
    try:
        return store.open()
    except StoreInUseError as error:
        raise StoreError(
            f"{reader_of(store).where} is in use by a server, or by another odb command, on {error.host}, process "
            f"{error.pid}, since {error.since}: stop it first"
        ) from error


@contextmanager
def filling(store: Persistence, overwrite: bool) -> Iterator[Callable[[Content, Sequence[Row]], None]]:
    """A function that makes this the whole content of a store, under a new history (D12), at once or not at all.

    A store that is there is taken before the block reads what is to be put into it, which may take long: one that cannot be
    had is refused at once. One that is not there is made when all has been read, so that nothing is left of a bad source.
    """
    try:
        state = _open_to_fill(store, overwrite) if reader_of(store).is_there() else None

        def fill(content: Content, rows: Sequence[Row]) -> None:
            _verify(content, rows)
            _fill(store, state or _open_to_fill(store, overwrite), content, rows)

        yield fill
    finally:
        store.close()


def _open_to_fill(store: Persistence, overwrite: bool) -> State:
    state = open_for_tool(store)
    if (state.object_count or state.last_tid) and not overwrite:
        raise StoreError(
            f"the store is not empty: it has {state.object_count:,} objects and ends at transaction {state.last_tid}; "
            "give --overwrite to replace all of it, or name another one"
        )
    return state


def _fill(store: Persistence, state: State, content: Content, rows: Sequence[Row]) -> None:
    """Identities and transaction ids of both, the old content and the new one, stay reserved."""
    last_tid = max(state.last_tid, content.last_tid)
    given = [
        _core.read_reservations(facts["reservations"])
        for facts in (state.facts, content.facts)
        if "reservations" in facts
    ]
    highest = [max(each) for each in zip((last_tid, 0, 0), *given, strict=True)]
    facts = {**content.facts, "reservations": _core.write_reservations(*highest)}
    with Progress("writing") as said:
        store.replace(Group(state.epoch, state.last_tid, last_tid, rows, facts, commits_of(content)))
        said(len(rows), len(rows))


def _verify(content: Content, rows: Sequence[Row]) -> None:
    """Before anything is replaced: that a server starts from it. Raises ServerError or InternalError."""

    def batches() -> Iterator[list[Row]]:
        for start in range(0, len(rows), 10_000):
            yield list(rows[start : start + 10_000])

    with Progress("checking") as said:
        load_into_core(content, batches(), said)


def load_into_core(content: Content, batches: Iterator[list[Row]], on_progress: Callable[[int, int], object]) -> None:
    """What a server does when it starts, and then the check of every invariant."""
    core = _core.start_server(
        "nobody", _core.HEARTBEAT_S, durable=(content.history or bytes(16), content.last_tid, dict(content.facts))
    )
    try:
        loaded = 0
        for batch in batches:
            core.load(batch)
            loaded += len(batch)
            on_progress(loaded, max(loaded, content.object_count))
        core.loaded()
        core.check()
    finally:
        core.stop()
