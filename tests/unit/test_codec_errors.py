"""What cannot be stored says where it stands and what to do; nothing loops, nothing crashes."""

import dataclasses
import datetime as dt
import io
import re
import subprocess
import sys
from collections import OrderedDict, UserDict, defaultdict

import pytest

from codec_states import fetcher, round_trip
from waycairn.codec import Types, decode, encode


class Handle: ...


class Names(list): ...


class Metres(float): ...


class Stateful:
    def state_dict(self):
        return {}


@dataclasses.dataclass
class Node:
    groups: list
    next: "Node | None" = None


@dataclasses.dataclass
class ErrorWithFields(Exception):
    code: int


class EasternTime(dt.tzinfo): ...


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"optimizer": Node([Handle()])}, r'state["optimizer"].groups[0] is a {}:Handle, which cannot be stored.'),
        ([1, (2, Handle())], "state[1][1] is a {}:Handle"),
        ({(1, "a"): {3: Handle()}}, "state[(1, 'a')][3] is a {}:Handle"),
        ({1.5: OrderedDict(a=[Handle()])}, 'state[1.5]["a"][0] is a {}:Handle'),
        ([{Handle}], "state[0].<element> is the class {}:Handle: classes are code"),
        (Names("ab"), "state is a {}:Names, a subclass of list that would come back as a plain list. Convert it with"),
        ([Metres(1)], "state[0] is a {}:Metres, a subclass of float"),
        ([UserDict(a=1)], "state[0] is a collections:UserDict"),
        (ErrorWithFields(3), "state is a {}:ErrorWithFields"),
        ({"f": print}, 'state["f"] is a builtins:builtin_function_or_method'),
        (
            {"s": Stateful()},
            'state["s"] is a {}:Stateful. Keep its state_dict() in the state, or hand it to run.track()',
        ),
        ({"b": memoryview(b"a")}, 'state["b"] is a builtins:memoryview'),
        (defaultdict(lambda: 1), "state is a defaultdict whose factory is <function"),
        ([io.StringIO()], "state[0] is a _io:StringIO"),
        ([dt.datetime(2026, 1, 1, tzinfo=EasternTime())], "state[0] has the time zone"),
        ({"gen": (n for n in ())}, 'state["gen"] is a builtins:generator'),
        ({"\ud800": Handle()}, 'state["\ud800"] is a {}:Handle'),
    ],
)
def test_the_path_and_the_way_out(state, message):
    """TypeError: the path as it would be written in Python, the type, and what to do."""
    with pytest.raises(TypeError) as caught:
        encode(state)
    assert str(caught.value).startswith(message.format(__name__))
    assert "Nothing was stored." in str(caught.value)
    assert re.search(r"register\(\w+|[Cc]onvert|Use|Keep", str(caught.value))


def cycles():
    plain = {"a": [1, {"b": None}]}
    plain["a"][1]["b"] = plain["a"]
    yield plain, 'state["a"][1]["b"] is state["a"] again'
    twice = [1]
    twice += [twice, twice]
    yield twice, "state[1] is state again"
    many = []
    many += [many] * 1000
    yield many, "state[0] is state again"
    node = Node([])
    node.next = node
    yield node, "state.next is state again"
    inner = ([],)
    inner[0].append(inner)
    yield {"x": inner}, 'state["x"][0][0] is state["x"] again'
    ordered = OrderedDict()
    ordered["me"] = {(1, 2): ordered}
    yield ordered, 'state["me"][(1, 2)] is state again'


@pytest.mark.parametrize(
    ("state", "message"), list(cycles()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_state_that_contains_itself(state, message):
    """ValueError that names both ends of the cycle; in a moment, whatever the shape of the cycle."""
    with pytest.raises(ValueError, match=re.escape(message)):
        encode(state)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: Node([x]), lambda x: {(): x}])
def test_very_deep(wrap):
    """5,000 levels are refused with a sentence; the interpreter lives."""
    state = wrap(1)
    for _ in range(5000):
        state = wrap(state)
    with pytest.raises(ValueError, match=r"more than 200 levels deep below state.*Nothing was stored"):
        encode(state)


def test_a_caller_without_stack_left_gets_a_sentence():
    """Saving near Python's recursion limit raises ValueError, not RecursionError from somewhere inside."""

    def down(frames, state):
        return encode(state) if not frames else down(frames - 1, state)

    state = Node([])
    for _ in range(150):
        state = [state]
    with pytest.raises(ValueError, match="recursion limit"):
        down(sys.getrecursionlimit() - 250, state)


def test_one_value_beyond_4_gib():
    """msgpack's limit is told as a sentence about the state."""
    try:
        huge = bytes(2**32)
    except MemoryError:
        pytest.skip("4 GiB of address space are not to be had here")
    with pytest.raises(TypeError, match=r"4 GiB.*numpy array"):
        encode([huge])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.layer1", [1, 2]),
        ("model.layer1.1", 2),
        ("objects.0.groups", ["g"]),
        ("objects.0.next.groups.0", {"deep"}),
        ("dotted.a.b", 5),
        ("dotted.a.c.1", 8),
        ("dotted.a", {"b": 5, "c": (6, 8)}),
        ("pairs.(1, 2)", "t"),
        ("pairs.7", "seven"),
        ("ordered.k.1", 8),
        ("queue.1", 3),
    ],
)
def test_a_part_alone(path, value):
    """only= leads through keys, indices and attributes; keys that hold dots themselves are found."""
    state = {
        "model": {"layer1": [1, 2], "layer2": None},
        "objects": (Node(["g"], Node([{"deep"}])),),
        "dotted": {"a.b": 5, "a.c": (6, 8), "ab": 7},
        "pairs": {(1, 2): "t", 7: "seven"},
        "ordered": OrderedDict(k=[7, 8]),
        "queue": __import__("collections").deque([2, 3]),
    }
    assert round_trip(state, types=Types.of(Node), only=path) == value


def test_of_two_keys_the_longer_one_leads():
    """A key that holds dots is taken before a path through dicts of the same name."""
    assert round_trip({"a": {"b": (1,)}, "a.b": (2,)}, only="a.b.0") == 2


def test_a_part_that_is_not_there():
    """KeyError says how far the path led and what is there."""
    encoded = encode({"model": {"a": 1, "b": (2,)}})
    with pytest.raises(KeyError, match=r"model has no part 'c'; it has a, b"):
        decode(encoded.document, fetcher(encoded), only="model.c")
    with pytest.raises(KeyError, match=r"model\.a has no part 'x'; it has nothing"):
        decode(encoded.document, fetcher(encoded), only="model.a.x")


def test_a_part_needs_only_its_own_types():
    """Types and buffers beside the part are not asked for."""
    encoded = encode({"a": Node([]), "b": [1]})
    assert decode(encoded.document, None, only="b") == [1]


def test_importing_the_codec_is_light():
    """No numpy, torch, pydantic or sqlalchemy is loaded by importing the codec or by encoding plain values."""
    program = """
import sys
from waycairn.codec import encode, decode
decode(encode({"a": (1, {2})}).document, None)
print([name for name in ("numpy", "torch", "pydantic", "sqlalchemy", "tempfile") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
