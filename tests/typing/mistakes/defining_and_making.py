"""What both checkers find wrong where types are defined and objects are made. Never run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from object_database import Index, Indexed, Object, Schema, Unique

shop = Schema("shop")


@dataclass(frozen=True)
class Line:
    item: str
    price: Decimal


class Customer(Object, schema=shop):
    name: Indexed[str]


class Order(Object, schema=shop):
    number: Unique[int]
    placed: datetime
    customer: Customer | None = None
    state: Literal["new", "paid"] = "new"
    lines: tuple[Line, ...] = ()
    by_state_number = Index("state", "number")


class Wrong(Object, schema="shop"):  # expect: error (pyright)
    count: int = "none"  # expect: error
    size: Indexed[int] = "large"  # expect: error
    names: tuple[str, ...] = (1, 2)  # expect: error
    by_count = Index(count)  # expect: error


now = datetime(2024, 5, 17)
Customer()  # expect: error
Customer(name=5)  # expect: error
Customer("Ada")  # expect: error
Customer(name="Ada", age=36)  # expect: error
Order(number=1)  # expect: error
Order(number="1", placed=now)  # expect: error
Order(number=1, placed="today")  # expect: error
Order(number=1, placed=now, state="lost")  # expect: error
Order(number=1, placed=now, customer="Ada")  # expect: error
Order(number=1, placed=now, lines=(Line(item="tea", price="3.50"),))  # expect: error
Order(number=1, placed=now, lines=[Line("tea", Decimal(3))])  # expect: error
Order(number=1, placed=now, by_state_number=("new", 1))  # expect: error

order = Order(number=1, placed=now)
order.number = "2"  # expect: error
order.number = None  # expect: error
order.state = "lost"  # expect: error
order.customer = order  # expect: error
order.totl = 5  # expect: error
order.lines.append(Line("tea", Decimal(3)))  # expect: error
order.customer.name = "Ada"  # expect: error
print(order.numbr)  # expect: error
print(order.number.upper())  # expect: error
