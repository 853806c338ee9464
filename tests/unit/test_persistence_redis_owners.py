"""Who owns a store in redis: leases, and servers that are lost, live, or taken over."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from object_database.errors import StoreInUseError
from object_database.persistence import RedisPersistence
from tests.redis_process import RedisProcess

ROOT = Path(__file__).resolve().parents[2]

OpenStore = Callable[..., RedisPersistence]


@pytest.fixture
def redis_process(start_redis: Callable[[], RedisProcess]) -> RedisProcess:
    return start_redis()


PROGRAM = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from object_database.persistence import RedisPersistence
store = RedisPersistence(url=sys.argv[1], lease_s=float(sys.argv[2]))
store.open(); print("open", flush=True); sys.stdin.read()
"""


def other_server(process: RedisProcess, lease_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, process.url, str(lease_s)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    return other


def test_the_store_is_free_at_once_when_its_server_was_killed_on_this_machine(redis_process: RedisProcess) -> None:
    other = other_server(redis_process, 3600)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    with RedisPersistence(url=redis_process.url) as store:
        assert store.open().epoch == 2


def test_the_lease_of_a_server_that_is_lost_elsewhere_runs_out(redis_process: RedisProcess) -> None:
    other = other_server(redis_process, 1)
    with redis_process.client() as client:
        other.kill()
        other.communicate()
        lease = client.get("odb:owner")
        assert lease
        client.set("odb:owner", lease.replace(b'"machine": "', b'"machine": "another one, '), px=500)
        with RedisPersistence(url=redis_process.url) as store:
            assert store.open().epoch == 2


def test_a_live_server_renews_its_lease_and_is_found(redis_process: RedisProcess) -> None:
    other = other_server(redis_process, 1.5)
    with pytest.raises(StoreInUseError, match="--take-over") as refusal:
        RedisPersistence(url=redis_process.url).open()
    assert refusal.value.pid == other.pid
    other.communicate("")
    assert other.returncode == 0
    with RedisPersistence(url=redis_process.url) as store:
        assert store.open().epoch == 2


def test_a_lease_that_nobody_can_outlive_is_a_live_one(redis_process: RedisProcess) -> None:
    with redis_process.client() as client:
        client.set("odb:owner", "by hand")
    with pytest.raises(StoreInUseError):
        RedisPersistence(url=redis_process.url).open()


def test_a_lease_that_ran_out_during_an_outage_is_written_again(
    redis_process: RedisProcess, open_store: OpenStore
) -> None:
    open_store(redis_process, lease_s=0.3)
    with redis_process.client() as client:
        client.delete("odb:owner")
        while not client.exists("odb:owner"):
            pass


def test_a_server_that_was_taken_over_renews_nothing(redis_process: RedisProcess, open_store: OpenStore) -> None:
    old = open_store(redis_process, lease_s=0.3)
    with RedisPersistence(url=redis_process.url, lease_s=3600) as new:
        new.open(take_over=True)
        with redis_process.client() as client:
            lease = client.get("odb:owner")
            assert old._lease is not None
            old._lease._thread.join(20)
            assert not old._lease._thread.is_alive()
            old.close()
            assert client.get("odb:owner") == lease
