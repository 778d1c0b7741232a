"""Cuts: where elements begin and end, so that what did not change keeps its chunks."""

import dataclasses
import itertools
import random
import time

import pytest

from codec_states import round_trip
from waycairn.codec import encode
from waycairn.codec.cuts import ELEMENT, INSIDE, SMALL_DOCUMENT


@dataclasses.dataclass
class Chat:
    step: int
    messages: list
    done: bool = False


@dataclasses.dataclass
class Message:
    role: str
    text: str


def pieces(state):
    """The document, split at its cuts."""
    encoded = encode(state)
    edges = [0, *encoded.cuts(), len(encoded.document)]
    assert edges == sorted(set(edges))
    return [encoded.document[start:end] for start, end in itertools.pairwise(edges)]


def message(number, size=1000):
    return {"role": "user", "text": f"{number:08d}" * (size // 8)}


WAYS = {
    "dict": lambda messages: {"step": len(messages), "messages": messages},
    "dataclass": lambda messages: Chat(len(messages), messages),
    "objects": lambda messages: Chat(len(messages), [Message(**m) for m in messages]),
    "tuple": lambda messages: ("chat", tuple(messages), {"end": 1}),
    "by key": lambda messages: {"all": {f"message {i}": m for i, m in enumerate(messages)}},
    "by number": lambda messages: {"all": dict(enumerate(messages))},
    "by pair": lambda messages: {(i, "m"): m for i, m in enumerate(messages)},
    "deep": lambda messages: {"a": [{"b": [Chat(1, [messages])]}]},
    "special": lambda messages: [[m, {1, 2}] for m in messages],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_growing_list_keeps_the_chunks_of_its_elements(way):
    """A message appended per save: at every save all earlier messages are found again, whatever holds them."""
    messages = [message(n) for n in range(60)]
    known = set(pieces(way(messages[:59])))
    now = pieces(way(messages))
    new = [piece for piece in now if piece not in known]
    assert sum(map(len, new)) < 1000 + 600
    assert sum(len(piece) >= 1000 for piece in now) == 60
    restored = round_trip(way(messages), strict=False)
    assert restored is not None


@pytest.mark.parametrize("at", [0, 30, 59])
def test_an_insertion_or_a_change_moves_no_other_cut(at):
    """Elements before and behind a changed or inserted one keep their bytes."""
    messages = [message(n) for n in range(60)]
    before = set(pieces({"m": messages, "n": 60}))
    inserted = [*messages[:at], message(777), *messages[at:]]
    changed = [*messages[:at], message(778), *messages[at + 1 :]]
    for state in (inserted, changed):
        new = [piece for piece in pieces({"m": state, "n": 60}) if piece not in before]
        assert sum(map(len, new)) < 1000 + 100


def test_sizes_at_which_cuts_begin():
    """None below 4 KiB; elements from 512 bytes; containers from 16 KiB are cut inside."""
    assert encode(["x" * (SMALL_DOCUMENT - 10)]).cuts() == []
    assert len(pieces(["a", "x" * SMALL_DOCUMENT, "b"])) == 4  # header, a, x, b
    filler = "x" * SMALL_DOCUMENT
    assert [len(piece) for piece in pieces([filler, "y" * 20, "z"])] == [3, SMALL_DOCUMENT + 3, 23]
    assert [len(piece) for piece in pieces([filler, "y" * (ELEMENT - 3), "z"])] == [3, SMALL_DOCUMENT + 3, ELEMENT, 2]
    half = "h" * (INSIDE // 2)
    assert len(pieces([filler, [half, half[:-20]], "z"])) == 4
    assert len(pieces([filler, [half, half], "z"])) == 6


@pytest.mark.parametrize("size", [40, 100, 300])
def test_short_elements_are_grouped_by_their_content(size):
    """The groups are of some hundred bytes; an element that is inserted or changed touches one of them."""
    texts = [random.Random(number).randbytes(size // 2).hex() for number in range(400)]
    before = pieces(texts)
    assert 250 < sum(map(len, before)) / len(before) < 1000
    for at in (0, 1, 200, 399, 400):
        inserted = [*texts[:at], "i" * size, *texts[at:]]
        changed = [*texts[:at], "c" * size, *texts[at + 1 :]]
        for state in (inserted, changed):
            assert len(set(pieces(state)) - set(before)) <= 3, at  # two halves of a group, and the header


def test_cuts_are_at_the_ends_of_elements():
    """Each piece of a list of strings is one string, whole."""
    texts = [chr(97 + n) * 700 for n in range(10)]
    assert [piece[3:4].decode() * 700 for piece in pieces(texts)[1:]] == texts


@pytest.mark.parametrize("key", ["k", "k" * 40, "ü" * 20, 5, 2**40, -3, 1.5, None, b"key", b"k" * 300, True])
def test_keys_of_any_length(key):
    """Offsets are right behind keys of every kind."""
    state = {key: "v" * 5000, "next": "w" * 5000}
    assert [piece.count(b"w") >= 5000 for piece in pieces(state)] == [False, False, True]
    assert pieces(state)[-1].startswith(b"\xa4next")


def test_many_numbers_are_no_chunks():
    """A container of small things is not looked into: 200,000 numbers cost no cuts and no time."""
    encoded = encode([*range(200_000)])
    assert encoded.cuts() == []
    assert len(encode({"a": [*range(200_000)], "b": [*range(200_000)]}).cuts()) == 2


def test_two_megabytes_of_messages_are_fast():
    """2,000 messages of 1 KB: at most 10 ms of processor time, at best (the machine may be busy)."""
    state = {"messages": [message(n, 1000) for n in range(2000)], "step": 3}
    took = []
    for _ in range(20):
        start = time.process_time()
        cuts = encode(state).cuts()
        took.append(time.process_time() - start)
    assert len(cuts) > 2000
    assert min(took) < 0.010
