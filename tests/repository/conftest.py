"""What the repository tests look at: the files that are, or would be, under version control."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".git", "build", "dist", "__pycache__"}


def files_of_git() -> list[Path] | None:
    """Tracked files, and new ones that are not ignored; None outside a clone (an unpacked archive)."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [ROOT / name for name in os.fsdecode(listing).split("\0") if name]


def files_on_disk() -> list[Path]:
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.startswith((".venv", "."))]
        found += [Path(folder, name) for name in names]
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Every file of the project that exists, in a stable order."""
    return sorted(path for path in files_of_git() or files_on_disk() if path.is_file())
