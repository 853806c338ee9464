"""The names of things, as definitions, views and conflicts speak of them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "EXISTS",
    "FieldDefinition",
    "FieldId",
    "IndexId",
    "IndexValue",
    "ObjectFieldId",
    "ObjectId",
    "SchemaDefinition",
    "TypeDefinition",
]

EXISTS = " exists"  # the hidden field and index that every type has, as far as definitions list it

ObjectId = int
FieldId = int
IndexValue = bytes


class ObjectFieldId(NamedTuple):
    """One field of one object: the key of a stored value."""

    objId: ObjectId
    fieldId: FieldId
    isIndexValue: bool = False


class IndexId(NamedTuple):
    """One value of one index: the key of a set of objects."""

    fieldId: FieldId
    indexValue: IndexValue


class TypeDefinition(NamedTuple):
    """The names of a type's fields and indexes, sorted, the hidden one of existence included."""

    fields: tuple[str, ...]
    indices: tuple[str, ...]


SchemaDefinition = dict[str, TypeDefinition]  # a type's name -> its definition


class FieldDefinition(NamedTuple):
    """A field or index by its names."""

    schema: str
    typename: str
    fieldname: str
