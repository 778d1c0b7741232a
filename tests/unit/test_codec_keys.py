"""Keys of items: typed, exact, small."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.codec.keys import (
    canonical,
    content_key,
    key_digest,
    key_function,
    keys_of,
    pack_keys,
    plain,
    scope_of,
    shown,
    single_key,
    unpack_keys,
)
from waycairn.errors import Damaged
from waycairn.model.records import DoneItems
from waycairn.work.done import DoneKeys, SeenKeys


class Colour(IntEnum):
    RED = 1


@dataclass
class Photo:
    name: str
    size: int


keys = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(),
    st.binary(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.uuids(),
    st.tuples(st.integers(), st.text(st.characters(exclude_categories=["Cs"]))),
)


@given(st.lists(keys))
def test_a_block_gives_back_its_keys_in_order(listed: list[object]) -> None:
    """What was done is read back key by key."""
    wanted = [canonical(key) for key in listed]
    assert unpack_keys(pack_keys(wanted)) == wanted


def test_keys_are_typed() -> None:
    """1, "1", True, 1.0, b"1", an Enum of 1 and (1,) are seven keys."""
    same_looking = [1, "1", True, 1.0, b"1", Colour.RED, (1,)]
    assert len({canonical(key) for key in same_looking}) == len(same_looking)


def test_large_numbers_and_paths_are_keys() -> None:
    """A number beyond 64 bits, a path and a UUID keep their identity."""
    large = [2**70, -(2**70), PurePosixPath("a/b"), UUID(int=7)]
    assert len({canonical(key) for key in large}) == len(large)


def test_a_list_is_no_key() -> None:
    """What changes in place cannot name an item; the error says what can."""
    with pytest.raises(TypeError, match=r"a key cannot be a list .* use str, int"):
        canonical([1])


def test_the_content_is_the_key_of_what_has_no_other() -> None:
    """A dict is named by what it holds, whatever object it is."""
    assert content_key({"a": 1}) == content_key({"a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})


def test_a_key_by_name_is_an_attribute_or_an_entry() -> None:
    """key="name" finds it in objects and mappings, and names the item that lacks it."""
    find = key_function("name")
    assert [find(Photo("a", 1)), find({"name": "b"})] == ["a", "b"]
    with pytest.raises(ValueError, match=r"has no 'name' to be its key"):
        find({"title": "c"})


@given(st.binary(min_size=1, max_size=80))
def test_damaged_blocks_are_damage(block: bytes) -> None:
    """No bytes make the reader do anything but return keys or raise Damaged."""
    with suppress(Damaged):
        assert all(type(key) in (str, int, bytes) for key in unpack_keys(block))


@pytest.mark.parametrize("count", [2, 50])
def test_a_flipped_bit_in_a_block_is_noticed(count: int) -> None:
    """Every single bit of a block flipped, plain and compressed: a key that changed by a bit would be another key."""
    block = pack_keys([f"image-{number}" for number in range(count)])
    for position in range(len(block) * 8):
        flipped = bytearray(block)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(Damaged):
            unpack_keys(bytes(flipped))


def test_a_block_without_a_checksum_can_be_read() -> None:
    """Version 1."""
    assert unpack_keys(bytes.fromhex("0100 94 a5612e6a7067 07 c4023f31 c405749201a178")) == [
        canonical(key) for key in ("a.jpg", 7, True, (1, "x"))
    ]


def test_a_row_says_how_many_and_under_which_digest() -> None:
    """A count or a digest that is not that of the keys is damage: items would run twice, or be passed over."""
    block = pack_keys(["a", "b"])
    assert keys_of(DoneItems(loop="l", count=2, keys=block)) == ["a", "b"]
    with pytest.raises(Damaged, match="counts 3 finished items and names 2"):
        keys_of(DoneItems(loop="l", count=3, keys=block))
    assert single_key(pack_keys(["a"]), key_digest("a")) == "a"
    for wrong in ((pack_keys(["b"]), key_digest("a")), (block, key_digest("a"))):
        with pytest.raises(Damaged, match="not that of its key"):
            single_key(*wrong)


def blocks(*groups: list[object]) -> list[DoneItems]:
    return [
        DoneItems(loop="l", count=len(group), keys=pack_keys([canonical(key) for key in group])) for group in groups
    ]


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)))
def test_done_keys_are_found_in_any_order(order: list[int], done: set[int]) -> None:
    """Whatever the order of input and ledger, exactly the done keys are found."""
    listed = sorted(done)
    asked = DoneKeys(blocks(listed[:5], listed[5:]), len(listed))
    assert [key for key in order if asked.contains(key)] == [key for key in order if key in done]
    assert asked.is_empty


def test_keys_done_after_the_loop_began_are_not_read() -> None:
    """The blocks grow while the loop runs; only those of its beginning count."""
    asked = DoneKeys(blocks(["a"], ["b"]), 1)
    assert asked.contains("a")
    assert not asked.contains("b")


def test_in_the_same_order_nothing_is_kept() -> None:
    """The usual resume holds no set of keys in memory."""
    asked = DoneKeys(blocks(list(range(1000))), 1000)
    for key in range(1000):
        assert asked.contains(key)
        assert not asked._ahead


def test_a_repeated_key_is_noticed() -> None:
    """-1 and -2 have one hash in Python; they are two keys."""
    seen = SeenKeys()
    assert [seen.may_repeat(key) for key in (-1, -2, "a", b"b", "a", -1)] == [False] * 4 + [True] * 2


def test_a_scope_names_one_item() -> None:
    """Steps of item 1 and of item "1" do not meet, long keys are hashed."""
    assert scope_of("l", 1) != scope_of("l", "1")
    assert len(scope_of("l", "x" * 100_000)) < 200
    assert shown("x" * 1000).endswith("...")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("it", "'it'"),
        (-3, "-3"),
        (-(2**70), "-1180591620717411303424"),
        (True, "True"),
        (None, "None"),
        (1.5, "1.5"),
        (b"\xff", "b'\\xff'"),
        (PurePosixPath("a/b"), "a/b"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Colour.RED, "Colour:1"),
        ((1, "a", (None, UUID(int=7))), "(1, 'a', (None, 00000000-0000-0000-0000-000000000007))"),
    ],
    ids=str,
)
def test_every_key_can_be_read(key: object, text: str) -> None:
    """Errors, lists and exports name items by what the program called them, not by how they are stored."""
    assert shown(canonical(key)) == text


def test_a_key_for_other_programs_is_whole() -> None:
    """Numbers stay numbers, however large, and nothing is cut short: two long paths must not become one."""
    assert [plain(canonical(key)) for key in ("x" * 300, 1, 2**70, -(2**70))] == ["x" * 300, 1, 2**70, -(2**70)]
    assert plain(canonical(PurePosixPath("x" * 300))) == "x" * 300
    assert plain(canonical(True)) == "True"
