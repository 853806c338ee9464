"""Reading a store as it is, without taking it from the server that has it: for the tools.

    with reader_of(store) as reader:
        reader.content                       what stands beside the objects, at one transaction
        for batch in reader.rows(): ...      every object at that transaction
        reader.confirm()                     raises when what was read is not one state after all

An SQLite file is read in one transaction: whatever is committed meanwhile is not seen, and costs the log its size until the
reader is closed. Redis has nothing of the kind for keys of any size, so its reader watches the key that every group writes, and
confirm() tells whether one was written while it read. Where groups never cease it has redis copy the objects first and reads
the copies: redis serves nobody else while it copies, and needs the memory of the objects a second time.
"""

from __future__ import annotations

import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from object_database.errors import (
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreMovedError,
    StoreUnavailableError,
)
from object_database.persistence import Batch, Persistence, RedisPersistence, SqlitePersistence
from object_database.persistence_interface import new_token
from object_database.persistence_owner import Owner
from object_database.persistence_redis import FORMAT, _Again
from object_database.persistence_redis_line import Line, Lost, Refusal
from object_database.persistence_sqlite import check_rows, check_types, translated

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Content", "RedisReader", "SqliteReader", "StoreReader", "reader_of"]

_COPY_PAGES = 2_048  # of a backup between two looks at the keyboard
_COPIES_S = 600  # what a reader that was killed leaves in redis goes by itself

_log = logging.getLogger(__name__)


class Content(NamedTuple):
    """What a store holds beside its objects."""

    format: int
    history: bytes  # empty in a backup: the server that opens it makes a new one (D12)
    epoch: int
    last_tid: int
    facts: dict[str, bytes]
    object_count: int
    sessions: dict[bytes, tuple[int, int]]  # session -> seq, tid


class StoreReader(ABC):
    """One state of a store. Thread safety: one thread."""

    where: str
    content: Content

    @abstractmethod
    def __enter__(self) -> StoreReader:
        """Raises: StoreFormatError: it is no store, or a newer one.  StoreUnavailableError, StoreCorruptError."""

    @abstractmethod
    def __exit__(self, *exception: object) -> None: ...

    @abstractmethod
    def is_there(self) -> bool:
        """Whether there is a store, sound or not; asked without `with`. Raises where none can be made: StoreUnavailableError."""

    @abstractmethod
    def rows(self) -> Iterator[Batch]:
        """[(object id, type number, row)]"""

    @abstractmethod
    def owner(self) -> Owner | None:
        """The server that has the store now; None when there is none."""

    @abstractmethod
    def findings(self) -> Iterator[str]:
        """What is wrong with it as far as the store itself can tell."""

    def confirm(self) -> None:
        """Raises StoreMovedError when it was written to since it was opened for reading."""
        return

    def sizes(self) -> dict[int, tuple[int, int]]:
        """Type number -> objects, bytes of their rows."""
        found: dict[int, tuple[int, int]] = {}
        for batch in self.rows():
            for _, number, row in batch:
                count, size = found.get(number, (0, 0))
                found[number] = count + 1, size + len(row)
        return found


def reader_of(store: Persistence, is_busy: bool = False) -> StoreReader:
    """REQUIRES: store is not open. is_busy: groups come all the time."""
    if isinstance(store, SqlitePersistence):
        return SqliteReader(store)
    if isinstance(store, RedisPersistence):
        return RedisReader(store, is_busy)
    raise StoreError(f"{store.describe()}: this kind of store has no reader")


class SqliteReader(StoreReader):
    def __init__(self, store: SqlitePersistence):
        self._store = store
        self.path: Path = store.path
        self.where: str = str(store.path)
        self._db: sqlite3.Connection | None = None
        self._is_at_rest = False

    def __enter__(self) -> SqliteReader:
        import sqlite3

        if not self.path.is_file():
            raise StoreFormatError(f"there is no store {self.path}")

        def read() -> None:
            mode = "mode=ro&immutable=1" if self._is_at_rest else "mode=ro"
            self._db = db = sqlite3.connect(f"{self.path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
            db.execute("BEGIN")
            number = self._store._check_format(db)
            if number == 0:
                raise StoreFormatError(f"{self.path} holds no store")
            found = db.execute("SELECT history, epoch, last_tid FROM store").fetchone()
            if found is None:
                raise StoreCorruptError(f"{self.path}: table store is empty")
            sessions = db.execute("SELECT session, seq, tid FROM sessions").fetchall()
            self.content = Content(
                number,
                found[0] or b"",
                found[1],
                found[2],
                dict(db.execute("SELECT name, value FROM facts").fetchall()),
                db.execute("SELECT COUNT(*) FROM objects").fetchone()[0],
                {session: (seq, tid) for session, seq, tid in sessions},
            )
            check_types(
                self.path,
                self.content.history,
                self.content.epoch,
                self.content.last_tid,
                self.content.facts,
                self.content.sessions,
            )

        # Else SQLite makes a file beside it, which a read-only medium does not allow.
        self._is_at_rest = not os.access(self.path.parent, os.W_OK) and not self._has_log()
        try:
            self._guarded(read)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def is_there(self) -> bool:
        if self.path.exists():
            return True
        above = next(each for each in self.path.parents if os.path.lexists(each))  # a link to nowhere is in the way
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise StoreUnavailableError(f"{self.where} cannot be made: {above} is no directory where you may write")
        return False

    def _has_log(self) -> bool:
        return Path(f"{self.path}-wal").exists()

    def confirm(self) -> None:
        if self._is_at_rest and self._has_log():
            raise StoreMovedError(f"{self.where} was opened by a server while it was read")

    def rows(self) -> Iterator[Batch]:
        cursor = self._ask("SELECT id, type, row FROM objects")
        while batch := self._guarded(lambda: cursor.fetchmany(2_000)):
            check_rows(self.path, batch)
            yield batch

    def sizes(self) -> dict[int, tuple[int, int]]:
        found = self._ask("SELECT type, COUNT(*), SUM(LENGTH(row)) FROM objects GROUP BY type ORDER BY type")
        return {number: (count, size) for number, count, size in self._guarded(found.fetchall)}

    def owner(self) -> Owner | None:
        """The kernel knows who holds the lock; asking by locking would keep a server out that starts now."""
        try:
            owner = Owner.from_json(Path(f"{self.path}.owner").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
        return None if owner.pid == 0 or owner.is_gone() else owner

    def findings(self) -> Iterator[str]:
        for (line,) in self._guarded(self._ask("PRAGMA integrity_check").fetchall):
            if line != "ok":
                yield f"the file is damaged: {line}"
        count = self._guarded(self._ask("SELECT COUNT(*) FROM store").fetchone)[0]
        if count != 1:
            yield f"table store has {count} rows, and must have one"

    def copy_to(self, path: Path, on_progress: Callable[[int, int], object]) -> None:
        """The same state as a new file, page by page. on_progress(pages, of how many)."""
        import sqlite3

        def copy() -> None:
            target = sqlite3.connect(path, isolation_level=None)
            try:
                target.execute("PRAGMA synchronous = OFF")  # it is brought to the disk as a whole, behind the last page
                self._database().backup(
                    target, pages=_COPY_PAGES, progress=lambda _, left, count: on_progress(count - left, count)
                )
            finally:
                target.close()

        try:
            self._guarded(copy)
        except StoreFullError as error:
            raise StoreFullError(f"there is no room for the copy in {path.parent}") from error

    def _database(self) -> sqlite3.Connection:
        assert self._db is not None
        return self._db

    def _ask(self, statement: str) -> Any:
        return self._guarded(lambda: self._database().execute(statement))

    def _guarded(self, work: Callable[[], Any]) -> Any:
        import sqlite3

        try:
            return work()
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


class RedisReader(StoreReader):
    def __init__(self, store: RedisPersistence, is_busy: bool = False):
        self._store = store
        self.where: str = store._where
        self._is_busy = is_busy
        self._copies: dict[int, str] | None = None  # type number -> key of the copy of its objects
        self._renew_at = 0.0

    def __enter__(self) -> RedisReader:
        store = self._store
        store._line = Line(store._where, store._make_connection)
        try:
            names = [store._key(name) for name in ("meta", "facts", "sessions")]
            reads = [("HGETALL", name) for name in names]
            replies = self._copy_and_ask(reads) if self._is_busy else None
            if replies is None:
                replies = self._ask(("WATCH", names[0]), *reads)[1:]
            meta, facts, sessions = ({each[i]: each[i + 1] for i in range(0, len(each), 2)} for each in replies)
            if not meta:
                raise StoreFormatError(f"{self.where}: there is no store")
            fields = {name.decode(): value for name, value in meta.items()}
            held = store._held_of(fields, has_objects=True)
            types = self._types()
            self.content: Content = Content(
                FORMAT,
                store._history_of(fields),
                held.epoch,
                held.last_tid,
                store._facts_of(facts),
                sum(self._ask(*(("HLEN", self._key_of(number)) for number in types))),
                store._outcomes_of(sessions),
            )
        except (Lost, _Again) as error:
            self.__exit__()
            raise StoreUnavailableError(f"{self.where} gives no answer: {error}") from error
        except ValueError as error:
            self.__exit__()
            if isinstance(error, StoreError):
                raise
            raise StoreCorruptError(f"{self.where}: somebody wrote to its keys: {error}") from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        copies, self._copies = self._copies, None
        try:
            if copies:
                self._ask(("UNLINK", *copies.values()))
        except StoreError as error:
            _log.warning("%s keeps copies of the objects for %d s more: %s", self.where, _COPIES_S, error)
        finally:
            self._store.close()

    def is_there(self) -> bool:
        store = self._store
        store._line = Line(store._where, store._make_connection)
        asked = ("EXISTS", store._key("meta"), store._key("types"))
        try:
            return bool(store._within_bound(lambda: store._checked(store._open_line().ask(asked)[0])))
        finally:
            store.close()

    def _copy_and_ask(self, reads: list[tuple[str, str]]) -> list[Any] | None:
        """Copies of the objects, and the answers of the same moment. None when this redis cannot copy, or has no room."""
        if not self._has_room():
            return None
        while True:
            self._ask(("WATCH", self._store._key("types")))
            token = new_token()
            copies = {number: self._store._key(f"copy:{token}:{number}") for number in self._types()}
            copying: list[tuple[str | int, ...]] = []
            for number, copy in copies.items():
                copying += [("COPY", self._store._key(f"objects:{number}"), copy), ("EXPIRE", copy, _COPIES_S)]
            done = self._store._open_line().ask(("MULTI",), *reads, *copying, ("EXEC",))[-1]
            if isinstance(done, Refusal):
                self._ask(("UNWATCH",))
                return None  # redis 6.0, a replica, a user who may not, or no memory
            if done is not None:  # else a type was added
                break
        self._copies = copies
        self._store._checked_transaction([done])
        made = done[len(reads) :: 2]
        self._copies = {number: copy for (number, copy), is_made in zip(copies.items(), made, strict=True) if is_made}
        self._renew_at = time.monotonic() + _COPIES_S / 4
        return list(done[: len(reads)])

    def _has_room(self) -> bool:
        """Whether redis may use twice the memory that it uses now. A copy that is too large would have commits refused."""
        info = self._store._open_line().ask(("INFO", "memory"))[0]
        if isinstance(info, Refusal):
            return False
        words = info.decode() if isinstance(info, bytes) else str(info)
        memory = dict(line.partition(":")[::2] for line in words.split())
        return int(memory["maxmemory"]) == 0 or 2 * int(memory["used_memory"]) <= int(memory["maxmemory"])

    def _key_of(self, number: int) -> str:
        return self._store._key(f"objects:{number}") if self._copies is None else self._copies[number]

    def rows(self) -> Iterator[Batch]:
        for number in self._types():
            yield from self._rows_of(number)

    def sizes(self) -> dict[int, tuple[int, int]]:
        """Also while somebody commits: of each type as it was when it was counted, more or less."""
        found: dict[int, tuple[int, int]] = {}
        has_moved = False
        for number in self._types():
            count = size = 0
            try:
                for batch in self._rows_of(number):
                    count += len(batch)
                    size += sum(len(row) for _, _, row in batch)
            except StoreMovedError:
                has_moved = True
            except StoreCorruptError:
                if not has_moved:  # the numbers of the types behind the first one do not agree either
                    raise
            if count:
                found[number] = count, size
        return found

    def _types(self) -> list[int]:
        if self._copies is not None:
            return list(self._copies)
        try:
            return list(self._store._types(self._store._open_line()))
        except (Lost, _Again) as error:
            raise StoreUnavailableError(f"{self.where} gives no answer: {error}") from error

    def _rows_of(self, number: int) -> Iterator[Batch]:
        known: set[int] = set()  # redis may give an object twice
        try:
            for batch in self._store._load_type(number, self._key_of(number)):
                if self._copies and time.monotonic() > self._renew_at:
                    self._renew_at = time.monotonic() + _COPIES_S / 4
                    self._ask(*(("EXPIRE", copy, _COPIES_S) for copy in self._copies.values()))
                fresh = [each for each in batch if each[0] not in known]
                known.update(each[0] for each in fresh)
                yield fresh
        except (Lost, _Again) as error:
            raise StoreUnavailableError(f"{self.where} gives no answer: {error}") from error
        except StoreCorruptError:
            self.confirm()  # numbers that do not agree: because somebody commits, or because they are wrong
            raise

    def owner(self) -> Owner | None:
        words = self._ask(("GET", self._store._key("owner")))[0]
        owner = None if words is None else Owner.from_json(words.decode("utf-8", "replace"))
        return None if owner is None or owner.is_gone() else owner

    def findings(self) -> Iterator[str]:
        line = self._store._open_line()
        known = {self._store._key(f"objects:{number}").encode() for number in self._store._types(line)}
        cursor = b"0"
        pattern = self._store._key("objects:*")
        while True:
            cursor, keys = self._ask(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))[0]
            for key in set(keys) - known:
                yield f"{key.decode('utf-8', 'replace')} is not named in {self._store._key('types')}"
            if cursor == b"0":
                return

    def confirm(self) -> None:
        if self._copies is not None:
            if self._copies and self._ask(("EXISTS", *self._copies.values()))[0] != len(self._copies):
                raise StoreUnavailableError(f"{self.where} has lost what it copied for this: do it again")
        elif self._ask(("MULTI",), ("PING",), ("EXEC",))[-1] is None:
            raise StoreMovedError(
                f"{self.where} was written to while it was read, so what was read is the state at no transaction: "
                "do it when nobody commits, or with the server stopped; redis itself copies a store that is in use, "
                "with BGSAVE. (It is asked to copy the objects beside themselves, which takes redis 6.2, not a replica, "
                "a user who may, and memory for all of them twice.)"
            )

    def _ask(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        try:
            return [self._store._checked(reply) for reply in self._store._open_line().ask(*commands)]
        except (Lost, _Again) as error:
            raise StoreUnavailableError(f"{self.where} gives no answer: {error}") from error
