"""Enums as field types: what is stored is the member's value, or its name when the values cannot be stored.

So members can be reordered and added; renaming one changes what is stored only where names are.
"""

from __future__ import annotations

import enum
from typing import Any

from object_database.errors import SchemaError
from object_database.types_base import CLASS_KINDS, ClassKind, Reading

__all__: list[str] = []

_STORED = (int, str, bool, float, bytes, type(None))
_INT_MAX = 2**63 - 1


def _is_enum(cls: type) -> bool:
    if not issubclass(cls, enum.Enum):
        return False
    if issubclass(cls, enum.Flag):
        raise SchemaError(f"a field cannot be a {cls!r}: its values are sums of members; write int")
    if not len(cls):
        raise SchemaError(f"a field cannot be a {cls!r}: it has no members")
    return True


def _can_be_stored(value: Any) -> bool:
    if type(value) is int:
        return -_INT_MAX - 1 <= value <= _INT_MAX
    if type(value) is str:
        return not any("\ud800" <= each <= "\udfff" for each in value)
    return type(value) in _STORED


def _spec(cls: Any, reading: Reading) -> Any:
    members = list(cls)  # without aliases
    values = [member.value for member in members]
    is_by_value = all(map(_can_be_stored, values)) and len({(type(value), repr(value)) for value in values}) == len(
        values
    )
    stored = values if is_by_value else [member.name for member in members]
    return ("enum", cls, tuple((each.name, each, value) for each, value in zip(members, stored, strict=True)))


CLASS_KINDS.append(ClassKind(_is_enum, _spec))
