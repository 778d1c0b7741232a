"""Two stored states compared without loading both: large arrays are in memory only while they are compared.

The states are decoded over memory that nobody has touched and that costs nothing. When the two of a pair are compared, their
bytes are read to there, verified, and given back afterwards.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from waycairn.codec import decode
from waycairn.errors import Damaged
from waycairn.model.records import CheckpointRecord
from waycairn.store import StoreCore
from waycairn.upkeep.differences import Difference, differences
from waycairn.upkeep.paths import is_tensor

if TYPE_CHECKING:
    from waycairn.chunks import OpenState

_LARGE = 1 << 20
"""Bytes of a buffer from which on it is brought only to be compared."""
OnDamage = Callable[[CheckpointRecord, Damaged], None]


def compare(
    core: StoreCore, old: CheckpointRecord, new: CheckpointRecord, on_damage: OnDamage = lambda _, __: None
) -> Iterator[Difference]:
    """What was added, removed and changed, in the order of the states. Types that are not known here are compared by their
    fields. Raises Damaged, after `on_damage` was told of it."""
    halves = [_Half(core, record, on_damage) for record in (old, new)]
    before, after = (half.decoded() for half in halves)

    @contextmanager
    def bring(array: Any) -> Iterator[None]:
        half = next((half for half in halves if half.holds(array)), None)
        if half is None:
            yield
            return
        with half.brought(array):
            yield

    return differences(before, after, bring)


class _Half:
    """One of the two states."""

    def __init__(self, core: StoreCore, record: CheckpointRecord, on_damage: OnDamage) -> None:
        self._core, self._record, self._on_damage = core, record, on_damage
        self._state: OpenState = self._read(lambda: core.open(record.checkpoint.stored))
        self._maps: dict[int, tuple[mmap.mmap, int]] = {}
        """Beginning of the memory for a buffer to that, and the number of the buffer."""
        self._begins: list[int] = []

    def decoded(self) -> Any:
        value = self._read(lambda: decode(self._state.document, self._memory, strict=False))
        self._begins = sorted(self._maps)
        return value

    def holds(self, array: Any) -> bool:
        return self._found(array) is not None

    @contextmanager
    def brought(self, array: Any) -> Iterator[None]:
        found = self._found(array)
        assert found is not None
        memory, number = found
        self._read(lambda: self._state.read_into({number: memoryview(memory)}))
        try:
            yield
        finally:
            with suppress(AttributeError, OSError):  # where there is no such call it stays until the end
                memory.madvise(mmap.MADV_DONTNEED)

    def _memory(self, number: int) -> memoryview:
        size = self._state.buffer_size(number)
        if size < _LARGE:
            return self._state.fetch(number)
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._maps[_address(memory)] = (memory, number)
        return memoryview(memory)

    def _found(self, array: Any) -> tuple[mmap.mmap, int] | None:
        place = array.data_ptr() if is_tensor(array) else array.__array_interface__["data"][0]
        at = bisect_right(self._begins, place) - 1
        if at < 0:
            return None
        begin = self._begins[at]
        memory, number = self._maps[begin]
        return (memory, number) if place < begin + len(memory) else None

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Damaged as error:
            self._on_damage(self._record, error)
            raise


def _address(memory: mmap.mmap) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
