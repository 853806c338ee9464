"""Times, Decimal, UUID and numbers of fewer bits as field types."""

from __future__ import annotations

import copy
import pickle
import uuid
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest

from object_database import DatabaseConnection, Index, Indexed, Schema
from object_database.errors import ValueTypeError
from object_database.types import (
    Float32,
    Int8,
    Int16,
    Int32,
    OneOf,
    TupleOf,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    field_spec,
)

OSLO = timezone(timedelta(hours=1))
schema = Schema("scalars")


@schema.define
class Order:
    placed: Indexed[datetime | None]
    day: date | None
    at: time | None
    took: timedelta = timedelta(seconds=5)
    price: Indexed[Decimal] = Decimal("9.50")
    id: uuid.UUID | None
    days: TupleOf(date)
    by_day_price = Index("day", "price")


@schema.define
class Small:
    i8 = Int8
    i16 = Int16
    i32 = Int32
    u8 = UInt8
    u16 = UInt16
    u32 = UInt32
    u64: Indexed[UInt64]
    f32 = Float32
    maybe = OneOf(None, Int8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("placed", datetime(2024, 2, 29, 12, 30, 1, 999_999)),
        ("placed", datetime(2024, 2, 29, 12, 30, tzinfo=timezone.utc)),
        ("placed", datetime(2024, 2, 29, 12, 30, tzinfo=OSLO)),
        ("placed", datetime.min),
        ("placed", datetime.max),
        ("day", date(1, 1, 1)),
        ("day", date(9999, 12, 31)),
        ("at", time(23, 59, 59, 999_999)),
        ("took", timedelta(days=-1, microseconds=1)),
        ("price", Decimal("-1234567890.123456789")),
        ("price", Decimal("1.00")),
        ("id", uuid.UUID(int=2**127 + 5)),
        ("days", (date(2024, 1, 1), date(2024, 1, 2))),
    ],
)
def test_what_was_given_is_read(db: DatabaseConnection, field: str, value: Any) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(**{field: value})
    with db.view():
        assert getattr(order, field) == value
        assert repr(getattr(order, field)) == repr(value).replace("tzinfo=OSLO", "")
        assert type(getattr(order, field)) is type(value)


def test_defaults_are_those_of_the_class_body(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        assert (order.placed, order.took, order.price) == (None, timedelta(seconds=5), Decimal("9.50"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("placed", "2024-02-29"),
        ("placed", 0),
        ("placed", date(2024, 1, 1)),
        ("day", datetime(2024, 1, 1)),
        ("at", time(12, tzinfo=timezone.utc)),
        ("took", 5),
        ("price", 9.5),
        ("price", "9.5"),
        ("price", Decimal("nan")),
        ("price", Decimal("inf")),
        ("id", "00000000-0000-0000-0000-000000000000"),
    ],
)
def test_what_does_not_fit_is_refused(db: DatabaseConnection, field: str, value: Any) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises((TypeError, ValueError, OverflowError), match=rf"scalars\.Order\.{field}"):
            Order(**{field: value})


def test_one_moment_is_one_key_whatever_the_clocks_show(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    noon = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
    with db.transaction():
        order, naive = Order(placed=noon.astimezone(OSLO)), Order(placed=datetime(2024, 1, 1, 12))
    with db.view():
        assert Order.lookupAll(placed=noon) == (order,)
        assert Order.lookupAll(placed=datetime(2024, 1, 1, 12)) == (naive,)
        assert order.placed.utcoffset() == timedelta(hours=1)


class Autumn(tzinfo):
    """A night in which the clocks are put back from three to two."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1 if when is not None and when.fold else 2)


def test_a_fold_is_no_part_of_a_naive_time_and_the_offset_of_an_aware_one(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    naive, clock = datetime(2024, 10, 27, 2, 30, fold=1), time(2, 30, fold=1)
    with db.transaction():
        order = Order(placed=naive, at=clock)
        first, second = (Order(placed=naive.replace(tzinfo=Autumn(), fold=fold)) for fold in (0, 1))
    with db.view():
        assert (order.placed, order.at) == (naive, clock)  # as Python has it
        assert (order.placed.fold, order.at.fold) == (0, 0)
        assert Order.lookupAll(placed=naive) == Order.lookupAll(placed=naive.replace(fold=0)) == (order,)
        assert second.placed - first.placed == timedelta(hours=1)
        assert (second.placed.utcoffset(), second.placed.fold) == (timedelta(hours=1), 0)


def test_one_price_is_one_key_however_it_is_written(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(price=Decimal("1.00"), day=date(2024, 1, 1))
    with db.view():
        assert Order.lookupAll(price=Decimal(1)) == (order,)
        assert Order.lookupAll(by_day_price=(date(2024, 1, 1), Decimal("1.0"))) == (order,)
        assert str(order.price) == "1.00"


# ---- numbers of fewer bits


def test_small_numbers_have_specs_of_their_own() -> None:
    kinds = (Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64, Float32)
    assert [field_spec(kind) for kind in kinds] == [repr(kind).lower() for kind in kinds]
    for kind in kinds:
        assert pickle.loads(pickle.dumps(kind)) is copy.copy(kind) is kind
    assert field_spec(Int8 | None) == field_spec(OneOf(None, Int8)) == ("oneof", "none", "int8")


@pytest.mark.parametrize(
    ("field", "least", "greatest"),
    [
        ("i8", -(2**7), 2**7 - 1),
        ("i16", -(2**15), 2**15 - 1),
        ("i32", -(2**31), 2**31 - 1),
        ("u8", 0, 2**8 - 1),
        ("u16", 0, 2**16 - 1),
        ("u32", 0, 2**32 - 1),
        ("u64", 0, 2**64 - 1),
        ("maybe", -(2**7), 2**7 - 1),
    ],
)
def test_a_small_number_has_its_range_and_does_not_wrap(
    db: DatabaseConnection, field: str, least: int, greatest: int
) -> None:
    """The reference's Int8(300) is 44."""
    db.subscribeToSchema(schema)
    for value in (least, greatest):
        with db.transaction():
            small = Small(**{field: value})
        with db.view():
            assert getattr(small, field) == value
    for value in (least - 1, greatest + 1, 2**70):
        with db.transaction(), pytest.raises(OverflowError, match=rf"scalars\.Small\.{field}"):
            Small(**{field: value})


def test_calling_a_small_number_gives_a_plain_one() -> None:
    assert (Int8(5), type(Int8(5)), Int8()) == (5, int, 0)
    assert (UInt64(2**64 - 1), type(UInt64(2**64 - 1))) == (2**64 - 1, int)
    assert Float32(0.1) == 0.10000000149011612
    assert (Float32(), type(Float32(1))) == (0.0, float)
    with pytest.raises(OverflowError, match="Int8"):
        Int8(300)
    with pytest.raises(ValueTypeError, match="Int8: float was given"):
        Int8(1.0)
    assert isinstance(5, Int8)
    assert not isinstance(300, Int8)
    assert not isinstance(True, UInt8)


def test_a_float_of_32_bits_is_rounded_when_it_is_written(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        assert Small(f32=0.1).f32 == 0.10000000149011612
        assert Small(f32=1).f32 == 1.0


def test_a_number_beyond_63_bits_is_a_key(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        made = {value: Small(u64=value) for value in (0, 2**63 - 1, 2**63, 2**64 - 1)}
    with db.view():
        assert {value: Small.lookupAll(u64=value) for value in made} == {value: (it,) for value, it in made.items()}
