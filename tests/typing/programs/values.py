"""Fields that hold values made of values: what is read has the type of its annotation, all the way down."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import time, timezone
from decimal import Decimal
from typing import Any, Literal, NamedTuple, NewType, TypeAlias, Union

from typing_extensions import assert_type

from object_database import Indexed, InMemServer, Object, Schema
from object_database.types import FrozenDict

lab = Schema("lab")

Json: TypeAlias = Union[bool, float, str, "tuple[Json, ...]", "Mapping[str, Json]", None]
Grams = NewType("Grams", int)
Pair: TypeAlias = tuple[int, str]


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Tree:
    value: int
    left: Tree | None = None
    right: Tree | None = None

    def sum(self) -> int:
        return self.value + sum(branch.sum() for branch in (self.left, self.right) if branch is not None)


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Sample(Object, schema=lab):
    name: Indexed[str]
    level: Level = Level.LOW
    tree: Tree | None = None
    path: tuple[Point, ...] = ()
    pair: Pair = (0, "")
    by_name: Mapping[str, tuple[Point, ...]] = FrozenDict()
    words: Sequence[str] = ()
    levels: AbstractSet[Level] = frozenset()
    weight: Grams = Grams(0)
    settings: Json = None
    kind: Literal["a", "b", 1] | None = None
    at: time = time(0)
    price: Decimal = Decimal(0)
    raw: bytes = b""
    others: tuple[Sample, ...] = ()
    anything: object = None
    whatever: Any = None


def dicts() -> None:
    counts = FrozenDict({"tea": 1, "cup": 2})
    assert_type(counts, FrozenDict[str, int])
    assert_type(counts["tea"], int)
    assert_type(counts.get("pot"), int | None)
    assert_type(counts.get("pot", 0), int)
    assert_type(counts + {"pot": 3}, FrozenDict[str, int])
    assert_type(counts | {"pot": 0.5}, FrozenDict[str, int | float])
    assert_type(counts - ["tea"], FrozenDict[str, int])
    assert_type(FrozenDict(tea=1), FrozenDict[str, int])
    pairs: list[tuple[int, str]] = [(1, "a")]
    assert_type(FrozenDict(pairs), FrozenDict[int, str])
    assert_type(list(counts.items()), list[tuple[str, int]])
    mapping: Mapping[str, object] = counts
    assert len(mapping) == len({counts: 1}) + 1
    assert counts + {"pot": 3} - ["tea"] == {"cup": 2, "pot": 3}
    match counts:
        case {"tea": number}:
            assert number == 1
        case _:
            raise AssertionError("a FrozenDict is a mapping")


def main() -> None:
    dicts()
    with InMemServer(auth_token="t") as server, server.connect("t") as db:
        db.subscribe(lab)
        with db.transaction():
            first = Sample(name="first", weight=Grams(5), settings={"a": (1.5, None)}, raw=b"\0")
            Sample(
                name="second",
                level=Level.HIGH,
                tree=Tree(1, left=Tree(2)),
                path=(Point(1, 2), Point(3)),
                by_name={"there": (Point(0),)},
                words=["a", "b"],
                levels={Level.HIGH},
                pair=(1, "x"),
                kind="b",
                at=time(12, 30),
                price=Decimal("1.50"),
                others=(first,),
                anything={"when": timezone.utc.utcoffset(None)},
                whatever=(1, "a"),
            )
        with db.view() as view:
            sample = view.get(Sample, name="second")
            assert_type(sample.level, Level)
            assert_type(sample.path[0].x, float)
            assert_type(sample.pair, tuple[int, str])
            assert_type(sample.by_name, Mapping[str, tuple[Point, ...]])
            assert_type(sample.words, Sequence[str])
            assert_type(sample.levels, AbstractSet[Level])
            assert_type(sample.weight, Grams)
            assert_type(sample.others[0].name, str)
            assert_type(sample.anything, object)
            assert sample.tree is not None
            assert_type(sample.tree.left, Tree | None)
            assert sample.tree.sum() == 3
            assert sample.path == ((1, 2), (3, 0))
            assert sample.by_name == {"there": (Point(0),)}
            assert sample.words == ("a", "b")
            assert sample.levels == {Level.HIGH}
            assert sample.others[0].settings == {"a": (1.5, None)}
            assert (sample.kind, sample.at, sample.price) == ("b", time(12, 30), Decimal("1.50"))
            assert first.weight == 5


if __name__ == "__main__":
    main()
