"""Health judged: every check, its severity and its points, and the status that follows."""

from dataclasses import fields, replace

import pytest

from waycairn.model.growth import days_left, slope
from waycairn.model.health import WEIGHTS, Latency, Status, judged, unknown
from waycairn.model.health_rules import Facts, Waiting, issues_of
from waycairn.model.health_settings import HealthSettings

SETTINGS = HealthSettings()
DAY = 86400.0
WELL = Facts(
    acts={"save": Latency(count=1000, failures=0, p50=0.001, p95=0.002, p99=0.01)},
    disk_free=10**12,
    disk_total=2 * 10**12,
    store_bytes=10**6,
    store_age=100 * DAY,
    checkpoints=5,
    verified_age=DAY,
    swept_age=DAY,
    pack_bytes=10**6,
    log_bytes=0,
    is_encrypted=True,
)
RUN = Waiting(name="nightly", id="k7f3qx0a9m2d", why="since 2 h")


def failing(act, failures, count=1000):
    return {act: Latency(count=count - failures, failures=failures, p99=0.01)}


def slow(act, p99):
    return {act: Latency(count=100, failures=0, p99=p99)}


CASES = [
    ("damage", "warning", {"damaged": 2}),
    ("damage", "critical", {"damaged": 2, "stranded": [RUN]}),
    ("save failures", "warning", {"acts": failing("save", 1)}),
    ("save failures", "warning", {"acts": failing("commit", 50)}),
    ("save failures", "critical", {"acts": failing("save", 51)}),
    ("load failures", "warning", {"acts": failing("load", 1)}),
    ("notifications", "warning", {"acts": failing("notify", 1)}),
    ("disk", "warning", {"disk_free": 4_999_999_999}),
    ("disk", "critical", {"disk_free": 499_999_999}),
    ("growth", "warning", {"days_left": 13.9, "growth_a_day": 5e9}),
    ("growth", "critical", {"days_left": 1.9, "growth_a_day": 5e9}),
    ("save latency", "warning", {"acts": slow("save", 5.1)}),
    ("save latency", "critical", {"acts": slow("save", 61.0)}),
    ("load latency", "warning", {"acts": slow("load", 10.1)}),
    ("load latency", "critical", {"acts": slow("load", 121.0)}),
    ("late saves", "warning", {"late_saves": 6, "skipped_saves": 4}),
    ("orphans", "warning", {"orphans": [RUN]}),
    ("overdue runs", "warning", {"overdue": [RUN]}),
    ("takeovers", "warning", {"takeovers": 4}),
    ("takeovers", "critical", {"takeovers": 21}),
    ("streams", "warning", {"away": [RUN]}),
    ("backups", "critical", {"damaged_backups": [RUN]}),
    ("backups", "warning", {"cut_off_deletes": [RUN]}),
    ("backups", "info", {"leaving_backups": [RUN]}),
    ("verification", "warning", {"verified_age": 31 * DAY}),
    ("verification", "critical", {"verified_age": 181 * DAY}),
    ("verification", "warning", {"verified_age": None}),
    ("sweep", "warning", {"swept_age": 8 * DAY}),
    ("sweep", "warning", {"swept_age": None}),
    ("fragmentation", "warning", {"dead_bytes": 60_000}),
    ("fragmentation", "critical", {"dead_bytes": 510_000}),
    ("leftovers", "warning", {"leftovers": 3, "leftover_bytes": 100_000_001}),
    ("log", "warning", {"log_bytes": 256_000_001}),
    ("encryption", "info", {"is_encrypted": False}),
    ("measurements", "info", {"is_measured": False}),
]


def test_a_store_that_is_well():
    """Full marks, and nothing to do."""
    health = judged(5.0, issues_of(WELL, SETTINGS))
    assert (health.status, health.score, health.issues, health.recommendations) == (Status.HEALTHY, 100, [], [])
    assert health.exit_code == 0


@pytest.mark.parametrize(("check", "severity", "facts"), CASES)
def test_each_check(check, severity, facts):
    """One issue, with its points off; the status follows from how grave it is."""
    health = judged(5.0, issues_of(replace(WELL, **facts), SETTINGS))
    (issue,) = health.issues
    assert (issue.check, issue.severity) == (check, severity)
    assert issue.what
    assert issue.means
    weight = WEIGHTS[check]
    assert health.score == 100 - {"info": 0, "warning": weight.warning, "critical": weight.critical}[severity]
    status, code = {
        "info": (Status.HEALTHY, 0),
        "warning": (Status.DEGRADED, 5),
        "critical": (Status.UNHEALTHY, 3),
    }[severity]
    assert (health.status, health.exit_code) == (status, code)
    assert health.recommendations == ([issue.do] if issue.do else [])


@pytest.mark.parametrize(("check", "severity", "facts"), CASES)
def test_acts_are_named(check, severity, facts):
    """What is recommended as a command is named; what lies outside of the store is not."""
    (issue,) = issues_of(replace(WELL, **facts), SETTINGS)
    named = {"damage": "repair", "disk": "sweep", "sweep": "sweep", "leftovers": "sweep", "fragmentation": "optimize"}
    named |= {"verification": "verify", "load failures": "verify", "orphans": "runs", "overdue runs": "runs"}
    backups = "repair" if severity == "critical" else "backups"
    assert issue.act == {**named, "streams": "streams", "backups": backups}.get(check)
    if issue.act in {"sweep", "optimize", "verify", "repair"}:
        assert f"waycairn {issue.act}" in issue.do


def test_every_weight_has_a_case():
    assert {check for check, _, _ in CASES} == set(WEIGHTS)


def test_at_the_threshold_nothing_is_the_matter():
    """Only beyond it."""
    facts = {"disk_free": SETTINGS.disk_warning, "takeovers": 3, "days_left": 14.0, "late_saves": 9}
    assert issues_of(replace(WELL, **facts), SETTINGS) == []


def test_an_empty_store_need_not_be_verified_or_swept():
    facts = replace(WELL, checkpoints=0, verified_age=None, swept_age=None)
    assert issues_of(facts, SETTINGS) == []


def test_many_warnings_together_are_unhealthy():
    """The gravest is told first, and each recommendation once; below 50 points it is unhealthy without a critical one."""
    facts = replace(
        WELL,
        damaged=1,
        orphans=[RUN],
        overdue=[RUN],
        away=[RUN],
        swept_age=None,
        leftovers=1,
        leftover_bytes=10**9,
    )
    health = judged(5.0, issues_of(facts, SETTINGS))
    assert health.issues[0].check == "damage"
    assert health.score == 100 - 20 - 10 - 10 - 15 - 3 - 2 == 40
    assert health.status is Status.UNHEALTHY
    assert health.recommendations.count("waycairn sweep") == 1


def test_unknown():
    """No score is made up for it."""
    health = unknown(5.0, "the database is away")
    assert (health.status, health.score, health.exit_code) == (Status.UNKNOWN, None, 6)


def test_growth_is_the_slope_of_the_sizes():
    """Bytes a day; not told from looks within an hour; and how long the disk lasts."""
    assert slope([(0.0, 100.0), (DAY, 200.0), (2 * DAY, 300.0)]) == pytest.approx(100.0)
    assert slope([(0.0, 100.0), (3599.0, 200.0)]) is None
    assert slope([(0.0, 100.0)]) is None
    assert days_left(1000.0, 100.0) == 10.0
    assert days_left(1000.0, -5.0) is days_left(1000.0, 0.0) is days_left(1000.0, None) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"interval": 0}, "interval is a number above 0, not 0"),
        ({"disk_warning": 5, "disk_critical": 50}, "disk_warning is above disk_critical"),
        ({"save_p99_warning": 70.0}, "save_p99_warning is below save_p99_critical"),
        ({"keep_days": True}, "keep_days is a number above 0"),
        ({"trend_days": "7"}, "trend_days is a number above 0"),
    ],
)
def test_settings_that_cannot_be(wrong, said):
    with pytest.raises(ValueError, match=said):
        HealthSettings(**wrong)


def test_every_setting_has_a_default():
    assert all(one.default is not None for one in fields(HealthSettings))
