"""Values of fields: what is stored, what is converted, what is refused (D10)."""

from __future__ import annotations

import enum
import math
import re
from typing import Any, Optional

import pytest

from object_database import DatabaseConnection, Indexed, InMemServer, OneOf, Schema
from object_database.errors import ValueTypeError
from object_database.types import field_spec

pytestmark = pytest.mark.sanitizer

schema = Schema("values")


@schema.define
class Friend:
    name: str


@schema.define
class Stranger:
    name: str


@schema.define
class Box:
    whole: int
    real: Indexed[float]
    truth: bool
    text: Indexed[str]
    raw: bytes
    nothing: None
    friend: Friend
    maybe_friend: Friend | None
    either_friend: OneOf(Friend, Stranger)
    maybe: Indexed[OneOf(None, int, str)]
    real_or_whole: OneOf(float, int)
    truth_or_whole: OneOf(bool, int)
    text_or_raw: str | bytes
    none_or_real: OneOf(None, float)


class Colour(enum.IntEnum):
    RED = 3


class Name(str):
    pass


@pytest.fixture
def box(db: DatabaseConnection) -> Box:
    db.subscribeToSchema(schema)
    with db.transaction():
        return Box()


def stored(db: DatabaseConnection, box: Box, field: str, value: Any) -> Any:
    """What a field holds after it was assigned and committed."""
    with db.transaction():
        setattr(box, field, value)
    with db.view():
        return getattr(box, field)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("whole", 0, 0),
        ("whole", -1, -1),
        ("whole", 2**63 - 1, 2**63 - 1),
        ("whole", -(2**63), -(2**63)),
        *[
            ("whole", sign * (1 << bits) + d, sign * (1 << bits) + d)
            for sign in (1, -1)
            for bits in (8, 32, 62)
            for d in (-1, 0, 1)
        ],
        ("whole", True, 1),
        ("whole", Colour.RED, 3),
        ("real", 1.5, 1.5),
        ("real", -0.0, -0.0),
        ("real", 1, 1.0),
        ("real", True, 1.0),
        ("real", math.inf, math.inf),
        ("real", 5e-324, 5e-324),
        ("real", 2**53, 2.0**53),
        ("truth", True, True),
        ("truth", False, False),
        ("text", "", ""),
        ("text", "größe \0 \U0001f600", "größe \0 \U0001f600"),
        ("text", "x" * 100_000, "x" * 100_000),
        ("text", Name("ada"), "ada"),
        ("raw", b"", b""),
        ("raw", bytes(range(256)), bytes(range(256))),
        ("nothing", None, None),
        ("maybe", None, None),
        ("maybe", 5, 5),
        ("maybe", "five", "five"),
        ("maybe", "", ""),
        ("maybe", True, 1),
        ("text_or_raw", b"raw", b"raw"),
        ("text_or_raw", "text", "text"),
        # the arm whose type the value has exactly, else the first that converts
        ("real_or_whole", 1, 1),
        ("real_or_whole", 1.0, 1.0),
        ("real_or_whole", True, 1.0),
        ("truth_or_whole", 1, 1),
        ("truth_or_whole", True, True),
        ("none_or_real", 3, 3.0),
        ("none_or_real", None, None),
    ],
)
def test_a_value_is_stored(db: DatabaseConnection, box: Box, field: str, value: Any, expected: Any) -> None:
    found = stored(db, box, field, value)
    assert repr(found) == repr(expected)  # also tells 1 from 1.0 from True, and 0.0 from -0.0
    assert type(found) is type(expected)


def test_a_nan_is_stored(db: DatabaseConnection, box: Box) -> None:
    assert math.isnan(stored(db, box, "real", math.nan))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("whole", 1.0, "values.Box.whole: float was given, and the field takes int"),
        ("whole", "1", "values.Box.whole: str was given, and the field takes int"),
        ("whole", None, "values.Box.whole: NoneType was given, and the field takes int"),
        ("real", "1.5", "values.Box.real: str was given, and the field takes float"),
        ("real", 1j, "values.Box.real: complex was given, and the field takes float"),
        ("truth", 1, "values.Box.truth: int was given, and the field takes bool"),
        ("truth", 0.0, "values.Box.truth: float was given, and the field takes bool"),
        ("truth", None, "values.Box.truth: NoneType was given, and the field takes bool"),
        ("text", 5, "values.Box.text: int was given, and the field takes str"),
        ("text", b"text", "values.Box.text: bytes was given, and the field takes str"),
        ("raw", "raw", "values.Box.raw: str was given, and the field takes bytes"),
        ("raw", bytearray(b"raw"), "values.Box.raw: bytearray was given, and the field takes bytes"),
        ("nothing", 0, "values.Box.nothing: int was given, and the field takes None"),
        ("friend", None, "values.Box.friend: NoneType was given, and the field takes values.Friend"),
        ("friend", 5, "values.Box.friend: int was given, and the field takes values.Friend"),
        ("maybe_friend", "x", "values.Box.maybe_friend: str was given, and the field takes None or values.Friend"),
        ("maybe", 1.5, "values.Box.maybe: float was given, and the field takes None or int or str"),
        ("maybe", [1], "values.Box.maybe: list was given, and the field takes None or int or str"),
        ("text_or_raw", 5, "values.Box.text_or_raw: int was given, and the field takes str or bytes"),
    ],
)
def test_a_value_of_another_type_is_refused(
    db: DatabaseConnection, box: Box, field: str, value: Any, message: str
) -> None:
    with db.transaction():
        before = getattr(box, field)
        with pytest.raises(ValueTypeError, match=f"^{re.escape(message)}$"):
            setattr(box, field, value)
        assert getattr(box, field) == before
    with db.transaction():
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            Box(**{field: value})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64, 10**400])
@pytest.mark.parametrize("field", ["whole", "maybe", "real_or_whole"])
def test_an_integer_that_does_not_fit_is_refused(db: DatabaseConnection, box: Box, field: str, value: int) -> None:
    with db.transaction():
        with pytest.raises(OverflowError, match=rf"^values\.Box\.{field}: -?\d+ does not fit into 64 bits"):
            setattr(box, field, value)


def test_an_integer_beyond_every_float_is_refused(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        with pytest.raises(OverflowError):
            box.real = 10**400


def test_text_that_is_no_unicode_is_refused(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        with pytest.raises(ValueError, match=r"^values\.Box\.text: a str with lone surrogates cannot be stored"):
            box.text = "half \ud800"


def test_references_take_their_type_alone(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        friend, stranger = Friend(name="Ada"), Stranger(name="Bob")
        box.friend = box.maybe_friend = friend
        for either in (friend, stranger):
            box.either_friend = either
            assert box.either_friend == either
        with pytest.raises(TypeError, match=r"values\.Stranger was given, and the field takes values\.Friend$"):
            box.friend = stranger
    with db.view():
        assert (box.friend, box.maybe_friend, box.either_friend) == (friend, friend, stranger)


def test_a_reference_may_outlive_what_it_refers_to(db: DatabaseConnection, box: Box) -> None:
    with db.transaction():
        box.friend = Friend(name="Ada")
    with db.transaction():
        box.friend.delete()
    with db.view():
        assert box.friend
        assert not box.friend.exists()


# ---- values as keys of an index


@pytest.mark.parametrize(
    ("stored", "looked_up"),
    [(1.0, 1), (1, 1.0), (0.0, -0.0), (-0.0, 0), (math.inf, math.inf), (math.nan, math.nan), (-math.nan, math.nan)],
)
def test_floats_that_are_the_same_number_are_one_key(
    db: DatabaseConnection, box: Box, stored: float, looked_up: float
) -> None:
    with db.transaction():
        box.real = stored
        assert Box.lookupAll(real=looked_up) == (box,)
    with db.view():
        assert Box.lookupAll(real=looked_up) == (box,)


def test_keys_of_different_types_are_different(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        made = {value: Box(maybe=value) for value in (None, 0, 1, "", "1", "0")}
    with db.view():
        assert {value: Box.lookupAll(maybe=value) for value in made} == {value: (box,) for value, box in made.items()}


@pytest.mark.parametrize("text", ["", "\0", "a", "a\0", "a\0b", "aa", "ä", "\U0010ffff"])
def test_text_with_any_character_is_a_key(db: DatabaseConnection, text: str) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        others = [Box(text=other) for other in ("\0\0", "a\0\0", "b", "\1")]
        box = Box(text=text)
    with db.view():
        assert Box.lookupAll(text=text) == (box,)
        assert Box.lookupAll(text="a\0\0") == (others[1],)


# ---- OneOf


def test_one_of_is_flat_and_has_no_arm_twice() -> None:
    assert OneOf(None, OneOf(int, None), int, str) == OneOf(None, int, str)
    assert OneOf(None, int) != OneOf(int, None)
    assert repr(OneOf(None, int, str)) == "OneOf(None, int, str)"
    assert (OneOf(None, int) | str) == OneOf(None, int, str) == (None | OneOf(int, str))
    assert hash(OneOf(None, int)) == hash(OneOf(None, int))


@pytest.mark.parametrize("arms", [(), (int, list), (int, 1j), (int, Colour.RED), ([1],)])
def test_one_of_takes_types_and_values(arms: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="OneOf takes types and values"):
        OneOf(*arms)


def test_one_of_a_single_arm_is_that_arm() -> None:
    """OneOf(*names), however many there are."""
    single = Schema("single")

    @single.define
    class Only:
        state: OneOf("new")  # type: ignore[valid-type]
        number: OneOf(int, OneOf(int))  # type: ignore[valid-type]

    assert OneOf(int) is OneOf(int, int)
    assert (OneOf(int).Types, OneOf("new").Types, str(OneOf(int))) == ((int,), ("new",), "OneOf(int)")
    with InMemServer(auth_token="t") as server, server.connect("t") as db:
        db.subscribeToSchema(single)
        with db.transaction():
            only = Only(number=3)
            assert (only.state, only.number) == ("new", 3)
            with pytest.raises(TypeError, match="Only.state: 'old' was given, and the field takes 'new'"):
                only.state = "old"


# ---- numpy


def test_numpy_scalars_convert_by_the_same_rules(db: DatabaseConnection, box: Box) -> None:
    numpy = pytest.importorskip("numpy")
    assert repr(stored(db, box, "whole", numpy.int64(-5))) == "-5"
    assert repr(stored(db, box, "whole", numpy.uint8(200))) == "200"
    assert repr(stored(db, box, "whole", numpy.bool_(True))) == "1"
    assert repr(stored(db, box, "real", numpy.float32(0.5))) == "0.5"
    assert repr(stored(db, box, "real", numpy.float64(0.1))) == "0.1"
    assert repr(stored(db, box, "real", numpy.int16(3))) == "3.0"
    assert repr(stored(db, box, "truth", numpy.bool_(True))) == "True"
    assert repr(stored(db, box, "text", numpy.str_("x"))) == "'x'"
    assert repr(stored(db, box, "raw", numpy.bytes_(b"x"))) == "b'x'"
    assert repr(stored(db, box, "maybe", numpy.int32(7))) == "7"
    for field, value in [
        ("whole", numpy.float64(1.0)),
        ("truth", numpy.int64(1)),
        ("whole", numpy.array([1])),
        ("real", numpy.array([1.5])),
        ("real", numpy.array(1.5)),
        ("real", numpy.complex128(1)),
    ]:
        with db.transaction(), pytest.raises(TypeError, match=rf"values\.Box\.{field}: numpy\.\S+ was given"):
            setattr(box, field, value)
    with db.transaction(), pytest.raises(OverflowError):
        box.whole = numpy.uint64(2**63)


def test_none_comes_first_in_a_union_wherever_it_is_written() -> None:
    assert field_spec(int | None) == field_spec(None | int) == field_spec(Optional[int])  # noqa: UP045
    assert field_spec(int | None) == ("oneof", "none", "int")
    assert field_spec(OneOf(int, None)) == ("oneof", "int", "none")
