"""What is under version control is finished, and speaks of no machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CODE = {".py", ".pyi", ".cpp", ".h", ".cmake", ".toml", ".txt", ".md", ".sh", ".yml", ".yaml", ""}

# Spelled in halves, so that this file does not contain what it forbids.
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "W" + "IP"]) + r")\b")
HOMES = ["ho" + "me", "ro" + "ot", "Us" + "ers", "wo" + "rk", "wo" + "rkspace", "op" + "t", "mn" + "t"]
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:" + "|".join(HOMES) + r")/\w")
CONFLICT = re.compile(r"^(?:<{7} |>{7} |={7}$)", re.MULTILINE)


def complaints(name: str, text: str) -> list[str]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, meaning in (
            (UNFINISHED, "unfinished work belongs in an issue, not in the code"),
            (MACHINE_PATH, "a path of one machine"),
            (CONFLICT, "an unresolved merge"),
        ):
            if match := pattern.search(line):
                found.append(f"{name}:{number}: {match[0]!r}: {meaning}")
    return found


def test_no_unfinished_work_and_no_machine_paths(root: Path, project_files: list[Path]) -> None:
    found = []
    for path in project_files:
        if path.suffix in CODE and path.name != "LICENSE":
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # a fuzz seed
            found += complaints(path.relative_to(root).as_posix(), text)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # TO" + "DO: more",
        "// FIX" + "ME",
        "path = '/ho" + "me/me/project'",
        "cd /wo" + "rk/main",
        "<" * 7 + " HEAD",
    ],
)
def test_a_wrong_line_is_found(line: str) -> None:
    assert complaints("file.py", line)


@pytest.mark.parametrize(
    "line", ["/usr/bin/env python3", "docs/home/index.md", "https://example.org/work/x", "the hackers' way"]
)
def test_a_right_line_is_left_alone(line: str) -> None:
    assert not complaints("file.py", line)
