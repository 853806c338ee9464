"""odb without processes: values as JSON, what import refuses, files that appear whole, and how progress is shown."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from object_database import InMemServer, _core
from object_database.cli import main
from object_database.cli.copying import whole_file
from object_database.cli.lines import read_lines, read_value, write_value
from object_database.errors import InvalidArgumentError, StoreCorruptError
from object_database.persistence import SqlitePersistence
from object_database.util_progress import Progress

ANYTHING = "oneof(none,bool,int,float,str,bytes,ref(shop.Order))"
FIELDS = [("a", ANYTHING, None), ("b", ANYTHING, True), ("c", "int", 5), ("d", "float", 0.5)]
CATALOGUE = [("shop", "Order", FIELDS, [("by_a", [0, 2], True), ("plain", [0], False)]), ("core.x", "Y", [], [])]
NUMBERS = {"shop.Order": 1, "core.x.Y": 2}
NAMES = list(NUMBERS)
INTS = st.integers(-(1 << 63), (1 << 63) - 1)

values = st.one_of(
    st.none(),
    st.booleans(),
    INTS,
    st.floats(),
    st.text(),
    st.binary(),
    st.tuples(st.just(1), st.integers(0, (1 << 63) - 1)),
)


@pytest.fixture(scope="module")
def types() -> _core.StoredTypes:
    return _core.read_catalogue(_core.write_catalogue(CATALOGUE))


def exact(value: Any) -> Any:
    """Tells 1, 1.0, True and the two zeroes apart, and NaN from nothing."""
    return (type(value), struct.pack(">d", value) if isinstance(value, float) and value == value else repr(value))


# ---- the catalogue and the rows


def test_a_catalogue_comes_back_as_it_was(types: _core.StoredTypes) -> None:
    assert types.described() == CATALOGUE


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first text takes a second
@given(st.fixed_dictionaries({}, optional={"a": values, "b": values, "c": INTS, "d": st.floats()}))
@example({"a": 1 << 53, "b": (1 << 53) + 1})
@example({"a": -0.0, "b": 0.0, "d": math.nan})
@example({"a": 1, "b": 1.0})
@example({"a": '{"ref":', "b": b""})
def test_every_value_comes_back_from_json_bit_by_bit(types: _core.StoredTypes, fields: dict[str, Any]) -> None:
    row = types.encode_row(1, fields)
    decoded = types.decode_row(1, row)
    assert {name: exact(value) for name, value in decoded.items()} == {n: exact(v) for n, v in fields.items()}
    text = json.dumps({name: write_value(value, NAMES) for name, value in decoded.items()}, allow_nan=False)
    again = {name: read_value(value, NUMBERS) for name, value in json.loads(text).items()}
    assert types.encode_row(1, again) == row


def test_what_other_programs_write_as_a_whole_number_becomes_a_float_where_only_that_fits(
    types: _core.StoredTypes,
) -> None:
    assert exact(types.decode_row(1, types.encode_row(1, {"d": 3}))["d"]) == exact(3.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"c": "five"}, "shop.Order.c takes int; 'five' was given"),
        ({"c": 1 << 63}, "shop.Order.c takes int; 9223372036854775808 was given"),
        ({"c": True}, "shop.Order.c takes int; True was given"),
        ({"d": 10**400}, "shop.Order.d takes float; 1000"),
        ({"a": (2, 5)}, "shop.Order.a takes oneof"),
        ({"a": (1, -5)}, "shop.Order.a takes oneof"),
        ({"a": "\ud800"}, "shop.Order.a takes oneof"),
        ({"a": []}, "shop.Order.a takes oneof"),
        ({"a": 1, "z": 1}, "shop.Order has no field z"),
    ],
)
def test_what_a_field_does_not_take_is_refused_by_name(
    types: _core.StoredTypes, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        types.encode_row(1, fields)
    assert words in str(refused.value)


def test_damaged_rows_and_catalogues_are_told(types: _core.StoredTypes) -> None:
    row = types.encode_row(1, {"c": 5})
    for damaged in (row[:-1], row + b"\0", b"", b"\xff\xff\xff\xff\xff"):
        with pytest.raises(StoreCorruptError):
            types.decode_row(1, damaged)
    with pytest.raises(StoreCorruptError, match="a type that is not in the catalogue: 3"):
        types.decode_row(3, row)
    with pytest.raises(StoreCorruptError, match="cannot be read"):
        _core.read_catalogue(b"\x05abc")
    with pytest.raises(StoreCorruptError, match="reservations"):
        _core.read_reservations(b"\x01")


def test_unique_keys_are_told_where_nothing_is_none(types: _core.StoredTypes) -> None:
    keys = [types.unique_keys(1, types.encode_row(1, fields)) for fields in ({"a": 1}, {"a": 1, "c": 5}, {"c": 5})]
    assert keys[0] == keys[1]  # 5 is the default of c
    assert [index for index, _ in keys[0]] == [0]
    assert keys[2] == []


# ---- import


HEADER: dict[str, Any] = {
    "format": "object_database",
    "version": 1,
    "history": "00" * 16,
    "tid": 7,
    "objects": 1,
    "reservations": {"transactions": 1000, "blocks": 1, "identities": 0},
    "catalogue": [
        {
            "schema": "shop",
            "name": "Order",
            "fields": [{"name": "number", "type": "int", "default": 0}],
            "indexes": [{"name": "number", "fields": ["number"], "unique": True}],
        }
    ],
}
OBJECT: dict[str, Any] = {"type": "shop.Order", "id": 100_000_000, "fields": {"number": 5}}


def lines_of(*parts: Any) -> io.StringIO:
    return io.StringIO("".join((part if isinstance(part, str) else json.dumps(part)) + "\n" for part in parts))


def test_lines_become_rows() -> None:
    content, rows = read_lines(lines_of(HEADER, OBJECT), "f")
    assert (content.last_tid, content.object_count) == (7, 1)
    assert [row[:2] for row in rows] == [(100_000_000, 1)]
    assert _core.read_reservations(content.facts["reservations"]) == (1000, 1, 0)


def test_an_identity_that_somebody_wrote_into_the_file_is_reserved() -> None:
    content, _ = read_lines(
        lines_of({**HEADER, "objects": 2}, {**OBJECT, "id": 7_300_000_000}, {**OBJECT, "id": 9, "fields": {}}), "f"
    )
    assert _core.read_reservations(content.facts["reservations"]) == (1000, 73, 9)


def header_with(**changes: Any) -> list[Any]:
    return [{**HEADER, **changes}, OBJECT]


def catalogue_with(**changes: Any) -> list[Any]:
    return header_with(catalogue=[{**HEADER["catalogue"][0], **changes}])


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "f, line 1: the file is empty"),
        (["no json"], "f, line 1: Expecting value"),
        ([[]], "f, line 1: it is no object of JSON"),
        ([{}], "f, line 1: this is no export of object_database"),
        (header_with(version=2), "f, line 1: version 2 of the format, and this release reads 1"),
        (header_with(tid="x"), 'f, line 1: "tid", "objects" and "reservations" are numbers'),
        (header_with(tid=1 << 70), 'f, line 1: "tid", "objects" and "reservations" are numbers'),
        (header_with(objects=-1), 'f, line 1: "tid", "objects" and "reservations" are numbers'),
        (header_with(reservations={}), "f, line 1: the first line is not what export writes: KeyError"),
        (header_with(history="ab"), 'f, line 1: "history" has 1 bytes instead of 16'),
        (header_with(catalogue=[{}]), "f, line 1: the first line is not what export writes: KeyError: 'schema'"),
        (header_with(catalogue=HEADER["catalogue"] * 2), "f, line 1: shop.Order is in its catalogue twice"),
        (catalogue_with(name="Or der"), "f, line 1: type 1 has an impossible name"),
        (
            catalogue_with(fields=[{"name": "number", "type": "int", "default": "x"}]),
            "f, line 1: the default of shop.Order.number takes int; 'x' was given",
        ),
        ([{**HEADER, "objects": 2}, OBJECT], "f, line 2: the file ends here with 1 objects, and began with 2"),
        ([HEADER, OBJECT, OBJECT], "f, line 3: object 100000000 is there twice"),
        ([HEADER, {**OBJECT, "type": "shop.X"}], "f, line 2: type 'shop.X' is not in the catalogue"),
        ([HEADER, {**OBJECT, "type": ["shop.Order"]}], "f, line 2: type ['shop.Order'] is not in the catalogue"),
        (
            [{**HEADER, "objects": 2}, OBJECT, {**OBJECT, "id": 100_000_001}],
            "f, line 3: shop.Order 100000001 has the same number as 100000000, and number is unique",
        ),
        ([HEADER, {**OBJECT, "id": (1 << 62) - 1}], "f, line 2: 4611686018427387903 is no id of an object"),
        ([HEADER, {**OBJECT, "fields": {"number": {"int": "1_0"}}}], 'f, line 2: shop.Order.number: {"int": "1_0"} is'),
        ([HEADER, {**OBJECT, "fields": {"number": {"ref": [], "id": 1}}}], "f, line 2: shop.Order.number: a reference"),
        ([HEADER, {**OBJECT, "id": 0}], "f, line 2: 0 is no id of an object"),
        ([HEADER, {**OBJECT, "id": True}], "f, line 2: True is no id of an object"),
        ([HEADER, {**OBJECT, "more": 1}], "f, line 2: an object is"),
        ([HEADER, {**OBJECT, "fields": {"number": "x"}}], "f, line 2: shop.Order.number takes int; 'x' was given"),
        (
            [HEADER, {**OBJECT, "fields": {"number": []}}],
            "f, line 2: shop.Order.number takes int; {'tuple': []} was given",
        ),
        ([HEADER, {**OBJECT, "fields": {"number": {"a": 1}}}], 'f, line 2: shop.Order.number: {"a": 1} is no value'),
        (
            [HEADER, {**OBJECT, "fields": {"number": {"ref": "x.Y", "id": 1}}}],
            "f, line 2: shop.Order.number: a reference to 'x.Y', which is not in the catalogue",
        ),
        ([HEADER, '{"type":"shop.Order","id":1,"fields":{"number":NaN}}'], "f, line 2: NaN is not JSON"),
        ([HEADER, "[" * 100_000], "f, line 2: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(parts: list[Any], words: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_lines(lines_of(*parts), "f")
    assert str(refused.value).startswith(words)


# ---- files and progress


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(KeyboardInterrupt), whole_file(path) as partial:
        partial.write_text("half")
        Path(f"{partial}-wal").write_text("beside")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_program_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    program = f"""
import os, pathlib, sys
from object_database.cli.copying import whole_file
with whole_file(pathlib.Path({str(tmp_path / "a")!r})) as partial:
    partial.write_text("half")
    pathlib.Path(f"{{partial}}-wal").write_text("beside")
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with whole_file(tmp_path / "a") as partial:
            partial.write_text("whole")
        left = sorted(each.name for each in tmp_path.iterdir())
        assert left == [f".a.{other.pid}.partial", f".a.{other.pid}.partial-wal", "a"]
        other.kill()
    with whole_file(tmp_path / "a", overwrite=True) as partial:
        partial.write_text("whole again")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_file_that_is_there_is_kept_unless_it_may_go(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(ValueError, match="is there already"), whole_file(path):
        pass
    with pytest.raises(ValueError, match="is a directory"), whole_file(tmp_path):
        pass
    with pytest.raises(ValueError, match="there is no directory"), whole_file(tmp_path / "b" / "c"):
        pass
    with pytest.raises(ZeroDivisionError), whole_file(path, overwrite=True) as partial:
        partial.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    with whole_file(path, overwrite=True) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"


def test_a_store_is_not_overwritten_by_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "objects.sqlite"
    with InMemServer(kvstore=SqlitePersistence(path), auth_token="t"), pytest.raises(ValueError, match="a server work"):
        with whole_file(path, overwrite=True):
            pass
    with pytest.raises(ValueError, match="worked with"), whole_file(path, overwrite=True):
        pass
    moved = tmp_path / "moved"
    path.rename(moved)
    same = tmp_path / "same"
    same.symlink_to(moved)
    for each in (moved, same):
        with pytest.raises(ValueError, match="is that very store"):
            with whole_file(each, True, SqlitePersistence(moved)):
                pass
    with whole_file(moved, overwrite=True) as partial:  # nothing lies beside it: nobody tells it from a backup
        partial.write_text("copy")
    assert moved.read_text() == "copy"


def test_a_disk_that_is_full_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    with pytest.raises(OSError, match=r"No space left on device: '.*copy'"), whole_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_store_is_not_copied_onto_itself(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "objects.sqlite"
    with SqlitePersistence(path) as store:
        store.open()
    assert main(["--data-dir", str(tmp_path), command, str(path), "--overwrite"]) == 2
    assert "is that very store: name another file" in capsys.readouterr().err
    with SqlitePersistence(path) as store:
        assert store.open().object_count == 0


def test_elsewhere_than_on_a_terminal_progress_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("loading") as said:
        for done in (1_000, 2_000, 3_000, 4_000):
            said(done, 4_000, done / 1_000)
    assert capsys.readouterr().err == "loading: 4,000 of 4,000 objects, 1,000/s\n"


def test_on_a_terminal_progress_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with pytest.raises(ZeroDivisionError), Progress("loading") as said:
        said(1_000, 4_000, 1.0)
        said(1_001, 4_000, 1.1)  # too soon
        said(2_000, 4_000, 2.0)
        raise ZeroDivisionError
    assert capsys.readouterr().err == (
        "\r\x1b[Kloading [######                  ] 1,000 of 4,000 objects, 1,000/s, 3 s left"
        "\r\x1b[Kloading [############            ] 2,000 of 4,000 objects, 1,000/s, 2 s left\n"
    )
