"""Which checkpoints policies let go: what may be written, which of it is in force, and what never goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.model.ids import RunId
from waycairn.model.policies import NEVER, Policies, Subject
from waycairn.model.retaining import Held, RunFacts, Spare, decide, given_up
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.thinning import Stay
from waycairn.model.units import hours, is_within, size
from waycairn.model.upkeep_settings import UpkeepSettings

HOUR, DAY = 3600.0, 86400.0
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC).timestamp()


def a_run(name: str = "job", **given) -> RunFacts:
    facts = {"phase": None, "task": None, "is_value": False, "is_finished": False, "is_completed": False, "since": NOW}
    return RunFacts(num=1, id=RunId("r"), name=name, **{**facts, **given})


COMPLETED = {"is_finished": True, "is_completed": True}


def rows(*ages: float, kind: str = "processing_state", role: str = "state", **given) -> list[Held]:
    """Checkpoints of these ages in seconds, newest first."""
    facts = {"verified": True, "pinned": False, "expires": None, "size": 10, **given}
    return [Held(len(ages) - at, NOW - age, kind, role, **facts) for at, age in enumerate(ages)]


def gone(settings: dict, run: RunFacts, held: list[Held]) -> list[int]:
    verdicts = decide(Policies.of(settings), run, held, NOW)
    return [row.sequence for row, verdict in zip(held, verdicts, strict=True) if not verdict.stays]


def rule(settings: dict, run: RunFacts, held: list[Held], sequence: int) -> str:
    verdicts = decide(Policies.of(settings), run, held, NOW)
    return next(verdict.rule for row, verdict in zip(held, verdicts, strict=True) if row.sequence == sequence)


# -- what may be written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        (
            {"rules": [{"run": "x"}, {"run": "y", "keep": "lots"}]},
            r"retention.rules\[1\].keep: 'lots' is not understood",
        ),
        ({"rules": [{"keep": 3}]}, r"retention.rules\[0\] names nothing"),
        ({"rules": [{"run": ""}]}, r"retention.rules\[0\].run is a name"),
        ({"rules": [{"run": "a", "kep": 3}]}, r"retention.rules\[0\].kep is no setting; there are kind, phase"),
        ({"rules": {"run": "a"}}, "retention.rules is a list"),
        ({"rules": ["last 3"]}, r"retention.rules\[0\] is a rule such as"),
        ({"keep_phases": "last"}, "retention.keep_phases: 'last' is not understood"),
        ({"keep": 0}, "retention.keep: keep 0 is not understood"),
        ({"max_age": "soon"}, "retention.max_age is a length of time"),
        ({"max_size": "much"}, "retention.max_size is a size such as"),
        ({"max_size": True}, "retention.max_size is a size such as"),
        ({"after_success": "drop"}, "retention.after_success: 'drop' is not understood"),
        ({"after_success": "keep last 0"}, "retention.after_success: 'keep last 0' is not understood"),
        ({"timezone": "Mars/Olympus"}, "retention.timezone is the name of a time zone"),
        ({"max_sise": 1}, "retention.max_sise is no setting"),
    ],
)
def test_errors_name_the_place(settings, place):
    with pytest.raises(ValueError, match=place):
        Policies.of(settings)


def test_what_is_in_force_by_default():
    """As the reference says: 50 of sessions, 10 a phase, 24 h in completed runs but for models."""
    policies = Policies.of(RetentionSettings())
    plain = policies.in_force(Subject("processing_state", None, "job", None))
    assert (plain.keep.value.is_all, plain.max_age.value, plain.max_age_completed.value) == (True, NEVER, 24 * HOUR)
    assert policies.in_force(Subject("iteration", None, "job", None)).keep.value.keep.last == 50
    assert policies.in_force(Subject("iteration", "p", "job", None)).keep.value.keep.last == 50
    assert policies.in_force(Subject("processing_state", "p", "job", None)).keep.value.keep.last == 10
    assert policies.in_force(Subject("model_state", None, "job", None)).max_age_completed.value == NEVER
    assert policies.in_force(Subject("value", None, "job", None, is_value=True)).keep.by == "no rule"


def test_the_most_specific_one_wins():
    """Setting by setting, and the order in which they are written counts last."""
    policies = Policies.of(
        {
            "keep": 1,
            "max_age": "1h",
            "rules": [
                {"kind": "a", "run": "nightly-*", "keep": 6},
                {"run": "nightly-*", "keep": 2},
                {"run": "nightly-x", "keep": 3, "max_age": "2h"},
                {"task": "t", "keep": 4},
                {"kind": "a", "keep": 5},
                {"kind": "a", "keep": 7},
            ],
        }
    )

    def last(kind: str, run: str, task: str | None = None) -> int:
        return policies.in_force(Subject(kind, None, run, task)).keep.value.keep.last

    assert last("b", "other") == 1
    assert last("b", "nightly-y") == 2
    assert last("b", "nightly-x") == 3
    assert last("b", "other", "t") == 4
    assert last("b", "nightly-x", "t") == 3, "a run is more telling than a task"
    assert last("a", "other") == 7, "of equals the later"
    assert last("a", "nightly-x") == 6, "two names are more than one"
    said = policies.in_force(Subject("a", None, "nightly-x", None)).max_age
    assert said == (2 * HOUR, "the rule for run 'nightly-x'"), "what one does not say the next one does"
    assert policies.in_force(Subject("a", None, "nightly-y", None)).max_age.by == "the settings of the store"


# -- what goes ---------------------------------------------------------------------------------------------------------


def test_last_and_best_and_days():
    """Whatever one part names stays."""
    held = [row._replace(metrics={"loss": loss}) for row, loss in zip(rows(*range(6)), (5, 4, 1, 3, 6, 2), strict=True)]
    assert gone({"keep": "last 2"}, a_run(), held) == [4, 3, 2, 1]
    assert gone({"keep": "last 1, best 2 by loss"}, a_run(), held) == [5, 3, 2]
    ages = [1 * HOUR, 2 * HOUR, 13 * HOUR, 14 * HOUR, 37 * HOUR, 61 * HOUR, 40 * DAY]
    held = rows(*ages)
    assert gone({"keep": "3 daily"}, a_run(), held) == [6, 4, 2, 1]
    assert gone({"keep": "all daily"}, a_run(), held) == [6, 4]
    assert gone({"keep": "2 daily, 2 monthly"}, a_run(), held) == [6, 4, 3, 2]
    assert gone({"keep": "1 weekly, 2 monthly"}, a_run(), held) == [6, 5, 4, 3, 2]


def test_days_begin_where_the_user_is():
    """23:30 and 00:30 UTC are one day in New York and two in London."""
    midnight = datetime(2026, 1, 10, tzinfo=UTC).timestamp()
    held = [row._replace(created=at) for row, at in zip(rows(1, 2), (midnight + 1800, midnight - 1800), strict=True)]
    assert gone({"keep": "9 daily"}, a_run(), held) == []
    assert gone({"keep": "9 daily", "timezone": "America/New_York"}, a_run(), held) == [1]


def test_ages_count_from_the_end_of_a_run():
    """A week of work is not gone the moment that it is completed; the newest stays."""
    held = rows(0, DAY, 3 * DAY)
    assert gone({}, a_run(), held) == []
    assert gone({}, a_run(**COMPLETED), held) == []
    assert gone({}, a_run(**COMPLETED, since=NOW - 25 * HOUR), held[1:]) == [1]
    assert gone({}, a_run(**COMPLETED, since=NOW - 25 * HOUR), rows(0, DAY, kind="model_state")) == []
    assert gone({"max_age_completed": "never"}, a_run(**COMPLETED, since=0.0), held) == []
    assert gone({"max_age_final": "2d"}, a_run(**COMPLETED, since=NOW - 3 * DAY), rows(4 * DAY, 5 * DAY)) == [2, 1]
    assert gone({"max_age": "36h"}, a_run(), held) == [1]


def test_after_success():
    held = rows(0, 1, 2)
    assert gone({"after_success": "delete"}, a_run(), held) == []
    assert gone({"after_success": "delete"}, a_run(**COMPLETED), held) == [3, 2, 1]
    assert gone({"after_success": "keep last 2"}, a_run(**COMPLETED), held) == [1]
    assert gone({"after_success": "delete"}, a_run(is_finished=True), held) == [], "given up is no success"
    assert gone({"after_success": "delete"}, a_run(**COMPLETED), rows(0, role="result")) == []


def test_a_time_of_its_own():
    """`ttl=`: the final one goes by it too, that of an unfinished run does not."""
    held = rows(0, 1, expires=NOW - 1)
    assert gone({}, a_run(), held) == [1]
    assert gone({}, a_run(**COMPLETED), held) == [2, 1]
    assert gone({}, a_run(), rows(0, 1, expires=NOW + 1)) == []


def test_values_are_left_alone_unless_their_kind_is_named():
    held = rows(*(day * DAY for day in range(5)), kind="cursor", role="value")
    assert gone({"keep": 1, "max_age": "1h", "keep_phases": 1}, a_run(phase="p"), held) == []
    assert gone({"rules": [{"kind": "cur*", "keep": 2}]}, a_run(), held) == [3, 2, 1]


def test_what_cannot_be_restored_counts_for_nothing():
    """Three damaged ones are newer: two that are intact stay all the same, and one that is older than both goes."""
    held = [row._replace(verified=at in (3, 4, 6)) for at, row in enumerate(rows(*range(8)))]
    assert gone({"keep": 2}, a_run(), held) == [3, 2, 1]
    assert rule({"keep": 2}, a_run(), held, 5) == "the unfinished run goes on from it"


AGES = st.sampled_from([0.0, 1.0, HOUR, 2 * DAY, 50 * DAY])
HELD = st.lists(
    st.tuples(
        AGES,
        st.sampled_from(["a", "b", "iteration"]),
        st.sampled_from(["state", "value", "error", "result", "stream", "part"]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, NOW - 1, NOW + 1]),
    ),
    max_size=6,
).map(
    lambda found: [
        Held(len(found) - at, NOW - age, kind, role, verified, pinned, expires, 1, {"loss": age})
        for at, (age, kind, role, verified, pinned, expires) in enumerate(found)
    ]
)
SETTINGS = st.fixed_dictionaries(
    {
        "keep": st.sampled_from(["all", 1, "last 2, best 1 by loss", "1 daily", "2 monthly"]),
        "max_age": st.sampled_from(["never", 0, "1h"]),
        "max_age_completed": st.sampled_from(["never", 0, "24h"]),
        "max_age_final": st.sampled_from(["never", 0]),
        "after_success": st.sampled_from(["keep", "delete", "keep last 1"]),
        "rules": st.sampled_from([[], [{"kind": "*", "keep": 1}], [{"run": "j*", "max_age": 0}]]),
    }
)


@given(SETTINGS, HELD, st.booleans(), st.booleans())
def test_what_never_goes(settings, held, is_finished, is_value):
    """Pinned ones, results, where streams stand; of an unfinished run the newest state and the newest value of each name
    that can be restored from. And everything has a reason."""
    run = a_run(is_finished=is_finished, is_completed=is_finished, is_value=is_value, since=NOW - 9 * DAY)
    verdicts = decide(Policies.of(settings), run, held, NOW)
    newest: dict[tuple[str, str], int] = {}
    for row, verdict in zip(held, verdicts, strict=True):
        assert verdict.rule
        protected = row.pinned or row.role in {"result", "stream", "part"}
        if row.verified and row.role in {"state", "value"}:
            name = (row.role, row.kind if row.role == "value" else "")
            if newest.setdefault(name, row.sequence) == row.sequence:
                protected |= not is_finished or is_value
        assert verdict.stays or not protected, (row, verdict)
        assert not (protected and verdict.sacrifice is not None)


# -- room --------------------------------------------------------------------------------------------------------------


def test_the_order_of_sacrifice():
    """Damaged ones, those of finished runs, of unfinished runs, at last the final ones; the older first; no more than needed."""
    held = [
        row._replace(verified=row.sequence != 2, pinned=row.sequence == 3)
        for row in rows(0, DAY, 2 * DAY, 3 * DAY, 4 * DAY)
    ]
    kept = {}
    for name, run in {"going on": a_run(), "over": a_run(is_finished=True)}.items():
        for row, verdict in zip(held, decide(Policies.of({}), run, held, NOW), strict=True):
            if verdict.sacrifice is not None:
                kept[name, row.sequence] = Spare(verdict.sacrifice, row.created, hash(name), row.sequence, row.size)
    order = [key for key, _ in sorted(kept.items(), key=lambda pair: pair[1])]
    assert set(order[:2]) == {("going on", 2), ("over", 2)}
    assert order[2:] == [("over", 1), ("over", 4), ("going on", 1), ("going on", 4), ("over", 5)]
    spare = list(kept.values())
    assert [len(given_up(spare, excess)) for excess in (0, 1, 10, 11, 1000)] == [0, 1, 1, 2, 7]


# -- units, hours ------------------------------------------------------------------------------------------------------


def test_sizes_and_hours():
    assert [size("x", text) for text in ("1.5kB", "2 GiB", "7b", 12)] == [1500, 2 * 2**30, 7, 12]
    night = hours("x", "22:00-06:30")
    assert [is_within(minute, night) for minute in (21 * 60 + 59, 22 * 60, 0, 6 * 60 + 29, 6 * 60 + 30)] == [
        *(False, True, True, True, False),
    ]
    assert is_within(9 * 60, hours("x", "08:00-24:00"))
    for wrong in ("22-6", "25:00-06:00", "08:61-09:00", "08:00-08:00"):
        with pytest.raises(ValueError, match="quiet is a part of the day"):
            hours("quiet", wrong)


def test_quiet_hours_end():
    """By the clock of the place, across midnight, also when it changes to summer time."""
    settings = UpkeepSettings(quiet_hours="22:00-06:00", timezone="Europe/Berlin")
    at = datetime(2026, 3, 28, 22, 30, tzinfo=UTC).timestamp()  # 23:30 in Berlin, the night of the change
    assert settings.quiet_until(at) == datetime(2026, 3, 29, 4, tzinfo=UTC).timestamp()
    assert settings.quiet_until(at + 6 * HOUR) is None
    assert not UpkeepSettings().is_quiet(at)
    with pytest.raises(ValueError, match=r"upkeep\.share is a part"):
        UpkeepSettings(share=0)


def test_parts_of_keep():
    assert Stay.of("last 3, 2 weekly").keep.last == 3
    for wrong in ("2 weekly, 3 weekly", "2 hourly", "", "best 2"):
        with pytest.raises(ValueError, match="parts that are, in any number"):
            Stay.of(wrong)
