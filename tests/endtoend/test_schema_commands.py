"""odb schema as people run it: on stores, and beside servers that use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from object_database import Indexed, InMemServer, OneOf, Schema, TcpServer
from object_database.persistence import SqlitePersistence
from tests.endtoend.test_tools import done, odb, refused

OLD = """
from object_database import Indexed, Index, Schema

shop = Schema("shop")

@shop.define
class Customer:
    name: str

@shop.define
class Order:
    number: Indexed[int]
    by: Customer
    note: str
    by_note = Index("note", "number")
"""
NEW = OLD.replace("number: Indexed[int]", "number: Indexed[int | None]").replace(
    "note: str", 'note: int\n    state: str = "new"'
)


def program(text: str) -> dict[str, type]:
    names: dict[str, type] = {"__name__": __name__}  # type: ignore[dict-item]
    exec(text, names)
    return names


def fill(path: Path) -> None:
    names = program(OLD)
    shop, customer, order = names["shop"], names["Customer"], names["Order"]
    with InMemServer(kvstore=SqlitePersistence(path / "objects.sqlite"), auth_token="t") as server:
        with server.connect("t") as db:
            db.subscribeToSchema(shop)
            with db.transaction():
                ada = customer(name="Ada")
                for number in range(5):
                    order(number=number, by=ada, note="x" * number)


SHOWN = """\
shop.Customer
    name  str
shop.Order
    number   int
    by       shop.Customer
    note     str
    number   index over number
    by_note  index over note, number
"""


def without_fingerprints(shown: str) -> str:
    return re.sub(r"  \(fingerprint [0-9a-f]{16}\)$", "", shown, flags=re.MULTILINE)


def test_show_tells_the_same_of_a_store_and_of_its_server(tmp_path: Path) -> None:
    fill(tmp_path)
    of_store = done("--data-dir", tmp_path, "schema", "show")
    assert without_fingerprints(of_store) == SHOWN
    customer = done("schema", "show", "shop.Customer", "--data-dir", tmp_path)
    assert without_fingerprints(customer) == "shop.Customer\n    name  str\n"
    with TcpServer("localhost", 0, SqlitePersistence(tmp_path / "objects.sqlite"), None, "t") as server:
        where = ("--server", f"localhost:{server.port}", "--service-token", "t")
        assert done("schema", "show", *where, "shop") == of_store
        assert "token" in refused("schema", "show", *where[:3], "wrong")
        assert "shop.Nothing" in refused("schema", "show", *where, "shop.Nothing")


def test_diff_tells_what_a_definition_would_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    (tmp_path / "old_shop.py").write_text("from object_database import core_schema  # the server's own\n" + OLD)
    (tmp_path / "new_shop.py").write_text(NEW)
    monkeypatch.chdir(tmp_path)
    assert (
        done("--data-dir", ".", "schema", "diff", "old_shop")
        == "shop: the schema is there as it is; nothing would change\n"
    )
    found = odb("--data-dir", ".", "schema", "diff", "new_shop:shop")
    assert found.returncode == 1, found.stderr
    lines = [line.strip() for line in found.stdout.splitlines()]
    assert lines[0] == "shop:"
    assert any(line.startswith("makes wider shop.Order.number") for line in lines)
    assert any(
        line.startswith("refused: shop.Order.note is str on this server, and int in this program") for line in lines
    )
    assert any(line.startswith("adds field shop.Order.state") for line in lines)
    assert "no schema other" in refused("--data-dir", ".", "schema", "diff", "new_shop:other")
    assert "cannot be imported" in refused("--data-dir", ".", "schema", "diff", "no_such_module")
    Path("with_a_slip.py").write_text("import object_database\nx = objct_database\n")
    said = refused("--data-dir", ".", "schema", "diff", "with_a_slip")
    assert "NameError in " in said
    assert "with_a_slip.py, line 2" in said


def test_what_is_dropped_can_be_defined_anew(tmp_path: Path) -> None:
    fill(tmp_path)
    store = ("--data-dir", tmp_path)
    with InMemServer(kvstore=SqlitePersistence(tmp_path / "objects.sqlite"), auth_token="t"):
        assert "server" in refused(*store, "schema", "drop", "shop.Order.note", "--yes")
    assert "drop that first" in refused(*store, "schema", "drop", "shop.Order.note", "--yes")
    assert "--yes" in refused(*store, "schema", "drop", "shop.Order.by_note", stdin="")
    assert "no object loses" in done(*store, "schema", "drop", "shop.Order.by_note", "--yes")
    assert "5 objects lose its value" in done(*store, "schema", "drop", "shop.Order.note", "--yes")
    assert "--field" in refused(*store, "schema", "drop", "shop.Order.number", "--yes")
    assert done(*store, "check")
    names = program(NEW)
    with InMemServer(kvstore=SqlitePersistence(tmp_path / "objects.sqlite"), auth_token="t") as server:
        with server.connect("t") as db:
            db.subscribeToSchema(names["shop"])
            with db.transaction():
                orders = names["Order"].lookupAll()
                assert [(each.number, each.by.name, each.note, each.state) for each in orders] == [
                    (number, "Ada", 0, "new") for number in range(5)
                ]
                orders[0].note = 7
            with db.view():
                assert names["Order"].lookupOne(by_note=(7, 0)) == orders[0]
        server._core.check()
    done(*store, "check")
    done(*store, "export", tmp_path / "objects.jsonl")
    done("--data-dir", tmp_path / "other", "import", tmp_path / "objects.jsonl")
    done("--data-dir", tmp_path / "other", "check")


def test_a_type_is_dropped_with_its_objects(tmp_path: Path) -> None:
    fill(tmp_path)
    store = ("--data-dir", tmp_path)
    assert "shop.Order.by can refer to shop.Customer" in refused(*store, "schema", "drop", "shop.Customer", "--yes")
    assert "5 objects are deleted" in done(*store, "schema", "drop", "shop.Order", "--yes")
    assert without_fingerprints(done(*store, "schema", "show")) == "shop.Customer\n    name  str\n"
    done(*store, "check")
    other = Schema("shop")

    @other.define
    class Order:
        number: Indexed[str]
        next: OneOf(None, other.Order)  # type: ignore[valid-type]

    with InMemServer(kvstore=SqlitePersistence(tmp_path / "objects.sqlite"), auth_token="t") as server:
        with server.connect("t") as db:
            db.subscribeToSchema(other)
            with db.transaction():
                Order(number="a", next=Order(number="b"))
            with db.view():
                assert len(Order.lookupAll(number="a")) == 1
    done(*store, "check")


def test_a_store_that_a_server_has_is_left_alone_and_no_option_is_named_that_there_is_not(tmp_path: Path) -> None:
    fill(tmp_path)
    with InMemServer(kvstore=SqlitePersistence(tmp_path / "objects.sqlite"), auth_token="t"):
        said = refused("--data-dir", tmp_path, "schema", "drop", "shop.Order.note", "--yes")
    assert re.search(r"is in use by a server, .* on \S+, process \d+, since .*: stop it first$", said.strip())
