"""How class bodies become database types. Annotations are real objects here; test_schema_annotations.py has them as strings."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Optional, TypeVar

import pytest

from object_database import (
    DatabaseConnection,
    Index,
    Indexed,
    Object,
    OneOf,
    Schema,
    SubscribeLazilyByDefault,
)
from object_database.errors import SchemaError

Connect = Callable[[], DatabaseConnection]

T = TypeVar("T")


# ---- the two styles


def test_a_type_in_the_older_style_has_its_fields_and_indexes(db: DatabaseConnection) -> None:
    schema = Schema("older")

    @schema.define
    class Order:
        number = Indexed(int)
        state = str
        note = OneOf(None, str)
        by_state_number = Index("state", "number")

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(number=7, state="new")
        assert (order.number, order.state, order.note) == (7, "new", None)
        assert Order.lookupOne(number=7) == order
        assert Order.lookupOne(by_state_number=("new", 7)) == order


def test_a_type_in_the_annotated_style_has_its_fields_and_indexes(db: DatabaseConnection) -> None:
    schema = Schema("annotated")

    @schema.define
    class Order:
        number: Indexed[int]
        state: str = "new"
        note: Optional[str]  # noqa: UP045
        total: int | float = 1.5
        by_state_number = Index("state", "number")

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(number=7)
        assert (order.number, order.state, order.note, order.total) == (7, "new", None, 1.5)
        assert Order.lookupOne(number=7) == order
        assert Order.lookupOne(by_state_number=("new", 7)) == order


def test_a_class_statement_with_the_schema_defines_as_the_decorator_does(db: DatabaseConnection) -> None:
    schema = Schema("statement")

    class Order(Object, schema=schema):
        number: Indexed[int] = 3

        def twice(self) -> int:
            return 2 * self.number

    assert schema.Order is Order
    db.subscribeToSchema(schema)
    with db.transaction():
        assert Order().twice() == 6
        assert Order.lookupOne(number=3)


def test_both_styles_are_the_same_definition_to_the_server(connect_db: Connect) -> None:
    older, annotated = Schema("same"), Schema("same")

    @older.define
    class Order:
        number = Indexed(int)
        note = OneOf(None, str)

    class AnnotatedOrder:
        number: Indexed[int]
        note: None | str  # noqa: RUF036

    AnnotatedOrder.__name__ = "Order"
    annotated_order = annotated.define(AnnotatedOrder)
    first, second = connect_db(), connect_db()
    first.subscribeToSchema(older)
    second.subscribeToSchema(annotated)
    with first.transaction():
        Order(number=1, note="seen")
    second.flush()
    with second.view():
        assert [order.note for order in annotated_order.lookupAll(number=1)] == ["seen"]


def test_a_field_can_be_indexed_and_have_a_default(db: DatabaseConnection) -> None:
    schema = Schema("indexed_default")

    @schema.define
    class Order:
        number: Indexed[int] = 5
        state: Indexed[OneOf(None, str)] = "new"

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        assert Order.lookupAll(number=5) == Order.lookupAll(state="new") == (order,)


def test_fields_without_a_default_get_the_one_of_their_type(db: DatabaseConnection) -> None:
    schema = Schema("defaults")

    @schema.define
    class Everything:
        truth: bool
        whole: int
        real: float
        text: str
        raw: bytes
        nothing: None
        first: OneOf(int, None)
        maybe: None | str  # noqa: RUF036

    db.subscribeToSchema(schema)
    with db.transaction():
        it = Everything()
    with db.view():
        values = [it.truth, it.whole, it.real, it.text, it.raw, it.nothing, it.first, it.maybe]
    assert repr(values) == "[False, 0, 0.0, '', b'', None, 0, None]"


def test_a_default_is_converted_as_every_value_is(db: DatabaseConnection) -> None:
    schema = Schema("converted_default")

    @schema.define
    class Order:
        total: float = 3

    db.subscribeToSchema(schema)
    with db.transaction():
        assert repr(Order().total) == "3.0"


def test_a_class_without_fields_is_a_type(db: DatabaseConnection) -> None:
    schema = Schema("empty")

    @schema.define
    class Marker:
        pass

    db.subscribeToSchema(schema)
    with db.transaction():
        marker = Marker()
    with db.view():
        assert Marker.lookupAll() == (marker,)


def test_a_type_of_more_than_64_fields_works(db: DatabaseConnection) -> None:
    schema = Schema("wide")
    wide = schema.define(type("Wide", (), {f"field_{i}": int for i in range(300)}))
    db.subscribeToSchema(schema)
    with db.transaction():
        made = wide(field_299=299, field_64=64)
    with db.view():
        assert [made.field_0, made.field_64, made.field_299] == [0, 64, 299]


# ---- members that are no fields


def test_class_vars_are_constants(db: DatabaseConnection) -> None:
    schema = Schema("constants")

    @schema.define
    class Order:
        LIMIT: ClassVar[int] = 5
        NAMES: ClassVar = ("a", "b")
        number: int

        def left(self) -> int:
            return self.LIMIT - self.number

    assert Order.LIMIT == 5
    assert Order.NAMES == ("a", "b")
    db.subscribeToSchema(schema)
    with db.transaction():
        assert Order(number=2).left() == 3


def test_methods_properties_static_and_class_methods_work(db: DatabaseConnection) -> None:
    schema = Schema("members")

    @schema.define
    class Order:
        number: int

        def plus(self, n: int) -> int:
            return self.number + n

        @property
        def twice(self) -> int:
            return 2 * self.number

        @twice.setter
        def twice(self, value: int) -> None:
            self.number = value // 2

        @property
        def fixed(self) -> int:
            return 1

        @staticmethod
        def half(n: int) -> int:
            return n // 2

        @classmethod
        def numbered(cls, number: int) -> Any:
            assert cls is Order
            return cls(number=number)

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order.numbered(4)
        assert (order.plus(1), order.twice, order.half(9), Order.half(9)) == (5, 8, 4, 4)
        assert Order.plus(order, 2) == 6
        order.twice = 20
        assert order.number == 10
        with pytest.raises(AttributeError):
            order.fixed = 2


def test_a_lambda_and_a_function_from_elsewhere_are_methods(db: DatabaseConnection) -> None:
    schema = Schema("functions")

    def shown(self: Any) -> str:
        return f"<{self.number}>"

    @schema.define
    class Order:
        number: int
        show = shown
        shorter = lambda self: self.number - 1

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(number=3)
        assert (order.show(), order.shorter()) == ("<3>", 2)


def test_the_type_keeps_name_module_and_documentation_of_its_class() -> None:
    schema = Schema("names")

    @schema.define
    class Order:
        """What was ordered."""

    assert Order.__name__ == "Order"
    assert Order.__qualname__.endswith("<locals>.Order")
    assert (Order.__module__, Order.__doc__) == (__name__, "What was ordered.")
    assert Order.__schema__ is schema
    assert Order.__is_database_object_type__


def test_messages_name_a_type_by_its_own_name_and_not_by_freed_memory() -> None:
    schemas = [Schema(f"named_{i}") for i in range(50)]
    for schema in schemas:
        schema.define(type("Thing", (), {}))
    for schema in schemas:
        with pytest.raises(TypeError, match=rf"attribute n of {schema.name}\.Thing objects is not settable"):
            schema.Thing.fromIdentity(1).n = 5


def test_lazy_by_default_is_a_mark_of_the_type() -> None:
    schema = Schema("lazy")

    @schema.define
    @SubscribeLazilyByDefault
    class Page:
        text: str

    @schema.define
    class Chapter:
        text: str

    assert Page.isLazyByDefault()
    assert not Chapter.isLazyByDefault()
    Chapter.markLazyByDefault()
    assert Chapter.isLazyByDefault()


# ---- special methods


def test_init_runs_on_the_new_object_with_any_arguments(db: DatabaseConnection) -> None:
    schema = Schema("init")

    @schema.define
    class Order:
        number: Indexed[int]
        state: str = "new"
        seen: bool

        def __init__(self, number: int, *, state: str | None = None):
            assert self.exists()
            self.number = number
            if state is not None:
                self.state = state

    db.subscribeToSchema(schema)
    with db.transaction():
        plain, paid = Order(1), Order(number=2, state="paid")
    with db.view():
        assert [(o.number, o.state, o.seen) for o in (plain, paid)] == [(1, "new", False), (2, "paid", False)]
        assert Order.lookupAll(number=1) == (plain,)


def test_what_init_leaves_out_is_in_the_indexes_with_its_default(db: DatabaseConnection) -> None:
    schema = Schema("init_index")

    @schema.define
    class Order:
        number: Indexed[int]

        def __init__(self) -> None:
            pass

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        assert Order.lookupAll(number=0) == (order,)


def test_an_object_whose_init_fails_never_was(db: DatabaseConnection) -> None:
    schema = Schema("init_fails")
    made = []

    @schema.define
    class Order:
        number: Indexed[int]

        def __init__(self, number: int):
            made.append(self)
            self.number = number
            if number < 0:
                raise ValueError("negative")

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(ValueError, match="negative"):
            Order(-1)
        assert not made[0].exists()
        good = Order(1)
        assert Order.lookupAll() == (good,)
    with db.view():
        assert Order.lookupAll() == (good,)
        assert Order.lookupAll(number=-1) == ()


def test_del_is_called_by_delete_and_not_when_a_handle_goes(db: DatabaseConnection) -> None:
    schema = Schema("del")
    deleted = []

    @schema.define
    class Order:
        number: int

        def __del__(self) -> None:
            deleted.append(self.number)

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(number=5)
        Order(number=6)  # the handle goes at once
    assert deleted == []
    with db.transaction():
        order.delete()
        assert deleted == [5]
        assert not order.exists()


def test_what_del_raises_keeps_the_object(db: DatabaseConnection) -> None:
    schema = Schema("del_raises")

    @schema.define
    class Order:
        def __del__(self) -> None:
            raise ValueError("not yet")

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        with pytest.raises(ValueError, match="not yet"):
            order.delete()
        assert order.exists()


def test_del_may_delete_what_belongs_to_the_object(db: DatabaseConnection) -> None:
    schema = Schema("del_cascade")

    @schema.define
    class Line:
        order: Indexed[schema.Order]

    @schema.define
    class Order:
        def __del__(self) -> None:
            for line in Line.lookupAll(order=self):
                line.delete()

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        Line(order=order), Line(order=order)
    with db.transaction():
        order.delete()
    with db.view():
        assert Line.lookupAll() == Order.lookupAll() == ()


def test_str_and_repr_of_a_class_are_used(db: DatabaseConnection) -> None:
    schema = Schema("shown")

    @schema.define
    class Both:
        number: int

        def __str__(self) -> str:
            return f"number {self.number}"

        def __repr__(self) -> str:
            return f"Both({self.number})"

    @schema.define
    class Neither:
        number: int

    db.subscribeToSchema(schema)
    with db.transaction():
        both, neither = Both(number=1), Neither(number=2)
        assert (str(both), repr(both)) == ("number 1", "Both(1)")
        assert str(neither) == repr(neither) == f"shown.Neither(id={neither._identity})"


# ---- references, forward references


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


# ---- inheritance


def test_inheritance_is_followed_through_every_level_and_across_schemas(db: DatabaseConnection) -> None:
    base, derived = Schema("base"), Schema("derived")

    class Stamped:  # an ordinary class
        stamp: int = 7
        UNIT = "s"

        def stamped(self) -> str:
            return f"{self.stamp} {self.UNIT}"

    @base.define
    class Animal(Stamped):
        name: Indexed[str]

        def says(self) -> str:
            return f"{self.name} says"

        @classmethod
        def kind(cls) -> str:
            return cls.__name__

    @base.define
    class Dog(Animal):
        tricks: int = 1

        def says(self) -> str:
            return super().says() + " wuff"

    @derived.define
    class Puppy(Dog):
        tricks = float

        def says(self) -> str:
            return super().says() + " softly"

    db.subscribeToSchema(base, derived)
    with db.transaction():
        puppy = Puppy(name="Rex", tricks=0.5)
        assert puppy.says() == "Rex says wuff softly"
        assert puppy.stamped() == "7 s"
        assert (puppy.stamp, puppy.tricks, Puppy.kind()) == (7, 0.5, "Puppy")
        assert Puppy.lookupOne(name="Rex") == puppy
        assert isinstance(puppy, (Animal, Stamped))
        assert issubclass(Puppy, Dog)


def test_lookups_find_objects_of_exactly_their_type(db: DatabaseConnection) -> None:
    schema = Schema("exactly")

    @schema.define
    class Animal:
        name: Indexed[str]

    @schema.define
    class Dog(Animal):
        pass

    db.subscribeToSchema(schema)
    with db.transaction():
        animal, dog = Animal(name="Rex"), Dog(name="Rex")
        assert Animal.lookupAll(name="Rex") == Animal.lookupAll() == (animal,)
        assert Dog.lookupAll(name="Rex") == Dog.lookupAll() == (dog,)


def test_inheritance_in_class_statements(db: DatabaseConnection) -> None:
    schema = Schema("statements")

    class Animal(Object, schema=schema):
        name: str

        def __init__(self, name: str):
            self.name = name

    class Dog(Animal, schema=schema):
        age: int = 3

        def __init__(self, name: str):
            super().__init__(name.title())

    db.subscribeToSchema(schema)
    with db.transaction():
        dog = Dog("rex")
        assert (dog.name, dog.age) == ("Rex", 3)


def test_super_works_in_properties_and_class_methods(db: DatabaseConnection) -> None:
    schema = Schema("supers")

    @schema.define
    class Base:
        n: int

        @property
        def shown(self) -> str:
            return f"n={self.n}"

        @classmethod
        def made(cls, n: int) -> Any:
            return cls(n=n)

    @schema.define
    class Derived(Base):
        @property
        def shown(self) -> str:
            return f"<{super().shown}>"

        @classmethod
        def made(cls, n: int) -> Any:
            return super().made(n + 1)

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Derived.made(1).shown == "<n=2>"


def test_a_subclass_can_turn_a_field_into_another_and_into_a_method(db: DatabaseConnection) -> None:
    schema = Schema("turned")

    @schema.define
    class Base:
        a: Indexed[int]
        b: int

    @schema.define
    class Derived(Base):
        a: str = "text"

        def b(self) -> str:
            return "method"

    db.subscribeToSchema(schema)
    with db.transaction():
        made = Derived()
        assert (made.a, made.b()) == ("text", "method")
        with pytest.raises(TypeError, match="no index named"):
            Derived.lookupAll(a="text")


def test_a_method_that_replaces_an_indexed_field_ends_its_index(db: DatabaseConnection) -> None:
    schema = Schema("no_index_left")

    @schema.define
    class Base:
        a: Indexed[int]

    @schema.define
    class Derived(Base):
        def a(self) -> int:
            return 1

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Derived().a() == 1


def test_constants_and_abstract_bases_among_mixins_are_left_alone(db: DatabaseConnection) -> None:
    schema = Schema("mixins")

    class Mixin:
        CONSTANT = [1, 2]
        counted: int = 1
        helper: dict[str, int] = {}

    @schema.define
    class Thing(Mixin, Object):
        name: str

    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(name="x")
        assert (thing.CONSTANT, thing.counted, thing.helper) == ([1, 2], 1, {})


def test_abstract_and_generic_bases_can_be_mixed_in(db: DatabaseConnection) -> None:
    schema = Schema("abstract")

    class Named(ABC):
        name: str

        @abstractmethod
        def shown(self) -> str: ...

    @schema.define
    class Thing(Named, Generic[T]):
        def shown(self) -> str:
            return f"<{self.name}>"

    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(name="x")
        assert thing.shown() == "<x>"
        assert isinstance(thing, Named)


# ---- the schema itself


def test_after_freezing_nothing_is_added(db: DatabaseConnection) -> None:
    schema = Schema("frozen")

    @schema.define
    class Thing:
        pass

    db.addSchema(schema)
    schema.freeze()  # again
    with pytest.raises(SchemaError, match=r"frozen\.Late comes too late"):
        schema.define(type("Late", (), {}))
    with pytest.raises(AttributeError, match="has no type 'Late'"):
        schema.Late
    with pytest.raises(SchemaError, match=r"frozen\.helper cannot be set"):
        schema.helper = int
    assert schema.Thing is Thing


def test_supporting_types_are_names_on_the_schema() -> None:
    schema = Schema("supporting")
    schema.Money = float
    assert schema.Money is float
    with pytest.raises(SchemaError, match="a type of a schema cannot be named 'Money'"):
        schema.define(type("Money", (), {}))
    with pytest.raises(SchemaError, match="5 is no type"):
        schema.Five = 5


def test_a_private_name_that_is_missing_is_an_attribute_error() -> None:
    schema = Schema("private")
    assert not hasattr(schema, "_nothing")
    assert (schema.name, repr(schema)) == ("private", "Schema(private)")


def test_schemas_are_equal_to_themselves_only() -> None:
    assert Schema("a") != Schema("a")


def test_an_object_of_a_plain_subclass_cannot_be_made(db: DatabaseConnection) -> None:
    schema = Schema("plain")

    @schema.define
    class Thing:
        n: int

    class Special(Thing):
        pass

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(SchemaError, match="decorate it with @schema.define"):
            Special(n=1)
        with pytest.raises(SchemaError):
            Special.fromIdentity(1)
        with pytest.raises(SchemaError):
            Special.lookupAll()
        with pytest.raises(SchemaError):
            Object()


def test_super_finds_a_field_of_the_base_as_the_object_has_it(db: DatabaseConnection) -> None:
    schema = Schema("super_fields")

    @schema.define
    class Base:
        n: int = 1

    @schema.define
    class Derived(Base):
        n: int = 2

        def through_super(self) -> int:
            return super().n

    @schema.define
    class Other:
        m: int

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Derived().through_super() == 2
        with pytest.raises(TypeError, match="field 'n' does not belong to"):
            Base.n.__get__(Other(), None)
