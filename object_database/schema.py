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
from collections import namedtuple
from collections.abc import Callable
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from object_database import _core
from object_database.errors import ObjectDoesntExistException, SchemaError, ValueTypeError
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
    "Unique",
    "indexValueFor",
]

_T = TypeVar("_T")
_Class = TypeVar("_Class", bound=type)

# A field of one of these names could not be read. (`snapshot` and `Row` are no such names: there the field wins.)
_RESERVED_FIELDS = frozenset(name for name in dir(_core.Object) if not name.startswith("__"))
_EXISTS = " exists"  # the hidden field and index that every type has, as far as definitions list it
_WRAPPED = ("fget", "fset", "fdel", "func", "__func__", "__wrapped__")  # where decorators keep what they decorate
_WRAPPERS_MAX = 64  # an object that has every attribute would never end
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
             unique: no two objects may have the same values (D15); those with a None among them may.
    Raises:  SchemaError: no name was given.
    """

    def __init__(self, *names: str, unique: bool = False):
        if not names:
            raise SchemaError("an Index needs the name of a field: Index('state', 'number')")
        self.names = names
        self.unique = unique

    def __repr__(self) -> str:
        return f"Index({', '.join(map(repr, self.names))}{', unique=True' if self.unique else ''})"

    def __call__(self, instance: Any) -> tuple[Any, ...]:
        """The values that an object has in this index."""
        return tuple(getattr(instance, name) for name in self.names)


class _IndexedField:
    """What Indexed and Unique give: a field's type, and that the field is indexed by its own name."""

    def __init__(self, annotation: Any, is_unique: bool):
        self.annotation = annotation
        self.is_unique = is_unique


if TYPE_CHECKING:
    from typing_extensions import dataclass_transform  # known to every type checker; nothing to install

    Indexed = Annotated[_T, "indexed"]
    Unique = Annotated[_T, "unique"]

    @dataclass_transform(kw_only_default=True)
    class Object(_core.Object):
        """Base of database types in the class-statement style: `class Order(Object, schema=shop)`."""

        Row: typing.ClassVar[type[tuple[Any, ...]]]

        def __init_subclass__(cls, *, schema: Schema | None = None) -> None: ...

        def snapshot(self) -> Any: ...

else:
    Object = _core.Object

    class Indexed:
        """A field with an index of the same name: `k = Indexed(int)` or `k: Indexed[int]`."""

        _is_unique = False

        def __new__(cls, annotation: Any) -> _IndexedField:
            if not isinstance(annotation, str) and field_spec(annotation) is None:
                raise SchemaError(f"{cls.__name__} takes the type of a field; {annotation!r} is none")
            return cls[annotation]

        def __class_getitem__(cls, annotation: Any) -> _IndexedField:
            return _IndexedField(annotation, cls._is_unique)

    class Unique(Indexed):
        """A field with a unique index of the same name: no two objects have the same value, but for None (D15).

        A commit that would break this raises UniqueViolationError; within the transaction nothing is checked.
        """

        _is_unique = True


DatabaseObjectBase = Object


def SubscribeLazilyByDefault(cls: _Class) -> _Class:
    """Class decorator, below @schema.define: marks a type that is better loaded when it is used.

    The mark is kept (`T.isLazyByDefault()`); subscriptions load everything at once all the same.
    """
    cls.__odb_is_lazy_by_default__ = True  # type: ignore[attr-defined]
    return cls


def indexValueFor(type: Any, value: Any, serializationContext: Any = None) -> IndexValue:  # noqa: A002 (its old name)
    """The bytes of a value as an index holds it: byte order is the order of the values (D38).

    Args:    type: a field's type, or tuple[...] of several for a composite index; what Schema.indexType() gives.
             value: converted as in a lookup.  serializationContext: not used; programs for the reference pass it.
    Raises:  SchemaError: no type of a field; or a reference outside of a view, whose connection numbers the types.
             ValueTypeError, ValueRangeError: the value does not fit.
    """
    if typing.get_origin(type) is tuple:
        parts = typing.get_args(type)
        if not isinstance(value, (tuple, list)) or len(value) != len(parts):
            raise ValueTypeError(
                f"an index over {len(parts)} fields takes a tuple of {len(parts)}; {value!r} was given"
            )
        return b"".join(indexValueFor(part, each) for part, each in zip(parts, value, strict=True))
    spec = field_spec(type)
    if spec is None:
        raise SchemaError(f"{type!r} is not the type of a field")
    return bytes(_core.index_value(spec, value))


class _Field(NamedTuple):
    annotation: Any  # int, a database type, OneOf(...): strings and unions are resolved
    spec: Any
    default: Any  # _NO_DEFAULT: the type's own


class _Definition(NamedTuple):
    """What a class body says, inherited parts included."""

    fields: dict[str, _Field]
    indexes: dict[str, Index]
    members: dict[str, Any]  # methods, properties, constants of the class itself


_definitions: dict[type, _Definition] = {}  # database type -> its definition


class _Made:
    """An attribute of database types that is made when it is first asked for; each type gets one of its own."""

    def __init__(self, name: str, make: Callable[[type], Any]):
        self._name = name
        self._make = make

    def __get__(self, instance: object, owner: type) -> Any:
        database_type = next(base for base in owner.__mro__ if base in _definitions)
        made = self._make(database_type)
        type.__setattr__(database_type, self._name, made)
        return made


_row_classes: dict[type, Any] = {}


def _row_class(database_type: type) -> Any:
    """A name that a NamedTuple cannot have, `_x` or `class`, is `_` and its position there."""
    if database_type not in _row_classes:
        fields = _definitions[database_type].fields
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
    if database_type not in _definitions:
        raise SchemaError(f"{database_type.__name__} is not a type of a schema: decorate it with @schema.define")
    fields = _definitions[database_type].fields
    if not fields and not self.exists():
        raise ObjectDoesntExistException(self)
    return _row_class(database_type)._make([getattr(self, name) for name in fields])


_snapshot.__name__, _snapshot.__qualname__ = "snapshot", "Object.snapshot"
_core.Object.snapshot = _snapshot


def _default_of(field: _Field) -> Any:
    if field.default is not _NO_DEFAULT:
        return field.default
    first = field.annotation.Types[0] if isinstance(field.spec, tuple) else field.annotation
    return first.fromIdentity(0) if _core.is_database_type(first) else first()


def _signature(database_type: type) -> inspect.Signature:
    init = database_type.__init__  # type: ignore[misc]
    if init is not object.__init__:
        signature = inspect.signature(init)
        return signature.replace(parameters=list(signature.parameters.values())[1:])
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_default_of(field), annotation=field.annotation)
        for name, field in _definitions[database_type].fields.items()
        if name.isidentifier() and not iskeyword(name)
    ]
    return inspect.Signature(parameters)


_DOCUMENTED_FIELDS = 20  # of a type that says nothing of itself: more would be no line


def _generated_doc(name: str, definition: _Definition) -> str:
    def shown(field_name: str, field: _Field) -> str:
        default = "" if field.default is _NO_DEFAULT else f" = {field.default!r}"
        type_name = "None" if field.spec == "none" else getattr(field.annotation, "__name__", repr(field.annotation))
        return f"{field_name}: {type_name}{default}"

    parts = [shown(*item) for item in list(definition.fields.items())[:_DOCUMENTED_FIELDS]]
    return f"{name}({', '.join(parts)}{', ...' if len(definition.fields) > _DOCUMENTED_FIELDS else ''})"


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

    # ---- what is defined

    def toDefinition(self) -> SchemaDefinition:
        """The names of the fields and indexes of every type, by the type's name, sorted."""
        return {name: self.typeToDef(self._types[name]) for name in sorted(self._types)}

    def typeToDef(self, t: type) -> TypeDefinition:
        """The names of a type's fields and indexes, sorted. A type that is not defined yet has the hidden ones only."""
        known = _definitions.get(t, _Definition({}, {}, {}))
        return TypeDefinition(tuple(sorted([_EXISTS, *known.fields])), tuple(sorted([_EXISTS, *known.indexes])))

    def getType(self, name: str) -> type | None:
        """The database type of this name, or None; unlike an attribute it makes no forward reference."""
        return self._types.get(name)

    def fieldType(self, typename: str, fieldname: str) -> Any:
        """What a field holds: int, a database type, OneOf(...); None when there is no such field."""
        known = self._definition_of(typename)
        if known is None or fieldname == _EXISTS:
            return None if known is None else bool
        return known.fields[fieldname].annotation if fieldname in known.fields else None

    def indexType(self, typename: str, indexname: str) -> Any:
        """What an index is looked up with: its field's type, tuple[...] of several; None when there is no such index."""
        known = self._definition_of(typename)
        if known is None or indexname == _EXISTS:
            return None if known is None else bool
        if indexname not in known.indexes:
            return None
        parts = tuple(known.fields[name].annotation for name in known.indexes[indexname].names)
        return parts[0] if len(parts) == 1 else types.GenericAlias(tuple, parts)

    def lookupFullyQualifiedTypeByName(self, name: str) -> type | None:
        """The type that "schema.Type" names, or None when it is not one of this schema."""
        schema, _, typename = name.rpartition(".")
        return self.getType(typename) if schema == self._name else None

    def _definition_of(self, typename: str) -> _Definition | None:
        database_type = self._types.get(typename)
        return None if database_type is None else _definitions.get(database_type)

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
            return _IndexedField(self.resolved(annotation.annotation), annotation.is_unique)
        if is_union(annotation):
            return from_union(annotation, self.resolved)
        return annotation


def _build(schema: Schema, cls: type, database_type: type, caller: types.FrameType) -> None:
    definition = _read_class(schema, cls, caller)
    for name in definition.fields:
        if name in _RESERVED_FIELDS:
            raise SchemaError(f"{schema.name}.{cls.__name__}.{name}: the name is taken by every object; choose another")
    for name, index in definition.indexes.items():
        for field in index.names:
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
        [(name, index.names, index.unique) for name, index in definition.indexes.items()],
        init,
        getattr(cls, "__del__", None),
    )
    _definitions[database_type] = definition
    if not _has_its_own(cls, "Row") and "Row" not in definition.fields:
        type.__setattr__(database_type, "Row", _Made("Row", _row_class))
    type.__setattr__(database_type, "__signature__", _Made("__signature__", _signature))
    for name, member in definition.members.items():
        setattr(database_type, name, member)
        _rebind_super(member, cls, database_type)
    database_type.__module__ = cls.__module__
    database_type.__qualname__ = cls.__qualname__
    database_type.__doc__ = cls.__doc__ or _generated_doc(cls.__name__, definition)
    database_type.__is_database_object_type__ = True  # type: ignore[attr-defined]
    if getattr(cls, "__odb_is_lazy_by_default__", False):
        database_type.markLazyByDefault()  # type: ignore[attr-defined]


def _has_its_own(cls: type, name: str) -> bool:
    """Whether the class or one that it derives from was written with a member of this name."""
    return any(name in (_definitions[base].members if base in _definitions else base.__dict__) for base in cls.__mro__)


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
            definition.indexes[name] = member
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
    plain = annotation.annotation if is_indexed else annotation
    definition.fields[name] = _Field(type(None) if plain is None else plain, spec, default)
    if is_indexed:
        definition.indexes[name] = Index(name, unique=annotation.is_unique)
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
