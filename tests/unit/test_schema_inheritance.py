"""Types that derive from types, of other schemas too, and from ordinary classes. Annotations are real objects here."""

import functools
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import pytest

from object_database import (
    DatabaseConnection,
    Index,
    Indexed,
    Object,
    Schema,
)
from object_database.errors import SchemaError

T = TypeVar("T")


def test_inheritance_is_followed_through_every_level_and_across_schemas(db: DatabaseConnection) -> None:
    base, derived = Schema("base"), Schema("derived")

    class Stamped:  # an ordinary class
        stamp: int = 7
        UNIT = "s"

        def stamped(self) -> str:
            return f"{self.stamp} {self.UNIT}"

    @base.define
    class Animal(Stamped):
        name: Indexed[str]

        def says(self) -> str:
            return f"{self.name} says"

        @classmethod
        def kind(cls) -> str:
            return cls.__name__

    @base.define
    class Dog(Animal):
        tricks: int = 1

        def says(self) -> str:
            return super().says() + " wuff"

    @derived.define
    class Puppy(Dog):
        tricks = float

        def says(self) -> str:
            return super().says() + " softly"

    db.subscribeToSchema(base, derived)
    with db.transaction():
        puppy = Puppy(name="Rex", tricks=0.5)
        assert puppy.says() == "Rex says wuff softly"
        assert puppy.stamped() == "7 s"
        assert (puppy.stamp, puppy.tricks, Puppy.kind()) == (7, 0.5, "Puppy")
        assert Puppy.lookupOne(name="Rex") == puppy
        assert isinstance(puppy, (Animal, Stamped))
        assert issubclass(Puppy, Dog)


def test_lookups_find_objects_of_exactly_their_type(db: DatabaseConnection) -> None:
    schema = Schema("exactly")

    @schema.define
    class Animal:
        name: Indexed[str]

    @schema.define
    class Dog(Animal):
        pass

    db.subscribeToSchema(schema)
    with db.transaction():
        animal, dog = Animal(name="Rex"), Dog(name="Rex")
        assert Animal.lookupAll(name="Rex") == Animal.lookupAll() == (animal,)
        assert Dog.lookupAll(name="Rex") == Dog.lookupAll() == (dog,)


def test_inheritance_in_class_statements(db: DatabaseConnection) -> None:
    schema = Schema("statements")

    class Animal(Object, schema=schema):
        name: str

        def __init__(self, name: str):
            self.name = name

    class Dog(Animal, schema=schema):
        age: int = 3

        def __init__(self, name: str):
            super().__init__(name.title())

    db.subscribeToSchema(schema)
    with db.transaction():
        dog = Dog("rex")
        assert (dog.name, dog.age) == ("Rex", 3)


def test_super_works_in_properties_and_class_methods(db: DatabaseConnection) -> None:
    schema = Schema("supers")

    @schema.define
    class Base:
        n: int

        @property
        def shown(self) -> str:
            return f"n={self.n}"

        @classmethod
        def made(cls, n: int) -> Any:
            return cls(n=n)

    @schema.define
    class Derived(Base):
        @property
        def shown(self) -> str:
            return f"<{super().shown}>"

        @classmethod
        def made(cls, n: int) -> Any:
            return super().made(n + 1)

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Derived.made(1).shown == "<n=2>"


def test_a_subclass_can_turn_a_field_into_another_and_into_a_method(db: DatabaseConnection) -> None:
    schema = Schema("turned")

    @schema.define
    class Base:
        a: Indexed[int]
        b: int

    @schema.define
    class Derived(Base):
        a: str = "text"

        def b(self) -> str:
            return "method"

    db.subscribeToSchema(schema)
    with db.transaction():
        made = Derived()
        assert (made.a, made.b()) == ("text", "method")
        with pytest.raises(TypeError, match="no index named"):
            Derived.lookupAll(a="text")


def test_a_method_that_replaces_an_indexed_field_ends_its_index(db: DatabaseConnection) -> None:
    schema = Schema("no_index_left")

    @schema.define
    class Base:
        a: Indexed[int]

    @schema.define
    class Derived(Base):
        def a(self) -> int:
            return 1

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Derived().a() == 1


def test_constants_and_abstract_bases_among_mixins_are_left_alone(db: DatabaseConnection) -> None:
    schema = Schema("mixins")

    class Mixin:
        CONSTANT = [1, 2]
        counted: int = 1
        helper: dict[str, int] = {}

    @schema.define
    class Thing(Mixin, Object):
        name: str

    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(name="x")
        assert (thing.CONSTANT, thing.counted, thing.helper) == ([1, 2], 1, {})


def test_abstract_and_generic_bases_can_be_mixed_in(db: DatabaseConnection) -> None:
    schema = Schema("abstract")

    class Named(ABC):
        name: str

        @abstractmethod
        def shown(self) -> str: ...

    @schema.define
    class Thing(Named, Generic[T]):
        def shown(self) -> str:
            return f"<{self.name}>"

    db.subscribeToSchema(schema)
    with db.transaction():
        thing = Thing(name="x")
        assert thing.shown() == "<x>"
        assert isinstance(thing, Named)


def test_an_object_of_a_plain_subclass_cannot_be_made(db: DatabaseConnection) -> None:
    schema = Schema("plain")

    @schema.define
    class Thing:
        n: int

    class Special(Thing):
        pass

    db.subscribeToSchema(schema)
    with db.transaction():
        with pytest.raises(SchemaError, match="decorate it with @schema.define"):
            Special(n=1)
        with pytest.raises(SchemaError):
            Special.fromIdentity(1)
        with pytest.raises(SchemaError):
            Special.lookupAll()
        with pytest.raises(SchemaError):
            Object()


def test_super_finds_a_field_of_the_base_as_the_object_has_it(db: DatabaseConnection) -> None:
    schema = Schema("super_fields")

    @schema.define
    class Base:
        n: int = 1

    @schema.define
    class Derived(Base):
        n: int = 2

        def through_super(self) -> int:
            return super().n

    @schema.define
    class Other:
        m: int

    db.subscribeToSchema(schema)
    with db.transaction():
        assert Derived().through_super() == 2
        with pytest.raises(TypeError, match="field 'n' does not belong to"):
            Base.n.__get__(Other(), None)


def test_decorated_methods_find_their_super(db: DatabaseConnection) -> None:
    schema = Schema("decorated")

    def wrapped(method: Any) -> Any:
        @functools.wraps(method)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        return inner

    def bare(method: Any) -> Any:
        return lambda *args: method(*args)

    @schema.define
    class Base:
        n: int

        def shown(self, *args: int) -> str:
            return f"base{sum(args)}"

    class Decorated(Base):
        @wrapped
        def shown(self, *args: int) -> str:
            return "derived " + super().shown(*args)

    class TwiceDecorated(Base):
        @bare
        @wrapped
        def shown(self, *args: int) -> str:
            return "derived " + super().shown(*args)

    class Cached(Base):
        @functools.lru_cache  # noqa: B019
        def shown(self, *args: int) -> str:
            return "derived " + super().shown(*args)

    class Partial(Base):
        def _shown(self, *args: int) -> str:
            return "derived " + super().shown(*args)

        shown = functools.partialmethod(_shown, 0)

    class Asks(Base):
        def shown(self, *args: int) -> str:
            return "derived " + (lambda: super(__class__, self).shown(*args))()

    class Decoy:  # has every attribute
        def __getattr__(self, name: str) -> Any:
            return Decoy()

        def __get__(self, instance: object, owner: type) -> str:
            return "decoy"

    class WithDecoy(Base):
        decoy = Decoy()

    types = [schema.define(each) for each in (Decorated, TwiceDecorated, Cached, Partial, Asks)]
    with_decoy = schema.define(WithDecoy)
    db.subscribeToSchema(schema)
    with db.transaction():
        assert [each().shown(2) for each in types] == ["derived base2"] * 5
        assert with_decoy().decoy == "decoy"


def test_a_diamond_has_each_field_once(db: DatabaseConnection) -> None:
    schema = Schema("diamond")

    @schema.define
    class Top:
        n: Indexed[int] = 1
        said: str = "top"

    @schema.define
    class Left(Top):
        left: int
        said: str = "left"

    @schema.define
    class Right(Top):
        right: int
        said: str = "right"

    @schema.define
    class Bottom(Left, Right):
        pass

    db.subscribeToSchema(schema)
    with db.transaction():
        bottom = Bottom()
        assert (bottom.n, bottom.left, bottom.right, bottom.said) == (1, 0, 0, "left")
        assert Bottom.lookupAll(n=1) == (bottom,)
    assert sorted(Bottom.Row._fields) == ["left", "n", "right", "said"]


def test_init_and_del_are_inherited_and_call_their_super_across_schemas(db: DatabaseConnection) -> None:
    near, far = Schema("near_hooks"), Schema("far_hooks")
    calls = []

    class Logged:
        def __init__(self, n: int = 0):
            calls.append(f"init {type(self).__name__}")
            self.n = n

        def __del__(self) -> None:
            calls.append(f"del {type(self).__name__}")

    @near.define
    class Base(Logged):
        n: int

    @far.define
    class Derived(Base):
        def __init__(self, n: int):
            super().__init__(n + 1)

        def __del__(self) -> None:
            super().__del__()
            calls.append("and more")

    @far.define
    class Last(Derived):
        pass

    db.subscribeToSchema(near, far)
    with db.transaction():
        base, last = Base(5), Last(5)
        assert (base.n, last.n) == (5, 6)
        base.delete()
        last.delete()
    assert calls == ["init Base", "init Last", "del Base", "del Last", "and more"]


def test_static_and_class_methods_of_another_schema_are_those_of_python(db: DatabaseConnection) -> None:
    near, far = Schema("near_static"), Schema("far_static")

    @near.define
    class Base:
        @staticmethod
        def doubled(n: int) -> int:
            return 2 * n

        @classmethod
        def kind(cls) -> str:
            return cls.__name__

    @far.define
    class Derived(Base):
        n: int

    made = Derived.fromIdentity(1)
    assert (Derived.doubled(2), made.doubled(3), Derived.kind(), made.kind()) == (4, 6, "Derived", "Derived")


def test_a_property_is_overridden_with_its_setter(db: DatabaseConnection) -> None:
    schema = Schema("properties")

    @schema.define
    class Base:
        n: int

        @property
        def shown(self) -> int:
            return self.n

        @shown.setter
        def shown(self, value: int) -> None:
            self.n = value

    @schema.define
    class Derived(Base):
        @Base.shown.setter
        def shown(self, value: int) -> None:
            super(Derived, type(self)).shown.fset(self, 10 * value)

    db.subscribeToSchema(schema)
    with db.transaction():
        derived = Derived()
        derived.shown = 4
        assert derived.shown == 40


def test_an_index_over_inherited_fields(db: DatabaseConnection) -> None:
    schema = Schema("inherited_index")

    @schema.define
    class Base:
        a: int
        by_a = Index("a")

    @schema.define
    class Derived(Base):
        b: str
        by_b_a = Index("b", "a")

    db.subscribeToSchema(schema)
    with db.transaction():
        derived = Derived(a=1, b="x")
        assert Derived.lookupAll(by_a=1) == Derived.lookupAll(by_b_a=("x", 1)) == (derived,)
