"""One connection to redis that pipelines commands and says exactly what became of them.

redis-py makes the connection (addresses, TLS, passwords, RESP); it would also try again by itself, and that has to be
ours: an attempt that was lost may have been carried out.

    replies = line.ask(("WATCH", "odb:meta"), ("HGETALL", "odb:meta"))     # an error of redis is an item of the list
    Lost                                                                   # the connection went, at any point
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from object_database.errors import InvalidArgumentError, StoreUnavailableError

__all__ = ["Line", "Lost", "Refusal", "pack", "redis_module"]

SEND_BYTES = 1 << 20  # one send has one timeout, so a send must not take long
VERSION_MIN = [5, 0, 7]  # redis-py before it forgets the timeout of a unix socket, and waits for ever


class Lost(Exception):
    """No answer: the connection is gone, or redis was silent for too long. What was sent may still be carried out."""


class Refusal(Exception):
    """An error that redis answered with. `code` is its first word: OOM, READONLY, LOADING, ..."""

    def __init__(self, code: str, text: str):
        super().__init__(f"{code} {text}".strip())
        self.code = code


def redis_module() -> Any:
    try:
        import redis
    except ImportError as error:
        raise InvalidArgumentError(
            "RedisPersistence needs the package redis: pip install 'object_database[redis]' (or: pip install redis)"
        ) from error
    if [int(number) for number in re.findall(r"\d+", redis.__version__)] < VERSION_MIN:
        raise InvalidArgumentError(
            f"RedisPersistence needs the package redis from {'.'.join(map(str, VERSION_MIN))} on, and this is "
            f"{redis.__version__}: pip install -U 'object_database[redis]'"
        )
    return redis


def pack(*words: str | bytes | int) -> bytes:
    """A command as it travels; redis-py's own takes three times as long, for a million rows a second and a half."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(out)


class Line:
    """Thread safety: one thread at a time."""

    def __init__(self, where: str, make_connection: Any):
        self._where = where
        self._redis = redis_module()
        self._connection = make_connection()
        self.is_up: bool = False

    def ask(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        return self.ask_packed([pack(*command) for command in commands], len(commands))

    def ask_packed(self, packed: Iterable[bytes], count: int) -> list[Any]:
        """Send `count` commands and return their replies; a Refusal stands where redis refused one."""
        redis = self._redis
        try:
            if not self.is_up:
                try:
                    self._connection.connect()
                except redis.ResponseError as error:  # of SELECT, or of what this user may not do
                    self.drop()
                    raise StoreUnavailableError(f"{self._where} cannot be used: {error}") from error
                self.is_up = True
            self._connection.send_packed_command(_in_pieces(packed))
            replies = []
            for _ in range(count):
                try:
                    replies.append(self._connection.read_response())
                except redis.ResponseError as error:
                    replies.append(refusal_of(error))
            return replies
        except redis.AuthenticationError as error:
            self.drop()
            raise StoreUnavailableError(f"{self._where} refuses the user or password: {error}") from error
        except (redis.RedisError, OSError) as error:
            self.drop()
            if (why := untrusted(error)) is not None:
                raise StoreUnavailableError(
                    f"{self._where} has a certificate that is not trusted; ssl_ca_certs names a file with those that are: "
                    f"{why}"
                ) from error
            raise Lost(f"{error}") from error
        except BaseException:
            self.drop()  # between a command and its reply: the next reply would be taken for another's
            raise

    def drop(self) -> None:
        self.is_up = False
        self._connection.disconnect()


# redis-py turns some codes into classes and drops the word.
_CLASSES = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "ExecAbortError": "EXECABORT",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "MovedError": "MOVED",
    "ClusterCrossSlotError": "CROSSSLOT",
}
_ABORTED = "Transaction discarded because of: "


def refusal_of(error: Exception) -> Refusal:
    text = str(error)
    code = _CLASSES.get(type(error).__name__)
    if code is None:
        code, _, text = text.partition(" ")
    if code == "EXECABORT" and text.startswith(_ABORTED):  # the reason arose at EXEC itself
        code, _, text = text.removeprefix(_ABORTED).partition(" ")
    return Refusal(code.lstrip("-"), text)


def untrusted(error: BaseException) -> str | None:
    """Why the certificate was refused, if that is what an error says: to try again would not help."""
    import ssl  # here already when it is needed

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None


def _in_pieces(packed: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, small ones together and large ones apart."""
    held: list[bytes] = []
    size = 0
    for each in packed:
        if size + len(each) > SEND_BYTES and held:
            yield b"".join(held)
            held, size = [], 0
        if len(each) > SEND_BYTES:
            whole = memoryview(each)
            for start in range(0, len(each), SEND_BYTES):
                yield whole[start : start + SEND_BYTES]  # type: ignore[misc]
        else:
            held.append(each)
            size += len(each)
    if held:
        yield b"".join(held)
