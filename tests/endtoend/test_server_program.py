"""database_server.py: its options, its end, and what it withstands."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import AuthenticationError, DisconnectedException, Schema, __version__, connect
from object_database.errors import ServerError

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "object_database" / "frontends" / "database_server.py"
CERTIFICATES = Path(__file__).parent / "certificates"

schema = Schema("endtoend")


@schema.define
class Thing:
    number: int


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program with these options, which are expected to end it. Tokens of the environment of the tests are not seen."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ODB_")}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *options],
        capture_output=True,
        text=True,
        timeout=30,
        env={**clean, **environment},
    )


# ---- starting


def test_the_program_can_be_started_by_its_name() -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert (done.returncode, done.stdout) == (0, f"object_database {__version__}\n")


def test_it_says_where_it_serves_in_one_line(server_process: Any) -> None:
    words = server_process.greeting.rstrip("\n")
    with server_process.connect() as db:
        fingerprint = db.getConnectionMetadata()["fingerprint"]
    assert words == (f"serving on localhost:{server_process.port}, certificate sha256 {fingerprint}, objects in memory")


def test_help_names_every_option_and_shows_examples() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("--service-token", "--service-token-file", "--ssl-path", "--inmem", "--version", "ODB_SERVICE_TOKEN"):
        assert word in done.stdout
    assert "examples:" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 130


@pytest.mark.parametrize("name", ["ODB_SERVICE_TOKEN", "ODB_AUTH_TOKEN"])
def test_the_token_can_come_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("ODB_SERVICE_TOKEN", "ODB_AUTH_TOKEN"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "from the environment")
    serve_and_connect("from the environment", "--inmem")


def test_the_token_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n  from a file \n")
    serve_and_connect("from a file", "--inmem", "--service-token-file", str(tmp_path / "token"))


def test_a_certificate_of_ones_own_is_used() -> None:
    port, greeting = serve_and_connect(
        "T", "--inmem", "--service-token", "T", "--ssl-path", str(CERTIFICATES / "server.cert"), seen=server_certificate
    )
    assert port == (CERTIFICATES / "server.cert").read_text()
    assert "certificate sha256" in greeting


def server_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


def serve_and_connect(token: str, *options: str, seen: Callable[[int], Any] = lambda port: port) -> tuple[Any, str]:
    """Starts the program, connects with the token, stops it. What `seen` sees of the port, and the greeting."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *options, "localhost", "0"], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        greeting = program.stdout.readline()
        try:
            port = int(greeting.split(",")[0].rsplit(":", 1)[1])
            with connect("localhost", port, token) as db:
                db.flush()
            with pytest.raises(AuthenticationError):
                connect("localhost", port, token + "x")
            return seen(port), greeting
        finally:
            program.terminate()
            program.communicate(timeout=30)


def test_a_server_with_a_limit_for_its_memory_refuses_what_is_too_much(start_server: Callable[..., Any]) -> None:
    server = start_server("--memory-max", "1M")
    with server.connect() as db:
        db.subscribeToSchema(schema)
        with pytest.raises(ServerError, match="memory is full"), db.transaction():
            for number in range(20_000):
                Thing(number=number)
        with db.transaction():
            Thing(number=1)


# ---- options that cannot be meant so


@pytest.fixture
def taken_port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def refused(*options: str) -> str:
    """The one sentence that the program ends with."""
    done = run(*options)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("database_server: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("database_server: ").rstrip("\n")


def test_a_port_that_is_taken(taken_port: str) -> None:
    assert taken_port in refused("--service-token", "T", "--inmem", "127.0.0.1", taken_port)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--inmem", "localhost", "0"], "a token is needed: --service-token, --service-token-file or"),
        (["--inmem", "localhost", "0", "--service-token", ""], "a token is needed"),
        (["localhost", "0", "--service-token", "T", "--inmem", "--redis_port", "6379"], "objects live in one place"),
        (["localhost", "0", "--service-token", "T", "--inmem", "--data-dir", "d"], "objects live in one place"),
        (
            ["localhost", "0", "--service-token", "T", "--data-dir", "/dev/null/d"],
            "/dev/null/d/objects.sqlite cannot be opened",
        ),
        (
            ["localhost", "0", "--service-token", "T", "--redis-url", "redis://h", "--redis_port", "1"],
            "give --redis-url, or --redis_host and --redis_port, not both",
        ),
        (["localhost", "0", "--service-token", "T", "--redis_host", ""], "--redis_host or --redis-url is empty"),
        (["localhost", "0", "--service-token", "T", "--redis_port", "0"], "port is a number from 1 to 65535"),
        (["localhost", "0", "--service-token", "T", "--data-dir", "d", "--redis-min-replicas", "1"], "in one place"),
        (["localhost", "0", "--service-token", "T", "--inmem", "--redis-min-replicas", "1"], "in one place"),
        (["localhost", "0", "--service-token", "T", "--redis_port", "1", "--redis-min-replicas", "-1"], "from 0 up"),
        (["localhost", "70000", "--service-token", "T", "--inmem"], "a port is a number from 0 to 65535, not 70000"),
        (["localhost", "-1", "--service-token", "T", "--inmem"], "a port is a number from 0 to 65535, not -1"),
        (["no-such-host.invalid", "0", "--service-token", "T", "--inmem"], "'no-such-host.invalid' is not a host"),
        (["192.0.2.1", "0", "--service-token", "T", "--inmem"], "'192.0.2.1' is not an address of this machine"),
        (["localhost", "0", "--inmem", "--service-token-file", "/nowhere/token"], "the token file cannot be read"),
        (
            ["localhost", "0", "--inmem", "--service-token", "T", "--service-token-file", "f"],
            "give --service-token or --service-token-file, not both",
        ),
        (
            ["localhost", "0", "--inmem", "--service-token", "T", "--ssl-path", "/nowhere/server.cert"],
            "the certificate '/nowhere/server.cert' does not exist",
        ),
    ],
)
def test_an_option_that_cannot_be_meant_so_gives_one_sentence(options: list[str], sentence: str) -> None:
    assert sentence in refused(*options)


def test_without_redis_on_its_default_port_it_names_the_choices() -> None:
    with socket.socket() as nobody:  # has a port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        program = (
            "import sys\n"
            "from object_database.frontends import database_server\n"
            f"database_server.DEFAULT_REDIS_PORT = {nobody.getsockname()[1]}\n"
            "sys.exit(database_server.main(['localhost', '0', '--service-token', 'T']))\n"
        )
        start = time.monotonic()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("database_server: no redis answers on this machine, port ")
    for choice in ("--redis_host", "--redis_port", "--redis-url", "--data-dir", "--inmem"):
        assert choice in done.stderr
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("case", ["no key", "key of another", "garbage"])
def test_a_certificate_that_cannot_be_used_gives_one_sentence(tmp_path: Path, case: str) -> None:
    certificate, key = tmp_path / "my.cert", tmp_path / "my.key"
    shutil.copy(CERTIFICATES / "server.cert", certificate)
    if case == "key of another":
        shutil.copy(CERTIFICATES / "other.key", key)
    elif case == "garbage":
        certificate.write_text("no certificate")
        shutil.copy(CERTIFICATES / "server.key", key)
    assert "my." in refused("localhost", "0", "--inmem", "--service-token", "T", "--ssl-path", str(certificate))


def test_a_token_file_that_is_no_text_gives_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    sentence = refused("localhost", "0", "--inmem", "--service-token-file", str(tmp_path / "token"))
    assert "the token file cannot be read" in sentence


@pytest.mark.parametrize("options", [[], ["localhost"], ["localhost", "http"], ["localhost", "0", "--no-such-option"]])
def test_a_command_line_that_is_none_shows_the_usage(options: list[str]) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: database_server.py")


# ---- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(server_process: Any, number: int) -> None:
    db = server_process.connect()
    db.subscribeToSchema(schema)
    server_process.signal(number)
    assert server_process.finish() == (0, "stopped\n", "")
    with pytest.raises(DisconnectedException, match="the server stops"):
        while True:
            db.flush()


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_server_that_is_killed_wakes_a_waiting_client_at_once(server_process: Any, is_frozen: bool) -> None:
    db = server_process.connect()
    db.subscribeToSchema(schema)
    if is_frozen:
        server_process.freeze()
    raised: list[DisconnectedException] = []

    def wait() -> None:
        try:
            while True:
                db.flush()
        except DisconnectedException as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    start = time.monotonic()
    server_process.kill()
    thread.join(30)
    assert len(raised) == 1
    assert time.monotonic() - start < 5  # heartbeats alone would need four times as long
    with pytest.raises(DisconnectedException):
        db.view()


def test_a_client_that_is_killed_leaves_the_others_alone(server_process: Any) -> None:
    program = (
        "import sys\n"
        "from object_database import connect\n"
        f"db = connect('localhost', {server_process.port}, 'TOKEN')\n"
        "print('in', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with server_process.connect() as db:
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "in\n"
            other.kill()
            other.communicate()
        db.subscribeToSchema(schema)
        with db.transaction():
            Thing(number=1)


# ---- what it withstands


def tls_socket(port: int) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20))


def is_closed_by_peer(connection: socket.socket) -> bool:
    """Reads until the other side ends it."""
    try:
        while connection.recv(65536):
            pass
    except (ConnectionResetError, ssl.SSLError):
        pass
    return True


def frame(kind: int, payload: bytes) -> bytes:
    return (len(payload) + 2).to_bytes(4, "big") + bytes([kind, 0]) + payload


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 100,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 40,
        b"\x16\x03\x01\xff\xff" + b"\xff" * 70000,
    ],
    ids=["zeros", "http", "bytes", "tls record"],
)
def test_garbage_closes_that_connection_only(server_process: Any, garbage: bytes) -> None:
    with server_process.connect() as db:
        db.subscribeToSchema(schema)
        with socket.create_connection(("127.0.0.1", server_process.port), timeout=20) as stranger:
            try:
                stranger.sendall(garbage)
            except (BrokenPipeError, ConnectionResetError):
                pass  # closed before everything was said
            assert is_closed_by_peer(stranger)
        with db.transaction():
            Thing(number=1)
        server_process.connect().disconnect()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        b"\0\0\0\0",
        frame(1, b""),
        frame(2, b"too early"),
        frame(200, b""),
        (2**31).to_bytes(4, "big") + b"\x01\0",
        frame(1, b"\x01\x01\x06memory\0"),  # a method that is not for the network
        frame(1, b"\x63\x64\x12SCRAM-SHA-256-PLUS\0"),  # a version that does not exist yet
    ],
    ids=["ones", "empty frame", "empty hello", "too early", "unknown", "huge", "memory method", "version"],
)
def test_garbage_inside_of_tls_closes_that_connection_only(server_process: Any, garbage: bytes) -> None:
    with server_process.connect() as db:
        db.subscribeToSchema(schema)
        with tls_socket(server_process.port) as stranger:
            stranger.sendall(garbage)
            assert is_closed_by_peer(stranger)
        with db.transaction():
            Thing(number=1)
        server_process.connect().disconnect()


def test_a_stranger_who_stays_silent_keeps_nobody_waiting_and_is_closed(server_process: Any) -> None:
    start = time.monotonic()
    strangers = [socket.create_connection(("127.0.0.1", server_process.port), timeout=20) for _ in range(20)]
    strangers += [tls_socket(server_process.port) for _ in range(3)]
    with server_process.connect() as db:
        db.flush()
        assert time.monotonic() - start < 2
    for stranger in strangers:
        with stranger:
            assert is_closed_by_peer(stranger)
    assert time.monotonic() - start < 10


def test_nothing_older_than_tls_1_3_is_spoken(server_process: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", server_process.port), timeout=20) as plain:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(plain)
    with tls_socket(server_process.port) as modern:
        assert modern.version() == "TLSv1.3"
