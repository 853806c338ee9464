"""Servers that are killed at random moments under load, and what their stores must hold afterwards: `make crashes`.

Four clients work on objects of their own, so that the state of each is known exactly but for what was under way when the
server went: after a restart it must be one of a few candidates, the last acknowledged one or a later one, never half of a
transaction. Beside that all of them move amounts between shared accounts, where sums tell whether a transaction was torn.

    python -m tests.crashes --kills 1000 --seed 1 --store sqlite --dir /dev/shm

A killed process loses nothing that the kernel has, so for the store in redis, and most of the time for SQLite, files may
as well lie in memory. A loss of power is different: what was written and not synced may be gone or torn. That
is played on SQLite's log by power_cut(), which spoils only what cannot have been acknowledged.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter as Tallies
from collections.abc import Callable
from pathlib import Path
from typing import Any

from object_database import (
    DatabaseConnection,
    DisconnectedException,
    Indexed,
    InMemServer,
    RevisionConflictException,
    Schema,
    Unique,
    connect,
)
from object_database.persistence import Persistence, RedisPersistence, SqlitePersistence
from tests.redis_process import RedisProcess

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "object_database" / "frontends" / "database_server.py"
TOKEN = "TOKEN"
CLIENTS = 4
ACCOUNTS = 5
KEYS = 60  # of each client: few, so that a key is used again after its object is gone
NUMBERS = 7
ITEMS_MAX = 40
LOAD_S_MAX = 0.4

schema = Schema("crashes")


@schema.define
class Item:
    owner: Indexed[int]
    key: Unique[str]
    number: Indexed[int]
    text: str
    link: "Item"  # type: ignore[name-defined]  # noqa: UP037


@schema.define
class Account:
    number: Unique[int]
    balance: int
    writes: int


@schema.define
class Tally:
    owner: Unique[int]
    transfers: int


Row = tuple[str, int, str, int]  # key, number, text, identity of the link or 0
State = tuple[dict[int, Row], int]  # a client's items by identity, and how many transfers it has made


class Wrong(AssertionError):
    """What must hold does not."""


def insist(holds: bool, what: str, *about: object) -> None:
    if not holds:
        raise Wrong(f"{what}: {', '.join(map(repr, about))}")


class Known:
    """What all clients together have seen, of every server there was."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.identities: set[int] = set()
        self.tid = 0  # the greatest one that was told to anybody
        self.committed = 0  # the greatest one of a commit that was acknowledged; a start alone raises the other
        self.commits = 0

    def created(self, identity: int) -> None:
        with self.lock:
            insist(identity not in self.identities, "an identity came back", identity)
            self.identities.add(identity)

    def told(self, tid: int) -> None:
        with self.lock:
            self.tid = max(self.tid, tid)

    def acknowledged(self, tid: int, commits: int = 1) -> None:
        self.told(tid)
        with self.lock:
            self.committed = max(self.committed, tid)
            self.commits += commits


class Client:
    """One of the clients; it outlives its connections. candidates[0] is acknowledged, the others are under way."""

    def __init__(self, number: int, seed: int, known: Known):
        self.number = number
        self.candidates: list[State] = [({}, 0)]
        self.error: BaseException | None = None
        self._random = random.Random(f"{seed} {number}")
        self._known = known
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> None:
        self._thread = threading.Thread(target=self._run, args=(port,), name=f"client {self.number}")
        self._thread.start()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join(60)
            insist(not self._thread.is_alive(), "a client still waits for a dead server", self.number)
        if self.error is not None:
            raise self.error

    def _run(self, port: int) -> None:
        try:
            with connect("localhost", port, TOKEN) as db:
                db.subscribeToSchema(schema)
                while True:
                    self._random.choice([self._change, self._change, self._change, self._burst, self._transfer])(db)
        except DisconnectedException:
            pass
        except BaseException as error:
            self.error = error

    def _acknowledged(self, db: DatabaseConnection) -> None:
        commits = len(self.candidates) - 1
        self.candidates = self.candidates[-1:]
        self._known.acknowledged(db.currentTransactionId(), commits)

    def _change(self, db: DatabaseConnection) -> None:
        with db.transaction():
            self._change_items()
        self._acknowledged(db)

    def _burst(self, db: DatabaseConnection) -> None:
        """Commits that nobody waits for: what survives of them is a prefix. They are invisible until they are answered
        (D19), so that each touches other objects."""
        untouched = list(self.candidates[-1][0])
        for _ in range(self._random.randint(2, 6)):
            items, transfers = dict(self.candidates[-1][0]), self.candidates[-1][1]
            with db.transaction().noconfirm():
                if len(items) < ITEMS_MAX:
                    self._create(items, links=[])
                if untouched:
                    self._update(items, untouched.pop())
                self.candidates.append((items, transfers))
        db.flush()
        self._acknowledged(db)

    def _change_items(self) -> None:
        items, transfers = dict(self.candidates[-1][0]), self.candidates[-1][1]
        for _ in range(self._random.randint(1, 6)):
            what = self._random.random()
            if not items or (what < 0.4 and len(items) < ITEMS_MAX):
                self._create(items, links=[*items])
            elif what < 0.5 and len(items) > 1:
                self._swap_keys(items)
            elif what < 0.8:
                self._update(items, self._random.choice(list(items)))
            else:
                identity = self._random.choice(list(items))
                Item.fromIdentity(identity).delete()
                del items[identity]
        self.candidates.append((items, transfers))

    def _text(self) -> str:
        return "x" * self._random.choice([0, 10, 100, 100, 5000])

    def _create(self, items: dict[int, Row], links: list[int]) -> None:
        used = {row[0] for row in items.values()}
        key = self._random.choice([key for n in range(KEYS) if (key := f"{self.number}-{n}") not in used])
        number, text = self._random.randrange(NUMBERS), self._text()
        link = self._random.choice([*links, 0])
        made = Item(owner=self.number, key=key, number=number, text=text)
        if link:
            made.link = Item.fromIdentity(link)
        self._known.created(made._identity)
        items[made._identity] = (key, number, text, link)

    def _swap_keys(self, items: dict[int, Row]) -> None:
        a, b = self._random.sample(list(items), 2)
        Item.fromIdentity(a).key, Item.fromIdentity(b).key = items[b][0], items[a][0]
        items[a], items[b] = (items[b][0], *items[a][1:]), (items[a][0], *items[b][1:])  # type: ignore[assignment]

    def _update(self, items: dict[int, Row], identity: int) -> None:
        key, _, _, link = items[identity]
        number, text = self._random.randrange(NUMBERS), self._text()
        item = Item.fromIdentity(identity)
        item.number, item.text = number, text
        items[identity] = (key, number, text, link)

    def _transfer(self, db: DatabaseConnection) -> None:
        a, b = self._random.sample(range(ACCOUNTS), 2)
        amount = self._random.randint(1, 100)
        try:
            with db.transaction():
                source, target = Account.lookupOne(number=a), Account.lookupOne(number=b)
                source.balance -= amount
                target.balance += amount
                source.writes += 1
                target.writes += 1
                Tally.lookupOne(owner=self.number).transfers += 1
                items, transfers = self.candidates[-1]
                self.candidates.append((items, transfers + 1))
        except RevisionConflictException:
            self.candidates.pop()  # known not to be there
        else:
            self._acknowledged(db)


def set_up(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        for number in range(ACCOUNTS):
            Account(number=number)
        for number in range(CLIENTS):
            Tally(owner=number)


def verify(open_connection: Callable[[], DatabaseConnection], clients: list[Client], known: Known) -> None:
    """What is there now is what was acknowledged, and whole transactions beyond. It counts as acknowledged from now on."""
    with open_connection() as db:
        insist(db.currentTransactionId() > known.tid, "transaction ids went back", db.currentTransactionId(), known.tid)
        db.subscribeToSchema(schema)
        with db.view():
            found: list[dict[int, Row]] = [{} for _ in clients]
            by_number: dict[int, set[int]] = {number: set() for number in range(NUMBERS)}
            for item in Item.lookupAll():
                link = item.link._identity if item.link is not None else 0
                found[item.owner][item._identity] = (item.key, item.number, item.text, max(link, 0))
                by_number[item.number].add(item._identity)
                insist(Item.lookupOne(key=item.key) == item, "the unique index is wrong", item.key)
            for number, identities in by_number.items():
                seen = {item._identity for item in Item.lookupAll(number=number)}
                insist(seen == identities, "the index is wrong", number, seen ^ identities)
            tallies = {tally.owner: tally.transfers for tally in Tally.lookupAll()}
            accounts = [(account.balance, account.writes) for account in Account.lookupAll()]
        insist(len(accounts) == ACCOUNTS and len(tallies) == CLIENTS, "objects of the beginning are gone", accounts)
        insist(sum(balance for balance, _ in accounts) == 0, "an amount was lost: half a transaction", accounts)
        insist(sum(writes for _, writes in accounts) == 2 * sum(tallies.values()), "half a transfer", accounts, tallies)
        for client, items in zip(clients, found, strict=True):
            state = (items, tallies[client.number])
            if state not in client.candidates:
                raise Wrong(difference(client, state))
            client.candidates = [state]
        known.told(db.currentTransactionId())
    # What the server's own indexes say, and not this client's.
    with open_connection() as db:
        for number, identities in by_number.items():
            db.subscribeToIndex(Item, number=number)
            with db.view():
                seen = {item._identity for item in Item.lookupAll(number=number)}
            insist(seen == identities, "the server's index is wrong", number, seen ^ identities)


def difference(client: Client, found: State) -> str:
    (items, transfers), under_way = client.candidates[0], len(client.candidates) - 1
    missing = [each for each in items if each not in found[0]]
    other = [each for each in items if each in found[0] and items[each] != found[0][each]]
    return (
        f"client {client.number}: the store holds neither what was acknowledged nor one of {under_way} later states; against "
        f"what was acknowledged {len(missing)} objects are missing, {len(other)} differ, "
        f"{len(found[0].keys() - items.keys())} are new; transfers {found[1]}, acknowledged {transfers}"
    )


# ---- losses of power


WAL_HEAD, FRAME_HEAD = 32, 24


def power_cut(path: Path, tid: int, chance: random.Random) -> str:
    """Cut or scribble over the end of SQLite's log, as a loss of power may. Returns: what was done, for people.

    Kept is what can have been synced and acknowledged: every frame up to the first that commits transaction `tid` and
    the facts that are there, and all that a checkpoint may have begun to copy (which syncs the log first). What
    lies behind may be gone or garbage.
    """
    log, shared = Path(f"{path}-wal"), Path(f"{path}-shm")
    bytes_ = log.read_bytes() if log.exists() else b""
    ends = commit_ends(bytes_)
    if not ends:
        return "no log"
    whole = held(path, bytes_)
    insist(whole is not None and whole[0] >= tid, "the store lost what was acknowledged", whole and whole[0], tid)
    keep = len(ends) - 1
    while keep > 0:
        before = held(path, bytes_[: ends[keep - 1]])
        if before is None or before[0] < tid or before[1] != whole[1]:  # type: ignore[index]
            break
        keep -= 1
    floor = ends[keep]
    if shared.exists() and len(words := shared.read_bytes()) >= 132:
        page = struct.unpack(">I", bytes_[8:12])[0]
        (attempted,) = struct.unpack("=I", words[128:132])  # WalCkptInfo.nBackfillAttempted
        floor = max(floor, WAL_HEAD + attempted * (FRAME_HEAD + page))
    if floor >= len(bytes_):
        return "nothing to lose"
    cut = chance.randrange(floor, len(bytes_))
    shared.unlink(missing_ok=True)  # it is not on the disk after a loss of power, or stale
    if chance.random() < 0.5:
        log.write_bytes(bytes_[:cut])
        return f"cut {len(bytes_) - cut} bytes"
    torn = bytes_[:cut] + chance.randbytes(min(4096, len(bytes_) - cut))
    log.write_bytes(torn + bytes_[len(torn) :])
    return f"tore {min(4096, len(bytes_) - cut)} bytes"


def commit_ends(log: bytes) -> list[int]:
    """Where the frames end that commit, of the log's present generation."""
    if len(log) < WAL_HEAD:
        return []
    (page,) = struct.unpack(">I", log[8:12])
    ends, salts = [], log[16:24]
    for start in range(WAL_HEAD, len(log) - FRAME_HEAD - page + 1, FRAME_HEAD + page):
        _, size = struct.unpack(">II", log[start : start + 8])
        if log[start + 8 : start + 16] != salts:
            break
        if size:
            ends.append(start + FRAME_HEAD + page)
    return ends


def held(path: Path, log: bytes) -> tuple[int, list[Any]] | None:
    """Last transaction and facts of the store with this log."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy = Path(folder) / "copy"
        shutil.copyfile(path, copy)
        Path(f"{copy}-wal").write_bytes(log)
        db = sqlite3.connect(copy)
        try:
            (tid,) = db.execute("SELECT last_tid FROM store").fetchone()
            return int(tid), db.execute("SELECT name, value FROM facts ORDER BY name").fetchall()
        except (sqlite3.DatabaseError, TypeError):
            return None
        finally:
            db.close()


# ---- the run


class Crashes:
    """Servers on one store, one after the other; every one but the last is killed.

    Args: store: "sqlite" or "redis".  directory: an empty one, for its files, with a short name.  say: told of every kill.
    """

    def __init__(self, store: str, directory: Path, seed: int, say: Callable[[str], None] = lambda line: None):
        self.store = store
        self.directory = directory
        self.random = random.Random(f"{seed} {store}")
        self.known = Known()
        self.clients = [Client(number, seed, self.known) for number in range(CLIENTS)]
        self.done: Tallies[str] = Tallies()
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._redis: RedisProcess | None = None
        if store == "redis":
            self._redis = RedisProcess(directory)

    def __enter__(self) -> Crashes:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._kill()
        if self._redis is not None:
            self._redis.kill()

    def _open_store(self) -> Persistence:
        return SqlitePersistence(self.directory) if self._redis is None else RedisPersistence(url=self._redis.url)

    def _start(self) -> None:
        where = ["--data-dir", str(self.directory)] if self._redis is None else ["--redis-url", self._redis.url]
        command = [sys.executable, str(PROGRAM), "--service-token", TOKEN, *where, "localhost", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _port(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        greeting = self._process.stdout.readline()
        if not greeting.startswith("serving on"):
            raise Wrong(f"the server did not start again: {greeting!r} {self._process.communicate(timeout=30)[1]}")
        return int(greeting.split(",")[0].rsplit(":", 1)[1])

    def _kill(self) -> str:
        """Kill -9; returns what it had written to stderr."""
        assert self._process is not None
        self._process.kill()
        process, self._process = self._process, None
        return process.communicate()[1]

    def run(self, kills: int) -> None:
        self._start()
        with connect("localhost", self._port(), TOKEN) as db:
            set_up(db)
            self.known.acknowledged(db.currentTransactionId())
        self._kill()
        for number in range(kills):
            what = self._one()
            self.done[what.split()[0]] += 1
            self._say(f"{self.store}: kill {number + 1} of {kills}, {self.known.commits:,} commits, {what}")
        self.verify_in_process()

    def _one(self) -> str:
        """A server starts, is looked at, works, and is killed."""
        did = []
        if self._redis is None and self.random.random() < 0.5:
            did.append(power_cut(self.directory / "objects.sqlite", self.known.committed, self.random))
        if self.random.random() < 0.3:
            self.verify_in_process()
            did.append("checked")
        self._start()
        if self.random.random() < 0.1:
            time.sleep(self.random.uniform(0, 0.6))
            self._kill()
            return " ".join(["early", *did])
        port = self._port()
        verify(lambda: connect("localhost", port, TOKEN), self.clients, self.known)
        for client in self.clients:
            client.start(port)
        time.sleep(self.random.uniform(0, LOAD_S_MAX))
        errors = self._kill()
        insist("Traceback" not in errors and "internal error" not in errors, "the server complained", errors)
        for client in self.clients:
            client.join()
        return " ".join(["working", *did])

    def verify_in_process(self) -> None:
        if self._redis is None:
            self._check_file()
        with InMemServer(self._open_store(), TOKEN) as server:
            server._core.check()
            verify(lambda: server.connect(TOKEN), self.clients, self.known)

    def _check_file(self) -> None:
        db = sqlite3.connect(self.directory / "objects.sqlite")
        try:
            insist(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "SQLite finds damage")
        finally:
            db.close()


def main() -> None:
    logging.disable()  # clients say which unconfirmed commits were lost
    parser = argparse.ArgumentParser(prog="tests.crashes", description="Kill servers under load, look at their stores.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=["sqlite", "redis", "both"], default="both")
    parser.add_argument("--dir", type=Path, help="where the files lie: /dev/shm is honest for kill -9, and fast")
    options = parser.parse_args()
    for store in ["sqlite", "redis"] if options.store == "both" else [options.store]:
        begin = time.monotonic()

        def say(line: str, begin: float = begin) -> None:
            print(f"[{time.monotonic() - begin:6.0f} s] seed {options.seed}: {line}", flush=True)

        with tempfile.TemporaryDirectory(prefix="odb-crashes-", dir=options.dir) as folder:
            with Crashes(store, Path(folder), options.seed, say) as crashes:
                crashes.run(options.kills)
                say(f"{store}: nothing was lost in {options.kills} kills, {dict(crashes.done)}")


if __name__ == "__main__":
    main()
