"""Stories of concurrent transactions, told in tests/scripts/*.txt and replayed over memory and over TLS.

    # The moral.
    t1: begin, get x
    t2: begin, set x=1, commit
    t1: set y=2, !commit
    ---
    t1: conflict on x: read as of 1, written at 2

Above the `---` each line says what one connection does next; below stands what is printed, exactly. There are cells; x and y
exist from the start (transaction 1), with value 0, colour grey and no label. Colours are
indexed, labels are unique, values are neither.

    begin, view             open a transaction, a read-only view
    commit, abort           leave it; abort leaves through an exception
    get x, show x           read the value of a cell; show prints it
    find red, list red      look a colour up in the index; list prints the cells found. `all`: the set of all cells
    exists x                print whether the cell exists
    who a                   look a label up and print the cell that has it
    set x=1, paint x=red    write the value, the colour
    label x=a, unlabel x    write the label
    create z=red, delete x  a new cell; a cell no more
    !step                   the step is refused, and the reason is printed

Every commit reaches every connection before the next step, also those with an open view, so nothing depends on timing.
The simulator replays the same files with random delays (tests/simulation/stories.cpp): a new verb goes there as well.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from object_database import (
    DatabaseConnection,
    Indexed,
    ObjectDoesntExistException,
    RevisionConflictException,
    Schema,
    Unique,
    UniqueViolationError,
)
from object_database.errors import ObjectDatabaseError

SCRIPTS = sorted((Path(__file__).parents[1] / "scripts").glob("*.txt"))

schema = Schema("stories")


@schema.define
class Cell:
    value: int
    colour: Indexed[str]
    label: Unique[str | None]


class Abort(Exception):
    pass


class Actor:
    """One connection. Its view is current in a context of its own, so that actors take turns in one thread."""

    def __init__(self, db: DatabaseConnection, stage: Stage):
        self.db = db
        self.stage = stage
        self.context = contextvars.copy_context()
        self.open: Any = None

    def do(self, step: str) -> str | None:
        """What the step prints."""
        verb, _, rest = step.lstrip("!").partition(" ")
        name, _, value = rest.partition("=")
        try:
            printed = self.context.run(getattr(self, "do_" + verb), *[part for part in (name, value) if part])
        except ObjectDatabaseError as error:
            if not step.startswith("!"):
                raise
            return self.stage.told(error)
        assert not step.startswith("!"), f"{step!r} was not refused"
        return printed

    def do_begin(self) -> None:
        self.open = self.db.transaction().__enter__()

    def do_view(self) -> None:
        self.open = self.db.view().__enter__()

    def do_commit(self) -> None:
        self.open.__exit__(None, None, None)
        self.stage.let_all_catch_up()

    def do_abort(self) -> None:
        self.open.__exit__(Abort, Abort(), None)

    def do_get(self, cell: str) -> None:
        self.stage.cells[cell].value

    def do_show(self, cell: str) -> str:
        return f"{cell} is {self.stage.cells[cell].value}"

    def do_find(self, colour: str) -> None:
        self.found(colour)

    def do_list(self, colour: str) -> str:
        return f"{colour}: {', '.join(map(self.stage.name, self.found(colour))) or 'none'}"

    def found(self, colour: str) -> tuple[Cell, ...]:
        return Cell.lookupAll() if colour == "all" else Cell.lookupAll(colour=colour)

    def do_who(self, label: str) -> str:
        cell = Cell.lookupUnique(label=label)
        return f"{label} is {'nobody' if cell is None else self.stage.name(cell)}"

    def do_exists(self, cell: str) -> str:
        return f"{cell} {'exists' if self.stage.cells[cell].exists() else 'does not exist'}"

    def do_set(self, cell: str, value: str) -> None:
        self.stage.cells[cell].value = int(value)

    def do_paint(self, cell: str, colour: str) -> None:
        self.stage.cells[cell].colour = colour

    def do_label(self, cell: str, label: str) -> None:
        self.stage.cells[cell].label = label

    def do_unlabel(self, cell: str) -> None:
        self.stage.cells[cell].label = None

    def do_create(self, cell: str, colour: str) -> None:
        self.stage.cells[cell] = Cell(colour=colour)

    def do_delete(self, cell: str) -> None:
        self.stage.cells[cell].delete()


class Stage:
    """The cells by name, and the actors."""

    def __init__(self, connect_db: Callable[[], DatabaseConnection]):
        self.connect_db = connect_db
        self.actors: dict[str, Actor] = {}
        self.cells: dict[str, Cell] = {}
        with self.actor("nobody").db.transaction():
            self.cells = {name: Cell(colour="grey") for name in ("x", "y")}

    def actor(self, name: str) -> Actor:
        if name not in self.actors:
            db = self.connect_db()
            db.subscribeToSchema(schema)
            self.actors[name] = Actor(db, self)
        return self.actors[name]

    def let_all_catch_up(self) -> None:
        for actor in self.actors.values():
            actor.db.flush()

    def name(self, cell: Cell) -> str:
        return next(name for name, named in self.cells.items() if named == cell)

    def told(self, error: ObjectDatabaseError) -> str:
        """An error in the words of the story."""
        if isinstance(error, RevisionConflictException):
            kind, _, member, cell = error.key
            what = {
                "field": lambda: self.name(cell) + ("" if member == "value" else f".{member}"),
                "existence": lambda: f"the existence of {self.name(cell)}",
                "index key": lambda: f"a {member} that was looked up",
                "type set": lambda: "the set of all cells",
            }[kind]()
            return f"conflict on {what}: read as of {error.as_of}, written at {error.written_at}"
        if isinstance(error, UniqueViolationError):
            assert error.key.obj == error.obj
            return f"the {error.key.member} is that of {self.name(error.obj)}"
        if type(error) is ObjectDoesntExistException:
            return f"{self.name(error.obj)} does not exist"
        return type(error).__name__


def replay(script: str, stage: Stage) -> list[str]:
    """Everything that the steps of a script print."""
    for line in script.splitlines():  # all connections are there before the first step
        if line and not line.startswith("#"):
            stage.actor(line.split(":")[0])
    printed = []
    for line in script.splitlines():
        if not line or line.startswith("#"):
            continue
        who, _, steps = line.partition(":")
        for step in steps.split(","):
            if (text := stage.actor(who).do(step.strip())) is not None:
                printed.append(f"{who}: {text}")
    return printed


@pytest.mark.sanitizer
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_story(path: Path, connect_db: Callable[[], DatabaseConnection]) -> None:
    script, _, expected = path.read_text().partition("\n---\n")
    assert script.startswith("# "), "the moral comes first"
    assert replay(script, Stage(connect_db)) == expected.splitlines()


def test_there_are_stories() -> None:
    assert len(SCRIPTS) >= 20
