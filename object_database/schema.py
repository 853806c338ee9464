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

import builtins
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from object_database import _core
from object_database.errors import SchemaError
from object_database.types import field_spec, from_union, is_union

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
]

_T = TypeVar("_T")
_Class = TypeVar("_Class", bound=type)

_RESERVED_FIELDS = frozenset(name for name in dir(_core.Object) if not name.startswith("__"))
_MACHINERY = frozenset({"__dict__", "__weakref__", "__slots__", "_abc_impl"})  # of the class itself; no members
_NO_DEFAULT: Any = object()


# ---- the names of things, as views and conflicts speak of them

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



class Index:
    """An index over one or more fields, looked up by a value or a tuple of values: `T.lookupAll(by_a_b=(1, "x"))`.

    Args:    names: names of fields of the same type, in the order of the index.
    Raises:  SchemaError: no name was given.
    """

    def __init__(self, *names: str):
        if not names:
            raise SchemaError("an Index needs the name of a field: Index('state', 'number')")
        self.names = names

    def __repr__(self) -> str:
        return f"Index({', '.join(map(repr, self.names))})"


class _IndexedField:
    """What Indexed(T) and Indexed[T] give: a field's type, and that the field is indexed by its own name."""

    def __init__(self, annotation: Any):
        self.annotation = annotation


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform  # known to every type checker; nothing to install

    Indexed = Annotated[_T, "indexed"]

    @dataclass_transform(kw_only_default=True)
    class Object(_core.Object):
        """Base of database types in the class-statement style: `class Order(Object, schema=shop)`."""

        def __init_subclass__(cls, *, schema: Schema | None = None) -> None: ...

else:
    Object = _core.Object

    class Indexed:
        """A field with an index of the same name: `k = Indexed(int)` or `k: Indexed[int]`."""

        def __new__(cls, annotation: Any) -> _IndexedField:
            if not isinstance(annotation, str) and field_spec(annotation) is None:
                raise SchemaError(f"Indexed takes the type of a field; {annotation!r} is none")
            return _IndexedField(annotation)

        def __class_getitem__(cls, annotation: Any) -> _IndexedField:
            return _IndexedField(annotation)


DatabaseObjectBase = Object


def SubscribeLazilyByDefault(cls: _Class) -> _Class:
    """Class decorator, below @schema.define: marks a type that is better loaded when it is used.

    The mark is kept (`T.isLazyByDefault()`); subscriptions load everything at once all the same.
    """
    cls.__odb_is_lazy_by_default__ = True  # type: ignore[attr-defined]
    return cls


class _Field(NamedTuple):
    spec: Any
    default: Any  # _NO_DEFAULT: the type's own


class _Definition(NamedTuple):
    """What a class body says, inherited parts included."""

    fields: dict[str, _Field]
    indexes: dict[str, tuple[str, ...]]
    members: dict[str, Any]  # methods, properties, constants of the class itself


_definitions: dict[type, _Definition] = {}  # database type -> its definition


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
        self._supporting_types: dict[str, type] = {}
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
        elif not isinstance(value, type):
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
            _build(self, cls, database_type, sys._getframe(1))
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

    def _forward(self, name: str) -> type:
        made: type = _core.make_type(self._name, name)
        type.__setattr__(made, "__schema__", self)
        self._types[name] = made
        self._undefined.add(name)
        return made

    def _database_types(self) -> list[type]:
        return [self._types[name] for name in sorted(self._types)]


_SCHEMA_NAMES = frozenset(name for name in dir(Schema) if not name.startswith("__"))


class _Names(dict[str, Any]):
    """Names in string annotations: the class body, where define() was called, the module, builtins; a name that is
    nowhere is a type of the schema that comes later. A base from another module has the names of that module."""

    def __init__(self, schema: Schema, cls: type, caller: types.FrameType):
        is_near = caller.f_globals.get("__name__") == cls.__module__
        self._schema = schema
        self._scopes = (
            cls.__dict__,
            caller.f_locals if is_near else {},
            getattr(sys.modules.get(cls.__module__), "__dict__", {}),
            vars(builtins),
        )

    def __missing__(self, name: str) -> Any:
        if name in self._schema._types:
            return self._schema._types[name]
        for scope in self._scopes:
            if name in scope:
                return scope[name]
        if not name.isidentifier() or not name[:1].isupper():
            raise NameError(f"name {name!r} is not defined")
        return getattr(self._schema, name)

    def resolved(self, annotation: Any) -> Any:
        """The annotation with its strings replaced by what they name."""
        if isinstance(annotation, typing.ForwardRef):
            annotation = annotation.__forward_arg__
        if isinstance(annotation, str):
            return self.resolved(eval(annotation, {}, self))
        if isinstance(annotation, _IndexedField):
            return _IndexedField(self.resolved(annotation.annotation))
        if is_union(annotation):
            return from_union(annotation, self.resolved)
        return annotation


def _build(schema: Schema, cls: type, database_type: type, caller: types.FrameType) -> None:
    definition = _read_class(schema, cls, caller)
    for name in definition.fields:
        if name in _RESERVED_FIELDS:
            raise SchemaError(f"{schema.name}.{cls.__name__}.{name}: the name is taken by every object; choose another")
    for name, fields in definition.indexes.items():
        for field in fields:
            if field not in definition.fields:
                raise SchemaError(f"{schema.name}.{cls.__name__}.{name} is an index over {field!r}, which is no field")
    bases = _bases(schema, cls)
    if bases != database_type.__bases__:
        try:
            database_type.__bases__ = bases
        except TypeError as error:
            raise SchemaError(f"{schema.name}.{cls.__name__} cannot have these bases: {error}") from error
    init = None if cls.__init__ is object.__init__ else cls.__init__  # type: ignore[misc]
    _core.define_type(
        database_type,
        [
            (name, field.spec, None if field.default is _NO_DEFAULT else (field.default,))
            for name, field in definition.fields.items()
        ],
        list(definition.indexes.items()),
        init,
        getattr(cls, "__del__", None),
    )
    _definitions[database_type] = definition
    for name, member in definition.members.items():
        setattr(database_type, name, member)
        _rebind_super(member, cls, database_type)
    database_type.__module__ = cls.__module__
    database_type.__qualname__ = cls.__qualname__
    database_type.__doc__ = cls.__doc__
    database_type.__is_database_object_type__ = True  # type: ignore[attr-defined]
    if getattr(cls, "__odb_is_lazy_by_default__", False):
        database_type.markLazyByDefault()  # type: ignore[attr-defined]


def _bases(schema: Schema, cls: type) -> tuple[type, ...]:
    for base in cls.__bases__:
        if issubclass(base, _core.Object) and base is not _core.Object and base not in _definitions:
            raise SchemaError(f"{schema.name}.{cls.__name__}: its base {base.__name__} is not defined on a schema")
    bases = tuple(base for base in cls.__bases__ if base is not object)
    has_object = any(issubclass(base, _core.Object) for base in bases)
    return bases if has_object else (*bases, _core.Object)


def _read_class(schema: Schema, cls: type, caller: types.FrameType) -> _Definition:
    definition = _Definition({}, {}, {})
    for base in reversed(cls.__mro__):
        if base in _definitions:
            definition.fields.update(_definitions[base].fields)
            definition.indexes.update(_definitions[base].indexes)
        elif base not in (object, _core.Object):
            names = _Names(schema, base, caller)
            _read_members(f"{schema.name}.{cls.__name__}", base, base is cls, names, definition)
    return definition


def _read_members(where: str, cls: type, is_itself: bool, names: _Names, definition: _Definition) -> None:
    """One class body. What stands in an ordinary base class and is no field is left where it is."""
    for name in ("__slots__", "__new__"):
        if is_itself and name in cls.__dict__:
            raise SchemaError(f"{where}.{name}: database types make their objects themselves; use __init__")
    annotations = inspect.get_annotations(cls)
    for name, annotation in annotations.items():
        if _is_class_var(annotation):
            continue
        try:
            resolved = names.resolved(annotation)
        except (NameError, SyntaxError, TypeError, AttributeError) as error:
            raise SchemaError(f"{where}.{name}: the annotation {annotation!r} cannot be resolved: {error}") from error
        if _is_class_var(resolved):
            continue
        if not _add_field(name, resolved, cls.__dict__.get(name, _NO_DEFAULT), definition) and is_itself:
            raise SchemaError(f"{where}.{name}: a field cannot be a {annotation!r}")
    for name, member in cls.__dict__.items():
        is_special = name.startswith("__") and name.endswith("__")
        if name in _MACHINERY or (name in definition.fields and name in annotations):
            continue
        if isinstance(member, Index):
            definition.indexes[name] = member.names
        elif _is_method(member):
            if definition.fields.pop(name, None) is not None:
                definition.indexes.pop(name, None)
            if is_itself:
                definition.members[name] = member
        elif is_special or name in annotations:
            if is_itself and name in annotations:
                definition.members[name] = member
        elif isinstance(member, (_IndexedField, type)) or field_spec(member) is not None:
            if member is not None and _add_field(name, names.resolved(member), _NO_DEFAULT, definition):
                continue
            if is_itself:
                raise SchemaError(f"{where}.{name}: a field cannot be a {member!r}")
        elif is_itself:
            raise SchemaError(
                f"{where}.{name} = {member!r} is neither a field, an index nor a method. "
                f"A field with a default is written `{name}: {type(member).__name__} = {member!r}`, "
                f"a constant `{name}: ClassVar = {member!r}`."
            )


def _add_field(name: str, annotation: Any, default: Any, definition: _Definition) -> bool:
    is_indexed = isinstance(annotation, _IndexedField)
    spec = field_spec(annotation.annotation if is_indexed else annotation)
    if spec is None:
        return False
    definition.fields[name] = _Field(spec, default)
    if is_indexed:
        definition.indexes[name] = (name,)
    else:
        definition.indexes.pop(name, None)
    return True


def _is_class_var(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.replace("typing.", "").lstrip().startswith("ClassVar")
    return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar


def _is_method(member: Any) -> bool:
    return not isinstance(member, type) and (
        isinstance(member, (types.FunctionType, property, staticmethod, classmethod)) or hasattr(member, "__get__")
    )


def _rebind_super(member: Any, old: type, new: type) -> None:
    """Zero-argument super() looks into a cell that holds the class as it was written; now it is the database type."""
    functions: tuple[Callable[..., Any] | None, ...]
    if isinstance(member, property):
        functions = (member.fget, member.fset, member.fdel)
    else:
        functions = (getattr(member, "__func__", member),)
    for function in functions:
        for cell in getattr(function, "__closure__", None) or ():
            try:
                if cell.cell_contents is old:
                    cell.cell_contents = new
            except ValueError:  # an empty cell
                continue
