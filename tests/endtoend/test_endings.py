"""How programs end: with threads that wait, connections that are open, and no memory left. Never by a signal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRELUDE = """
import os, sys, threading
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
