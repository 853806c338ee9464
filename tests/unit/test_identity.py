"""Producers of identities, for tools that number objects themselves."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from object_database.errors import ValueRangeError
from object_database.identity import IDENTITY_BLOCK_SIZE, IdentityProducer


def test_a_producer_counts_within_its_block() -> None:
    producer = IdentityProducer(7)
    assert [producer.createIdentity() - 7 * IDENTITY_BLOCK_SIZE for _ in range(3)] == [1, 2, 3]
    assert IDENTITY_BLOCK_SIZE == 100_000_000


def test_no_identity_is_an_unset_reference() -> None:
    assert IdentityProducer(0).createIdentity() == 1


def test_threads_are_never_given_the_same() -> None:
    producer = IdentityProducer(1)
    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(lambda _: producer.createIdentity(), range(1000)))
    assert len(set(given)) == 1000


def test_a_block_ends_before_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("object_database.identity.IDENTITY_BLOCK_SIZE", 3)
    producer = IdentityProducer(1)
    assert [producer.createIdentity(), producer.createIdentity()] == [4, 5]
    with pytest.raises(ValueRangeError, match="all identities below 6 are given"):
        producer.createIdentity()
