"""Reports of sessions: what is computed, and that each rendering says it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.model.ids import RunId
from waycairn.model.journal import Iteration, LoggedCut, Pattern, Point, RuleOptimization
from waycairn.model.records import Progress, RunRecord
from waycairn.model.states import RunStatus
from waycairn.upkeep.report_chart import Line, chart, ticks
from waycairn.upkeep.report_data import comparison_facts, report_facts, write_csv
from waycairn.upkeep.report_html import page
from waycairn.upkeep.report_text import BARS, PLAIN_BARS, compared_lines, lines_of, seconds_text, sparkline
from waycairn.upkeep.sessions import Curve, SessionReport, compare, is_lower_better, periods_of

NAN, INF = math.nan, math.inf
NOW = 1_800_000_000.0


def a_curve(values, *, lower=False, name="accuracy", source="iteration"):
    places = list(range(1, len(values) + 1))
    return Curve(name=name, source=source, lower=lower, places=places, at=[NOW + p for p in places], values=values)


def a_run(name="job", entered=3, **given):
    facts = {"parent": None, "key": None, "status": RunStatus.COMPLETED, "epoch": entered, "sequence": 9, "owner": None}
    rest = {"lease_until": None, "fingerprint": None, "task": None, "tags": (), "metadata": {}, "launch": None}
    times = {"progress": Progress(), "error": None, "created": NOW, "updated": NOW + 60, "entered": entered}
    return RunRecord(id=RunId(f"id-{name}"), root=RunId("r"), name=name, **{**facts, **rest, **times, **given})


def a_report(values=(0.1, 0.5, NAN, 0.4), name="job", **given):
    iterations = [
        Iteration(number=n, metrics={"accuracy": value}, ended=NOW + n, took=n / 2, epoch=1 + n // 3)
        for n, value in enumerate(values, start=1)
    ]
    cuts = [
        LoggedCut(
            sequence=1, epoch=1, entered=NOW, created=NOW + 10, saving=0.0, points=[Point(0, NOW, {"loss": 2.0})]
        ),
        LoggedCut(sequence=2, epoch=1, entered=NOW, created=NOW + 20, saving=0.5),
        LoggedCut(sequence=4, epoch=3, entered=NOW + 50, created=NOW + 60, saving=1.0),
    ]
    trial = {"baseline": 1.0, "created": NOW, "is_candidate": True}
    facts = {
        "run": a_run(name),
        "curves": [a_curve(list(values)), a_curve([2.0], name="loss", source="step", lower=True)],
        "iterations": iterations,
        "rules": [
            RuleOptimization(rule="<trim>", score=1.2, improvement=0.2, is_promoted=True, **trial),
            RuleOptimization(rule="<trim>", score=1.1, improvement=0.1, **trial),
        ],
        "patterns": [Pattern(pattern="p & q", effectiveness=0.5, created=NOW, description="found\x1b[2J")],
        "periods": periods_of(cuts, iterations),
        "took": [one.took for one in iterations],
    }
    return SessionReport(**{**facts, **given})


# -- computing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "lower", "best", "plateau"),
    [
        ([1.0], False, 0, 0),
        ([1.0, 2.0, 3.0], False, 2, 0),
        ([1.0, 3.0, 2.0, 3.0], False, 1, 2),
        ([1.0, 0.5, 0.4999, 0.4998], True, 3, 2),
        ([NAN, 1.0, NAN, 0.5], False, 1, 2),
        ([NAN, NAN], False, None, 2),
        ([-INF, 1.0], False, 1, 0),
        ([INF, 5.0, 4.0], True, 2, 0),
        ([INF, 7.0], False, 0, 1),
        ([0.0, 0.0, 1e-9], False, 2, 0),
        ([-2.0, -1.0], False, 1, 0),
        ([], False, None, 0),
    ],
)
def test_best_and_plateau(values, lower, best, plateau):
    """The first best one; since when nothing was better by more than the tolerance; NaN is never either."""
    curve = a_curve(values, lower=lower)
    assert (curve.best, curve.plateau()) == (best, plateau)


def test_the_tolerance_is_a_share():
    """10 % more is needed with 0.1; creeping up by less counts once it adds up."""
    curve = a_curve([1.0, 1.05, 1.09, 1.2, 1.25])
    assert (curve.plateau(0.1), curve.plateau(0)) == (1, 0)


@pytest.mark.parametrize(
    ("name", "lower"),
    [("loss", True), ("val/loss", True), ("train_loss", True), ("RMSE", True), ("accuracy", False), ("glossy", False)],
)
def test_names_say_what_is_better(name, lower):
    """By whole words; what was said comes first."""
    assert is_lower_better(name) is lower
    assert is_lower_better(name, [name]) is True


def test_entries_and_what_lies_between():
    """Each with its times; from the newest commit of one to the next entry nothing was kept."""
    report = a_report()
    first, second = report.periods
    assert (first.epoch, first.commits, first.iterations, first.points, first.saving) == (1, 2, 2, 1, 0.5)
    assert (first.before, second.before, second.epoch) == (None, 30.0, 3)
    assert (report.active, report.saving, report.overhead) == (30.0, 1.5, 0.05)
    assert (report.resumes, report.standstill) == (2, 30.0)
    assert (report.median_took, report.slowest_took) == (1.25, 2.0)


def test_nothing_was_written_down():
    """A report of an empty session is short and no error, in every form."""
    empty = a_report((), curves=[], rules=[], patterns=[], periods=[], took=[])
    assert (empty.overhead, empty.median_took, empty.active) == (None, None, 0)
    assert "iterations" in "\n".join(lines_of(empty))
    assert "Overview" in page(empty)
    assert report_facts(empty)["metrics"] == []
    assert compare(empty, empty)


def test_two_sessions_side_by_side():
    """The better one is named, by the direction of the metric; what one lacks is left open."""
    first, second = a_report(), a_report((0.2, 0.9), name="wide", curves=[a_curve([0.2, 0.9])], took=[1.0])
    found = {one.what: one for one in compare(first, second)}
    assert (found["best accuracy"].first, found["best accuracy"].second) == (0.5, 0.9)
    assert (found["best accuracy"].better, found["best accuracy"].share) == ("second", pytest.approx(0.8))
    assert (found["best loss"].second, found["best loss"].better, found["best loss"].share) == (None, "", None)
    assert found["seconds an iteration (median)"].better == "second"
    assert (found["iterations"].first, found["iterations"].better) == (4, "")
    facts = comparison_facts(compare(first, second))
    assert facts[0]["what"] == "best accuracy"
    assert set(facts[0]) == {"what", "first", "second", "change", "better"}


# -- text ----------------------------------------------------------------------------------------------------------


def test_sparklines():
    """From the lowest to the highest mark; blanks where there is no number; long ones in 40 marks."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == BARS
    assert sparkline([0, NAN, 7]) == "▁ █"
    assert sparkline([-INF, 0, 1, INF]) == "▁▁██"
    assert sparkline([5, 5]) == "▄▄"
    assert sparkline([]) == ""
    assert sparkline([NAN]) == " "
    assert len(sparkline(list(range(1000)))) == 40
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], PLAIN_BARS) == PLAIN_BARS


@given(st.lists(st.floats(), max_size=200))
def test_any_numbers_make_a_sparkline(values):
    """Also the largest, whose difference is infinite."""
    line = sparkline(values)
    assert len(line) == min(len(values), 40)
    assert set(line) <= {*BARS, " "}


def test_the_text_says_it_all_and_moves_no_cursor():
    """Every section is there; control characters are escaped; in ASCII nothing else is left."""
    text = "\n".join(lines_of(a_report()))
    for word in ("session job", "accuracy", "0.5", "<trim>", "+20.0%", "yes", "p & q", "entries", "30 s"):
        assert word in text
    assert "\x1b" not in text
    assert "\n".join(lines_of(a_report(name="é"), is_unicode=False)).isascii()
    compared = "\n".join(compared_lines(a_report(), a_report(name="b"), compare(a_report(), a_report(name="b"))))
    assert "best accuracy" in compared


def test_short_times():
    assert [seconds_text(s) for s in (0.0032, 0.4, 4.71, 99, 720)] == ["3.2 ms", "400 ms", "4.71 s", "99 s", "12 min"]


# -- charts and pages ----------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.booleans())
def test_ticks_are_few_and_ascending(one, other, whole):
    """Whatever the range is."""
    if math.isinf(one) or math.isinf(other):
        return
    found = ticks(min(one, other), max(one, other), whole=whole)
    assert 1 <= len(found) <= 12
    assert found == sorted(found)


def test_round_numbers():
    assert ticks(0, 1) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(1, 60, whole=True) == [20, 40, 60]
    assert ticks(1, 3, whole=True) == [1, 2, 3]


def test_a_long_line_keeps_its_peaks():
    """Thinned, the lowest and the highest of each part are drawn."""
    values = [0.0] * 100_000
    values[70_001] = 1.0
    drawn = chart("t", "d", [Line(name="x", xs=list(range(100_000)), ys=values)], id_="c", x_name="step")
    assert len(drawn) < 20_000
    heights = {float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", drawn)}
    assert len(heights) == 2
    assert "No numbers" in chart("t", "d", [Line(name="x", xs=[1], ys=[NAN])], id_="c", x_name="step")


class Checked(HTMLParser):
    """Every element is closed, and nothing is asked of anybody else."""

    VOID = {"meta", "link", "br", "img", "input", "hr"}

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.refs = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        given = dict(attrs)
        assert not {"src", "href", "srcset", "onload", "onclick"} & set(given)
        self.ids += [given["id"]] if "id" in given else []
        self.refs += given.get("aria-labelledby", "").split()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("other", [None, a_report((0.2, 0.9), name="<b>wide</b>")])
def test_the_page_stands_alone(other):
    """Well-formed; no script, no address; charts have titles, descriptions and tables; names are only names."""
    report = a_report(name="a<script>")
    text = page(report, other, compare(report, other) if other else ())
    checked = Checked()
    checked.feed(text)
    assert checked.open == []
    assert not {"script", "iframe", "object", "embed", "link", "img"} & set(checked.seen)
    assert "<b>wide" not in text
    assert not re.search(r"https?:|url\(|@import", text)
    assert checked.seen.count("svg") == checked.seen.count("desc") == 3
    assert len(set(checked.ids)) == len(checked.ids)
    assert set(checked.refs) <= set(checked.ids)
    assert checked.seen.count("details") == 3
    assert "prefers-color-scheme: dark" in text
    assert "&lt;trim&gt;" in text


def _luminance(color):
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_can_be_read():
    """Text has a contrast of 4.5 and lines of 3 to what they stand on, by day and by night."""
    text = page(a_report())
    for block in re.findall(r":root \{[^}]*\}", text):
        colors = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        for name in ("ink", "soft", "good", "first", "second"):
            for ground in ("page", "card"):
                light, dark = sorted((_luminance(colors[name]), _luminance(colors[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= (3 if name in ("first", "second") else 4.5), (name, ground)


# -- data ----------------------------------------------------------------------------------------------------------


def test_json_has_everything():
    """Keys that later versions keep."""
    facts = report_facts(a_report())
    assert set(facts) == {
        *("run", "tolerance", "active", "saving", "overhead", "resumes", "between_entries", "took_median"),
        *("took_slowest", "metrics", "iterations", "rules", "patterns", "entries"),
    }
    accuracy = facts["metrics"][0]
    assert (accuracy["name"], accuracy["by"], accuracy["best"]) == ("accuracy", "iteration", {"value": 0.5, "place": 2})
    assert (accuracy["plateau"], accuracy["count"], accuracy["places"]) == (2, 4, [1, 2, 3, 4])
    assert facts["entries"][1]["before"] == 30.0
    assert facts["rules"][0]["promoted"] is True
    assert json.loads(json.dumps(facts))["run"]["name"] == "job"


def test_csv_has_one_row_a_value():
    """Exactly, of both sessions."""
    out = io.StringIO()
    write_csv(out, [a_report((0.1, 1 / 3)), a_report((NAN,), name="a,b")])
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == ["run", "name", "key", "by", "metric", "place", "time", "value"]
    assert [row["value"] for row in rows] == ["0.1", repr(1 / 3), "2.0", "nan", "2.0"]
    assert {row["name"] for row in rows} == {"job", "a,b"}
    assert rows[0]["time"] == "2027-01-15T08:00:01.000Z"
