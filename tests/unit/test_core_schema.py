"""The schema of the server itself, as programs see it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import object_database
from object_database import DatabaseConnection, core_schema
from object_database.errors import InvalidArgumentError, NoTransactionError, SchemaError

AS_NAME = "from object_database import core_schema as a"
AS_MODULE = "from object_database.core_schema import core_schema as b"
BY_PATH = "import object_database.core_schema; a = object_database.core_schema"
BY_NAME = "import importlib; b = importlib.import_module('object_database.core_schema').core_schema"
BY_STAR = "from object_database.view import View; from object_database import *; a = core_schema"


@pytest.mark.parametrize(
    "steps",
    [
        (AS_NAME, AS_MODULE),
        (AS_MODULE, AS_NAME),
        (BY_PATH, AS_MODULE),
        (AS_MODULE, BY_PATH),
        (BY_NAME, BY_PATH),
        (BY_STAR, BY_NAME),
    ],
)
def test_the_schema_is_found_by_both_names_in_any_order(steps: tuple[str, ...]) -> None:
    check = "assert a is b and a.name == 'core' and a.Connection.__name__ == 'Connection', (a, b)"
    ended = subprocess.run(
        [sys.executable, "-c", "; ".join([*steps, check])], capture_output=True, text=True, timeout=50
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_has_one_type_and_takes_no_more() -> None:
    assert object_database.core_schema is core_schema
    assert [t.__name__ for t in core_schema._database_types()] == ["Connection"]
    with pytest.raises(AttributeError):
        core_schema.Thing
    with pytest.raises(SchemaError):
        core_schema.define(type("Thing", (), {"n": int}))


def test_programs_make_no_connection_objects(db: DatabaseConnection) -> None:
    db.subscribeToSchema(core_schema)
    with pytest.raises(NoTransactionError):
        core_schema.Connection()
    with db.transaction():
        with pytest.raises(InvalidArgumentError, match="made by the server"):
            core_schema.Connection(heartbeats_suspended=True)
        with pytest.raises(InvalidArgumentError, match="made by the server"):
            core_schema.Connection(1)
        before = core_schema.Connection.lookupAll()
    with db.view():
        assert core_schema.Connection.lookupAll() == before
