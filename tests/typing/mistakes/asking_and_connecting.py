"""What both checkers find wrong in queries, transactions, handlers and connections. Never run."""

from __future__ import annotations

from collections.abc import Callable

from object_database import (
    DatabaseConnection,
    Indexed,
    InMemServer,
    Object,
    Schema,
    SqlitePersistence,
    TcpServer,
    View,
    connect,
    current_transaction,
)
from object_database.core_schema import Connection
from object_database.database_connection import TransactionResult
from object_database.schema import IndexId, ObjectFieldId
from object_database.types import FrozenDict, register_codec

zoo = Schema("zoo")


class Animal(Object, schema=zoo):
    name: Indexed[str]
    keeper: Connection | None = None
    food: FrozenDict[str, int] = FrozenDict()


class Cage(Object, schema=zoo):
    number: int


def ask(view: View) -> None:
    view.get("Animal")  # expect: error
    view.get(Animal(name="lion"))  # expect: error
    view.get()  # expect: error
    view.find(zoo)  # expect: error
    view.get(Animal, "lion")  # expect: error
    view.all(Animal)[0].nme  # expect: error
    view.find(Animal, name="lion").name  # expect: error
    view.first(Animal).name  # expect: error
    cage: Cage = view.get(Animal, name="lion")  # expect: error
    cages: list[Cage] = [*view.all(Animal)]  # expect: error
    count: str = view.count(Animal)  # expect: error
    view.commit(5)  # expect: error
    view.noconfirm()  # expect: error
    current_transaction().commit()  # expect: error
    print(cage, cages, count)


def look_up(animal: Animal) -> None:
    Animal.lookupAny(name="lion").delete()  # expect: error
    Animal.lookupOne(name="lion").number  # expect: error
    Animal.lookupOne("lion")  # expect: error
    Animal.lookupAll().append(animal)  # expect: error
    Animal.fromIdentity("5")  # expect: error
    animal.delete(True)  # expect: error
    animal.remove()  # expect: error
    animal.food["meat"] = 5  # expect: error
    animal.food["meat"].upper()  # expect: error
    animal.food = {"meat": 5}  # expect: error
    row = animal.snapshot()
    row.name = "tiger"  # expect: error
    ask(row)  # expect: error


def work(db: DatabaseConnection) -> None:
    db.subscribe("zoo")  # expect: error
    db.subscribe(zoo, timeout="5")  # expect: error
    db.subscribeToSchema(Animal)  # expect: error
    db.subscribeToType(zoo)  # expect: error
    db.addSchema(Animal)  # expect: error
    db.transaction("latest")  # expect: error
    db.transaction().withCommitTimeout(None)  # expect: error
    db.view().noconfirm()  # expect: error
    db.waitForCondition(True)  # expect: error
    db.connectionObject.exists()  # expect: error

    @db.transactional
    def rename(animal: Animal, name: str) -> int:
        animal.name = name
        return len(name)

    animal = Animal(name="lion")
    rename("lion", "tiger")  # expect: error
    rename(animal)  # expect: error
    rename(animal, "tiger").upper()  # expect: error

    @db.transactional(tries=5)  # expect: error
    def never() -> None: ...

    print(never)


def handler(writes: dict[ObjectFieldId, bytes], tid: int) -> None: ...


def hear(db: DatabaseConnection, on_index: Callable[[dict[IndexId, bytes]], None]) -> None:
    def confirmed(result: TransactionResult, more: int) -> None: ...

    db.registerOnTransactionHandler(handler)  # expect: error
    db.registerOnTransactionHandler(on_index)  # expect: error
    db.transaction().onConfirmed(confirmed)  # expect: error


def serve() -> None:
    connect("localhost", "8000", "t")  # expect: error
    connect("localhost", 8000)  # expect: error
    TcpServer("localhost", 0, token="t")  # expect: error
    InMemServer("objects.sqlite", auth_token="t")  # expect: error
    SqlitePersistence(5)  # expect: error
    zoo.define(5)  # expect: error
    Schema()  # expect: error
    register_codec(complex, len, complex)  # expect: error
    with InMemServer(auth_token="t") as server:
        server.listen(8000)  # expect: error
