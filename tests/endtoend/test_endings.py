"""How programs end: with threads that wait, connections that are open, and no memory left. Never by a signal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRELUDE = """
import atexit, os, sys, threading, types
from object_database import InMemServer, Indexed, Schema, TcpServer, connect

schema = Schema("endings")

@schema.define
class Thing:
    number: Indexed[int]
    text: str

server = TcpServer("localhost", 0, None, None, "token")
server.start()
db = connect("localhost", server.port, "token")
db.subscribeToSchema(schema)
waiting = threading.Semaphore(0)

def again(call):
    while True:
        waiting.release()
        call()

def commit():
    with db.transaction():
        Thing(number=1)
"""

WAITS = {
    "a condition": "lambda: db.waitForCondition(lambda: False)",
    "flushes": "db.flush",
    "commits": "commit",
    "connections": "lambda: connect('localhost', server.port, 'token').disconnect()",
    "connections through memory": "lambda: memory.connect('token').disconnect()",
    "figures": "server._core.figures",
}


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PRELUDE + program], capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("what", WAITS)
def test_a_program_ends_while_a_daemon_thread_waits(what: str) -> None:
    program = f"""
memory = InMemServer(auth_token="token")
memory.start()
threading.Thread(target=again, args=({WAITS[what]},), daemon=True).start()
for _ in range({1 if what == "a condition" else 20}):
    waiting.acquire()
"""
    ended = run(program)
    assert (ended.returncode, ended.stderr) == (0, "")


A_THREAD_THAT_WAITS = """
threading.excepthook = lambda raised: print(raised.exc_type.__name__)
threading.Thread(target=db.waitForCondition, args=(lambda: False,)).start()
server.stop()
"""

A_FINALIZER = """
class Late:
    def __del__(self, db=db, Thing=Thing, print=print):
        for call in (Thing.lookupAll, db.view, db.flush):
            try:
                call()
            except Exception:
                pass
        print("finalized")

# Not in this module: from 3.14 on annotations hold the module of a class, and with it whatever it has, beyond the end.
sys.modules["other"] = types.ModuleType("other")
sys.modules["other"].late = Late()
"""

# ways to end -> (program, exit code, what it prints)
ENDS = {
    "an exit handler that works": ("atexit.register(lambda: (commit(), db.flush(), print('used')))", 0, "used\n"),
    "an exit handler that leaves": (
        "atexit.register(lambda: (db.disconnect(), server.stop(), print('left')))",
        0,
        "left\n",
    ),
    "an exit in a transaction": ("with db.transaction():\n    Thing(number=1)\n    sys.exit(3)", 3, ""),
    "an exit in a view": ("with db.view():\n    sys.exit(4)", 4, ""),
    "a cycle": ("class C: pass\nc = C(); c.all = (c, db, server, db.view(), db.transaction().__enter__())", 0, ""),
    "a generator in a view": (
        "def each():\n    with db.view():\n        yield Thing.lookupAll()\nkept = each(); next(kept)",
        0,
        "",
    ),
    "a thread that stops the server": ("threading.Thread(target=server.stop).start()", 0, ""),
    "a thread that was waiting": (A_THREAD_THAT_WAITS, 0, "DisconnectedException\n"),
    "no farewell": ("view = db.view().__enter__(); print('bye', flush=True); os._exit(5)", 5, "bye\n"),
    "a finalizer that uses everything": (A_FINALIZER, 0, "finalized\n"),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_program_ends_as_it_wants_to(what: str) -> None:
    program, code, out = ENDS[what]
    ended = run(program)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, out, "")


def test_a_program_ends_while_daemon_threads_read_and_hold_views() -> None:
    ended = run("""
def read():
    with db.view():
        Thing.lookupAll(number=1)

def hold():
    with db.view():
        waiting.release()
        threading.Event().wait()

for call in (read, read, commit, hold):
    threading.Thread(target=again, args=(call,), daemon=True).start()
for _ in range(500):
    waiting.acquire()
""")
    assert (ended.returncode, ended.stderr) == (0, "")


# The thread of the handlers is at work for about a second, longer than it is waited for.
def test_a_program_ends_while_a_handler_is_about_to_be_told_of_much() -> None:
    ended = run("""
db.registerOnTransactionHandler(lambda *changes: None)
with db.transaction():
    for number in range(200_000):
        Thing(number=number)
""")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("member", ["__init__", "__del__"])
def test_a_program_ends_while_daemon_threads_run_methods_of_objects(member: str) -> None:
    ended = run(f"""
def busy(self):
    for number in range(1000):
        self.number = number

busy_schema = Schema("busy")
Busy = busy_schema.define(type("Busy", (), {{"number": int, "{member}": busy}}))
db.subscribeToSchema(busy_schema)

def make():
    with db.transaction():
        Busy().delete()

for _ in range(8):
    threading.Thread(target=again, args=(make,), daemon=True).start()
for _ in range(20):
    waiting.acquire()
""")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_program_ends_with_everything_open() -> None:
    ended = run("view = db.view(); view.__enter__(); transaction = db.transaction(); print(len(Thing.lookupAll()))")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer ends a process out of memory"
)
def test_memory_that_cannot_be_had_is_a_memory_error() -> None:
    ended = run("""
import resource
text = "x" * (6 << 20)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
try:
    with db.transaction():
        for number in range(1000):
            Thing(number=number, text=text)
except MemoryError:
    print("refused")
os._exit(0)  # what is left of the memory is not enough to end in good order
""")
    assert (ended.returncode, ended.stdout) == (0, "refused\n")
