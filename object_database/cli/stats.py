"""stats: what a store is, and what is in it."""

from __future__ import annotations

import argparse
import json

from object_database import _core
from object_database.store_options import store_of
from object_database.store_readers import Content, reader_of

__all__ = ["stats"]


def stats(options: argparse.Namespace) -> int:
    """In redis the numbers of objects are those of the time at which each was counted."""
    with reader_of(store_of(options, must_exist=True)) as reader:
        content, owner, sizes = reader.content, reader.owner(), reader.sizes()
        where = reader.where
    facts = [
        ("store", where),
        ("format", str(content.format)),
        ("history", content.history.hex() or "none: the server that opens it makes one"),
        ("epoch", f"{content.epoch:,}"),
        ("last tid", f"{content.last_tid:,}"),
        ("owner", f"{owner.host}, process {owner.pid}, since {owner.since} UTC" if owner else "none"),
    ]
    if "reservations" in content.facts:
        transactions, blocks, identities = _core.read_reservations(content.facts["reservations"])
        facts.append(
            ("reserved", f"transactions to {transactions:,}, blocks to {blocks:,}, identities to {identities:,}")
        )
    if "origin" in content.facts:
        facts.append(("copied from", _origin(content)))
    for name, words in facts:
        print(f"{name:<12} {words}")
    types = _core.read_catalogue(content.facts.get("catalogue", b""))
    names = {number: f"{each[0]}.{each[1]}" for number, each in enumerate(types.described(), 1)}
    lines = [("type", "objects", "bytes")]
    lines += [
        (names.get(number, f"unknown type {number}"), f"{count:,}", f"{size:,}")
        for number, (count, size) in sorted(sizes.items())
    ]
    lines.append(
        ("all", f"{sum(each[0] for each in sizes.values()):,}", f"{sum(each[1] for each in sizes.values()):,}")
    )
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    print()
    for name, count, size in lines:
        print(f"{name:<{widths[0]}}  {count:>{widths[1]}}  {size:>{widths[2]}}")
    return 0


def _origin(content: Content) -> str:
    try:
        origin = json.loads(content.facts["origin"])
        return f"history {origin['history']}, transaction {origin['tid']:,}, {origin['copied']} UTC"
    except (ValueError, KeyError, TypeError):
        return "somebody wrote what cannot be read"
