"""What a store is: the interface between a server and whatever keeps its objects when it stops.

A server opens its store, loads everything into memory, and from then on only writes: one *group* of commits after the
other, each of them atomic. It never reads an object back while it runs.

    state = store.open()                      # takes the store: an older server of it can write no more
    for batch in store.load(): ...            # [(object id, type number, row), ...]
    store.apply(Group(state.epoch, previous_tid=state.last_tid, last_tid=..., rows=..., facts=..., commits=...))
    store.close()

To write a store of your own, derive from Persistence and keep these promises; tests/contracts/test_persistence.py holds
every store to them, and a new one needs a line in its fixture.

K1  Atomic. After a crash at any moment the store holds each group whole or not at all, and the groups it holds are a
    prefix of those that were applied.
K2  Durable. When apply() returns, the group is there after kill -9 of this process, and after a loss of power to the
    degree that describe() tells.
K3  Conditional. The store itself compares (epoch, previous_tid) with what it holds, inside of the atomic unit: no
    server that was taken over can write, however late its bytes arrive.
K4  Recognised. A group that is there already is not applied a second time: apply() returns, so a caller whose
    outcome was unknown may ask again with the very same group.
K5  Never behind. A store that finds less than it had acknowledged says so (StoreBehindError) and takes no writes.

What a server may conclude from an error of apply() is exact:

    StoreFullError         nothing was done, and nothing will be; the store takes groups again when there is room
    FencedError            nothing was done; another server owns the store: stop
    StoreBehindError       nothing was done; acknowledged commits are lost: stop
    InvalidArgumentError   nothing was done; the group does not begin where the store ends: a bug of the caller
    StoreUnavailableError  unknown: done, not done, or only later. Ask last_tid(), or apply() the same group again
    StoreCorruptError      unknown, and not to be found out: stop

last_tid() is a barrier: what it returns stays true, because an earlier attempt that is still under way somewhere
between the two machines has no effect any more after it.

Threads: one at a time calls a store, not always the same one; close() alone may come while another call waits, which it
ends with StoreUnavailableError, or waits for. A store does not survive a fork: the child may not use it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from object_database.errors import FencedError, InvalidArgumentError, StoreBehindError, StoreError

__all__ = ["HISTORY_BYTES", "SESSIONS_MAX", "Batch", "Group", "Held", "Persistence", "RecentSessions", "Rows", "State"]

HISTORY_BYTES = 16  # random: two stores never have the same (D12)
SESSIONS_MAX = (
    16_384  # whose outcomes are kept for resume (D25): a session that waits longer than so many others is gone
)
BATCH_BYTES = 16 << 20  # what load() aims at: objects take up to 65 MiB each, and two batches may be in memory at once

Rows = Sequence[tuple[int, int, "bytes | None"]]
Batch = list[tuple[int, int, bytes]]


class Group(NamedTuple):
    """Commits that are persisted as one, and what else must change with them.

    An object keeps its type for ever, and no two objects have the same id, whatever their types.
    """

    epoch: int  # of State, as open() returned it
    previous_tid: int  # what the store holds before
    last_tid: int  # what it holds afterwards; the same when no commit is in the group, only facts
    rows: Rows  # (object id, type number, row or None when deleted): the final state of each object, each once
    facts: Mapping[str, bytes] = {}  # small named values to replace: "catalogue", "blocks", "reserved_tid", ...
    commits: Sequence[tuple[bytes, int, int]] = ()  # (session, seq, tid), in order: the store keeps each session's last


class State(NamedTuple):
    """What a store holds, beside the objects."""

    history: bytes  # 16 random bytes that the store made when it was new
    epoch: int  # raised by every open()
    last_tid: int  # 0 in a new store
    facts: dict[str, bytes]
    object_count: int
    sessions: Mapping[bytes, tuple[int, int]] = {}  # session -> (seq, tid) of its last commit, the oldest tid first


class Persistence(ABC):
    """A store. See the head of this file for what it promises."""

    @abstractmethod
    def open(self, take_over: bool = False) -> State:
        """Take the store for this process, raise its epoch, and bring an older format up to date.

        Args:   take_over: take it from a live server too; that server is then fenced.
        Raises: StoreInUseError: a live server owns it.  StoreFormatError: a newer release wrote it, or it is no store.
                StoreUnavailableError, StoreFullError, StoreCorruptError: it cannot be read or written.
                After any of them this store is closed, and open() may be tried again.
        """

    @abstractmethod
    def load(self, rows_max: int = 10_000) -> Iterator[Batch]:
        """Every object, in batches of at most rows_max, in no order; read it to its end before the first apply().

        One may come twice, then with the same row.

        Raises: StoreUnavailableError, StoreCorruptError.
        """

    @abstractmethod
    def apply(self, group: Group) -> None:
        """Make a group durable, if the store is still this server's and ends at group.previous_tid.

        Raises: as told at the head of this file.
        """

    def replace(self, group: Group) -> None:
        """Like apply(); but the store then holds nothing beside the group, and begins a new history (D12).

        For the tools that restore a backup; a server never calls it. A store that has it not cannot be restored into.
        """
        raise StoreError(f"{self.describe()}: this kind of store cannot be restored into")

    @abstractmethod
    def last_tid(self) -> int:
        """Where the store ends now, for good: no earlier apply() takes effect after this call.

        Raises: FencedError, StoreBehindError, StoreUnavailableError, StoreCorruptError.
        """

    @abstractmethod
    def describe(self) -> str:
        """For people: where the store is, and what this configuration can lose. Holds no secrets."""

    @abstractmethod
    def close(self) -> None:
        """Give the store back, so that another server can open it. Idempotent; it may be opened again."""

    def __enter__(self) -> Persistence:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# ---- what the stores of this package share, and others may use


class Held(NamedTuple):
    """What a store says about itself when a group arrives: read inside of the atomic unit."""

    epoch: int
    token: str  # random, made by each open(): tells two servers apart that were given the same epoch (see follows)
    last_tid: int

    def check_owner(self, where: str, opened: Held) -> None:
        """Raise unless the store is still owned by whoever opened it, and has all that it acknowledged.

        `opened` is what this server wrote, with the last tid that was acknowledged to it. The epoch alone is not enough:
        a store that comes back from before our open() would give our epoch to the next server once more.
        """
        # Less than acknowledged and no newer owner: it is the store that forgot us.
        if self.epoch < opened.epoch or (self.token == opened.token and self.last_tid < opened.last_tid):
            raise StoreBehindError(where, opened.last_tid, self.last_tid)
        if self.token != opened.token:
            raise FencedError(
                f"{where} was taken over by another server, in epoch {self.epoch}; this one had opened it in epoch "
                f"{opened.epoch}"
            )

    def is_followed_by(self, group: Group, where: str, opened: Held) -> bool:
        """True: apply the group. False: it is there already (K4). Otherwise raises what apply() has to (K3, K5)."""
        check_group(group)
        if group.epoch != opened.epoch:
            raise FencedError(
                f"{where}: this group is of epoch {group.epoch}, and the store was opened in epoch {opened.epoch}"
            )
        self.check_owner(where, opened)
        if self.last_tid == group.previous_tid:
            return True
        if self.last_tid == group.last_tid:
            return False
        raise InvalidArgumentError(
            f"{where} ends at transaction {self.last_tid}, and the group follows {group.previous_tid}: nothing was done"
        )


def check_group(group: Group) -> None:
    if not 0 <= group.previous_tid <= group.last_tid < 1 << 63:
        raise InvalidArgumentError(
            f"a group from transaction {group.previous_tid} to {group.last_tid}: ids go up, and take 63 bits"
        )


def new_history() -> bytes:
    return os.urandom(HISTORY_BYTES)


def new_token() -> str:
    return os.urandom(16).hex()


class RecentSessions:
    """The sessions whose outcomes are kept: the SESSIONS_MAX with the latest commits."""

    def __init__(self, oldest_first: Iterable[bytes] = ()):
        self._known = dict.fromkeys(oldest_first)

    def plan(self, commits: Iterable[tuple[bytes, int, int]]) -> tuple[dict[bytes, tuple[int, int]], list[bytes]]:
        """What a group changes: session -> (seq, tid) to write, and sessions to forget. Nothing is changed yet."""
        latest: dict[bytes, tuple[int, int]] = {}
        for session, seq, tid in commits:
            latest.pop(session, None)  # to the end: the latest last
            latest[session] = (seq, tid)
        while len(latest) > SESSIONS_MAX:
            del latest[next(iter(latest))]
        excess = len(self._known) + sum(1 for session in latest if session not in self._known) - SESSIONS_MAX
        forgotten: list[bytes] = []
        if excess > 0:
            for session in self._known:
                if session not in latest:
                    forgotten.append(session)
                    if len(forgotten) == excess:
                        break
        return latest, forgotten

    def done(self, latest: Iterable[bytes], forgotten: Iterable[bytes]) -> None:
        """The group of that plan is applied."""
        for session in forgotten:
            self._known.pop(session, None)
        for session in latest:
            self._known.pop(session, None)
            self._known[session] = None


class BatchSize:
    """How many rows to fetch next, so that batches stay near BATCH_BYTES whatever the objects weigh."""

    def __init__(self, rows_max: int):
        if rows_max < 1:
            raise InvalidArgumentError(f"a batch holds at least 1 row; rows_max={rows_max} was given")
        self._rows_max = rows_max
        self.rows: int = min(rows_max, 100)  # the first batch tells how large they are

    def saw(self, rows: int, size: int) -> None:
        if rows:
            self.rows = max(1, min(self._rows_max, self.rows * 10, BATCH_BYTES * rows // max(size, 1)))
