"""Links between the documents lead somewhere, and what can be run says so."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
EXPLICIT_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


def anchors(text: str) -> set[str]:
    """Anchors of a document as code hosts make them: lower case, words joined by '-', a number for a repeated heading."""
    text = FENCE.sub("", text)
    found: set[str] = set(EXPLICIT_ANCHOR.findall(text))
    for heading in HEADING.findall(text):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        name, repeat = anchor, 0
        while name in found:
            repeat += 1
            name = f"{anchor}-{repeat}"
        found.add(name)
    return found


def complaints(document: Path, root: Path) -> list[str]:
    """Relative links of a document that lead nowhere, or out of the project."""
    text = INLINE_CODE.sub("``", FENCE.sub("", document.read_text()))
    found = []
    for link in LINK.findall(text) + REFERENCE.findall(text):
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / unquote(path)).resolve() if path else document
        where = f"{document.relative_to(root)}: ({link})"
        if not target.is_relative_to(root):
            found.append(f"{where} leads out of the project")
        elif not target.exists():
            found.append(f"{where} does not exist")
        # The case of an anchor is the host's to ignore: README.md#Installation finds "## Installation".
        elif anchor and target.suffix == ".md" and anchor.lower() not in anchors(target.read_text()):
            found.append(f"{where} has no such heading; it has {', '.join(sorted(anchors(target.read_text())))}")
    return found


def test_links_of_the_documents_lead_somewhere(root: Path, project_files: list[Path]) -> None:
    documents = [path for path in project_files if path.suffix == ".md"]
    assert documents
    found = [line for document in documents for line in complaints(document, root)]
    assert not found, "\n".join(found)


def complaint_about_mode(is_executable: bool, first_bytes: bytes) -> str | None:
    if is_executable and not first_bytes.startswith(b"#!"):
        return "is executable and has no '#!' line"
    if first_bytes.startswith(b"#!") and not is_executable:
        return "has a '#!' line and is not executable"
    return None


def test_executable_bits_and_shebangs_agree(root: Path, project_files: list[Path]) -> None:
    found = []
    for path in project_files:
        with path.open("rb") as file:
            complaint = complaint_about_mode(os.access(path, os.X_OK), file.read(2))
        if complaint:
            found.append(f"{path.relative_to(root)} {complaint}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "link",
    [
        "[a](gone.md)",
        "[a](other.md#nowhere)",
        "[a](#nowhere)",
        "[a](../../outside.md)",
        "[a]: gone.md",
        "[![a](gone.png)](other.md)",
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    (tmp_path / "other.md").write_text("# Here\n")
    document = tmp_path / "document.md"
    document.write_text(f"# Title\n\n{link}\n")
    assert complaints(document, tmp_path)


def test_good_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Two `words`, here\n\n# Again\n\n# Again\n")
    document = tmp_path / "document.md"
    document.write_text(
        "# Title\n\n[a](other.md#two-words-here) [b](#title) [c](https://example.org/x) [d](other.md#Again-1)\n"
        "`[in code](gone.md)`\n\n```\n[in a block](gone.md)\n```\n"
    )
    assert complaints(document, tmp_path) == []


def test_a_wrong_mode_is_found() -> None:
    assert complaint_about_mode(True, b"im")
    assert complaint_about_mode(False, b"#!")
    assert not complaint_about_mode(True, b"#!")
    assert not complaint_about_mode(False, b"im")
