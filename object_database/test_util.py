"""What tests of programs measure: memory, and which Python objects there are more of than before."""

from __future__ import annotations

import gc
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["currentMemUsageMb", "diff_object_types_histograms", "gc_object_types_histogram", "sort_by_value"]


def currentMemUsageMb(residentOnly: bool = True) -> float:
    """Memory of this process in MiB: what is resident, or all of its address space. Linux only: it reads /proc."""
    with open("/proc/self/statm") as figures:
        size, resident = figures.read().split()[:2]
    return int(resident if residentOnly else size) * resource.getpagesize() / (1 << 20)


def gc_object_types_histogram() -> dict[type, int]:
    """How many objects of each type the garbage collector tracks. Handles and other atoms are not tracked."""
    return dict(Counter(type(tracked) for tracked in gc.get_objects()))


def diff_object_types_histograms(new: Mapping[Any, int], old: Mapping[Any, int]) -> dict[Any, int]:
    """How much more there is of each in `new` than in `old`; what did not change is left out."""
    changes = {key: new.get(key, 0) - old.get(key, 0) for key in {**new, **old}}
    return {key: change for key, change in changes.items() if change}


def sort_by_value(
    histogram: Mapping[Any, int], topK: int | None = None, filterFn: Callable[[int], Any] | None = None
) -> list[tuple[int, Any]]:
    """Pairs (count, key) of a histogram, largest first: the first topK of those whose count filterFn accepts."""
    pairs = [(count, key) for key, count in histogram.items() if filterFn is None or filterFn(count)]
    return sorted(pairs, key=lambda pair: pair[0], reverse=True)[:topK]
