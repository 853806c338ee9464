"""Programs with different definitions of one type work on one server (D18)."""

from collections.abc import Callable

import pytest

from object_database import DatabaseConnection, Index, Indexed, OneOf, Schema
from object_database.errors import SchemaMismatchError

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]


def program(db: DatabaseConnection, annotations: dict[str, object], **members: object) -> type:
    """The type evolved.Order as one program defines it, subscribed to on its connection."""
    schema = Schema("evolved")
    order = schema.define(type("Order", (), {"__annotations__": annotations, **members}))
    db.subscribeToSchema(schema)
    return order


def test_a_field_that_is_added_later_reads_as_its_default_in_older_objects(connect_db: Connect) -> None:
    old_db, new_db = connect_db(), connect_db()
    old = program(old_db, {"number": int})
    with old_db.transaction():
        made = old(number=1)
    new = program(new_db, {"number": int, "state": str, "note": OneOf(None, str), "total": float}, state="new")
    with new_db.view():
        order = new.fromIdentity(made._identity)
        assert (order.number, order.state, order.note, order.total) == (1, "new", None, 0.0)
        assert order.snapshot() == (1, "new", None, 0.0)
    with new_db.transaction():
        order.state = "paid"
    old_db.flush()
    with old_db.transaction():
        made.number = 2  # by a program that knows nothing of states
    new_db.flush()
    with new_db.view():
        assert (order.number, order.state) == (2, "paid")


def test_what_an_older_program_creates_has_the_defaults_of_the_fields_it_does_not_know(connect_db: Connect) -> None:
    new_db, old_db = connect_db(), connect_db()
    new = program(new_db, {"number": int, "state": Indexed[str]}, state="new")
    old = program(old_db, {"number": int})
    with old_db.transaction():
        made = old(number=1)
    new_db.flush()
    with new_db.view():
        assert [order._identity for order in new.lookupAll(state="new")] == [made._identity]


def test_the_first_definition_of_a_field_fixes_what_is_not_stored(connect_db: Connect) -> None:
    first_db, second_db, third_db = connect_db(), connect_db(), connect_db()
    bare = program(first_db, {})
    with first_db.transaction():
        made = bare()
    first = program(second_db, {"state": str}, state="first")
    second = program(third_db, {"state": str}, state="second")
    with second_db.view():
        assert first.fromIdentity(made._identity).state == "first"
    with third_db.view():
        assert second.fromIdentity(made._identity).state == "first"
    with third_db.transaction():
        assert second().state == "second"  # stored by who creates it


def test_a_subset_of_the_fields_is_enough(connect_db: Connect) -> None:
    whole_db, part_db = connect_db(), connect_db()
    whole = program(whole_db, {"a": Indexed[int], "b": int, "c": str}, by_a_b=Index("a", "b"))
    part = program(part_db, {"c": str})
    with part_db.transaction():
        made = part(c="x")
    whole_db.flush()
    with whole_db.view():
        found = whole.lookupOne(by_a_b=(0, 0))
        assert (found._identity, found.a, found.c) == (made._identity, 0, "x")


@pytest.mark.parametrize(
    ("annotations", "members"),
    [({"a": str}, {}), ({"a": OneOf(None, str)}, {}), ({"a": int, "b": int}, {"by": Index("b")})],
)
def test_what_does_not_fit_the_catalogue_is_refused_whole(
    connect_db: Connect, annotations: dict[str, object], members: dict[str, object]
) -> None:
    first_db, second_db, third_db = connect_db(), connect_db(), connect_db()
    first = program(first_db, {"a": int, "b": int}, by=Index("a"))
    with first_db.transaction():
        first()
    with pytest.raises(SchemaMismatchError, match=r"evolved\.Order\.(a|by) is .* on this server"):
        program(second_db, {**annotations, "later": int}, **members)
    program(third_db, {"later": str})  # nothing of the refused one was taken


def test_a_field_becomes_wider_and_older_programs_go_on(connect_db: Connect) -> None:
    old_db, new_db, later_db = connect_db(), connect_db(), connect_db()
    old = program(old_db, {"number": Indexed[int]})
    with old_db.transaction():
        made = old(number=1)
    new = program(new_db, {"number": Indexed[OneOf(None, int)]})
    with new_db.transaction():
        new()
    later = program(later_db, {"number": Indexed[int]})  # with the older definition, after the wider one
    with later_db.transaction():
        later(number=1)
    for db, order in ((old_db, old), (new_db, new), (later_db, later)):
        db.flush()
        with db.view():
            assert len(order.lookupAll()) == 3
            assert order.lookupAny(number=1)._identity == made._identity
            assert len(order.lookupAll(number=1)) == 2
    with new_db.view():
        assert len(new.lookupAll(number=None)) == 1


def test_an_index_is_added_to_a_type_that_has_objects(connect_db: Connect) -> None:
    old_db, new_db = connect_db(), connect_db()
    old = program(old_db, {"number": int})
    with old_db.transaction():
        for number in range(2000):
            old(number=number % 7)
    new = program(new_db, {"number": Indexed[int], "state": str}, by=Index("state", "number"), state="new")
    with new_db.view():
        assert len(new.lookupAll(number=3)) == len(new.lookupAll(by=("new", 3))) == 286
    with old_db.transaction():
        old(number=3)
    new_db.flush()
    with new_db.view():
        assert len(new.lookupAll(by=("new", 3))) == 287
    both_db = connect_db()
    program(both_db, {"number": int})
    both = program(both_db, {"number": Indexed[int]})  # one connection, which has the objects already
    with both_db.view():
        assert len(both.lookupAll(number=3)) == 287
