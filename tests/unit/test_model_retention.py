"""Which checkpoints stay: what a user may write, and what never goes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.model.retention import Candidate, Keep, surplus

METRIC = st.one_of(
    st.none(),
    st.just(math.nan),
    st.just(math.inf),
    st.just("0.5"),
    st.booleans(),
    st.floats(-3, 3).map(lambda value: round(value, 1)),
)
CANDIDATES = st.lists(st.tuples(METRIC, st.booleans(), st.booleans()), max_size=12).map(
    lambda rows: [
        Candidate(sequence, None if metric is None else {"loss": metric}, pinned, verified)
        for sequence, (metric, pinned, verified) in zip(range(len(rows), 0, -1), rows, strict=True)
    ]
)
KEEP = st.builds(
    Keep,
    last=st.one_of(st.none(), st.integers(0, 5)),
    best=st.integers(0, 3),
    by=st.just("loss"),
    mode=st.sampled_from(["min", "max"]),
)


def of(*losses: float | None, first: int = 1) -> list[Candidate]:
    """Checkpoints with these losses, told oldest first."""
    rows = [Candidate(at, {"loss": loss}, False, True) for at, loss in enumerate(losses, first)]
    return rows[::-1]


@pytest.mark.parametrize(
    ("value", "keep"),
    [
        (None, Keep(last=None)),
        (3, Keep(last=3)),
        ("last 3", Keep(last=3)),
        ("last all", Keep(last=None)),
        ("Last 2, best 3 by loss", Keep(last=2, best=3, by="loss")),
        ("best 1 by accuracy max", Keep(last=1, best=1, by="accuracy", mode="max")),
        ("best 2 by val/loss min,last 4", Keep(last=4, best=2, by="val/loss")),
        (Keep(best=1, by="Loss"), Keep(best=1, by="Loss")),
    ],
)
def test_what_a_user_may_write(value, keep):
    """And what is told back is understood again."""
    assert Keep.of(value) == keep
    assert Keep.of(str(keep)) == keep


@pytest.mark.parametrize(
    "value", [0, -1, True, 2.5, "", "last", "last x", "best 3", "last 2, last 3", "best 1 by a b", "newest 3", [3]]
)
def test_what_is_not_understood(value):
    """Says what is."""
    with pytest.raises(ValueError, match=r"keep .* is not understood; use None"):
        Keep.of(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"last": -1}, "last is how many"),
        ({"last": True}, "last is how many"),
        ({"best": -1}, "best is how many"),
        ({"best": 2}, "best=2 of what"),
        ({"best": 1, "by": "loss", "mode": "least"}, "a small loss is good"),
    ],
)
def test_what_makes_no_sense(given, said):
    with pytest.raises(ValueError, match=said):
        Keep(**given)


def test_last_and_best():
    """Both stay; of equal ones the newer; what is no finite number is never best."""
    assert surplus(Keep(last=2), of(1, 2, 3, 4)) == [2, 1]
    assert surplus(Keep(last=1, best=2, by="loss"), of(1, 5, 1, 2, 9)) == [4, 2]
    assert surplus(Keep(last=1, best=1, by="loss"), of(1, 5, 1, 9)) == [2, 1]
    assert surplus(Keep(last=1, best=1, by="loss", mode="max"), of(math.inf, 5, math.nan, 9, 2)) == [3, 2, 1]
    assert surplus(Keep(last=1, best=1, by="acc"), of(1, 2, 3)) == [2, 1]
    assert surplus(Keep(last=0, best=1, by="loss"), of(1, 2, 3)) == [2]
    assert surplus(Keep(last=None), of(1, 2, 3)) == []


def test_what_cannot_be_restored_never_takes_the_place_of_what_can():
    """Damaged ones count for nothing; they go once enough newer intact ones are there."""
    rows = [Candidate(5, None, False, False), Candidate(4, None, False, True), Candidate(3, None, False, False)]
    rows += [Candidate(2, None, False, True), Candidate(1, None, False, True)]
    assert surplus(Keep(last=2), rows) == [1]
    assert surplus(Keep(last=1), rows) == [3, 2, 1]
    assert surplus(Keep(last=1), [Candidate(2, None, False, False), Candidate(1, None, False, False)]) == []


@given(KEEP, CANDIDATES)
def test_what_always_holds(keep, candidates):
    """Whatever is kept: the newest, the newest intact one, pinned ones and `last` intact ones stay; doing it again changes
    nothing; and a newer checkpoint brings nothing back."""
    gone = surplus(keep, candidates)
    assert len(set(gone)) == len(gone)
    assert gone == sorted(gone, reverse=True)
    left = [one for one in candidates if one.sequence not in gone]
    intact = [one for one in candidates if one.verified]
    if candidates:
        assert left[0] == candidates[0]
    assert [one for one in left if one.verified][: keep.last or 1] == intact[: keep.last or 1]
    assert all(one in left for one in candidates if one.pinned)
    assert surplus(keep, left) == []
    newer = Candidate(len(candidates) + 1, None, False, True)
    assert set(gone) <= set(surplus(keep, [newer, *candidates]))


@given(KEEP, CANDIDATES)
def test_the_best_stay(keep, candidates):
    """No intact one that goes is better than one that stays for being best."""
    gone = set(surplus(keep, candidates))
    finite = [
        one
        for one in candidates
        if one.verified and isinstance((one.metrics or {}).get("loss"), float) and math.isfinite(one.metrics["loss"])
    ]
    sign = 1 if keep.mode == "min" else -1
    ranked = sorted(finite, key=lambda one: (sign * one.metrics["loss"], -one.sequence))
    assert not gone & {one.sequence for one in ranked[: keep.best]}
