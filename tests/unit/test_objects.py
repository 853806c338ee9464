"""Handles: what an object is to Python, with and without a view."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import pydoc
import threading
from collections.abc import Callable

import pytest

from object_database import (
    DatabaseConnection,
    Indexed,
    NotSubscribedError,
    ObjectDatabaseError,
    ObjectDoesntExistException,
    OneOf,
    Schema,
    current_transaction,
)
from object_database.errors import (
    NoTransactionError,
    NotSettableError,
    NoViewError,
    SchemaError,
    SchemaNotAddedError,
    ValueTypeError,
)

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

schema = Schema("objects")


@schema.define
class Order:
    """What was ordered."""

    number: Indexed[int]
    state: str = "new"
    previous: schema.Order

    def pay(self) -> None:
        """Note that it is paid."""
        self.state = "paid"

    @property
    def twice(self) -> int:
        return 2 * self.number


@schema.define
class Customer:
    name: str


@pytest.fixture
def shop(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


@pytest.fixture
def order(shop: DatabaseConnection) -> Order:
    with shop.transaction():
        return Order(number=1)


# ---- what a handle is


def test_a_handle_is_its_type_and_identity() -> None:
    one, again, other = Order.fromIdentity(7), Order.fromIdentity(7), Order.fromIdentity(8)
    assert one == again
    assert one is not again
    assert one != other
    assert (one._identity, hash(one), repr(one)) == (7, 7, "objects.Order(id=7)")
    assert {one: "seen"}[again] == "seen"
    assert isinstance(one, Order)
    assert one.__schema__ is schema


def test_handles_of_different_types_are_never_equal() -> None:
    order, customer = Order.fromIdentity(7), Customer.fromIdentity(7)
    assert order != customer
    assert (order == customer) is False
    assert hash(order) == hash(customer)
    assert len({order, customer}) == 2
    assert order != 7
    assert order != None  # noqa: E711


def test_handles_of_one_type_are_in_the_order_of_their_identities() -> None:
    handles = [Order.fromIdentity(n) for n in (5, 2**40, 3)]
    assert [handle._identity for handle in sorted(handles)] == [3, 5, 2**40]
    assert Order.fromIdentity(1) < Order.fromIdentity(2) <= Order.fromIdentity(2)
    with pytest.raises(TypeError):
        Order.fromIdentity(1) < Customer.fromIdentity(2)
    with pytest.raises(TypeError):
        Order.fromIdentity(1) < 2


def test_a_handle_is_true_unless_it_refers_to_nothing() -> None:
    assert Order.fromIdentity(1)
    assert not Order.fromIdentity(0)


@pytest.mark.parametrize(("identity", "error"), [(-1, ValueTypeError), (2**63, OverflowError), ("1", TypeError)])
def test_an_identity_is_a_number_that_is_not_negative(identity: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        Order.fromIdentity(identity)


def test_identities_are_not_used_twice_not_even_after_an_abort(shop: DatabaseConnection) -> None:
    seen = set()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), shop.transaction():
            seen.add(Order()._identity)
            1 / 0
    with shop.transaction():
        seen.update(Order()._identity for _ in range(200))
    assert len(seen) == 203


def test_handles_are_nothing_to_the_garbage_collector(shop: DatabaseConnection) -> None:
    assert not gc.is_tracked(Order.fromIdentity(1))
    with shop.transaction():
        Order(number=1)
    with shop.view():
        assert not gc.is_tracked(Order.lookupAll())


def test_an_editor_sees_fields_methods_and_documentation(order: Order) -> None:
    assert {"number", "state", "pay", "twice", "exists", "delete", "lookupAll"} <= set(dir(order))
    assert (order.__doc__, order.__module__, order.pay.__doc__) == (
        "What was ordered.",
        __name__,
        "Note that it is paid.",
    )
    assert repr(Order.number) == "<field objects.Order.number: int>"
    assert (Order.previous.__doc__, Order.state.__name__) == ("objects.Order", "state")
    page = pydoc.plain(pydoc.render_doc(Order))
    assert "What was ordered." in page
    assert "lookupUnique(**index)" in page


def test_a_type_without_documentation_says_its_fields() -> None:
    assert Customer.__doc__ == "Customer(name: str)"
    assert Customer.fromIdentity(1).__doc__ == Customer.__doc__
    documented = Schema("documented")
    wide = documented.define(type("Wide", (), {f"f{i}": int for i in range(30)}))
    assert wide.__doc__.startswith("Wide(f0: int, f1: int, ")
    assert wide.__doc__.endswith(", f19: int, ...)")


def test_the_signature_of_a_type_is_how_it_is_called() -> None:
    assert str(inspect.signature(Customer)) == "(*, name: str = '')"
    assert [(p.name, p.kind.name, p.default) for p in inspect.signature(Order).parameters.values()] == [
        ("number", "KEYWORD_ONLY", 0),
        ("state", "KEYWORD_ONLY", "new"),
        ("previous", "KEYWORD_ONLY", Order.fromIdentity(0)),
    ]
    signed = Schema("signed")

    @signed.define
    class WithInit:
        number: int

        def __init__(self, number: int, *, maybe: str | None = None):
            pass

    @signed.define
    class Derived(WithInit):
        pass

    odd = signed.define(type("Odd", (Customer,), {"class": int, "maybe": OneOf(None, int), "b": bytes}))
    for each in (WithInit, Derived):
        assert list(inspect.signature(each).parameters) == ["number", "maybe"]
    assert str(inspect.signature(odd)).replace(" ", "") == "(*,name:str='',maybe:OneOf(None,int)=None,b:bytes=b'')"


def test_names_that_a_type_has_of_python() -> None:
    assert (Order.__name__, Order.__qualname__, Order.__module__) == ("Order", "Order", __name__)
    assert Order.__schema__ is Order.fromIdentity(1).__schema__ is schema
    assert {"Row", "number", "pay", "lookupOne", "fromIdentity", "snapshot"} <= set(dir(Order))


# ---- reading and writing


def test_fields_are_read_in_any_view_and_written_in_a_transaction(shop: DatabaseConnection, order: Order) -> None:
    with shop.transaction():
        order.number = 5
        order.pay()
        assert (order.number, order.state, order.twice) == (5, "paid", 10)
    with shop.view():
        assert (order.number, order.state) == (5, "paid")
        with pytest.raises(NoTransactionError, match=r"objects\.Order\.number cannot be written in a read-only view"):
            order.number = 6
        with pytest.raises(NoTransactionError, match=r"objects\.Order\.state cannot be written in a read-only view"):
            order.pay()
        with pytest.raises(NoTransactionError, match=r"objects\.Order cannot be created in a read-only view"):
            Order()
        with pytest.raises(NoTransactionError, match=r"objects\.Order cannot be deleted in a read-only view"):
            order.delete()
        assert order.number == 5


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda order: order.number, NoViewError, r"objects\.Order\.number cannot be read outside of a view"),
        (lambda order: order.twice, NoViewError, "outside of a view"),
        (lambda order: order.exists(), NoViewError, r"exists\(\) cannot be read outside of a view"),
        (lambda order: Order.lookupAll(), NoViewError, "cannot be looked up outside of a view"),
        (lambda order: Order.lookupOne(number=1), NoViewError, "cannot be looked up outside of a view"),
        (lambda order: order.pay(), NoTransactionError, r"state cannot be written outside of a transaction"),
        (lambda order: setattr(order, "number", 1), NoTransactionError, "number cannot be written outside of"),
        (lambda order: Order(), NoTransactionError, "cannot be created outside of a transaction"),
        (lambda order: order.delete(), NoTransactionError, "cannot be deleted outside of a transaction"),
    ],
)
def test_without_a_view_an_object_says_what_is_missing(
    shop: DatabaseConnection, order: Order, use: Callable[[Order], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        use(order)
    with shop.transaction():
        pass
    with pytest.raises(TypeError, match=message):  # after the end of one as before
        use(order)


def test_what_is_no_field_is_not_settable(shop: DatabaseConnection, order: Order) -> None:
    with shop.transaction():
        for name in ("colour", "exists", "delete", "_identity", "pay", "__class__", "__dict__"):
            with pytest.raises((TypeError, AttributeError)):
                setattr(order, name, 5)
        with pytest.raises(
            NotSettableError, match="attribute colour of objects.Order objects is not settable"
        ) as caught:
            order.colour = "red"
        assert isinstance(caught.value, (TypeError, AttributeError))
        with pytest.raises(NotSettableError, match="twice"):
            order.twice = 4
        with pytest.raises(AttributeError, match="colour"):
            order.colour
        with pytest.raises(NotSettableError, match=r"objects\.Order\.state is a field and cannot be deleted"):
            del order.state
        with pytest.raises((TypeError, AttributeError)):
            del order.colour


def test_creation_takes_its_fields_as_keywords(shop: DatabaseConnection) -> None:
    with shop.transaction():
        with pytest.raises(
            ValueTypeError, match=r"objects\.Order takes its fields as keywords: Order\(number=\.\.\.\)"
        ):
            Order(5)
        with pytest.raises(ValueTypeError, match=r"objects\.Order has no field named 'colour'"):
            Order(number=1, colour="red")
        with pytest.raises(ValueTypeError, match=r"objects\.Order\.number: str was given, and the field takes int"):
            Order(state="x", number="5")
        assert Order.lookupAll() == ()  # what failed is not there
        assert Order(**{"num" + "ber": 5}).number == 5


def test_a_creation_that_failed_is_not_committed(shop: DatabaseConnection) -> None:
    with shop.transaction():
        with pytest.raises(TypeError):
            Order(number="5")
        kept = Order(number=6)
    with shop.view():
        assert Order.lookupAll() == (kept,)


# ---- existence


def test_a_deleted_object_is_gone(shop: DatabaseConnection, order: Order) -> None:
    with shop.transaction():
        assert order.exists()
        order.delete()
        assert not order.exists()
        for use in (lambda: order.number, lambda: setattr(order, "number", 1), order.delete):
            with pytest.raises(ObjectDoesntExistException, match="does not exist in this view"):
                use()
    with shop.view():
        assert not order.exists()
        with pytest.raises(ObjectDoesntExistException) as caught:
            order.number
        assert caught.value.obj == caught.value.key == order
        assert type(caught.value) is ObjectDoesntExistException


def test_an_identity_that_was_never_given_does_not_exist(shop: DatabaseConnection) -> None:
    with shop.view():
        for identity in (1, 10**9, 2**63 - 1):
            assert not Order.fromIdentity(identity).exists()
            with pytest.raises(ObjectDoesntExistException):
                Order.fromIdentity(identity).number


def test_an_identity_of_one_type_is_none_of_another(shop: DatabaseConnection, order: Order) -> None:
    with shop.view():
        assert not Customer.fromIdentity(order._identity).exists()


def test_an_unset_reference_is_falsy_and_does_not_exist(shop: DatabaseConnection, order: Order) -> None:
    with shop.transaction():
        assert not order.previous
        assert order.previous == Order.fromIdentity(0)
        assert not order.previous.exists()
        with pytest.raises(ObjectDoesntExistException):
            order.previous.number
        with pytest.raises(ObjectDoesntExistException):
            order.previous.number = 1
        with pytest.raises(ObjectDoesntExistException):
            order.previous.delete()
        order.previous = order
        order.previous = Order.fromIdentity(0)
        assert not order.previous


# ---- connections


def test_a_handle_works_on_every_connection_that_has_its_schema(connect_db: Connect) -> None:
    first, second, third = connect_db(), connect_db(), connect_db()
    first.subscribeToSchema(schema)
    second.subscribeToSchema(schema)
    with first.transaction():
        order = Order(number=5)
    second.flush()
    with second.view():
        assert order.number == 5
    with third.view():
        with pytest.raises(SchemaNotAddedError, match=r"type objects\.Order is not known to this connection"):
            order.number
        with pytest.raises(SchemaNotAddedError):
            Order.lookupAll()
    with third.transaction():
        with pytest.raises(SchemaNotAddedError, match="call addSchema or subscribeToSchema"):
            Order()


def test_objects_outside_of_what_is_subscribed_are_not_known(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(schema)
    second.addSchema(schema)
    with first.transaction():
        order = Order(number=5)
    second.flush()
    with second.view():
        assert not order.exists()
        with pytest.raises(NotSubscribedError, match="is not covered by this view"):
            order.number
    with second.transaction():
        for use in (order.exists, lambda: order.number, lambda: setattr(order, "number", 1), order.delete):
            with pytest.raises(NotSubscribedError):
                use()
    assert issubclass(NotSubscribedError, ObjectDoesntExistException)


def test_a_reference_into_a_schema_that_was_never_added_says_so(db: DatabaseConnection) -> None:
    people, places = Schema("people_alone"), Schema("places_alone")

    @people.define
    class Person:
        name: str

    @places.define
    class Place:
        owner: Person

    db.subscribeToSchema(places)
    with db.transaction():
        place = Place()
        assert not place.owner
        with pytest.raises(SchemaError, match="call addSchema"):
            place.owner.name


def test_a_handle_is_used_by_many_threads(shop: DatabaseConnection, order: Order) -> None:
    seen = []

    def read() -> None:
        with shop.view():
            seen.append(order.number)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8


# ---- hooks that pull the rug


def test_a_transaction_that_its_own_init_or_del_ends_raises_and_harms_nothing(db: DatabaseConnection) -> None:
    rug = Schema("rug")

    @rug.define
    class Pulled:
        n: int

        def __init__(self) -> None:
            if current_transaction().db() is ending_in:
                current_transaction().__exit__(None, None, None)
            self.n = 5

        def __del__(self) -> None:
            current_transaction().__exit__(None, None, None)

    db.subscribeToSchema(rug)
    ending_in = None
    with db.transaction():
        pulled = Pulled()
    ending_in = db
    db.transaction().__enter__()  # nobody else holds it
    with pytest.raises(NoTransactionError):
        Pulled()
    db.transaction().__enter__()
    with pytest.raises(ObjectDatabaseError):
        pulled.delete()
    assert current_transaction() is None
    with db.view():
        assert pulled.n == 5


def test_a_copy_of_a_handle_is_itself_and_pickling_says_what_to_do(shop: DatabaseConnection) -> None:
    with shop.transaction():
        order = Order(number=1)
    assert copy.copy(order) is copy.deepcopy(order) is order
    with pytest.raises(TypeError, match="fromIdentity"):
        pickle.dumps(order)


def test_a_schema_that_was_built_twice_has_references_of_its_own_types(db: DatabaseConnection) -> None:
    def build() -> tuple[Schema, type, type]:
        twice = Schema("twice")

        @twice.define
        class Customer:
            name: str

        @twice.define
        class Order:
            customer: Customer
            maybe: Customer | None

        return twice, Customer, Order

    for schema, customer_type, order_type in (build(), build()):
        db.subscribeToSchema(schema)
        with db.transaction():
            customer = customer_type(name="Ada")
            order = order_type(customer=customer, maybe=customer)
            assert order.customer == order.maybe == customer
            order.customer = order.maybe
