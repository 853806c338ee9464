"""The small helpers of object_database.util: text, tokens, files. Logging and certificates have files of their own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from object_database.errors import InvalidArgumentError
from object_database.util import (
    closest_in,
    closest_N_in,
    distance,
    formatTable,
    genToken,
    getDirectorySize,
    indent,
    removeFileIfExists,
    secondsToHumanReadable,
    tokenFromString,
)


def test_a_table_has_a_heading_and_aligned_columns() -> None:
    assert formatTable([["name", "state"], ["a long one", 1], ["b", None]]) == (
        "name        state\n"  #
        "----------  -----\n"
        "a long one  1\n"
        "b           None"
    )


def test_tables_may_be_empty_or_ragged() -> None:
    assert formatTable([]) == ""
    assert formatTable([["only", "heading"]]) == "only  heading\n----  -------"
    assert formatTable([["a"], ["b", "c"], []]) == "a\n-  -\nb  c\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 seconds"),
        (0.126, "0.13 seconds"),
        (119, "119.00 seconds"),
        (120, "2.00 minutes"),
        (7199.0, "119.98 minutes"),
        (7200, "2.00 hours"),
        (172800, "2.00 days"),
        (864000, "10.00 days"),
        (-300, "-5.00 minutes"),
    ],
)
def test_durations_are_said_in_a_fitting_unit(seconds: float, text: str) -> None:
    assert secondsToHumanReadable(seconds) == text


def test_indent_moves_every_line_that_is_not_blank() -> None:
    assert indent("a\n\n  b\n") == "    a\n\n      b\n"
    assert indent("a\nb", 2, "-") == "--a\n--b"


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [
        ("", "", 0),
        ("same", "same", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("kitten", "sitting", 3),
        ("flaw", "lawn", 2),
        ("ab", "ba", 2),
        ([1, 2, 3], [1, 3], 1),
    ],
)
def test_distance_counts_edits(left: str, right: str, edits: int) -> None:
    assert distance(left, right) == distance(right, left) == edits


def test_the_closest_names_come_closest_first() -> None:
    names = ["install", "instances", "list", "start"]
    assert closest_in("instal", names) == "install"
    assert closest_in("lisp", iter(names)) == "list"
    assert closest_N_in("stort", names, 2) == ["start", "list"]
    assert closest_N_in("b", ["a", "c", "b"], 3) == ["b", "a", "c"]  # equals keep their order
    assert closest_N_in("x", ["a"], 5) == ["a"]
    with pytest.raises(InvalidArgumentError, match="no names that 'x' could be close to"):
        closest_in("x", [])


def test_tokens_are_random_whatever_randomness_is_asked_for() -> None:
    made = {genToken(), genToken(1), genToken(randomness=1e19)} | {genToken(1) for _ in range(100)}
    assert len(made) == 103
    assert {len(bytes.fromhex(token)) for token in made} == {32}


def test_the_token_of_a_text_is_its_hash() -> None:
    assert tokenFromString("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert tokenFromString("ä") == hashlib.sha256(b"\xc3\xa4").hexdigest()


def test_a_file_is_removed_if_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert removeFileIfExists(file) is False
    file.touch()
    assert removeFileIfExists(str(file)) is True
    assert not file.exists()
    with pytest.raises(OSError):
        removeFileIfExists(tmp_path)  # a folder


def test_the_size_of_a_folder_is_that_of_its_files_at_any_depth(tmp_path: Path) -> None:
    assert getDirectorySize(tmp_path) == 0
    (tmp_path / "a").write_bytes(bytes(1000))
    (tmp_path / "below" / "more").mkdir(parents=True)
    (tmp_path / "below" / "more" / "b").write_bytes(bytes(234))
    assert getDirectorySize(str(tmp_path)) == 1234
    os.symlink(tmp_path, tmp_path / "below" / "loop")  # counts as itself
    assert getDirectorySize(tmp_path) == 1234 + len(os.fspath(tmp_path))
    with pytest.raises(FileNotFoundError):
        getDirectorySize(tmp_path / "nowhere")
