"""What a schema says of itself (BEHAVIOUR 1.1 of the reference), and index values as bytes."""

import pytest

from object_database import DatabaseConnection, Index, Indexed, Object, OneOf, Schema, Unique
from object_database.errors import SchemaError, ValueRangeError, ValueTypeError
from object_database.schema import (
    DatabaseObjectBase,
    FieldDefinition,
    IndexId,
    ObjectFieldId,
    TypeDefinition,
    indexValueFor,
)

schema = Schema("core.told")


@schema.define
class Order:
    number: Indexed[int]
    state: str = "new"
    customer = OneOf(None, schema.Customer)
    previous = schema.Order
    nothing: None
    maybe: Unique[float | None]
    by_state_number = Index("state", "number")
    by_state = Index("state")


@schema.define
class Customer:
    name: str


def test_a_definition_lists_names_sorted_with_the_hidden_one() -> None:
    order = TypeDefinition(
        fields=(" exists", "customer", "maybe", "nothing", "number", "previous", "state"),
        indices=(" exists", "by_state", "by_state_number", "maybe", "number"),
    )
    assert schema.toDefinition() == {
        "Customer": TypeDefinition((" exists", "name"), (" exists",)),
        "Order": order,
    }
    assert list(schema.toDefinition()) == ["Customer", "Order"]
    assert schema.typeToDef(Order) == order


def test_types_are_found_by_name_and_none_is_made_by_asking() -> None:
    assert (schema.getType("Order"), schema.getType("Nothing")) == (Order, None)
    assert "Nothing" not in schema.toDefinition()
    assert schema.lookupFullyQualifiedTypeByName("core.told.Order") is Order
    for name in ("core.told.Nothing", "told.Order", "Order", "core.told", "", "core.told.x.Order"):
        assert schema.lookupFullyQualifiedTypeByName(name) is None


def test_a_type_that_is_not_defined_yet_has_hidden_names_only() -> None:
    early = Schema("early")
    thing = early.Thing
    assert early.typeToDef(thing) == ((" exists",), (" exists",))
    assert early.getType("Thing") is thing
    assert early.fieldType("Thing", "n") is early.indexType("Thing", "n") is None


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("number", int),
        ("state", str),
        ("customer", OneOf(None, Customer)),
        ("previous", Order),
        ("nothing", type(None)),
        ("maybe", OneOf(None, float)),
        (" exists", bool),
        ("by_state", None),
        ("colour", None),
    ],
)
def test_the_type_of_a_field(field: str, expected: object) -> None:
    assert schema.fieldType("Order", field) == expected
    assert schema.fieldType("Nothing", field) is None


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("number", int),
        ("by_state", str),
        ("by_state_number", tuple[str, int]),
        ("maybe", OneOf(None, float)),
        (" exists", bool),
        ("state", None),
        ("colour", None),
    ],
)
def test_the_type_of_an_index(index: str, expected: object) -> None:
    assert schema.indexType("Order", index) == expected
    assert schema.indexType("Nothing", index) is None


def test_an_index_gives_the_values_of_an_object(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        assert Index("state", "number")(Order(number=5)) == ("new", 5)


def test_keys_are_tuples_with_names() -> None:
    assert ObjectFieldId(objId=1, fieldId=2, isIndexValue=True) == (1, 2, True)
    assert IndexId(fieldId=3, indexValue=b"x") == (3, b"x")
    assert FieldDefinition("s", "T", "f")._fields == ("schema", "typename", "fieldname")
    assert issubclass(Order, DatabaseObjectBase)
    assert DatabaseObjectBase is Object


# ---- index values


def test_index_values_are_in_the_order_of_the_values() -> None:
    for kind, values in (
        (int, [-(2**63), -256, -1, 0, 1, 255, 256, 2**63 - 1]),
        (float, [float("-inf"), -1.5, 0.0, 1e-300, 1, float("inf")]),
        (str, ["", "\0", "\0a", "a", "ab", "b", "ü"]),
        (bytes, [b"", b"\0", b"\0\xff", b"a"]),
        (bool, [False, True]),
        (OneOf(None, int), [None, -1, 0, 5]),
        (tuple[int, str], [(0, "b"), (1, ""), (1, "a"), (2, "")]),
    ):
        encoded = [indexValueFor(kind, value) for value in values]
        assert encoded == sorted(set(encoded)), kind


def test_an_index_value_is_the_same_in_every_type_that_can_hold_it() -> None:
    assert indexValueFor(int, 5) == indexValueFor(OneOf(str, int), 5) == indexValueFor(int | None, 5)
    assert indexValueFor(float, -0.0) == indexValueFor(float, 0)
    assert indexValueFor(schema.indexType("Order", "by_state_number"), ["x", 1], serializationContext=None) == (
        indexValueFor(str, "x") + indexValueFor(int, 1)
    )


def test_references_are_numbered_by_the_connection_of_the_view(db: DatabaseConnection) -> None:
    with pytest.raises(SchemaError, match="outside of a view"):
        indexValueFor(Customer, Customer.fromIdentity(5))
    db.subscribeToSchema(schema)
    with db.view():
        five, six = (indexValueFor(Customer, Customer.fromIdentity(n)) for n in (5, 6))
        assert five < six
        assert five == indexValueFor(OneOf(None, Customer), Customer.fromIdentity(5))


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        (int, "5", ValueTypeError),
        (int, 2**63, ValueRangeError),
        (list, [], SchemaError),
        (tuple[int, str], 5, ValueTypeError),
        (tuple[int, str], (5,), ValueTypeError),
        (tuple[int, list], (5, []), SchemaError),
    ],
)
def test_what_cannot_be_an_index_value_is_refused(kind: object, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        indexValueFor(kind, value)
