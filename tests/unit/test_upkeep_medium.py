"""What doctor concludes from what it measured."""

import pytest

from waycairn.upkeep import medium
from waycairn.upkeep.finding import Finding
from waycairn.upkeep.sizes import duration_text, size_text


@pytest.mark.parametrize(
    ("seconds", "level"), [(2e-6, "warning"), (19e-6, "warning"), (30e-6, "ok"), (4e-3, "ok"), (0.2, "note")]
)
def test_flushes_are_judged_by_their_median(seconds, level):
    """Too fast means that they may not reach the device; one slow or fast one says nothing."""
    finding = medium.judge_flushes([seconds] * 9 + [1e-9, 3.0])
    assert finding.level == level
    assert finding.facts["median_seconds"] == seconds
    assert ("may be ignored" in finding.means) == (level == "warning")


def test_a_real_flush_takes_time(tmp_path):
    """Measured in the place itself; the file is gone afterwards."""
    times = medium.measure_flushes(tmp_path)
    assert len(times) == 15
    assert min(times) > 0
    assert list(tmp_path.iterdir()) == []


def test_locks_are_tried(tmp_path, monkeypatch):
    """A file system that grants every lock to everybody is found; nothing is left behind."""
    assert medium.locks(tmp_path).level == "ok"
    monkeypatch.setattr(medium.fcntl, "flock", lambda *_: None)
    found = medium.locks(tmp_path)
    assert found.level == "bad"
    assert "granted at once" in found.what
    assert list(tmp_path.iterdir()) == []
    assert medium.locks(tmp_path / "none").level == "bad"


def test_a_place_that_cannot_be_written_is_bad(tmp_path):
    """The reason is told, nothing is raised."""
    finding = medium.flushes(tmp_path / "none")
    assert finding.level == "bad"
    assert "none" in finding.what


@pytest.mark.parametrize(
    ("now", "newest", "offset", "level"),
    [
        (1.8e9, 1.8e9 - 5, 0.0, "ok"),
        (1.8e9, None, 0.0, "ok"),
        (1.8e9, 1.8e9 + 30, 0.0, "ok"),
        (1.8e9, 1.8e9 + 3600, 0.0, "warning"),
        (1.8e9, None, -45.0, "warning"),
        (5.0, None, 0.0, "bad"),
    ],
)
def test_clocks(now, newest, offset, level):
    """Before the first release it is wrong; behind what was written, or far from the database, it is suspicious."""
    assert medium.clock_sanity(now, newest, offset).level == level


def test_free_space_is_measured(tmp_path):
    """With the numbers as facts."""
    finding = medium.space(tmp_path)
    assert 0 < finding.facts["free_bytes"] <= finding.facts["total_bytes"]
    assert medium.space(tmp_path / "none").level == "warning"


def test_every_finding_that_is_not_well_says_what_to_do(tmp_path):
    """A warning without a way out is noise."""
    found = [
        medium.judge_flushes([1e-6]),
        medium.judge_flushes([1.0]),
        medium.flushes(tmp_path / "none"),
        medium.locks(tmp_path / "none"),
        medium.clock_sanity(5.0, None, 0.0),
        medium.clock_sanity(1.8e9, 1.9e9, 0.0),
        medium.clock_sanity(1.8e9, None, 99.0),
    ]
    assert all(isinstance(one, Finding) and one.means and one.do for one in found)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (99_949, "99.9 KB"),
        (123_456, "123 KB"),
        (999_600, "1.0 MB"),
        (5e15, "5.0 PB"),
    ],
)
def test_sizes(count, text):
    """By thousands, three digits."""
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (3 * 86400, "3 d")]
)
def test_durations(seconds, text):
    """In the unit that fits."""
    assert duration_text(seconds) == text
