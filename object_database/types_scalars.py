"""Types without parts: Python's own numbers and texts, dates and times, any value (`object`), and numbers of fewer bits."""

from __future__ import annotations

import datetime
import decimal
import typing
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

from object_database import _core
from object_database.types_base import READERS, SCALARS, FieldType, Reading

__all__ = ["Float32", "Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32", "UInt64"]

SCALARS.update(
    {
        type(None): "none",
        bool: "bool",
        int: "int",
        float: "float",
        str: "str",
        bytes: "bytes",
        datetime.datetime: "datetime",
        datetime.date: "date",
        datetime.time: "time",
        datetime.timedelta: "timedelta",
        decimal.Decimal: "decimal",
        uuid.UUID: "uuid",
        object: "object",
    }
)


class Number(FieldType):
    """A number of fewer bits than int and float have. Its values are plain ints and floats."""

    __slots__ = ()

    @property
    def __name__(self) -> str:
        return str(self.parts[0])

    def resolved(self, reading: Reading) -> FieldType:
        return self

    def spec_in(self, reading: Reading) -> Any:
        return self.__name__.lower()

    def holds(self, value: Any) -> bool:
        name, least, greatest = self.parts
        return type(value) is (float if name == "Float32" else int) and least <= value <= greatest

    def __repr__(self) -> str:
        return self.__name__


if TYPE_CHECKING:  # in annotations: what fields of them hold
    Int8: TypeAlias = int
    Int16: TypeAlias = int
    Int32: TypeAlias = int
    UInt8: TypeAlias = int
    UInt16: TypeAlias = int
    UInt32: TypeAlias = int
    UInt64: TypeAlias = int
    Float32: TypeAlias = float
else:
    Int8, Int16, Int32 = (Number.of(f"Int{bits}", -(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32))
    UInt8, UInt16, UInt32, UInt64 = (Number.of(f"UInt{bits}", 0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
    Float32 = Number.of("Float32", float("-inf"), float("inf"))


@READERS.append
def _read_scalar(annotation: Any, reading: Reading) -> Any:
    if annotation is None:
        return type(None)
    if annotation is typing.Any:
        return object
    is_class = isinstance(annotation, type)
    return annotation if is_class and (annotation in SCALARS or _core.is_database_type(annotation)) else None
