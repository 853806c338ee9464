"""Schemas: how ordinary classes become database types.

    shop = Schema("shop")

    @shop.define
    class Order:
        number = Indexed(int)              # the older style: a member that is a type
        state: str = "new"                 # annotations, with defaults
        customer: "Customer"               # a type of the schema that is defined later
        by_state_number = Index("state", "number")

    class Customer(Object, schema=shop):   # the same as @shop.define, and type checkers understand it
        name: str

A definition is read once, by define(): members are fields, indexes, methods, properties and constants marked ClassVar;
anything else is an error, so that a slip of the pen does not pass for a missing field (D2).
"""

from __future__ import annotations

import sys
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from object_database import _core
from object_database.errors import SchemaError, ValueTypeError
from object_database.schema_bodies import read_class
from object_database.schema_building import build
from object_database.schema_fields import DEFINITIONS, Definition, Index
from object_database.schema_keys import (
    EXISTS,
    FieldDefinition,
    FieldId,
    IndexId,
    IndexValue,
    ObjectFieldId,
    ObjectId,
    SchemaDefinition,
    TypeDefinition,
)
from object_database.types_base import FieldType, Reading

__all__ = [
    "DatabaseObjectBase",
    "FieldDefinition",
    "FieldId",
    "Index",
    "IndexId",
    "IndexValue",
    "Indexed",
    "Object",
    "ObjectFieldId",
    "ObjectId",
    "Schema",
    "SchemaDefinition",
    "SubscribeLazilyByDefault",
    "TypeDefinition",
    "Unique",
    "indexValueFor",
]

_T = TypeVar("_T")
_Class = TypeVar("_Class", bound=type[Any])

if TYPE_CHECKING:
    from dataclasses import field
    from typing import TypeAlias

    from typing_extensions import dataclass_transform  # known to every type checker; nothing to install

    Indexed: TypeAlias = Annotated[_T, "indexed"]
    Unique: TypeAlias = Annotated[_T, "unique"]

    @dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
    class Object(_core.Object):
        """Base of database types in the class-statement style: `class Order(Object, schema=shop)`."""

        class Row(tuple[Any, ...]):
            """What snapshot() gives: a NamedTuple of the values of all fields. Each type has its own."""

            def __getattr__(self, name: str) -> Any: ...

        def __init_subclass__(cls, *, schema: Schema | None = None) -> None: ...

        def snapshot(self) -> Row: ...

else:
    from object_database.schema_fields import Indexed, Unique

    Object = _core.Object

DatabaseObjectBase = Object


def SubscribeLazilyByDefault(cls: _Class) -> _Class:
    """Class decorator, below @schema.define: marks a type that is better loaded when it is used.

    The mark is kept (`T.isLazyByDefault()`); subscriptions load everything at once all the same.
    """
    cls.__odb_is_lazy_by_default__ = True
    return cls


def indexValueFor(type: Any, value: Any, serializationContext: Any = None) -> IndexValue:  # noqa: A002 (its old name)
    """The bytes of a value as an index holds it: byte order is the order of the values (D38).

    Args:    type: a field's type, or tuple[...] of several for a composite index; what Schema.indexType() gives.
             value: converted as in a lookup.  serializationContext: not used; programs for the reference pass it.
    Raises:  SchemaError: no type of a field; or a reference outside of a view, whose connection numbers the types.
             ValueTypeError, ValueRangeError: the value does not fit.
    """
    parts = typing.get_args(type)
    if typing.get_origin(type) is tuple and Ellipsis not in parts:
        if not isinstance(value, (tuple, list)) or len(value) != len(parts):
            raise ValueTypeError(
                f"an index over {len(parts)} fields takes a tuple of {len(parts)}; {value!r} was given"
            )
        return b"".join(indexValueFor(part, each) for part, each in zip(parts, value, strict=True))
    return bytes(_core.index_value(Reading().spec(type), value))


class Schema:
    """A named set of database types. Two schemas of one name are the same schema to a server.

    A type can be named before it is defined (`schema.Thing`); freeze(), which adding a schema to a connection does,
    checks that every such name was defined in the end.
    """

    def __init__(self, name: str):
        if not _core.is_schema_name(name):
            raise SchemaError(f"a schema needs a name without blanks, brackets and commas; {name!r} was given")
        self._name = name
        self._types: dict[str, type] = {}
        self._undefined: set[str] = set()
        self._supporting_types: dict[str, type | FieldType] = {}
        self._is_frozen = False

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Schema({self._name})"

    def __getattr__(self, name: str) -> Any:
        """The type of this name; a forward reference when it is not defined yet."""
        if name.startswith("_"):
            raise AttributeError(name)
        known = self._supporting_types.get(name) or self._types.get(name)
        if known is not None:
            return known
        if self._is_frozen:
            raise AttributeError(
                f"{self!r} has no type {name!r}, and it is frozen: it was added to a connection already"
            )
        return self._forward(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        elif self._is_frozen or name in _SCHEMA_NAMES or name in self._types:
            raise SchemaError(f"{self._name}.{name} cannot be set: it is taken, or the schema is frozen")
        elif not isinstance(value, (type, FieldType)):
            raise SchemaError(f"{self._name}.{name} can be set to a supporting type only; {value!r} is no type")
        else:
            self._supporting_types[name] = value

    def define(self, cls: _Class) -> _Class:
        """Make a class a database type of this schema; a class decorator.

        Returns: the database type that replaces the class.
        Raises:  SchemaError: names the member that cannot be meant so; the schema is as it was before.
        """
        name = cls.__name__
        if self._is_frozen:
            raise SchemaError(f"{self._name}.{name} comes too late: the schema was added to a connection already")
        if name.startswith("_") or name in _SCHEMA_NAMES or name in self._supporting_types:
            raise SchemaError(f"a type of a schema cannot be named {name!r}")
        if name in self._types and name not in self._undefined:
            raise SchemaError(f"{self._name}.{name} is defined already")
        before = dict(self._types), set(self._undefined)
        database_type = self._types.get(name) or self._forward(name)
        try:
            definition = read_class(self._name, self._types, self.__getattr__, cls, sys._getframe(1))
            build(self._name, cls, database_type, definition)
        except BaseException:
            self._types, self._undefined = before  # also without the types that only this definition named
            raise
        self._undefined.discard(name)
        return database_type  # type: ignore[return-value]

    def freeze(self) -> None:
        """Declare the schema finished. Idempotent.

        Raises: SchemaError: names types that were referred to and never defined.
        """
        if self._undefined:
            missing = ", ".join(f"{self._name}.{name}" for name in sorted(self._undefined))
            raise SchemaError(f"still need definitions for {missing}")
        self._is_frozen = True

    # ---- what is defined

    def toDefinition(self) -> SchemaDefinition:
        """The names of the fields and indexes of every type, by the type's name, sorted."""
        return {name: self.typeToDef(self._types[name]) for name in sorted(self._types)}

    def typeToDef(self, t: type[Any]) -> TypeDefinition:
        """The names of a type's fields and indexes, sorted. A type that is not defined yet has the hidden ones only."""
        known = DEFINITIONS.get(t, Definition({}, {}, {}))
        return TypeDefinition(tuple(sorted([EXISTS, *known.fields])), tuple(sorted([EXISTS, *known.indexes])))

    def getType(self, name: str) -> type[Any] | None:
        """The database type of this name, or None; unlike an attribute it makes no forward reference."""
        return self._types.get(name)

    def fieldType(self, typename: str, fieldname: str) -> Any:
        """What a field holds: int, a database type, OneOf(...); None when there is no such field."""
        known = self._definition_of(typename)
        if known is None or fieldname == EXISTS:
            return None if known is None else bool
        return known.fields[fieldname].annotation if fieldname in known.fields else None

    def indexType(self, typename: str, indexname: str) -> Any:
        """What an index is looked up with: its field's type, tuple[...] of several; None when there is no such index."""
        known = self._definition_of(typename)
        if known is None or indexname == EXISTS:
            return None if known is None else bool
        if indexname not in known.indexes:
            return None
        parts = tuple(known.fields[name].annotation for name in known.indexes[indexname].names)
        return parts[0] if len(parts) == 1 else types.GenericAlias(tuple, parts)

    def lookupFullyQualifiedTypeByName(self, name: str) -> type[Any] | None:
        """The type that "schema.Type" names, or None when it is not one of this schema."""
        schema, _, typename = name.rpartition(".")
        return self.getType(typename) if schema == self._name else None

    def _definition_of(self, typename: str) -> Definition | None:
        database_type = self._types.get(typename)
        return None if database_type is None else DEFINITIONS.get(database_type)

    def _forward(self, name: str) -> type:
        made: type = _core.make_type(self._name, name)
        type.__setattr__(made, "__schema__", self)
        self._types[name] = made
        self._undefined.add(name)
        return made

    def _database_types(self) -> list[type]:
        return [self._types[name] for name in sorted(self._types)]


_SCHEMA_NAMES = frozenset(name for name in dir(Schema) if not name.startswith("__"))
