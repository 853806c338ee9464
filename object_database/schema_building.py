"""Makes a database type out of a class: its fields and indexes go to the core, its other members onto the type."""

from __future__ import annotations

import difflib
import types
from typing import Any

from object_database import _core
from object_database.errors import SchemaError
from object_database.schema_fields import DEFINITIONS, NO_DEFAULT, Definition, Field
from object_database.schema_rows import describe_itself, generated_doc

__all__ = ["build"]

# A field of one of these names could not be read. (`Row` is no such name: there the field wins, as with `snapshot`.)
_RESERVED_FIELDS = frozenset(name for name in dir(_core.Object) if not name.startswith("__")) - {"snapshot"}
_WRAPPED = ("fget", "fset", "fdel", "func", "__func__", "__wrapped__")  # where decorators keep what they decorate
_WRAPPERS_MAX = 64  # an object that has every attribute would never end


def _meant(name: str, fields: list[str]) -> str:
    close = difflib.get_close_matches(name, fields, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(map(repr, fields)) or 'none'}"


def build(schema_name: str, cls: type, database_type: type, definition: Definition) -> None:
    """Make `database_type`, an empty one so far, what the class says.

    Raises: SchemaError: names what cannot be; the type is as empty as before.
    """
    for name in (*definition.fields, *definition.indexes):
        if name in _RESERVED_FIELDS:
            raise SchemaError(f"{schema_name}.{cls.__name__}.{name}: the name is taken by every object; choose another")
    for name, index in definition.indexes.items():
        for field in index.names:
            if field not in definition.fields:
                raise SchemaError(
                    f"{schema_name}.{cls.__name__}.{name} is an index over {field!r}, which is no field; "
                    + _meant(field, list(definition.fields))
                )
    bases = _bases(schema_name, cls)
    if bases != database_type.__bases__:
        try:
            database_type.__bases__ = bases
        except TypeError as error:
            raise SchemaError(f"{schema_name}.{cls.__name__} cannot have these bases: {error}") from error
    init = None if cls.__init__ is object.__init__ else cls.__init__  # type: ignore[misc]
    fields = _with_defaults(f"{schema_name}.{cls.__name__}", definition)
    _core.define_type(
        database_type,
        [(name, each.spec, None if each.default is NO_DEFAULT else (each.default,)) for name, each in fields.items()],
        [(name, index.names, index.unique) for name, index in definition.indexes.items()],
        init,
        getattr(cls, "__del__", None),
    )
    definition.fields.update(fields)
    DEFINITIONS[database_type] = definition
    describe_itself(database_type, has_row=not _has_its_own(cls, "Row") and "Row" not in definition.fields)
    for name, member in definition.members.items():
        setattr(database_type, name, member)
        _rebind_super(member, cls, database_type)
    database_type.__module__ = cls.__module__
    database_type.__qualname__ = cls.__qualname__
    database_type.__doc__ = cls.__doc__ or generated_doc(cls.__name__, definition)
    database_type.__is_database_object_type__ = True  # type: ignore[attr-defined]
    if getattr(cls, "__odb_is_lazy_by_default__", False):
        database_type.markLazyByDefault()  # type: ignore[attr-defined]


def _with_defaults(where: str, definition: Definition) -> dict[str, Field]:
    """The fields with their defaults as values of their types, so that what a class body gave can change later."""
    return {
        name: field
        if field.default is NO_DEFAULT
        else field._replace(default=_core.convert(field.spec, field.default, f"{where}.{name} (default)"))
        for name, field in definition.fields.items()
    }


def _has_its_own(cls: type, name: str) -> bool:
    """Whether the class or one that it derives from was written with a member of this name."""
    return any(name in (DEFINITIONS[base].members if base in DEFINITIONS else base.__dict__) for base in cls.__mro__)


def _bases(schema_name: str, cls: type) -> tuple[type, ...]:
    for base in cls.__bases__:
        if issubclass(base, _core.Object) and base is not _core.Object and base not in DEFINITIONS:
            raise SchemaError(f"{schema_name}.{cls.__name__}: its base {base.__name__} is not defined on a schema")
    bases = tuple(base for base in cls.__bases__ if base is not object)
    has_object = any(issubclass(base, _core.Object) for base in bases)
    return bases if has_object else (*bases, _core.Object)


def _rebind_super(member: Any, old: type, new: type) -> None:
    """Zero-argument super() looks into a cell that holds the class as it was written; now it is the database type.

    All methods of a class share the cell. A decorated one holds the function it was written as: in its closure, or as
    an attribute, as property, staticmethod, partialmethod and whatever uses functools.wraps do.
    """
    unvisited, seen = [member], set[int]()
    while unvisited and len(seen) < _WRAPPERS_MAX:
        part = unvisited.pop()
        if id(part) in seen or isinstance(part, type):
            continue
        seen.add(id(part))
        unvisited += [inside for name in _WRAPPED if (inside := getattr(part, name, None)) is not None]
        for cell in (part.__closure__ or ()) if isinstance(part, types.FunctionType) else ():
            try:
                inside = cell.cell_contents
            except ValueError:  # an empty cell
                continue
            if inside is old:
                cell.cell_contents = new
            elif isinstance(inside, types.FunctionType) or hasattr(inside, "__wrapped__"):
                unvisited.append(inside)
