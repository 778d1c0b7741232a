"""`waycairn report`: a session as text, JSON, CSV and HTML, and two of them side by side."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import waycairn as wc
from commands import document, script, waycairn


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions, one of them resumed, and a run that is none."""
    place = tmp_path_factory.mktemp("report")
    with wc.open(place / ".waycairn") as store:
        for name, key, gain in (("small", None, 1), ("large", "k", 2)):
            for _ in range(2):
                with store.run(name, key=key) as run:
                    for number in range(5):
                        run.log(loss=1 / (number + gain))
                        run.session.iteration(
                            metrics={"accuracy": number * gain / 10, "odd": float("nan")},
                            rules=[{"rule_id": "trim", "score": 1 + number / 10, "baseline": 1}],
                            error=ValueError("bad \x1b[2J") if number == 3 else None,
                        )
        with store.run("plain") as run:
            list(run.each(range(3)))
    return place


def test_text_for_people(place: Path) -> None:
    """Best, plateau, sparkline, rules, entries and errors; no escape code that came in a name."""
    told = waycairn("report", "small", at=place)
    assert told.returncode == 0
    for word in ("session small", "accuracy", "▁", "trim", "promoted", "entries", "ValueError"):
        assert word in told.stdout
    assert "\x1b" not in told.stdout
    assert "resumes" in told.stdout
    plain = script("report", "small", at=place, encoding="ascii")
    assert plain.returncode == 0
    assert plain.stdout.isascii()
    assert "accuracy" in plain.stdout


def test_json_for_programs(place: Path) -> None:
    """By --json or --format json; NaN is a word."""
    told = document("report", "small", at=place)["session"]
    assert told["run"]["name"] == "small"
    accuracy = next(curve for curve in told["metrics"] if curve["name"] == "accuracy")
    assert accuracy["best"] == {"value": 0.4, "place": 5}
    assert accuracy["count"] == 10
    assert next(curve for curve in told["metrics"] if curve["name"] == "odd")["last"] == "NaN"
    assert [entry["epoch"] for entry in told["entries"]] == [1, 2]
    again = waycairn("report", "small", "--format", "json", at=place)
    assert json.loads(again.stdout)["session"]["run"] == told["run"]


def test_two_sessions(place: Path) -> None:
    """The other one by its key; side by side in every form."""
    other = ("--compare", "large", "--compare-key", "k")
    told = document("report", "small", *other, at=place)
    assert told["other"]["run"]["key"] == "k"
    best = next(one for one in told["comparison"] if one["what"] == "best accuracy")
    assert (best["first"], best["second"], best["better"]) == (0.4, 0.8, "second")
    text = waycairn("report", "small", *other, at=place).stdout
    assert "compared" in text
    assert text.count("session ") == 2
    rows = list(csv.DictReader(io.StringIO(waycairn("report", "small", *other, "--format", "csv", at=place).stdout)))
    assert {(row["name"], row["key"]) for row in rows} == {("small", ""), ("large", "k")}
    assert len([row for row in rows if row["by"] == "step"]) == 20


def test_a_file_is_what_its_name_says(place: Path) -> None:
    """HTML by the suffix; whole or not at all; not over a file that is there."""
    told = waycairn("report", "small", "-o", "report.html", at=place)
    assert (told.returncode, told.stdout) == (0, "")
    text = (place / "report.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert text.count("<svg") == 3
    assert "\x1b" not in text
    again = waycairn("report", "small", "-o", "report.html", at=place)
    assert again.returncode == 1
    assert "there already" in again.stderr
    facts = document("report", "small", "-o", "report.html", "--force", at=place)
    assert (facts["format"], facts["file"]) == ("html", "report.html")
    assert waycairn("report", "small", "-o", "report.csv", at=place).returncode == 0
    assert (place / "report.csv").read_text("utf-8").startswith("run,name,key,by,metric,place,time,value\n")


def test_what_is_better_can_be_said(place: Path) -> None:
    """--lower turns a metric around; --tolerance makes a plateau longer."""
    told = document("report", "small", "--lower", "accuracy", "--tolerance", "9", at=place)["session"]
    accuracy = next(curve for curve in told["metrics"] if curve["name"] == "accuracy")
    assert (accuracy["lower_is_better"], accuracy["best"]) == (True, {"value": 0.0, "place": 1})
    loss = next(curve for curve in told["metrics"] if curve["name"] == "loss")
    assert (loss["lower_is_better"], loss["plateau"]) == (True, 9)


def test_a_run_without_a_session(place: Path) -> None:
    """Is reported as what it is; one that is not there is an error."""
    assert document("report", "plain", at=place)["session"]["iterations"] == []
    told = waycairn("report", "missing", at=place)
    assert (told.returncode, told.stdout) == (1, "")
    assert "there is no run 'missing'" in told.stderr
    both = waycairn("report", "small", "--json", "--format", "html", at=place)
    assert (both.returncode, both.stdout) == (2, "")
