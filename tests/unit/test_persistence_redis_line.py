"""The connection to redis: what is sent, what is made of an answer, and what of one that never came whole."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path

import pytest

from object_database.errors import InvalidArgumentError
from object_database.persistence import RedisPersistence
from object_database.persistence_redis_line import Line, Lost, pack, refusal_of

redis = pytest.importorskip("redis")


def test_commands_are_packed_as_redis_reads_them() -> None:
    assert pack("HSET", b"k", 5, "é") == b"*4\r\n$4\r\nHSET\r\n$1\r\nk\r\n$1\r\n5\r\n$2\r\n\xc3\xa9\r\n"


def test_a_package_that_forgets_timeouts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, is_good in [("4.6.0", False), ("5.0.6", False), ("5.0.7", True), ("5.1.0b7", True), ("10.0", True)]:
        monkeypatch.setattr(redis, "__version__", version)
        with (
            nullcontext() if is_good else pytest.raises(InvalidArgumentError, match=f"5.0.7 on, and this is {version}")
        ):
            RedisPersistence()


def test_half_of_an_answer_is_given_up_and_does_not_meet_the_next(tmp_path: Path) -> None:
    def answer() -> None:
        for raw in (b"*2\r\n$5\r\nfirst\r\n$5\r\nha", b"+whole\r\n"):
            peer = held.enter_context(closing(listener.accept()[0]))
            while b"GET" not in (asked := peer.recv(4096)):
                peer.sendall(b"+OK\r\n" * asked.count(b"*"))
            peer.sendall(raw)

    with ExitStack() as held:
        listener = held.enter_context(closing(socket.socket(socket.AF_UNIX)))
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        answered = held.enter_context(ThreadPoolExecutor(1)).submit(answer)
        line = Line("here", RedisPersistence(url=f"unix://{tmp_path}/s", timeout_s=0.2, wait_ms=100)._make_connection)
        with pytest.raises(Lost):
            line.ask(("GET", "a"))
        assert line.ask(("GET", "b")) == [b"whole"]
        answered.result(30)
        line.drop()


def test_refusals_keep_their_code() -> None:
    for error, code in [
        (redis.exceptions.ReadOnlyError("You can't write"), "READONLY"),
        (redis.exceptions.ResponseError("MISCONF Redis is configured"), "MISCONF"),
        (redis.exceptions.ExecAbortError("Transaction discarded because of: OOM command not allowed"), "OOM"),
        (redis.exceptions.ExecAbortError("Transaction discarded because of previous errors."), "EXECABORT"),
    ]:
        assert refusal_of(error).code == code
