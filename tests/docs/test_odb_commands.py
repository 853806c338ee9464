"""Every odb command of docs/reference/odb.md is run, one after the other, on the store that the document makes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.test_documents import code_of

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "odb.md"


def test_the_commands_of_the_document_run(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    for name in ("backup", "restore", "export", "import", "check", "stats", "schema"):
        assert any(f" {name} " in f"{command} " for command in commands), f"no example of {name}"
    subprocess.run([sys.executable, "-c", code_of(text)], cwd=tmp_path, check=True, timeout=30)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PATH": path},
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert {each.name for each in tmp_path.iterdir()} >= {"monday.sqlite", "objects.jsonl", "data2", "data3", "data4"}
