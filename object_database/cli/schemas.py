"""schema show, schema diff and schema drop: what a server or a store knows of types, and taking it out again.

show and diff ask a running server like any client, or read the store beside it. drop takes the store, so its server is stopped:
programs that are connected would go on with fields that are no more.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterator

from object_database import Schema, _core, connect
from object_database.cli.copying import load_into_core, open_for_tool
from object_database.errors import StoreError
from object_database.frontends.database_server import token_of
from object_database.persistence import Group, State
from object_database.store_options import store_of
from object_database.store_readers import Content, reader_of
from object_database.util_progress import Progress

__all__ = ["diff", "drop", "show"]

_ANSWER_S = 10.0
_NOTHING_TO_DO = "the schema is there as it is; nothing would change"


# ---- what there is


def catalogue_of(options: argparse.Namespace) -> bytes:
    """Of the server or the store that the options name."""
    if options.server is None:
        with reader_of(store_of(options, must_exist=True)) as reader:
            return reader.content.facts.get("catalogue", b"")
    host, colon, port = options.server.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"--server takes HOST:PORT; {options.server!r} was given")
    with connect(host.strip("[]"), int(port), token_of(options)) as db:
        return bytes(db._catalogue(_ANSWER_S))


def show(options: argparse.Namespace) -> int:
    types = _core.schema_types(catalogue_of(options))
    if options.name is not None:
        types = [each for each in types if options.name in (each[0], f"{each[0]}.{each[1]}")]
        if not types:
            raise ValueError(f"there is no schema or type {options.name}")
    for schema, name, fingerprint, fields, indexes in sorted(types):
        print(f"{schema}.{name}  (fingerprint {fingerprint:016x})")
        lines = [(field, text) for field, text in fields]
        lines += [
            (index, f"{'unique index' if is_unique else 'index'} over {', '.join(over)}")
            for index, over, is_unique in indexes
        ]
        width = max((len(each) for each, _ in lines), default=0)
        for member, words in lines:
            print(f"    {member:<{width}}  {words}")
    return 0


# ---- what a program would change


def diff(options: argparse.Namespace) -> int:
    """Exit code 1 when something is refused."""
    catalogue = catalogue_of(options)
    is_refused = False
    for schema in schemas_named(options.module):
        schema.freeze()
        changes = _core.schema_changes(catalogue, schema.name, schema._database_types())
        print(f"{schema.name}: {_NOTHING_TO_DO}" if not changes else f"{schema.name}:")
        for kind, where, what in changes:
            refused = kind.startswith("is refused")
            is_refused = is_refused or refused
            print(f"    refused: {what}" if refused else f"    {kind} {where}: {what}")
    return 1 if is_refused else 0


def schemas_named(words: str) -> list[Schema]:
    """Of `module` or `module:schema`. Raises ValueError with a sentence for the user."""
    module_name, _, wanted = words.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as python -m does; a script in a bin directory has its own there
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"the module {module_name} cannot be imported: {error}") from error
    except Exception as error:  # whatever a program does wrong; exit code 1 would say that a change is refused
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise ValueError(
            f"the module {module_name} cannot be imported: {type(error).__name__} in {at.filename}, line {at.lineno}: {error}"
        ) from error
    found = {name: each for name, each in vars(module).items() if isinstance(each, Schema) and each.name != "core"}
    if wanted:
        found = {name: each for name, each in found.items() if wanted in (name, each.name)}
    if not found:
        raise ValueError(f"{module_name} has no schema {wanted}".rstrip())
    return list({id(each): each for each in found.values()}.values())


# ---- taking something out


def drop(options: argparse.Namespace) -> int:
    store = store_of(options, must_exist=True)
    with reader_of(store_of(options, must_exist=True)):
        pass  # raises where there is no store: opening one would make it
    kind = "field" if options.field else "index" if options.index else "any"
    state = open_for_tool(store)
    try:
        catalogue = state.facts.get("catalogue", b"")
        dropped, number, field, is_index = _core.catalogue_without(catalogue, options.name, kind)
        kept: list[tuple[int, int, bytes]] = []
        changed: list[tuple[int, int, bytes | None]] = []
        with Progress("reading") as said:
            for batch in store.load():
                new: dict[int, bytes | None] = {}
                if not is_index and field is None:
                    new = {object_id: None for object_id, type_number, _ in batch if type_number == number}
                elif field is not None:
                    new = {each[0]: each[2] for each in _core.rows_without(catalogue, number, field, batch)}
                for object_id, type_number, row in batch:
                    after = new.get(object_id, row)
                    if object_id in new:
                        changed.append((object_id, type_number, after))
                    if after is not None:
                        kept.append((object_id, type_number, after))
                said(len(kept), max(len(kept), state.object_count))
        print(f"{options.name}: {_told(len(changed), field, is_index)}")
        if not options.yes and not _is_confirmed():
            print("nothing was changed")
            return 2
        facts = {**state.facts, "catalogue": dropped}
        last_tid = state.last_tid + 1  # it is a transaction: nobody who was there before takes it for what he knows
        reserved = _core.read_reservations(facts["reservations"]) if "reservations" in facts else (0, 0, 0)
        facts["reservations"] = _core.write_reservations(max(reserved[0], last_tid), *reserved[1:])
        _verify(state, last_tid, facts, kept)
        changed_facts = {name: facts[name] for name in ("catalogue", "reservations")}
        store.apply(Group(state.epoch, state.last_tid, last_tid, changed, changed_facts))
    finally:
        store.close()
    print(f"{options.name} is dropped; the name can be defined anew")
    return 0


def _told(count: int, field: int | None, is_index: bool) -> str:
    if is_index:
        return "an index; no object loses anything"
    if field is None:
        return f"a type; {count:,} objects are deleted"
    return f"a field; {count:,} objects lose its value"


def _is_confirmed() -> bool:
    if not sys.stdin.isatty():
        raise StoreError("nobody is there to be asked: give --yes; odb backup keeps what is there now")
    return input("Drop it for good? odb backup keeps what is there now. [y/N] ").strip().lower() in ("y", "yes")


def _verify(state: State, last_tid: int, facts: dict[str, bytes], rows: list[tuple[int, int, bytes]]) -> None:
    """That a server starts from it, before anything is replaced."""

    def batches() -> Iterator[list[tuple[int, int, bytes]]]:
        for start in range(0, len(rows), 10_000):
            yield rows[start : start + 10_000]

    with Progress("checking") as said:
        content = Content(1, state.history, state.epoch, last_tid, facts, len(rows), {})
        load_into_core(content, batches(), said)
