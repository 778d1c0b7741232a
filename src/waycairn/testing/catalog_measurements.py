"""Contract: what was measured."""

from __future__ import annotations

from waycairn.model.histogram import Histogram
from waycairn.model.measures import Measured
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase


def a_measured(hour: int, writer: str, *values: float, name: str = "save") -> Measured:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return Measured(hour, name, writer, histogram)


def told(catalog: Catalog, since: int = 0, until: int | None = None) -> list[tuple[int, str, str, int, float]]:
    rows = catalog.measured(since, until)
    return [(row.hour, row.name, row.writer, row.histogram.count, row.histogram.total) for row in rows]


class MeasureContract(CatalogCase):
    def test_a_writer_replaces_its_own_row(self, catalog: Catalog) -> None:
        """As often as it likes; those of other hours, names and writers stand."""
        assert told(catalog) == []
        catalog.put_measured([a_measured(8, "a", 1.0), a_measured(8, "b", 2.0), a_measured(8, "a", 5.0, name="load")])
        for _ in range(2):
            catalog.put_measured([a_measured(8, "a", 1.0, 0.5), a_measured(9, "a", 4.0)])
        assert told(catalog) == [
            (8, "load", "a", 1, 5.0),
            (8, "save", "a", 2, 1.5),
            (8, "save", "b", 1, 2.0),
            (9, "save", "a", 1, 4.0),
        ]
        assert told(catalog, 9) == told(catalog, 9, 9) == [(9, "save", "a", 1, 4.0)]
        assert told(catalog, 0, 7) == []

    def test_what_is_read_is_what_was_measured(self, catalog: Catalog) -> None:
        """Bucket by bucket."""
        row = a_measured(8, "a", 0.0, 1e-9, 0.25, 1e12)
        catalog.put_measured([row])
        (read,) = catalog.measured()
        assert read.histogram.buckets == row.histogram.buckets

    def test_old_hours_are_put_together(self, catalog: Catalog) -> None:
        """One row a name and hour; older ones in hour 0. Nothing that was counted is lost, and doing it again changes
        nothing."""
        catalog.put_measured([a_measured(hour, writer, 0.5) for hour in (2, 3, 7, 8) for writer in "ab"])
        assert catalog.condense_measured(before=8, keep_from=7) == 4
        expected = [
            (0, "save", "", 4, 2.0),
            (7, "save", "", 2, 1.0),
            (8, "save", "a", 1, 0.5),
            (8, "save", "b", 1, 0.5),
        ]
        assert told(catalog) == expected
        assert catalog.condense_measured(before=8, keep_from=7) == 0
        assert told(catalog) == expected
        assert catalog.condense_measured(before=9, keep_from=8) == 2
        assert told(catalog) == [(0, "save", "", 6, 3.0), (8, "save", "", 2, 1.0)]
