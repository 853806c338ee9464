"""Imports go down only, so that each floor can be read, tested and changed without those above it.

C++: the floors of ARCHITECTURE.md, and where the outside world (Python, sockets, clocks, threads) may be seen at all.
Python: the package has floors of its own, listed below; a module may import from its own floor only where the table says so.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

# folder -> floor; two folders of one floor never include each other unless PEERS names them
CPP_FLOORS = {
    "core/base": 0,
    "core/types": 1,
    "core/codec": 1,
    "core/store": 2,
    "core/view": 3,
    "core/commit": 3,
    "core/protocol": 4,
    "core/client": 5,
    "core/server": 5,
    "core/net": 6,
    "bindings": 7,
}
PEERS = {frozenset({"core/types", "core/codec"}), frozenset({"core/view", "core/commit"})}

# what is included -> folders that may; a pure core has its bytes, events and `now` handed in
OUTSIDE = {
    r"Python\.h|structmember\.h|nanobind/.*|pybind11/.*": {"bindings"},
    r"boost/asio.*|openssl/.*|sys/socket\.h|netinet/.*|arpa/.*|poll\.h|sys/epoll\.h": {"core/net"},
    r"thread|chrono|random|ctime|time\.h|future|stop_token": {"core/net", "bindings"},
    r"mutex|shared_mutex|condition_variable|atomic|semaphore|latch|barrier": {
        "core/store",
        "core/client",
        "core/net",
        "bindings",
    },
}
ASIO = re.compile(r"boost/asio.*|openssl/.*")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# module -> floor, within object_database/; a package stands for all of its modules. A new module must be given its floor here.
PYTHON_FLOORS: dict[str, float] = {
    "_version": 0,
    "_core": 0,
    "errors": 1,
    # the parts of types.py and schema.py lie right below them, in this order
    "types_names": 1,
    "types_defaults": 1.1,
    "types_base": 1.2,
    "types_scalars": 1.3,
    "types_unions": 1.3,
    "types_containers": 1.3,
    "types_enums": 1.3,
    "types_native": 1.3,
    "types_records": 1.3,
    "types_named_tuples": 1.4,
    "types_alternatives": 1.5,
    "types_foreign": 1.6,
    "types": 2,
    "util_certificates": 2,
    "util_logging": 2,
    "util_text": 2,
    "util_progress": 2,
    "util": 3,
    "algebra": 2,
    "identity": 2,
    "keymapping": 2,
    "object": 3,
    "schema_keys": 2,
    "schema_fields": 2.1,
    "schema_rows": 2.2,
    "schema_bodies": 2.2,
    "schema_building": 2.3,
    "schema": 3,
    "core_schema": 4,
    "messages": 4,
    "message_bus": 4,
    "view": 5,
    "dispatcher": 5,
    "persistence_interface": 2,
    "persistence_owner": 2,
    "persistence_redis_line": 2,
    "persistence_redis_lease": 3,
    "persistence_memory": 4,
    "persistence_redis": 4,
    "persistence_sqlite": 4,
    "persistence": 5,
    "store_keeper": 6,
    "store_options": 7,
    "store_readers": 6,
    "database_connection": 6,
    "reactor": 7,
    "server": 7,
    "inmem_server": 8,
    "tcp_server": 8,
    "__init__": 9,
    "test_util": 10,
    "testing": 10,
    "frontends": 10,
    "cli": 11,
    "__main__": 12,
}


def folder_of(path: str) -> str | None:
    """The folder of CPP_FLOORS that a path from the root lies in."""
    return next((folder for folder in CPP_FLOORS if path.startswith(folder + "/")), None)


def is_test(path: str) -> bool:
    return path.endswith(("_test.cpp", "_testing.h")) or path == "core/test_main.cpp"


def complaints_about_cpp(path: str, text: str) -> list[str]:
    """What is wrong with the includes of one file of core/ or bindings/."""
    folder = folder_of(path)
    if folder is None:
        return [] if is_test(path) else [f"{path}: lies on no floor; the floors are {', '.join(CPP_FLOORS)}"]
    found = []
    for bracket, included in INCLUDE.findall(text):
        target = folder_of(included)
        if bracket == '"':
            if target is None:
                found.append(f'{path}: "{included}" is not written from the root, as "core/base/status.h" is')
            elif CPP_FLOORS[target] > CPP_FLOORS[folder]:
                found.append(
                    f"{path}: includes {included}, floor {CPP_FLOORS[target]}, from floor {CPP_FLOORS[folder]}"
                )
            elif (
                CPP_FLOORS[target] == CPP_FLOORS[folder]
                and target != folder
                and frozenset({target, folder}) not in PEERS
            ):
                found.append(f"{path}: includes {included}; {folder} and {target} never include each other")
            continue
        if is_test(path):
            continue
        for pattern, allowed in OUTSIDE.items():
            if re.fullmatch(pattern, included) and folder not in allowed:
                found.append(f"{path}: <{included}> belongs to {' and '.join(sorted(allowed))}")
        # An Asio translation unit costs 8 s; a header would spread it.
        if ASIO.fullmatch(included) and path.endswith(".h") and not path.endswith("_internal.h"):
            found.append(f"{path}: <{included}> belongs to .cpp files and *_internal.h")
    return found


def complaints_about_internal_headers(path: str, text: str) -> list[str]:
    """An *_internal.h carries Asio, so only .cpp files of core/net and other *_internal.h may include one."""
    may = path.startswith("core/net/") and path.endswith((".cpp", "_internal.h"))
    internal = [included for _, included in INCLUDE.findall(text) if included.endswith("_internal.h")]
    return [] if may else [f"{path}: includes {included}" for included in internal if included.startswith("core/net/")]


def imported_modules(path: str, text: str) -> set[str]:
    """First components below object_database that one module of the package imports, at any depth of its code."""
    package = path.removeprefix("object_database/").split("/")[:-1]
    found = set()
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = ["object_database", *package][: len(package) + 2 - node.level]
                base = ".".join([*above, base] if base else above)
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "object_database" else [base]
        for name in names:
            if name == "object_database":
                found.add("__init__")
            elif name.startswith("object_database."):
                found.add(name.split(".")[1])
    # `from object_database import connect` takes a name of the package, which is what __init__ makes
    return {name if name in PYTHON_FLOORS else "__init__" for name in found}


def complaints_about_python(path: str, text: str) -> list[str]:
    """What is wrong with the imports of one file of object_database/."""
    own = path.removeprefix("object_database/").removesuffix(".pyi").removesuffix(".py").split("/")[0]
    if own not in PYTHON_FLOORS:
        return [f"{path}: has no floor; give {own} one in PYTHON_FLOORS of tests/repository/test_floors.py"]
    return [
        f"{path}: imports {module}, floor {PYTHON_FLOORS[module]}, from floor {PYTHON_FLOORS[own]}"
        for module in sorted(imported_modules(path, text))
        if module != own and PYTHON_FLOORS[module] >= PYTHON_FLOORS[own]
    ]


def test_cpp_includes_go_down_only(root: Path, project_files: list[Path]) -> None:
    found = []
    for path in project_files:
        name = path.relative_to(root).as_posix()
        if name.startswith(("core/", "bindings/")) and path.suffix in {".h", ".cpp"}:
            text = path.read_text()
            found += complaints_about_cpp(name, text) + complaints_about_internal_headers(name, text)
    assert not found, "\n".join(found)


def test_python_imports_go_down_only(root: Path, project_files: list[Path]) -> None:
    found = []
    for path in project_files:
        name = path.relative_to(root).as_posix()
        if name.startswith("object_database/") and path.suffix == ".py":
            found += complaints_about_python(name, path.read_text())
    assert not found, "\n".join(found)


def test_the_simulator_and_the_fuzz_targets_use_the_pure_core_only(root: Path, project_files: list[Path]) -> None:
    found = []
    for path in project_files:
        name = path.relative_to(root).as_posix()
        if name.startswith(("tests/simulation/", "fuzz/")) and path.suffix in {".h", ".cpp"}:
            for _, included in INCLUDE.findall(path.read_text()):
                if included.startswith(("core/net/", "bindings/")) or ASIO.fullmatch(included):
                    found.append(f"{name}: includes {included}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/base/ids.h", '#include "core/types/type.h"'),
        ("core/client/client.cpp", '#include "core/server/server.h"'),
        ("core/store/store.cpp", '#include "store.h"'),
        ("core/server/server.cpp", "#include <chrono>"),
        ("core/codec/codec.cpp", "#include <mutex>"),
        ("core/net/listener.cpp", "#include <Python.h>"),
        ("core/net/listener.h", "#include <boost/asio/ip/tcp.hpp>"),
        ("core/server/server.cpp", "#include <openssl/rand.h>"),
        ("core/net/client_test.cpp", '#include "bindings/module.h"'),
        ("core/clock.cpp", ""),
    ],
)
def test_a_wrong_include_is_found(path: str, line: str) -> None:
    assert complaints_about_cpp(path, f"#pragma once\n{line}\n")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/types/type.h", '#include "core/codec/codec.h"'),
        ("core/store/store.h", "#include <mutex>"),
        ("core/store/store_test.cpp", "#include <thread>"),
        ("core/net/listener.cpp", "#include <boost/asio/ip/tcp.hpp>"),
        ("core/net/tls_internal.h", "#include <openssl/ssl.h>"),
        ("bindings/module.cpp", "#include <nanobind/nanobind.h>"),
    ],
)
def test_a_right_include_is_left_alone(path: str, line: str) -> None:
    assert not complaints_about_cpp(path, f"#pragma once\n{line}\n")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("object_database/errors.py", "from object_database.schema import Schema"),
        ("object_database/errors.py", "from .schema import Schema"),
        ("object_database/schema.py", "from object_database import connect"),
        ("object_database/view.py", "def f():\n    import object_database.tcp_server"),
        ("object_database/novelty.py", ""),
    ],
)
def test_a_wrong_import_is_found(path: str, line: str) -> None:
    assert complaints_about_python(path, line + "\n")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("object_database/schema.py", "from object_database import _core, errors"),
        ("object_database/frontends/database_server.py", "from object_database import TcpServer"),
        ("object_database/frontends/database_server.py", "from .options import parser"),
        ("object_database/frontends/database_server.py", "from ..tcp_server import TcpServer"),
    ],
)
def test_a_right_import_is_left_alone(path: str, line: str) -> None:
    assert not complaints_about_python(path, line + "\n")
