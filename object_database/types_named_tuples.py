"""NamedTuple(x=int, y=str): records without a class statement. Their values are tuples; classes can derive from them."""

from __future__ import annotations

import copyreg
import weakref
from operator import itemgetter
from typing import Any, ClassVar

from object_database import _core
from object_database.errors import SchemaError
from object_database.types_base import CLASS_KINDS, UNAPPLIED, ClassKind, Reading, part_of, public, shown
from object_database.types_names import annotations_of
from object_database.types_records import record_fields

__all__ = ["NamedTuple", "NamedTupleBase"]

_made: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
_RESERVED = frozenset({"__match_args__", "_fields", "_forward", "_spec"})  # what each type has of its own


class _Type(type):
    """The class of these types: they are shown as they are written, and pickled as that."""

    def __repr__(cls) -> str:
        return cls.__name__ if _anonymous(cls) is cls else super().__repr__()


def _reduced(cls: Any) -> Any:
    """How pickle finds a type again: NamedTuple(...) by its fields, a class that derives from one by its name."""
    is_class = cls is NamedTupleBase or _anonymous(cls) is not cls
    if not is_class:
        return _type_again, (cls.ElementNames, cls.ElementTypes)
    return cls.__qualname__


copyreg.pickle(_Type, _reduced)


class NamedTupleBase(tuple[Any, ...], metaclass=_Type):
    """What all types that NamedTuple(...) gives have in common."""

    __slots__ = ()
    ElementNames: ClassVar[tuple[str, ...]] = ()
    ElementTypes: ClassVar[tuple[Any, ...]] = ()
    _parts: ClassVar[tuple[Any, ...]] = ()

    def __new__(cls: Any, /, *args: Any, **fields: Any) -> Any:
        """Fields by name, or all of them as one tuple or list, or some of them as one mapping or another NamedTuple."""
        if len(args) > 1 or (args and fields):
            raise TypeError(f"{shown(cls)} takes its fields by name, or one tuple, list or mapping of them")
        for name in fields:
            if name not in cls.ElementNames:
                raise TypeError(f"{shown(cls)} has no field {name!r}; it has {', '.join(cls.ElementNames) or 'none'}")
        if "_spec" not in cls.__dict__:
            cls._spec = Reading().spec_of(cls)
        return _core.convert(cls._spec, args[0] if args else fields, cls.__name__)

    def __init_subclass__(cls) -> None:
        if cls.__dict__.get("_parts") is None and annotations_of(cls):
            raise SchemaError(
                f"{cls.__name__}.{next(iter(annotations_of(cls)))}: a class that derives from a NamedTuple(...) adds methods, "
                "not fields; those stand in NamedTuple(...)"
            )

    @classmethod
    def spec_in(cls, reading: Reading) -> Any:
        if reading.is_enclosing(cls):
            return ("again", cls)
        name = "" if _anonymous(cls) is cls else cls.__name__
        with reading.enclosed_by(cls, name):
            return ("record", cls, name, "namedtuple", record_fields(cls._parts, reading))

    def replacing(self, /, **fields: Any) -> Any:
        """The same record with other values in some fields.

        Raises: ValueError: there is no such field.
        """
        for name in fields:
            if name not in self.ElementNames:
                raise ValueError(f"{shown(type(self))} has no field {name!r}; it has {', '.join(self.ElementNames)}")
        return type(self)(**{**dict(zip(self.ElementNames, self, strict=True)), **fields})

    def __repr__(self) -> str:
        name = type(self).__name__ if _anonymous(type(self)) is not type(self) else ""
        return f"{name}({', '.join(f'{key}={value!r}' for key, value in zip(self.ElementNames, self, strict=True))})"

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self!r} is immutable; .replacing({name}=...) gives a changed copy")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{self!r} is immutable")

    def __reduce__(self) -> Any:
        if _anonymous(type(self)) is type(self):
            return _again, (self.ElementNames, self.ElementTypes, tuple(self))
        return type(self), (tuple(self),)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def NamedTuple(**fields: Any) -> Any:
    """A type of records: its fields by name, each with its type. The same fields give the same type.

    Raises: TypeError: a field has no type that can be stored, or a name that records use themselves.
    """
    parts = []
    for name, type_ in fields.items():
        if not name.isidentifier():
            raise SchemaError(f"a field of a NamedTuple cannot be named {name!r}: it could not be an attribute")
        if name in _RESERVED or (hasattr(NamedTupleBase, name) and name not in ("index", "count")):
            raise SchemaError(f"a field of a NamedTuple cannot be named {name!r}: every one has something of this name")
        try:
            parts.append((name, part_of(type_)))
        except TypeError as error:
            raise SchemaError(f"NamedTuple field {name}: {error}") from None
    return _named_tuple(tuple(parts))


def _named_tuple(parts: tuple[Any, ...]) -> Any:
    made = _made.get(parts)
    if made is None:
        names = tuple(name for name, _ in parts)
        members = {name: property(itemgetter(i), doc=f"Field {name}.") for i, name in enumerate(names)}
        made = _Type(
            f"NamedTuple({', '.join(f'{name}={shown(part)}' for name, part in parts)})",
            (NamedTupleBase,),
            {
                "__slots__": (),
                "__match_args__": names,
                "__module__": __name__,
                "ElementNames": names,
                "ElementTypes": tuple(public(part) for _, part in parts),
                "_fields": names,
                "_parts": parts,
                "_forward": None,
                **members,
            },
        )
        made = _made.setdefault(parts, made)
    return made


def _again(names: tuple[str, ...], types: tuple[Any, ...], values: tuple[Any, ...]) -> Any:
    return _type_again(names, types)(values)


def _type_again(names: tuple[str, ...], types: tuple[Any, ...]) -> Any:
    return NamedTuple(**dict(zip(names, types, strict=True)))


def _anonymous(cls: Any) -> Any:
    """The type that NamedTuple(...) gave, which a class may derive from."""
    return next(base for base in cls.__mro__ if "_parts" in base.__dict__)


def _is_one(cls: type) -> bool:
    return issubclass(cls, NamedTupleBase) and cls is not NamedTupleBase


def _spec(cls: Any, reading: Reading) -> Any:
    forward = cls.__dict__.get("_forward")
    return cls.spec_in(reading) if forward is None else forward.spec_in(reading)


CLASS_KINDS.insert(0, ClassKind(_is_one, _spec))


UNAPPLIED.append(NamedTuple)
