"""Several encoded states as one: what the items of a cut gave.

The document of a bundle is the msgpack array [[document, buffers], ...]: of each part its document (bin) and how many
buffers it has, nil where there is none. The buffers of all parts follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import msgspec

from waycairn.codec.decoding import Fetch, decode
from waycairn.codec.types import Types
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded

_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], list[tuple[bytes, int] | None]] = msgspec.msgpack.Decoder(
    list[tuple[bytes, int] | None]
).decode


@dataclass(frozen=True, slots=True)
class Packed:
    """One part, not decoded yet."""

    document: bytes
    fetch: Fetch

    def load(self, types: Types | None = None, *, strict: bool = True) -> Any:
        """The value. Raises what `decode` raises."""
        return decode(self.document, self.fetch, types=types, strict=strict)


def bundle(parts: Sequence[Encoded | None]) -> Encoded:
    """All parts, in order."""
    heads = [None if part is None else (part.document, len(part.buffers)) for part in parts]
    document = _encode(heads)
    there = [part for part in parts if part is not None]
    return Encoded(
        document,
        [view for part in there for view in part.buffers],
        widths=[width for part in there for width in part.widths or (0,) * len(part.buffers)],
    )


def unbundle(document: bytes | memoryview, fetch: Fetch) -> list[Packed | None]:
    """The parts again. Raises Damaged."""
    try:
        heads = _decode(cast("bytes", document))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(
            f"the results of a cut are damaged ({error}). They are not used. See `waycairn doctor`."
        ) from None
    counts = [0 if head is None else head[1] for head in heads]
    starts = accumulate(counts, initial=0)
    return [
        None if head is None else Packed(head[0], _shifted(fetch, start, head[1]))
        for head, start in zip(heads, starts, strict=False)
    ]


def _shifted(fetch: Fetch, start: int, count: int) -> Fetch:
    def fetch_one(number: int) -> memoryview:
        if not 0 <= number < count:
            raise ValueError("no such buffer")
        return fetch(start + number)

    return fetch_one
