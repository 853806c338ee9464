"""A store in redis 6 to 8, or Valkey.

    odb:meta            format, history, epoch, token, last_tid
    odb:objects:<type>  object id -> row
    odb:types           the type numbers that there are
    odb:facts           name -> value
    odb:sessions        session -> seq and tid
    odb:owner           who owns it, with a time to live

A group is one MULTI ... EXEC under a WATCH of odb:meta, which every group writes (K3). The next WATCH travels behind the
EXEC, so a group costs one round trip, and the connection watches at any time. That is also what makes a lost
connection harmless: an attempt that redis carries out late, from a connection that we had given up, runs under the
WATCH of its time, and is void as soon as the next attempt or last_tid() has written odb:meta (K4).

A Lua script would take half the time for a small group (29 against 59 us) and has no advantage at an fsync each; but
its arguments are limited, it keeps everything in memory twice, and an error in its middle is not undone.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from object_database.errors import (
    InvalidArgumentError,
    ObjectDatabaseError,
    ServerStateError,
    StoreCorruptError,
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
from object_database.persistence_redis_lease import Lease
from object_database.persistence_redis_line import Line, Lost, Refusal, pack, redis_module

__all__ = ["RedisPersistence"]

FORMAT = 1
FIELDS_MAX = 1_000  # of one HSET or HDEL: redis serves nobody else while it reads one command
COMMAND_BYTES = 1 << 20
MULTI, EXEC = pack("MULTI"), pack("EXEC")
FULL = {"OOM", "READONLY", "MISCONF", "NOREPLICAS"}
PASSING = {"LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN"}
PAUSE_S_MAX = 1.0
SILENT_S = 1.0  # an outage that is over sooner is nobody's concern

_log = logging.getLogger(__name__)

T = TypeVar("T")


class _Again(Exception):
    """Not now: try again within the bound."""


class RedisPersistence(Persistence):
    """A store in a database of a redis server, not of a Redis Cluster.

    What was acknowledged is as safe as redis is set up to make it: `appendonly yes` with `appendfsync always`, or
    replicas and min_replicas. describe() tells what the server at hand can lose.

    Args: db, port, host: of the server; localhost, 6379 by default.
          url: redis://, rediss:// or unix:// instead of them.
          username, password: for AUTH.
          ssl: TLS, as rediss:// says in a url; then ssl_ca_certs, ssl_certfile and ssl_keyfile name files. The name of
          the server has to be that of its certificate.
          prefix: of every key.
          min_replicas: a group is acknowledged when so many replicas have it (WAIT); until then its commits wait.
          wait_ms: how long one WAIT lasts.
          retry_s: how long an outage may last, a restart or a failover: then StoreUnavailableError.
          timeout_s: how long redis may be silent before the connection is given up.
          lease_s: how long the store stays taken when its server is lost without a farewell.
    """

    def __init__(
        self,
        db: int = 0,
        port: int | None = None,
        host: str | None = None,
        url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        ssl: bool = False,
        *,
        ssl_ca_certs: str | None = None,
        ssl_certfile: str | None = None,
        ssl_keyfile: str | None = None,
        prefix: str = "odb",
        min_replicas: int = 0,
        wait_ms: int = 1000,
        retry_s: float = 30.0,
        timeout_s: float = 5.0,
        lease_s: float = 10.0,
    ):
        if not isinstance(db, int) or db < 0:
            raise InvalidArgumentError(f"db is the number of a database; {db!r} was given")
        if url is not None and (port is not None or host is not None):
            raise InvalidArgumentError("give a url, or host and port, not both")
        if min_replicas < 0:
            raise InvalidArgumentError(f"min_replicas is a number from 0 up; {min_replicas} was given")
        if not 0 < wait_ms < timeout_s * 1000:
            raise InvalidArgumentError(f"wait_ms must be below timeout_s; {wait_ms} ms and {timeout_s} s were given")
        if port is not None and not 0 < port < 65536:
            raise InvalidArgumentError(f"port is a number from 1 to 65535; {port!r} was given")
        if not prefix:
            raise InvalidArgumentError("prefix must not be empty")
        files = {"ssl_ca_certs": ssl_ca_certs, "ssl_certfile": ssl_certfile, "ssl_keyfile": ssl_keyfile}
        is_encrypted = ssl if url is None else url.startswith("rediss:")
        if ssl and not is_encrypted:
            raise InvalidArgumentError("ssl goes with host and port; a url says rediss:// for TLS")
        for name, path in files.items():
            if path is not None and not is_encrypted:
                raise InvalidArgumentError(f"{name} is for TLS: give ssl=True, or a url of rediss://")
            if path is not None and not os.access(path, os.R_OK):
                raise InvalidArgumentError(f"{name}: the file {path} cannot be read")
        redis = redis_module()
        options: dict[str, Any] = {
            "db": db,
            "username": username,
            "password": password,
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            "protocol": 2,
        }
        if is_encrypted:
            options.update(files)
        try:
            if url is not None:
                # What stands in the url wins, so nothing is given that would say "none".
                given = {name: value for name, value in options.items() if value is not None and name != "db"}
                pool = redis.ConnectionPool.from_url(url, db=db, **given)
            else:
                kind = redis.SSLConnection if ssl else redis.Connection
                pool = redis.ConnectionPool(
                    connection_class=kind, host=host or "localhost", port=port or 6379, **options
                )
        except ValueError as error:
            raise InvalidArgumentError(f"this url of a redis server cannot be used: {error}") from error
        at = pool.connection_kwargs
        place = at.get("path") or f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
        self._where = f"redis at {place}, database {at.get('db') or 0}, keys {prefix}:*"
        self._make_connection = pool.make_connection
        self._prefix = prefix
        meta = self._key("meta")
        self._packed_watch = [pack("WATCH", meta), pack("HMGET", meta, "epoch", "token", "last_tid")]
        self._min_replicas = min_replicas
        self._wait_ms = wait_ms
        self._retry_s = retry_s
        self._lease_s = lease_s
        self._line: Line | None = None
        self._lease: Lease | None = None
        self._opened = Held(0, "", 0)
        self._owner = Owner.this_process("")
        self._watched: Held | None = None  # what odb:meta holds, as long as the line watches it
        self._attempt_is_open = False  # an EXEC was sent and its reply never came
        self._recent = RecentSessions()
        self._settings: dict[str, str] | None = None  # of redis, once it was asked
        self._pid = 0
        self._lock = threading.RLock()
        self._is_closing = threading.Event()

    def __repr__(self) -> str:
        return f"RedisPersistence({self._where})"

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    # ---- the interface

    def open(self, take_over: bool = False) -> State:
        with self._lock:
            if self._line is not None:
                raise StoreInUseError(self._where, self._owner.host, self._owner.pid, self._owner.since)
            self._is_closing.clear()
            self._line = Line(self._where, self._make_connection)
            self._watched, self._attempt_is_open, self._pid = None, False, os.getpid()
            try:
                self._settings = self._within_bound(self._read_settings)
                self._owner = owner = Owner.this_process(new_token())
                self._take(owner, take_over)
                self._lease = Lease(
                    Line(self._where, self._make_connection),
                    self._key("owner"),
                    self._key("meta"),
                    owner,
                    self._lease_s,
                )
                return self._within_bound(self._read_state)
            except BaseException:
                self.close()
                raise

    def load(self, rows_max: int = 10_000) -> Iterator[Batch]:
        for type_number in self._types(self._open_line()):
            yield from self._load_type(type_number, self._key(f"objects:{type_number}"), rows_max)

    def _load_type(self, type_number: int, key: str, rows_max: int = 10_000) -> Iterator[Batch]:
        line = self._open_line()
        size, cursor, found = BatchSize(rows_max), b"0", array("q")
        while True:
            # A cursor means something to the very process of redis that gave it, so a lost line ends the load.
            try:
                reply = self._checked(line.ask(("HSCAN", key, cursor, "COUNT", size.rows))[0])
            except Lost as error:
                raise StoreUnavailableError(f"{self._where} was lost while objects were loaded: {error}") from error
            cursor, pairs = reply
            words = iter(pairs)
            with self._as_written(f"objects:{type_number}"):
                batch = [(int(object_id), type_number, row) for object_id, row in zip(words, words)]  # noqa: B905
                found.extend([each[0] for each in batch])
            size.saw(len(batch), sum(map(len, pairs)))
            for start in range(0, len(batch), rows_max):  # a small hash comes whole, whatever COUNT says
                yield batch[start : start + rows_max]
            if cursor == b"0":
                break
        expected = self._checked(line.ask(("HLEN", key))[0])
        # HSCAN gives a field twice when the hash has shrunk meanwhile, which it may do by itself.
        count = len(found) if len(found) == expected else len(set(found))
        if count != expected:
            raise StoreCorruptError(f"{self._where}: {key} gave {count} objects of {expected}: somebody writes to it")

    def apply(self, group: Group) -> None:
        with self._lock:
            self._open_line()
            latest, forgotten = self._recent.plan(group.commits)

            def attempt() -> None:
                held = self._look()
                if held.is_followed_by(group, self._where, self._opened):
                    self._execute(_commands_of(group, latest, forgotten, self._prefix), group.last_tid)
                elif self._min_replicas:
                    self._execute([], group.last_tid)  # there already; a write is what WAIT waits for
                else:
                    self._attempt_is_open = False  # whichever attempt arrived, it has voided the others

            self._within_bound(attempt)
            self._recent.done(latest, forgotten)
            self._opened = self._opened._replace(last_tid=group.last_tid)

    def replace(self, group: Group) -> None:
        with self._lock:
            self._open_line()
            recent = RecentSessions()
            latest, _ = recent.plan(group.commits)
            history = pack("HSET", self._key("meta"), "history", new_history().hex())
            written = _commands_of(group, latest, [], self._prefix)

            def attempt() -> None:
                if self._look().is_followed_by(group, self._where, self._opened):
                    names = ["types", "facts", "sessions"]
                    names += [f"objects:{number}" for number in self._types(self._open_line())]
                    self._execute([pack("UNLINK", *map(self._key, names)), *written, history], group.last_tid)
                elif self._min_replicas or self._attempt_is_open:
                    self._execute([], group.last_tid)

            self._within_bound(attempt)
            recent.done(latest, ())
            self._recent = recent
            self._opened = self._opened._replace(last_tid=group.last_tid)

    def last_tid(self) -> int:
        with self._lock:
            self._open_line()

            def attempt() -> int:
                held = self._look(is_fresh=True)
                held.check_owner(self._where, self._opened)
                # With all acknowledged nothing is under way, and a write would tell a tool that reads that somebody commits.
                if self._attempt_is_open or held.last_tid != self._opened.last_tid:
                    self._execute([], held.last_tid)  # voids every earlier attempt
                return held.last_tid

            return self._within_bound(attempt)

    def describe(self) -> str:
        if self._settings is None:
            return f"{self._where}: what it can lose is known when it is open"
        return f"{self._where}: {_losses(self._settings, self._min_replicas)}"

    def close(self) -> None:
        self._is_closing.set()
        with self._lock:
            line, self._line = self._line, None
            lease, self._lease = self._lease, None
            if self._pid not in (0, os.getpid()):
                return  # after a fork they are the parent's
            if lease is not None:
                lease.end()
            if line is not None:
                line.drop()

    # ---- opening

    def _read_settings(self) -> dict[str, str]:
        line = self._open_line()
        names = ["maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"]
        replies = line.ask(*(("CONFIG", "GET", name) for name in names))
        settings: dict[str, str] = {}
        for name, reply in zip(names, replies, strict=True):
            if isinstance(reply, list) and len(reply) == 2:  # hosted servers hide it
                settings[name] = reply[1].decode("utf-8", "replace")
        policy = settings.get("maxmemory-policy", "noeviction")
        if settings.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
            raise InvalidArgumentError(
                f"{self._where} throws objects away when its memory is full (maxmemory-policy {policy}): "
                "set noeviction, or use a redis without a limit of memory"
            )
        return settings

    def _take(self, owner: Owner, take_over: bool) -> None:
        """Write down that the store is ours, once nobody else's lease runs. A dead server's is waited for."""
        meta, key = self._key("meta"), self._key("owner")
        ends: dict[str, float] = {}  # token of another owner -> end of its lease as first seen

        def attempt() -> tuple[bool, Held]:
            line = self._open_line()
            _, found, lease, left_ms, types = map(
                self._checked,
                line.ask(
                    ("WATCH", meta, key), ("HGETALL", meta), ("GET", key), ("PTTL", key), ("SCARD", self._key("types"))
                ),
            )
            other = Owner.from_json(lease.decode("utf-8", "replace")) if lease is not None else owner
            # The token is ours when the reply to an earlier attempt was lost.
            if other.token != owner.token and not take_over:
                now = time.monotonic()
                first_end = ends.setdefault(other.token, now + left_ms / 1000)
                if left_ms < 0 or now + left_ms / 1000 > first_end + 0.05 * self._lease_s:  # somebody renewed it
                    raise StoreInUseError(self._where, other.host, other.pid, other.since)
                if not other.is_gone():
                    return False, Held(0, "", 0)
            fields = {found[i].decode(): found[i + 1] for i in range(0, len(found), 2)}
            held = self._held_of(fields, has_objects=types > 0)
            history = fields.get("history") or new_history().hex().encode()
            epoch = held.epoch + 1
            replies = line.ask(
                ("MULTI",),
                ("HSET", meta, "format", FORMAT, "history", history, "epoch", epoch, "token", owner.token)
                + ("last_tid", held.last_tid),
                ("SET", key, owner.to_json(), "PX", int(self._lease_s * 1000)),
                ("EXEC",),
            )
            self._checked_transaction(replies)
            return True, Held(epoch, owner.token, held.last_tid)

        is_ours = False
        while not is_ours:
            is_ours, self._opened = self._within_bound(attempt)
            if not is_ours and self._is_closing.wait(min(0.1, self._lease_s / 10)):
                raise StoreUnavailableError(f"{self._where}: closed while it waited for the lease of another server")

    def _held_of(self, meta: dict[str, bytes], has_objects: bool) -> Held:
        if not meta:
            if has_objects:
                raise StoreCorruptError(f"{self._where}: there are objects, but {self._key('meta')} is gone")
            return Held(0, "", 0)
        try:
            number = int(meta["format"])
            if number > FORMAT:
                raise StoreFormatError(
                    f"{self._where} has format {number}, and this release reads up to {FORMAT}: "
                    "use the release that wrote it, or a later one"
                )
            if number != FORMAT:
                raise StoreFormatError(f"{self._where} has format {number}, which no release wrote")
            held = Held(int(meta["epoch"]), meta["token"].decode(), int(meta["last_tid"]))
            if held.epoch < 0 or held.last_tid < 0 or len(self._history_of(meta)) not in (0, HISTORY_BYTES):
                raise ValueError
            return held
        except (KeyError, ValueError) as error:
            raise StoreFormatError(f"{self._where}: {self._key('meta')} is not what this package writes") from error

    @staticmethod
    def _history_of(meta: dict[str, bytes]) -> bytes:
        """Empty when somebody has removed it, for a copy that goes its own way."""
        return bytes.fromhex(meta.get("history", b"").decode())

    def _read_state(self) -> State:
        line = self._open_line()
        meta, facts, sessions = map(
            self._checked,
            line.ask(
                ("HGET", self._key("meta"), "history"),
                ("HGETALL", self._key("facts")),
                ("HGETALL", self._key("sessions")),
            ),
        )
        count = sum(self._checked(line.ask(("HLEN", self._key(f"objects:{each}")))[0]) for each in self._types(line))
        by_age = self._outcomes_of(dict(zip(sessions[::2], sessions[1::2], strict=True)))
        self._recent = RecentSessions(by_age)
        return State(
            bytes.fromhex(meta.decode()),
            self._opened.epoch,
            self._opened.last_tid,
            self._facts_of(dict(zip(facts[::2], facts[1::2], strict=True))),
            count,
            by_age,
        )

    def _types(self, line: Line) -> list[int]:
        with self._as_written("types"):
            return sorted(map(int, self._checked(line.ask(("SMEMBERS", self._key("types")))[0])))

    def _facts_of(self, words: dict[bytes, bytes]) -> dict[str, bytes]:
        with self._as_written("facts"):
            return {name.decode(): value for name, value in words.items()}

    def _outcomes_of(self, words: dict[bytes, bytes]) -> dict[bytes, tuple[int, int]]:
        """session -> (seq, tid), the oldest tid first"""
        with self._as_written("sessions"):
            outcomes = []
            for session, value in words.items():
                seq, tid = map(int, value.split())
                if seq < 0 or tid < 0:
                    raise ValueError(f"{value!r}")
                outcomes.append((tid, session, seq))
            return {session: (seq, tid) for tid, session, seq in sorted(outcomes)}

    @contextmanager
    def _as_written(self, name: str) -> Iterator[None]:
        """What this package writes can be read."""
        try:
            yield
        except (ValueError, OverflowError) as error:
            if isinstance(error, ObjectDatabaseError):
                raise
            raise StoreCorruptError(f"{self._where}: somebody wrote to {self._key(name)}: {error}") from error

    # ---- writing

    def _look(self, is_fresh: bool = False) -> Held:
        """What the store holds, from now on watched."""
        if self._watched is None or is_fresh:
            line = self._open_line()
            held = self._read_held(line.ask_packed(self._packed_watch, 2)[1])
            if held.epoch < self._opened.epoch or held.last_tid < self._opened.last_tid:
                # A replica that still catches up is no loss: it may be promoted, or the primary may come back.
                role = line.ask(("ROLE",))[0]
                if isinstance(role, list) and role[0] == b"slave":
                    line.drop()
                    raise _Again("its address leads to a replica that is behind")
            self._watched = held
        return self._watched

    def _read_held(self, reply: Any) -> Held:
        epoch, token, last_tid = self._checked(reply)
        if epoch is None or token is None or last_tid is None:
            return Held(0, "", 0)  # somebody emptied it: behind
        try:
            return Held(int(epoch), token.decode(), int(last_tid))
        except ValueError as error:
            raise StoreCorruptError(f"{self._where}: somebody wrote to {self._key('meta')}") from error

    def _execute(self, commands: list[bytes], last_tid: int) -> None:
        """Carry them out if nobody has written odb:meta since it was looked at; wait for the replicas."""
        line = self._open_line()
        was_open = self._attempt_is_open
        packed = [MULTI, *commands, pack("HSET", self._key("meta"), "last_tid", last_tid), EXEC]
        in_transaction = len(packed)
        if self._min_replicas:
            packed.append(pack("WAIT", self._min_replicas, self._wait_ms))
        packed += self._packed_watch
        self._watched, self._attempt_is_open = None, True
        replies = line.ask_packed(packed, len(packed))
        watched = replies[-1]
        try:
            self._checked_transaction(replies[:in_transaction])
        except (StoreFullError, _Again) as error:
            self._attempt_is_open = was_open
            if isinstance(error, StoreFullError) and was_open:
                raise _Again(
                    str(error)
                ) from error  # an earlier attempt may still succeed: that is not "nothing was done"
            raise
        self._attempt_is_open = False  # and every earlier one is void
        if not isinstance(watched, Refusal):
            self._watched = self._read_held(watched)
        if self._min_replicas:
            have = self._checked(replies[in_transaction])
            if have < self._min_replicas:
                raise _Again(f"{have} of {self._min_replicas} replicas had it within {self._wait_ms} ms")

    def _checked_transaction(self, replies: list[Any]) -> None:
        """Raise unless EXEC, the last of them, did all of it."""
        done = replies[-1]
        if isinstance(done, list):
            wrong = next((each for each in done if isinstance(each, Exception)), None)
            if wrong is not None:  # a key of ours is no hash any more: the others were written all the same
                raise StoreCorruptError(f"{self._where}: somebody else has written to its keys: {wrong}")
            return
        if done is None:
            raise _Again("somebody wrote to it in between")
        why = next((each for each in replies if isinstance(each, Refusal)), done)
        if why.code == "READONLY":
            self._open_line().drop()  # a replica now: its address may lead to the new primary the next time
        if why.code in FULL:
            raise StoreFullError(f"{self._where} takes no writes, nothing was done: {why}")
        self._checked(why)

    # ---- what can go wrong

    def _open_line(self) -> Line:
        if self._pid not in (0, os.getpid()):
            raise ServerStateError(f"{self!r} was opened before a fork, and belongs to the parent process")
        if self._line is None:
            raise ServerStateError(f"{self!r} is not open")
        return self._line

    def _checked(self, reply: Any) -> Any:
        if isinstance(reply, Refusal):
            if reply.code in PASSING:
                raise _Again(str(reply))
            if reply.code == "WRONGTYPE":
                raise StoreCorruptError(f"{self._where}: somebody else has written to its keys: {reply}")
            if reply.code in FULL:
                raise StoreFullError(f"{self._where} takes no writes, nothing was done: {reply}")
            raise StoreUnavailableError(f"{self._where} refuses a command: {reply}")
        return reply

    def _within_bound(self, attempt: Callable[[], T]) -> T:
        """Try until it succeeds, fails for good, or retry_s are over."""
        begin = time.monotonic()
        deadline = begin + self._retry_s
        pause_s = 0.01
        is_said = False
        while True:
            try:
                result = attempt()
                if is_said:
                    _log.warning("%s is back, after %.1f s", self._where, time.monotonic() - begin)
                return result
            except (Lost, _Again) as error:
                self._watched = None
                now = time.monotonic()
                left_s = deadline - now
                if now - begin > SILENT_S and not is_said:
                    is_said = True
                    _log.warning("%s is waited for, %.0f s at most: %s", self._where, self._retry_s, error)
                if left_s <= 0:
                    raise StoreUnavailableError(
                        f"{self._where} gave no answer for {self._retry_s} s: {error}"
                    ) from error
                if self._is_closing.wait(min(pause_s, left_s)):
                    raise StoreUnavailableError(f"{self._where} was closed meanwhile: {error}") from error
                pause_s = min(pause_s * 2, PAUSE_S_MAX)


def _commands_of(
    group: Group, latest: dict[bytes, tuple[int, int]], forgotten: list[bytes], prefix: str
) -> list[bytes]:
    """What a group changes, packed: few large commands, none of them so large that redis stands still for it."""
    written: dict[int, list[bytes]] = {}  # type -> id, row, id, row, ...
    deleted: dict[int, list[bytes]] = {}
    for object_id, type_number, row in group.rows:
        if row is None:
            deleted.setdefault(type_number, []).append(b"%d" % object_id)
        else:
            written.setdefault(type_number, []).extend((b"%d" % object_id, row))
    commands = []
    if written:
        commands.append(pack("SADD", f"{prefix}:types", *written))
    for type_number, words in written.items():
        commands += _hash_commands("HSET", f"{prefix}:objects:{type_number}", words, 2)
    for type_number, words in deleted.items():
        commands += _hash_commands("HDEL", f"{prefix}:objects:{type_number}", words, 1)
    facts = [word for name, value in group.facts.items() for word in (name.encode(), value)]
    commands += _hash_commands("HSET", f"{prefix}:facts", facts, 2)
    outcomes = [word for session, (seq, tid) in latest.items() for word in (session, b"%d %d" % (seq, tid))]
    commands += _hash_commands("HSET", f"{prefix}:sessions", outcomes, 2)
    commands += _hash_commands("HDEL", f"{prefix}:sessions", forgotten, 1)
    return commands


def _hash_commands(verb: str, key: str, words: list[bytes], words_each: int) -> Iterator[bytes]:
    count = len(words) // words_each
    if count > FIELDS_MAX or (count > 1 and sum(map(len, words)) > COMMAND_BYTES):
        half = count // 2 * words_each
        yield from _hash_commands(verb, key, words[:half], words_each)
        yield from _hash_commands(verb, key, words[half:], words_each)
    elif words:
        yield pack(verb, key, *words)


def _losses(settings: dict[str, str], min_replicas: int) -> str:
    """What this configuration can lose, for people."""
    fsync = settings.get("appendfsync")
    if "appendonly" not in settings:
        alone = "it does not tell how it writes to its disk (CONFIG GET is not allowed), so ask whoever runs it"
    elif settings["appendonly"] == "yes" and fsync == "always":
        alone = "what was acknowledged outlives a crash of redis and a loss of power"
    elif settings["appendonly"] == "yes" and fsync == "everysec":
        alone = "a crash of redis loses nothing; a loss of power loses up to 2 seconds (appendfsync everysec)"
    elif settings["appendonly"] == "yes":
        alone = "a loss of power loses what the system had not written yet, 30 seconds perhaps (appendfsync no)"
    elif settings.get("save"):
        alone = "an end of redis loses everything since its last snapshot (appendonly no): set appendonly yes, appendfsync always"
    else:
        alone = "an end of redis loses everything (appendonly no, no snapshots): set appendonly yes, appendfsync always"
    if min_replicas:
        who = "1 replica has" if min_replicas == 1 else f"{min_replicas} replicas have"
        return f"{alone}; it is acknowledged when {who} it, so a failover to one of them loses nothing"
    return f"{alone}; a failover to a replica loses what had not reached it (min_replicas is 0)"
