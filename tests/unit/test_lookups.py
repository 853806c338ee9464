"""Lookups by index and by type, and which of them a connection can answer (D20)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from object_database import DatabaseConnection, Index, Indexed, NotSubscribedError, OneOf, Schema
from object_database.errors import LookupTypeError, ObjectDoesntExistException, SchemaError, ValueTypeError

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

schema = Schema("lookups")


@schema.define
class Customer:
    name: Indexed[str]


@schema.define
class Order:
    number: Indexed[int]
    state: Indexed[str]
    customer: Indexed[Customer]
    due: Indexed[OneOf(None, float)]
    by_customer_state = Index("customer", "state")
    alone = Index("state")
    doubled = Index("state", "state")


@schema.define
class Plain:
    number: int


@pytest.fixture
def shop(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


# ---- the four lookups


def test_lookup_all_gives_a_tuple_in_ascending_identity(shop: DatabaseConnection) -> None:
    with shop.transaction():
        made = [Order(number=n % 2) for n in range(200)]
        assert Order.lookupAll() == tuple(made)
    with shop.view():
        assert Order.lookupAll() == tuple(made)
        assert Order.lookupAll(number=0) == tuple(made[::2])
        assert Order.lookupAll(number=5) == ()


def test_lookup_any_gives_the_first_or_none(shop: DatabaseConnection) -> None:
    with shop.view():
        assert Order.lookupAny() is None
        assert Order.lookupAny(number=1) is None
    with shop.transaction():
        first, second = Order(number=1), Order(number=1)
        assert Order.lookupAny() == Order.lookupAny(number=1) == first
        first.delete()
        assert Order.lookupAny() == Order.lookupAny(number=1) == second


def test_lookup_one_gives_the_first_or_an_error(shop: DatabaseConnection) -> None:
    with shop.view():
        with pytest.raises(LookupTypeError, match=r"there are no lookups\.Order objects in this view"):
            Order.lookupOne()
        with pytest.raises(LookupTypeError, match=r"there is no lookups\.Order with state='new' in this view"):
            Order.lookupOne(state="new")
    with shop.transaction():
        first, _ = Order(number=1), Order(number=1)
    with shop.view():
        assert Order.lookupOne() == Order.lookupOne(number=1) == first


def test_lookup_unique_gives_the_only_one_none_or_an_error(shop: DatabaseConnection) -> None:
    with shop.transaction():
        only, *_ = Order(number=1), Order(number=2), Order(number=2)
    with shop.view():
        assert Order.lookupUnique(number=1) == only
        assert Order.lookupUnique(number=3) is None
        with pytest.raises(LookupTypeError, match=r"several lookups\.Order objects were found where one was expected"):
            Order.lookupUnique(number=2)
        with pytest.raises(LookupTypeError):
            Order.lookupUnique()


# ---- indexes


def test_an_index_over_several_fields_is_looked_up_with_a_tuple(shop: DatabaseConnection) -> None:
    with shop.transaction():
        ada, bob = Customer(name="Ada"), Customer(name="Bob")
        made = {(c, s): Order(customer=c, state=s) for c in (ada, bob) for s in ("new", "paid", "")}
    with shop.view():
        for key, order in made.items():
            assert Order.lookupAll(by_customer_state=key) == (order,)
        assert Order.lookupAll(by_customer_state=(ada, "lost")) == ()
        assert Order.lookupAll(customer=ada) == tuple(order for (c, _), order in made.items() if c == ada)


def test_a_named_index_may_have_one_field(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order(number=3, state="new")
        assert Order.lookupAll(alone="new") == Order.lookupAll(state="new") == (order,)
        assert Order.lookupAll(alone="paid") == ()


def test_an_index_may_have_a_field_twice(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order(number=4, state="new")
        assert Order.lookupAll(doubled=("new", "new")) == (order,)
        assert Order.lookupAll(doubled=("new", "old")) == ()


def test_unset_references_and_none_are_values_like_any_other(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order()
        assert Order.lookupAll(customer=Customer.fromIdentity(0)) == Order.lookupAll(due=None) == (order,)
        order.due = 1.5
        assert Order.lookupAll(due=None) == ()


def test_an_index_follows_every_field_it_is_made_of(shop: DatabaseConnection) -> None:
    with shop.transaction():
        ada, bob = Customer(name="Ada"), Customer(name="Bob")
        order = Order(customer=ada, state="new")
    with shop.transaction():
        order.customer = bob
    with shop.transaction():
        order.state = "paid"
    with shop.view():
        assert Order.lookupAll(by_customer_state=(bob, "paid")) == (order,)
        for key in [(ada, "new"), (bob, "new"), (ada, "paid")]:
            assert Order.lookupAll(by_customer_state=key) == ()
    with shop.transaction():
        order.delete()
    with shop.view():
        assert Order.lookupAll(by_customer_state=(bob, "paid")) == Order.lookupAll(state="paid") == ()


# ---- lookups that cannot be meant so


@pytest.mark.parametrize("lookup", ["lookupAll", "lookupAny", "lookupOne", "lookupUnique"])
def test_a_lookup_takes_one_index_as_a_keyword(shop: DatabaseConnection, lookup: str) -> None:
    with shop.view():
        for arguments, keywords in [((5,), {}), ((), {"number": 1, "state": "new"}), ((5,), {"number": 1})]:
            with pytest.raises(LookupTypeError, match=r"lookups in lookups\.Order take one index, as a keyword"):
                getattr(Order, lookup)(*arguments, **keywords)
        with pytest.raises(LookupTypeError, match=r"lookups\.Customer has no index named 'age'; its indexes: name$"):
            getattr(Customer, lookup)(age=5)
        with pytest.raises(LookupTypeError, match=r"lookups\.Plain has no index named 'number'; its indexes: none"):
            getattr(Plain, lookup)(number=5)
        with pytest.raises(ValueTypeError, match=r"lookups\.Order\.number: str was given, and the field takes int"):
            getattr(Order, lookup)(number="1")
        with pytest.raises(OverflowError):
            getattr(Order, lookup)(number=2**63)


@pytest.mark.parametrize("value", ["new", ("new",), (), ("a", "b", "c"), ["a", "b"]])
def test_a_composite_lookup_needs_a_tuple_of_as_many_values(shop: DatabaseConnection, value: object) -> None:
    with shop.view():
        with pytest.raises(
            ValueTypeError, match=r"by_customer_state is an index over 2 fields: look it up with a tuple"
        ):
            Order.lookupAll(by_customer_state=value)


def test_a_keyword_that_was_put_together_at_run_time_is_found(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order(number=1)
        assert Order.lookupAll(**{"".join(["num", "ber"]): 1}) == (order,)


def test_a_type_that_is_not_defined_yet_has_no_objects_to_look_up(db: DatabaseConnection) -> None:
    forward = Schema("forward_lookup").Thing
    with db.view():
        with pytest.raises(SchemaError):
            forward.lookupAll()


# ---- coverage


def test_without_any_subscription_every_lookup_is_an_error(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    with first.transaction():
        Order(number=1)
    second.addSchema(schema)
    for make in (second.view, second.transaction):
        with make():
            with pytest.raises(
                NotSubscribedError, match="call subscribeToType, subscribeToSchema or subscribeToIndex first"
            ):
                Order.lookupAll()
            with pytest.raises(NotSubscribedError):
                Order.lookupAny(number=1)


def test_with_subscribe_to_none_own_creations_are_found_and_others_are_not(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    second.subscribeToNone(Order)
    with first.transaction():
        hidden = Order(number=1)
    with second.transaction():
        own = Order(number=1)
        with pytest.raises(NotSubscribedError):  # the answer would decide a write
            Order.lookupAll(number=1)
    with second.view():
        assert Order.lookupAll() == Order.lookupAll(number=1) == (own,)
        assert own.number == 1
        assert not hidden.exists()
        with pytest.raises(NotSubscribedError):
            hidden.number
    first.flush()
    with first.transaction():
        own.number = 2
    second.flush()
    with second.view():
        assert own.number == 2


def test_an_own_creation_counts_as_a_subscription(db: DatabaseConnection) -> None:
    db.addSchema(schema)
    with db.transaction():
        own = Order(number=1)
        assert own.number == 1
    with db.view():
        assert own.number == 1
        assert Order.lookupAll() == (own,)


def test_a_view_that_was_opened_before_the_subscription_was_complete_says_so(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    with first.transaction():
        order = Order(number=1)
    second.addSchema(schema)
    early_view, early_transaction = second.view(), second.transaction()
    second.subscribeToType(Order)
    with early_transaction:
        with pytest.raises(NotSubscribedError, match="a view that is opened after the subscription was complete"):
            Order.lookupAll()
        with pytest.raises(NotSubscribedError):
            order.number
    with early_view:
        with pytest.raises(NotSubscribedError):
            order.number
    with second.view():
        assert Order.lookupAll() == (order,)


def test_a_subscription_to_a_type_leaves_the_others_of_the_schema_out(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    with first.transaction():
        Order(number=1), Customer(name="Ada")
    second.subscribeToSchema(schema, excluding=[Customer])
    assert second.isSubscribedToType(Order)
    assert not second.isSubscribedToType(Customer)
    assert not second.isSubscribedToSchema(schema)
    with second.view():
        assert len(Order.lookupAll()) == 1
        with pytest.raises(NotSubscribedError):
            Customer.lookupAll()
    second.subscribeToType(Customer)
    assert second.isSubscribedToSchema(schema)
    with second.view():
        assert len(Customer.lookupAll(name="Ada")) == 1


def test_a_subscription_after_own_creations_has_each_object_once(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    second.subscribeToNone(Order)
    with second.transaction():
        own = Order(number=1)
    first.flush()
    with first.transaction():
        other = Order(number=1)
        own.state = "seen"
    second.subscribeToType(Order)
    with second.view():
        assert Order.lookupAll() == Order.lookupAll(number=1) == tuple(sorted([own, other]))
        assert own.state == "seen"


def test_an_own_creation_that_somebody_else_deleted_is_gone_and_not_unknown(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToNone(Plain)
    second.subscribeToType(Plain)
    with first.transaction():
        mine = Plain(number=1)
    second.flush()
    with second.transaction():
        mine.delete()
    first.flush()
    with first.view():
        assert not mine.exists()
    with first.transaction():
        assert not mine.exists()
        with pytest.raises(ObjectDoesntExistException) as caught:
            mine.number
    assert not isinstance(caught.value, NotSubscribedError)
