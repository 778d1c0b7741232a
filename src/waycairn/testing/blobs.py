"""What every place for packs must do. A back-end's test is a subclass of `BlobsContract` that says how to make one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from waycairn.errors import Damaged
from waycairn.model.ids import PackId
from waycairn.ports import Blobs, Buffer, Part
from waycairn.world.randomness import new_pack_id

MIB = 1 << 20


def _pattern(length: int, seed: int = 1) -> bytes:
    block = bytes((seed * 31 + position * 7) & 0xFF for position in range(251))
    return (block * (length // len(block) + 1))[:length]


def _write(blobs: Blobs, extents: Sequence[Sequence[Part]], size_hint: int | None = None) -> tuple[PackId, list[int]]:
    name = new_pack_id()
    total = sum(len(part) for parts in extents for part in parts)
    writer = blobs.create(name, total if size_hint is None else size_hint)
    try:
        offsets = [writer.append(parts) for parts in extents]
        writer.finish()
    finally:
        writer.abort()
    return name, offsets


def _read(blobs: Blobs, name: PackId, offset: int, length: int) -> bytes:
    target = bytearray(length)
    blobs.read_into(name, offset, memoryview(target))
    return bytes(target)


class _Made:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.times = 0

    def __len__(self) -> int:
        return len(self.data)

    def fill(self, target: memoryview) -> None:
        target[:] = self.data
        self.times += 1


class BlobsContract:
    """Give a fixture `blobs` that returns an empty place."""

    def test_reads_back_what_was_written(self, blobs: Blobs) -> None:
        """Parts of one extent lie one behind the other, and each extent begins aligned."""
        extents = [[b"head", _pattern(10)], [_pattern(5000)], [b"x"], [_pattern(3), b"", _pattern(70_000, 2)]]
        name, offsets = _write(blobs, extents)
        alignment = blobs.capabilities.alignment
        for parts, offset in zip(extents, offsets, strict=True):
            whole = b"".join(parts)
            assert offset % alignment == 0
            assert _read(blobs, name, offset, len(whole)) == whole

    @pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 3 * MIB + 1, 9 * MIB, 40 * MIB + 123])
    def test_sizes(self, blobs: Blobs, length: int) -> None:
        """From one byte to more than fits into any buffer of a writer; nothing behind the last part is kept."""
        data = _pattern(length)
        name, _ = _write(blobs, [[data]])
        info = blobs.head(name)
        assert info is not None
        assert info.size == length
        assert _read(blobs, name, 0, length) == data

    @pytest.mark.parametrize("hint", [0, 100, 64 * MIB])
    def test_the_size_hint_is_only_a_hint(self, blobs: Blobs, hint: int) -> None:
        """A wrong hint costs time and nothing else."""
        data = _pattern(6 * MIB + 5)
        name, offsets = _write(blobs, [[b"a"], [data]], size_hint=hint)
        assert _read(blobs, name, offsets[1], len(data)) == data
        assert (blobs.head(name) or pytest.fail("no pack")).size == offsets[1] + len(data)

    @pytest.mark.parametrize(("hint", "before"), [(0, 5), *((64 * MIB, size) for size in (0, 4096, 2 * MIB - 1))])
    def test_parts_that_are_made_where_they_are_written(self, blobs: Blobs, hint: int, before: int) -> None:
        """Of any size up to 1 MiB, between parts of any size; each is made once and whole."""
        made = [_Made(_pattern(length, seed)) for seed, length in enumerate([MIB, MIB, 80, MIB, 1, 4096, MIB - 1], 2)]
        extents: list[Sequence[Part]] = [
            [_pattern(before)],
            made[:3],
            [*made[3:5], _pattern(3 * MIB)],
            [made[5]],
            [made[6]],
        ]
        name, offsets = _write(blobs, extents, size_hint=hint)
        for parts, offset in zip(extents, offsets, strict=True):
            whole = b"".join(part.data if isinstance(part, _Made) else bytes(part) for part in parts)  # type: ignore[arg-type]
            assert _read(blobs, name, offset, len(whole)) == whole
        assert [one.times for one in made] == [1] * 7

    def test_padding_is_zero(self, blobs: Blobs) -> None:
        """Between two extents lie zeros, also where larger data lay before in the writer's memory."""
        for size in (12 * MIB, 10 * MIB + 1):
            name, offsets = _write(blobs, [[b"\xff" * size], [b"z"]])
            gap = offsets[1] - size
            assert _read(blobs, name, size, gap) == bytes(gap)

    def test_parts_of_every_kind(self, blobs: Blobs) -> None:
        """bytes, bytearray and memoryview, read-only or not, many at a time."""
        parts: list[Buffer] = [b"a", bytearray(b"bc"), memoryview(b"def"), memoryview(bytearray(b"gh"))] * 700
        name, _ = _write(blobs, [parts])
        assert _read(blobs, name, 0, 8 * 700) == b"abcdefgh" * 700

    def test_reads_at_any_offset(self, blobs: Blobs) -> None:
        """Offsets and lengths of reads need no alignment."""
        data = _pattern(5 * MIB + 17)
        name, _ = _write(blobs, [[data]])
        for offset, length in ((0, len(data)), (1, 4096), (4096, 3 * MIB), (4097, 2 * MIB + 5), (len(data) - 1, 1)):
            assert _read(blobs, name, offset, length) == data[offset : offset + length]

    def test_nothing_is_visible_before_finish(self, blobs: Blobs) -> None:
        """Neither by name nor in the list."""
        name = new_pack_id()
        writer = blobs.create(name, 10 * MIB)
        writer.append([_pattern(10 * MIB)])
        assert blobs.head(name) is None
        assert list(blobs.list()) == []
        writer.finish()
        assert [info.name for info in blobs.list()] == [name]

    def test_abort_leaves_nothing(self, blobs: Blobs) -> None:
        """At any moment, twice too; after finish it does nothing."""
        for length in (10, 10 * MIB):
            name = new_pack_id()
            writer = blobs.create(name, length)
            writer.append([_pattern(length)])
            writer.abort()
            writer.abort()
            assert blobs.head(name) is None
        name, _ = _write(blobs, [[b"stays"]])
        assert _read(blobs, name, 0, 5) == b"stays"
        assert blobs.delete_unfinished(time.time() + 10) == 0

    def test_keeps_no_reference(self, blobs: Blobs) -> None:
        """After finish and after abort the caller's memory is the caller's again."""
        for act in ("finish", "abort"):
            for length in (100, 10 * MIB):
                data = bytearray(length)
                writer = blobs.create(new_pack_id(), length)
                writer.append([data])
                getattr(writer, act)()
                data.append(1)  # BufferError if anybody still holds a view

    def test_missing_and_too_short_is_damage(self, blobs: Blobs) -> None:
        """A pack that is not there, or ends before the bytes that are asked for."""
        with pytest.raises(Damaged, match="missing"):
            _read(blobs, new_pack_id(), 0, 1)
        name, _ = _write(blobs, [[b"short"]])
        with pytest.raises(Damaged, match="too short"):
            _read(blobs, name, 0, 6)
        with pytest.raises(Damaged, match="too short"):
            _read(blobs, name, 10_000, 1)

    def test_delete(self, blobs: Blobs) -> None:
        """Gone at once; deleting again is no error; others stay."""
        name, _ = _write(blobs, [[b"a"]])
        other, _ = _write(blobs, [[b"b"]])
        blobs.delete(name)
        blobs.delete(name)
        blobs.delete(new_pack_id())
        assert blobs.head(name) is None
        assert [info.name for info in blobs.list()] == [other]

    def test_list_and_head_agree(self, blobs: Blobs) -> None:
        """Names, sizes and times."""
        written = {_write(blobs, [[_pattern(number + 1)]])[0]: number + 1 for number in range(20)}
        listed = {info.name: info for info in blobs.list()}
        assert {name: info.size for name, info in listed.items()} == written
        for name, info in listed.items():
            assert blobs.head(PackId(name)) == info
            assert abs(info.modified - time.time()) < 3600

    def test_its_clock_is_that_of_its_files(self, blobs: Blobs) -> None:
        """Also of an empty place; never before the time of a pack that is there."""
        assert abs(blobs.now() - time.time()) < 3600
        name, _ = _write(blobs, [[b"x"]])
        info = blobs.head(name)
        assert info is not None
        assert info.modified <= blobs.now() < info.modified + 60

    def test_delete_unfinished_spares_the_young(self, blobs: Blobs) -> None:
        """A writer at work is not disturbed by a clean-up of what is older."""
        writer = blobs.create(new_pack_id(), 10)
        writer.append([b"x"])
        assert blobs.delete_unfinished(time.time() - 3600) == 0
        writer.finish()
        assert blobs.delete_unfinished(time.time() + 3600) == 0
        assert len(list(blobs.list())) == 1

    def test_several_threads(self, blobs: Blobs) -> None:
        """Eight writers and readers at once, small and large."""

        def work(number: int) -> bool:
            data = _pattern(9 * MIB if number % 4 == 0 else 1000, number)
            name, _ = _write(blobs, [[data]])
            return _read(blobs, name, 0, len(data)) == data

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(24)))
        assert len(list(blobs.list())) == 24
