"""What was measured: one row an hour, name and writer, replaced by its writer as it grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import bindparam, delete, select
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import measurements
from waycairn.model.histogram import Histogram, merged
from waycairn.model.measures import Measured

_COLUMNS = (
    *(measurements.c.hour, measurements.c.name, measurements.c.writer),
    *(measurements.c.count, measurements.c.total, measurements.c.histogram),
)
_ALL_HOURS = 1 << 40


def _put(build: Build) -> Any:
    put = build.insert(measurements).values(**{column.name: bindparam(column.name) for column in measurements.c})
    return put.on_conflict_do_update(
        index_elements=["hour", "name", "writer"],
        set_={name: put.excluded[name] for name in ("count", "total", "histogram")},
    )


PUT_MEASURED = Statement(
    "put_measured", "What a writer measured in an hour until now: all of it, so that writing it again is no harm.", _put
)
MEASURED = Statement(
    "measured",
    "Measurements of some hours.",
    select(*_COLUMNS)
    .where(measurements.c.hour.between(bindparam("since"), bindparam("until")))
    .order_by(measurements.c.hour, measurements.c.name, measurements.c.writer),
)
DROP_MEASURED = Statement(
    "drop_measured",
    "One row that was put together with others.",
    delete(measurements).where(
        measurements.c.hour == bindparam("of"),
        measurements.c.name == bindparam("what"),
        measurements.c.writer == bindparam("whose"),
    ),
)


class MeasurePart(Part):
    """Implements `ports.MeasureRows`."""

    def put_measured(self, rows: Sequence[Measured]) -> None:
        values = [_values(row) for row in rows]
        self._database.write_softly(lambda session: session.many(PUT_MEASURED, values))

    def measured(self, since: int = 0, until: int | None = None) -> Sequence[Measured]:
        hours = {"since": since, "until": _ALL_HOURS if until is None else until}
        return self._database.read(lambda session: _measured(session, hours))

    def condense_measured(self, before: int, keep_from: int) -> int:
        return self._database.write(lambda session: _condense(session, before, keep_from))


def _measured(session: Session, hours: dict[str, int]) -> list[Measured]:
    return [_measured_of(row) for row in session.all(MEASURED, hours)]


def _condense(session: Session, before: int, keep_from: int) -> int:
    rows = _measured(session, {"since": 0, "until": before - 1})

    def target(row: Measured) -> tuple[int, str]:
        return (row.hour if row.hour >= keep_from else 0), row.name

    fewer = 0
    for (hour, name), group in groupby(sorted(rows, key=target), key=target):
        together = list(group)
        if all((row.hour, row.writer) == (hour, "") for row in together):
            continue
        _drop(session, together)
        whole = Measured(hour, name, "", merged(row.histogram for row in together))
        session.change(PUT_MEASURED, _values(whole))
        fewer += len(together) - 1
    return fewer


def _drop(session: Session, rows: Iterable[Measured]) -> None:
    session.many(DROP_MEASURED, ({"of": row.hour, "what": row.name, "whose": row.writer} for row in rows))


def _values(row: Measured) -> dict[str, Any]:
    histogram = row.histogram
    return {
        "hour": row.hour,
        "name": row.name,
        "writer": row.writer,
        "count": histogram.count,
        "total": float(histogram.total),
        "histogram": histogram.encode(),
    }


@reads(_COLUMNS)
def _measured_of(row: Row) -> Measured:
    hour, name, writer, count, total, encoded = row
    histogram = Histogram.decode(bytes(encoded), total)
    if histogram.count != count:
        raise ValueError(f"a histogram of {histogram.count} measurements where {count} were counted")
    return Measured(hour, name, writer, histogram)
