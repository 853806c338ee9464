"""A shop: every kind of annotation that the howto recommends, and what checkers know of the objects."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import ClassVar, Literal, NamedTuple
from uuid import UUID, uuid4

from typing_extensions import assert_type

from object_database import Index, Indexed, InMemServer, Object, Schema, Unique
from object_database.types import Float32, FrozenDict, Int32, UInt8

shop = Schema("shop")


@dataclass(frozen=True)
class Line:
    item: str
    price: Decimal
    count: int = 1

    def total(self) -> Decimal:
        return self.price * self.count


class Size(NamedTuple):
    width: int
    height: int = 1


class Channel(enum.Enum):
    WEB = "web"
    COUNTER = "counter"


@dataclass(frozen=True)
class Paid:
    amount: Decimal


@dataclass(frozen=True)
class Moved:
    to: str
    by: str | None = None


class Customer(Object, schema=shop):
    name: Indexed[str]
    referred_by: Customer | None = None


class Order(Object, schema=shop):
    number: Unique[int]
    customer: Indexed[Customer]
    state: Indexed[Literal["new", "paid", "sent"]] = "new"
    lines: tuple[Line, ...] = ()
    tags: frozenset[str] = frozenset()
    placed: datetime
    due: date | None = None
    took: timedelta = timedelta(0)
    discount: Decimal | None = None
    channel: Channel = Channel.WEB
    event: Paid | Moved | None = None
    size: Size = Size(1)
    notes: Mapping[str, str] = FrozenDict({"packing": "paper"})
    counts: FrozenDict[str, tuple[int, ...]] = FrozenDict()
    boxes: tuple[int, str] = (0, "")
    parcel: UUID | None = None
    grams: Int32 = 0
    level: UInt8 = 0
    ratio: Float32 = 0.5
    words: tuple[str, ...] = field(default_factory=tuple)

    by_customer_state = Index("customer", "state")
    by_state_number: ClassVar[Index] = Index("state", "number", unique=True)
    CURRENCY: ClassVar[str] = "EUR"

    def total(self) -> Decimal:
        return sum((line.total() for line in self.lines), Decimal(0)) - (self.discount or 0)

    @property
    def is_paid(self) -> bool:
        return self.state != "new"

    @classmethod
    def first_of(cls, customer: Customer) -> Order | None:
        return cls.lookupAny(by_customer_state=(customer, "new"))


def check(order: Order, customer: Customer) -> None:
    assert_type(order.number, int)
    assert_type(order.customer, Customer)
    assert_type(order.state, Literal["new", "paid", "sent"])
    assert_type(order.lines, tuple[Line, ...])
    assert_type(order.lines[0].price, Decimal)
    assert_type(order.tags, frozenset[str])
    assert_type(order.placed, datetime)
    assert_type(order.discount, Decimal | None)
    assert_type(order.notes["door"], str)
    assert_type(order.counts, FrozenDict[str, tuple[int, ...]])
    assert_type(order.counts["tea"], tuple[int, ...])
    assert_type(order.size.width, int)
    assert_type(order.boxes[1], str)
    assert_type(order.ratio, float)
    assert_type(order.total(), Decimal)
    assert_type(order.is_paid, bool)
    assert_type(order.customer.referred_by, Customer | None)
    assert_type(Order.CURRENCY, str)

    assert_type(Order.lookupOne(number=1), Order)
    assert_type(Order.lookupAny(number=3), Order | None)
    assert_type(Order.lookupUnique(number=1), Order | None)
    assert_type(Order.lookupAll(state="new"), tuple[Order, ...])
    assert_type(Order.first_of(customer), Order | None)
    assert_type(Order.fromIdentity(1), Order)
    assert_type(order.exists(), bool)

    match order.event:
        case Paid(amount):
            assert_type(amount, Decimal)
        case Moved(to, by):
            assert_type(to, str)
            assert_type(by, str | None)
        case None:
            raise AssertionError("nothing has happened")


def main() -> None:
    with InMemServer(auth_token="t") as server, server.connect("t") as db:
        db.subscribe(shop)
        placed = datetime(2024, 5, 17, 12, tzinfo=timezone.utc)
        parcel = uuid4()

        with db.transaction():
            ada = Customer(name="Ada")
            bob = Customer(name="Bob", referred_by=ada)
            order = Order(
                number=1,
                customer=ada,
                placed=placed,
                lines=(Line("tea", Decimal("3.50")), Line("cup", Decimal(5), count=2)),
                tags=frozenset({"gift"}),
                parcel=parcel,
                counts=FrozenDict({"tea": (1, 2)}),
            )
            Order(number=2, customer=bob, placed=placed, event=Moved(to="Bergen"), channel=Channel.COUNTER)
            order.state = "paid"
            order.event = Paid(Decimal(10))
            order.lines += (Line("pot", Decimal("9.90")),)
            order.notes = {**order.notes, "door": "blue"}
            order.grams += 250
            order.due = date(2024, 6, 1)

        with db.view():
            check(Order.lookupOne(number=1), bob)
            assert order.total() == Decimal("23.40")
            assert order.notes == {"packing": "paper", "door": "blue"}
            assert order.counts == {"tea": (1, 2)}
            assert order.parcel == parcel
            assert order.placed == placed
            assert order.grams == 250
            assert order.words == ()
            assert order.boxes == (0, "")
            assert Order.lookupOne(by_customer_state=(ada, "paid")) == order
            assert Order.lookupOne(by_state_number=("new", 2)) == Order.first_of(bob)
            by_order = {order: order.customer.name}
            assert by_order[Order.lookupOne(number=1)] == "Ada"

            row = order.snapshot()
            assert_type(row, Order.Row)

        assert row.number == 1
        assert row.lines[0].item == "tea"
        assert row._asdict()["state"] == "paid"

        with db.transaction():
            order.delete()
        with db.view():
            assert not order.exists()
            assert len(Order.lookupAll()) == 1


if __name__ == "__main__":
    main()
