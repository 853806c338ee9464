"""Field types: what the annotations and members of a class body may be.

The names here are typed_python's. Each has an annotation of Python's own that means the same stored type; the table is in
docs/reference/types.md.

    OneOf(None, int)            int | None              TupleOf(str)          tuple[str, ...]
    OneOf("new", "paid")        Literal["new", "paid"]  Tuple(int, str)       tuple[int, str]
    ListOf(str)                 list[str]               ConstDict(str, int)   Mapping[str, int]
    Set(str)                    set[str]                Dict(str, int)        dict[str, int]
    NamedTuple(x=int)           a class of typing.NamedTuple, a frozen dataclass, a frozen msgspec.Struct
    Alternative("E", A={...})   a union of such classes
    Forward("E")                a name in quotes
    Int8 ... UInt64, Float32    (none)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

# Each part registers what it understands.
from object_database import _core, types_enums, types_foreign, types_native
from object_database.types_alternatives import Alternative
from object_database.types_base import Forward, Reading
from object_database.types_containers import ConstDict, Dict, ListOf, Set, Tuple, TupleOf
from object_database.types_named_tuples import NamedTuple
from object_database.types_scalars import Float32, Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64
from object_database.types_unions import OneOf

__all__ = [
    "Alternative",
    "ConstDict",
    "Dict",
    "Float32",
    "Forward",
    "FrozenDict",
    "Int8",
    "Int16",
    "Int32",
    "ListOf",
    "NamedTuple",
    "OneOf",
    "Set",
    "Tuple",
    "TupleOf",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "field_spec",
    "field_type",
    "register_codec",
    "register_record",
]

FrozenDict = _core.FrozenDict  # what fields of dicts are read as

_Class = TypeVar("_Class", bound=type[Any])
_T = TypeVar("_T")
_PARTS = (types_enums, types_foreign, types_native)


def field_spec(annotation: Any, names: Callable[[str], Any] | None = None) -> Any:
    """The spec that the core takes for a field type; None when it is no field type.

    Args:  names: what a name in quotes stands for.
    """
    try:
        return Reading(names).spec(annotation)
    except (TypeError, NameError):  # a SchemaError is a TypeError
        return None


def field_type(annotation: Any, names: Callable[[str], Any] | None = None) -> Any:
    """A field type in this module's own form: OneOf(None, int) for `int | None`, TupleOf(int) for tuple[int, ...].

    Raises: SchemaError: it is none; says what to write instead.
    """
    return Reading(names).type(annotation)


def register_record(cls: _Class) -> _Class:
    """Let `object` fields hold records of a class that no definition names; a class decorator.

    Args:    cls: a typing.NamedTuple, frozen dataclass, frozen msgspec.Struct, Alternative, or class that derives from a
             NamedTuple(...). Programs that read its values register it too, or name it in a definition; they know it by
             its name.
    Raises:  SchemaError: it is none of these.
    """
    _core.register_record(Reading().spec(cls))
    return cls


def register_codec(
    type: type[_T],  # noqa: A002
    encode: Callable[[_T], object],
    decode: Callable[[Any], _T],
    name: str | None = None,
) -> None:
    """Let `object` fields hold objects of a class of any kind.

    Args:    encode: makes a value of the object that such a field holds anyway.  decode: makes the object of that again.
             name: stored with each value; "module.Class" when it is not given. Programs that read register the same one.
    Raises:  SchemaError: the name or the class is taken.  CodecError, later and naming the field: what one of them raised.
    """
    _core.register_codec(type, encode, decode, name or f"{type.__module__}.{type.__qualname__}")
