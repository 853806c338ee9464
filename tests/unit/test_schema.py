"""How class bodies become database types. Annotations are real objects here; test_schema_annotations.py has them as strings."""

from collections.abc import Callable
from typing import Any, ClassVar, Optional

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
