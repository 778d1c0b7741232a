"""A value that is saved under a name, as bytes."""

from __future__ import annotations

from typing import Any

from waycairn.codec import encode
from waycairn.model.encoded import Encoded, Streamed
from waycairn.model.files import Files


def encode_value(value: Any) -> Encoded | Streamed:
    """What may be files."""
    if not isinstance(value, Files):
        return encode(value)
    from waycairn.codec.files import encode_files  # few need it

    return encode_files(value)


def refuse_files(value: Any) -> None:
    """Where a value is copied and written behind the job."""
    if isinstance(value, Files):
        raise TypeError(
            "files are read while they are saved, and nobody may write to them meanwhile: they cannot be saved with wait=False. "
            "Nothing was saved."
        )
