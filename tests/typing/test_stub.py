"""object_database/_core.pyi lists what the compiled core has: the same names, and functions with the same parameters."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path
from typing import Any

import pytest

import object_database
from object_database import _core

STUB = Path(object_database.__file__).parent / "_core.pyi"

UNNAMED = ("arg", "object")  # the parameter of a C function that has one, before 3.13 and since

# What every class has, what says nothing to a type checker, and what C defines together with an operation that is listed.
EVERYWHERE = {
    *("__call__", "__delattr__", "__doc__", "__getattribute__", "__init__", "__module__", "__ne__", "__new__"),
    *("__repr__", "__setattr__", "__vectorcalloffset__"),
    *("__ge__", "__gt__", "__le__", "__lt__", "__rsub__"),
}

Function = ast.FunctionDef


def members_of(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a stub defines, by name; the last one of several overloads. Without what only the stub itself needs."""
    found: dict[str, ast.stmt] = {}
    for each in body:
        if isinstance(each, (ast.FunctionDef, ast.ClassDef)) and "type_check_only" not in decorators_of(each):
            found[each.name] = each
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            found[each.target.id] = each
    return found


def decorators_of(member: Any) -> set[str]:
    return {ast.unparse(each) for each in member.decorator_list}


def parameters_of_stub(function: Function) -> list[str]:
    arguments = function.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    starred = [f"{stars}{each.arg}" for stars, each in (("*", arguments.vararg), ("**", arguments.kwarg)) if each]
    is_method = names[:1] == ["self"] or "classmethod" in decorators_of(function)
    return (names[1:] if is_method else names) + starred


def parameters_of(thing: Any) -> list[str] | None:
    """The names of a function's parameters; those that it has no names for are `arg`. None: it does not tell."""
    if type(thing).__name__ in ("nb_func", "nb_method"):
        head = thing.__doc__.splitlines()[0]
        function = ast.parse(f"def {head}: ...").body[0]
        assert isinstance(function, ast.FunctionDef)
        return [name.rstrip("0123456789") if name.startswith("arg") else name for name in parameters_of_stub(function)]
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [f"{stars.get(each.kind, '')}{each.name}" for each in parameters if each.name != "self"]


def complaints_about(where: str, stub: ast.stmt, thing: Any) -> list[str]:
    """How a name of the stub differs from what the module has under it."""
    if isinstance(stub, ast.ClassDef):
        return complaints_about_class(where, stub, thing) if isinstance(thing, type) else [f"{where} is no class"]
    if isinstance(stub, ast.AnnAssign):
        return [f"{where} can be called"] if callable(thing) else []
    assert isinstance(stub, ast.FunctionDef)
    if "property" in decorators_of(stub):
        return [] if isinstance(thing, (property, types.GetSetDescriptorType)) else [f"{where} is no property"]
    if not callable(thing):
        return [f"{where} cannot be called"]
    wanted = None if where.rpartition(".")[2].startswith("__") else parameters_of(thing)
    listed = parameters_of_stub(stub)
    if wanted is None:
        return []
    is_same = len(wanted) == len(listed) and all(a in (*UNNAMED, b) for a, b in zip(wanted, listed, strict=True))
    return [] if is_same else [f"{where} takes {wanted}, and the stub says {listed}"]


def complaints_about_class(where: str, stub: ast.ClassDef, cls: type) -> list[str]:
    listed = members_of(stub.body)
    found = [f"{where}.{name} is not in the stub" for name in sorted(vars(cls).keys() - listed.keys() - EVERYWHERE)]
    for name, member in listed.items():
        holder = next((base for base in cls.__mro__ if name in vars(base)), None)
        if holder is None or (holder is object and name not in EVERYWHERE):
            found.append(f"{where}.{name} is not there")
        elif name not in EVERYWHERE:
            static = inspect.getattr_static(cls, name)
            is_descriptor = isinstance(static, (property, types.GetSetDescriptorType))
            found += complaints_about(f"{where}.{name}", member, static if is_descriptor else getattr(cls, name))
    return found


def all_complaints(text: str, module: Any) -> list[str]:
    listed = members_of(ast.parse(text).body)
    names = {name for name in dir(module) if not name.startswith("__")}
    found = [f"{name} is not in the stub" for name in sorted(names - listed.keys())]
    for name, member in listed.items():
        found += complaints_about(name, member, getattr(module, name)) if name in names else [f"{name} is not there"]
    return found


def test_the_stub_is_what_the_core_has() -> None:
    assert all_complaints(STUB.read_text(encoding="utf-8"), _core) == []


def test_the_stub_leaves_nothing_to_guess() -> None:
    assert "def __getattr__" not in STUB.read_text(encoding="utf-8")


def test_the_marker_of_typed_packages_is_beside_it() -> None:
    assert (STUB.parent / "py.typed").exists()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("def index_value(", "def index_valu(", "index_valu is not there"),
        ("def index_value(spec: Any, ", "def index_value(", "index_value takes ['spec', 'value']"),
        ("def losses(self)", "def losses(self, more: int)", "Events.losses takes []"),
        ("def find(self, T: type[_T]", "def find(self, t: type[_T]", "View.find takes ['T', '**index']"),
        ("    def exists(self) -> bool: ...\n", "", "Object.exists is not in the stub"),
        ("    def exists(self)", "    def exist(self)", "Object.exist is not there"),
        ("class Outcome:", "class Outcom:", "Outcome is not in the stub"),
        ("HEARTBEAT_S: float", "HEARTBEAT_S: float\nHEARTBEAT_MS: int", "HEARTBEAT_MS is not there"),
        ("    @property\n    def port", "    def port", "Server.port cannot be called"),
    ],
)
def test_a_difference_is_found(old: str, new: str, complaint: str) -> None:
    text = STUB.read_text(encoding="utf-8")
    assert old in text
    assert any(each.startswith(complaint) for each in all_complaints(text.replace(old, new), _core))
