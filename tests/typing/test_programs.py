"""Programs in the annotation style pass strict type checkers with no plugin, and mistakes in them are found (D3)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.typing.checkers import (
    HERE,
    HOWTO,
    MISTAKES,
    PROGRAMS,
    Complaints,
    check_all,
    code_of_howto,
    completeness,
    differences,
    expected_lines,
)

pytestmark = pytest.mark.timeout(300)

COMPLETENESS_MIN = 1.0  # of the public names; it goes up only


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Complaints]:
    return check_all(tmp_path_factory.mktemp("checked"))


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
@pytest.mark.parametrize("path", [*PROGRAMS, *MISTAKES], ids=lambda path: path.relative_to(HERE).as_posix())
def test_a_checker_complains_where_it_should_and_nowhere_else(
    path: Path, checker: str, found: dict[str, Complaints]
) -> None:
    assert differences(path.read_text(encoding="utf-8"), checker, found[checker].get(path, {})) == []


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_checker_agrees_with_the_howto(checker: str, found: dict[str, Complaints]) -> None:
    code = code_of_howto()
    assert len(expected_lines(code, checker)) >= 8
    assert differences(code, checker, found[checker][HOWTO]) == []


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_a_checker_complains_about_these_files_only(checker: str, found: dict[str, Complaints]) -> None:
    assert set(found[checker]) <= {*PROGRAMS, *MISTAKES, HOWTO}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_what_the_checkers_pass_runs(program: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_every_public_name_has_a_known_type() -> None:
    report = completeness()["typeCompleteness"]
    counts = report["exportedSymbolCounts"]
    unknown = [each["name"] for each in report["symbols"] if each["isExported"] and not each["isTypeKnown"]]
    assert report["completenessScore"] >= COMPLETENESS_MIN, unknown
    assert counts["withKnownType"] > 700, "pyright looked at something else"


def test_there_are_programs_without_mistakes_and_mistakes_of_every_kind() -> None:
    assert len(PROGRAMS) >= 4
    for path in PROGRAMS:
        assert "# expect" not in path.read_text(encoding="utf-8")
    expected = {path: expected_lines(path.read_text(encoding="utf-8"), "mypy") for path in MISTAKES}
    assert sum(map(len, expected.values())) >= 70
    assert all(expected.values())


def test_what_was_not_expected_and_what_is_missing_are_both_told() -> None:
    text = "x: int = 'a'  # expect: error\ny = 1\nz: int = 'b'  # expect: error (pyright)\n"
    assert differences(text, "mypy", {1: ["no int"]}) == []
    assert differences(text, "mypy", {2: ["unused"]}) == ["2: unused", "1: an error was expected"]
    assert differences(text, "pyright", {1: ["no int"]}) == ["3: an error was expected"]
