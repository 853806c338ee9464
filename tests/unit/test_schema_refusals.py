"""Class bodies and names that are refused, with what is said. A definition that failed leaves nothing behind."""

import re
import textwrap
from typing import Annotated, Any, ClassVar

import pytest

from object_database import DatabaseConnection, Index, Indexed, Object, OneOf, Schema
from object_database.errors import SchemaError, ValueTypeError


def defined_with(body: str, name: str = "Thing") -> None:
    """Defines a class with this body on a schema named `s`."""
    names = {"ClassVar": ClassVar, "Annotated": Annotated, "Index": Index, "Indexed": Indexed, "OneOf": OneOf}
    schema = Schema("s")
    code = f"@schema.define\nclass {name}:\n{textwrap.indent(body, '    ')}"
    exec(compile(code, "body", "exec", dont_inherit=True), {**names, "schema": schema, "__name__": __name__})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("n = 5", "s.Thing.n = 5 is neither a field, an index nor a method"),
        ("n = 5", "`n: int = 5`"),
        ("n = 5", "`n: ClassVar = 5`"),
        ("n = 'text'", "s.Thing.n = 'text' is neither"),
        ("n = None", "s.Thing.n"),
        ("n = [int]", "s.Thing.n"),
        ("n = list", "s.Thing.n: a field cannot be a <class 'list'>"),
        ("n = object()", "s.Thing.n"),
        ("n: list", "s.Thing.n: a field cannot be a <class 'list'>"),
        ("n: list[complex]", "s.Thing.n: a field cannot be a <class 'complex'>: write tuple[float, float]"),
        ("n: int | list", "s.Thing.n"),
        ("n: 5", "s.Thing.n: a field cannot be a 5"),
        ("n: 'nowhere'", "s.Thing.n: the annotation 'nowhere' cannot be resolved: name 'nowhere' is not defined"),
        ("n: 'int +'", "s.Thing.n: the annotation 'int +' cannot be resolved"),
        ("n: complex", "s.Thing.n: a field cannot be a <class 'complex'>"),
        ("class Inner: pass", "s.Thing.Inner: a field cannot be a"),
        (
            "n = Indexed(list)",
            "Indexed takes the type of a field: a field cannot be a <class 'list'>: write list[int], say",
        ),
        ("n: Indexed[list]", "s.Thing.n"),
        ("n: int = 'five'", "s.Thing.n (default): str was given, and the field takes int"),
        ("n: int = 1.5", "s.Thing.n (default): float was given, and the field takes int"),
        ("n: str = None", "s.Thing.n (default): NoneType was given, and the field takes str"),
        ("a: int\nby_b = Index('b')", "s.Thing.by_b is an index over 'b', which is no field"),
        ("a: int\nby_b = Index()", "an Index needs the name of a field"),
        ("a: int\nby_b = Index('b')", "there is 'a'"),
        (
            "customer: int\nby = Index('custmer')",
            "s.Thing.by is an index over 'custmer', which is no field; did you mean 'cu",
        ),
        ("by_b = Index('b')", "which is no field; there is none"),
        ("a: int\nby_a = Index(['a'])", "an Index takes names of fields: Index('state', 'number'), and not ['a']"),
        (
            "a: int\nby_a: Index('a')",
            "s.Thing.by_a: a field cannot be a Index('a'): an index is no type; it is written",
        ),
        (
            "a: int\nby_a = Index",
            "s.Thing.by_a: a field cannot be a <class 'object_database.schema_fields.Index'>: an index",
        ),
        (
            "a: int\na = Index('a')",
            "s.Thing.a is a field and an index: give the index another name, or write `a: Indexed",
        ),
        ("a: int\ndef a(self): pass", "s.Thing.a is a field and a method: give one of them another name"),
        ("a: int\n@property\ndef a(self): pass", "s.Thing.a is a field and a method"),
        ("a: int = lambda: 5", "s.Thing.a: its default is a function, and would be one value for all objects"),
        ("a: Indexed[int] | None", "Indexed stands around the whole type of a field: Indexed[int | None]"),
        ("a: 'None | Indexed[int]'", "s.Thing.a: Indexed stands around the whole type of a field"),
        ("a: int\nlookupOne = Index('a')", "s.Thing.lookupOne: the name is taken by every object"),
        ("exists: bool", "s.Thing.exists: the name is taken by every object"),
        ("delete = int", "s.Thing.delete: the name is taken by every object"),
        ("_identity: int", "s.Thing._identity: the name is taken by every object"),
        ("lookupAll: int", "s.Thing.lookupAll: the name is taken by every object"),
    ],
)
def test_a_class_body_that_cannot_be_meant_so_is_refused(body: str, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        defined_with(body)


def test_an_integer_default_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError, match=r"s\.Thing\.n"):
        defined_with(f"n: int = {2**63}")


@pytest.mark.parametrize("name", ["_Private", "define", "freeze", "name"])
def test_a_type_cannot_take_a_name_of_the_schema_itself(name: str) -> None:
    with pytest.raises(SchemaError, match=f"a type of a schema cannot be named '{name}'"):
        defined_with("n: int", name)


def test_a_type_is_defined_once() -> None:
    schema = Schema("once")

    @schema.define
    class Thing:
        pass

    with pytest.raises(SchemaError, match=r"once\.Thing is defined already"):
        schema.define(type("Thing", (), {}))


def test_a_base_that_was_never_defined_is_refused() -> None:
    schema = Schema("bases")

    class Undefined(Object):
        pass

    with pytest.raises(SchemaError, match=r"bases\.Thing: its base Undefined is not defined on a schema"):

        @schema.define
        class Thing(Undefined):
            pass


@pytest.mark.parametrize("was_named", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        {"by_b": Index("b")},
        {"a": 5},
        {"__annotations__": {"a": int}, "a": "no int"},
        {"__annotations__": {"a": "Lost"}, "b": 5},
        {"__slots__": ("extra",)},
    ],
)
def test_a_definition_that_failed_can_be_corrected(
    body: dict[str, Any], was_named: bool, db: DatabaseConnection
) -> None:
    schema = Schema("corrected")
    if was_named:
        schema.Thing
    with pytest.raises(SchemaError if "a" not in body or body["a"] == 5 else ValueTypeError):
        if "__slots__" in body:  # a layout of its own cannot be shared by all objects
            schema.define(type("Thing", (type("Slotted", (), body),), {}))
        else:
            schema.define(type("Thing", (), body))

    @schema.define
    class Thing:
        b: Indexed[int]

    db.subscribeToSchema(schema)  # nothing of the first try is left, not even what it referred to
    with db.transaction():
        Thing(b=1)
        assert len(Thing.lookupAll(b=1)) == 1


def test_a_schema_needs_a_name() -> None:
    for name in ("", 5, None, "a b", "a,b", "a.", "x" * 2000, "\ud800"):
        with pytest.raises(SchemaError, match="a schema needs a name"):
            Schema(name)  # type: ignore[arg-type]
    assert Schema("core.größe").name == "core.größe"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({f"field_{i}": int for i in range(4097)}, "limits.Thing has more than 4096 fields"),
        ({"a": int, **{f"by_{i}": Index("a") for i in range(257)}}, "limits.Thing has more than 256 indexes"),
        (
            {**{f"field_{i}": int for i in range(65)}, "by": Index(*[f"field_{i}" for i in range(65)])},
            "limits.Thing.by is an index over more than 64 fields",
        ),
        ({"x" * 2000: int}, "limits.Thing: no field or index can be named 'xxx"),
        ({"a b": int}, "limits.Thing: no field or index can be named 'a b'"),
        ({"a": int, "b,c": Index("a")}, "limits.Thing: no field or index can be named 'b,c'"),
    ],
)
def test_what_every_server_would_refuse_is_refused_where_it_is_defined(members: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=f"^{re.escape(message)}"):
        Schema("limits").define(type("Thing", (), members))


def test_names_that_are_no_text_are_refused() -> None:
    for name in ("half_\ud800", "\udfff"):
        with pytest.raises(ValueError):  # UnicodeEncodeError
            Schema("surrogates").define(type("Thing", (), {name: int}))


def test_names_may_have_any_letters(db: DatabaseConnection) -> None:
    schema = Schema("größen")

    @schema.define
    class Größe:
        größe: Indexed[int]

    db.subscribeToSchema(schema)
    with db.transaction():
        made = Größe(größe=5)
        assert Größe.lookupOne(größe=5) == made


@pytest.mark.parametrize("body", [{"__slots__": ()}, {"__new__": lambda cls: None}])
def test_a_class_that_wants_to_make_its_objects_itself_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match="database types make their objects themselves"):
        Schema("made").define(type("Thing", (), {"number": int, **body}))
