"""Alternative("Shape", Circle={"r": float}, Empty={}): a value is one of several named arms, each with fields of its own.

Every call gives a new type. Its arms are subclasses of it: slotted classes with a slot for each field, in order, made by
object.__new__ and filled by object.__setattr__, which no program's code can come between; both ways of making one (calling
an arm here, and reading a field in the core) do the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from keyword import iskeyword
from operator import attrgetter
from typing import Any, ClassVar

from object_database import _core
from object_database.errors import SchemaError
from object_database.types_base import CLASS_KINDS, UNAPPLIED, ClassKind, Reading, part_of
from object_database.types_defaults import default_of
from object_database.types_named_tuples import NamedTuple
from object_database.types_records import record_fields

__all__ = ["Alternative", "AlternativeBase"]


_RESERVED = frozenset({"__match_args__", "_fields_of", "_fields_spec"})  # what each arm has of its own


class Matches:
    """What `value.matches` gives, one for each arm: `value.matches.Add` is True when the value is of the arm Add."""

    __slots__ = ("__dict__", "_whose")

    def __init__(self, whose: str, arms: Iterable[str], arm: str):
        object.__setattr__(self, "_whose", whose)
        self.__dict__.update({each: each == arm for each in arms})

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("what a value matches cannot be set")

    def __getattr__(self, name: str) -> bool:
        raise AttributeError(f"{self._whose} has no arm {name!r}; it has {', '.join(self.__dict__)}")

    def __dir__(self) -> list[str]:
        return list(self.__dict__)


class _ElementType:
    def __get__(self, instance: Any, owner: Any) -> Any:
        """The fields of an arm as a NamedTuple type."""
        return NamedTuple(**dict(owner._parts))


class AlternativeBase:
    """What all types that Alternative(...) gives have in common."""

    __slots__ = ()
    __typed_python_alternatives__: ClassVar[tuple[Any, ...]] = ()
    _alternative: ClassVar[Any] = None  # the type that the arms are subclasses of
    _parts: ClassVar[tuple[tuple[str, Any], ...]] = ()
    _fields_of: ClassVar[Callable[[Any], tuple[Any, ...]]]
    matches: ClassVar[Any] = None  # of an arm: tells which one it is; AttributeError for an arm that there is not
    Name: ClassVar[str] = ""  # of an arm
    Index: ClassVar[int] = -1  # of an arm: its position in the definition
    ElementType: ClassVar[Any] = _ElementType()

    def __new__(cls: Any, /, *args: Any, **fields: Any) -> Any:
        """An arm: its fields by name, or the only one as it is. The Alternative itself: its default, or a value of it."""
        if cls._alternative is None:
            raise TypeError("Alternative(...) makes types; this is what they have in common")
        if cls is cls._alternative:
            return cls._of_any_arm(args, fields)
        names = [name for name, _ in cls._parts]
        if args:
            if len(args) > 1 or fields or len(names) != 1:
                raise TypeError(f"{cls.__qualname__} takes its fields by name: {', '.join(names) or 'it has none'}")
            fields = {names[0]: args[0]}
        for name in fields:
            if name not in names:
                raise TypeError(f"{cls.__qualname__} has no field {name!r}; it has {', '.join(names) or 'none'}")
        if "_fields_spec" not in cls.__dict__:
            cls._fields_spec = record_fields(cls._parts, Reading())
        made = object.__new__(cls)
        for name, spec, _ in cls._fields_spec:
            where = f"{cls.__qualname__}.{name}"
            value = _core.convert(spec, fields[name], where) if name in fields else default_of(spec, where)
            object.__setattr__(made, name, value)
        return made

    @classmethod
    def _of_any_arm(cls, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
        if not args and not fields:
            return cls.__typed_python_alternatives__[0]()
        if len(args) == 1 and not fields and isinstance(args[0], cls):
            return args[0]
        arms = ", ".join(f"{cls.__name__}.{arm.Name}(...)" for arm in cls.__typed_python_alternatives__)
        raise TypeError(f"{cls.__name__} takes a value of its own only; write {arms}")

    def _values(self) -> tuple[Any, ...]:
        return type(self)._fields_of(self)

    def _order(self, other: Any) -> Any:
        return isinstance(other, AlternativeBase) and other._alternative is self._alternative

    def __eq__(self, other: object) -> Any:
        if not self._order(other):
            return NotImplemented
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.Index, self._values()))

    def __lt__(self, other: Any) -> Any:
        if not self._order(other):
            return NotImplemented
        return self.Index < other.Index or (self.Index == other.Index and self._values() < other._values())

    def __le__(self, other: Any) -> Any:
        return NotImplemented if not self._order(other) else self == other or self < other

    def __gt__(self, other: Any) -> Any:
        return NotImplemented if not self._order(other) else other < self

    def __ge__(self, other: Any) -> Any:
        return NotImplemented if not self._order(other) else self == other or other < self

    def __repr__(self) -> str:
        fields = [f"{name}={getattr(self, name)!r}" for name, _ in self._parts]
        return f"{self.Name}({', '.join(fields)}{',' if len(fields) == 1 else ''})"

    def __getattr__(self, name: str) -> Any:
        fields = ", ".join(each for each, _ in self._parts) or "no fields"
        raise AttributeError(f"{type(self).__qualname__} has no {name!r}; it has {fields}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__qualname__} is immutable: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__qualname__} is immutable: {name!r} cannot be deleted")

    def __reduce__(self) -> Any:
        return _again, (self._alternative, self.Index, self._values())

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def _again(alternative: Any, index: int, values: tuple[Any, ...]) -> Any:
    arm = alternative.__typed_python_alternatives__[index]
    return arm(**{name: value for (name, _), value in zip(arm._parts, values, strict=True)})


def Alternative(name: str, /, **members: Any) -> Any:
    """A type whose values are one of several arms.

    Args:    name: of the type; what is stored names it.
             members: an arm for a dict of fields and their types; a method for a function, `__str__` and the like included.
    Raises:  TypeError: names the member that cannot be meant so.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise SchemaError(f"an Alternative needs a name first: Alternative('Shape', ...); {name!r} was given")
    arms, methods = {}, {}
    for member_name, member in members.items():
        if isinstance(member, dict):
            arms[member_name] = _arm_parts(f"{name}.{member_name}", member_name, member)
        elif callable(member) or hasattr(member, "__get__"):
            methods[member_name] = member
        else:
            raise SchemaError(
                f"{name}.{member_name} is neither an arm, a dict of fields and types, nor a method: {member!r}"
            )
    if not arms:
        raise SchemaError(f"Alternative {name!r} needs an arm: {name}(Nothing={{}}, ...)")
    module = sys._getframe(1).f_globals.get("__name__", __name__)
    if "__len__" in methods and "__bool__" not in methods:
        methods["__bool__"] = lambda self: len(self) != 0
    made: Any = type(name, (AlternativeBase,), {"__slots__": (), **methods, "__module__": module, "__qualname__": name})
    made._alternative = made
    made.__typed_python_alternatives__ = tuple(
        _arm(made, arm_name, index, parts, arms, methods) for index, (arm_name, parts) in enumerate(arms.items())
    )
    return made


def _arm_parts(where: str, arm_name: str, fields: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    if hasattr(AlternativeBase, arm_name) or not arm_name.isidentifier():
        raise SchemaError(f"{where}: an arm cannot have this name")
    parts = []
    for name, type_ in fields.items():
        is_taken = name in _RESERVED or (isinstance(name, str) and hasattr(AlternativeBase, name))
        if not isinstance(name, str) or not name.isidentifier() or iskeyword(name) or is_taken:
            raise SchemaError(f"{where}.{name}: a field cannot have this name")
        try:
            parts.append((name, part_of(type_)))
        except TypeError as error:
            raise SchemaError(f"{where}.{name}: {error}") from None
    return tuple(parts)


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return (lambda self: (getattr(self, names[0]),)) if names else (lambda self: ())


def _arm(
    alternative: Any,
    name: str,
    index: int,
    parts: tuple[tuple[str, Any], ...],
    arms: Iterable[str],
    methods: dict[str, Any],
) -> Any:
    names = tuple(field for field, _ in parts)
    taken = next((field for field in names if field in methods), None)
    if taken is not None or name in methods:
        raise SchemaError(f"{alternative.__name__}.{name}: {(taken or name)!r} is the name of a method too")
    made = type(
        name,
        (alternative,),
        {
            "__slots__": names,
            "__match_args__": names,
            "__module__": alternative.__module__,
            "__qualname__": f"{alternative.__qualname__}.{name}",
            "matches": Matches(alternative.__name__, arms, name),
            "Name": name,
            "Index": index,
            "_fields_of": staticmethod(_getter(names)),
            "_parts": parts,
        },
    )
    setattr(alternative, name, made)
    return made


def _is_one(cls: type) -> bool:
    if not issubclass(cls, AlternativeBase) or cls is AlternativeBase:
        return False
    alternative: Any = cls._alternative
    if cls is not alternative:
        raise SchemaError(f"a field cannot be of one arm, {cls.__qualname__}: write {alternative.__name__}")
    return True


def _spec(cls: Any, reading: Reading) -> Any:
    if reading.is_enclosing(cls):
        return ("again", cls)
    with reading.enclosed_by(cls, cls.__name__):
        arms = [(arm.Name, arm, record_fields(arm._parts, reading)) for arm in cls.__typed_python_alternatives__]
        return ("alternative", cls, cls.__name__, tuple(arms))


CLASS_KINDS.append(ClassKind(_is_one, _spec))


UNAPPLIED.append(Alternative)
