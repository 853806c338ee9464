"""What is particular to one kind of server or connection: addresses, certificates, timeouts, schemas that do not fit.

What holds for every kind is in tests/contracts.
"""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from object_database import (
    DatabaseConnection,
    DisconnectedException,
    Index,
    Indexed,
    InMemServer,
    Schema,
    SchemaMismatchError,
    TcpServer,
    connect,
)
from object_database.errors import (
    CommitTimeoutError,
    ConnectTimeoutError,
    FlushTimeoutError,
    InvalidArgumentError,
    SchemaTimeoutError,
    ServerError,
    ServerStateError,
    SubscribeTimeoutError,
)
from object_database.util import CertificateFiles, genToken, sslContextFromCertPath, sslContextFromCertPathOrNone

Connect = Callable[[], DatabaseConnection]

CERTIFICATES = Path(__file__).parents[1] / "endtoend" / "certificates"

schema = Schema("connections")


@schema.define
class Thing:
    number: int


# ---- servers


@pytest.mark.parametrize(
    "make", [lambda: InMemServer(auth_token="t"), lambda: TcpServer("localhost", 0, auth_token="t")]
)
def test_a_server_that_is_not_started_says_so(make: Callable[[], Any]) -> None:
    with pytest.raises(ServerStateError, match="the server is not started: call start"):
        make().connect("t")
    make().stop()


def test_a_server_without_a_network_may_have_an_empty_token() -> None:
    with InMemServer() as server:
        server.connect("").disconnect()


def test_a_port_that_is_taken_is_said_in_one_sentence() -> None:
    with TcpServer("localhost", 0, auth_token="t") as first:
        second = TcpServer("localhost", first.port, auth_token="t")
        with pytest.raises(ServerError, match=rf"{first.port}\D.*(taken|in use)") as caught:
            second.start()
        assert "\n" not in str(caught.value)
        port = first.port
    second.start()  # now it is free
    assert second.port == port
    second.stop()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"auth_token": ""}, InvalidArgumentError, "a token that is not empty"),
        ({"auth_token": b"bytes"}, InvalidArgumentError, "the token is a str"),
        ({"port": 70000}, InvalidArgumentError, "a port is a number from 0 to 65535; 70000 was given"),
        ({"port": -1}, InvalidArgumentError, "-1 was given"),
        ({"port": "8000"}, InvalidArgumentError, "'8000' was given"),
        ({"mem_store": object()}, InvalidArgumentError, "a store is None or a Persistence"),
        ({"transactionWatcher": object()}, InvalidArgumentError, "transaction watchers"),
        ({"ssl_context": "server.cert"}, TypeError, "sslContextFromCertPath"),
    ],
)
def test_a_server_with_impossible_arguments_is_not_made(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TcpServer(**{"host": "localhost", "port": 0, "auth_token": "t", **arguments})


def test_an_ssl_context_of_the_standard_library_is_refused_with_the_reason() -> None:
    with pytest.raises(TypeError, match=r"the private key of an ssl\.SSLContext cannot be read back"):
        TcpServer("localhost", 0, ssl_context=ssl.create_default_context(), auth_token="t")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "not a host"])
def test_a_host_that_is_none_is_refused_at_the_start(host: str) -> None:
    server = TcpServer(host, 0, auth_token="t")
    with pytest.raises(InvalidArgumentError, match=host.split()[0]):
        server.start()


def test_a_certificate_of_ones_own_is_shown_to_clients() -> None:
    with TcpServer(
        "localhost", 0, ssl_context=sslContextFromCertPath(str(CERTIFICATES / "server.cert")), auth_token="t"
    ) as server:
        pem = (CERTIFICATES / "server.cert").read_text()
        expected = ssl.PEM_cert_to_DER_cert(pem)
        assert ssl.get_server_certificate(("localhost", server.port)) == ssl.DER_cert_to_PEM_cert(expected)
        with server.connect("t") as db:
            facts = db.getConnectionMetadata()
            assert facts["fingerprint"] == server.fingerprint
            assert facts["peername"][1] == server.port
            assert facts["sockname"][0] in ("127.0.0.1", "::1")
            facts["fingerprint"] = "changed"
            assert db.getConnectionMetadata()["fingerprint"] == server.fingerprint


def test_a_certificate_that_was_made_is_another_one_each_time() -> None:
    fingerprints = set()
    for _ in range(2):
        with TcpServer("localhost", 0, auth_token="t") as server:
            fingerprints.add(server.fingerprint)
    assert len(fingerprints) == 2
    assert all(len(bytes.fromhex(fingerprint.replace(":", ""))) == 32 for fingerprint in fingerprints)


@pytest.mark.parametrize("case", ["garbage", "empty", "key of another", "key is a certificate"])
def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path, case: str) -> None:
    certificate, key = tmp_path / "my.cert", tmp_path / "my.key"
    shutil.copy(CERTIFICATES / "server.cert", certificate)
    shutil.copy(CERTIFICATES / "server.key", key)
    if case == "garbage":
        certificate.write_bytes(bytes(range(256)))
    elif case == "empty":
        certificate.write_bytes(b"")
    elif case == "key of another":
        shutil.copy(CERTIFICATES / "other.key", key)
    else:
        shutil.copy(CERTIFICATES / "server.cert", key)
    server = TcpServer("localhost", 0, ssl_context=sslContextFromCertPath(str(certificate)), auth_token="t")
    with pytest.raises(InvalidArgumentError, match=r"my\.(cert|key)") as caught:
        server.start()
    assert "\n" not in str(caught.value)


def test_certificate_files_are_found_by_their_names(tmp_path: Path) -> None:
    assert sslContextFromCertPathOrNone() is None
    with pytest.raises(InvalidArgumentError, match="the certificate .* does not exist"):
        sslContextFromCertPath(str(tmp_path / "a.cert"))
    (tmp_path / "a.cert").touch()
    with pytest.raises(InvalidArgumentError, match="the private key .* does not exist"):
        sslContextFromCertPath(str(tmp_path / "a.cert"))
    (tmp_path / "a.key").touch()
    found = sslContextFromCertPathOrNone(str(tmp_path / "a.cert"))
    assert found == CertificateFiles(str(tmp_path / "a.cert"), str(tmp_path / "a.key"))


def test_tokens_are_long_and_never_the_same() -> None:
    assert len({genToken() for _ in range(100)}) == 100
    assert len(genToken()) == 64


# ---- connecting


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else can take meanwhile."""
    with socket.socket(socket.AF_INET) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def silent_peer() -> Iterator[socket.socket]:
    """Listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_where_nobody_listens_connect_fails_at_once(closed_port: int) -> None:
    start = time.monotonic()
    with pytest.raises(DisconnectedException, match=rf"nobody listens on 127\.0\.0\.1:{closed_port}"):
        connect("127.0.0.1", closed_port, "t")
    assert time.monotonic() - start < 5


def test_connect_with_retry_waits_for_a_server_to_come(closed_port: int) -> None:
    with pytest.raises(ConnectTimeoutError, match="nobody listens on .* within 0.3 s"):
        connect("127.0.0.1", closed_port, "t", timeout=0.3, retry=True)


def test_a_server_that_comes_later_is_found_by_retry() -> None:
    with socket.socket(socket.AF_INET) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        made: list[DatabaseConnection] = []
        thread = threading.Thread(target=lambda: made.append(connect("127.0.0.1", port, "t", 30, retry=True)))
        thread.start()
        with pytest.raises(DisconnectedException):
            connect("127.0.0.1", port, "t")  # the thread has had its chance to find nobody
    with TcpServer("127.0.0.1", port, auth_token="t"):
        thread.join(30)
        assert len(made) == 1
        made[0].flush()


def test_a_peer_that_never_answers_times_out(silent_peer: socket.socket) -> None:
    start = time.monotonic()
    with pytest.raises(ConnectTimeoutError, match=r"within 0\.2 s"):
        connect(*silent_peer.getsockname(), "t", timeout=0.2)
    assert 0.2 <= time.monotonic() - start < 5


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", bytes(1000)])
def test_a_peer_that_is_no_server_of_ours_is_found_out(silent_peer: socket.socket, answer: bytes) -> None:
    def speak() -> None:
        accepted, _ = silent_peer.accept()
        with accepted:
            accepted.recv(1)
            accepted.sendall(answer)

    thread = threading.Thread(target=speak)
    thread.start()
    with pytest.raises(DisconnectedException):
        connect(*silent_peer.getsockname(), "t", timeout=10)
    thread.join()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("localhost", 70000, "t"), InvalidArgumentError),
        (("localhost", "8000", "t"), InvalidArgumentError),
        (("no-such-host.invalid", 8000, "t"), DisconnectedException),
        (("localhost", 8000, None), TypeError),
        (("localhost", 8000, b"t"), TypeError),
    ],
)
def test_connect_with_impossible_arguments_fails(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        connect(*arguments, timeout=5)


def test_localhost_is_ipv4_and_ipv6() -> None:
    with TcpServer("localhost", 0, auth_token="t") as server:
        reached = []
        for address in ("127.0.0.1", "::1"):
            if address == "::1" and not has_ipv6():
                continue
            with connect(address, server.port, "t") as db:
                db.flush()
                reached.append(db.getConnectionMetadata()["peername"])
        assert ("127.0.0.1", server.port) in reached
        assert len(reached) == 1 + has_ipv6()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# ---- timeouts: a frozen server answers nothing


def test_every_wait_keeps_its_timeout(server_process: Any) -> None:
    other = Schema("other")
    other.define(type("Other", (), {"n": int}))
    db = server_process.connect()
    db.subscribeToSchema(schema)
    late = server_process.connect()
    late.addSchema(schema)
    server_process.freeze()
    start = time.monotonic()
    with pytest.raises(FlushTimeoutError):
        db.flush(timeout=0.05)
    with pytest.raises(SchemaTimeoutError, match="schema 'other'"):
        db.addSchema(other, timeout=0.05)
    with pytest.raises(SubscribeTimeoutError, match=r"connections\.Thing"):
        late.subscribeToType(Thing, timeout=0.05)
    (event,) = late.subscribeToType(Thing, block=False)
    assert not event.wait(0.05)
    assert not event.is_set()
    with pytest.raises(CommitTimeoutError, match="it may still succeed"):
        with db.transaction().withCommitTimeout(0.05):
            Thing(number=1)
    with pytest.raises(ConnectTimeoutError):
        connect("localhost", server_process.port, "TOKEN", timeout=0.1)
    assert time.monotonic() - start < 5
    server_process.signal(signal.SIGCONT)
    db.flush()  # everything that was late has come
    assert event.wait(10)
    with db.view():
        assert len(Thing.lookupAll()) == 1


# D19: while 1,024 commits are unanswered the next one waits, whoever waits for its outcome.
def test_a_commit_waits_while_too_many_are_unanswered(server_process: Any) -> None:
    db = server_process.connect()
    db.subscribeToSchema(schema)
    heard: list[Any] = []
    server_process.freeze()
    for number in range(1024):
        with db.transaction().noconfirm():
            Thing(number=number)
    for settings in (lambda t: t, lambda t: t.noconfirm(), lambda t: t.onConfirmed(heard.append)):
        with (
            pytest.raises(CommitTimeoutError, match="was not sent"),
            settings(db.transaction()).withCommitTimeout(0.02),
        ):
            Thing(number=-1)
    server_process.signal(signal.SIGCONT)
    with db.transaction():  # waits for the room, and then for its outcome
        Thing(number=5000)
    with db.view() as v:
        assert [thing.number for thing in v.all(Thing)] == [*range(1024), 5000]
    assert db.lost_commits == 0
    db.disconnect()
    assert heard == []  # whoever was told by an exception is not told again


def test_a_disconnect_ends_the_wait_for_room_and_every_lost_commit_is_counted(
    server_process: Any, caplog: pytest.LogCaptureFixture
) -> None:
    db = server_process.connect()
    db.subscribeToSchema(schema)
    server_process.freeze()
    for number in range(1024):
        with db.transaction().noconfirm():
            Thing(number=number)
    is_waiting = threading.Event()

    def one_more() -> None:
        with db.transaction().noconfirm():
            Thing(number=-1)
            is_waiting.set()

    thread = threading.Thread(target=one_more)
    thread.start()
    assert is_waiting.wait(10)
    db.disconnect()
    thread.join(10)
    assert not thread.is_alive()
    deadline = time.monotonic() + 10
    while db.lost_commits < 1025 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert db.lost_commits == 1025


def test_a_commit_that_takes_more_than_a_second_is_logged(
    server_process: Any, caplog: pytest.LogCaptureFixture
) -> None:
    db = server_process.connect()
    db.subscribeToSchema(schema)
    server_process.freeze()
    with caplog.at_level("INFO", "object_database.view"), pytest.raises(CommitTimeoutError):
        with db.transaction().withCommitTimeout(1.01):
            Thing(number=1)
    assert "a commit took 1.0 s and failed" in caplog.text


def test_disconnect_ends_a_wait_for_a_server_that_does_not_answer(server_process: Any) -> None:
    db = server_process.connect()
    server_process.freeze()
    raised: list[BaseException] = []

    def flush() -> None:
        try:
            db.flush()
        except DisconnectedException as error:
            raised.append(error)

    thread = threading.Thread(target=flush)
    thread.start()
    db.disconnect()
    thread.join(10)
    assert len(raised) == 1


INTERRUPTED = """
import sys
from object_database import Schema, connect

def a_schema(name):
    schema = Schema(name)
    schema.define(type("Thing", (), {"n": int}))
    return schema

port, wait = int(sys.argv[1]), sys.argv[2]
known = a_schema("known")
db = connect("localhost", port, "TOKEN")
db.addSchema(known)
db.subscribeToNone(known.Thing)

def commit():
    with db.transaction():
        known.Thing()

def commit_without_end():
    while True:
        with db.transaction().noconfirm():
            known.Thing()

print("ready", flush=True)
sys.stdin.readline()
try:
    print("waiting", flush=True)
    {
        "flush": db.flush,
        "commit": commit,
        "addSchema": lambda: db.addSchema(a_schema("unknown")),
        "subscribe": lambda: db.subscribeToSchema(known),
        "waitForCondition": lambda: db.waitForCondition(lambda: False),
        "connect": lambda: connect("localhost", port, "TOKEN", timeout=3600, retry=True),
        "waitForTransactionId": lambda: db.waitForTransactionId(1 << 40),
        "noconfirm": commit_without_end,
    }[wait]()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "wait",
    [
        "flush",
        "commit",
        "addSchema",
        "subscribe",
        "waitForCondition",
        "connect",
        "waitForTransactionId",
        "noconfirm",
    ],
)
def test_ctrl_c_ends_every_wait(server_process: Any, wait: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(server_process.port), wait],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        server_process.freeze()
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
        assert program.stdout.readline() == "waiting\n"
        program.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = program.communicate(timeout=30)
    assert (program.returncode, out, err) == (0, "interrupted\n", "")
    assert time.monotonic() - start < 10


# ---- schemas that do not fit


def defined(name: str, /, **members: Any) -> Schema:
    made = Schema("fits")
    made.define(type(name, (), members))
    return made


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"n": int}, {"n": str}, r"fits\.T\.n is int on this server, and str in this program"),
        ({"n": int}, {"n": float}, r"fits\.T\.n is int on this server, and float in this program"),
        (
            {"a": int, "b": int, "by": Index("a", "b")},
            {"a": int, "b": int, "by": Index("b", "a")},
            r"fits\.T\.by is an index over \(a, b\) on this server, and over \(b, a\) in this program",
        ),
    ],
)
def test_a_schema_that_does_not_fit_is_refused_and_nothing_of_it_is_taken(
    connect_db: Connect, before: dict[str, Any], after: dict[str, Any], message: str
) -> None:
    first, second = connect_db(), connect_db()
    old, new = defined("T", **before), defined("T", **{"extra": str, **after})
    first.subscribeToSchema(old)
    with first.transaction():
        old.T()
    with pytest.raises(SchemaMismatchError, match=message):
        second.addSchema(new)
    with pytest.raises(SchemaMismatchError):
        second.subscribeToSchema(new)
    other = defined("T", **before, extra=int)  # the name `extra` was not taken
    second.subscribeToSchema(other)
    with second.view():
        assert [it.extra for it in other.T.lookupAll()] == [0]


def test_new_types_and_fields_are_taken_and_old_objects_have_the_default(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    old = Schema("grows")
    new = Schema("grows")

    @old.define
    class Order:
        number: int

    class Newer:
        number: int
        state: str = "new"

    Newer.__name__ = "Order"
    newer = new.define(Newer)

    @new.define
    class Customer:
        name: Indexed[str]

    first.subscribeToSchema(old)
    with first.transaction():
        order = Order(number=1)
    second.subscribeToSchema(new)
    with second.transaction():
        (same,) = newer.lookupAll()
        assert (same.number, same.state) == (1, "new")
        same.state = "paid"
        newer(number=2)
        Customer(name="Ada")
    first.flush()
    with first.transaction():
        assert [each.number for each in Order.lookupAll()] == [1, 2]
        order.number = 5
    second.flush()
    with second.view():
        assert (same.number, same.state) == (5, "paid")


def test_a_program_with_fewer_fields_creates_objects_with_the_defaults_of_the_rest(connect_db: Connect) -> None:
    first, second = connect_db(), connect_db()
    rich = Schema("fewer")
    poor = Schema("fewer")

    class Rich:
        number: int
        state: Indexed[str] = "new"

    Rich.__name__ = "Order"
    rich_order = rich.define(Rich)

    @poor.define
    class Order:
        number: int

    first.subscribeToSchema(rich)
    second.subscribeToSchema(poor)
    with second.transaction():
        Order(number=3)
    first.flush()
    with first.view():
        (order,) = rich_order.lookupAll(state="new")
        assert (order.number, order.state) == (3, "new")


def test_adding_a_schema_again_is_nothing(db: DatabaseConnection) -> None:
    for _ in range(3):
        db.addSchema(schema)
        db.subscribeToSchema(schema)


def test_two_schemas_of_a_program_may_refer_to_each_other(db: DatabaseConnection) -> None:
    one, two = Schema("one"), Schema("two")

    @one.define
    class A:
        b: two.B

    @two.define
    class B:
        a: A

    db.subscribeToSchema(one, two)
    with db.transaction():
        a = A()
        a.b = B(a=a)
        assert a.b.a == a


# ---- what a program leaves behind


PROGRAM = """
import sys
from object_database import Schema, connect, InMemServer
schema = Schema("left")
schema.define(type("Thing", (), {"n": int}))
server = InMemServer(auth_token="t")
server.start()
there = [connect("localhost", int(sys.argv[1]), "TOKEN"), server.connect("t")]
for db in there:
    db.subscribeToSchema(schema)
    with db.transaction():
        schema.Thing(n=1)
    db.registerOnTransactionHandler(lambda *told: None)
    with db.transaction().noconfirm():
        schema.Thing(n=2)
    with db.transaction().onConfirmed(lambda result: None):
        schema.Thing(n=3)
    db.flush()
open_view = there[0].view()
entered = there[1].transaction().__enter__()
"""


def test_a_program_that_ends_with_everything_open_ends_quietly(server_process: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(server_process.port)], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FORKED = """
import os, sys
from object_database import DisconnectedException, Schema, connect
schema = Schema("forked")
schema.define(type("Thing", (), {"n": int}))
port = int(sys.argv[1])
db = connect("localhost", port, "TOKEN")
db.subscribeToSchema(schema)
with db.transaction():
    thing = schema.Thing(n=1)
db.registerOnTransactionHandler(lambda *told: None)
early = [db.transaction(), db.transaction().noconfirm(), db.transaction().onConfirmed(print)]
for transaction in early:
    with transaction.nocommit():
        thing.n = 5
child = os.fork()
if child == 0:
    calls = [db.flush, db.view, db.transaction, lambda: db.registerOnTransactionHandler(print), db.disconnect]
    for call in calls + [transaction.commit for transaction in early]:
        try:
            call()
        except DisconnectedException as error:
            print(str(error)[:7], flush=True)
    with connect("localhost", port, "TOKEN") as own:  # a new one works
        own.subscribeToSchema(schema)
        with own.transaction():
            thing.n = 2
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
db.flush()
with db.view():
    print(thing.n)
"""


def test_a_forked_child_does_not_touch_the_connection_of_its_parent(server_process: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(server_process.port)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "forked:\n" * 7 + "2\n"


def test_a_definition_that_is_too_large_is_refused_and_the_connection_lives(db: DatabaseConnection) -> None:
    schema = Schema("huge")

    @schema.define
    class Thing:
        text: str = "x" * (17 << 20)

    with pytest.raises(InvalidArgumentError, match="a schema whose definition takes"):
        db.addSchema(schema)
    db.flush()
