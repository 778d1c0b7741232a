"""Reading again, and forgetting files that are long gone. Nothing of the user's is deleted: rows that were written
before stay, and come a second time if a file is read a second time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from waycairn.streams.records import FileState
from waycairn.streams.tables import generations

_OVER = (FileState.DONE.value, FileState.MISSING.value, FileState.REPLACED.value)


def reset(
    connection: Connection, name: str, *, paths: Sequence[bytes] = (), ids: Sequence[int] = (), now: float
) -> list[int]:
    """Make the stream read files from their beginning: all of them, or those seen last at these paths, or these
    generations. A process that has consumed some of one of them is refused at its next commit. Returns their ids.

    They are not read again themselves but put away as replaced, with nothing left by which to know them: whoever looks
    for files finds new ones there. So the dead letters of the first reading keep their generation.
    """
    chosen = [generations.c.stream == name]
    if paths:
        chosen.append(generations.c.path.in_(paths))
    if ids:
        chosen.append(generations.c.id.in_(ids))
    found = connection.execute(select(generations.c.id).where(*chosen).order_by(generations.c.id)).scalars().all()
    connection.execute(update(generations).where(*chosen).values(**_UNKNOWN, updated=now))
    return list(found)


_UNKNOWN: dict[str, Any] = {
    "state": FileState.REPLACED.value,
    "offset": 0,
    "device": 0,
    "inode": 0,
    "born": 0,
    "lines": 0,
    "head_length": 0,
    "head_digest": b"",
    "tail_length": 0,
    "tail_digest": b"",
    "posts": b"",
    "copy_of": None,
    "is_open_ended": False,
}


def expire(connection: Connection, name: str, before: float) -> int:
    """Forget generations of this stream that are over and were not touched since; how many. The newest one stays,
    whatever it is, so that no id is ever given out twice."""
    newest = select(func.max(generations.c.id)).where(generations.c.stream == name).scalar_subquery()
    gone = delete(generations).where(
        generations.c.stream == name,
        generations.c.state.in_(_OVER),
        generations.c.updated < before,
        generations.c.id < newest,
    )
    return connection.execute(gone).rowcount
