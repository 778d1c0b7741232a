"""Names of files, which are any bytes, as names of members, which are text; and back.

A name that is readable text stays as it is. What is not valid UTF-8, control characters, backslashes and the percent
sign itself are written as %XX, so that no two names become one and `sha256sum -c` reads every one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Sequence

from waycairn.errors import Damaged

TREE = "tree.jsonl"
"""The member that holds what has no bytes of its own: folders, links, pipes. No root is called so."""
_LONGEST = 240
"""Bytes of a component: one of 255 odd bytes would be three times as long, and a file system takes 255."""

_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f%\\\u2028\u2029\ud800-\udfff]")
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


def escaped(raw: bytes) -> str:
    """As text, unambiguously."""
    return _ODD.sub(_as_bytes, raw.decode("utf-8", "surrogateescape"))


def unescaped(text: str) -> bytes:
    """The other way round."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text.encode())


def _as_bytes(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def member_name(root: str, path: bytes) -> str:
    """Of what lies at a path below a root; of the root itself, if the path is empty."""
    return "/".join([root, *map(_component, split(path))])


def split(path: bytes) -> list[bytes]:
    return path.split(b"/") if path else []


def _component(raw: bytes) -> str:
    text = escaped(raw)
    if len(text.encode()) <= _LONGEST:
        return text
    # The shortened name tells itself apart: no escape has a tilde.
    return f"{text[: _LONGEST // 4]}%~{hashlib.sha256(raw).hexdigest()[:32]}"


def root_names(paths: Sequence[bytes]) -> list[str]:
    """What each of the paths is called in the backup: its last component, with a number where that is taken."""
    taken = {TREE}
    names: list[str] = []
    for path in paths:
        name = first = _component(os.path.split(path)[1])
        number = 2
        while name in taken:
            name, number = f"{first}%~{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def checked_path(name: str, path: bytes) -> bytes:
    """A path below a root, as a backup gives it. Raises Damaged for one that would lead out of there."""
    if b"\0" in path or any(part in (b"", b".", b"..") for part in split(path)):
        raise Damaged(
            f"the backup holds an entry {name!r} whose path {escaped(path)!r} leads out of the folder that is restored. "
            "It was not written by waycairn. Nothing was changed. Do not restore from it.",
            entry=name,
        )
    return path


def chosen(names: Iterable[str], patterns: Sequence[str] | None) -> set[str]:
    """Those that one of the patterns matches, and all that lies in a folder which one matches."""
    if patterns is None:
        return set(names)
    # Only `*` means more than itself: names with brackets and question marks are common.
    matches = re.compile(
        "|".join(re.escape(one.rstrip("/")).replace(r"\*", ".*") for one in patterns), re.DOTALL
    ).fullmatch
    found: set[str] = set()
    for name in names:  # a folder comes before what is in it
        if name.rpartition("/")[0] in found or matches(name):
            found.add(name)
    return found
