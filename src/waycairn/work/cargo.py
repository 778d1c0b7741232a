"""The state beside a stream, as bytes that ride in the sink's transaction.

Byte 0 is the version (1), bytes 1-16 are the BLAKE3 of what follows: the msgpack array [document, [buffer, ...]] of
the encoded state. Nothing else checks what lies in a database of the user.
"""

from __future__ import annotations

import msgspec
from blake3 import blake3

from waycairn.codec import decode
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.work.state import Slot

_VERSION = b"\x01"
_DIGEST = 16
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, list[memoryview]]).decode


def load_cargo(encoded: Encoded) -> bytes:
    """The bytes of a state as it is now."""
    packed = _encode((encoded.document, encoded.buffers))
    return _VERSION + blake3(packed).digest(_DIGEST) + packed


def unload_cargo(stored: bytes, state: Slot) -> None:
    """Put what was stored back into the user's object. Raises Damaged; then the object is as it was."""
    version, digest, packed = stored[:1], stored[1 : 1 + _DIGEST], stored[1 + _DIGEST :]
    if version != _VERSION or blake3(packed).digest(_DIGEST) != digest:
        raise Damaged(
            "the state that lies beside the stream's offsets is damaged. It is not used and nothing was changed. Restore "
            "the sink's database from a backup, or give the stream up and read all again: waycairn stream reset"
        )
    document, buffers = _decode(packed)
    state.restore(decode(document, lambda number: buffers[number], types=state.types))
