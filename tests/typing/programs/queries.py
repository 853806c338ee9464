"""Views and transactions, and what their queries give: the type that they were asked for."""

from __future__ import annotations

from typing import TypeVar

from typing_extensions import assert_type

from object_database import (
    DatabaseConnection,
    Indexed,
    InMemServer,
    MaskView,
    Object,
    RevisionConflictException,
    Schema,
    Transaction,
    UniqueViolationError,
    View,
    current_transaction,
    revisionConflictRetry,
)
from object_database.schema import IndexId, ObjectFieldId
from object_database.view import ViewWatcher

farm = Schema("farm")

T = TypeVar("T", bound=Object)


class Animal(Object, schema=farm):
    name: Indexed[str]
    weight: float = 0.0

    def __del__(self) -> None:
        Grave(name=self.name)


class Grave(Object, schema=farm):
    name: str


@farm.define
class Cow(Animal):
    """The decorator is known to checkers too, on a class that derives from Object."""

    milk: float = 0.0


def names(view: View) -> list[str]:
    return [animal.name for animal in view.all(Animal)]


def only(view: View, t: type[T]) -> T:
    """Programs can be generic in the type as well."""
    return view.get(t)


def everything(t: type[T]) -> tuple[T, ...]:
    return t.lookupAll()


def feed(db: DatabaseConnection) -> None:
    @db.transactional
    def one(animal: Animal, amount: float = 1.0) -> float:
        animal.weight += amount
        return animal.weight

    @db.transactional(retries=5, timeout=10)
    def two(name: str) -> Animal:
        return Animal(name=name)

    @revisionConflictRetry
    def three(animal: Animal) -> bool:
        with db.transaction():
            return animal.exists()

    animal = two("pig")
    assert_type(animal, Animal)
    assert_type(one(animal, amount=2), float)
    assert_type(three(animal), bool)


def main() -> None:
    with InMemServer(auth_token="t") as server, server.connect("t") as db:
        assert_type(server, InMemServer)
        assert_type(db, DatabaseConnection)
        db.subscribeToSchema(farm)
        feed(db)

        with db.transaction() as transaction:
            assert_type(transaction, Transaction)
            assert_type(current_transaction(), View | None)
            cow = Cow(name="Clara", weight=500, milk=12)
            cow.weight += 1
            with MaskView(), db.view() as outside:
                assert_type(outside, View)
                assert outside.find(Cow) is None

        with db.view() as view:
            assert_type(view.get(Animal, name="pig"), Animal)
            assert_type(view.find(Animal, name="hen"), Animal | None)
            assert_type(view.all(Animal), tuple[Animal, ...])
            assert_type(view.first(Cow), Cow | None)
            assert_type(view.last(Cow), Cow | None)
            assert_type(view.count(Cow, name="Clara"), int)
            assert_type(view.covers(Cow), bool)
            assert_type(view.get(Cow).milk, float)
            assert_type(only(view, Cow), Cow)
            assert_type(view.transaction_id(), int)
            assert_type(view.db(), DatabaseConnection)
            assert names(view) == ["pig"]
            assert only(view, Cow).weight == 501.0
            assert [cow.milk for cow in everything(Cow)] == [12.0]
            assert view.find(Animal, name="hen") is None
            pig = view.get(Animal, name="pig")

        seen: list[tuple[View, bool]] = []
        with ViewWatcher(lambda left, had_exception: seen.append((left, had_exception))):
            with db.view() as view:
                assert pig.weight == 2.0
        assert_type(seen[0][0].getFieldReads(), list[ObjectFieldId])
        assert_type(seen[0][0].getIndexReads(), list[IndexId])
        assert seen[0][0].getFieldReads()[0].objId == pig._identity

        transaction = db.transaction().withCommitTimeout(5.0)
        with transaction.nocommit():
            pig.delete()
            assert_type(transaction.getFieldWrites(), dict[ObjectFieldId, bytes | None])
            transaction.commit()
        with db.view() as view:
            assert view.get(Grave).name == "pig"

        try:
            with db.transaction():
                Animal(name="goat")
        except UniqueViolationError as error:
            print(error.key, error.hint)
        except RevisionConflictException as error:
            assert_type(error.as_of, int)
            print(error.retryable, error.written_at)


if __name__ == "__main__":
    main()
