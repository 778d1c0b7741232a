"""Sums that say where the bytes of a store are."""

from __future__ import annotations

from collections.abc import Sequence

from waycairn.catalog.columns import decode_text
from waycairn.catalog.parts import NUM, Part
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.sql import bindparam, func, or_, select
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import blocks, checkpoints, runs, steps
from waycairn.model.ids import RunId
from waycairn.model.states import RunStatus
from waycairn.ports.catalog_sizes import SavedBytes

_FINISHED = [status.value for status in RunStatus if status.is_finished]

SAVED_BYTES = Statement(
    "saved_bytes",
    "What the checkpoints of each run name and kind are, all together.",
    select(
        *(runs.c.name, checkpoints.c.kind, func.count()),
        *(func.sum(checkpoints.c.raw_bytes), func.sum(checkpoints.c.new_bytes)),
    )
    .join_from(checkpoints, runs, checkpoints.c.run == runs.c.num)
    .group_by(runs.c.name, checkpoints.c.kind)
    .order_by(func.sum(checkpoints.c.new_bytes).desc(), runs.c.name, checkpoints.c.kind),
)
INLINE_BYTES = Statement(
    "inline_total",
    "What lies in the catalog beside rows.",
    select(func.count(), func.coalesce(func.sum(blocks.c.stored_length), 0)).where(blocks.c.pack.is_(None)),
)
COUNT_OLDER = Statement(
    "count_older",
    "Old checkpoints of finished runs.",
    select(func.count(), func.coalesce(func.sum(checkpoints.c.new_bytes), 0))
    .join_from(checkpoints, runs, checkpoints.c.run == runs.c.num)
    .where(checkpoints.c.created < bindparam("before"), or_(*(runs.c.status == status for status in _FINISHED))),
)

COUNT_OF_RUN = Statement(
    "count_of_run",
    "How many checkpoints and steps one run has.",
    select(
        select(func.count()).select_from(checkpoints).where(checkpoints.c.run == NUM).scalar_subquery(),
        select(func.count()).select_from(steps).where(steps.c.run == NUM).scalar_subquery(),
    ),
)


class SizePart(Part):
    """Implements `ports.SizeRows`."""

    def saved_bytes(self) -> Sequence[SavedBytes]:
        rows = self._database.read(lambda session: session.all(SAVED_BYTES))
        with nonsense_of(checkpoints.name):
            return [SavedBytes(decode_text(name), decode_text(kind), *map(int, sums)) for name, kind, *sums in rows]

    def inline_bytes(self) -> tuple[int, int]:
        row = self._database.read(lambda session: session.one(INLINE_BYTES))
        assert row is not None
        return int(row[0]), int(row[1])

    def count_older(self, created: float) -> tuple[int, int]:
        row = self._database.read(lambda session: session.one(COUNT_OLDER, {"before": created}))
        assert row is not None
        return int(row[0]), int(row[1])

    def count_of_run(self, run: RunId) -> tuple[int, int]:
        row = self._database.read(lambda session: session.one(COUNT_OF_RUN, {"id": run}))
        assert row is not None
        return int(row[0]), int(row[1])
