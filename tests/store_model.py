"""Groups that follow from their transaction ids alone, and what a store must hold after any of them.

Run as a program it opens a store and applies one after the other, and prints each tid that was acknowledged:

    python tests/store_model.py sqlite /path/of/file      python tests/store_model.py redis unix:///path/of/socket
"""

from __future__ import annotations

import random
import sys

from object_database.persistence import Group, Persistence, RedisPersistence, SqlitePersistence, State

Contents = tuple[dict[int, tuple[int, bytes]], dict[str, bytes], dict[bytes, tuple[int, int]]]


def group_of(tid: int, epoch: int) -> Group:
    """One transaction: some objects of some types, written and deleted, a fact and an outcome."""
    rng = random.Random(tid)
    rows: list[tuple[int, int, bytes | None]] = []
    for object_id in rng.sample(range(200), rng.choice([0, 1, 1, 2, 20])):
        row = None if rng.random() < 0.3 else rng.randbytes(rng.choice([0, 1, 30, 30, 5000])) + b"%d" % tid
        rows.append((object_id, object_id % 5, row))
    facts = {"reserved_tid": b"%d" % (tid + 1000)} if tid % 3 == 0 else {}
    return Group(epoch, tid - 1, tid, rows, facts, [(b"session%d" % (tid % 4), tid, tid)])


def contents_after(tid: int) -> Contents:
    rows: dict[int, tuple[int, bytes]] = {}
    facts: dict[str, bytes] = {}
    sessions = {}
    for each in range(1, tid + 1):
        group = group_of(each, 0)
        for object_id, type_number, row in group.rows:
            if row is None:
                rows.pop(object_id, None)
            else:
                rows[object_id] = (type_number, row)
        facts.update(group.facts)
        sessions.update({session: (seq, at) for session, seq, at in group.commits})
    return rows, facts, sessions


def contents_of(store: Persistence, state: State) -> Contents:
    """What an open store holds; every object is given once."""
    loaded = [row for batch in store.load() for row in batch]
    rows = {object_id: (type_number, row) for object_id, type_number, row in loaded}
    if len(rows) != len(loaded):
        raise RuntimeError("an object was loaded twice")
    return rows, state.facts, dict(state.sessions)


def store_at(kind: str, where: str) -> Persistence:
    return SqlitePersistence(where) if kind == "sqlite" else RedisPersistence(url=where, lease_s=2)


def main(kind: str, where: str) -> None:
    store = store_at(kind, where)
    state = store.open()
    tid = state.last_tid
    print("open", flush=True)
    while True:
        tid += 1
        store.apply(group_of(tid, state.epoch))
        print(tid, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
