"""What is large passes or is refused with a sentence, and the connection goes on in either case."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from object_database import DatabaseConnection, Schema
from object_database.errors import TransactionTooLargeError

Connect = Callable[[], DatabaseConnection]

MIB = 1 << 20

schema = Schema("limits")


@schema.define
class Document:
    title: str
    text: str
    more: str
    scan: bytes


def subscribed(connect_db: Connect) -> DatabaseConnection:
    db = connect_db()
    db.subscribeToSchema(schema)
    return db


@pytest.mark.parametrize("size", [20_000_000, 64 * MIB])
def test_a_long_text_commits_and_arrives_at_subscribers_old_and_new(connect_db: Connect, size: int) -> None:
    writer, early = subscribed(connect_db), subscribed(connect_db)
    with writer.transaction():
        document = Document(title="short")
    with writer.transaction():
        document.text = "x" * size
    early.flush()
    late = subscribed(connect_db)
    for db in (writer, early, late):
        with db.view():
            assert (document.title, len(document.text)) == ("short", size)
    with writer.transaction():
        document.title = "still short"  # a merged row: what is large stays where it is
    for db in (early, late):
        db.flush()
        with db.view():
            assert (document.title, document.text == "x" * size) == ("still short", True)


def test_a_text_over_64_mib_is_refused_where_it_is_written(connect_db: Connect) -> None:
    db = subscribed(connect_db)
    with pytest.raises(TransactionTooLargeError, match=r"Document.text: .* a value may take 64 MiB"), db.transaction():
        Document(text="x" * (65 * MIB))
    with pytest.raises(TransactionTooLargeError, match="64 MiB"), db.transaction():
        Document(scan=b"x" * (64 * MIB + 100))
    with db.transaction():
        Document(text="x")


def test_large_values_of_one_object_are_refused_together_or_one_after_the_other(connect_db: Connect) -> None:
    db = subscribed(connect_db)
    with pytest.raises(TransactionTooLargeError, match="at most 65 MiB are allowed"), db.transaction():
        Document(text="x" * (40 * MIB), more="y" * (40 * MIB))
    with db.transaction():
        document = Document(text="x" * (40 * MIB))
    with pytest.raises(TransactionTooLargeError, match="would take more than 65 MiB"), db.transaction():
        document.more = "y" * (40 * MIB)
    with db.transaction():
        document.title = "goes on"
    with db.view():
        assert (document.title, document.more) == ("goes on", "")


def test_a_transaction_over_256_mib_is_refused_where_it_goes_too_far(connect_db: Connect) -> None:
    db = subscribed(connect_db)
    with pytest.raises(TransactionTooLargeError, match="at most 256 MiB and 2000000 objects"), db.transaction():
        for _ in range(5):
            Document(text="x" * (60 * MIB))
    with db.view():
        assert Document.lookupAll() == ()
