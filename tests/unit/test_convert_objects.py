"""Fields of any value (D33): a closed set, what programs register, and pickles where both ends want them."""

from __future__ import annotations

import datetime as dt
import enum
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest

from object_database import DatabaseConnection, Indexed, RevisionConflictException, Schema, types
from object_database.errors import CodecError, SchemaError, SchemaMismatchError, ValueTypeError
from object_database.server import Server
from object_database.types import Alternative, FrozenDict, register_codec, register_record
from tests.conftest import TOKEN

pytestmark = pytest.mark.sanitizer

schema = Schema("anything")


@register_record
class Pair(NamedTuple):
    left: object
    right: int = 0


@register_record
@dataclass(frozen=True)
class Spot:
    x: int
    y: float = 0.5


Outline = register_record(Alternative("Outline", Circle={"r": float}, Empty={}))


class Stranger(NamedTuple):
    x: int


class Colour(enum.Enum):
    RED = 1


class Plain:
    def __init__(self, number: int):
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.number == self.number

    __hash__ = None  # type: ignore[assignment]


register_codec(Fraction, lambda it: (it.numerator, it.denominator), lambda pair: Fraction(*pair))


@schema.define
class Box:
    it: object
    key: Indexed[object]


MOMENT = dt.datetime(2024, 1, 31, 12, 30, 15, 999999, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
VALUES: list[tuple[Any, Any]] = [
    *((value, value) for value in (None, True, 5, -1.5, "text", b"raw", MOMENT, MOMENT.date(), MOMENT.time())),
    *((value, value) for value in (dt.timedelta(days=-1, seconds=5), Decimal("1.50"), uuid.UUID(int=77))),
    ([1, "a", [None]], (1, "a", (None,))),
    ({"b": 1, 2: ["x"]}, FrozenDict({2: ("x",), "b": 1})),
    ({1, "a"}, frozenset({1, "a"})),
    (Pair([1], 2), Pair((1,), 2)),
    (Pair(Pair(1)), Pair(Pair(1))),
    (Spot(1), Spot(1)),
    (Outline.Circle(r=2), Outline.Circle(r=2.0)),
    (Outline.Empty(), Outline.Empty()),
    (Fraction(1, 3), Fraction(1, 3)),
    ([Fraction(1, 3)], (Fraction(1, 3),)),
]


@pytest.mark.parametrize(("given", "read"), VALUES, ids=[repr(value)[:40] for value, _ in VALUES])
def test_an_object_field_gives_what_it_was_given_as_values(db: DatabaseConnection, given: Any, read: Any) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box(it=given, key=given)
    with db.view():
        assert (box.it, type(box.it)) == (read, type(read))
        assert Box.lookupAll(key=given) == (box,)


def test_an_object_field_holds_objects_of_the_database(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        first = Box()
        second = Box(it=[first, {"a": first}], key=first)
    with db.view():
        assert first.it is None
        assert second.it == (first, {"a": first})
        assert Box.lookupAll(key=first) == (second,)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Colour.RED, "Colour was given, and an object field holds no Enum members"),
        (Stranger(1), r"Stranger was given, and an object field cannot hold it: register_record\(Stranger\)"),
        (Plain(1), r"register_codec\(Plain, ...\) makes it known"),
        ([Plain(1)], r"anything\.Box\.it\[0\]: Plain was given"),
        ({"a": Plain(1)}, r"anything\.Box\.it\['a'\]: Plain was given"),
        (Plain, r"anything\.Box\.it: type was given"),
        (1 << 63, "does not fit into 64 bits"),
        (object(), "object was given"),
        (iter([1]), "list_iterator was given"),
    ],
)
def test_what_an_object_field_does_not_hold_is_refused(db: DatabaseConnection, value: Any, words: str) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises((ValueTypeError, OverflowError), match=words):
            Box(it=value)


def test_pickles_need_a_word_from_who_writes_and_from_who_reads(
    server: Server, connect_db: Callable[[], DatabaseConnection]
) -> None:
    careful, trusting = connect_db(), server.connect(TOKEN, allow_pickle=True)
    careful.subscribeToSchema(schema)
    trusting.subscribeToSchema(schema)
    with trusting.transaction():
        box = Box(it=[Plain(5), 1])
    with trusting.view():
        assert box.it == (Plain(5), 1)
        assert box.it is not box.it  # whoever has it may change it
        box.it[0].number = 6
        assert box.it[0].number == 5
    careful.waitForCondition(lambda: Box.lookupAny() is not None, 10)
    with careful.view():
        with pytest.raises(SchemaMismatchError, match=r"anything\.Box\.it: .*it is a pickle.*allow_pickle=True"):
            _ = box.it
        assert box.key is None
    with careful.transaction(), pytest.raises(ValueTypeError):
        box.it = Plain(7)
    trusting.disconnect()


def test_a_pickle_is_no_key(server: Server) -> None:
    db = server.connect(TOKEN, allow_pickle=True)
    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box(key=5)
        for work in (lambda: Box(key=Plain(1)), lambda: setattr(box, "key", (1, Plain(1)))):
            with pytest.raises(ValueTypeError, match=r"anything\.Box\.key: a pickle cannot be an index key"):
                work()
        with pytest.raises(ValueTypeError, match="a pickle cannot be an index key"):
            Box.lookupAll(key=Plain(1))
        assert box.key == 5
    db.disconnect()


def test_what_a_codec_makes_is_read_anew_every_time(db: DatabaseConnection) -> None:
    class Counter:
        def __init__(self, count: int):
            self.count = count

    register_codec(Counter, lambda it: it.count, Counter, name="test.Counter")
    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box(it=Counter(5))
    with db.view():
        box.it.count += 1
        assert box.it.count == 5


def test_codecs_may_fail_and_may_nest(db: DatabaseConnection) -> None:
    class Fails:
        pass

    class Chain:
        pass

    def fail(_: Any) -> Any:
        raise LookupError("mine")

    register_codec(Fails, fail, fail, name="test.Fails")
    register_codec(Chain, lambda it: it, fail, name="test.Chain")
    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(CodecError, match="Box.it: encode of the codec 'test.Fails' raised LookupError: mine"):
            Box(it=Fails())
        with pytest.raises(ValueTypeError, match="nests at most 64 deep"):
            Box(it=Chain())


class Coin:
    """Its codec and its hash raise what they are told to."""

    def __init__(self, raised: BaseException | None = None, by: str = ""):
        self.raised, self.by = raised, by

    def __hash__(self) -> int:
        return self.fails("hash") or 5

    def fails(self, by: str) -> None:
        if self.raised is not None and self.by == by:
            raise self.raised


def _coin_of(_: Any) -> Coin:
    TO_DECODE.fails("decode")
    return TO_DECODE


TO_DECODE = Coin()
register_codec(Coin, lambda coin: coin.fails("encode"), _coin_of, name="Coin")

PLACES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda coin: coin, ""),
    (lambda coin: [0, [coin]], "[1][0]"),
    (lambda coin: {"a": {7: [coin]}}, "['a'][7][0]"),
    (lambda coin: {(1, coin): 5}, " (a key)[1]"),
    (lambda coin: {coin}, " (an item)"),
    (lambda coin: Pair({5: Pair(coin)}), ".left[5].left"),
]


@pytest.mark.parametrize(("around", "place"), PLACES)
def test_what_a_codec_raises_names_the_field_and_the_place(db: DatabaseConnection, around: Any, place: str) -> None:
    where = re.escape(f"anything.Box.it{place}: ")
    db.subscribeToSchema(schema)
    mine = LookupError("mine")
    with db.transaction():
        box = Box(it=around(Coin()))
        with pytest.raises(CodecError, match=f"^{where}encode of the codec 'Coin' raised LookupError: mine$") as told:
            box.it = around(Coin(mine, "encode"))
        assert told.value.__cause__ is mine
        assert mine.__traceback__ is not None
    TO_DECODE.raised, TO_DECODE.by = mine, "decode"
    try:
        with (
            db.view(),
            pytest.raises(CodecError, match=f"^{where}decode of the codec 'Coin' raised LookupError: mine$") as told,
        ):
            print(box.it)
        assert told.value.__cause__ is mine
    finally:
        TO_DECODE.raised = None
    with db.view():
        assert "Coin" in repr(box.it)  # and nothing is left of the failure


def test_what_cannot_be_hashed_when_it_is_read_names_the_field(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box(it=[{Coin()}])
        key = Box(it={"a": {Coin(): 1}})
    TO_DECODE.raised, TO_DECODE.by = TypeError("unhashable"), "hash"
    try:
        with db.view():
            with pytest.raises(
                CodecError, match=r"Box.it\[0\] \(an item\): putting it into a set raised TypeError: .*unhashable"
            ):
                print(box.it)
            with pytest.raises(CodecError, match=r"Box.it\['a'\] \(a key\): putting it into a dict raised TypeError"):
                print(key.it)
    finally:
        TO_DECODE.raised = None


def test_a_struct_that_does_not_let_itself_be_made_names_the_field(db: DatabaseConnection) -> None:
    msgspec = pytest.importorskip("msgspec")
    is_strict = False

    class Even(msgspec.Struct, frozen=True):  # type: ignore[misc]
        number: int

        def __post_init__(self) -> None:
            if is_strict:
                raise ValueError("odd")

    evens = Schema("evens")

    @evens.define
    class Place:
        at: tuple[Even, ...]

    db.subscribeToSchema(evens)
    with db.transaction():
        place = Place(at=[Even(5)])
    is_strict = True
    with (
        db.view(),
        pytest.raises(CodecError, match=r"^evens.Place.at\[0\]: the constructor of Even raised ValueError: odd$"),
    ):
        print(place.at)


def test_a_conflict_in_a_codec_is_worth_a_retry_and_an_interrupt_stays_one(db: DatabaseConnection) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError

    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box()
        for raised, is_retryable in ((RevisionConflictException(), True), (LookupError(), False), (Silent(), False)):
            with pytest.raises(CodecError, match=f"raised {type(raised).__name__}") as told:
                box.it = Coin(raised, "encode")
            assert told.value.retryable is is_retryable
        with pytest.raises(KeyboardInterrupt):
            box.it = Coin(KeyboardInterrupt(), "encode")
        with pytest.raises(MemoryError):
            box.it = Coin(MemoryError(), "encode")


def test_registrations_that_cannot_be_meant_so_are_refused() -> None:
    with pytest.raises(SchemaError, match="is registered already"):
        register_codec(Plain, repr, eval, name="fractions.Fraction")
    for held in (type(None), bool, int, float, str, bytes, tuple, list, dict, set, frozenset, FrozenDict):
        with pytest.raises(SchemaError, match="as it is"):
            register_codec(held, repr, eval)
    with pytest.raises(SchemaError, match="object fields hold references to"):
        register_codec(Box, repr, eval)
    with pytest.raises(SchemaError):
        register_record(int)
    with pytest.raises(SchemaError, match=r"NamedTuple\(x: int\) has no name that its values could be known by"):
        register_record(types.NamedTuple(x=int))
    with pytest.raises(ValueTypeError, match="two functions"):
        register_codec(Plain, None, eval)  # type: ignore[arg-type]


def test_a_definition_makes_the_records_that_it_names_known(db: DatabaseConnection) -> None:
    class Later(NamedTuple):
        x: int

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(ValueTypeError, match="register_record"):
            Box(it=Later(1))
    Schema("definitions").define(type("Thing", (), {"__annotations__": {"it": Later}}))
    with db.transaction():
        box = Box(it=Later(1))
    with db.view():
        assert (box.it, type(box.it)) == (Later(1), Later)


def record_of(module: str, name: str) -> Any:
    members = {"__annotations__": {"x": int}, "__module__": module}
    return dataclass(frozen=True)(type(name, (), members))


def test_of_records_of_one_name_the_registered_one_is_meant(db: DatabaseConnection) -> None:
    one, other = record_of("one", "Grown"), record_of("other", "Grown")
    both = Schema("both")
    for name, each in (("One", one), ("Other", other)):
        both.define(type(name, (), {"__annotations__": {"it": each}}))
    db.subscribeToSchema(schema)
    with db.transaction():
        for each in (one, other):
            with pytest.raises(ValueTypeError, match="Grown was given, and there are several records of its name"):
                Box(it=each(1))
    register_record(one)
    with pytest.raises(SchemaError, match="another Grown is registered already"):
        register_record(other)
    with db.transaction():
        box = Box(it=one(1))
        with pytest.raises(ValueTypeError, match="several records of its name"):
            box.it = other(2)
    with db.view():
        assert type(box.it) is one


def test_a_record_whose_module_is_loaded_again_is_read_as_the_new_class(db: DatabaseConnection) -> None:
    before = register_record(record_of("again", "Again"))
    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box(it=before(1))
    anew = register_record(record_of("again", "Again"))
    with db.view():
        assert type(box.it) is anew
