"""docs/reference/compatibility.md tells the truth: every name in its tables exists and takes what it says it takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import object_database
from object_database import DatabaseConnection, Object, Schema, TcpServer, Transaction, View

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reference" / "compatibility.md"

SECTION = re.compile(r"^## `(?P<path>[\w.]+)`$")
ROW = re.compile(r"^\| (?P<names>`.*?`) \|")
NAME = re.compile(r"`(?P<name>\w+)(?P<arguments>\(.*?\))?`")
CAMEL_CASE = re.compile(r"[a-z]+[A-Z]\w*")

# What is there once an object has been made.
SAMPLES = {"object_database.tcp_server.TcpServer": TcpServer("localhost", 0, auth_token="t")}


class Promise(NamedTuple):
    path: str  # module or class
    name: str
    arguments: str | None


def promises_of(text: str) -> list[Promise]:
    found, path = [], ""
    for line in text.splitlines():
        if section := SECTION.match(line):
            path = section["path"]
        elif row := ROW.match(line):
            found += [Promise(path, each["name"], each["arguments"]) for each in NAME.finditer(row["names"])]
    return found


def thing_at(path: str) -> Any:
    """A module, or a class in one."""
    if path in SAMPLES:
        return SAMPLES[path]
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def parameters_of(function: Any) -> dict[str, str | None]:
    """Names of parameters, and their defaults as written."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        has_default = parameter.default is not inspect.Parameter.empty
        found[name] = repr(parameter.default) if has_default else None
    found.pop("self", None)
    return found


def parameters_in(arguments: str) -> dict[str, str | None]:
    namespace: dict[str, Any] = {}
    exec(f"def f{arguments}: pass", namespace)
    return parameters_of(namespace["f"])


PROMISES = promises_of(DOCUMENT.read_text(encoding="utf-8"))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: f"{promise.path}.{promise.name}")
def test_what_the_tables_list_is_there_with_its_arguments(promise: Promise) -> None:
    holder = thing_at(promise.path)
    is_constructor = promise.path.endswith(f".{promise.name}")
    found = type(holder) if promise.path in SAMPLES and is_constructor else holder
    found = found if is_constructor else getattr(found, promise.name)
    try:
        expected = parameters_of(found) if promise.arguments else None
    except ValueError:
        return  # compiled, and does not tell
    if promise.arguments:
        assert parameters_in(promise.arguments) == expected


def test_every_camel_case_name_of_the_package_is_in_the_document() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    listed = {name for code in re.findall(r"`([^`]+)`", document) for name in re.findall(r"\w+", code)}
    public: set[str] = set()
    for module in pkgutil.iter_modules(object_database.__path__):
        if not module.name.startswith("_"):
            public |= set(vars(importlib.import_module(f"object_database.{module.name}")).get("__all__", []))
    for holder in (View, Transaction, DatabaseConnection, Schema, Object, TcpServer):
        public |= {name for name in dir(holder) if not name.startswith("_")}
    frozen = {name for name in public if CAMEL_CASE.fullmatch(name)}
    assert {"subscribeToSchema", "lookupAll", "genToken"} <= frozen
    assert frozen <= listed, "a new concept gets a lower-case name (D6), a name of the reference a row in the document"


def test_the_tables_are_read() -> None:
    text = "## `a.B`\n| name | here |\n|---|---|\n| `f(x, *y)`, `g` | `no` |\n## Prose\n| `h` | |\n"
    assert promises_of(text) == [Promise("a.B", "f", "(x, *y)"), Promise("a.B", "g", None), Promise("a.B", "h", None)]
    assert parameters_in("(a, *b, c='x', **d)") == {"a": None, "b": None, "c": "'x'", "d": None}
    assert len(PROMISES) > 80


@pytest.mark.parametrize(
    "promise",
    [
        Promise("object_database", "noSuchName", None),
        Promise("object_database.util", "genToken", "()"),
        Promise("object_database.util", "genToken", "(randomness=1)"),
        Promise("object_database.tcp_server.TcpServer", "TcpServer", "(host)"),
    ],
)
def test_a_promise_that_is_not_kept_is_found(promise: Promise) -> None:
    with pytest.raises((AttributeError, AssertionError)):
        test_what_the_tables_list_is_there_with_its_arguments(promise)
