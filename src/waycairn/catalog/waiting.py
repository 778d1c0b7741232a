"""What waits: results that were computed and are not folded yet, and what was added to queues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from waycairn.catalog.columns import decode_text, encode_text
from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import NUM, RUN_ID, Part, Target
from waycairn.catalog.rows import stored_of, values_of_stored
from waycairn.catalog.shapes import nonsense_of, reads
from waycairn.catalog.sql import Integer, bindparam, delete, insert, select, union
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import computed, queued
from waycairn.model.ids import RunId
from waycairn.model.records import Commit, ComputedItem, Stored

ADD_COMPUTED = Statement(
    "add_computed",
    "A result that waits for its fold. A second result for the same item is refused by the key.",
    insert(computed).values(**{column.name: bindparam(column.name) for column in computed.c}),
)
DROP_COMPUTED = Statement(
    "drop_computed",
    "An item whose result waited is folded.",
    delete(computed).where(
        computed.c.run == bindparam("num"),
        computed.c.loop == bindparam("of"),
        computed.c.digest == bindparam("which"),
    ),
)
_COMPUTED = (
    *(computed.c.digest, computed.c.key),
    *(computed.c.manifest, computed.c.root, computed.c.raw_bytes, computed.c.new_bytes),
)
COMPUTED = Statement(
    "computed",
    "The results of a loop that wait for their fold, in the order of the commits.",
    select(*_COMPUTED).where(computed.c.run == NUM, computed.c.loop == bindparam("loop")).order_by(computed.c.sequence),
)
COMPUTED_UP_TO = Statement(
    "computed_up_to",
    "Results that wait since a cut up to one.",
    select(computed.c.loop, computed.c.sequence, *_COMPUTED).where(
        computed.c.run == NUM, computed.c.sequence <= bindparam("through")
    ),
)
QUEUES = Statement("queues", "The queues of a run.", select(queued.c.queue).where(queued.c.run == NUM).distinct())
WAITING = Statement(
    "waiting",
    "The names of loops and queues for which something waits.",
    union(select(computed.c.loop).where(computed.c.run == NUM), select(queued.c.queue).where(queued.c.run == NUM)),
)
ADD_QUEUED = Statement(
    "add_queued",
    "What one cut added to a queue.",
    insert(queued).values(**{column.name: bindparam(column.name) for column in queued.c}),
)
_QUEUED = (queued.c.sequence, queued.c.manifest, queued.c.root, queued.c.raw_bytes, queued.c.new_bytes)
QUEUED_AFTER = Statement(
    "queued_after",
    "A bounded number of the cuts that added to a queue, in the order of the commits.",
    select(*_QUEUED)
    .where(queued.c.run == NUM, queued.c.queue == bindparam("queue"), queued.c.sequence > bindparam("after"))
    .order_by(queued.c.sequence)
    .limit(bindparam("limit", type_=Integer)),
)

_PAGE = 64


class WaitingPart(Part):
    """Implements `ports.WaitingRows`."""

    def waiting(self, run: RunId) -> Sequence[str]:
        rows = self._database.read(lambda session: session.all(WAITING, {"id": run}))
        with nonsense_of(computed.name):
            return sorted(decode_text(name) for (name,) in rows)

    def computed(self, run: RunId, loop: str) -> Sequence[ComputedItem]:
        values = {"id": run, "loop": encode_text(loop)}
        rows = self._database.read(lambda session: session.all(COMPUTED, values))
        return [_computed_of(loop, row) for row in rows]

    def queued(self, run: RunId, queue: str) -> Iterator[Stored]:
        values: dict[str, Any] = {"id": run, "queue": encode_text(queue), "after": -1, "limit": _PAGE}
        while rows := self._database.read(lambda session: session.all(QUEUED_AFTER, values)):
            yield from map(_queued_of, rows)
            values["after"] = rows[-1][0]


@reads(_COMPUTED)
def _computed_of(loop: str, row: Row) -> ComputedItem:
    digest, key, *stored = row
    return ComputedItem(loop=loop, digest=bytes(digest), key=bytes(key), result=stored_of(*stored))


@reads(_QUEUED)
def _queued_of(row: Row) -> Stored:
    return stored_of(*row[1:])


def add_waiting(session: Session, commit: Commit, run: RunId, num: int, sequence: int) -> None:
    """What a commit says of them, in its transaction."""
    for item in commit.computed:
        session.change(ADD_COMPUTED, _values_of_computed(run, num, sequence, item))
    for loop, digest in commit.folded:
        session.change(DROP_COMPUTED, {"num": num, "of": encode_text(loop), "which": digest})
    for queue, stored in commit.queued.items():
        session.change(ADD_QUEUED, _values_of_queued(run, num, sequence, queue, stored))


def _values_of_computed(run: RunId, num: int, sequence: int, item: ComputedItem) -> dict[str, Any]:
    return {
        RUN_ID: run,
        "run": num,
        "loop": encode_text(item.loop),
        "digest": item.digest,
        "key": item.key,
        "sequence": sequence,
        **values_of_stored(item.result),
    }


def _values_of_queued(run: RunId, num: int, sequence: int, queue: str, stored: Stored) -> dict[str, Any]:
    place = {RUN_ID: run, "run": num, "queue": encode_text(queue), "sequence": sequence}
    return {**place, **values_of_stored(stored)}


def copy_waiting(session: Session, source: RunId, target: Target, through: int) -> None:
    """What waited in a run at a cut, into another run. What was folded since then is gone, and is computed again there."""
    for loop, sequence, *item in session.all(COMPUTED_UP_TO, {"id": source, "through": through}):
        computed = _computed_of(decode_text(loop), tuple(item))
        session.change(ADD_COMPUTED, _values_of_computed(target.id, target.num, sequence, computed))
    for (queue,) in session.all(QUEUES, {"id": source}):
        _copy_queue(session, source, queue, target, through)


def _copy_queue(session: Session, source: RunId, queue: str, target: Target, through: int) -> None:
    values: dict[str, Any] = {"id": source, "queue": queue, "after": -1, "limit": _PAGE}
    while rows := session.all(QUEUED_AFTER, values):
        kept = [row for row in rows if row[0] <= through]
        name = decode_text(queue)
        session.many(
            ADD_QUEUED, [_values_of_queued(target.id, target.num, row[0], name, _queued_of(row)) for row in kept]
        )
        if len(kept) < len(rows):
            return
        values["after"] = rows[-1][0]
