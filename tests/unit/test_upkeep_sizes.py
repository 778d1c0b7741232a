"""Rates as people read them."""

from __future__ import annotations

import pytest

from waycairn.upkeep.sizes import rate_text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (12_345.6, "12,346/s"),
        (99.96, "100/s"),
        (57.34, "57.3/s"),
        (1.0, "1.0/s"),
        (0.5, "30.0/min"),
        (1 / 120, "30.0/h"),
        (1 / 36_000, "0.1/h"),
        (0.0, "0.0/h"),
    ],
)
def test_a_rate_is_told_in_the_first_unit_that_fits(per_second: float, text: str) -> None:
    """Slow jobs do an item a minute, or an hour; 0.0/s would say that they stand still."""
    assert rate_text(per_second) == text
