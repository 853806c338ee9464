"""What a class body says of its fields and indexes, once it was read."""

from __future__ import annotations

import typing
from functools import partial
from typing import Any, NamedTuple

from object_database.errors import SchemaError
from object_database.types import field_type
from object_database.types_base import HINTS, UnresolvedNameError

__all__ = [
    "DEFINITIONS",
    "NO_DEFAULT",
    "Definition",
    "Field",
    "Index",
    "Indexed",
    "IndexedField",
    "Unique",
    "split_indexed",
]

NO_DEFAULT: Any = object()


class Index:
    """An index over one or more fields, looked up by a value or a tuple of values: `T.lookupAll(by_a_b=(1, "x"))`.

    Args:    names: names of fields of the same type, in the order of the index.
             unique: no two objects may have the same values (D15); those with a None among them may.
    Raises:  SchemaError: no name was given, or something that is no name.
    """

    def __init__(self, *names: str, unique: bool = False):
        if not names:
            raise SchemaError("an Index needs the name of a field: Index('state', 'number')")
        for name in names:
            if not isinstance(name, str):
                raise SchemaError(f"an Index takes names of fields: Index('state', 'number'), and not {name!r}")
        self.names = names
        self.unique = unique

    def __repr__(self) -> str:
        return f"Index({', '.join(map(repr, self.names))}{', unique=True' if self.unique else ''})"

    def __call__(self, instance: Any) -> tuple[Any, ...]:
        """The values that an object has in this index."""
        return tuple(getattr(instance, name) for name in self.names)


class IndexedField:
    """What Indexed and Unique give: a field's type, and that the field is indexed by its own name."""

    def __init__(self, annotation: Any, is_unique: bool):
        self.annotation = annotation
        self.is_unique = is_unique

    def __repr__(self) -> str:
        return f"{'Unique' if self.is_unique else 'Indexed'}[{self.annotation!r}]"

    def __or__(self, other: Any) -> Any:
        word = "Unique" if self.is_unique else "Indexed"
        raise SchemaError(f"{word} stands around the whole type of a field: {word}[int | None], not {word}[int] | None")

    __ror__ = __or__


class Indexed:
    """A field with an index of the same name: `k = Indexed(int)` or `k: Indexed[int]`."""

    _is_unique = False

    def __new__(cls, annotation: Any) -> IndexedField:  # type: ignore[misc]
        try:
            if not isinstance(annotation, str):
                field_type(annotation)
        except UnresolvedNameError:
            pass  # define() knows the names
        except SchemaError as error:
            raise SchemaError(f"{cls.__name__} takes the type of a field: {error}") from None
        return IndexedField(annotation, cls._is_unique)

    def __class_getitem__(cls, annotation: Any) -> IndexedField:
        return IndexedField(annotation, cls._is_unique)


class Unique(Indexed):
    """A field with a unique index of the same name: no two objects have the same value, but for None (D15).

    A commit that would break this raises UniqueViolationError; within the transaction nothing is checked.
    """

    _is_unique = True


def split_indexed(annotation: Any) -> tuple[Any, bool | None]:
    """The type of a field, and whether its index is unique; None without one. Annotated[int, Indexed] is Indexed[int]."""
    if isinstance(annotation, IndexedField):
        return annotation.annotation, annotation.is_unique
    if typing.get_origin(annotation) is typing.Annotated:
        for mark in annotation.__metadata__:
            if isinstance(mark, type) and issubclass(mark, Indexed):
                return annotation.__origin__, mark._is_unique
    return annotation, None


class Field(NamedTuple):
    annotation: Any  # int, a database type, OneOf(...): in our own form
    spec: Any
    default: Any  # as it was written; NO_DEFAULT: the type's own


class Definition(NamedTuple):
    """What a class body says, inherited parts included."""

    fields: dict[str, Field]
    indexes: dict[str, Index]
    members: dict[str, Any]  # methods, properties, constants of the class itself


DEFINITIONS: dict[type, Definition] = {}  # database type -> its definition


@partial(HINTS.insert, 0)  # before what is said of every class
def _hint(annotation: Any) -> str:
    if isinstance(annotation, Index) or annotation is Index:
        return "an index is no type; it is written `by_name = Index('name')`"
    if isinstance(annotation, type) and issubclass(annotation, Indexed):
        return f"it takes a type: {annotation.__name__}[int]"
    return "it stands around the whole type of a field" if isinstance(annotation, IndexedField) else ""
