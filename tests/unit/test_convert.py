"""The conversion engine: one for construction, assignment and lookups, whatever the program's own classes do meanwhile."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import gc
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from object_database import DatabaseConnection, Index, Indexed, Schema, _core
from object_database.errors import ObjectDatabaseError, SchemaMismatchError, ValueTypeError
from object_database.types import Alternative, OneOf
from object_database.types import NamedTuple as DatabaseNamedTuple

pytestmark = pytest.mark.sanitizer

schema = Schema("convert")


class Line(NamedTuple):
    item: str
    price: Decimal = Decimal(1)
    count: int = 1


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


Event = Alternative("Event", Nothing={}, Moved={"x": int, "to": str})


@schema.define
class Customer:
    name: str


@schema.define
class Order:
    number: Indexed[int]
    lines: Indexed[tuple[Line, ...]]
    state: Indexed[Literal["new", "paid"]] = "new"
    tags: frozenset[str]
    counts: Indexed[dict[str, int]]
    points: tuple[Point, ...]
    event: Indexed[OneOf(None, Event)]
    colour: Indexed[Colour]
    by: Customer
    placed: Indexed[dt.datetime | None]
    numbers: tuple[int, ...]
    either: OneOf(tuple[int, ...], tuple[str, ...], dict[str, int])
    nested: dict[str, list[list[int]]]
    by_customer_and_time = Index("by", "placed", "event")


@pytest.fixture
def order(db: DatabaseConnection) -> Any:
    db.subscribeToSchema(schema)
    with db.transaction():
        return Order()


# ---- errors


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("lines", 5, "convert.Order.lines: int was given, and the field takes tuple of Line"),
        ("lines", "tea", "convert.Order.lines: str was given, and the field takes tuple of Line"),
        ("lines", [("tea", "x", 1)], "convert.Order.lines[0].price: str was given, and the field takes Decimal"),
        ("lines", [("tea",)], "convert.Order.lines[0]: a tuple of 1 was given, and Line has 3 fields"),
        ("lines", [{"item": "tea", "prize": 1}], "convert.Order.lines[0]: Line has no field named 'prize'"),
        ("lines", [{}], "convert.Order.lines[0]: the field item of Line is missing"),
        ("counts", {"a": "b"}, "convert.Order.counts['a']: str was given, and the field takes int"),
        ("counts", {1: 1}, "convert.Order.counts (a key): int was given, and the field takes str"),
        ("counts", [("a", 1)], "convert.Order.counts: list was given, and the field takes dict of str to int"),
        ("tags", [1], "convert.Order.tags (an item): int was given, and the field takes str"),
        ("nested", {"a": [[1], ["x"]]}, "convert.Order.nested['a'][1][0]: str was given, and the field takes int"),
        ("state", "lost", "convert.Order.state: 'lost' was given, and the field takes 'new' or 'paid'"),
        ("colour", "red", "convert.Order.colour: str was given, and the field takes Colour"),
        (
            "placed",
            dt.date(2024, 1, 1),
            "convert.Order.placed: datetime.date was given, and the field takes None or datetime",
        ),
        ("either", [1, "a"], "convert.Order.either[1]: str was given, and the field takes int"),
        ("points", [(1, 2, 3)], "convert.Order.points[0]: a tuple of 3 was given, and Point has 2 fields"),
        ("event", "Moved", "convert.Order.event: str was given, and the field takes None or Event"),
    ],
)
def test_what_is_wrong_is_named_by_its_path_on_every_way_in(
    db: DatabaseConnection, order: Any, field: str, value: Any, message: str
) -> None:
    words = (
        re.escape(message.replace("Decimal: int", "the field item of Line is missing|x")) if "|" in message else None
    )
    expected = words or (
        re.escape("convert.Order.lines[0]") if message.endswith("Decimal: int was given") else f"^{re.escape(message)}$"
    )
    with db.transaction():
        with pytest.raises(ValueTypeError, match=expected):
            setattr(order, field, value)
        with pytest.raises(ValueTypeError, match=expected):
            Order(**{field: value})
        if field in ("lines", "counts", "state", "colour", "placed", "event"):
            with pytest.raises(ValueTypeError, match=expected):
                Order.lookupAll(**{field: value})


def endless() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def deep(levels: int) -> Any:
    made: Any = ()
    for _ in range(levels - 1):
        made = (made,)
    return made


def test_values_nest_64_deep_and_not_deeper(db: DatabaseConnection) -> None:
    boxes = Schema("boxes")

    @boxes.define
    class Box:
        it: object

    db.subscribeToSchema(boxes)
    with db.transaction():
        box = Box(it=deep(64))
        for value in (deep(65), endless(), {"a": endless()}, [deep(64)]):
            with pytest.raises(ValueTypeError, match=r"boxes\.Box\.it: a value nests at most 64 deep"):
                box.it = value
    with db.view():
        assert box.it == deep(64)


# ---- what fits is converted


def test_records_are_taken_by_name_and_in_order(db: DatabaseConnection, order: Any) -> None:
    class Other(NamedTuple):
        count: int
        item: str

    given = [("a", Decimal(2), 3), ["b", Decimal(2), 3], {"item": "c"}, Other(5, "d"), Line("e")]
    with db.transaction():
        order.lines = given
        order.points = [Point(1), (2, 3), {"x": 4}]
    with db.view():
        assert order.lines == (
            Line("a", Decimal(2), 3),
            Line("b", Decimal(2), 3),
            Line("c"),
            Line("d", count=5),
            Line("e"),
        )
        assert {type(line) for line in order.lines} == {Line}
        assert order.points == (Point(1), Point(2, 3), Point(4))
        assert Order.lookupOne(lines=given) == order


def test_the_arm_whose_elements_fit_is_taken(db: DatabaseConnection, order: Any) -> None:
    with db.transaction():
        for given, read in [([1], (1,)), (["a"], ("a",)), ((), ()), ({"a": 1}, {"a": 1}), (iter("ab"), ("a", "b"))]:
            order.either = given
            assert order.either == read


def test_a_composite_index_takes_references_optionals_alternatives_and_datetimes(db: DatabaseConnection) -> None:
    db.subscribeToSchema(schema)
    noon = dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone.utc)
    one = dt.datetime(2024, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    with db.transaction():
        customer = Customer(name="a")
        order = Order(by=customer, placed=noon, event=Event.Moved(x=1))
        other = Order(by=customer, event=Event.Moved(x=1))
    with db.view():
        assert Order.lookupAll(by_customer_and_time=(customer, one, Event.Moved(x=1))) == (order,)
        assert Order.lookupAll(by_customer_and_time=(customer, None, Event.Moved(x=1))) == (other,)
        assert Order.lookupAll(by_customer_and_time=(customer, noon, None)) == ()
        with pytest.raises(ValueTypeError, match=r"convert\.Order\.by: NoneType was given"):
            Order.lookupAll(by_customer_and_time=(None, noon, None))


zones = st.one_of(st.none(), st.integers(-86_399, 86_399).map(lambda s: dt.timezone(dt.timedelta(seconds=s))))
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "datetime": st.datetimes(timezones=zones),
    "date": st.dates(),
    "time": st.times(),
    "timedelta": st.timedeltas(dt.timedelta(microseconds=-(1 << 63)), dt.timedelta(microseconds=(1 << 63) - 1)),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "uuid": st.uuids(),
    "uint64": st.integers(0, (1 << 64) - 1),
}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(sorted(SCALARS)))
def test_values_of_the_standard_library_come_back(data: st.DataObject, name: str) -> None:
    value = data.draw(SCALARS[name])
    for spec in (name, ("oneof", "none", name)) if name == "uint64" else (name, ("oneof", "none", name), "object"):
        read = _core.convert(spec, value, "x")
        assert (read, type(read), str(read)) == (value, type(value), str(value))
        if isinstance(value, dt.datetime):
            assert read.utcoffset() == value.utcoffset()


@pytest.mark.parametrize(
    ("spec", "value", "words"),
    [
        ("time", dt.time(1, tzinfo=dt.timezone.utc), "x: a time with a tzinfo cannot be stored"),
        ("timedelta", dt.timedelta.max, "x: a timedelta of 999999999 days cannot be stored"),
        ("timedelta", dt.timedelta(microseconds=1 << 63), "x: a timedelta of 106751991 days cannot be stored"),
        ("timedelta", dt.timedelta(microseconds=-(1 << 63) - 1), "x: a timedelta of -106751992 days cannot be stored"),
        ("decimal", Decimal("NaN"), "x: a Decimal that is no finite number"),
        ("decimal", Decimal("-Infinity"), "x: a Decimal that is no finite number"),
        ("decimal", Decimal("1" * 1001), "x: a Decimal has at most 1000 digits"),
        ("decimal", Decimal("1E+99999999"), "x: a Decimal has at most"),
        ("int8", 128, "x: 128 does not fit into int8: -128 to 127"),
        ("uint64", -1, "x: -1 does not fit into uint64: 0 to 18446744073709551615"),
        ("uint64", 1 << 64, "x: 18446744073709551616 does not fit into uint64"),
        ("float32", 1e300, "x: a float too large for float32 was given"),
        (("oneof", "int8", "str"), 300, "x: 300 does not fit into int8"),
        (("tuple", "int", "str"), (1,), "x: a tuple of 1 was given, and it takes one of 2: tuple of (int, str)"),
    ],
)
def test_what_a_kind_cannot_hold_is_said(spec: Any, value: Any, words: str) -> None:
    with pytest.raises((ObjectDatabaseError), match=f"^{re.escape(words)}"):
        _core.convert(spec, value, "x")


def test_the_first_arm_that_holds_an_int_takes_it() -> None:
    spec = ("oneof", "int8", "int16", "int")
    assert [_core.convert(spec, value, "x") for value in (1, 300, 1 << 40)] == [1, 300, 1 << 40]


def test_references_stand_in_records_tuples_and_their_defaults(db: DatabaseConnection) -> None:
    teams = Schema("teams")

    @teams.define
    class Player:
        name: str

    Seat: Any = NamedTuple("Seat", [("row", int), ("player", Player)])
    Bench: Any = DatabaseNamedTuple(player=Player, place=int)

    class Team:
        seats: tuple[Seat, ...]
        bench: Indexed[Bench]
        pair: tuple[Player, int]
        by_name: dict[str, Player]
        crew: frozenset[Player]

    team_type: Any = teams.define(Team)
    db.subscribeToSchema(teams)
    with db.transaction():
        empty = team_type()
        player: Any = Player(name="a")
        team = team_type(
            seats=[(1, player)], bench={"player": player}, pair=(player, 2), by_name={"a": player}, crew=[player]
        )
    with db.view():
        assert (empty.seats, empty.bench.player, empty.pair[1]) == ((), Player.fromIdentity(0), 0)
        assert not empty.pair[0]
        assert (team.seats, team.bench, team.pair) == (((1, player),), (player, 0), (player, 2))
        assert (team.by_name, team.crew) == ({"a": player}, {player})
        assert team_type.lookupAll(bench=(player, 0)) == (team,)
        assert team_type.lookupAll(bench={}) == (empty,)


@pytest.mark.parametrize(
    ("spec", "text", "default"),
    [
        (("oneof", "datetime", "none"), "oneof(datetime,none)", None),
        (("oneof", "datetime", "int"), "oneof(datetime,int)", 0),
        (
            ("forward", "J", "J", ("oneof", "none", ("tupleof", ("again", "J")))),
            "forward(J,oneof(none,tupleof(again(J))))",
            None,
        ),
    ],
)
def test_the_default_of_a_union_is_that_of_the_first_arm_that_has_one(spec: Any, text: str, default: Any) -> None:
    assert _core.describe_spec(spec)[0] == text
    record = ("record", Point, "Point", "dataclass", (("x", spec, ()), ("y", "int", ())))
    assert _core.describe_spec(record)[0] == f"record(Point,x:{text}=,y:int=)"
    assert _core.convert(record, {}, "x") == Point(default, 0)


def test_a_default_that_needs_itself_is_none() -> None:
    fields = (("x", "int", ()), ("y", ("again", Point), ()))
    assert (
        _core.describe_spec(("record", Point, "Point", "dataclass", fields))[0] == "record(Point,x:int=,y:again(Point))"
    )


# ---- code of the program runs meanwhile


def test_an_iterator_may_write_fields_while_it_is_converted(db: DatabaseConnection, order: Any) -> None:
    def numbers() -> Iterator[int]:
        for number in range(3):
            order.nested = {"inside": [[number]]}
            order.number = number
            assert Order.lookupAll(number=number) == (order,)
            yield number

    with db.transaction():
        order.numbers = numbers()
        assert (order.numbers, order.nested, order.number) == ((0, 1, 2), {"inside": ((2,),)}, 2)


def test_an_iterator_of_a_lookup_may_look_up_itself(db: DatabaseConnection, order: Any) -> None:
    def lines() -> Iterator[Line]:
        assert Order.lookupAny(number=0) == order
        assert Order.lookupAny(number=5) is None
        return iter(())

    with db.view():
        assert Order.lookupOne(lines=lines()) == order
        assert Order.lookupAny(lines=lines()) == order


class Ends:
    """An iterable that ends the view it is converted in."""

    def __init__(self, view: Any):
        self.view = view

    def __iter__(self) -> Iterator[Any]:
        self.view.__exit__(None, None, None)
        return iter(())


def test_an_iterator_that_ends_the_transaction_leaves_an_error(db: DatabaseConnection, order: Any) -> None:
    transaction = db.transaction()
    transaction.__enter__()
    with pytest.raises(ObjectDatabaseError, match="finished|ended|over"):
        order.numbers = Ends(transaction)
    view = db.view()
    view.__enter__()
    with pytest.raises(ObjectDatabaseError, match="finished|ended|over"):
        Order.lookupAll(lines=Ends(view))
    with db.view():
        assert order.numbers == ()


def test_what_an_iterator_raises_is_raised(db: DatabaseConnection, order: Any) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("mine")

    with db.transaction():
        with pytest.raises(LookupError, match="mine"):
            order.numbers = broken()
        with pytest.raises(LookupError, match="mine"):
            order.either = broken()


class NotIterable:
    """As classes say that derive from one that is."""

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("it is not")


def test_what_is_not_iterable_after_all_is_refused_with_its_place() -> None:
    with pytest.raises(ValueTypeError, match=r"^x: .*NotIterable was given, and the field takes tuple of int$"):
        _core.convert(("tupleof", "int"), NotIterable(), "x")
    with pytest.raises(ValueTypeError, match=r"^x: .*NotIterable was given"):
        _core.convert(("oneof", "none", ("tupleof", "int"), ("setof", "str")), NotIterable(), "x")


class Text(str):
    def __str__(self) -> str:
        raise AssertionError("asked")

    __repr__ = __hash__ = __eq__ = __iter__ = encode = __str__  # type: ignore[assignment]


class Number(int):
    def __int__(self) -> int:
        raise AssertionError("asked")

    __index__ = __repr__ = __hash__ = __eq__ = __float__ = __int__  # type: ignore[assignment]


class Items(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise AssertionError("asked")

    __len__ = __getitem__ = __eq__ = __repr__ = __iter__  # type: ignore[assignment]


class Pairs(dict):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise AssertionError("asked")

    __len__ = __getitem__ = keys = items = values = get = __eq__ = __iter__  # type: ignore[assignment]


class Members(set):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise AssertionError("asked")

    __len__ = __contains__ = __eq__ = __iter__  # type: ignore[assignment]


def test_subclasses_are_taken_without_asking_them(db: DatabaseConnection, order: Any) -> None:
    with db.transaction():
        order.number = Number(7)
        order.numbers = Items([Number(1), Number(2)])
        order.counts = Pairs(a=Number(1))
        order.tags = Members({"a"})
        order.by = customer = Customer(name=Text("b"))
    with db.view():
        assert (order.number, order.numbers, order.counts, order.tags) == (7, (1, 2), {"a": 1}, {"a"})
        assert (type(order.number), type(order.numbers[0]), type(customer.name)) == (int, int, str)


class Shrinks(dt.tzinfo):
    """Takes items out of a list while one of them is converted."""

    def __init__(self, items: list[Any]):
        self.items = items

    def utcoffset(self, _: Any) -> dt.timedelta:
        self.items.clear()
        return dt.timedelta(0)

    def __reduce__(self) -> Any:
        return Shrinks, ([],)


def test_a_list_that_changes_while_it_is_converted_is_refused() -> None:
    items: list[Any] = []
    items += [dt.datetime(2024, 1, 1, tzinfo=Shrinks(items)), dt.datetime(2024, 1, 2)]
    with pytest.raises(ValueTypeError, match="x: the value was changed while it was converted"):
        _core.convert(("tupleof", "datetime"), items, "x")


class Frozen(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return {"b": 1, "a": 2}[key]

    def __iter__(self) -> Iterator[str]:
        return iter("ba")

    def __len__(self) -> int:
        return 2


def test_mappings_of_every_kind_become_sorted_read_only_ones(db: DatabaseConnection, order: Any) -> None:
    with db.transaction():
        order.counts = Frozen()
        assert list(order.counts.items()) == [("a", 2), ("b", 1)]
        with pytest.raises(TypeError):
            order.counts["a"] = 5


# ---- reading what the definition does not hold


def test_a_stored_value_that_the_definition_does_not_hold_is_told_for_that_field_only(
    connect_db: Any,
) -> None:
    wide, narrow = Schema("shapes"), Schema("shapes")

    class Thing:
        colour: OneOf("red", "blue", "green")
        number: int

    class Narrow:
        colour: OneOf("red", "blue")
        number: int

    Narrow.__name__ = Narrow.__qualname__ = "Thing"
    first: Any = wide.define(Thing)
    writer, reader = connect_db(), connect_db()
    second: Any = narrow.define(Narrow)
    reader.subscribeToSchema(narrow)
    writer.subscribeToSchema(wide)
    with writer.transaction():
        made = first(colour="green", number=5)
    reader.waitForCondition(lambda: second.lookupAny() is not None, 10)
    with reader.view():
        read = second.fromIdentity(made._identity)
        assert read.number == 5
        with pytest.raises(
            SchemaMismatchError, match=r"shapes\.Thing\.colour: the stored value is a str.* takes 'red' or 'blue'"
        ):
            _ = read.colour


# ---- nothing leaks


def test_conversions_leave_nothing_behind(db: DatabaseConnection, order: Any) -> None:
    values = {
        "lines": [("a", Decimal("1.5"), 3), {"item": "b"}],
        "tags": {"a", "b"},
        "counts": {"a": 1},
        "points": [Point(1, 2)],
        "event": Event.Moved(x=5),
        "placed": dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        "either": iter("ab"),
        "nested": {"a": [[1, 2], []]},
        "colour": Colour.BLUE,
    }
    wrong = {"lines": [("a", "b", "c")], "counts": {"a": None}, "event": 5, "points": [(1, 2, 3)], "either": [1, "a"]}

    def work() -> None:
        with db.transaction():
            for field, value in values.items():
                setattr(order, field, value)
                getattr(order, field)
            for field, value in wrong.items():
                with pytest.raises(ValueTypeError):
                    setattr(order, field, value)
        with db.view():
            for field in values:
                assert getattr(order, field) is getattr(order, field)

    for _ in range(20):
        work()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(200):
        work()
    gc.collect()
    assert len(gc.get_objects()) - before < 100


def test_decimal_and_uuid_do_not_ask_their_contexts() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        assert _core.convert("decimal", Decimal("1.23456789"), "x") == Decimal("1.23456789")
    assert _core.convert("uuid", uuid.UUID(int=5), "x").is_safe is uuid.SafeUUID.unknown
