"""export and import: a store as JSON lines.

    {"format": "object_database", "version": 1, "history": ..., "tid": ..., "objects": ..., "reservations": ..., "catalogue": ...}
    {"type": "shop.Order", "id": 100000064, "fields": {"number": 5, "by": {"ref": "shop.Customer", "id": 100000001}}}

JSON has no word for some values. What stands in braces: {"ref": type, "id": object}, {"bytes": base64},
{"float": "nan" | "inf" | "-inf"}, and {"int": "9007199254740993"} beyond 2**53, where many programs read another number;
{"datetime": "2026-01-31T12:00:00+01:00"}, {"date": ...}, {"time": ...}, {"timedelta": microseconds}, {"decimal": "1.50"},
{"uuid": ...}; {"set": [...]}, {"dict": [[key, value], ...]}, {"record": tag, "fields": fields},
{"alternative": tag, "arm": number, "fields": fields}, {"codec": name, "value": value}, {"pickle": base64}. A list is a
tuple. Fields of records are [mark, value], the mark one of "<", "=", ">": how the rest of the record, from this field on,
compares with the defaults; fields at the end that are as the default are not there.
A field that is missing has the default of the catalogue. Every value comes back bit by bit; the types' numbers are their
places in the catalogue.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from object_database import _core
from object_database.cli.copying import Row, filling, origin_of, try_again, whole_file
from object_database.errors import ObjectDatabaseError
from object_database.identity import IDENTITY_BLOCK_SIZE
from object_database.persistence_interface import HISTORY_BYTES
from object_database.store_options import store_of
from object_database.store_readers import Content, StoreReader, reader_of
from object_database.util_progress import Progress

__all__ = ["export_lines", "import_lines", "read_lines", "read_value", "write_value"]

FORMAT = "object_database"
VERSION = 1
_RESERVED = ("transactions", "blocks", "identities")
_INT_MAX = 1 << 53
_INT = re.compile(r"-?[0-9]{1,20}")
_NUMBER_MAX = (1 << 62) - 1  # of transactions
_ID_MAX = _core.IDENTITY_MAX - 2 * IDENTITY_BLOCK_SIZE  # what is given next has room above
_MARKS = "<=>"  # in the order of their numbers, 1 to 3
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# class -> its word, and how a value becomes a str and comes back
_WORDS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: (
        "timedelta",
        lambda it: str(it // timedelta(microseconds=1)),
        lambda it: timedelta(microseconds=int(it)),
    ),
    Decimal: ("decimal", str, Decimal),
    UUID: ("uuid", str, UUID),
}


# ---- export


def export_lines(options: argparse.Namespace) -> int:
    source = store_of(options, must_exist=True)
    if options.file == "-":
        stdout = _not_closed(sys.stdout, "stdout")
        _write(reader_of(source, is_busy=True), stdout)  # nothing of it can be taken back
        stdout.flush()
        return 0
    with whole_file(Path(options.file), options.overwrite, source) as path:

        def attempt(is_busy: bool) -> Content:
            with path.open("w", encoding="utf-8", newline="\n") as out:
                return _write(reader_of(source, is_busy), out)

        content = try_again(attempt)
    print(f"{options.file}: {content.object_count:,} objects at transaction {content.last_tid}")
    return 0


def _write(unopened: StoreReader, out: TextIO) -> Content:
    with unopened as reader, Progress("exporting") as said:
        content = reader.content
        types = _core.read_catalogue(content.facts.get("catalogue", b""))
        described = types.described()
        names = [f"{schema}.{name}" for schema, name, _, _ in described]
        out.write(_line(_header(content, described, names)))
        done = 0
        for batch in reader.rows():
            for object_id, number, row in batch:
                try:
                    values = types.decode_row(number, row)
                except ObjectDatabaseError as error:
                    raise type(error)(f"object {object_id} {error}") from None
                fields = {field: write_value(value, names) for field, value in values.items()}
                out.write(_line({"type": names[number - 1], "id": object_id, "fields": fields}))
            done += len(batch)
            said(done, max(done, content.object_count))
        reader.confirm()
        return content


def _header(content: Content, described: list[Any], names: list[str]) -> dict[str, Any]:
    reserved = _core.read_reservations(content.facts["reservations"]) if "reservations" in content.facts else (0, 0, 0)
    catalogue = [
        {
            "schema": schema,
            "name": name,
            "fields": [
                {"name": field, "type": text, "default": write_value(default, names)} for field, text, default in fields
            ],
            "indexes": [
                {"name": index, "fields": [fields[number][0] for number in numbers], "unique": is_unique}
                for index, numbers, is_unique in indexes
            ],
        }
        for schema, name, fields, indexes in described
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "history": content.history.hex(),
        "tid": content.last_tid,
        "objects": content.object_count,
        "reservations": dict(zip(_RESERVED, reserved, strict=True)),
        "catalogue": catalogue,
    }


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def write_value(value: Any, names: list[str]) -> Any:
    """A value as JSON has it. names: of the types, by number - 1."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _INT_MAX:
        return {"int": str(value)}
    if isinstance(value, bytes):
        return {"bytes": _base64(value)}
    if isinstance(value, tuple):
        return {"ref": names[value[0] - 1], "id": value[1]}
    if isinstance(value, dict):
        return _write_made(*next(iter(value.items())), names)
    if type(value) in _WORDS:
        name, write, _ = _WORDS[type(value)]
        return {name: write(value)}
    return value


def _write_made(kind: str, content: Any, names: list[str]) -> Any:
    """What is made of other values, as _core.StoredTypes has it: {kind: content}."""
    if kind == "tuple":
        return [write_value(item, names) for item in content]
    if kind == "set":
        return {"set": [write_value(item, names) for item in content]}
    if kind == "dict":
        return {"dict": [[write_value(key, names), write_value(item, names)] for key, item in content]}
    if kind == "codec":
        return {"codec": content[0], "value": write_value(content[1], names)}
    if kind == "pickle":
        return {"pickle": _base64(content)}
    *head, parts = content
    fields = [[_MARKS[mark - 1], write_value(item, names)] for mark, item in parts]
    return {kind: head[0], **({"arm": head[1]} if kind == "alternative" else {}), "fields": fields}


def read_value(value: Any, numbers: dict[str, int]) -> Any:
    """The other direction. Raises ValueError."""
    if isinstance(value, list):
        return {"tuple": [read_value(item, numbers) for item in value]}
    if not isinstance(value, dict):
        return value
    found = value.keys()
    if found == {"ref", "id"}:
        if not isinstance(value["ref"], str) or value["ref"] not in numbers:
            raise ValueError(f"a reference to {value['ref']!r}, which is not in the catalogue")
        return numbers[value["ref"]], value["id"]
    word = next(iter(value.values()), None)
    if len(found) == 1 and isinstance(word, str):
        if "bytes" in found:
            return base64.b64decode(word, validate=True)
        if "int" in found and _INT.fullmatch(word):
            return int(word)
        if "float" in found and word in _FLOATS:
            return _FLOATS[word]
        if "pickle" in found:
            return {"pickle": base64.b64decode(word, validate=True)}
        for kind, (name, _, read) in _WORDS.items():
            if name in found:
                return _read_word(kind, read, word)
    made = _read_made(value, found, numbers)
    if made is not None:
        return made
    raise ValueError(f"{json.dumps(value)[:100]} is no value")


def _read_word(kind: type, read: Callable[[str], Any], word: str) -> Any:
    try:
        return read(word)
    except (ArithmeticError, ValueError, OverflowError):
        raise ValueError(f"{word!r} is no {kind.__name__}") from None


def _read_made(value: dict[str, Any], found: Set[str], numbers: dict[str, int]) -> Any:
    if found == {"set"} and isinstance(value["set"], list):
        return {"set": [read_value(item, numbers) for item in value["set"]]}
    if found == {"dict"} and _are_pairs(value["dict"]):
        return {"dict": [(read_value(key, numbers), read_value(item, numbers)) for key, item in value["dict"]]}
    if found == {"codec", "value"}:
        return {"codec": (value["codec"], read_value(value["value"], numbers))}
    if found in ({"record", "fields"}, {"alternative", "arm", "fields"}) and _are_pairs(value["fields"]):
        if all(mark in _MARKS for mark, _ in value["fields"]):
            fields = [(_MARKS.index(mark) + 1, read_value(item, numbers)) for mark, item in value["fields"]]
            return {"record": (value["record"], fields)} if "record" in found else _alternative(value, fields)
    return None


def _alternative(value: dict[str, Any], fields: list[Any]) -> Any:
    return {"alternative": (value["alternative"], value["arm"], fields)}


def _are_pairs(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, list) and len(item) == 2 for item in items)


# ---- import


def import_lines(options: argparse.Namespace) -> int:
    target = store_of(options)
    with _opened(options.file) as lines, filling(target, options.overwrite) as fill:
        content, rows = read_lines(lines, "stdin" if options.file == "-" else options.file)
        fill(content, rows)
    print(f"{len(rows):,} objects of transaction {content.last_tid} are in {reader_of(target).where}")
    return 0


def _opened(file: str) -> AbstractContextManager[TextIO]:
    if file == "-":
        return nullcontext(_not_closed(sys.stdin, "stdin"))
    # Bytes that are no text stay what they are, and are refused with the number of their line.
    return open(file, encoding="utf-8", errors="surrogateescape", newline="\n")


def _not_closed(stream: TextIO | None, name: str) -> TextIO:
    if stream is None:  # Python's word for a descriptor that was closed when it started
        raise ValueError(f"{name} is closed: name a file")
    return stream


def read_lines(lines: Iterable[str], where: str) -> tuple[Content, list[Row]]:
    """Raises ValueError that names the line."""
    number = 0

    def each() -> Iterator[dict[str, Any]]:
        nonlocal number
        for number, line in enumerate(lines, 1):  # noqa: B007 - it is for the message below
            found = json.loads(line, parse_constant=_no_constant)
            if not isinstance(found, dict):
                raise ValueError("it is no object of JSON")
            yield found

    try:
        parsed = each()
        header = next(parsed, None)
        if header is None:
            number = 1
            raise ValueError("the file is empty")
        content, types, numbers = _read_header(header)
        rows: list[Row] = []
        seen: set[int] = set()
        holders: dict[tuple[int, int, bytes], int] = {}  # type, index, key -> object
        with Progress("reading") as said:
            for found in parsed:
                object_id, number_of_type, row = _read_object(found, types.encode_row, numbers, seen)
                for index, key in types.unique_keys(number_of_type, row):
                    other = holders.setdefault((number_of_type, index, key), object_id)
                    if other != object_id:
                        name = types.described()[number_of_type - 1][3][index][0]
                        raise ValueError(
                            f"{found['type']} {object_id} has the same {name} as {other}, and {name} is unique"
                        )
                rows.append((object_id, number_of_type, row))
                if len(rows) % 10_000 == 0:
                    said(len(rows), max(content.object_count, len(rows) + 1))
            if len(rows) != content.object_count:
                raise ValueError(
                    f"the file ends here with {len(rows):,} objects, and began with {content.object_count:,}: it is cut off, "
                    'or "objects" in its first line is to be changed'
                )
            said(len(rows), len(rows))
    except (ObjectDatabaseError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}, line {number}: {error}") from None
    return _with_reservations(content, seen), rows


def _no_constant(word: str) -> None:
    raise ValueError(f'{word} is not JSON: {{"float": "{word.lower()}"}}, perhaps')


def _read_header(header: dict[str, Any]) -> tuple[Content, Any, dict[str, int]]:
    if header.get("format") != FORMAT:
        raise ValueError("this is no export of object_database")
    if header.get("version") != VERSION:
        raise ValueError(f"version {header.get('version')} of the format, and this release reads {VERSION}")
    try:
        reserved = header["reservations"]
        counted = [header["tid"], header["objects"], *(reserved[name] for name in _RESERVED)]
        if any(type(each) is not int or not 0 <= each <= _NUMBER_MAX for each in counted):
            raise ValueError('"tid", "objects" and "reservations" are numbers from 0 to 2^62')
        history = bytes.fromhex(header["history"])
        if len(history) not in (0, HISTORY_BYTES):
            raise ValueError(f'"history" has {len(history)} bytes instead of {HISTORY_BYTES}')
        given = header["catalogue"]
        numbers = {f"{each['schema']}.{each['name']}": place for place, each in enumerate(given, 1)}
        described = []
        for each in given:
            places = {field["name"]: place for place, field in enumerate(each["fields"])}
            fields = [(f["name"], f["type"], read_value(f["default"], numbers)) for f in each["fields"]]
            indexes = [(i["name"], [places[name] for name in i["fields"]], i["unique"]) for i in each["indexes"]]
            described.append((each["schema"], each["name"], fields, indexes))
        catalogue = _core.write_catalogue(described)
        facts = {
            "catalogue": catalogue,
            "reservations": _core.write_reservations(
                max(reserved["transactions"], header["tid"]), reserved["blocks"], reserved["identities"]
            ),
        }
        content = Content(1, history, 0, header["tid"], facts, header["objects"], {})
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"the first line is not what export writes: {type(error).__name__}: {error}") from None
    if content.history:
        content.facts["origin"] = origin_of(content)
    return content, _core.read_catalogue(catalogue), numbers


def _read_object(
    found: dict[str, Any], encode: Callable[[int, dict[str, Any]], bytes], numbers: dict[str, int], seen: set[int]
) -> Row:
    if found.keys() != {"type", "id", "fields"} or not isinstance(found["fields"], dict):
        raise ValueError('an object is {"type": ..., "id": ..., "fields": {...}}')
    number, object_id = numbers.get(str(found["type"])), found["id"]
    if number is None:
        raise ValueError(f"type {found['type']!r} is not in the catalogue")
    if type(object_id) is not int or not 0 < object_id <= _ID_MAX:
        raise ValueError(f"{object_id!r} is no id of an object")
    if object_id in seen:
        raise ValueError(f"object {object_id} is there twice")
    seen.add(object_id)
    values = {}
    for field, value in found["fields"].items():
        try:
            values[field] = read_value(value, numbers)
        except ValueError as error:
            raise ValueError(f"{found['type']}.{field}: {error}") from None
    return object_id, number, encode(number, values)


def _with_reservations(content: Content, ids: set[int]) -> Content:
    """Whatever people have added to the file: no identity that it has may be given to somebody else."""
    transactions, blocks, identities = _core.read_reservations(content.facts["reservations"])
    if ids:
        blocks = max(blocks, max(ids) // IDENTITY_BLOCK_SIZE)
        identities = max(identities, max((each for each in ids if each < IDENTITY_BLOCK_SIZE), default=0))
    return content._replace(
        facts={**content.facts, "reservations": _core.write_reservations(transactions, blocks, identities)}
    )
