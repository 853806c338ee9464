"""What programs do while their values are converted, and values that are many or deep."""

from __future__ import annotations

import collections
import decimal
import enum
from typing import Any, Literal, NamedTuple

import pytest

from object_database import DatabaseConnection, Schema
from object_database.types import FrozenDict, register_codec, register_record

pytestmark = pytest.mark.sanitizer

schema = Schema("hostile")

CHOICES = 300
Choice = Literal[tuple(range(CHOICES))]  # type: ignore[valid-type]
Code = enum.Enum("Code", {f"m{i}": i for i in range(CHOICES)})  # type: ignore[misc]


@register_record
class TwoOfAny(NamedTuple):
    left: object
    right: object = None


class Wrapped:
    pass


@schema.define
class Thing:
    any: object
    choices: tuple[Choice, ...]  # type: ignore[valid-type]
    codes: tuple[Code, ...]
    amount: decimal.Decimal = decimal.Decimal(0)


@pytest.fixture
def thing(db: DatabaseConnection) -> Any:
    db.subscribeToSchema(schema)
    with db.transaction():
        return Thing()


def test_many_values_of_a_union_of_many_literals(db: DatabaseConnection, thing: Any) -> None:
    last = CHOICES - 1
    with db.transaction():
        thing.choices = [last] * 50_000
        thing.codes = [Code(last)] * 1000
    with db.view():
        assert thing.choices == (last,) * 50_000
        assert thing.codes == (Code(last),) * 1000


def test_a_decoder_that_registers_classes_of_the_name_of_what_is_read(db: DatabaseConnection, thing: Any) -> None:
    made: list[Any] = []

    def known_anew() -> None:
        made.append(collections.namedtuple("TwoOfAny", ["left", "right"]))
        made[-1].__annotations__ = {"left": object, "right": object}
        register_record(made[-1])

    def decode(value: Any) -> Any:
        for _ in range(40):
            known_anew()
        return value

    register_codec(Wrapped, lambda _: 5, decode, "hostile.Wrapped")
    with db.transaction():
        thing.any = [TwoOfAny(Wrapped(), "text")] * 3
    with db.view():
        assert thing.any == (TwoOfAny(5, "text"),) * 3
    assert len(made) > 100


def test_decimals_whatever_the_context_says_of_their_texts(db: DatabaseConnection, thing: Any) -> None:
    with decimal.localcontext() as context:
        context.capitals = 0
        context.prec = 2
        with db.transaction():
            thing.amount = decimal.Decimal("123.456e+100")
        with db.view():
            assert thing.amount == decimal.Decimal("123.456e+100")


def test_a_dict_in_a_dict_without_end_has_no_hash() -> None:
    nested: FrozenDict[Any, Any] = FrozenDict()
    for _ in range(100_000):
        nested = FrozenDict({0: nested})
    with pytest.raises(RecursionError):
        hash(nested)
