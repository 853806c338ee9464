"""check: every invariant of a store, on one state of it, in a process of its own.

Whether a server has the store makes no difference to what is checked; but a redis that is written to meanwhile cannot be
checked (store_readers.py). What is looked at:

    the store itself   SQLite's own integrity check; in redis, that every hash of objects is known
    its facts          the catalogue, every part of it; the reservations, above every transaction and identity that there is (D12)
    sessions           no outcome of a commit that is not there (D25)
    rows               of a known type, canonical, each value one that its field takes; one id is one object
    indexes            no two objects with one key where it is unique (D15)
    a start            a server's core loads all of it, and checks its own invariants
    references         to objects that are not there: told, no damage
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from object_database import _core
from object_database.cli.copying import ATTEMPTS, load_into_core
from object_database.errors import ObjectDatabaseError, StoreCorruptError, StoreMovedError
from object_database.identity import IDENTITY_BLOCK_SIZE
from object_database.store_options import store_of
from object_database.store_readers import StoreReader, reader_of
from object_database.util_progress import Progress

__all__ = ["Findings", "check", "examine"]

_SHOWN_MAX = 100  # of findings, and of notes: then they are counted


class Findings:
    """What was found: damage, and what is only worth a note."""

    def __init__(self) -> None:
        self.damage: list[str] = []
        self.notes: list[str] = []
        self.objects = 0
        self.last_tid = 0

    def print(self) -> None:
        for kind, lines in (("damage", self.damage), ("note", self.notes)):
            for line in lines[:_SHOWN_MAX]:
                print(f"{kind}: {line}")
            if len(lines) > _SHOWN_MAX:
                print(f"{kind}: and {len(lines) - _SHOWN_MAX:,} more")
        verdict = f"DAMAGED, {len(self.damage):,} findings" if self.damage else "sound"
        print(f"{verdict}: {self.objects:,} objects at transaction {self.last_tid}")


def check(options: argparse.Namespace) -> int:
    for attempt in range(1, ATTEMPTS + 1):
        found = Findings()
        try:
            with reader_of(store_of(options, must_exist=True), is_busy=attempt > 1) as reader:
                examine(reader, found)
                reader.confirm()
            break
        except StoreMovedError:
            if attempt == ATTEMPTS:
                raise
        except StoreCorruptError as error:
            found.damage.append(str(error))
            break
    found.print()
    return 1 if found.damage else 0


def examine(reader: StoreReader, found: Findings) -> None:
    """Look at everything; what is wrong goes into `found`."""
    content = reader.content
    found.last_tid = content.last_tid
    found.damage += reader.findings()
    reserved = _check_facts(reader, found)
    try:
        types = _core.read_catalogue(content.facts.get("catalogue", b""))
    except ObjectDatabaseError as error:
        found.damage.append(f"the catalogue: {error}")
        return
    names = [f"{schema}.{name}" for schema, name, _, _ in types.described()]
    types_of_ids = _check_identities(reader, reserved, found)
    found.objects = len(types_of_ids)
    _check_rows(reader, types, names, types_of_ids, found)
    if found.damage:
        return  # a server would stumble over the first of them
    with Progress("starting a server's core") as said:
        try:
            load_into_core(content, reader.rows(), said)
        except (StoreMovedError, StoreCorruptError):
            raise
        except ObjectDatabaseError as error:
            found.damage.append(f"a server does not start from it: {error}")


def _check_facts(reader: StoreReader, found: Findings) -> tuple[int, int, int]:
    content = reader.content
    if len(content.history) not in (0, 16):
        found.damage.append(f"the history has {len(content.history)} bytes instead of 16")
    for session, (seq, tid) in content.sessions.items():
        if tid > content.last_tid or seq < 0:
            found.damage.append(
                f"session {session.hex()} has a commit {seq} of transaction {tid}, and the store ends at {content.last_tid}"
            )
    reserved = (0, 0, 0)
    if "reservations" in content.facts:
        try:
            reserved = _core.read_reservations(content.facts["reservations"])
        except ObjectDatabaseError as error:
            found.damage.append(f"the reservations: {error}")
            return reserved
    if content.last_tid > reserved[0]:
        found.damage.append(
            f"it ends at transaction {content.last_tid}, and only those up to {reserved[0]} were reserved"
        )
    return reserved


def _check_identities(reader: StoreReader, reserved: tuple[int, int, int], found: Findings) -> dict[int, int]:
    """object id -> type number"""
    _, blocks, identities = reserved
    ids: dict[int, int] = {}
    with Progress("reading identities") as said:
        for batch in reader.rows():
            for object_id, number, _ in batch:
                if object_id in ids:
                    found.damage.append(f"object {object_id} is there twice, of types {ids[object_id]} and {number}")
                ids[object_id] = number
                block = object_id // IDENTITY_BLOCK_SIZE
                if object_id <= 0 or block > blocks or (block == 0 and object_id > identities):
                    found.damage.append(f"object {object_id} has an identity that was never reserved")
            said(len(ids), max(len(ids), reader.content.object_count))
    return ids


def _check_rows(
    reader: StoreReader, types: _core.StoredTypes, names: list[str], ids: dict[int, int], found: Findings
) -> None:
    holders: dict[tuple[int, int, bytes], int] = {}  # type, index, key -> object
    done = 0
    with Progress("reading rows") as said:
        for batch in reader.rows():
            for object_id, number, row in batch:
                try:
                    values = types.decode_row(number, row)
                except ObjectDatabaseError as error:
                    found.damage.append(f"object {object_id} {error}")
                    continue
                for index, key in types.unique_keys(number, row):
                    other = holders.setdefault((number, index, key), object_id)
                    if other != object_id:
                        name = types.described()[number - 1][3][index][0]
                        found.damage.append(
                            f"objects {other} and {object_id} of {names[number - 1]} have one key in {name}, which is unique"
                        )
                found.notes += _missing(object_id, names, number, values, ids)
            done += len(batch)
            said(done, max(done, len(ids)))


def _missing(
    object_id: int, names: list[str], number: int, values: dict[str, object], ids: dict[int, int]
) -> Iterator[str]:
    for field, value in values.items():
        for target, other in _references(value):
            if other and ids.get(other) != target:
                yield f"{names[number - 1]} {object_id}.{field} refers to {names[target - 1]} {other}, which is not there"


def _references(value: Any) -> Iterator[tuple[int, int]]:
    """The references in a value, as _core.StoredTypes has it: (type number, object), and {kind: [...]} around them."""
    if isinstance(value, tuple) and len(value) == 2 and all(type(part) is int for part in value):
        yield value
    elif isinstance(value, dict):
        for kind, content in value.items():
            yield from _references_in(kind, content)


def _references_in(kind: str, content: Any) -> Iterator[tuple[int, int]]:
    if kind in ("tuple", "set"):
        items = content
    elif kind == "dict":
        items = [part for pair in content for part in pair]
    elif kind == "codec":
        items = [content[1]]
    else:
        items = [] if kind == "pickle" else [item for _, item in content[-1]]
    for item in items:
        yield from _references(item)
