"""TupleOf, ListOf, Set, Dict, ConstDict and Tuple: types of values that hold values. All of them are immutable when read.

A TupleOf and a ListOf are read as a tuple, a Set as a frozenset, a Dict and a ConstDict as a FrozenDict.
"""

from __future__ import annotations

import collections.abc
import typing
from typing import Any

from object_database import _core
from object_database.errors import SchemaError
from object_database.types_base import READERS, UNAPPLIED, FieldType, Reading, is_value_of, part_of, public

__all__ = ["ConstDict", "Dict", "ListOf", "Set", "Tuple", "TupleOf"]


class _Constructor:
    """The name of a container: TupleOf(int) gives the type."""

    def __init__(self, name: str, made: type[FieldType], doc: str, parameters: tuple[str, ...]):
        self.__name__: str = name
        self.__qualname__: str = name
        self.__doc__: str | None = doc
        self._made = made
        self._parameters = parameters

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self._parameters) and self._parameters != ("...",):
            raise SchemaError(f"{self.__name__}({', '.join(self._parameters)}) was given {len(args)} types")
        try:
            return self._made.of(*map(part_of, args))
        except TypeError as error:
            raise SchemaError(f"{self.__name__}: {error}") from None

    def __repr__(self) -> str:
        return self.__name__

    def __reduce__(self) -> str:
        return self.__name__


class _Sequence(FieldType):
    __slots__ = ()

    @property
    def ElementType(self) -> Any:
        return public(self.parts[0])

    def spec_in(self, reading: Reading) -> Any:
        return ("tupleof", reading.spec_of(self.parts[0]))

    def holds(self, value: Any) -> bool:
        return type(value) is tuple and all(is_value_of(self.parts[0], each) for each in value)


class _TupleOf(_Sequence):
    __slots__ = ()


class _ListOf(_Sequence):
    __slots__ = ()


class _Set(_Sequence):
    __slots__ = ()

    def spec_in(self, reading: Reading) -> Any:
        return ("setof", reading.spec_of(self.parts[0]))

    def holds(self, value: Any) -> bool:
        return type(value) is frozenset and all(is_value_of(self.parts[0], each) for each in value)


class _ConstDict(FieldType):
    __slots__ = ()

    @property
    def KeyType(self) -> Any:
        return public(self.parts[0])

    @property
    def ValueType(self) -> Any:
        return public(self.parts[1])

    def spec_in(self, reading: Reading) -> Any:
        return ("dictof", *map(reading.spec_of, self.parts))

    def holds(self, value: Any) -> bool:
        key_type, value_type = self.parts
        return type(value) is _core.FrozenDict and all(
            is_value_of(key_type, key) and is_value_of(value_type, each) for key, each in value.items()
        )


class _Dict(_ConstDict):
    __slots__ = ()


class _Tuple(FieldType):
    __slots__ = ()

    @property
    def ElementTypes(self) -> tuple[Any, ...]:
        return tuple(map(public, self.parts))

    def spec_in(self, reading: Reading) -> Any:
        return ("tuple", *map(reading.spec_of, self.parts))

    def holds(self, value: Any) -> bool:
        return type(value) is tuple and len(value) == len(self.parts) and all(map(is_value_of, self.parts, value))


TupleOf: _Constructor = _Constructor("TupleOf", _TupleOf, "Any number of values of one type, read as a tuple.", ("T",))
ListOf: _Constructor = _Constructor(
    "ListOf", _ListOf, "The same as TupleOf, written as a list and read as a tuple.", ("T",)
)
Set: _Constructor = _Constructor("Set", _Set, "Different values of one type, read as a frozenset.", ("T",))
ConstDict: _Constructor = _Constructor(
    "ConstDict", _ConstDict, "Values by key, sorted by key, read as a FrozenDict.", ("K", "V")
)
Dict: _Constructor = _Constructor(
    "Dict", _Dict, "The same as ConstDict, written as a dict and read as a FrozenDict.", ("K", "V")
)
Tuple: _Constructor = _Constructor(
    "Tuple", _Tuple, "As many values as types, each of its own: Tuple(int, str).", ("...",)
)


_NATIVE: dict[Any, type[FieldType]] = {
    list: _ListOf,
    collections.abc.Sequence: _TupleOf,
    dict: _Dict,
    collections.abc.Mapping: _ConstDict,
    _core.FrozenDict: _ConstDict,
    set: _Set,
    frozenset: _Set,
    collections.abc.Set: _Set,
}


@READERS.append
def _read_container(annotation: Any, reading: Reading) -> Any:
    """list[int], dict[str, int], tuple[int, ...] and the like, of typing too."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return _TupleOf.of(reading.type(args[0]))
        return _Tuple.of(*map(reading.type, args if args != ((),) else ()))
    try:
        made = _NATIVE.get(origin)
    except TypeError:  # an origin that cannot be hashed
        return None
    if made is None or len(args) != (2 if made in (_Dict, _ConstDict) else 1):
        return None
    return made.of(*map(reading.type, args))


UNAPPLIED.extend([TupleOf, ListOf, Set, ConstDict, Dict, Tuple])
