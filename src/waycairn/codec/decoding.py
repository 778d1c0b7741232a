"""The decoding walk: a document back to the state, or to a part of it."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

import msgspec

from waycairn.codec import codes, containers, records, registry, scalars
from waycairn.codec.apart import hook
from waycairn.codec.contract import Unpack, Unpacking
from waycairn.codec.marks import Mark
from waycairn.codec.plain import every_kind
from waycairn.codec.problems import Carried
from waycairn.codec.records import Record, Shape
from waycairn.codec.selecting import NoSuchPart, select, select_each
from waycairn.codec.types import Types
from waycairn.errors import Damaged, StoreTooNew, UnknownType, WaycairnError

Fetch = Callable[[int], memoryview]

_T = TypeVar("_T")
_LENGTH = struct.Struct("<I")

# What Python and its libraries raise when they are handed nonsense. Errors of the user's own hooks are wrapped
# where they are called, so that these only ever mean the bytes.
_NONSENSE = (
    msgspec.MsgspecError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
)


def decode(
    document: bytes | memoryview,
    fetch: Fetch,
    *,
    types: Types | None = None,
    only: str | Sequence[str] | None = None,
    strict: bool = True,
) -> Any:
    """The state again, bit-identical and of its types.

    `fetch(i)` gives buffer `i`; it is called once for each buffer that is needed. A writable view is adopted, not
    copied: it belongs to the state from then on. Tensors come back on the CPU. (`load` reads from a store: many buffers
    at once, to other devices, and into arrays and tensors that are there.)

    `only="model.layer1"` decodes that part alone (keys, indices and attributes joined by dots) and fetches only its
    buffers; keys that begin with the rest of the path and a dot give a dict of them. A list of paths gives a dict of
    path to part. KeyError if there is no such part.

    Types are looked up in `types` and in the registry, never imported. An unknown one raises UnknownType, or with
    `strict=False` becomes a Record. Raises Damaged for any bytes that are not a document, StoreTooNew for a document
    of a later version.
    """

    def decoded() -> Any:
        flags, shapes, raw = opened(document)
        walk = Unwalk(shapes, fetch, types, strict=strict)
        if only is not None:
            return walk.value(select(walk, raw, only) if isinstance(only, str) else select_each(walk, raw, only))
        return walk.value(raw) if flags & codes.MARKED else raw

    return on_enough_stack(lambda: translated(decoded))


def translated(call: Callable[[], _T]) -> _T:
    """What bytes that are nonsense raise, as Damaged."""
    try:
        return call()
    except NoSuchPart as error:
        raise KeyError(str(error)) from None
    except Carried as carried:
        raise carried.error from carried.error.__cause__
    except (WaycairnError, RecursionError):
        raise
    except _NONSENSE as error:
        raise _damaged(error) from error


def opened(document: bytes | memoryview, apart: Sequence[bytes] = ()) -> tuple[int, dict[bytes, Shape], Any]:
    """Flags, shapes and the tree of nodes. `apart` was left out of it, see `apart`."""
    flags, shapes, body = _open(memoryview(document))
    decoder = _MARKED if flags & codes.MARKED else _UNMARKED
    if apart:
        assert decoder.ext_hook is not None
        decoder = msgspec.msgpack.Decoder(ext_hook=hook(apart, decoder.ext_hook))
    return flags, shapes, decoder.decode(body)


def _open(document: memoryview) -> tuple[int, dict[bytes, Shape], memoryview]:
    if len(document) < 3:
        raise ValueError("too short")
    version, flags = document[0], document[1]
    if version != codes.VERSION:
        raise StoreTooNew(
            f"this state has format {version}; this waycairn reads format {codes.VERSION}. Nothing was changed. "
            "Upgrade waycairn to load it."
        )
    if flags & ~(codes.MARKED | codes.SHAPED):
        raise ValueError(f"unknown flags {flags:#x}")
    if not flags & codes.SHAPED:
        return flags, {}, document[2:]
    (length,) = _LENGTH.unpack_from(document, 2)
    start = 2 + _LENGTH.size
    shapes = {digest: (name, fields) for digest, name, fields in _TABLE.decode(document[start : start + length])}
    return flags, shapes, document[start + length :]


def _damaged(error: BaseException) -> Damaged:
    return Damaged(
        f"the bytes of a stored state are not what waycairn writes ({error}). They are not used. See `waycairn doctor`."
    )


def on_enough_stack(call: Callable[[], _T]) -> _T:
    """A caller near Python's recursion limit still gets its state: a thread begins with an empty stack."""
    try:
        return call()
    except RecursionError:
        return _on_fresh_stack(call)


def _on_fresh_stack(call: Callable[[], _T]) -> _T:
    outcome: list[_T] = []
    problem: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread
            problem.append(error)

    thread = threading.Thread(target=run, name="waycairn-decode")
    thread.start()
    thread.join()
    if problem and isinstance(problem[0], RecursionError):
        raise _damaged(problem[0]) from None  # deeper than any state that was ever saved
    if problem:
        raise problem[0]
    return outcome[0]


class Unwalk:
    """One decoding."""

    def __init__(
        self, shapes: dict[bytes, Shape], fetch: Fetch, types: Types | None, *, strict: bool, device: Any = None
    ) -> None:
        self.strict = strict
        self.device = device
        self.kept: dict[Any, Any] = {}
        self._shapes = shapes
        self._fetch = fetch
        self._types = types
        self._depth = 0
        self._memory: dict[int, memoryview] = {}

    def value(self, raw: Any) -> Any:
        kind = type(raw)
        if kind is Mark:
            raise ValueError("a mark out of its place")
        if kind is not list and kind is not dict:
            return raw
        self._depth += 1
        if kind is list and raw and type(raw[0]) is Mark:
            code = raw[0].code
            value = (_UNPACK.get(code) or _find_unpack(code))(self, raw[0], raw)
        else:
            value = self._filled(raw, raw if kind is list else raw.values())
        self._depth -= 1
        return value

    def _filled(self, holder: Any, contents: Any) -> Any:
        """Replace in place what is not there yet: the decoder made these containers for nobody else."""
        if _LEAVES_ONLY(map(type, contents)):
            return holder
        if self._depth <= codes.LOOK_DEPTH and every_kind(holder, _NO_MARK, _ANY):
            return holder
        for key, content in enumerate(holder) if type(holder) is list else holder.items():
            holder[key] = self.value(content)
        return holder

    def values(self, raw: list[Any]) -> list[Any]:
        if _LEAVES_ONLY(map(type, raw)):
            return raw
        return list(map(self.value, raw))

    def shape_of(self, mark: Mark) -> Shape:
        return self._shapes[mark.data]

    def find_type(self, name: str) -> type | None:
        kind = self._types.get(name) if self._types is not None else None
        if kind is None:
            registration = registry.by_name(name)
            kind = registration.kind if registration is not None else None
        return kind

    def memory(self, where: Any, size: int) -> memoryview:
        if type(where) is bytes:
            view = memoryview(bytearray(where))
        elif type(where) is int and where >= 0:
            found = self._memory.get(where)
            view = found if found is not None else self._bring(where)
        else:
            raise ValueError("no place of a buffer")
        if view.nbytes < size:
            raise ValueError("a buffer is shorter than what lies in it")
        return view

    def adopt(self, number: int, memory: memoryview) -> None:
        """Memory that holds this buffer already."""
        self._memory[number] = memory

    def _bring(self, number: int) -> memoryview:
        view = memoryview(self._fetch(number)).cast("B")
        if view.readonly:
            view = memoryview(bytearray(view))
        self._memory[number] = view
        return view


def _scalar(code: int, data: memoryview) -> Any:
    return scalars.UNPACK[code](bytes(data))


def _scalar_or_mark(code: int, data: memoryview) -> Any:
    if code >= codes.FIRST_MARK:
        return _mark(code, bytes(data))
    return scalars.UNPACK[code](bytes(data))


def _find_unpack(code: int) -> Unpack:
    """Arrays and tensors: their libraries are imported when stored data holds one."""
    if codes.ARRAY <= code <= codes.RANDOM_STATE:
        try:
            from waycairn.codec import arrays
        except ImportError:
            return partial(_without, "numpy")
        return arrays.UNPACK[code]
    if codes.TENSOR <= code <= codes.TORCH_VALUE:
        try:
            from waycairn.codec import tensors
        except ImportError:
            return partial(_without, "torch")
        return tensors.UNPACK[code]
    raise ValueError(f"a mark {code} that this version does not have")


def _without(library: str, walk: Unpacking, mark: Mark, raw: list[Any]) -> Any:
    """What a machine without the library makes of an array: a Record of how it was stored."""
    if walk.strict:
        raise UnknownType(
            f"the stored data holds what only {library} can hold, and {library} is not installed. Nothing was changed. "
            f"Install waycairn[{library}] and run again.",
            name=library,
        )
    return Record(library, {"code": mark.code, "stored": walk.values(raw[1:])})


_UNPACK = {**containers.UNPACK, **records.UNPACK}
_mark = lru_cache(maxsize=4096)(Mark)  # the same few come again and again
_NO_MARK = frozenset({Mark}).isdisjoint
_LEAVES_ONLY = frozenset({Mark, list, dict}).isdisjoint


def _ANY(kinds: Any) -> bool:  # noqa: N802 - beside its siblings
    del kinds  # keys never hold a mark: it is unhashable
    return True


_UNMARKED = msgspec.msgpack.Decoder(ext_hook=_scalar)
_MARKED = msgspec.msgpack.Decoder(ext_hook=_scalar_or_mark)
_TABLE = msgspec.msgpack.Decoder(list[tuple[bytes, str, tuple[str, ...]]])
