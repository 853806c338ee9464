"""Programs as users write and start them, against servers in processes of their own."""

from __future__ import annotations

import ast
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import Schema

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"

Start = Callable[..., subprocess.Popen[str]]

# As it stands in the README, but for blank lines. The tests replace 8000 by the port of their server, and nothing else.
PROGRAM = """\
from object_database import connect, Schema
schema = Schema("hello_world")

@schema.define
class Message:
    message = str

db = connect('localhost', 8000, 'TOKEN')
db.subscribeToSchema(schema)

with db.transaction():
    message = Message(message='message')

with db.view():
    print(Message.lookupAll())
"""


def at(port: int, program: str) -> str:
    """The program with the port of a test's server."""
    assert program.count("'localhost', 8000") == 1
    return program.replace("'localhost', 8000", f"'localhost', {port}")


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=50, **options)


@pytest.fixture
def start() -> Any:
    """Starts a Python program that is killed in the end."""
    started = []

    def start_program(*arguments: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-u", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start_program
    for each in started:
        each.kill()
        each.communicate()


@pytest.fixture
def held_port() -> Any:
    """Holds a port that nobody listens on, until it is closed."""
    with socket.socket(socket.AF_INET) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder


# ---- the first program


def test_the_first_program_runs_as_it_stands(server_process: Any) -> None:
    done = run("-c", at(server_process.port, PROGRAM))
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\(hello_world\.Message\(id=\d+\),\)\n", done.stdout)
    again = run("-c", at(server_process.port, PROGRAM))
    assert again.stdout.count("hello_world.Message(id=") == 2


def test_the_first_program_is_the_one_in_the_readme() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert ast.dump(ast.parse(PROGRAM)) in [ast.dump(ast.parse(block)) for block in blocks]  # but for blanks and quotes


def test_objects_in_memory_are_gone_after_a_restart(start_server: Callable[..., Any]) -> None:
    for _ in range(2):
        server = start_server()
        done = run("-c", at(server.port, PROGRAM))
        assert done.stdout.count("hello_world.Message(id=") == 1
        server.signal(signal.SIGTERM)
        assert server.finish()[0] == 0


SEES_THE_OTHER = """
import sys
from object_database import Indexed, Schema, connect

schema = Schema("pair")

@schema.define
class Name:
    name: Indexed[str]
    by: str = "nobody"

own, other = sys.argv[2:]
with connect("localhost", int(sys.argv[1]), "TOKEN") as db:
    db.subscribeToSchema(schema)
    with db.transaction():
        Name(name=own)
    db.waitForCondition(lambda: Name.lookupAny(name=other))
    with db.transaction():
        Name.lookupOne(name=other).by = own
    db.waitForCondition(lambda: all(name.by != "nobody" for name in Name.lookupAll()))
    with db.view():
        print(sorted((name.name, name.by) for name in Name.lookupAll()))
"""


def test_two_processes_see_each_others_objects(server_process: Any, start: Start) -> None:
    programs = [start("-c", SEES_THE_OTHER, str(server_process.port), *names) for names in ("ab", "ba")]
    for program in programs:
        out, err = program.communicate(timeout=30)
        assert (out, err) == ("[('a', 'b'), ('b', 'a')]\n", "")


# ---- the examples


def ended_by_ctrl_c(program: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=30)
    return program.returncode, err


def test_the_examples_wait_for_the_server_and_end_quietly_on_ctrl_c(
    held_port: socket.socket, start_server: Callable[..., Any], start: Start
) -> None:
    port = str(held_port.getsockname()[1])
    consumer = start(str(EXAMPLES / "consumer.py"), "127.0.0.1", port)
    producer = start(str(EXAMPLES / "producer.py"), "127.0.0.1", port)
    held_port.close()
    start_server(host="127.0.0.1", port=int(port))
    assert consumer.stdout is not None
    first, second = consumer.stdout.readline(), consumer.stdout.readline()
    assert re.fullmatch(r"\('message_0', \d+\.\d+\)\n", first)
    assert re.fullmatch(r"\('message_1', \d+\.\d+\)\n", second)
    assert [ended_by_ctrl_c(program) for program in (producer, consumer)] == [(0, ""), (0, "")]


@pytest.mark.parametrize("example", ["consumer.py", "producer.py"])
def test_an_example_that_waits_for_a_server_ends_quietly_on_ctrl_c(example: str, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(str(EXAMPLES / example), "127.0.0.1", str(listener.getsockname()[1]))
        accepted, _ = listener.accept()  # it is trying to connect
        with accepted:
            assert ended_by_ctrl_c(program) == (0, "")


@pytest.mark.parametrize("example", ["consumer.py", "producer.py"])
def test_an_example_whose_server_goes_away_says_so(example: str, server_process: Any, start: Start) -> None:
    """The example is in when its objects, or those made for it, have gone through."""
    program = start(str(EXAMPLES / example), "localhost", str(server_process.port), "TOKEN")
    board = Schema("message_board")
    board.define(type("Message", (), {"timestamp": float, "message": str}))
    with server_process.connect() as db:
        db.subscribeToSchema(board)
        if example == "consumer.py":
            with db.transaction():
                board.Message(message="hello")
            assert program.stdout is not None
            assert program.stdout.readline() == "('hello', 0.0)\n"
        else:
            db.waitForCondition(board.Message.lookupAny)
        server_process.kill()
    _, err = program.communicate(timeout=30)
    assert program.returncode == 1
    assert err.startswith(example.removesuffix(".py") + ": ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "interrupts", [signal.SIG_DFL, signal.SIG_IGN], ids=["on a terminal", "in the background of a script"]
)
def test_the_demo_shows_messages_and_ends_by_itself(interrupts: signal.Handlers) -> None:
    done = run(str(EXAMPLES / "demo.py"), "2", preexec_fn=lambda: signal.signal(signal.SIGINT, interrupts))
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(
        r" +server \| serving on localhost:\d+, certificate sha256 [0-9a-f:]+, objects in memory$", lines[0], re.I
    )
    assert any(re.fullmatch(r"consumer \| \('message_0', \d+\.\d+\)", line) for line in lines)
    assert "  server | stopped" in lines
    assert lines[-1] == "demo ended"
