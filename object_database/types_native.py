"""Annotations that name other annotations (strings, aliases, Annotated, NewType), and what to write instead of those that
are no field types."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from typing import Any

from object_database.types_base import HINTS, READERS, UNAPPLIED, FieldType, Reading

__all__: list[str] = []


@READERS.append
def _read_name(annotation: Any, reading: Reading) -> Any:
    return reading.named(annotation) if isinstance(annotation, str) else None


@READERS.append
def _read_wrapper(annotation: Any, reading: Reading) -> Any:
    if typing.get_origin(annotation) is typing.Annotated:
        return reading.type(annotation.__origin__)  # what else it says is for others
    if isinstance(annotation, typing.NewType):
        return reading.type(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":  # `type Line = ...`, Python 3.12
        return reading.type(annotation.__value__)
    return None


_BARE: dict[Any, str] = {
    list: "write list[int], say",
    set: "write set[int], say",
    frozenset: "write frozenset[int], say",
    dict: "write dict[str, int], say",
    tuple: "write tuple[int, ...] or tuple[int, str], say",
    bytearray: "write bytes",
    memoryview: "write bytes",
    complex: "write tuple[float, float]",
    range: "write tuple[int, int]",
    type: "classes cannot be stored; store a name",
    typing.Optional: "write Optional[int] or int | None, say",
    typing.Union: "write int | str, say",
    typing.Literal: 'write Literal["new", "paid"], say',
    typing.Annotated: "write the type alone",
    typing.NamedTuple: "write a class that derives from it; object_database.types has the NamedTuple that takes fields",
    enum.Enum: "write a class that derives from it",
    Ellipsis: "it stands in tuple[int, ...] alone",
}
_LATER = "write the type that it holds; fields are read as immutable values, and assigned as a whole"
_ORIGINS: dict[Any, str] = {
    collections.abc.Callable: "functions cannot be stored; store a name",
    type: "classes cannot be stored; store a name",
    typing.Final: "fields can be assigned; a constant of the class is a ClassVar",
    collections.abc.MutableSequence: "write list[...], which is read as a tuple",
    collections.abc.MutableMapping: "write dict[...], which is read as a FrozenDict",
    collections.abc.MutableSet: "write set[...], which is read as a frozenset",
    collections.abc.Iterable: "write tuple[..., ...]",
    collections.abc.Iterator: "write tuple[..., ...]",
    collections.abc.Collection: "write tuple[..., ...]",
}


@HINTS.append
def _hint(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    for known, hints in ((annotation, _BARE), (annotation, _ORIGINS), (origin, _ORIGINS)):
        try:
            if known in hints:
                return hints[known]
        except TypeError:  # it cannot be hashed
            pass
    if any(annotation is each for each in UNAPPLIED):
        return f"it takes types: {annotation.__name__}(...)"
    if isinstance(annotation, typing.TypeVar):
        return "a field has one type; write it"
    if origin in _BARE:
        return _BARE[origin]
    if isinstance(origin, type):
        return f"generic classes cannot be fields; write a class for what {annotation!r} is"
    return _hint_for_class(annotation) if isinstance(annotation, type) else _hint_for_value(annotation)


def _hint_for_class(cls: type) -> str:
    if typing.is_typeddict(cls):
        return "write a frozen dataclass, or dict[str, ...]"
    if cls.__module__ == "numpy":
        return "write int, float or bool; numpy's numbers are taken by them"
    if issubclass(cls, collections.abc.Mapping):
        return "write dict[...] with the types of its keys and values"
    if issubclass(cls, (str, bytes, int, float)):
        base = next(base for base in (str, bytes, int, float) if issubclass(cls, base))
        return f"write {base.__name__}; what is stored and read is one"
    if cls.__module__.startswith("pathlib"):
        return "write str"
    return "objects of such a class cannot be stored as they are; write a frozen dataclass, or `object` after register_codec"


def _hint_for_value(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f"write its class, {type(value).__name__}"
    if isinstance(value, types.ModuleType):
        is_class = isinstance(getattr(value, value.__name__, None), type)  # datetime.datetime
        return f"it is a module; write {f'{value.__name__}.{value.__name__}' if is_class else 'what is meant of it'}"
    if isinstance(value, dataclasses.Field):
        return "write a type in front of it: `name: type = field(...)`"
    if isinstance(value, (int, float, bytes, tuple, list, dict, set)):
        return "write a type; a value is its default, behind `=`"
    return ""


def looks_like_a_type(member: Any) -> bool:
    """Whether a member of a class body is meant to be the type of a field, be it a right one or not."""
    if isinstance(member, (type, FieldType, types.GenericAlias, types.UnionType, typing.TypeVar, typing.NewType)):
        return True
    if isinstance(member, types.ModuleType) or any(member is each for each in UNAPPLIED):
        return True
    return typing.get_origin(member) is not None or type(member).__module__ == "typing"
