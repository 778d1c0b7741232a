"""Names under which a log goes on when it is rotated.

Rotated forms of `app.jsonl` stand in the same directory and are named

    app.jsonl.1             a number of 1 to 9 digits: the larger, the older
    app.jsonl-20261121      a date, after `-` or `.`, with or without `-` in it, and with or without a time after it
    app.jsonl.2026-11-21_13-00
    app.jsonl.old           and .bak
    app.jsonl.gz            any of them, and the name itself, with .gz

A rotated form is looked at to finish a generation that is known, and to read the rotations that happened while nobody
looked. One that matches no known generation is read only if it was written to after the oldest generation known of
that name (or, if there is none, of the stream) was first seen: the archive that was there before the stream is left
alone. Who wants it names it, for example with `app.jsonl*`. Forms with the number before the extension (`app.1.jsonl`) may be the live file of somebody else, and are
read only where they are asked for.
"""

from __future__ import annotations

import re

_FORM = re.compile(
    rb"""(?P<name>.+?)
    (?: \.(?P<number>\d{1,9})
      | [.-](?P<date>\d{4}-?\d\d-?\d\d (?: [-_.T]? \d[\d:_.-]*? )?)
      | (?P<old>\.(?:old|bak))
    )?
    (?P<gz>\.gz)?""",
    re.VERBOSE | re.DOTALL,
)
_NO_DIGIT = re.compile(rb"\D")

Rank = tuple[int, int, bytes]
LIVE: Rank = (9, 0, b"")
"""After all that was rotated."""


def base_of(name: bytes) -> bytes | None:
    """The name of which this is a rotated form; None if it is none."""
    found = _FORM.fullmatch(name)
    assert found
    return None if found["name"] == name else found["name"]


def rank_of(name: bytes) -> Rank:
    """Sorts the rotated forms of one name, oldest first."""
    found = _FORM.fullmatch(name)
    assert found
    if found["date"]:
        return 1, 0, _NO_DIGIT.sub(b"", found["date"])
    if found["number"]:
        return 2, -int(found["number"]), b""
    if found["old"]:
        return 3, 0, b""
    return (4, 0, b"") if found["gz"] else LIVE
