"""Under `python -O`, which drops assert statements, every error of a program is found as without it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import object_database

PROGRAM = """
from object_database import *
from object_database.errors import *
from object_database.messages import setHeartbeatInterval
from object_database.util import sslContextFromCertPath, validateLogLevel

schema = Schema("optimized")

@schema.define
class Thing:
    number: Indexed[int]
    def __init__(self, fails=False):
        self.number = 1
        if fails:
            raise ArithmeticError("no")

late, undefined = Schema("late"), Schema("undefined")
undefined.Missing
server = InMemServer(auth_token="t")
server.start()
db = server.connect("t")
db.subscribeToSchema(schema)
with db.transaction():
    thing = Thing()
    deleted = Thing()
with db.transaction():
    deleted.delete()

def in_view(do):
    with db.view():
        return do()

def in_transaction(do):
    with db.transaction():
        return do()

def twice():
    view = db.view()
    with view:
        pass
    with view:
        pass

calls = [
    lambda: thing.number,
    lambda: Thing(),
    lambda: in_view(Thing),
    lambda: in_view(lambda: deleted.number),
    lambda: in_view(lambda: Thing.lookupOne(number=9)),
    lambda: in_view(lambda: Thing.lookupAll(nothing=9)),
    lambda: in_view(lambda: Thing.lookupAll(number="x")),
    lambda: in_view(lambda: in_view(int)),
    lambda: in_transaction(lambda: setattr(thing, "number", "x")),
    lambda: in_transaction(lambda: setattr(thing, "number", 1 << 63)),
    lambda: in_transaction(lambda: setattr(thing, "nothing", 1)),
    lambda: in_transaction(lambda: Thing(fails=True)),
    lambda: in_transaction(lambda: core_schema.Connection()),
    twice,
    undefined.freeze,
    lambda: Schema("a b"),
    lambda: Index(),
    lambda: Indexed(5),
    lambda: schema.define(type("Late", (), {"n": int})),
    lambda: late.define(type("_Hidden", (), {"n": int})),
    lambda: late.define(type("Wrong", (), {"n": 5})),
    lambda: db.addSchema("schema"),
    lambda: db.subscribeToType(int),
    lambda: db.waitForTransactionId(1000, timeout=0.01),
    lambda: server.start(),
    lambda: server.connect("wrong"),
    lambda: server.connect(5),
    lambda: InMemServer().connect(""),
    lambda: InMemServer(kvstore={}),
    lambda: InMemServer(transactionWatcher=print),
    lambda: TcpServer("localhost", 0),
    lambda: TcpServer("localhost", -1, auth_token="t"),
    lambda: TcpServer("localhost", 0, None, object(), "t"),
    lambda: connect("localhost", 70000, "t"),
    lambda: InMemoryPersistence("x"),
    lambda: setHeartbeatInterval(0),
    lambda: sslContextFromCertPath("nowhere.cert"),
    lambda: validateLogLevel("loud"),
    lambda: (server.stop(), db.flush()),
    lambda: db.view(),
]
for number, call in enumerate(calls):
    try:
        print(number, "no error", call())
    except Exception as error:
        print(number, type(error).__mro__[:-1], error)
"""


def run(*options: str) -> str:
    ended = subprocess.run([sys.executable, *options, "-c", PROGRAM], capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_errors_are_the_same_without_assertions() -> None:
    expected = run()
    assert "no error" not in expected
    assert len(expected.splitlines()) == PROGRAM.count("\n    lambda: ") + 2  # and two without a lambda
    assert run("-O") == expected
    assert run("-OO") == expected


def test_no_module_of_the_package_asserts() -> None:
    found = []
    for path in Path(object_database.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                found.append(f"{path.name}:{node.lineno}")
    assert found == [], "an error of a program is raised, an invariant is checked in the core"
