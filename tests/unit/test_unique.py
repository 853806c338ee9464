"""Unique fields and indexes (D15), as a program sees them. What concurrent transactions do is told in tests/scripts."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

import pytest

from object_database import (
    DatabaseConnection,
    Index,
    Indexed,
    Object,
    OneOf,
    Schema,
    SchemaMismatchError,
    Unique,
    UniqueViolationError,
    revisionConflictRetry,
)
from object_database.errors import ObjectDatabaseError, RevisionConflictException, SchemaError

pytestmark = pytest.mark.sanitizer

Connect = Callable[[], DatabaseConnection]

schema = Schema("unique")


@schema.define
class Seat:
    number: Unique[int]
    row: int
    column: int
    owner: Unique[Seat | None]
    place = Index("row", "column", unique=True)


@pytest.fixture
def hall(db: DatabaseConnection) -> DatabaseConnection:
    db.subscribeToSchema(schema)
    return db


def test_a_value_that_another_object_has_is_refused_with_everything_that_helps(hall: DatabaseConnection) -> None:
    with hall.transaction():
        first = Seat(number=1, row=1)
    with pytest.raises(UniqueViolationError) as caught, hall.transaction():
        second = Seat(number=1, row=2)
    error = caught.value
    assert str(error) == f"unique.Seat.number is unique: {second!r} cannot have the value 1, which {first!r} has"
    assert (error.obj, error.key) == (first, ("unique", "unique.Seat", "number", first))
    assert (error.retryable, isinstance(error, ObjectDatabaseError)) == (False, True)
    assert not isinstance(error, RevisionConflictException)
    assert error.hint is not None
    with hall.view():
        assert Seat.lookupAll() == (first,)
        assert not second.exists()


def test_a_composite_index_names_all_of_its_values(hall: DatabaseConnection) -> None:
    with hall.transaction():
        first = Seat(number=1, row=3, column=4)
    with pytest.raises(UniqueViolationError, match=r"unique\.Seat\.place .* the value \(3, 4\), which") as caught:
        with hall.transaction():
            Seat(number=2, row=3, column=4)
    assert (caught.value.key.member, caught.value.obj) == ("place", first)
    with hall.transaction():
        second = Seat(number=2, row=3, column=5)
    with pytest.raises(UniqueViolationError), hall.transaction():
        second.column = 4


def test_within_a_transaction_nothing_is_checked(hall: DatabaseConnection) -> None:
    with hall.transaction():
        one, two = Seat(number=1, row=1), Seat(number=1, row=2)
        assert Seat.lookupAll(number=1) == (one, two)
        two.number = 2
    with hall.view():
        assert Seat.lookupUnique(number=1) == one


def test_values_are_swapped_in_one_transaction(hall: DatabaseConnection) -> None:
    with hall.transaction():
        one, two = Seat(number=1, row=1), Seat(number=2, row=2)
    with hall.transaction():
        one.number, two.number = two.number, one.number
        one.row, two.row = two.row, one.row
    with hall.view():
        assert (one.number, two.number, Seat.lookupOne(place=(1, 0))) == (2, 1, two)


def test_none_is_had_by_many_and_an_object_by_one(hall: DatabaseConnection) -> None:
    with hall.transaction():
        one, two, three = (Seat(number=n, row=n) for n in range(3))
        two.owner = one
    with pytest.raises(UniqueViolationError, match=r"unique\.Seat\.owner"), hall.transaction():
        three.owner = one
    with hall.transaction():
        two.owner, three.owner = None, one


def test_a_violation_is_not_retried(hall: DatabaseConnection) -> None:
    with hall.transaction():
        Seat(number=1, row=1)
    tries = []

    @revisionConflictRetry
    def clash() -> None:
        tries.append(1)
        with hall.transaction():
            Seat(number=1, row=2)

    with pytest.raises(UniqueViolationError):
        clash()
    assert tries == [1]


def test_get_or_create_ends_with_one_object(connect_db: Connect) -> None:
    """Two programs that look the number up first: the second one has a conflict, and finds the seat at its next try."""
    connections = [connect_db(), connect_db()]
    for db in connections:
        db.subscribeToSchema(schema)
    looked_up = []

    @revisionConflictRetry
    def seat_one(db: DatabaseConnection) -> Seat:
        with db.transaction():
            found = Seat.lookupUnique(number=1)
            looked_up.append(found)
            if len(looked_up) == 1:
                return in_between(found)
            return found if found is not None else Seat(number=1)

    def in_between(found: Seat | None) -> Seat:
        contextvars.Context().run(seat_one, connections[1])
        return Seat(number=1)

    seat_one(connections[0])
    connections[1].flush()
    with connections[1].view():
        assert len(Seat.lookupAll(number=1)) == 1
    assert len(looked_up) == 3


def test_both_styles_and_inheritance_have_unique_indexes(db: DatabaseConnection) -> None:
    styles = Schema("unique_styles")

    class Named(Object, schema=styles):
        name: Unique[str]

    @styles.define
    class Older(Named):
        number = Unique(OneOf(None, int))

    @styles.define
    class Loose(Named):
        name: Indexed[str]

    db.subscribeToSchema(styles)
    with db.transaction():
        Named(name="a"), Older(name="a", number=1), Loose(name="a"), Loose(name="a")
    for again in (lambda: Older(name="b", number=1), lambda: Older(name="a"), lambda: Named(name="a")):
        with pytest.raises(UniqueViolationError), db.transaction():
            again()


def test_a_default_that_two_objects_have_clashes(db: DatabaseConnection) -> None:
    defaults = Schema("unique_defaults")

    @defaults.define
    class Thing:
        n: Unique[int] = 5

    db.subscribeToSchema(defaults)
    with db.transaction():
        Thing()
    with pytest.raises(UniqueViolationError, match="the value 5"), db.transaction():
        Thing()


def test_text_that_is_odd_is_told_all_the_same(db: DatabaseConnection) -> None:
    texts = Schema("unique_texts")

    @texts.define
    class Thing:
        text: Unique[str]

    db.subscribeToSchema(texts)
    for text in ("", "a\0b\n", "ü" * 1000, "'"):
        with pytest.raises(UniqueViolationError, match=r"cannot have the value '.*, which"), db.transaction():
            Thing(text=text), Thing(text=text)


def test_a_program_that_says_otherwise_is_refused(connect_db: Connect) -> None:
    connect_db().subscribeToSchema(schema)
    for number, message in ((Indexed[int], "unique on this server, and it is not"), (int, None)):
        other = Schema("unique")
        other.define(type("Seat", (), {"__annotations__": {"number": number}}))
        if message is None:
            connect_db().addSchema(other)  # it need not know of the index
        else:
            with pytest.raises(SchemaMismatchError, match=f"unique.Seat.number is {message} in this program"):
                connect_db().addSchema(other)


def test_a_field_of_a_type_with_objects_becomes_unique_when_its_values_are(connect_db: Connect) -> None:
    def defined(**members: object) -> tuple[Schema, type]:
        made = Schema("becomes_unique")
        return made, made.define(type("Thing", (), {"n": int, **members}))

    first, second, third = connect_db(), connect_db(), connect_db()
    plain, thing = defined()
    first.subscribeToSchema(plain)
    with first.transaction():
        one, two = thing(n=1), thing(n=1)
    indexed, unique_thing = defined(by_n=Index("n", unique=True))
    with pytest.raises(SchemaMismatchError, match=f"objects {one._identity} and {two._identity} have the same value"):
        second.addSchema(indexed)
    with first.transaction():
        two.n = 2
    second.subscribeToSchema(indexed)
    with second.view():
        assert unique_thing.lookupOne(by_n=2)._identity == two._identity
    with pytest.raises(UniqueViolationError, match="by_n"), first.transaction():
        two.n = 1  # by a program that does not know of the index
    third.subscribeToSchema(plain)
    with third.view():
        assert thing.fromIdentity(two._identity).n == 2


@pytest.mark.parametrize("wrong", [list, 5, [int]])
def test_unique_takes_the_type_of_a_field(wrong: object) -> None:
    with pytest.raises(SchemaError, match="Unique takes the type of a field"):
        Unique(wrong)


def test_an_index_says_what_it_is() -> None:
    assert repr(Index("a", "b")) == "Index('a', 'b')"
    assert repr(Index("a", unique=True)) == "Index('a', unique=True)"
