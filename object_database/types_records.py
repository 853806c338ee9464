"""Records as field types: typing.NamedTuple classes, frozen dataclasses, frozen msgspec.Structs, and NamedTuple(...) of ours.

What a class says about its fields is read when a definition names it: their types, and which have a default. A
default_factory that gives the same value whenever it is called, as `list` does, is a default; one that does not (uuid4, now)
gives none: what a field is stored as, and what an old program reads, must not depend on when a definition was read.
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from object_database.errors import SchemaError
from object_database.types_base import CLASS_KINDS, ClassKind, Reading, UnresolvedNameError
from object_database.types_names import Names, annotations_of, module_of

__all__ = ["NO_DEFAULT", "constant_of", "record_fields"]

NO_DEFAULT: Any = object()
_MOMENTARY = (datetime.date, datetime.time, uuid.UUID, float)  # a factory of these tells the time, or throws dice


def _is_named_tuple(cls: Any) -> bool:
    if not (issubclass(cls, tuple) and hasattr(cls, "_fields")):
        return False
    if set(cls._fields) - set(_annotations(cls)):
        raise SchemaError(f"a field cannot be a {cls!r}: its fields have no types; write a class of typing.NamedTuple")
    return True


def _is_dataclass(cls: Any) -> bool:
    if "__dataclass_fields__" not in dir(cls):
        return False
    if "__dataclass_params__" not in cls.__dict__:
        raise SchemaError(f"a field cannot be a {cls!r}: it derives from a dataclass; decorate it too")
    if not cls.__dataclass_params__.frozen:
        raise SchemaError(f"a field cannot be a {cls!r}, which can be changed: write @dataclass(frozen=True)")
    foreign = next((base for base in cls.__mro__[1:-1] if not base.__flags__ & _HEAP_TYPE), None)
    if foreign is not None:
        raise SchemaError(f"a field cannot be a {cls!r}: it derives from {foreign.__name__}, beside its fields")
    return True


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that a program wrote


def _is_struct(cls: Any) -> bool:
    msgspec = sys.modules.get("msgspec")
    if msgspec is None or not issubclass(cls, msgspec.Struct):
        return False
    if not cls.__struct_config__.frozen:
        raise SchemaError(
            f"a field cannot be a {cls!r}, which can be changed: write class {cls.__name__}(Struct, frozen=True)"
        )
    return True


def _annotations(cls: type) -> dict[str, tuple[Any, type]]:
    """Field -> its annotation, and the class that wrote it, whose module has the names."""
    found: dict[str, tuple[Any, type]] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in annotations_of(base).items():
            found[name] = annotation, base
    return found


def _defaults(cls: Any, kind: str) -> Iterator[tuple[str, Any]]:
    """Every field in order, with its default."""
    if kind == "namedtuple":
        for name in cls._fields:
            yield name, cls._field_defaults.get(name, NO_DEFAULT)
    elif kind == "dataclass":
        for field in dataclasses.fields(cls):
            if field.default is not dataclasses.MISSING:
                yield field.name, field.default
            else:
                factory: Any = field.default_factory
                yield field.name, NO_DEFAULT if factory is dataclasses.MISSING else constant_of(factory)
    else:
        missing = sys.modules["msgspec"].NODEFAULT
        names, defaults = cls.__struct_fields__, cls.__struct_defaults__
        for name, default in zip(names, [missing] * (len(names) - len(defaults)) + [*defaults], strict=True):
            is_factory = type(default).__name__ == "Factory" and hasattr(default, "factory")
            yield name, NO_DEFAULT if default is missing else constant_of(default.factory) if is_factory else default


def constant_of(factory: Callable[[], Any]) -> Any:
    """The value that a default_factory always gives, or NO_DEFAULT."""
    first, second = factory(), factory()
    is_constant = type(first) is type(second) and first == second and not isinstance(first, _MOMENTARY)
    return first if is_constant else NO_DEFAULT


def _spec(cls: Any, reading: Reading, kind: str) -> Any:
    if reading.is_enclosing(cls):
        return ("again", cls)
    with reading.enclosed_by(cls, cls.__name__):
        return ("record", cls, cls.__name__, kind, tuple(_fields(cls, reading, kind)))


def _fields(cls: Any, reading: Reading, kind: str) -> Iterator[tuple[str, Any, Any]]:
    annotations = _annotations(cls)
    for name, default in _defaults(cls, kind):
        annotation, base = annotations[name]
        names = Names({base.__name__: base, cls.__name__: cls}, module_of(base), otherwise=reading.names)
        try:
            spec = reading.within(names).spec(annotation)
        except UnresolvedNameError:
            raise
        except (NameError, SyntaxError, TypeError, AttributeError) as error:
            raise SchemaError(f"{cls.__name__}.{name}: {error}") from error
        yield name, spec, None if default is NO_DEFAULT else (default,)


def record_fields(fields: Any, reading: Reading) -> tuple[Any, ...]:
    """(name, type) pairs of our own vocabulary as the fields of a spec: each may be left out if its type has a default."""
    specs = [(name, reading.spec_of(reading.type(part))) for name, part in fields]
    return tuple((name, spec, () if reading.has_default(spec) else None) for name, spec in specs)


CLASS_KINDS.extend(
    [
        ClassKind(_is_named_tuple, lambda cls, reading: _spec(cls, reading, "namedtuple")),
        ClassKind(_is_dataclass, lambda cls, reading: _spec(cls, reading, "dataclass")),
        ClassKind(_is_struct, lambda cls, reading: _spec(cls, reading, "struct")),
    ]
)
