"""Finding objects: by an index, and all of a type."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from model import IndexedPair, connected, fill
from probes import PlainPair
from registry import ALWAYS, Run, Sample, at_most, benchmark, figure
from timing import loop, loop_over, ns_each

LOOKUPS = 20_000
PLAIN_READS = 500_000
SHUFFLE_SEED = 7


def everything(database_type: Any) -> None:
    database_type.lookupAll()


def lookup_client(port: int, count: int, is_one: bool) -> Iterator[Any]:
    """Worker: each step yields [nanoseconds of a lookupOne, or for each object of a lookupAll; of a plain read]."""
    with connected(port) as db:
        db.subscribeToType(IndexedPair)
        fill(db, "IndexedPair", count)
        chosen = random.Random(SHUFFLE_SEED)
        keys = [chosen.randrange(count) for _ in range(LOOKUPS)]
        one = loop_over("T.lookupOne(number=o)", T=IndexedPair)
        plain = loop("o.number", o=PlainPair(1, "text"))
        yield None
        while True:
            with db.view():
                ours = ns_each(one, keys, LOOKUPS) if is_one else ns_each(everything, IndexedPair, count)
            yield [ours, ns_each(plain, PLAIN_READS, PLAIN_READS)]


def sample(run: Run, is_one: bool) -> Sample:
    client = run.client(lookup_client, port=run.server(), count=run.size, is_one=is_one)
    client.step()  # the first lookup of a type may set up what the later ones use
    steps = [client.step() for _ in range(run.repetitions)]
    return Sample.of([ours for ours, _ in steps], [plain for _, plain in steps])


@benchmark("lookups.one", "lookupOne by an index of one int field, keys in random order", size=100_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(300))
def lookup_one(run: Run) -> Sample:
    return sample(run, is_one=True)


@benchmark("lookups.all", "lookupAll of a whole type, for each object", size=100_000, grows=ALWAYS)
@figure(unit="ns", bar=at_most(60))
def lookup_all(run: Run) -> Sample:
    return sample(run, is_one=False)
