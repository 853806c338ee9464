"""typed_python's own types as field types, where that package is installed (CPython 3.10 and older, with old pins).

They are known by their attributes alone, nothing is imported: `__typed_python_category__` says what a type is. Each becomes
the type of the same name here; values are read as ours are (tuples, FrozenDicts, our NamedTuples and Alternatives).
"""

from __future__ import annotations

import weakref
from typing import Any

from object_database.errors import SchemaError
from object_database.types_alternatives import Alternative
from object_database.types_base import READERS, SCALARS, Reading, part_of
from object_database.types_containers import ConstDict, Dict, ListOf, Set, Tuple, TupleOf
from object_database.types_named_tuples import NamedTuple
from object_database.types_scalars import Float32, Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64
from object_database.types_unions import one_of

__all__: list[str] = []

_NUMBERS = {
    "Bool": bool,
    "Int64": int,
    "Float64": float,
    "String": str,
    "Bytes": bytes,
    "None": type(None),
    **{str(number): number for number in (Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64, Float32)},
}
_alternatives: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # theirs -> ours, which is nominal


@READERS.append
def _read_foreign(annotation: Any, reading: Reading) -> Any:
    category = getattr(annotation, "__typed_python_category__", None) if isinstance(annotation, type) else None
    if not isinstance(category, str) or annotation in SCALARS:
        return None

    def mapped(name: str) -> Any:
        return reading.type(getattr(annotation, name))

    if category == "Value":
        return part_of(annotation.Value)
    if category in _NUMBERS:
        return _NUMBERS[category]
    if category == "OneOf":
        return one_of(tuple(_arm(arm, reading) for arm in annotation.Types))
    if category in ("TupleOf", "ListOf", "Set"):
        made = {"TupleOf": TupleOf, "ListOf": ListOf, "Set": Set}[category]
        return made(
            mapped("KeyType") if category == "Set" and hasattr(annotation, "KeyType") else mapped("ElementType")
        )
    if category in ("ConstDict", "Dict"):
        return {"ConstDict": ConstDict, "Dict": Dict}[category](mapped("KeyType"), mapped("ValueType"))
    if category == "Tuple":
        return Tuple(*(reading.type(part) for part in annotation.ElementTypes))
    if category == "NamedTuple":
        parts = zip(annotation.ElementNames, annotation.ElementTypes, strict=True)
        return NamedTuple(**{name: reading.type(part) for name, part in parts})
    if category == "Alternative":
        return _alternative(annotation, reading)
    raise SchemaError(f"a field cannot be a {annotation!r}: typed_python's {category} has no counterpart here")


def _arm(arm: Any, reading: Reading) -> Any:
    """An arm of a OneOf: a type, or a value; some releases wrap values as types of the category Value."""
    return reading.type(arm) if isinstance(arm, type) else part_of(arm)


def _alternative(theirs: Any, reading: Reading) -> Any:
    made = _alternatives.get(theirs)
    if made is None:
        arms = {}
        for arm in theirs.__typed_python_alternatives__:
            parts = zip(arm.ElementType.ElementNames, arm.ElementType.ElementTypes, strict=True)
            arms[arm.Name] = {name: reading.type(part) for name, part in parts}
        made = _alternatives[theirs] = Alternative(theirs.__name__, **arms)
    return made
