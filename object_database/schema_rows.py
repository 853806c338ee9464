"""What a database type tells of itself: its Row and snapshot(), its signature, a line of documentation."""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable
from keyword import iskeyword
from typing import Any

from object_database import _core
from object_database.errors import ObjectDoesntExistException, SchemaError
from object_database.schema_fields import DEFINITIONS, NO_DEFAULT, Definition, Field
from object_database.types_base import shown
from object_database.types_defaults import default_of, has_default

__all__ = ["describe_itself", "generated_doc"]


class _Made:
    """An attribute of database types that is made when it is first asked for; each type gets one of its own."""

    def __init__(self, name: str, make: Callable[[type], Any]):
        self._name = name
        self._make = make

    def __get__(self, instance: object, owner: type) -> Any:
        database_type = next(base for base in owner.__mro__ if base in DEFINITIONS)
        made = self._make(database_type)
        type.__setattr__(database_type, self._name, made)
        return made


_row_classes: dict[type, Any] = {}


def _row_class(database_type: type) -> Any:
    """A name that a NamedTuple cannot have, `_x` or `class`, is `_` and its position there."""
    if database_type not in _row_classes:
        fields = DEFINITIONS[database_type].fields
        made = namedtuple(database_type.__name__, list(fields), rename=True, module=database_type.__module__)  # type: ignore[misc]
        made.__qualname__ = f"{database_type.__qualname__}.Row"
        made.__doc__ = f"What a {database_type.__name__} was at one time: the values of its fields."
        made.__annotations__ = dict(zip(made._fields, (field.annotation for field in fields.values()), strict=True))
        _row_classes.setdefault(database_type, made)  # another thread may have been first
    return _row_classes[database_type]


def _snapshot(self: Any) -> Any:
    """snapshot()

    The values of all fields as they are now: a `Row` of the type, a NamedTuple that outlives the view.
    In a transaction it is a read of every field.
    """
    database_type = type(self)
    if database_type not in DEFINITIONS:
        raise SchemaError(f"{database_type.__name__} is not a type of a schema: decorate it with @schema.define")
    fields = DEFINITIONS[database_type].fields
    if not fields and not self.exists():
        raise ObjectDoesntExistException(self)
    return _row_class(database_type)._make([getattr(self, name) for name in fields])


_snapshot.__name__, _snapshot.__qualname__ = "snapshot", "Object.snapshot"
_core.Object.snapshot = _snapshot  # type: ignore[method-assign]


def _default_of(name: str, field: Field) -> Any:
    """What a field holds that the constructor was not given; nothing when it must be given."""
    if field.default is not NO_DEFAULT:
        return field.default
    return default_of(field.spec, name) if has_default(field.spec) else inspect.Parameter.empty


def _signature(database_type: type) -> inspect.Signature:
    init = database_type.__init__  # type: ignore[misc]
    if init is not object.__init__:
        signature = inspect.signature(init)
        return signature.replace(parameters=list(signature.parameters.values())[1:])
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, kind, default=_default_of(name, field), annotation=field.annotation)
        for name, field in DEFINITIONS[database_type].fields.items()
        if name.isidentifier() and not iskeyword(name)
    ]
    return inspect.Signature(parameters)


def describe_itself(database_type: type, has_row: bool) -> None:
    """Give a type its Row, unless a member of its class has that name, and its signature."""
    if has_row:
        type.__setattr__(database_type, "Row", _Made("Row", _row_class))
    type.__setattr__(database_type, "__signature__", _Made("__signature__", _signature))


_DOCUMENTED_FIELDS = 20  # of a type that says nothing of itself: more would be no line


def generated_doc(name: str, definition: Definition) -> str:
    def line(field_name: str, field: Field) -> str:
        default = "" if field.default is NO_DEFAULT else f" = {field.default!r}"
        return f"{field_name}: {shown(field.annotation)}{default}"

    parts = [line(*item) for item in list(definition.fields.items())[:_DOCUMENTED_FIELDS]]
    return f"{name}({', '.join(parts)}{', ...' if len(definition.fields) > _DOCUMENTED_FIELDS else ''})"
