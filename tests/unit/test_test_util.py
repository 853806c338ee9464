"""What object_database.test_util measures."""

from __future__ import annotations

import mmap

import pytest

from object_database.test_util import (
    currentMemUsageMb,
    diff_object_types_histograms,
    gc_object_types_histogram,
    sort_by_value,
)


def test_memory_is_measured_in_mebibytes() -> None:
    before, before_virtual = currentMemUsageMb(), currentMemUsageMb(residentOnly=False)
    assert before_virtual > before > 1
    block = mmap.mmap(-1, 64 << 20)  # new from the system: malloc may give memory that other tests have freed
    for page in range(0, 64 << 20, 4096):
        block[page] = 1
    assert 60 < currentMemUsageMb() - before < 70
    assert 60 < currentMemUsageMb(residentOnly=False) - before_virtual < 130
    block.close()


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
