"""A store in memory: for tests, and for servers whose objects need not outlive the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from object_database.errors import InvalidArgumentError, ServerStateError, StoreInUseError
from object_database.persistence_interface import (
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

__all__ = ["InMemoryPersistence"]


class _Content:
    """What would be a file or a database elsewhere."""

    def __init__(self) -> None:
        self.history = new_history()
        self.held = Held(0, "", 0)
        self.owner: Owner | None = None
        self.rows: dict[int, tuple[int, bytes]] = {}  # object id -> type number, row
        self.facts: dict[str, bytes] = {}
        self.sessions: dict[bytes, tuple[int, int]] = {}
        self.lock = threading.Lock()


class InMemoryPersistence(Persistence):
    """The store of a server that keeps objects in memory: they are gone when the process ends.

        server = TcpServer(host, port, InMemoryPersistence(), None, token)

    It belongs to one live server at a time; the next one finds what the last one left.

    Args: db: a number, for programs written for the reference; two stores never share objects, whatever their numbers.
    """

    def __init__(self, db: int = 0):
        if not isinstance(db, int):
            raise InvalidArgumentError(f"db is a number; {db!r} was given")
        self.db = db
        self._content = _Content()
        self._opened: Held | None = None
        self._recent = RecentSessions()

    def __repr__(self) -> str:
        return f"InMemoryPersistence(db={self.db})"

    def open(self, take_over: bool = False) -> State:
        content = self._content
        with content.lock:
            owner = content.owner
            if owner is not None and (self._opened is not None or not take_over):
                raise StoreInUseError(repr(self), owner.host, owner.pid, owner.since)
            content.held = Held(content.held.epoch + 1, new_token(), content.held.last_tid)
            content.owner = Owner.this_process(content.held.token)
            self._opened = content.held
            sessions = dict(sorted(content.sessions.items(), key=lambda each: each[1][1]))
            self._recent = RecentSessions(sessions)
            return State(
                content.history,
                content.held.epoch,
                content.held.last_tid,
                dict(content.facts),
                len(content.rows),
                sessions,
            )

    def load(self, rows_max: int = 10_000) -> Iterator[Batch]:
        self._held()
        size = BatchSize(rows_max)
        batch: Batch = []
        for object_id, (type_number, row) in self._content.rows.items():
            batch.append((object_id, type_number, row))
            if len(batch) >= size.rows:
                size.saw(len(batch), sum(len(each[2]) for each in batch))
                yield batch
                batch = []
        if batch:
            yield batch

    def apply(self, group: Group) -> None:
        content = self._content
        with content.lock:
            opened = self._held()
            if not content.held.is_followed_by(group, repr(self), opened):
                return
            # Whatever can fail comes first, so that a group is applied whole or not at all (K1).
            latest, forgotten = self._recent.plan(group.commits)
            written = {each: (type_number, bytes(row)) for each, type_number, row in group.rows if row is not None}
            deleted = [each for each, _, row in group.rows if row is None]
            facts = {name: bytes(value) for name, value in group.facts.items()}
            content.rows.update(written)
            for object_id in deleted:
                content.rows.pop(object_id, None)
            content.facts.update(facts)
            for session in forgotten:
                content.sessions.pop(session, None)
            content.sessions.update(latest)
            self._recent.done(latest, forgotten)
            content.held = self._opened = opened._replace(last_tid=group.last_tid)

    def replace(self, group: Group) -> None:
        content = self._content
        with content.lock:
            opened = self._held()
            if not content.held.is_followed_by(group, repr(self), opened):
                return
            recent = RecentSessions()
            latest, _ = recent.plan(group.commits)
            rows = {each: (type_number, bytes(row)) for each, type_number, row in group.rows if row is not None}
            facts = {name: bytes(value) for name, value in group.facts.items()}
            content.rows, content.facts, content.sessions, content.history = rows, facts, latest, new_history()
            recent.done(latest, ())
            self._recent = recent
            content.held = self._opened = opened._replace(last_tid=group.last_tid)

    def last_tid(self) -> int:
        with self._content.lock:
            self._content.held.check_owner(repr(self), self._held())
            return self._content.held.last_tid

    def describe(self) -> str:
        return "in memory: everything is lost when this process ends"

    def close(self) -> None:
        with self._content.lock:
            if self._opened is not None and self._content.owner is not None:
                if self._content.owner.token == self._opened.token:
                    self._content.owner = None
            self._opened = None

    def _held(self) -> Held:
        if self._opened is None:
            raise ServerStateError(f"{self!r} is not open")
        return self._opened
