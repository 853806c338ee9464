"""A store in one SQLite file: durable, on every machine, and readable with the sqlite3 program.

    store      one row: history, epoch, token of the owner, last_tid (K3 compares the last three in the transaction that writes)
    objects    id -> type number, row
    facts      name -> value
    sessions   session -> seq, tid

In WAL mode with synchronous=FULL a commit is one append and one fsync. The format of the file is PRAGMA user_version;
docs/internals/persistence.md tells it byte by byte.

An error of the disk while a transaction is written leaves it open what a later recovery of the log will find, and a
second fsync that succeeds proves nothing about pages that the first one lost: the system may take them for written. So
the next call opens the file anew, which is when SQLite looks at it and not at its memory, and whoever opens the file first
writes the log that is there once more, byte by byte: then an fsync of it means something again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from object_database.errors import (
    InvalidArgumentError,
    ServerStateError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreInUseError,
    StoreUnavailableError,
)
from object_database.persistence_interface import (
    HISTORY_BYTES,
    Batch,
    BatchSize,
    Group,
    Held,
    Persistence,
    RecentSessions,
    State,
    new_history,
    new_token,
)
from object_database.persistence_owner import Owner

if TYPE_CHECKING:
    import sqlite3  # 10 ms, and most programs that import the package open no file

__all__ = ["SqlitePersistence"]

APPLICATION_ID = 0x4F444231  # "ODB1": what `file objects.sqlite` shows
FILE_NAME = "objects.sqlite"  # in a directory that is given instead of a file
WAL_BYTES_MAX = 64 << 20  # what the log is cut to when a huge group has blown it up
LOG_PIECE_BYTES = 1 << 20
CACHE_KIB = 64 << 10  # of pages: a group of scattered rows reads the leaves that it changes
READ_ONCE_CACHE_KIB = 1 << 10  # while all of them are read once, none is worth to be kept

# K3 in one statement: the store is still ours, and ends where the group begins.
ADVANCE = "UPDATE store SET last_tid = ? WHERE token = ? AND epoch = ? AND last_tid = ?"
WRITE_ROW = "INSERT INTO objects VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row"
WRITE_FACT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
WRITE_SESSION = (
    "INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (session) DO UPDATE SET seq = excluded.seq, tid = excluded.tid"
)


def _to_format_1(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE store (only INTEGER PRIMARY KEY CHECK (only = 1), history BLOB, epoch INTEGER NOT NULL, "
        "token TEXT NOT NULL, last_tid INTEGER NOT NULL)"
    )
    db.execute("INSERT INTO store VALUES (1, NULL, 0, '', 0)")
    db.execute("CREATE TABLE objects (id INTEGER PRIMARY KEY, type INTEGER NOT NULL, row BLOB NOT NULL)")
    db.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    db.execute(
        "CREATE TABLE sessions (session BLOB PRIMARY KEY, seq INTEGER NOT NULL, tid INTEGER NOT NULL) WITHOUT ROWID"
    )


# Step n makes format n + 1 out of format n, and a new file is format 0: every store has gone through all of them.
FORMAT_STEPS: list[Callable[[Any], None]] = [_to_format_1]


class SqlitePersistence(Persistence):
    """A store in an SQLite file; it and the files beside it (-wal, -shm, .owner) belong together.

    Args: path: of the file, made when it is not there; or of a directory, for objects.sqlite in it. On a disk of this
              machine: the locks of network file systems cannot be relied on.
          busy_s: how long to wait for somebody who has locked the file with another program.
    """

    def __init__(self, path: str | os.PathLike[str], busy_s: float = 30.0):
        try:
            given = Path(os.fsdecode(path)).absolute()
        except TypeError:
            raise InvalidArgumentError(f"path is that of a file or a directory; {path!r} was given") from None
        file = given / FILE_NAME if given.is_dir() else given
        # SQLite puts its log beside the file that a link names; and one file has one owner, whatever it is called.
        self.path: Path = Path(os.path.realpath(file)) if file.is_symlink() else file
        self._busy_s = busy_s
        self._db: sqlite3.Connection | None = None
        self._opened = Held(0, "", 0)
        self._owner = Owner.this_process("")
        self._identity = (0, 0)  # device and inode of the file
        self._broken: str | None = None
        self._recent = RecentSessions()
        self._owner_fd: int | None = None
        self._pid = 0
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"SqlitePersistence({str(self.path)!r})"

    # ---- the interface

    def open(self, take_over: bool = False) -> State:
        with self._lock:
            if self._db is not None:
                raise StoreInUseError(str(self.path), self._owner.host, self._owner.pid, self._owner.since)
            token = new_token()
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._own(token, take_over)
                return self._open_file(token)
            except BaseException as error:
                self.close()
                if isinstance(error, OSError):
                    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
                    kind = StoreFullError if is_full else StoreUnavailableError
                    raise kind(f"{self.path} cannot be opened: {error}") from error
                raise

    def load(self, rows_max: int = 10_000) -> Iterator[Batch]:
        size = BatchSize(rows_max)
        with self._keeping_no_pages():
            cursor = self._ask("SELECT id, type, row FROM objects")
            try:
                while batch := self._guarded(lambda: cursor.fetchmany(size.rows)):
                    check_rows(self.path, batch)
                    size.saw(len(batch), sum(len(each[2]) for each in batch))
                    yield batch
            finally:
                cursor.close()

    def apply(self, group: Group) -> None:
        with self._lock:
            self._check_file()
            latest, forgotten = self._recent.plan(group.commits)
            if not self._guarded(lambda: self._write(group, latest, forgotten)):
                return
            self._recent.done(latest, forgotten)
            self._opened = self._opened._replace(last_tid=group.last_tid)

    def replace(self, group: Group) -> None:
        with self._lock:
            self._check_file()
            recent = RecentSessions()
            latest, _ = recent.plan(group.commits)
            if not self._guarded(lambda: self._write(group, latest, [], new_history())):
                return
            recent.done(latest, ())
            self._recent = recent
            self._opened = self._opened._replace(last_tid=group.last_tid)

    def last_tid(self) -> int:
        with self._lock:
            self._check_file()
            held = self._guarded(self._held)
            held.check_owner(str(self.path), self._opened)
            return int(held.last_tid)

    def describe(self) -> str:
        return (
            f"SQLite file {self.path} (WAL, synchronous=FULL): what was acknowledged outlives a crash of the server and "
            "a loss of power; it is lost with the disk, or on one that confirms writes before they are safe"
        )

    def close(self) -> None:
        with self._lock:
            db, self._db = self._db, None
            fd, self._owner_fd = self._owner_fd, None
            self._broken = None
            if self._pid not in (0, os.getpid()):
                return  # after a fork both are the parent's
            if db is not None:
                db.close()
            if fd is not None:
                os.ftruncate(fd, 0)  # the file stays: removing it would race with the next owner
                os.close(fd)

    # ---- opening

    def _own(self, token: str, take_over: bool) -> None:
        """Lock the file that names the owner. The kernel drops the lock with the process, however it ends."""
        path = f"{self.path}.owner"
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = Owner.from_json(os.pread(fd, 4096, 0).decode("utf-8", "replace"))
                os.close(fd)
                if not take_over:
                    raise StoreInUseError(str(self.path), owner.host, owner.pid, owner.since) from None
                # The other one keeps its lock on a file without a name; its epoch ends below.
                Path(path).unlink(missing_ok=True)
                continue
            try:
                is_current = os.path.samestat(os.fstat(fd), os.stat(path))
            except FileNotFoundError:
                is_current = False  # somebody took over in between
            if is_current:
                break
            os.close(fd)
        self._owner_fd, self._pid = fd, os.getpid()
        _OPEN.add(self)
        os.ftruncate(fd, 0)
        self._owner = Owner.this_process(token)
        os.pwrite(fd, self._owner.to_json().encode(), 0)

    def _open_file(self, token: str) -> State:

        is_new = not self.path.exists() or self.path.stat().st_size == 0
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if is_new:
            _sync_directory(self.path.parent)
        stat = self.path.stat()
        self._identity = (stat.st_dev, stat.st_ino)

        db = self._guarded(self._connect)
        self._guarded(lambda: self._transaction(db, lambda: self._take(db, token)))
        history, epoch, last_tid = self._ask("SELECT history, epoch, last_tid FROM store").fetchone()
        self._opened = Held(epoch, token, last_tid)
        facts = dict(self._ask("SELECT name, value FROM facts").fetchall())
        found = self._ask("SELECT session, seq, tid FROM sessions ORDER BY tid").fetchall()
        sessions = {session: (seq, tid) for session, seq, tid in found}
        check_types(self.path, history, epoch, last_tid, facts, sessions)
        self._recent = RecentSessions(sessions)
        with self._keeping_no_pages():
            count = self._ask("SELECT COUNT(*) FROM objects").fetchone()[0]
        return State(history, epoch, last_tid, facts, count, sessions)

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        # Shared between threads, one at a time, as the interface asks; isolation_level None: we say BEGIN ourselves.
        self._db = db = sqlite3.connect(
            str(self.path), timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        self._check_format(db)
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise StoreUnavailableError(f"{self.path} lies on a file system where SQLite cannot use a log (WAL)")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute("PRAGMA cell_size_check = ON")  # damaged pages are found when they are read
        return db

    @contextmanager
    def _keeping_no_pages(self) -> Iterator[None]:
        """While every page is read once."""
        self._ask(f"PRAGMA cache_size = -{READ_ONCE_CACHE_KIB}")
        try:
            yield
        finally:
            if self._db is not None and self._broken is None:  # to mend it opens it anew
                self._ask(f"PRAGMA cache_size = -{CACHE_KIB}")

    def _mend(self) -> None:
        """After an error of the disk. Raises StoreUnavailableError while the disk does not work; the next call tries again."""

        def reopen() -> None:
            if self._db is not None:
                self._db.close()
            db = self._connect()
            db.execute("BEGIN IMMEDIATE")
            try:
                self._held().check_owner(str(self.path), self._opened)
                self._write_log_again()
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

        try:
            self._guarded(reopen)
        except OSError as error:
            raise StoreUnavailableError(f"{self.path}: {_told(error, self.path)}") from error
        self._broken = None

    def _write_log_again(self) -> None:
        """See the head of this file. REQUIRES: a transaction has begun, so that nobody else writes to the log."""
        fd = os.open(f"{self.path}-wal", os.O_RDWR | os.O_CLOEXEC)
        try:
            start = 0
            while piece := os.pread(fd, LOG_PIECE_BYTES, start):
                start += os.pwrite(fd, piece, start)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _check_format(self, db: sqlite3.Connection) -> int:
        number = int(db.execute("PRAGMA user_version").fetchone()[0])
        application = db.execute("PRAGMA application_id").fetchone()[0]
        tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (application or number or tables):
            raise StoreFormatError(f"{self.path} is a database of another program, not of object_database")
        if number > len(FORMAT_STEPS):
            raise StoreFormatError(
                f"{self.path} has format {number}, and this release reads up to {len(FORMAT_STEPS)}: "
                "use the release that wrote it, or a later one"
            )
        return number

    def _take(self, db: sqlite3.Connection, token: str) -> bool:
        self._write_log_again()
        for step in FORMAT_STEPS[self._check_format(db) :]:
            step(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(FORMAT_STEPS)}")
        db.execute("UPDATE store SET epoch = epoch + 1, token = ?", (token,))
        db.execute("UPDATE store SET history = ? WHERE history IS NULL", (new_history(),))
        if db.execute("SELECT COUNT(*) FROM store").fetchone()[0] != 1:
            raise StoreCorruptError(f"{self.path}: table store must have exactly one row")
        return True

    # ---- writing

    def _write(
        self,
        group: Group,
        latest: dict[bytes, tuple[int, int]],
        forgotten: list[bytes],
        new_history: bytes | None = None,
    ) -> bool:
        """new_history: of a store that is to hold this group alone."""
        db = self._database()
        written = [each for each in group.rows if each[2] is not None]
        deleted = [each[:1] for each in group.rows if each[2] is None] if len(written) < len(group.rows) else []

        def change() -> bool:
            if not self._advance(db, group):
                return False
            if new_history is not None:
                for table in ("objects", "facts", "sessions"):
                    db.execute(f"DELETE FROM {table}")
                db.execute("UPDATE store SET history = ?", (new_history,))
            if written:
                db.executemany(WRITE_ROW, written)
            if deleted:
                db.executemany("DELETE FROM objects WHERE id = ?", deleted)
            if group.facts:
                db.executemany(WRITE_FACT, group.facts.items())
            if latest:
                db.executemany(WRITE_SESSION, [(session, seq, tid) for session, (seq, tid) in latest.items()])
            if forgotten:
                db.executemany("DELETE FROM sessions WHERE session = ?", [(session,) for session in forgotten])
            return True

        return self._transaction(db, change)

    def _advance(self, db: sqlite3.Connection, group: Group) -> bool:
        """Whether the group is to be written; the store then ends with it. When all is well this reads nothing back."""
        epoch, token, last_tid = self._opened
        if group.epoch == epoch and last_tid <= group.previous_tid <= group.last_tid < 1 << 63:
            if db.execute(ADVANCE, (group.last_tid, token, epoch, group.previous_tid)).rowcount == 1:
                return True
        if not self._held().is_followed_by(group, str(self.path), self._opened):
            return False
        db.execute("UPDATE store SET last_tid = ?", (group.last_tid,))
        return True

    def _transaction(self, db: sqlite3.Connection, change: Callable[[], bool]) -> bool:
        """Run it between BEGIN IMMEDIATE and COMMIT, or ROLLBACK when it raises or returns False."""
        db.execute("BEGIN IMMEDIATE")
        try:
            is_changed = change()
            db.execute("COMMIT" if is_changed else "ROLLBACK")
            return is_changed
        finally:
            if db.in_transaction:  # SQLite has rolled back itself on some errors
                db.execute("ROLLBACK")

    def _held(self) -> Held:
        found = self._connected().execute("SELECT epoch, token, last_tid FROM store").fetchone()
        if found is None:
            raise StoreCorruptError(f"{self.path}: table store is empty")
        return Held(*found)

    # ---- what can go wrong

    def _connected(self) -> sqlite3.Connection:
        if self._pid not in (0, os.getpid()):
            raise ServerStateError(f"{self!r} was opened before a fork, and belongs to the parent process")
        if self._db is None:
            raise ServerStateError(f"{self!r} is not open")
        return self._db

    def _database(self) -> sqlite3.Connection:
        db = self._connected()
        if self._broken is not None:
            raise StoreUnavailableError(f"{self.path} had an error, and has to be mended: {self._broken}")
        return db

    def _check_file(self) -> None:
        """SQLite would go on writing to a file that has no name any more."""
        self._connected()
        try:
            stat = os.stat(self.path)
        except OSError as error:
            raise StoreCorruptError(f"{self.path} was taken away while it was in use: {error}") from error
        if (stat.st_dev, stat.st_ino) != self._identity:
            raise StoreCorruptError(f"{self.path} was replaced while it was in use")
        if self._broken is not None:
            self._mend()

    def _ask(self, statement: str) -> Any:
        return self._guarded(lambda: self._database().execute(statement))

    def _guarded(self, work: Callable[[], Any]) -> Any:
        """Run it; errors of SQLite become ours."""
        try:
            return work()
        except Exception as error:
            import sqlite3

            if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
                raise InvalidArgumentError(
                    f"{self.path}: a value that cannot be stored; nothing was done: {error}"
                ) from error
            if not isinstance(error, (sqlite3.Error, MemoryError)):
                raise
            ours = translated(error, self.path)
            if not isinstance(ours, (StoreFullError, StoreFormatError)) and not _is_locked(error):
                self._broken = _told(error, self.path)
            raise ours from error


# Primary result codes, and their texts for CPython 3.10, whose exceptions carry no codes.
_CODES = {
    "locked": 5,
    "readonly": 8,
    "disk i/o error": 10,
    "malformed": 11,
    "is full": 13,
    "not a database": 26,
}


def _code(error: BaseException) -> int:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF  # the rest tells variants apart
    return next((code for words, code in _CODES.items() if words in str(error).lower()), 0)


def _is_locked(error: BaseException) -> bool:
    return _code(error) in (5, 6)  # BUSY, LOCKED: the statement was never begun


def translated(error: BaseException, path: Path) -> StoreError:
    """Our error for one of SQLite's. The exact ones are those after which it has rolled the transaction back."""
    code = _code(error)
    if isinstance(error, MemoryError) or code == 7:
        return StoreFullError(f"{path}: out of memory; nothing was done")
    if code == 13:  # FULL: the disk said so before the frame that commits was complete
        return StoreFullError(f"{path}: the disk is full, or the file is as large as it may be; nothing was done")
    if code == 8:
        return StoreFullError(f"{path} is read-only; nothing was done")
    if code == 11:
        return StoreCorruptError(f"{path} is damaged: {error}")
    if code == 26:
        return StoreFormatError(f"{path} is no SQLite database, or its first page is damaged")
    if _is_locked(error):
        return StoreUnavailableError(f"{path} is locked by another program, a shell perhaps: {error}")
    return StoreUnavailableError(f"{path}: {_told(error, path)}")


def _told(error: BaseException, path: Path) -> str:
    """What it says. To SQLite a limit of the process (EFBIG) is an error of the disk like any other, so nobody can say of a
    group that it is not there, as when the disk is full; but people can be told what to look at."""
    import resource

    bytes_max = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    is_failure = _code(error) == 10 or isinstance(error, OSError)
    if is_failure and 0 <= bytes_max <= max(_bytes_of(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")):
        return f"{error}, likely because no file of this process may have more than {bytes_max:,} bytes (ulimit -f)"
    return str(error)


def _bytes_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


# SQLite takes any value in any column, and people have shells.


def check_types(
    path: Path,
    history: object,
    epoch: object,
    last_tid: object,
    facts: dict[str, bytes],
    sessions: dict[bytes, tuple[int, int]],
) -> None:
    """Raises StoreCorruptError unless everything beside the rows has the type that it must have."""
    words = [history, *facts.values(), *sessions]
    numbers = [epoch, last_tid, *(number for outcome in sessions.values() for number in outcome)]
    is_sound = all(type(each) is bytes for each in words) and all(type(each) is int and each >= 0 for each in numbers)
    if not is_sound or len(words[0]) not in (0, HISTORY_BYTES) or any(type(name) is not str for name in facts):  # type: ignore[arg-type]
        raise StoreCorruptError(f"{path}: somebody wrote to its tables what does not belong there")


def check_rows(path: Path, batch: Batch) -> None:
    for object_id, number, row in batch:
        if type(row) is not bytes or type(number) is not int or not 0 <= number < 1 << 32:
            raise StoreCorruptError(f"{path}: object {object_id} is no row: somebody wrote to the file")


def _sync_directory(path: Path) -> None:
    """A new file is there after a loss of power only when its name is."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# A forked child has the lock of the owner too, and would keep it when the parent dies; and it must not close a database
# that the parent uses.
_OPEN: weakref.WeakSet[SqlitePersistence] = weakref.WeakSet()
_OF_THE_PARENT: list[object] = []


def _after_fork() -> None:
    for store in list(_OPEN):
        _OF_THE_PARENT.append(store._db)
        fd, store._owner_fd = store._owner_fd, None
        if fd is not None:
            os.close(fd)


os.register_at_fork(after_in_child=_after_fork)
