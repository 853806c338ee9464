"""Reads class bodies: which members are fields, indexes, methods and constants. Anything else is an error (D2)."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from object_database import _core
from object_database.errors import SchemaError
from object_database.schema_fields import DEFINITIONS, NO_DEFAULT, Definition, Field, Index, IndexedField, split_indexed
from object_database.types_base import Reading, is_field_class
from object_database.types_names import Names, annotations_of, module_of
from object_database.types_native import looks_like_a_type
from object_database.types_records import NO_DEFAULT as NOT_CONSTANT
from object_database.types_records import constant_of

__all__ = ["read_class"]

_MACHINERY = frozenset({"__dict__", "__weakref__", "__slots__", "_abc_impl"})  # of the class itself; no members
_UNRESOLVED = (NameError, SyntaxError, AttributeError)


class _ForwardNames(Names):
    """Names in string annotations: the types of the schema, the class body, where define() was called, the module,
    builtins; a name that is nowhere is a type of the schema that comes later. A base from another module has the names
    of that module."""

    def __init__(self, known: dict[str, type], make: Callable[[str], Any], cls: type, caller: types.FrameType):
        is_near = caller.f_globals.get("__name__") == cls.__module__
        super().__init__(
            known, cls.__dict__, caller.f_locals if is_near else {}, module_of(cls), otherwise=self._forward
        )
        self._make = make

    def _forward(self, name: str) -> Any:
        if not name.isidentifier() or not name[:1].isupper():
            raise NameError(f"name {name!r} is not defined")
        return self._make(name)


class _Body:
    """One class body that is being read into a definition."""

    def __init__(self, where: str, names: Names, definition: Definition):
        self.where = where
        self._names = names
        self.definition = definition

    def plain(self, annotation: Any) -> Any:
        """The annotation without the quotes around it, which may hide Indexed and ClassVar."""
        while isinstance(annotation, (str, typing.ForwardRef)):
            annotation = self._names(annotation if isinstance(annotation, str) else annotation.__forward_arg__)
        return annotation

    def add_field(self, name: str, annotation: Any, default: Any, is_itself: bool) -> None:
        """is_itself: False in an ordinary base class, where what is no field may stand."""
        try:
            plain, is_unique = split_indexed(self.plain(annotation))
            reading = Reading(self._names)
            type_ = reading.type(plain)
            spec = reading.spec_of(type_)
        except SchemaError as error:
            if not is_itself:
                return
            raise SchemaError(f"{self.where}.{name}: {error}") from error
        except (*_UNRESOLVED, TypeError) as error:
            raise SchemaError(
                f"{self.where}.{name}: the annotation {annotation!r} cannot be resolved: {error}"
            ) from error
        self.definition.fields[name] = Field(type_, spec, self._constant(name, default))
        if is_unique is None:
            self.definition.indexes.pop(name, None)
        else:
            self.definition.indexes[name] = Index(name, unique=is_unique)

    def _constant(self, name: str, default: Any) -> Any:
        """The default out of dataclasses.field(...): one value, and not one for each object."""
        if not isinstance(default, dataclasses.Field):
            return default
        if default.default is not dataclasses.MISSING:
            return default.default
        if default.default_factory is dataclasses.MISSING:
            return NO_DEFAULT
        value = constant_of(default.default_factory)
        if value is NOT_CONSTANT:
            raise SchemaError(
                f"{self.where}.{name}: its default_factory is no default, which is one value for all objects: give the "
                "field its value in __init__"
            )
        return value


def read_class(
    schema_name: str, known: dict[str, type], make: Callable[[str], Any], cls: type, caller: types.FrameType
) -> Definition:
    """What a class and those that it derives from say.

    Args:    known: the schema's types by name.  make: gives a forward reference for a name that is not among them.
             caller: whose local names annotations may use.
    Raises:  SchemaError: names the member that cannot be meant so, and says what to write.
    """
    definition = Definition({}, {}, {})
    for base in reversed(cls.__mro__):
        if base in DEFINITIONS:
            definition.fields.update(DEFINITIONS[base].fields)
            definition.indexes.update(DEFINITIONS[base].indexes)
        elif base not in (object, _core.Object):
            body = _Body(f"{schema_name}.{cls.__name__}", _ForwardNames(known, make, base, caller), definition)
            _read_members(body, base, base is cls)
    return definition


def _read_members(body: _Body, cls: type, is_itself: bool) -> None:
    """What stands in an ordinary base class and is no field is left where it is."""
    where, definition = body.where, body.definition
    for name in ("__slots__", "__new__"):
        if is_itself and name in cls.__dict__:
            raise SchemaError(f"{where}.{name}: database types make their objects themselves; use __init__")
    annotations = annotations_of(cls)
    for name, annotation in annotations.items():
        if not _is_class_var(annotation, body):
            if is_itself:
                _check_default(f"{where}.{name}", name, cls.__dict__.get(name))
            body.add_field(name, annotation, cls.__dict__.get(name, NO_DEFAULT), is_itself)
    for name, member in cls.__dict__.items():
        if name in _MACHINERY or (name in definition.fields and name in annotations):
            continue
        if isinstance(member, Index):
            definition.indexes[name] = member
        elif _is_method(member):
            if definition.fields.pop(name, None) is not None:
                definition.indexes.pop(name, None)
            if is_itself:
                definition.members[name] = member
        elif (name.startswith("__") and name.endswith("__")) or name in annotations:
            if is_itself and name in annotations:
                definition.members[name] = member
        elif _is_written_inside(member, cls, name):
            if is_itself:
                definition.members[name] = member
        elif isinstance(member, IndexedField) or looks_like_a_type(member):
            body.add_field(name, member, NO_DEFAULT, is_itself)
        elif is_itself:
            raise SchemaError(
                f"{where}.{name} = {member!r} is neither a field, an index nor a method. "
                f"A field with a default is written `{name}: {type(member).__name__} = {member!r}`, "
                f"a constant `{name}: ClassVar = {member!r}`."
            )


def _check_default(where: str, name: str, default: Any) -> None:
    """What was written below a field under its name, and hides it: the field would have it as its default."""
    if isinstance(default, Index):
        raise SchemaError(
            f"{where} is a field and an index: give the index another name, or write `{name}: Indexed[...]` for one over "
            "this field alone"
        )
    if isinstance(default, types.FunctionType) and default.__name__ == "<lambda>":
        raise SchemaError(
            f"{where}: its default is a function, and would be one value for all objects: give the field its value in "
            "__init__"
        )
    if isinstance(default, (types.FunctionType, property, staticmethod, classmethod)):
        raise SchemaError(f"{where} is a field and a method: give one of them another name")


def _is_class_var(annotation: Any, body: _Body) -> bool:
    if isinstance(annotation, str):
        if annotation.replace("typing.", "").lstrip().startswith("ClassVar"):
            return True
        try:
            annotation = body.plain(annotation)
        except (*_UNRESOLVED, TypeError):
            return False  # reading it as a field says what is wrong
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _is_written_inside(member: Any, cls: type, name: str) -> bool:
    """An enum or a record that is written inside of the class is a name there, as a constant is, and no field."""
    return (
        isinstance(member, type)
        and member.__qualname__ == f"{cls.__qualname__}.{name}"
        and member.__module__ == cls.__module__
        and is_field_class(member)
    )


def _is_method(member: Any) -> bool:
    return (
        not isinstance(member, type)
        and not looks_like_a_type(member)
        and (
            isinstance(member, (types.FunctionType, property, staticmethod, classmethod)) or hasattr(member, "__get__")
        )
    )
