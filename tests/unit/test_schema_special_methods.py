"""__init__, __del__ and how objects are shown. Annotations are real objects here."""

import pytest

from object_database import DatabaseConnection, Indexed, ObjectDoesntExistException, Schema


def test_init_runs_on_the_new_object_with_any_arguments(db: DatabaseConnection) -> None:
    schema = Schema("init")

    @schema.define
    class Order:
        number: Indexed[int]
        state: str = "new"
        seen: bool

        def __init__(self, number: int, *, state: str | None = None):
            assert self.exists()
            self.number = number
            if state is not None:
                self.state = state

    db.subscribeToSchema(schema)
    with db.transaction():
        plain, paid = Order(1), Order(number=2, state="paid")
    with db.view():
        assert [(o.number, o.state, o.seen) for o in (plain, paid)] == [(1, "new", False), (2, "paid", False)]
        assert Order.lookupAll(number=1) == (plain,)


def test_what_init_leaves_out_is_in_the_indexes_with_its_default(db: DatabaseConnection) -> None:
    schema = Schema("init_index")

    @schema.define
    class Order:
        number: Indexed[int]

        def __init__(self) -> None:
            pass

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        assert Order.lookupAll(number=0) == (order,)


def test_an_object_whose_init_fails_never_was(db: DatabaseConnection) -> None:
    schema = Schema("init_fails")
    made = []

    @schema.define
    class Order:
        number: Indexed[int]

        def __init__(self, number: int):
            made.append(self)
            self.number = number
            if number < 0:
                raise ValueError("negative")

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(ValueError, match="negative"):
            Order(-1)
        assert not made[0].exists()
        good = Order(1)
        assert Order.lookupAll() == (good,)
    with db.view():
        assert Order.lookupAll() == (good,)
        assert Order.lookupAll(number=-1) == ()


def test_del_is_called_by_delete_and_not_when_a_handle_goes(db: DatabaseConnection) -> None:
    schema = Schema("del")
    deleted = []

    @schema.define
    class Order:
        number: int

        def __del__(self) -> None:
            deleted.append(self.number)

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order(number=5)
        Order(number=6)  # the handle goes at once
    assert deleted == []
    with db.transaction():
        order.delete()
        assert deleted == [5]
        assert not order.exists()


def test_what_del_raises_keeps_the_object(db: DatabaseConnection) -> None:
    schema = Schema("del_raises")

    @schema.define
    class Order:
        def __del__(self) -> None:
            raise ValueError("not yet")

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        with pytest.raises(ValueError, match="not yet"):
            order.delete()
        assert order.exists()


def test_del_may_delete_what_belongs_to_the_object(db: DatabaseConnection) -> None:
    schema = Schema("del_cascade")

    @schema.define
    class Line:
        order: Indexed[schema.Order]

    @schema.define
    class Order:
        def __del__(self) -> None:
            for line in Line.lookupAll(order=self):
                line.delete()

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        Line(order=order), Line(order=order)
    with db.transaction():
        order.delete()
    with db.view():
        assert Line.lookupAll() == Order.lookupAll() == ()


def test_str_and_repr_of_a_class_are_used(db: DatabaseConnection) -> None:
    schema = Schema("shown")

    @schema.define
    class Both:
        number: int

        def __str__(self) -> str:
            return f"number {self.number}"

        def __repr__(self) -> str:
            return f"Both({self.number})"

    @schema.define
    class Neither:
        number: int

    db.subscribeToSchema(schema)
    with db.transaction():
        both, neither = Both(number=1), Neither(number=2)
        assert (str(both), repr(both)) == ("number 1", "Both(1)")
        assert str(neither) == repr(neither) == f"shown.Neither(id={neither._identity})"


def test_what_an_init_deletes_is_gone_whether_it_fails_or_not(db: DatabaseConnection) -> None:
    schema = Schema("init_deletes")

    @schema.define
    class Order:
        def __init__(self, fails: bool):
            self.delete()
            if fails:
                raise ValueError("failed")

    db.subscribeToSchema(schema)
    with db.transaction():
        assert not Order(False).exists()
        with pytest.raises(ValueError, match="failed"):
            Order(True)
    with db.view():
        assert Order.lookupAll() == ()


def test_an_init_that_fails_leaves_what_else_it_made(db: DatabaseConnection) -> None:
    schema = Schema("init_makes")

    @schema.define
    class Order:
        number: Indexed[int]

        def __init__(self, number: int):
            self.number = number
            if number == 0:
                Order(1)
                raise ValueError("failed")

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(ValueError, match="failed"):
            Order(0)
        assert [order.number for order in Order.lookupAll()] == [1]
        assert Order.lookupAll(number=0) == ()


def test_an_init_that_makes_its_own_type_for_ever_makes_none(db: DatabaseConnection) -> None:
    schema = Schema("init_recursion")

    @schema.define
    class Order:
        def __init__(self) -> None:
            Order()

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(RecursionError):
            Order()
        assert Order.lookupAll() == ()


@pytest.mark.parametrize("name", [" exists", "exists", "delete", "_identity"])
def test_hidden_names_are_no_fields_of_a_creation(db: DatabaseConnection, name: str) -> None:
    schema = Schema("hidden")

    @schema.define
    class Plain:
        n: int

    @schema.define
    class WithInit:
        n: int

        def __init__(self, **values: object):
            for key, value in values.items():
                setattr(self, key, value)

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(TypeError, match=f"hidden.Plain has no field named '{name}'"):
            Plain(**{name: False})
        with pytest.raises((TypeError, AttributeError), match="not settable|not writable|read-only"):
            WithInit(**{name: False})
        assert Plain.lookupAll() == WithInit.lookupAll() == ()


def test_del_may_delete_its_own_object(db: DatabaseConnection) -> None:
    schema = Schema("del_itself")
    calls = []

    @schema.define
    class Order:
        def __del__(self) -> None:
            calls.append(self.exists())
            self.delete()
            Order.fromIdentity(self._identity).delete()

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
    with db.transaction():
        order.delete()
        assert not order.exists()
        with pytest.raises(ObjectDoesntExistException):
            order.delete()
    assert calls == [True]


def test_objects_that_delete_each_other_all_go(db: DatabaseConnection) -> None:
    schema = Schema("del_cycle")
    calls = []

    @schema.define
    class Ring:
        next: schema.Ring

        def __del__(self) -> None:
            calls.append(self._identity)
            if self.next.exists():
                self.next.delete()

    db.subscribeToSchema(schema)
    with db.transaction():
        ring = [Ring() for _ in range(5)]
        for one, other in zip(ring, ring[1:] + ring[:1], strict=True):
            one.next = other
    with db.transaction():
        ring[2].delete()
        assert Ring.lookupAll() == ()
    assert len(set(calls)) == len(calls) == 5


def test_a_del_that_failed_runs_again_at_the_next_delete(db: DatabaseConnection) -> None:
    schema = Schema("del_again")
    fails = [True]

    @schema.define
    class Order:
        def __del__(self) -> None:
            if fails:
                fails.clear()
                raise ValueError("not yet")

    db.subscribeToSchema(schema)
    with db.transaction():
        order = Order()
        with pytest.raises(ValueError, match="not yet"):
            order.delete()
        order.delete()
        assert not order.exists()


def test_a_chain_too_long_for_recursion_is_an_error_and_no_crash(db: DatabaseConnection) -> None:
    schema = Schema("del_chain")

    @schema.define
    class Link:
        next: schema.Link

        def __del__(self) -> None:
            if self.next.exists():
                self.next.delete()

    db.subscribeToSchema(schema)
    with db.transaction():
        link = Link()
        for _ in range(5000):
            link = Link(next=link)
    with pytest.raises(RecursionError), db.transaction():
        link.delete()
    with db.view():
        assert len(Link.lookupAll()) == 5001


def test_str_falls_back_on_repr_and_repr_not_on_str(db: DatabaseConnection) -> None:
    schema = Schema("one_of_them")

    @schema.define
    class OnlyStr:
        def __str__(self) -> str:
            return "shown"

    @schema.define
    class OnlyRepr:
        def __repr__(self) -> str:
            return "represented"

    only_str, only_repr = OnlyStr.fromIdentity(5), OnlyRepr.fromIdentity(6)
    assert (str(only_str), repr(only_str)) == ("shown", "one_of_them.OnlyStr(id=5)")
    assert (str(only_repr), repr(only_repr)) == ("represented", "represented")


def test_other_special_methods_mean_what_they_mean_in_python(db: DatabaseConnection) -> None:
    schema = Schema("operators")

    @schema.define
    class Box:
        n: int

        def __len__(self) -> int:
            return self.n

        def __contains__(self, n: int) -> bool:
            return n == self.n

        def __call__(self, n: int) -> int:
            return self.n + n

        def __getattr__(self, name: str) -> str:
            return f"no {name}"

    db.subscribeToSchema(schema)
    with db.transaction():
        box = Box(n=3)
        assert (len(box), 3 in box, box(4), box.colour, box.n) == (3, True, 7, "no colour", 3)
