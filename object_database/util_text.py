"""Text for people: tables, durations, and what they may have meant. Public as object_database.util."""

from __future__ import annotations

import heapq
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from object_database.errors import InvalidArgumentError

__all__ = ["closest_N_in", "closest_in", "distance", "formatTable", "indent", "secondsToHumanReadable"]


def formatTable(rows: Iterable[Sequence[Any]]) -> str:
    """A table with aligned columns; the first row is the heading and has a line below it. No rows give ""."""
    texts = [[str(cell) for cell in row] for row in rows]
    if not texts:
        return ""
    columns = max(len(row) for row in texts)
    filled = [row + [""] * (columns - len(row)) for row in texts]
    widths = [max(len(row[column]) for row in filled) for column in range(columns)]
    filled.insert(1, ["-" * width for width in widths])
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in filled)
    return "\n".join(line.rstrip() for line in padded)


_UNITS = [(1.0, "seconds"), (60.0, "minutes"), (3600.0, "hours"), (86400.0, "days")]


def secondsToHumanReadable(seconds: float) -> str:
    """A duration in the largest of seconds, minutes, hours and days of which it has two: `119.00 seconds`, `2.00 hours`."""
    unit_s, unit = max((known for known in _UNITS if abs(seconds) >= 2 * known[0]), default=_UNITS[0])
    return f"{seconds / unit_s:.2f} {unit}"


def indent(text: str, amount: int = 4, ch: str = " ") -> str:
    """The text with `amount` times `ch` before each line that is not blank."""
    return textwrap.indent(text, ch * amount)


def distance(left: Sequence[Any], right: Sequence[Any]) -> int:
    """Edit distance: how many insertions, deletions and replacements lead from one to the other. O(len * len)."""
    costs = list(range(len(right) + 1))  # from the part of `left` that was seen to each start of `right`
    for seen, item in enumerate(left, 1):
        diagonal, costs[0] = costs[0], seen
        for column, other in enumerate(right, 1):
            replaced = diagonal + (item != other)
            diagonal, costs[column] = costs[column], min(replaced, costs[column] + 1, costs[column - 1] + 1)
    return costs[-1]


def closest_in(name: str, names: Iterable[str]) -> str:
    """The one of `names` with the smallest edit distance to `name`; the first of equals.

    Raises: InvalidArgumentError: there are none.
    """
    found = closest_N_in(name, names, 1)
    if not found:
        raise InvalidArgumentError(f"there are no names that {name!r} could be close to")
    return found[0]


def closest_N_in(name: str, names: Iterable[str], count: int) -> list[str]:
    """The `count` names with the smallest edit distances to `name`, or all when there are fewer; closest first."""
    return heapq.nsmallest(count, names, key=lambda other: distance(name, other))
