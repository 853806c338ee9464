"""What a field type is: a tree whose leaves are classes (int, an Enum, a database type) and values (literals).

Two things happen to an annotation, both in one Reading: `type()` turns it into this vocabulary's own form (`int | None`
becomes OneOf(None, int)), and `spec()` turns that into the spec that the core takes:

    "int" and the other names of scalars | a database type | ("oneof", spec, ...) | ("literal", value)
    | ("tupleof", spec) | ("setof", spec) | ("dictof", spec, spec) | ("tuple", spec, ...)
    | ("enum", cls, ((member's name, member, stored value), ...))
    | ("record", cls, name, kind, ((field, spec, default), ...))     kind: "namedtuple", "dataclass" or "struct"
    | ("alternative", cls, name, ((arm's name, arm's class, ((field, spec, default), ...)), ...))
    | ("forward", key, name, spec) | ("again", key)                  again: an enclosing forward, or record by its class

The default of a field is None (there is none: it must be given), () (what its type has) or (value,).

Each kind of type has a module of its own, which registers here what it understands: a reader (of annotations) or a
ClassKind. So kinds hold each other although no module imports one above it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, ForwardRef, NamedTuple, Union

from object_database import _core
from object_database.errors import SchemaError
from object_database.types_defaults import default_of, has_default

__all__ = [
    "ClassKind",
    "FieldType",
    "Forward",
    "LiteralType",
    "Reading",
    "UnresolvedNameError",
    "is_field_class",
    "is_value_of",
    "part_of",
    "shown",
]

LITERALS = (bool, int, float, str, bytes)  # a value of exactly one of these, or None, is a type that holds this value


class UnresolvedNameError(SchemaError):
    """An annotation has a name in quotes, and what it names is not known here."""


class ClassKind(NamedTuple):
    """What to do with classes of one kind that programs write: enums, records."""

    is_one: Callable[[type], bool]  # raises SchemaError for one that nearly is
    spec: Callable[[type, Reading], Any]


READERS: list[Callable[[Any, Reading], Any]] = []  # annotation -> its type in our form, None when it is another's
CLASS_KINDS: list[ClassKind] = []
UNAPPLIED: list[Any] = []  # what makes types and is none before it is called: OneOf
HINTS: list[Callable[[Any], str]] = []  # what to write instead of an annotation that is no field type, or ""


class FieldType:
    """A type of the vocabulary that is no class: TupleOf(int). One object for the same arguments; calling it converts.

    isinstance(x, T) tells whether x is a value as a field of this type gives it.
    """

    __slots__ = ("__weakref__", "_spec", "forward", "parts")
    _made: ClassVar[weakref.WeakValueDictionary[Any, FieldType]] = weakref.WeakValueDictionary()
    _lock = threading.Lock()

    parts: tuple[Any, ...]  # types in our form; annotations with names in quotes, as they were given
    forward: Any  # the Forward that this type is the definition of, or None
    _spec: Any

    @classmethod
    def of(cls, *parts: Any) -> Any:
        """The one type of these parts."""
        key = (cls, parts)
        with FieldType._lock:
            made = FieldType._made.get(key)
            if made is None:
                made = object.__new__(cls)
                made.parts, made.forward, made._spec = parts, None, None
                FieldType._made[key] = made
        return made

    def resolved(self, reading: Reading) -> FieldType:
        """The same with the names in its parts resolved."""
        parts = tuple(reading.type(part) for part in self.parts)
        same = all(new is old for new, old in zip(parts, self.parts, strict=True))
        return self if same else type(self).of(*parts)

    # Every kind says these two. No ABC: its metaclass asks the class what this one's objects are asked, isinstance(x, T).
    def spec_in(self, reading: Reading) -> Any:
        """The spec that the core is given, its parts read by `reading`."""
        raise NotImplementedError

    def holds(self, value: Any) -> bool:
        """Whether a field of this type can give the value."""
        raise NotImplementedError

    @property
    def spec(self) -> Any:
        if self._spec is None:
            self._spec = Reading().spec_of(self)
        return self._spec

    def __call__(self, *values: Any) -> Any:
        """A value of this type out of one that can be converted; without one, the default."""
        if len(values) > 1:
            raise TypeError(f"{self!r} takes one value, not {len(values)}")
        return _core.convert(self.spec, values[0], repr(self)) if values else default_of(self.spec, repr(self))

    def __repr__(self) -> str:
        name = type(self).__name__.lstrip("_").removesuffix("Type")
        return f"{name}({', '.join(map(shown, self.parts))})"

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007

    def __instancecheck__(self, value: Any) -> bool:
        return self.holds(value)

    def __subclasscheck__(self, other: Any) -> bool:
        return other is self

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        raise TypeError(f"a class cannot derive from {self!r}; what it gives are plain Python values")

    def __reduce__(self) -> Any:
        return type(self).of, self.parts

    def __copy__(self) -> FieldType:
        return self

    def __deepcopy__(self, memo: Any) -> FieldType:
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in FieldType.__slots__:
            raise AttributeError(f"{self!r} is immutable")
        object.__setattr__(self, name, value)


class LiteralType(FieldType):
    """Holds one value: what OneOf("new", "paid") and Literal["new"] are made of."""

    __slots__ = ()

    @classmethod
    def of(cls, *parts: Any) -> Any:
        """parts: type and value, so that 1, 1.0 and True are different literals."""
        kind, value = parts
        return super().of(kind, value if kind is not float else _Exactly(value))

    @property
    def value(self) -> Any:
        kind, value = self.parts
        return value if kind is not float else value.number

    def resolved(self, reading: Reading) -> FieldType:
        return self

    def spec_in(self, reading: Reading) -> Any:
        return ("literal", self.value)

    def holds(self, value: Any) -> bool:
        return type(value) is self.parts[0] and bool(value == self.value)

    def __repr__(self) -> str:
        return f"Literal[{self.value!r}]"

    def __reduce__(self) -> Any:
        return LiteralType.of, (self.parts[0], self.value)


class _Exactly:
    """A float as a part: 0.0 and -0.0 are equal and two literals, a NaN is one and equal to nothing."""

    __slots__ = ("number",)

    def __init__(self, number: float):
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Exactly) and repr(self.number) == repr(other.number)

    def __hash__(self) -> int:
        return hash(repr(self.number))


class Forward(FieldType):
    """A type that is named before it is defined, so that it can hold itself:

    Json = Forward("Json")
    Json = Json.define(OneOf(None, bool, float, str, TupleOf(Json), ConstDict(str, Json)))
    """

    __slots__ = ("name", "target")
    name: str
    target: Any

    def __new__(cls, name: str) -> Forward:
        made = object.__new__(cls)
        for attribute, value in (("parts", ()), ("forward", None), ("_spec", None), ("name", name), ("target", None)):
            object.__setattr__(made, attribute, value)
        return made

    def define(self, target: Any) -> Any:
        """Say what the name stands for.

        Returns: the type; use it in place of the Forward from here on.
        Raises:  SchemaError: it was defined before.  TypeError: no type of a field.
        """
        if self.target is not None:
            raise SchemaError(f"{self!r} is defined already")
        if target is self:
            raise SchemaError(f"{self!r} cannot stand for itself alone")
        target = part_of(target)
        object.__setattr__(self, "target", target)
        if isinstance(target, FieldType) and _has_forward(target):  # so it is this definition's own
            target.forward = self
        elif isinstance(target, type) and target.__dict__.get("_forward", self) is None:
            target._forward = self  # type: ignore[attr-defined]  # a NamedTuple(...), which has no name to come back by
        return target

    def resolved(self, reading: Reading) -> FieldType:
        return self

    def spec_in(self, reading: Reading) -> Any:
        if self.target is None:
            raise SchemaError(f"{self!r} is not defined yet: {self.name} = {self.name}.define(...)")
        is_plain = isinstance(self.target, FieldType)
        if not is_plain and getattr(self.target, "_forward", None) is not self:
            return reading.spec_of(self.target)  # classes come back by themselves
        if reading.is_enclosing(self):
            return ("again", self)
        name = self.name or f"again{reading.depth}"  # the same however an alias is written
        with reading.enclosed_by(self, name) as came_back:
            target = self.target.resolved(reading) if is_plain else self.target
            spec = target.spec_in(reading)
        return ("forward", self, name, spec) if came_back() else spec

    def holds(self, value: Any) -> bool:
        return self.target is not None and is_value_of(self.target, value)

    def __repr__(self) -> str:
        return f"Forward({self.name!r})" if self.name else "..."

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled; what it stands for can, when it has a name in a module")


def _has_forward(part: Any) -> bool:
    return isinstance(part, Forward) or (isinstance(part, FieldType) and any(map(_has_forward, part.parts)))


class _Unfinished:
    """An alias that is being read, and the Forward that stands for it where it came back."""

    forward: Forward | None = None

    def come_back(self) -> Forward:
        if self.forward is None:
            self.forward = Forward("")
        return self.forward


class Reading:
    """One pass over an annotation.

    Args:  names: what a name in quotes stands for; raises NameError when it stands for nothing.
    """

    def __init__(self, names: Callable[[str], Any] | None = None):
        self._names = names
        self._unfinished: dict[int | str, _Unfinished] = {}  # id or text of what is being read
        self._is_named: _Unfinished | None = None  # the name that what is read next was found by
        self._enclosing: list[tuple[Any, str]] = []
        self._is_used: set[int] = set()
        self._probed: dict[int, bool] = {}  # id of an enclosing type -> whether it has a default

    def type(self, annotation: Any) -> Any:
        """Our own form of an annotation.

        Raises: SchemaError: says what to write instead.
        """
        if isinstance(annotation, FieldType):
            return annotation if annotation.forward is not None else annotation.resolved(self)
        if isinstance(annotation, type) or annotation is None:
            return self._read(annotation)
        if isinstance(annotation, ForwardRef):
            annotation = annotation.__forward_arg__
        # An alias may come back inside of itself, by its name or as it is; then it is recursive.
        return self.recursive(annotation if isinstance(annotation, str) else id(annotation), annotation, self._read)

    def recursive(self, key: int | str, annotation: Any, read: Callable[[Any], Any]) -> Any:
        """What read(annotation) gives. Where it comes back to the same key inside of itself, a Forward stands for it."""
        if key in self._unfinished:
            return self._unfinished[key].come_back()
        is_same_as, self._is_named = self._is_named, None
        unfinished = self._unfinished[key] = is_same_as or _Unfinished()
        try:
            found = read(annotation)
        finally:
            del self._unfinished[key]
        if is_same_as is not None or unfinished.forward is None:
            return found
        return unfinished.forward.define(found)

    def named(self, name: str) -> Any:
        """Our form of what a name in quotes stands for."""
        if self._names is None:
            raise UnresolvedNameError(f"{name!r} is a name in quotes, and nothing tells here what it stands for")
        named = self._names(name)
        is_alias = not isinstance(named, (type, FieldType)) and named is not None
        self._is_named = self._unfinished[name] if is_alias else None
        return self.type(named)

    def within(self, names: Callable[[str], Any] | None) -> Reading:
        """The same pass among other names: those of a record's module."""
        inner = Reading(names)
        inner._enclosing, inner._is_used, inner._probed = self._enclosing, self._is_used, self._probed
        return inner

    def _read(self, annotation: Any) -> Any:
        for read in READERS:
            found = read(annotation, self)
            if found is not None:
                return found
        if isinstance(annotation, type) and any(kind.is_one(annotation) for kind in CLASS_KINDS):
            return annotation
        hint = next((hint for give in HINTS if (hint := give(annotation))), "")
        what = annotation.__name__ if any(annotation is each for each in UNAPPLIED) else repr(annotation)
        raise SchemaError(f"a field cannot be a {what}{': ' if hint else ''}{hint}")

    def spec(self, annotation: Any) -> Any:
        return self.spec_of(self.type(annotation))

    def spec_of(self, type_: Any) -> Any:
        """The spec of a type in our form."""
        if isinstance(type_, FieldType):
            return type_.spec_in(self) if type_.forward is None else type_.forward.spec_in(self)
        if type_ in SCALARS:
            return SCALARS[type_]
        if _core.is_database_type(type_):
            return type_
        kind = next(kind for kind in CLASS_KINDS if kind.is_one(type_))
        return kind.spec(type_, self)

    # ---- recursion: a spec is a finite tree, and says "again" where a type comes back inside of itself

    def is_enclosing(self, key: Any) -> bool:
        """Whether `key` is being spelled out already; then its place is taken by ("again", key)."""
        found = next((name for known, name in reversed(self._enclosing) if known is key), None)
        if found is None:
            return False
        if next(known for known, name in reversed(self._enclosing) if name == found) is not key:
            raise SchemaError(f"two types named {found!r} lie inside of each other and come back: rename one")
        self._is_used.add(id(key))
        return True

    def has_default(self, spec: Any) -> bool:
        """Whether a type that was spelled out here has a default of its own."""
        return has_default(spec, self._again_has_default)

    def _again_has_default(self, key: Any) -> bool:
        """A type that comes back inside of itself has one if it can be spelled out without coming back for it."""
        if id(key) not in self._probed:
            probe = Reading(self._names)
            probe._probed = {**self._probed, id(key): False}
            self._probed[id(key)] = probe.has_default(probe.spec_of(key))
        return self._probed[id(key)]

    @property
    def names(self) -> Callable[[str], Any] | None:
        return self._names

    @property
    def depth(self) -> int:
        return len(self._enclosing)

    @contextmanager
    def enclosed_by(self, key: Any, name: str) -> Iterator[Callable[[], bool]]:
        """Gives a function that tells whether it came back."""
        self._enclosing.append((key, name))
        self._is_used.discard(id(key))
        yield lambda: id(key) in self._is_used
        self._enclosing.pop()


SCALARS: dict[Any, str] = {}  # types_scalars fills it


def part_of(arg: Any) -> Any:
    """An argument of the vocabulary in our form: a literal for a value; as it is when it has names in quotes.

    Raises: TypeError: it is neither a type of a field nor a value that can be a literal.
    """
    if type(arg) in LITERALS:
        return LiteralType.of(type(arg), arg)
    try:
        return Reading().type(arg)
    except UnresolvedNameError:
        hash(arg)
        return arg


def is_field_class(cls: type) -> bool:
    """Whether a class that a program wrote can be the type of a field: an enum, a record."""
    try:
        return any(kind.is_one(cls) for kind in CLASS_KINDS)
    except SchemaError:  # it nearly is
        return False


def is_value_of(part: Any, value: Any) -> bool:
    """Whether a value is one as a field of this type gives it: an int is none of float, nor True one of int."""
    if isinstance(part, FieldType):
        return part.holds(value)
    if part is object:
        return True
    return type(value) is part if part in SCALARS else isinstance(value, part)


def public(part: Any) -> Any:
    """A part as programs see it: literals as their values."""
    return part.value if isinstance(part, LiteralType) else part


def shown(part: Any) -> str:
    """A type as a program would write it."""
    if part is type(None):
        return "None"
    if isinstance(part, LiteralType):
        return repr(part.value)
    return part.__name__ if isinstance(part, type) else repr(part)
