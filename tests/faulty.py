"""A store that fails where a test wants it to: a real one, and a plan of what goes wrong.

store = FaultyPersistence(SqlitePersistence(path))
store.plan("apply", after=StoreUnavailableError("lost reply"))     # done, but the caller is not told
store.plan("apply", before=StoreFullError("full"), call=2)         # the call after the next one, not done
store.plan("load", before=DIE)                                     # the process ends there, as by kill -9
stall = store.stall("apply")                                       # waits inside of apply(), before it does anything
stall.reached.wait(5); ...; stall.release()
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from object_database.errors import StoreUnavailableError
from object_database.persistence import Batch, Group, Persistence, State


class _Die:
    pass


DIE = _Die()


class Fault(NamedTuple):
    call: str
    before: Any = None  # an exception to raise, DIE, or a Stall to wait in
    after: Any = None


class Stall:
    """A place where a call waits until it is released."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def wait(self) -> None:
        self.reached.set()
        self._released.wait()


class FaultyPersistence(Persistence):
    """Passes every call on. `calls` lists their names, in order."""

    def __init__(self, store: Persistence):
        self.store = store
        self.calls: list[str] = []
        self.groups: list[Group] = []  # that arrived, whatever became of them
        self._plan: dict[tuple[str, int], Fault] = {}
        self._made: dict[str, int] = {}

    def plan(self, name: str, before: Any = None, after: Any = None, call: int = 1) -> None:
        """What goes wrong at the call-th of the calls of that name from now on."""
        self._plan[name, self._made.get(name, 0) + call] = Fault(name, before, after)

    def stall(self, name: str, call: int = 1, is_after: bool = False) -> Stall:
        stall = Stall()
        self.plan(name, **{"after" if is_after else "before": stall}, call=call)
        return stall

    def _enter(self, name: str) -> Fault:
        self.calls.append(name)
        self._made[name] = self._made.get(name, 0) + 1
        fault = self._plan.pop((name, self._made[name]), Fault(name))
        _happens(fault.before)
        return fault

    def open(self, take_over: bool = False) -> State:
        fault = self._enter("open")
        state = self.store.open(take_over)
        _happens(fault.after)
        return state

    def load(self, rows_max: int = 10_000) -> Iterator[Batch]:
        fault = self._enter("load")
        yield from self.store.load(rows_max)
        _happens(fault.after)

    def apply(self, group: Group) -> None:
        self.groups.append(group)
        fault = self._enter("apply")
        self.store.apply(group)
        _happens(fault.after)

    def replace(self, group: Group) -> None:
        fault = self._enter("replace")
        self.store.replace(group)
        _happens(fault.after)

    def last_tid(self) -> int:
        fault = self._enter("last_tid")
        tid = self.store.last_tid()
        _happens(fault.after)
        return tid

    def describe(self) -> str:
        return f"faulty: {self.store.describe()}"

    def close(self) -> None:
        fault = self._enter("close")
        self.store.close()
        _happens(fault.after)


class RetriedPersistence(Persistence):
    """What a server makes of a store whose answers get lost before or behind the deed: it asks again (K4)."""

    def __init__(self, store: FaultyPersistence, seed: int):
        self.store = store
        self._random = random.Random(seed)

    def _ask(self, name: str, *arguments: Any) -> Any:
        while True:
            moment = self._random.choice(["before", "after", None])
            if moment is not None:
                self.store.plan(name, **{moment: StoreUnavailableError("no answer")})
            try:
                return getattr(self.store, name)(*arguments)
            except StoreUnavailableError as error:
                if str(error) != "no answer":
                    raise

    def open(self, take_over: bool = False) -> State:
        return self.store.open(take_over)

    def load(self, rows_max: int = 10_000) -> Iterator[Batch]:
        return self.store.load(rows_max)

    def apply(self, group: Group) -> None:
        self._ask("apply", group)

    def replace(self, group: Group) -> None:
        self._ask("replace", group)

    def last_tid(self) -> int:
        return int(self._ask("last_tid"))

    def describe(self) -> str:
        return self.store.describe()

    def close(self) -> None:
        self.store.close()


def _happens(what: Any) -> None:
    if what is DIE:
        os.kill(os.getpid(), signal.SIGKILL)
    elif isinstance(what, Stall):
        what.wait()
    elif what is not None:
        raise what
