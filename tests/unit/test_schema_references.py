"""References to types of the schema, also to those that are defined later. Annotations are real objects here."""

import re
from typing import Optional

import pytest

from object_database import (
    DatabaseConnection,
    Indexed,
    OneOf,
    Schema,
)
from object_database.errors import SchemaError


def test_a_type_can_be_named_before_it_is_defined(db: DatabaseConnection) -> None:
    schema = Schema("forward")

    @schema.define
    class Order:
        customer = schema.Customer
        agent = OneOf(None, schema.Customer)
        other: schema.Customer

    named = schema.Customer

    @schema.define
    class Customer:
        name: str

    assert named is Customer
    db.subscribeToSchema(schema)
    with db.transaction():
        ada = Customer(name="Ada")
        order = Order(customer=ada)
        assert (order.customer.name, order.agent) == ("Ada", None)
        assert not order.other


def test_a_type_can_refer_to_itself(db: DatabaseConnection) -> None:
    schema = Schema("ring")

    @schema.define
    class Ring:
        next = schema.Ring
        previous = OneOf(None, schema.Ring)

    db.subscribeToSchema(schema)
    with db.transaction():
        one = Ring()
        one.next = Ring(next=one, previous=one)
        assert one.next.next == one
        assert one.next.previous == one


def test_a_name_as_a_string_is_a_type_that_comes_later(db: DatabaseConnection) -> None:
    schema = Schema("strings")

    @schema.define
    class Order:
        customer: "Customer"
        maybe: "Customer | None"
        indexed: Indexed["Customer"]
        optional: Optional["Customer"]

    @schema.define
    class Customer:
        name: str

    db.subscribeToSchema(schema)
    with db.transaction():
        ada = Customer(name="Ada")
        order = Order(customer=ada, indexed=ada, maybe=None, optional=ada)
        assert (order.customer, order.maybe, order.optional) == (ada, None, ada)
        assert Order.lookupOne(indexed=ada) == order


def test_types_of_another_schema_can_be_referred_to(db: DatabaseConnection) -> None:
    people, orders = Schema("people"), Schema("orders")

    @people.define
    class Person:
        name: str

    @orders.define
    class Order:
        buyer: Person

    db.subscribeToSchema(people, orders)
    with db.transaction():
        assert Order(buyer=Person(name="Ada")).buyer.name == "Ada"


def test_a_type_that_is_never_defined_is_missed_at_the_end(db: DatabaseConnection) -> None:
    schema = Schema("missing")

    @schema.define
    class Order:
        customer: schema.Customer

    with pytest.raises(SchemaError, match=re.escape("still need definitions for missing.Customer")):
        db.addSchema(schema)

    @schema.define
    class Customer:
        pass

    db.addSchema(schema)


def test_an_undefined_type_makes_no_objects(db: DatabaseConnection) -> None:
    schema = Schema("undefined")
    thing = schema.Thing
    with db.transaction():
        with pytest.raises(SchemaError, match=r"undefined\.Thing is not defined yet"):
            thing()


def test_a_reference_holds_objects_of_exactly_its_type(db: DatabaseConnection) -> None:
    schema = Schema("exact_references")

    @schema.define
    class Base:
        n: int

    @schema.define
    class Derived(Base):
        pass

    @schema.define
    class Holder:
        base: Base
        maybe: OneOf(None, Base)

    db.subscribeToSchema(schema)
    with db.transaction():
        derived = Derived()
        with pytest.raises(TypeError, match=r"Holder\.base: exact_references\.Derived was given, and the field takes"):
            Holder(base=derived)
        with pytest.raises(TypeError, match="and the field takes None or exact_references.Base"):
            Holder(maybe=derived)
        with pytest.raises(TypeError, match="NoneType was given"):
            Holder(base=None)
        assert Holder.lookupAll() == ()


@pytest.mark.parametrize("name", ["a.b", "", "a b", "a,b"])
def test_a_name_that_no_type_can_have_makes_no_forward_reference(name: str) -> None:
    schema = Schema("impossible")
    with pytest.raises(AssertionError, match="is no name that a type can have"):
        getattr(schema, name)
    schema.freeze()
