"""From stored bytes to a state, whole or a part, anew or into the arrays and tensors that the caller has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from waycairn.codec import codes
from waycairn.codec.decoding import Unwalk, on_enough_stack, opened, translated
from waycairn.codec.filling import Filling, plan_filling
from waycairn.codec.marks import Mark
from waycairn.codec.problems import Carried
from waycairn.codec.selecting import select, select_each
from waycairn.codec.types import Types
from waycairn.errors import Damaged, WaycairnError

_T = TypeVar("_T")


class Buffers(Protocol):
    """The buffers of one stored state; see `chunks.OpenState`."""

    def buffer_size(self, number: int) -> int: ...

    def fetch(self, number: int) -> memoryview: ...

    def prefetch(self, numbers: Iterable[int] | None = None) -> None:
        """Read many, so that `fetch` only hands them out."""
        ...

    def read_into(self, targets: Mapping[int, memoryview]) -> None:
        """Read many, each into memory of its size."""
        ...


def load(
    document: bytes | memoryview,
    buffers: Buffers,
    *,
    into: Any = None,
    only: str | Sequence[str] | None = None,
    types: Types | None = None,
    strict: bool = True,
    map_location: Any = None,
    apart: Sequence[bytes] = (),
) -> Any:
    """The state, or the part `only` of it, with the fewest and largest reads; see `decode`.

    `apart` is what `read_apart` left out of the document. A list of paths gives a dict of path to part. With `into` every array and tensor of that tree gets the content that
    is stored at its place, and stands in the result in place of a new one; all else in the result is new, as stored.
    Raises ValueError naming the first places where kind, dtype or shape differ, where nothing is stored, or that cannot
    be written: then nothing was changed. Damaged while the contents are read may leave some of them overwritten, and
    says so.
    """
    device = None
    if map_location is not None:
        from waycairn.codec.devices import device_of

        device = device_of(map_location)

    def loaded() -> Any:
        flags, shapes, raw = opened(document, apart)
        walk = Unwalk(shapes, buffers.fetch, types, strict=strict, device=device)
        if only is not None:
            raw = select(walk, raw, only) if isinstance(only, str) else select_each(walk, raw, only)
        if into is not None:
            return _load_into(walk, raw, into, buffers)
        _reading(buffers.prefetch, None if only is None else set(_places(raw)))
        return walk.value(raw) if flags & codes.MARKED else raw

    return on_enough_stack(lambda: translated(loaded))


def _load_into(walk: Unwalk, raw: Any, into: Any, buffers: Buffers) -> Any:
    # 1. Everything that could be wrong is found before a byte is read.
    raw, fillings = plan_filling(walk, raw, into)
    # 2. What is new is made first: it may be refused, too.
    others = set(_places(raw))
    direct = _direct(fillings, others, buffers)
    others |= {filling.number for filling in fillings if filling.number is not None} - direct.keys()
    _reading(buffers.prefetch, others)
    state = walk.value(raw)
    # 3. What is there is overwritten: large buffers straight from the disk, the rest by a copy.
    try:
        _reading(buffers.read_into, {number: memory for number, (_, memory) in direct.items()})
    except Damaged as error:
        raise Damaged(f"{error} {_PARTLY}", **vars(error)) from error
    for number, (_, memory) in direct.items():
        walk.adopt(number, memory)
    for filling in fillings:
        if filling.number not in direct or direct[filling.number][0] is not filling:
            filling.copy(walk.value(filling.node))
    return state


def _reading(read: Callable[[_T], None], what: _T) -> None:
    """What goes wrong with the store itself is no damage of the document."""
    try:
        read(what)
    except WaycairnError:
        raise
    except Exception as error:  # noqa: BLE001 - carried past those who take errors for damage
        raise Carried(error) from error.__cause__


_PARTLY = (
    "The arrays and tensors that were given as into= may be overwritten in part: load an older checkpoint into them, or "
    "make them anew, before you use them."
)


def _direct(fillings: Sequence[Filling], others: set[int], buffers: Buffers) -> dict[int, tuple[Filling, memoryview]]:
    """The buffers that are exactly the memory of a target, and of nothing that comes back anew."""
    direct: dict[int, tuple[Filling, memoryview]] = {}
    for filling in fillings:
        number = filling.number
        if number is None or number in others or number in direct:
            continue
        memory = filling.memory()
        if memory is not None and memory.nbytes == buffers.buffer_size(number):
            direct[number] = (filling, memory)
    return direct


def _places(raw: Any) -> Iterator[int]:
    """Numbers of the buffers that a decoded document needs."""
    waiting = [raw]
    while waiting:
        node = waiting.pop()
        if type(node) is dict:
            waiting += node.values()
        elif type(node) is list and node:
            if type(node[0]) is Mark and node[0].code in (codes.ARRAY, codes.TENSOR):
                if type(node[-1]) is int:
                    yield node[-1]
            else:
                waiting += node
