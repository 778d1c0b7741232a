"""A checkpoint as a file that is never on a disk: written piece by piece to whoever downloads it.

What is in an encrypted store is to lie nowhere in the clear. Beside the state itself a copy of one array at most is in memory,
and that only where it does not lie as the format wants it. What cannot be written is told before the first piece.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waycairn.upkeep.exporting import CannotExport, as_numpy, native
from waycairn.upkeep.paths import is_tensor
from waycairn.upkeep.readable import array_bytes, dtype_name, readable

_PIECE = 1 << 20
MOST_JSON = 64 << 20
"""Bytes of a state that is written out as text with all elements of its arrays: a number takes ten times as much there."""
_NAMES = {
    **{f"float{bits}": f"F{bits}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"U{bits}" for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
    "bfloat16": "BF16",
    "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
"""Of elements, as safetensors calls them."""


@dataclass(frozen=True, slots=True)
class Download:
    """What is sent."""

    pieces: Iterator[bytes]
    media: str
    length: int | None = None
    """Bytes; None where that is known at the end only."""


def as_json(state: Any, facts: Mapping[str, Any], *, size: int, data: bool) -> Download:
    """Of a state of that many bytes. Raises CannotExport."""
    if data and size > MOST_JSON:
        raise CannotExport(
            f"the state has {size:,} bytes; more than {MOST_JSON:,} are not written as text. Nothing was sent. Ask for npz "
            "or safetensors, or for json without the elements of arrays."
        )
    whole = {"checkpoint": facts, "state": readable(state, data=data)}
    texts = json.JSONEncoder(allow_nan=False).iterencode(whole)
    return Download(_joined(text.encode("ascii") for text in texts), "application/json")


def as_npz(named: Mapping[str, Any]) -> Download:
    """numpy's archive of named arrays. Raises CannotExport."""
    for name, array in named.items():
        if is_tensor(array):
            as_numpy(name, array.new_empty(0))  # which says whether numpy has such elements
    return Download(_joined(_npz(named)), "application/octet-stream")


def _npz(named: Mapping[str, Any]) -> Iterator[bytes]:
    from numpy.lib.format import header_data_from_array_1_0, write_array_header_1_0, write_array_header_2_0

    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in named.items():
            plain = as_numpy(name, array)
            facts, header = header_data_from_array_1_0(plain), io.BytesIO()
            try:
                write_array_header_1_0(header, facts)
            except ValueError:  # of very many fields
                header = io.BytesIO()
                write_array_header_2_0(header, facts)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(header.getvalue())
                for piece in _pieces_of(plain.T if facts["fortran_order"] else plain):
                    member.write(piece)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What is written to it is taken out again. It cannot seek, so the archive never wants to go back."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def as_safetensors(named: Mapping[str, Any], about: Mapping[str, str]) -> Download:
    """The safetensors format; `about` becomes its metadata. Raises CannotExport."""
    header: dict[str, Any] = {"__metadata__": dict(about)}
    # Large elements first, so that each array begins where its elements may.
    ordered = sorted(named.items(), key=lambda one: (-_itemsize(one[1]), one[0]))
    end = 0
    for name, array in ordered:
        kind = _NAMES.get(dtype_name(array))
        if kind is None or name == "__metadata__":
            raise CannotExport(
                f"safetensors cannot hold {name}, an array of {dtype_name(array)}. Nothing was sent. Ask for npz or json."
            )
        begin, end = end, end + array_bytes(array)
        header[name] = {"dtype": kind, "shape": [int(one) for one in array.shape], "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text

    def pieces() -> Iterator[bytes]:
        yield head
        for _, array in ordered:
            yield from _pieces_of(_bytes_of(array) if is_tensor(array) else native(array))

    return Download(_joined(pieces()), "application/octet-stream", len(head) + end)


def _itemsize(array: Any) -> int:
    return int(array.element_size()) if is_tensor(array) else int(array.dtype.itemsize)


def _bytes_of(tensor: Any) -> Any:
    """The elements of a tensor as an array of bytes: numpy does not know all of them."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    # Some tensor came out of the state, so torch is here; it is imported in one module only.
    return plain.reshape(-1).view(sys.modules["torch"].uint8).numpy()


def _pieces_of(array: Any) -> Iterator[bytes]:
    """Its elements in C order, a piece at a time."""
    import numpy as np

    flat = np.ascontiguousarray(array).reshape(-1)
    if not flat.nbytes:
        return
    view: Any = memoryview(flat.view(np.uint8).data)
    for begin in range(0, len(view), _PIECE):
        yield bytes(view[begin : begin + _PIECE])


def _joined(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Small parts together: whoever sends them pays for each."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)
