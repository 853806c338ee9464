"""What a connection covers (D20): by type, by index key, by object, by its own creations, or nothing."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

import pytest

from object_database import (
    DatabaseConnection,
    DisconnectedException,
    Index,
    Indexed,
    NotSubscribedError,
    ObjectDoesntExistException,
    RevisionConflictException,
    Schema,
    core_schema,
)
from object_database.errors import LookupTypeError, SchemaError, SchemaNotAddedError, ValueTypeError
from object_database.server import Server

schema = Schema("subscriptions")


@schema.define
class Job:
    queue: Indexed[str]
    state: Indexed[str] = "new"
    size: int = 0
    by_queue_state = Index("queue", "state")
    owner: Indexed[str | None]


@schema.define
class Note:
    text: str


Connect = Callable[[], DatabaseConnection]


@pytest.fixture
def writer(connect_db: Connect) -> DatabaseConnection:
    db = connect_db()
    db.subscribeToSchema(schema)
    return db


@pytest.fixture
def reader(connect_db: Connect) -> DatabaseConnection:
    return connect_db()


def create(db: DatabaseConnection, *queues: str) -> list[Job]:
    with db.transaction():
        return [Job(queue=queue) for queue in queues]


@pytest.mark.sanitizer
def test_an_index_value_loads_the_objects_that_have_it(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    red, blue, also_red = create(writer, "red", "blue", "red")
    reader.subscribeToIndex(Job, queue="red")
    with reader.transaction():
        assert Job.lookupAll(queue="red") == (red, also_red)
        with pytest.raises(NotSubscribedError):
            Job.lookupAll(queue="blue")
        with pytest.raises(NotSubscribedError):
            Job.lookupAll(state="new")
        with pytest.raises(NotSubscribedError):
            Job.lookupAll()
        with pytest.raises(NotSubscribedError):
            blue.exists()
    with reader.view():
        assert Job.lookupAll() == (red, also_red)  # what is here
        assert not blue.exists()
        with pytest.raises(NotSubscribedError):
            blue.size
    assert reader.isSubscribedToIndex(Job, queue="red")
    assert not reader.isSubscribedToIndex(Job, queue="blue")
    assert not reader.isSubscribedToType(Job)


def test_none_is_an_index_value_like_others(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    with writer.transaction():
        Job(owner="ada")
        free = Job()
    reader.subscribeToIndex(Job, owner=None)
    assert reader.isSubscribedToIndex(Job, owner=None)
    assert not reader.isSubscribedToIndex(Job, owner="ada")
    with reader.view() as v:
        assert v.all(Job, owner=None) == (free,)


def test_an_identity_asked_for_as_another_type_is_an_object_that_does_not_exist(
    writer: DatabaseConnection, reader: DatabaseConnection
) -> None:
    (job,) = create(writer, "red")
    note = Note.fromIdentity(job._identity)
    reader.subscribeToObject(note)
    with writer.transaction():
        job.size = 3
    with writer.transaction():
        job.delete()
        new_job = Job(queue="blue")
        with pytest.raises(ObjectDoesntExistException):
            Note.fromIdentity(new_job._identity).text = "of something else"
    reader.flush()
    with reader.view():
        assert not note.exists()


@pytest.mark.sanitizer
def test_an_object_that_gets_the_value_arrives_with_every_field_and_index(
    writer: DatabaseConnection, reader: DatabaseConnection
) -> None:
    reader.subscribeToIndex(Job, queue="red")
    (job,) = create(writer, "blue")
    with writer.transaction():
        job.size = 7
    reader.flush()
    with reader.view():
        assert not job.exists()
    with writer.transaction():
        job.queue = "red"
    reader.flush()
    with reader.view():
        assert (job.size, job.state) == (7, "new")
        assert Job.lookupAll(queue="red") == Job.lookupAll(state="new") == Job.lookupAll() == (job,)
        assert Job.lookupAll(by_queue_state=("red", "new")) == (job,)
    with writer.transaction():
        job.queue = "blue"
    with writer.transaction():
        job.size = 8
    reader.flush()
    with reader.view():  # it stays, and is kept up to date
        assert Job.lookupAll(queue="red") == ()
        assert (job.queue, job.size) == ("blue", 8)
    with reader.transaction():
        job.size = 9
    with writer.transaction():
        job.delete()
    reader.flush()
    with reader.transaction():
        assert not job.exists()


def test_a_composite_index_is_subscribed_to_by_a_tuple(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    red, _blue = create(writer, "red", "blue")
    reader.subscribeToIndex(Job, by_queue_state=("red", "new"))
    with reader.transaction():
        assert Job.lookupAll(by_queue_state=("red", "new")) == (red,)
    assert reader.isSubscribedToIndex(Job, by_queue_state=("red", "new"))
    with pytest.raises(ValueTypeError):
        reader.subscribeToIndex(Job, by_queue_state="red")


def test_several_values_are_several_subscriptions(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    red, blue = create(writer, "red", "blue")
    with writer.transaction():
        red.state = "done"
    events = reader.subscribeToIndex(Job, queue="blue", state="done", block=False)
    assert len(events) == 2
    assert all(event.wait(10) for event in events)
    with reader.view():
        assert Job.lookupAll() == (red, blue)


def test_objects_are_subscribed_to_one_by_one(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    first, second, third = create(writer, "a", "b", "c")
    with writer.transaction():
        note = Note(text="hi")
        second.delete()
    never = Job.fromIdentity(third._identity + 1)
    reader.subscribeToObjects([first, note, second, never])
    with reader.transaction():
        assert (first.queue, note.text) == ("a", "hi")
        assert not second.exists()
        assert not never.exists()
        with pytest.raises(ObjectDoesntExistException):
            second.size
        with pytest.raises(NotSubscribedError):
            third.exists()
    reader.subscribeToObject(third)
    with writer.transaction():
        third.size = 3
    reader.flush()
    with reader.view():
        assert third.size == 3


def test_many_objects_at_once(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    jobs = create(writer, *["q"] * 10_000)
    reader.subscribeToObjects(jobs)
    with reader.view():
        assert len(Job.lookupAll(queue="q")) == 10_000
    with writer.transaction():
        for job in jobs:
            job.size = 1
    reader.flush()
    with reader.view():
        assert all(job.size == 1 for job in jobs)


def test_a_view_opened_before_a_subscription_does_not_change(
    writer: DatabaseConnection, reader: DatabaseConnection
) -> None:
    (job,) = create(writer, "red")
    reader.addSchema(schema)
    with reader.view():
        reader.subscribeToIndex(Job, queue="red")
        assert not job.exists()
        assert Job.lookupAll(queue="red") == ()
    with reader.transaction():
        assert Job.lookupAll(queue="red") == (job,)
        reader.subscribeToType(Job)
        with pytest.raises(NotSubscribedError, match="opened after"):
            Job.lookupAll()


def test_a_subscription_to_the_type_takes_in_what_was_covered_in_part(
    writer: DatabaseConnection, reader: DatabaseConnection
) -> None:
    red, blue = create(writer, "red", "blue")
    reader.subscribeToIndex(Job, queue="red")
    reader.subscribeToObject(blue)
    reader.subscribeToType(Job)
    reader.subscribeToIndex(Job, queue="red")
    with writer.transaction():
        red.queue = "blue"
        Job(queue="red", size=1)
    reader.flush()
    with reader.transaction():
        assert [job.queue for job in Job.lookupAll()] == ["blue", "blue", "red"]
        assert len(Job.lookupAll(queue="blue")) == 2


def test_subscribe_takes_schemas_types_and_index_values(writer: DatabaseConnection, connect_db: Connect) -> None:
    red, blue = create(writer, "red", "blue")
    db = connect_db()
    db.subscribe(schema)
    assert db.isSubscribedToSchema(schema)
    db = connect_db()
    db.subscribe(Job, Note, timeout=10)
    assert db.isSubscribedToType(Note)
    db = connect_db()
    db.subscribe(Job, queue="red")
    with db.view():
        assert Job.lookupAll() == (red,)
    with pytest.raises(SchemaError):
        db.subscribe(Job, Note, queue="red")
    db = connect_db()
    with pytest.raises(SchemaNotAddedError):
        db.subscribeMultiple([("subscriptions", "Job", None, False)])
    db.addSchema(schema)
    db.subscribeMultiple([("subscriptions", "Job", ("queue", "blue"), False), ("subscriptions", "Note", None, False)])
    assert db.isSubscribedToType(Note)
    with db.view():
        assert Job.lookupAll() == (blue,)


def test_what_is_no_index_is_refused_and_named(reader: DatabaseConnection) -> None:
    with pytest.raises(LookupTypeError, match="no index named 'size'"):
        reader.subscribeToIndex(Job, size=1)
    with pytest.raises(LookupTypeError, match="needs an index"):
        reader.subscribeToIndex(Job)
    with pytest.raises(ValueTypeError):
        reader.subscribeToIndex(Job, queue=5)


def test_a_conflict_in_a_covered_key_is_found(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    reader.subscribeToIndex(Job, queue="red")
    with pytest.raises(RevisionConflictException):
        with reader.transaction():
            assert Job.lookupAll(queue="red") == ()
            Job(queue="red")
            contextvars.Context().run(create, writer, "red")


# ---- core.Connection


@pytest.mark.sanitizer
def test_every_connection_has_an_object_that_goes_with_it(server: Server, connect_db: Connect) -> None:
    watcher, worker = connect_db(), connect_db()
    watcher.subscribeToSchema(core_schema)
    mine = worker.connectionObject
    with watcher.view():
        assert mine.exists()
        assert watcher.connectionObject.exists()
        assert mine.heartbeats_suspended is False
        assert len(core_schema.Connection.lookupAll()) == 2
    worker.disconnect()
    assert worker.connectionObject is None
    assert watcher.waitForCondition(lambda: not mine.exists(), 10)
    late = connect_db()
    watcher.flush()
    with watcher.view():
        assert core_schema.Connection.lookupAll() == (watcher.connectionObject, late.connectionObject)


def test_a_reference_to_a_connection_tells_whether_it_lives(connect_db: Connect) -> None:
    jobs = Schema("workers")

    @jobs.define
    class Worker:
        connection: core_schema.Connection

    watcher, worker = connect_db(), connect_db()
    worker.addSchema(jobs)
    with worker.transaction():
        Worker(connection=worker.connectionObject)
    watcher.subscribeToSchema(core_schema, jobs)
    with watcher.view():
        assert Worker.lookupOne().connection.exists()
    worker.disconnect()
    assert watcher.waitForCondition(lambda: not Worker.lookupOne().connection.exists(), 10)


def test_a_handle_of_another_type_is_no_object(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    (job,) = create(writer, "red")
    reader.addSchema(schema)
    reader.subscribeToObject(Note.fromIdentity(job._identity))
    with writer.transaction():
        job.size = 1
    with writer.transaction():
        job.delete()
    reader.flush()
    with reader.transaction():
        assert not Note.fromIdentity(job._identity).exists()


def test_what_is_asked_for_as_lazy_is_here_at_once(writer: DatabaseConnection, reader: DatabaseConnection) -> None:
    red, blue = create(writer, "red", "blue")
    reader.subscribeToIndex(Job, queue="red", lazySubscription=True)
    reader.requestLazyObjects([red])
    reader.loadLazyObject(blue._identity, "subscriptions", "Job")
    with reader.transaction():
        assert (red.queue, blue.queue) == ("red", "blue")
    with pytest.raises(SchemaError):
        reader.requestLazyObjects([5])
    with pytest.raises(SchemaNotAddedError):
        reader.loadLazyObject(blue._identity, "subscriptions", "Nothing")
    reader.disconnect()
    with pytest.raises(DisconnectedException):
        reader.requestLazyObjects([red])
    with pytest.raises(DisconnectedException):
        reader.loadLazyObject(blue._identity, "subscriptions", "Job")
