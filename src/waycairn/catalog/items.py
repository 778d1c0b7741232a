"""Items: blocks of keys that are done, with their results, and those that failed, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from waycairn.catalog.columns import decode_json, decode_text, encode_json, encode_text
from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import NUM, RUN_ID, Part, Target
from waycairn.catalog.rows import stored_of, values_of_stored
from waycairn.catalog.shapes import nonsense_of, reads
from waycairn.catalog.sql import Integer, bindparam, delete, func, insert, or_, select
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import failures, items
from waycairn.model.ids import RunId
from waycairn.model.records import Commit, DoneItems, FailedItem

ADD_ITEMS = Statement(
    "add_items",
    "The items of one loop in one cut.",
    insert(items).values(**{column.name: bindparam(column.name) for column in items.c}),
)
_DONE = (
    *(items.c.sequence, items.c.count, items.c["keys"]),
    *(items.c.manifest, items.c.root, items.c.raw_bytes, items.c.new_bytes),
)
ITEMS_AFTER = Statement(
    "items_after",
    "A bounded number of cuts of a loop, in the order of the commits.",
    select(*_DONE)
    .where(items.c.run == NUM, items.c.loop == bindparam("loop"), items.c.sequence > bindparam("after"))
    .order_by(items.c.sequence)
    .limit(bindparam("limit", type_=Integer)),
)
LOOPS = Statement(
    "loops",
    "The loops of a run and how many items each has done.",
    select(items.c.loop, func.sum(items.c.count)).where(items.c.run == NUM).group_by(items.c.loop),
)

_FAILURE = (
    *(failures.c.loop, failures.c.digest, failures.c.key, failures.c.attempts),
    *(failures.c.first, failures.c.last, failures.c.poison, failures.c.error),
)
SET_FAILURE = Statement(
    "set_failure",
    "An item that failed, perhaps again: attempts are added up, the newest error stands.",
    lambda build: (
        build.insert(failures)
        .values(**{column.name: bindparam(column.name) for column in failures.c})
        .on_conflict_do_update(
            index_elements=["run", "loop", "digest"],
            set_={
                "attempts": failures.c.attempts + bindparam("attempts"),
                **{name: bindparam(name) for name in ("sequence", "last", "poison", "error")},
            },
        )
    ),
)
SETTLE_FAILURE = Statement(
    "settle_failure",
    "An item that had failed is done.",
    delete(failures).where(
        failures.c.run == bindparam("num"),
        failures.c.loop == bindparam("of"),
        failures.c.digest == bindparam("which"),
    ),
)
FAILURES_AFTER = Statement(
    "failures_after",
    "A bounded number of failures, in the order of their key.",
    select(*_FAILURE)
    .where(
        failures.c.run == NUM,
        or_(
            failures.c.loop > bindparam("after"),
            (failures.c.loop == bindparam("after")) & (failures.c.digest > bindparam("which")),
        ),
    )
    .order_by(failures.c.loop, failures.c.digest)
    .limit(bindparam("limit", type_=Integer)),
)
FAILURES_UP_TO = Statement(
    "failures_up_to",
    "Items that failed last up to a cut.",
    select(failures.c.sequence, *_FAILURE).where(failures.c.run == NUM, failures.c.sequence <= bindparam("through")),
)
NEWEST_FAILURES = Statement(
    "newest_failures",
    "What the newest commits say failed, the newest first.",
    select(*_FAILURE)
    .where(failures.c.run == NUM)
    .order_by(failures.c.sequence.desc(), failures.c.last.desc())
    .limit(bindparam("limit", type_=Integer)),
)
FAILED_DIGESTS = Statement(
    "failed_digests",
    "Which items of a loop failed.",
    select(failures.c.digest, failures.c.poison).where(failures.c.run == NUM, failures.c.loop == bindparam("loop")),
)

_FEWEST, _MOST, _PAGE_BYTES = 32, 4096, 2**20
"""Cuts read at a time, and the bytes of keys that such a page should have at most."""
_FAILURES = 256
"""Failures read at a time; each may hold a traceback."""


class ItemPart(Part):
    """Implements `ports.ItemRows`."""

    def done_items(self, run: RunId, loop: str) -> Iterator[DoneItems]:
        return (done for _, done in self.done_after(run, loop, -1))

    def done_after(self, run: RunId, loop: str, sequence: int) -> Iterator[tuple[int, DoneItems]]:
        values: dict[str, Any] = {"id": run, "loop": encode_text(loop), "after": sequence, "limit": _FEWEST}
        while rows := self._database.read(lambda session: session.all(ITEMS_AFTER, values)):
            size = 0
            for row in rows:
                done = _done_of(loop, row)
                size += len(done.keys)
                yield row[0], done
            # The next page begins behind the last row; nothing stays open between pages. Cuts of one item each are
            # read by the thousand, long ones a few at a time.
            values["after"] = rows[-1][0]
            values["limit"] = max(_FEWEST, min(_MOST, len(rows) * _PAGE_BYTES // (size + 1)))

    def loops(self, run: RunId) -> Mapping[str, int]:
        rows = self._database.read(lambda session: session.all(LOOPS, {"id": run}))
        with nonsense_of(items.name):
            return {decode_text(loop): int(count) for loop, count in rows}

    def failures(self, run: RunId, after: tuple[str, bytes] | None = None) -> Iterator[FailedItem]:
        loop, digest = ("", b"") if after is None else (encode_text(after[0]), after[1])
        values: dict[str, Any] = {"id": run, "after": loop, "which": digest, "limit": _FAILURES}
        while rows := self._database.read(lambda session: session.all(FAILURES_AFTER, values)):
            yield from map(_failed_of, rows)
            values["after"], values["which"] = rows[-1][0], bytes(rows[-1][1])

    def newest_failures(self, run: RunId, limit: int) -> Sequence[FailedItem]:
        values = {"id": run, "limit": limit}
        return [*map(_failed_of, self._database.read(lambda session: session.all(NEWEST_FAILURES, values)))]

    def failed_digests(self, run: RunId, loop: str) -> Mapping[bytes, bool]:
        values = {"id": run, "loop": encode_text(loop)}
        rows = self._database.read(lambda session: session.all(FAILED_DIGESTS, values))
        return dict(map(_failed_digest_of, rows))


def add_items(session: Session, commit: Commit, run: RunId, num: int, sequence: int) -> None:
    """What a commit says of items, in its transaction."""
    if commit.items:
        session.many(ADD_ITEMS, ({RUN_ID: run, **_values_of_done(num, sequence, done)} for done in commit.items))
    for failed in commit.failures:
        session.change(SET_FAILURE, {RUN_ID: run, **_values_of_failed(num, sequence, failed)})
    for loop, digest in commit.settled:
        session.change(SETTLE_FAILURE, {"num": num, "of": encode_text(loop), "which": digest})


_NO_RESULTS = dict.fromkeys(("manifest", "root", "raw_bytes", "new_bytes"))


def _values_of_done(num: int, sequence: int, done: DoneItems) -> dict[str, Any]:
    return {
        "run": num,
        "loop": encode_text(done.loop),
        "sequence": sequence,
        "count": done.count,
        "keys": done.keys,
        **(_NO_RESULTS if done.results is None else values_of_stored(done.results)),
    }


@reads(_DONE)
def _done_of(loop: str, row: Row) -> DoneItems:
    """From ITEMS_AFTER."""
    _, count, keys, *stored = row
    if None in stored and any(part is not None for part in stored):
        raise ValueError("its results are there by half")
    results = None if stored[0] is None else stored_of(*stored)
    return DoneItems(loop=loop, count=count, keys=bytes(keys), results=results)


def _values_of_failed(num: int, sequence: int, failed: FailedItem) -> dict[str, Any]:
    return {
        "run": num,
        "loop": encode_text(failed.loop),
        "digest": failed.digest,
        "key": failed.key,
        "sequence": sequence,
        "attempts": failed.attempts,
        "first": failed.first,
        "last": failed.last,
        "poison": failed.poison,
        "error": encode_json(dict(failed.error)),
    }


@reads((failures.c.digest, failures.c.poison))
def _failed_digest_of(row: Row) -> tuple[bytes, bool]:
    return bytes(row[0]), bool(row[1])


@reads(_FAILURE)
def _failed_of(row: Row) -> FailedItem:
    """From FAILURES_AFTER."""
    loop, digest, key, attempts, first, last, poison, error = row
    return FailedItem(
        loop=decode_text(loop),
        digest=bytes(digest),
        key=bytes(key),
        attempts=attempts,
        first=first,
        last=last,
        poison=bool(poison),
        error=decode_json(error),
    )


def copy_items(session: Session, source: RunId, target: Target, through: int) -> int:
    """What a run had done and failed up to a cut, into another run. How many failures there are."""
    for (loop,) in [row[:1] for row in session.all(LOOPS, {"id": source})]:
        _copy_loop(session, source, loop, target, through)
    failed = session.all(FAILURES_UP_TO, {"id": source, "through": through})
    for row in failed:
        session.change(SET_FAILURE, {RUN_ID: target.id, **_values_of_failed(target.num, row[0], _failed_of(row[1:]))})
    return len(failed)


def _copy_loop(session: Session, source: RunId, loop: str, target: Target, through: int) -> None:
    values: dict[str, Any] = {"id": source, "loop": loop, "after": -1, "limit": _FEWEST}
    while rows := session.all(ITEMS_AFTER, values):
        kept = [row for row in rows if row[0] <= through]
        done = ((row[0], _done_of(decode_text(loop), row)) for row in kept)
        session.many(ADD_ITEMS, [{RUN_ID: target.id, **_values_of_done(target.num, at, one)} for at, one in done])
        if len(kept) < len(rows):
            return
        values["after"] = rows[-1][0]
