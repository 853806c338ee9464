"""Class bodies whose annotations are strings, as `from __future__ import annotations` makes them."""

from __future__ import annotations

import sys
import types
import typing
from typing import ClassVar, Optional

import pytest

from object_database import DatabaseConnection, Index, Indexed, Object, OneOf, Schema
from object_database.errors import SchemaError

Money = float  # a name of this module
module_schema = Schema("of_the_module")


@module_schema.define
class Customer:
    name: str


def test_annotations_that_are_strings_are_resolved(db: DatabaseConnection) -> None:
    schema = Schema("resolved")

    @schema.define
    class Order:
        LIMIT: ClassVar[int] = 5
        OTHER: typing.ClassVar = 6
        number: Indexed[int]
        total: Money = 2.5
        note: str | None
        other: Optional[int]  # noqa: UP045
        mixed: OneOf(None, int, str)
        customer: Customer
        indexed_note: Indexed[str | None]
        by_total = Index("total", "number")

    db.subscribeToSchema(module_schema, schema)
    with db.transaction():
        ada = Customer(name="Ada")
        order = Order(number=1, customer=ada)
        assert (order.total, order.note, order.other, order.mixed) == (2.5, None, None, None)
        assert order.customer.name == "Ada"
        assert Order.lookupAll(by_total=(2.5, 1)) == Order.lookupAll(indexed_note=None) == (order,)
        assert (Order.LIMIT, Order.OTHER) == (5, 6)


def test_names_of_the_function_that_defines_are_seen(db: DatabaseConnection) -> None:
    schema = Schema("locals")
    Number = int

    class Order(Object, schema=schema):
        number: Number = 4

    @schema.define
    class Line:
        order: Order

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Line(order=Order()).order.number == 4


def test_a_type_refers_to_itself_and_to_later_ones(db: DatabaseConnection) -> None:
    schema = Schema("later")

    @schema.define
    class Node:
        next: Node | None
        ring: Node
        leaf: Leaf
        maybe: OneOf(None, Leaf)

    @schema.define
    class Leaf:
        n: int

    db.subscribeToSchema(schema)
    with db.transaction():
        node = Node(leaf=Leaf(n=3))
        node.next = node.ring = node
        assert node.next.ring.leaf.n == 3


def test_a_slip_in_a_lower_case_name_is_an_error_and_no_forward_reference() -> None:
    schema = Schema("slip")
    with pytest.raises(SchemaError, match=r"slip\.Order\.number: the annotation 'itn' cannot be resolved"):

        @schema.define
        class Order:
            number: itn  # type: ignore[name-defined] # noqa: F821


def test_a_slip_in_a_type_name_is_missed_when_the_schema_is_frozen() -> None:
    schema = Schema("missed")

    @schema.define
    class Order:
        customer: Custmer  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(SchemaError, match=r"still need definitions for missed\.Custmer"):
        schema.freeze()


def test_annotations_of_a_mixin_are_resolved_in_the_mixins_own_module(db: DatabaseConnection) -> None:
    schema = Schema("mixin_module")
    elsewhere = types.ModuleType("elsewhere")
    sys.modules["elsewhere"] = elsewhere
    try:
        exec(
            "from __future__ import annotations\nWeight = float | None\nclass Weighed:\n    weight: Weight\n",
            elsewhere.__dict__,
        )

        @schema.define
        class Parcel(elsewhere.Weighed):
            number: int

    finally:
        del sys.modules["elsewhere"]
    db.subscribeToSchema(schema)
    with db.transaction():
        assert Parcel(weight=1.5).weight == 1.5
