"""File systems that are mounted below a folder: what lies there is not the folder's, and is never deleted with it."""

from __future__ import annotations

import re
from pathlib import Path

from waycairn.errors import BackupRefused

_LIST = Path("/proc/self/mountinfo")
_OCTAL = re.compile(rb"\\([0-7]{3})")


def mounts_at_or_below(path: bytes) -> list[bytes]:
    """Mount points, bind mounts among them, from the kernel's list; none where it has no such list. Raises BackupRefused if it
    cannot be read: what lies on another file system could be taken for the folder's."""
    try:
        lines = _LIST.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BackupRefused(
            f"which file systems are mounted cannot be told ({error}), so nothing is deleted or backed up. Try again."
        ) from error
    points = (_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split()[4]) for line in lines)
    return sorted(point for point in points if point == path or point.startswith(path + b"/"))
