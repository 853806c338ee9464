"""The value of a field that is given none, by the spec of its type (types_base.py lists them)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from object_database import _core
from object_database.errors import SchemaError

__all__ = ["default_of", "has_default"]

_OF_SCALARS: dict[str, Any] = {
    "none": None,
    "bool": False,
    "int": 0,
    "float": 0.0,
    "str": "",
    "bytes": b"",
    "object": None,
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"), 0),
    "float32": 0.0,
}
_WITHOUT = frozenset({"datetime", "date", "time", "timedelta", "decimal", "uuid"})  # no moment is a sensible default


def has_default(spec: Any, again: Callable[[Any], bool] = lambda key: False) -> bool:
    """Whether a field of this type may be left out where it says no default of its own.

    Args:  again: the answer for a type that encloses this one.
    """
    if isinstance(spec, str):
        return spec not in _WITHOUT
    if isinstance(spec, type):
        return True  # a reference: to no object
    kind, *rest = spec
    if kind == "oneof":
        return any(has_default(arm, again) for arm in rest)
    if kind == "tuple":
        return all(has_default(part, again) for part in rest)
    if kind == "record":
        return _all_optional(rest[3])
    if kind == "alternative":
        return _all_optional(rest[2][0][2])
    if kind == "forward":
        return has_default(rest[2], again)
    return again(rest[0]) if kind == "again" else True


def _all_optional(fields: Any) -> bool:
    return all(default is not None for _, _, default in fields)


def default_of(spec: Any, where: str) -> Any:
    """The default of a type, as reading a field gives it.

    Raises: SchemaError: there is none.
    """
    if not has_default(spec):
        raise SchemaError(f"{where} has no default: give a value")
    if isinstance(spec, str):
        return _OF_SCALARS[spec]
    if isinstance(spec, type):
        return spec.fromIdentity(0)  # type: ignore[attr-defined]
    kind, *rest = spec
    if kind == "oneof":
        return default_of(next(arm for arm in rest if has_default(arm)), where)
    if kind == "literal":
        return rest[0]
    if kind == "enum":
        return rest[1][0][1]
    if kind == "tuple":
        return tuple(default_of(part, where) for part in rest)
    if kind == "forward":
        return default_of(rest[2], where)
    if kind == "alternative":
        return rest[2][0][1]()
    return _core.convert(spec, {} if kind in ("record", "dictof") else (), where)
