"""How much of a store is read, and which part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from waycairn.model.damage import PackRow
from waycairn.model.ids import PackId
from waycairn.model.verify_part import ALL, Part
from waycairn.model.verify_settings import VerifySettings


def packs(sizes):
    return [PackRow(PackId(f"{at:012x}" + "0" * 20), size, b"", None) for at, size in enumerate(sizes)]


@given(st.lists(st.integers(1, 1000), max_size=30), st.integers(1, 12))
def test_everything_is_read_in_so_many_runs(sizes, parts):
    """Whatever the sizes; by fixed parts each pack once, by age each at least once and never again before another."""
    rows = packs(sizes)
    fixed = [Part.parse(f"{number}/{parts}").packs(rows) for number in range(1, parts + 1)]
    assert sorted(name for part in fixed for name in part) == [row.id for row in rows]
    share = Part.parse(f"/{parts}")
    for run in range(1, parts + 1):
        chosen = share.packs(rows)
        rows = [replace(row, verified=float(run)) if row.id in chosen else row for row in rows]
    assert all(row.verified for row in rows)
    assert {block for turn in range(parts) for block in range(50) if share.has_inline(block, turn)} == set(range(50))


def test_words_for_parts():
    """All, a fixed part, a share of what was verified longest ago; everything else says what there is."""
    assert Part.parse("all") == ALL
    assert Part.parse(" 5 %").parts == Part.parse("/20").parts == 20
    assert Part.parse("2/7").fixed == 1
    for wrong in ("", "0/7", "8/7", "0%", "101%", "/0", "seven", "-1%"):
        with pytest.raises(ValueError, match="no part of a store"):
            Part.parse(wrong)


def test_settings_are_checked():
    """The name of the setting is in the message."""
    assert VerifySettings().read_data == "all"
    with pytest.raises(ValueError, match=r"verify\.upkeep_read_data"):
        VerifySettings(upkeep_read_data="most")
    with pytest.raises(ValueError, match=r"verify\.interval"):
        VerifySettings(interval=float("nan"))
