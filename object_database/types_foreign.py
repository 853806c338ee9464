"""typed_python's own types as field types, where that package is installed (CPython 3.10 and older, with old pins).

They are known by their attributes alone, nothing is imported: `__typed_python_category__` says what a type is. Each becomes
the type of the same name here. Fields take values of theirs, and are read as ours are: tuples, FrozenDicts, our NamedTuples
and Alternatives.
"""

from __future__ import annotations

import weakref
from typing import Any

from object_database import _core
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


def _category(cls: Any) -> str | None:
    category = getattr(cls, "__typed_python_category__", None) if isinstance(cls, type) else None
    return category if isinstance(category, str) and cls not in SCALARS else None


@READERS.append
def _read_foreign(annotation: Any, reading: Reading) -> Any:
    category = _category(annotation)
    if category is None:
        return None
    _core.translate_values_with(translated)
    return reading.recursive(id(annotation), annotation, lambda _: _mapped(annotation, category, reading))


def _mapped(annotation: Any, category: str, reading: Reading) -> Any:
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


def translated(value: Any) -> Any:
    """A value of theirs as one of Python's own or ours, however deep in lists and dicts; any other as it is.

    The core asks it about a value that a field has not taken.
    """
    try:
        return _translated(value)
    except (
        RecursionError,
        SchemaError,
    ):  # a list that holds itself, a pointer: the field's own words for it are better
        return value


def _translated(value: Any) -> Any:
    category = _category(type(value))
    if category in ("TupleOf", "ListOf", "Tuple"):
        return tuple(map(_translated, value))
    if category == "Set":
        return frozenset(map(_translated, value))
    if category in ("ConstDict", "Dict"):
        return {_translated(key): _translated(value[key]) for key in value}
    if category == "NamedTuple":
        return Reading().type(type(value))(tuple(map(_translated, value)))
    if category == "ConcreteAlternative":
        known = _alternatives.get(type(value).Alternative)
        if known is None:
            return value
        fields = {name: _translated(getattr(value, name)) for name in type(value).ElementType.ElementNames}
        return known.__typed_python_alternatives__[type(value).Index](**fields)
    if category in _NUMBERS:
        return float(value) if category == "Float32" else int(value)
    if type(value) in (list, tuple):
        return type(value)(map(_translated, value))
    if type(value) is dict:
        return {_translated(key): _translated(each) for key, each in value.items()}
    return value
