"""OneOf(...): a value of any of several types, or one of several values."""

from __future__ import annotations

import types
import typing
from typing import Any, Union

from object_database.errors import SchemaError
from object_database.types_base import (
    READERS,
    UNAPPLIED,
    FieldType,
    LiteralType,
    Reading,
    is_value_of,
    part_of,
    public,
)

__all__ = ["OneOf"]


class OneOfType(FieldType):
    """What OneOf(...) gives: the arms in order. It has no instances, its values are those of its arms."""

    __slots__ = ()

    @property
    def Types(self) -> tuple[Any, ...]:
        """The arms: types, and literals as the values they are."""
        return tuple(map(public, self.parts))

    def resolved(self, reading: Reading) -> FieldType:
        made = super().resolved(reading)
        return made if made is self else one_of(made.parts)  # a name may stand for another union, or for an arm again

    def spec_in(self, reading: Reading) -> Any:
        arms = flat_arms([reading.spec_of(part) for part in self.parts])
        return arms[0] if len(arms) == 1 else ("oneof", *arms)  # ListOf and TupleOf are one stored type

    def holds(self, value: Any) -> bool:
        return any(is_value_of(part, value) for part in self.parts)

    def __instancecheck__(self, value: Any) -> bool:
        return False

    def __or__(self, other: Any) -> Any:
        return OneOf(self, other)

    def __ror__(self, other: Any) -> Any:
        return OneOf(other, self)


def OneOf(*arms: Any) -> Any:
    """A field type that holds a value of any of the given types; the first one gives the default.

    A value is taken by the arm that is exactly its type, else by the first arm that converts it.

    Args:    arms: one or more: types, None, and values: OneOf("new", "paid", None). Nested ones are flattened, and none is
                   there twice.
    Raises:  TypeError: an arm is no field type.
    """
    if not arms:
        raise SchemaError("OneOf takes types and values, one at least")
    try:
        made = one_of(tuple(part_of(arm) for arm in arms))
    except TypeError as error:
        raise SchemaError(f"OneOf takes types and values: {error}") from None
    return made if isinstance(made, OneOfType) else OneOfType.of(made)


def one_of(parts: tuple[Any, ...]) -> Any:
    """The union of parts in our form; with one part, that part."""
    arms: list[Any] = []
    for part in parts:
        for arm in part.parts if isinstance(part, OneOfType) and part.forward is None else (part,):
            if arm not in arms:
                arms.append(arm)
    return arms[0] if len(arms) == 1 else OneOfType.of(*arms)


def flat_arms(specs: list[Any]) -> list[Any]:
    """Specs of arms, without a union among them (a Forward may stand for one) and none twice."""
    arms: list[Any] = []
    for spec in specs:
        for arm in flat_arms(_arms_of(spec)) if _arms_of(spec) else [spec]:
            if not any(_is_same(arm, other) for other in arms):
                arms.append(arm)
    return arms


def _arms_of(spec: Any) -> list[Any]:
    """The arms of a union, also of one that a forward stands for: there it stands for itself within them."""
    if not isinstance(spec, tuple):
        return []
    if spec[0] == "oneof":
        return list(spec[1:])
    if spec[0] != "forward":
        return []
    return [_unrolled(arm, spec) for arm in _arms_of(spec[3])]


def _unrolled(spec: Any, forward: Any) -> Any:
    """The spec with the forward itself in place of what says that it comes back."""
    if not isinstance(spec, tuple):
        return spec
    kind, *rest = spec
    if kind == "again":
        return forward if rest[0] is forward[1] else spec
    if kind in ("literal", "enum"):
        return spec
    if kind == "record":
        return (*spec[:4], _unrolled_fields(rest[3], forward))
    if kind == "alternative":
        return (*spec[:3], tuple((name, cls, _unrolled_fields(fields, forward)) for name, cls, fields in rest[2]))
    if kind == "forward":
        return (*spec[:3], _unrolled(rest[2], forward))
    return (kind, *(_unrolled(part, forward) for part in rest))


def _unrolled_fields(fields: Any, forward: Any) -> Any:
    return tuple((name, _unrolled(spec, forward), default) for name, spec, default in fields)


def _is_same(one: Any, other: Any) -> bool:
    """("literal", 1) equals ("literal", True), and is another arm."""
    return bool(one == other) and repr(one) == repr(other)


def none_first(parts: list[Any]) -> tuple[Any, ...]:
    """Whoever writes `str | None` and gives no default means None; and it is one stored type with OneOf(None, str)."""
    return tuple(sorted(parts, key=lambda part: part is not type(None)))


@READERS.append
def _read_union(annotation: Any, reading: Reading) -> Any:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        values = typing.get_args(annotation)
        return one_of(none_first([type(None) if value is None else _literal(value) for value in values]))
    if origin not in (Union, types.UnionType):
        return None
    parts: list[Any] = []
    for arm in typing.get_args(annotation):
        part = reading.type(arm)
        parts += part.parts if isinstance(part, OneOfType) and part.forward is None else (part,)
    return one_of(none_first(parts))


def _literal(value: Any) -> Any:
    part = part_of(value)
    if not isinstance(part, LiteralType):
        raise TypeError(f"{value!r} cannot be a literal")
    return part


UNAPPLIED.append(OneOf)
