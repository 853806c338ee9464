"""Types that derive from each other and from ordinary classes, across schemas, with an __init__ of their own."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import assert_type

from object_database import Indexed, InMemServer, Object, Schema, SubscribeLazilyByDefault

base = Schema("base")
more = Schema("more")


class Named:
    """An ordinary class: what it says is there in every type that derives from it."""

    GREETING: ClassVar[str] = "hello"

    def greeting(self) -> str:
        return f"{self.GREETING} {type(self).__name__}"


class Thing(Named, Object, schema=base):
    name: Indexed[str]
    size: int = 1

    def describe(self) -> str:
        return f"{self.name} of {self.size}"


class Box(Thing, schema=more):
    content: Thing | None = None
    inside: Box | None = None

    def describe(self) -> str:
        return f"box, {super().describe()}"

    @property
    def half(self) -> float:
        return self.size / 2

    @half.setter
    def half(self, half: float) -> None:
        self.size = int(half * 2)

    @staticmethod
    def sizes() -> list[int]:
        return [box.size for box in Box.lookupAll()]


class Counter(Object, schema=more):
    name: str
    count: int

    def __init__(self, name: str, count: int = 10) -> None:
        self.name = name
        self.count = count

    def next(self) -> int:
        self.count += 1
        return self.count


@SubscribeLazilyByDefault
class Blob(Object):
    content: bytes = b""


more.define(Blob)


def main() -> None:
    with InMemServer(auth_token="t") as server, server.connect("t") as db:
        db.subscribe(base, more)
        with db.transaction():
            thing = Thing(name="ball")
            box = Box(name="big", size=4, content=thing)
            outer = Box(name="bigger", inside=box)
            box.half = 5.0
            counter = Counter("tickets")
            assert counter.next() == 11
        with db.view() as view:
            assert_type(box.name, str)
            assert_type(box.content, Thing | None)
            assert_type(outer.inside, Box | None)
            assert_type(Box.lookupOne(name="big"), Box)
            assert_type(box.half, float)
            assert_type(box.greeting(), str)
            assert_type(view.get(Counter), Counter)
            assert_type(Box.sizes(), list[int])
            things: list[Thing] = [*view.all(Thing), *view.all(Box)]
            assert [each.describe() for each in things] == ["ball of 1", "box, big of 10", "box, bigger of 1"]
            assert box.greeting() == "hello Box"
            assert sorted(Box.sizes()) == [1, 10]


if __name__ == "__main__":
    main()
