"""Field types: what the annotations and values of a class body mean, as specs for the core.

A spec is one of the names "none", "bool", "int", "float", "str", "bytes", a database type (a reference), or a tuple of
these (a oneof, its arms in order). `OneOf(None, int)` and `int | None` are one stored type.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Any, Union

from object_database import _core

__all__ = ["OneOf", "field_spec", "from_union", "is_union"]

_SCALARS: dict[Any, str] = {
    None: "none",
    type(None): "none",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    bytes: "bytes",
}


class _OneOf:
    """What OneOf(...) gives: the arms in order, nested ones flattened, none twice."""

    __slots__ = ("Types",)

    def __init__(self, arms: tuple[Any, ...]):
        self.Types = arms

    def __repr__(self) -> str:
        return f"OneOf({', '.join(_shown(arm) for arm in self.Types)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _OneOf) and self.Types == other.Types

    def __hash__(self) -> int:
        return hash(self.Types)

    def __or__(self, other: Any) -> Any:
        return OneOf(self, other)

    def __ror__(self, other: Any) -> Any:
        return OneOf(other, self)


def OneOf(*arms: Any) -> Any:
    """A field type that holds a value of any of the given types; the first one gives the default.

    A value is taken by the arm that is exactly its type, else by the first arm that converts it.

    Args:    arms: two types or more: scalars, None, database types, other OneOf types.
    Raises:  TypeError: an arm is no field type.
    """
    flat: list[Any] = []
    for arm in arms:
        for part in arm.Types if isinstance(arm, _OneOf) else (arm,):
            part = type(None) if part is None else part
            if not _is_simple(part):
                raise TypeError(f"OneOf takes types; {part!r} is none that a field can hold")
            if part not in flat:
                flat.append(part)
    if len(flat) < 2:
        raise TypeError("OneOf takes two different types or more")
    return _OneOf(tuple(flat))


def field_spec(annotation: Any) -> Any:
    """The spec of a field type as it stands in a class body; None when it is no field type."""
    if _is_simple(annotation):
        return annotation if _core.is_database_type(annotation) else _SCALARS[annotation]
    if isinstance(annotation, _OneOf):
        return tuple(field_spec(arm) for arm in annotation.Types)
    if is_union(annotation):
        try:
            return field_spec(from_union(annotation))
        except TypeError:
            return None
    return None


def is_union(annotation: Any) -> bool:
    """Whether an annotation is written `X | Y`, `Union[X, Y]` or `Optional[X]`."""
    return typing.get_origin(annotation) in (Union, types.UnionType)


def from_union(annotation: Any, resolve: Callable[[Any], Any] = lambda arm: arm) -> Any:
    """The OneOf of a union. None comes first, wherever it was written: whoever writes `str | None` and gives no default
    means None, and it is one stored type with OneOf(None, str)."""
    arms = [from_union(arm, resolve) if is_union(arm) else resolve(arm) for arm in typing.get_args(annotation)]
    return OneOf(*sorted(arms, key=lambda arm: arm not in (None, type(None))))


def _is_simple(annotation: Any) -> bool:
    if _core.is_database_type(annotation):
        return True
    return annotation is None or (isinstance(annotation, type) and annotation in _SCALARS)


def _shown(arm: Any) -> str:
    return "None" if arm is type(None) else getattr(arm, "__name__", repr(arm))
