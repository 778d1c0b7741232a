"""Objects come back as the objects they were, into types that the caller names and into no others."""

import dataclasses
import enum
import json
import logging
import subprocess
import sys
import typing
from functools import cached_property
from typing import Annotated, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from codec_states import fetcher, round_trip
from waycairn.codec import Record, Types, decode, encode, register
from waycairn.codec.registry import Registration
from waycairn.errors import UnknownType

T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1
    GREEN = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclasses.dataclass
class Base:
    page: int
    seen: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Progress(Base):
    colour: Colour = Colour.RED
    total: int = dataclasses.field(init=False, default=7)
    inits = 0

    def __post_init__(self):
        type(self).inits += 1

    @cached_property
    def double(self):
        return self.page * 2


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Point3(Point):
    z: float = 1.0


class Pair(NamedTuple):
    left: Point
    right: "Pair | None" = None


class Item(msgspec.Struct, kw_only=True):
    name: str
    tags: set[str] = msgspec.field(default_factory=set)
    unset: int | msgspec.UnsetType = msgspec.UNSET


class Checked(msgspec.Struct, frozen=True):
    value: int

    def __post_init__(self):
        if self.value < 0:
            raise ValueError("negative")


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    name: str
    points: list[Point] = []
    level: Level = Level.LOW
    _secret: int = pydantic.PrivateAttr(default=3)


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Shelf(TypedDict):
    boxes: "list[Box[Item]]"


UserId = NewType("UserId", Point)

ALL = Types.of(Colour, Level, Word, Right, Progress, Point, Point3, Pair, Item, Checked, Model, Box)

OBJECTS = [
    Colour.GREEN,
    Level.LOW,
    Word.YES,
    Right.READ | Right.WRITE,
    Right(0),
    Progress(3, ["a"], Colour.GREEN),
    Point(1.5),
    Point3(1.0, 2.0, 3.0),
    Pair(Point(1), Pair(Point(2))),
    Item(name="a", tags={"x"}),
    Item(name="a", unset=4),
    Checked(5),
    Model(name="m", points=[Point(1)], more={"a": (1,)}),
    Box([Box(1)]),
    Box[int](3),
    {Colour.RED: {Point(0.0): Level.LOW}},
    [Word.YES, (Point(1), {Right.READ})],
]


@pytest.mark.parametrize("value", OBJECTS, ids=repr)
def test_objects_come_back(value):
    """Every kind of object, alone and inside others, with its own type."""
    restored = round_trip({"here": [value]}, types=ALL)["here"][0]
    assert restored == value
    assert type(restored) is type(value)


@pytest.mark.parametrize("value", OBJECTS, ids=repr)
def test_registered_types_need_not_be_passed(value, monkeypatch):
    """The registry serves what was not passed."""
    names = {f"{kind.__module__}:{kind.__qualname__}": Registration(kind, kind.__name__, None, None) for kind in ALL}
    monkeypatch.setattr("waycairn.codec.registry._by_name", {r.name: r for r in names.values()})
    monkeypatch.setattr("waycairn.codec.registry._by_kind", {r.kind: r for r in names.values()})
    assert round_trip([value]) == [value]


@pytest.mark.parametrize("value", OBJECTS, ids=repr)
def test_unknown_types_are_named_and_can_be_read(value):
    """Without the type: an error that names it, or a readable record; nothing is imported either way."""
    encoded = encode([value])
    with pytest.raises(UnknownType, match=r"test_codec_records:\w+'.*register\(\w+\)"):
        decode(encoded.document, fetcher(encoded))
    record = decode(encoded.document, fetcher(encoded), strict=False)[0]
    assert "Record(type_name=" in repr(record)


def test_a_record_shows_the_fields():
    """strict=False gives the name of the type and the fields by name."""
    encoded = encode(Progress(3))
    assert decode(encoded.document, fetcher(encoded), strict=False) == Record(
        f"{__name__}:Progress",
        {"page": 3, "seen": [], "colour": Record(f"{__name__}:Colour", {"name": "RED"}), "total": 7}
        if "total" in vars(Progress(3))
        else {"page": 3, "seen": [], "colour": Record(f"{__name__}:Colour", {"name": "RED"})},
    )


def test_a_dataclass_is_not_initialised_again():
    """__post_init__ does not run on restore: what it counted would be counted twice."""
    state = Progress(1)
    before = Progress.inits
    assert round_trip(state, types=ALL) == state
    assert Progress.inits == before


def test_attributes_beside_the_fields_are_kept():
    """What __post_init__ or a method set on the object is restored; a cached property is computed again."""
    state = Progress(4)
    state.note = {"a": (1,)}
    state.total = 9
    assert state.double == 8
    restored = round_trip(state, types=ALL)
    assert (restored.note, restored.total) == ({"a": (1,)}, 9)
    assert "double" not in vars(restored)


def test_a_model_comes_back_unvalidated_and_whole():
    """Private attributes, extras and the set of explicitly set fields are part of a model."""
    model = Model(name="m", more=1)
    model._secret = 8
    restored = round_trip(model, types=ALL)
    assert (restored._secret, restored.model_extra, restored.model_fields_set) == (8, {"more": 1}, {"name", "more"})


def test_a_struct_whose_post_init_refuses_says_so():
    """A Struct cannot be made without its __post_init__; if that refuses, nothing is called damaged."""
    encoded = encode(Checked(5))
    table = encoded.document.replace(b"\x05", b"\xff")  # -1
    with pytest.raises(UnknownType, match="could not be made again: negative"):
        decode(table, fetcher(encoded), types=ALL)


def test_a_new_field_gets_its_default():
    """A class that grew between two runs: defaults fill in, a field without one is named."""
    old = dataclasses.make_dataclass("Grown", [("a", int)])
    new = dataclasses.make_dataclass(
        "Grown", [("a", int), ("b", int, 5), ("c", list, dataclasses.field(default_factory=list))]
    )
    bare = dataclasses.make_dataclass("Grown", [("a", int), ("b", int)])
    for kind in (old, new, bare):
        kind.__module__ = __name__
    encoded = encode(old(1))
    assert decode(encoded.document, fetcher(encoded), types=Types.of(new)) == new(1, 5, [])
    with pytest.raises(UnknownType, match=r"has no field 'b'.*Give the new field a default"):
        decode(encoded.document, fetcher(encoded), types=Types.of(bare))


def test_a_removed_field_is_reported(caplog):
    """A slot that the class lost has no place to go: it is left out, and the log says which."""
    old = dataclasses.make_dataclass("Shrunk", [("a", int), ("b", int)], slots=True)
    new = dataclasses.make_dataclass("Shrunk", [("a", int)], slots=True)
    old.__module__ = new.__module__ = __name__
    encoded = encode(old(1, 2))
    with caplog.at_level(logging.WARNING):
        assert decode(encoded.document, fetcher(encoded), types=Types.of(new)) == new(1)
    assert "has a field 'b' that the class no longer has" in caplog.text


def test_a_removed_enum_member_is_named():
    """The member that was stored is named, with what to do."""
    encoded = encode(Colour.GREEN)
    smaller = enum.Enum("Colour", ["RED"], module=__name__)
    with pytest.raises(UnknownType, match="GREEN"):
        decode(encoded.document, fetcher(encoded), types=Types.of(smaller))


def test_what_could_not_be_restored_is_refused_when_saved():
    """With types given, a type outside them raises where it stands, with the way out."""

    @dataclasses.dataclass
    class Hidden:
        a: int

    state = Box([{"deep": Hidden(1)}])
    with pytest.raises(
        TypeError, match=r'^state\.content\[0\]\["deep"\] is a .*Hidden.*not restored.*register\(Hidden'
    ):
        encode(state, types=Types.of(Box))
    assert encode(state).document  # without types: stored under its name, for a caller that knows it later


def test_types_reaches_what_annotations_name():
    """Fields, generics, unions, literals, typed dicts, new types and strings are followed."""
    annotation = typing.Union[Shelf, Literal[Colour.RED], typing.Callable[[Pair], Model]]  # noqa: UP007
    reached = {kind.__name__ for kind in Types.of(annotation, Annotated[UserId, ["unhashable"]])}
    assert reached == {"Box", "Item", "Colour", "Point", "Pair", "Model", "Level"}
    assert {kind.__name__ for kind in Types.of(dict[str, list[tuple[Progress, ...]]] | None)} == {"Progress", "Colour"}
    assert len(Types.of(int, list[str], None, typing.Any)) == 0


def test_types_of_local_classes():
    """Annotations that name a class of a function body cannot be resolved; the others still are."""

    @dataclasses.dataclass
    class Local:
        me: "Local | None"
        colour: "Colour"
        hidden: "OnlyForTypeCheckers"  # noqa: F821

    assert {kind.__name__ for kind in Types.of(Local)} == {"Local", "Colour"}
    value = Local(Local(None, Colour.RED, 1), Colour.RED, 2)
    assert round_trip(value, types=Types.of(Local)) == value


def test_register_hooks():
    """encode and decode hooks serve any class, under a name that survives renaming it."""

    class Interval:
        def __init__(self, low, high):
            self.low, self.high = low, high

    register(Interval, name="interval", encode=lambda i: {"low": i.low, "high": i.high}, decode=lambda d: Interval(**d))
    restored = round_trip({"i": [Interval((1,), 2)]}, types=Types.of())["i"][0]
    assert (restored.low, restored.high) == ((1,), 2)
    encoded = encode(Interval(1, 2))
    assert b"interval" in encoded.document
    assert b"Interval" not in encoded.document

    class Other: ...

    with pytest.raises(ValueError, match="registered for"):
        register(Other, name="interval", encode=str, decode=str)
    with pytest.raises(TypeError, match="both encode= and decode="):
        register(Other, encode=str)
    with pytest.raises(TypeError, match=r"register\(Other, encode=\.\.\., decode=\.\.\.\)"):
        register(Other)
    with pytest.raises(TypeError, match="takes a class"):
        register(Other())


def test_a_failing_decode_hook_is_not_damage():
    """The bytes were verified: the user's own hook is named, and no checkpoint is called damaged."""

    class Brittle: ...

    register(Brittle, name="brittle", encode=lambda _: 1, decode=lambda _: 1 // 0)
    encoded = encode([Brittle()])
    with pytest.raises(UnknownType, match=r"decode of 'brittle' refused.*ZeroDivisionError"):
        decode(encoded.document, fetcher(encoded))


def test_a_name_in_data_imports_nothing():
    """Decoding a document that names a type of a module that is not loaded does not load it."""
    program = """
import sys, dataclasses
from waycairn.codec import encode, decode
made = dataclasses.make_dataclass("Frame", ["a"]); made.__module__ = "this"
document = encode(made(1)).document
document = document.replace(b"this:Frame", b"wave:Frame")
try:
    decode(document, None)
except Exception as error:
    print(type(error).__name__)
print(repr(decode(document, None, strict=False)))
print([name for name in ("wave", "this", "numpy", "torch", "pydantic") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["UnknownType", "Record(type_name='wave:Frame', fields={'a': 1})", "[]"]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_without_the_library(library):
    """Arrays met on a machine without their library: an error that names it, or a record of what was stored."""
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    program = f"""
import sys
sys.modules[{library!r}] = None  # as if it were not installed
from waycairn.codec import decode
document = bytes.fromhex({encode({"a": module.zeros(2), "b": 5}).document.hex()!r})
try:
    decode(document, None)
except Exception as error:
    print(type(error).__name__, str(error).count("waycairn[{library}]"))
print(decode(document, None, only="b"), decode(document, None, strict=False)["a"].type_name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["UnknownType 1", f"5 {library}"]


def test_a_record_is_plain_enough_for_json():
    """strict=False feeds export: a record's fields are what json can show."""
    encoded = encode({"a": Point(1, 2)})
    record = decode(encoded.document, fetcher(encoded), strict=False)["a"]
    assert json.loads(json.dumps(record.fields)) == {"x": 1, "y": 2}
