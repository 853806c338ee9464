"""What object_database.test_util measures."""

from __future__ import annotations

import subprocess
import sys

import pytest

from object_database.test_util import (
    diff_object_types_histograms,
    gc_object_types_histogram,
    sort_by_value,
)

MEASURE = """
from object_database.test_util import currentMemUsageMb
before, before_virtual = currentMemUsageMb(), currentMemUsageMb(residentOnly=False)
block = bytearray(b"x") * (64 << 20)  # every page is written
print(before, currentMemUsageMb() - before, before_virtual, currentMemUsageMb(residentOnly=False) - before_virtual)
"""


def test_memory_is_measured_in_mebibytes() -> None:
    # In a process of its own: what the tests before have freed would be taken again here.
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    resident, grown, virtual, virtual_grown = map(float, done.stdout.split())
    assert virtual > resident > 1
    assert 60 < grown < 70
    assert 60 < virtual_grown < 130


class Tracked:
    pass


def test_a_histogram_counts_the_objects_of_each_type() -> None:
    before = gc_object_types_histogram()
    kept = [Tracked() for _ in range(100)]
    after = gc_object_types_histogram()
    assert (before.get(Tracked, 0), after[Tracked]) == (0, len(kept))
    assert diff_object_types_histograms(after, before)[Tracked] == 100
    assert diff_object_types_histograms(before, after)[Tracked] == -100


def test_the_difference_of_histograms_leaves_out_what_stayed() -> None:
    assert diff_object_types_histograms({"a": 3, "b": 1, "new": 2}, {"a": 1, "b": 1, "gone": 4}) == {
        "a": 2,
        "new": 2,
        "gone": -4,
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(5, list), (2, dict), (2, str), (-1, int)]),
        ({"topK": 1}, [(5, list)]),
        ({"filterFn": lambda count: count < 5}, [(2, dict), (2, str), (-1, int)]),
        ({"topK": 2, "filterFn": lambda count: count < 5}, [(2, dict), (2, str)]),
        ({"topK": 0}, []),
    ],
)
def test_a_histogram_is_sorted_largest_first(options: dict, expected: list) -> None:
    assert sort_by_value({dict: 2, list: 5, str: 2, int: -1}, **options) == expected
