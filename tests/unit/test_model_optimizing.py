"""What an optimizer decides, without a store."""

from __future__ import annotations

import pytest

from waycairn.model.ids import PackId
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.model.optimizing import fragmentation, plan, within
from waycairn.model.repacking import PackFacts

MB = 1_000_000
NOW = 1_000_000.0
SETTINGS = OptimizeSettings()


def pack(size=100 * MB, live=None, **more):
    """A pack of which so many bytes are in use."""
    used = size if live is None else live
    facts = {
        "blocks": 9,
        "large": 0,
        "chunks": 9,
        "created": NOW,
        "level": None,
        "place": None,
        "stored_bytes": used,
        **more,
    }
    return PackFacts(size=size, live_bytes=used, **facts)


def planned(packs, settings=SETTINGS, **more):
    facts = {PackId(name): one for name, one in packs.items()}
    return [(job.kind, list(job.packs)) for job in plan(facts, settings, NOW, **more)]


def test_sparse_packs_are_compacted_the_deadest_first():
    packs = {"a": pack(live=60 * MB), "b": pack(live=20 * MB), "c": pack(live=80 * MB), "d": pack()}
    assert planned(packs) == [("compact", ["b", "a"])]
    assert planned(packs, OptimizeSettings(live_share=0.9)) == [("compact", ["b", "a", "c"])]
    assert planned({"gone": pack(blocks=0, live=0)}) == []


def test_small_packs_are_joined_once_there_are_many():
    """Of one place; one with very many chunks is not small; one alone is left alone."""
    many = {f"s{number}": pack(MB) for number in range(8)}
    assert planned(dict(list(many.items())[:7])) == []
    assert planned(many) == [("join", sorted(many))]
    assert planned({**many, "t": pack(MB, place="/cold")}) == [("join", sorted(many))]
    assert planned({**many, "s0": pack(MB, chunks=40_000)}) == []


def test_cold_packs_are_compressed_once():
    """Older than a week, or of a format that told no time; never twice at that level, and never in an archive."""
    old = {"created": NOW - 8 * 86400}
    assert planned({"a": pack(**old)}) == [("recompress", ["a"])]
    assert planned({"a": pack(created=None)}) == [("recompress", ["a"])]
    assert planned({"a": pack(**old, level=9)}) == []
    assert planned({"a": pack(**old, place="/cold")}) == []
    assert planned({"a": pack(**old)}, compress=False) == []
    assert planned({"a": pack()}, compress=True) == [("recompress", ["a"])]
    assert planned({"a": pack(**old)}, OptimizeSettings(recompress_after=None)) == []


def test_what_is_written_together_lies_in_one_place():
    """And is of one level; the newest of them says when it was written."""
    packs = {
        "a": pack(live=MB, created=5.0),
        "b": pack(live=MB, created=7.0),
        "c": pack(live=MB, place="/cold"),
        "d": pack(live=MB, level=9),
    }
    jobs = plan({PackId(name): one for name, one in packs.items()}, SETTINGS, NOW, compress=False)
    assert sorted((sorted(job.packs), job.place, job.level, job.created) for job in jobs) == [
        (["a", "b"], None, None, 7.0),
        (["c"], "/cold", None, NOW),
        (["d"], None, 9, NOW),
    ]


def test_a_pass_has_its_limit_and_does_something():
    """The first job in any case; the rest is told."""
    jobs = plan({PackId("a"): pack(live=MB), PackId("b"): pack(live=2 * MB, level=9)}, SETTINGS, NOW)
    assert [(len(done), left) for done, left in (within(jobs, most) for most in (None, 3 * MB, MB, 0))] == [
        (2, 0),
        (2, 0),
        (1, 2 * MB),
        (1, 2 * MB),
    ]
    assert within([], 0) == ([], 0)


def test_padding_and_lists_are_not_dead():
    """A pack is never as small as its blocks; what an archive holds does not count."""
    full = pack(100 * MB, 100 * MB - 100_000, large=20)
    sparse = pack(100 * MB, 40 * MB)
    found = fragmentation({PackId("a"): full, PackId("b"): sparse, PackId("c"): pack(place="/cold")})
    assert (found.packs, found.pack_bytes) == (2, 200 * MB)
    assert 0.29 < found.share < 0.31
    assert full.dead_bytes == 0
    assert fragmentation({}).share == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("live_share", 1.5),
        ("level", 0),
        ("level", 23),
        ("small_packs", 1),
        ("small_pack", -1),
        ("max_bytes", -1),
        ("recompress_after", -1.0),
        ("archive_after", -1.0),
        ("archive", "cold"),
    ],
)
def test_nonsense_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        OptimizeSettings(**{field: value})
