"""Runs mypy --strict and pyright in strict mode over the programs of this folder and the code of the howto on type checking.

Each runs once, both at the same time, and in this folder, so that they find the package as they do for users: installed, and
not as a folder beside the program.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.docs.test_documents import NOT_RUN, code_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = sorted((HERE / "programs").glob("*.py"))
MISTAKES = sorted((HERE / "mistakes").glob("*.py"))

HOWTO = ROOT / "docs" / "howto" / "check_types.md"

# Without a cache, which would tell of a file where an earlier run had it.
MYPY = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={os.devnull}"]
PYRIGHT = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
TIMEOUT_S = 120  # of a machine that does other things too; alone they take a few seconds

# "# expect: error" at the end of a line: both checkers complain about it; "(pyright)": that one only
EXPECTED = re.compile(r"# expect: error(?: \((?P<checker>\w+)\))?$")

Complaints = dict[Path, dict[int, list[str]]]  # file -> line -> what was said


def start(command: list[str], **more: str) -> subprocess.Popen[str]:
    """A checker; without the sanitizer that the tests themselves may run under, which Node.js does not bear."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"} | more
    return subprocess.Popen(
        command, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def output_of(process: subprocess.Popen[str]) -> str:
    """What a checker said. 0 and 1 are its answers; anything else is a checker that did not work."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in (0, 1), f"{process.args}: {out}{err}"
    return out


def complaints_of_mypy(out: str) -> Complaints:
    found: Complaints = defaultdict(lambda: defaultdict(list))
    for line in out.splitlines():
        each = json.loads(line)
        if each["severity"] == "error":
            found[(HERE / each["file"]).resolve()][each["line"]].append(f"{each['message']}  [{each['code']}]")
    return found


def complaints_of_pyright(out: str) -> Complaints:
    """Warnings count too: in strict mode nothing is left that one would have to live with."""
    found: Complaints = defaultdict(lambda: defaultdict(list))
    for each in json.loads(out)["generalDiagnostics"]:
        if each["severity"] in ("error", "warning"):
            line = each["range"]["start"]["line"] + 1
            found[Path(each["file"]).resolve()][line].append(f"{each['message']}  [{each.get('rule')}]")
    return found


def code_of_howto() -> str:
    """All of its code, also that which is not run: that has the mistakes."""
    return code_of(HOWTO.read_text(encoding="utf-8").replace(NOT_RUN, ""))


def check_all(folder: Path) -> dict[str, Complaints]:
    """What each checker complains about.

    Args:  folder: where files can be made that are needed for it.
    """
    howto = folder / HOWTO.with_suffix(".py").name
    howto.write_text(code_of_howto(), encoding="utf-8")
    files = [str(path) for path in (*PROGRAMS, *MISTAKES, howto)]
    project = folder / "pyrightconfig.json"
    include = [os.path.relpath(path, folder.resolve()) for path in files]  # it knows no absolute ones
    project.write_text(json.dumps({"typeCheckingMode": "strict", "include": include}), encoding="utf-8")
    mypy = start([*MYPY, "--output=json", *files])
    pyright = start([*PYRIGHT, "--project", str(project), "--outputjson"])
    found = {"mypy": complaints_of_mypy(output_of(mypy)), "pyright": complaints_of_pyright(output_of(pyright))}
    for complaints in found.values():
        complaints[HOWTO] = complaints.pop(howto.resolve(), {})
    return found


def completeness() -> Any:
    """pyright's report about the public names of the package: how many of them have a type that is known.

    The path leads it to the sources: an editable installation has a folder with nothing but the compiled core.
    """
    command = [*PYRIGHT, "--verifytypes", "object_database", "--ignoreexternal", "--outputjson"]
    return json.loads(output_of(start(command, PYTHONPATH=str(ROOT))))


def expected_lines(text: str, checker: str) -> set[int]:
    found = set()
    for number, line in enumerate(text.splitlines(), start=1):
        match = EXPECTED.search(line)
        if match and match["checker"] in (None, checker):
            found.add(number)
    return found


def differences(text: str, checker: str, complaints: dict[int, list[str]]) -> list[str]:
    """Where a checker said something that was not expected, or did not say what was."""
    expected = expected_lines(text, checker)
    found = [f"{line}: {said}" for line in sorted(complaints.keys() - expected) for said in complaints[line]]
    return found + [f"{line}: an error was expected" for line in sorted(expected - complaints.keys())]
