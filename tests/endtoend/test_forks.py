"""Forks: the child's connections are dead, the parent's live on, and neither hangs, whatever was under way (D28)."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.parametrize("make", ["InMemServer(auth_token='t')", "TcpServer('localhost', 0, auth_token='t')"]),
]

# An alarm ends a child that hangs, so that its parent sees an exit code of -14 instead of waiting for ever.
PRELUDE = """
import gc, os, signal, sys, threading
from object_database import DisconnectedException, Indexed, InMemServer, Schema, TcpServer, current_transaction

schema = Schema("forked")

@schema.define
class Thing:
    number: Indexed[int]

def forked(in_child):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            in_child()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def is_refused(call):
    try:
        call()
    except DisconnectedException as error:
        assert str(error).startswith("forked: "), error
        return True
    return False

server = MAKE
server.start()
db = server.connect("t")
db.subscribeToSchema(schema)
with db.transaction():
    thing = Thing(number=1)
"""


def run(make: str, program: str) -> tuple[int, str, str]:
    # Python 3.12 and later warn of forks in programs with threads, which is what these are.
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE.replace("MAKE", make) + program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    return ended.returncode, ended.stdout, ended.stderr


def test_every_call_of_the_child_is_refused(make: str) -> None:
    assert run(
        make,
        """
def in_child():
    calls = [db.view, db.transaction, db.flush, lambda: db.waitForCondition(lambda: True)]
    calls += [lambda: db.addSchema(schema), lambda: db.subscribeToSchema(schema), lambda: db.subscribeToNone(Thing)]
    calls += [lambda: db.waitForTransactionId(0)]
    assert [is_refused(call) for call in calls] == [True] * len(calls)
    assert "disconnected" in repr(db)
    db.disconnect()

assert forked(in_child) == 0
db.flush()
with db.transaction():
    thing.number += 1
""",
    ) == (0, "", "")


def test_a_view_that_is_open_can_be_read_on_both_sides(make: str) -> None:
    assert run(
        make,
        """
early = db.view()

def in_child():
    assert (thing.number, Thing.lookupAll(number=1)) == (1, (thing,))
    current_transaction().__exit__(None, None, None)
    with early:
        assert thing.number == 1
    gc.collect()

with db.view():
    assert forked(in_child) == 0
    assert thing.number == 1
with early:
    assert thing.number == 1
""",
    ) == (0, "", "")


def test_a_transaction_is_committed_by_the_parent_only(make: str) -> None:
    assert run(
        make,
        """
def in_child():
    assert thing.number == 2
    thing.number = 3
    assert is_refused(lambda: current_transaction().__exit__(None, None, None))
    assert current_transaction() is None

with db.transaction():
    thing.number = 2
    assert forked(in_child) == 0
db.flush()
with db.view():
    assert thing.number == 2
""",
    ) == (0, "", "")


def test_a_server_goes_on_whatever_the_child_does_with_it(make: str) -> None:
    assert run(
        make,
        """
def in_child():
    server.stop()
    assert server.failure() is None
    globals().pop("db"), globals().pop("server")
    gc.collect()

assert forked(in_child) == 0
with server.connect("t") as other:
    other.subscribeToSchema(schema)
    with other.transaction():
        thing.number = 2
db.flush()
with db.view():
    assert thing.number == 2
""",
    ) == (0, "", "")


def test_a_child_may_have_a_server_and_connections_of_its_own(make: str) -> None:
    assert run(
        make,
        f"""
def in_child():
    with {make} as own:
        with own.connect("t") as line:
            line.subscribeToSchema(schema)
            with line.transaction():
                Thing(number=7)
            line.flush()
            with line.view():
                assert [found.number for found in Thing.lookupAll()] == [7]

assert forked(in_child) == 0
with db.view():
    assert [found.number for found in Thing.lookupAll()] == [1]
""",
    ) == (0, "", "")


def test_forks_while_threads_read_commit_and_flush(make: str) -> None:
    """A child inherits locks as they are; whoever held one is not there to give it back."""
    assert run(
        make,
        """
ends = threading.Event()
writer = server.connect("t")
writer.subscribeToSchema(schema)

def read():
    with db.view():
        thing.number

def commit():
    with writer.transaction():
        thing.number += 1

def again(call):
    while not ends.is_set():
        call()

threads = [threading.Thread(target=again, args=(call,)) for call in (read, read, commit, db.flush)]
for thread in threads:
    thread.start()

def in_child():
    assert is_refused(db.view)
    assert is_refused(db.flush)
    with early:
        assert Thing.lookupAll() == (thing,)
    server.stop()
    db.disconnect()
    globals().pop("db"), globals().pop("writer"), globals().pop("early")
    gc.collect()

codes = []
for _ in range(25):
    early = db.view()
    codes.append(forked(in_child))
ends.set()
for thread in threads:
    thread.join()
assert codes == [0] * 25, codes
""",
    ) == (0, "", "")
