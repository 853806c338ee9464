"""Servers are killed at random moments under load. `make crashes KILLS=1000 SEED=1` does it for long."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from pathlib import Path

import pytest

from object_database.persistence import Group, SqlitePersistence
from tests.crashes import Crashes, Wrong, commit_ends, power_cut

KILLS = 10


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_killed_server_has_lost_nothing_and_half_of_nothing(store: str) -> None:
    seed = int(os.environ.get("ODB_CRASH_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"seed {seed}: ODB_CRASH_SEED={seed} tells the same story, but for the moments")
    with tempfile.TemporaryDirectory(prefix="odb-") as folder, Crashes(store, Path(folder), seed, print) as crashes:
        crashes.run(KILLS)
        assert crashes.known.commits > KILLS


def test_a_lost_row_is_noticed() -> None:
    """What looks at the stores is not blind."""
    with tempfile.TemporaryDirectory(prefix="odb-") as folder, Crashes("sqlite", Path(folder), 1) as crashes:
        crashes.run(1)
        db = sqlite3.connect(Path(folder) / "objects.sqlite")
        db.execute("DELETE FROM objects WHERE id = (SELECT MAX(id) FROM objects)")
        db.commit()
        db.close()
        with pytest.raises(Wrong):
            crashes.verify_in_process()


def test_a_cut_log_loses_nothing_that_was_acknowledged_and_all_that_lies_behind(tmp_path: Path) -> None:
    store = SqlitePersistence(tmp_path / "objects.sqlite")
    state = store.open()
    for tid in range(1, 9):
        store.apply(Group(state.epoch, tid - 1, tid, [(tid, 1, b"x" * 3000)]))
    whole = (tmp_path / "objects.sqlite-wal").read_bytes()
    ends = commit_ends(whole)
    assert ends[-1] == len(whole)
    found = set()
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for end in ("", "-wal"):
            (folder / f"objects.sqlite{end}").write_bytes((tmp_path / f"objects.sqlite{end}").read_bytes())
        power_cut(folder / "objects.sqlite", 5, random.Random(seed))
        with SqlitePersistence(folder / "objects.sqlite") as cut:
            last = cut.open().last_tid
            found.add(last)
            rows = sorted(row for batch in cut.load() for row in batch)
            assert rows == [(tid, 1, b"x" * 3000) for tid in range(1, last + 1)]
    assert min(found) >= 5
    assert len(found) > 1
    store.close()
