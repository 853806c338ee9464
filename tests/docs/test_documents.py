"""The Python code of the documents runs.

Every ```python block of README.md and docs/**/*.md is run, those of one file one after the other in one program, against a
server of its own whose port takes the place of 8000. A block behind the comment `<!-- not run -->` is left out. Lines keep
their numbers, so a traceback points into the document.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from object_database import TcpServer

ROOT = Path(__file__).resolve().parents[2]
NOT_RUN = "<!-- not run -->"
ADDRESS = re.compile(r"""(?P<host>(['"])localhost\2, )8000\b""")

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>\w*)")


def code_of(text: str) -> str:
    """The document with every line blank that is not code to run."""
    lines, fence, indent, is_run = [], None, "", False
    last = ""  # the last line that says something
    for line in text.splitlines():
        opened = FENCE.match(line)
        if fence is None and opened:
            fence, indent = opened["fence"], opened["indent"]
            is_run = opened["language"] == "python" and last.strip() != NOT_RUN
            lines.append("")
        elif fence is not None and line.strip() == fence:
            fence, last = None, ""
            lines.append("")
        elif fence is not None:
            lines.append(line.removeprefix(indent) if is_run else "")
        else:
            last = line if line.strip() else last
            lines.append("")
    assert fence is None, "a block that is never closed"
    return "\n".join(lines) + "\n"


DOCUMENTS = [
    path
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    if code_of(path.read_text(encoding="utf-8")).strip()
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_code_of_a_document_runs(document: Path, tmp_path: Path) -> None:
    with TcpServer("localhost", 0, auth_token="TOKEN") as server:
        code = ADDRESS.sub(rf"\g<host>{server.port}", code_of(document.read_text(encoding="utf-8")))
        program = tmp_path / f"document_{document.stem}.py"  # types.md must not take the name of a module of Python's
        program.write_text(code, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)], capture_output=True, text=True, timeout=50, cwd=tmp_path
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_readme_has_code_that_is_run() -> None:
    assert ROOT / "README.md" in DOCUMENTS
    assert ADDRESS.search(code_of((ROOT / "README.md").read_text(encoding="utf-8")))


def test_blocks_are_found_and_keep_their_line_numbers() -> None:
    text = """\
# Title

```python
x = 1
```

```
not python
```

<!-- not run -->

```python
x = 2
```

- in a list:

  ```python
  if x:
      x = 3
  ```

```sh
ls
```
"""
    lines = code_of(text).splitlines()
    assert {number: line for number, line in enumerate(lines, 1) if line} == {4: "x = 1", 20: "if x:", 21: "    x = 3"}
    assert len(lines) == len(text.splitlines())


def test_the_port_is_replaced_and_nothing_else() -> None:
    assert ADDRESS.sub(r"\g<host>1", "connect('localhost', 8000, 'TOKEN')") == "connect('localhost', 1, 'TOKEN')"
    assert ADDRESS.sub(r"\g<host>1", 'connect("localhost", 8000)') == 'connect("localhost", 1)'
    assert ADDRESS.sub(r"\g<host>1", "x = 8000") == "x = 8000"
