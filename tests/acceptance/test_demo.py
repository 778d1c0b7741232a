"""`make demo`, made small: real kills, real resumption, and an exit code that tells the truth."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOKS = 5


def _environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("WAYCAIRN", "FORCE_COLOR"))}


def _demo(place, *options):
    return subprocess.run(
        [sys.executable, "examples/demo.py", "--most", str(BOOKS), "--place", str(place), *options],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One reduced demo: five books, three kills."""
    place = tmp_path_factory.mktemp("demo") / "place"
    return place, _demo(place, "--kills", "3", "--seed", "3")


def test_the_demo_succeeds_and_says_so(shown):
    """Three kills were delivered, and the results are the same to the byte."""
    _, ran = shown
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Killed 3 times; the result is the same to the byte." in ran.stdout
    assert ran.stderr == ""


def test_piped_it_is_plain_text(shown):
    """No colours, no cursor movements, and no line longer than a terminal is wide but for paths."""
    _, ran = shown
    assert "\x1b" not in ran.stdout
    assert "\r" not in ran.stdout


def test_it_compares_what_it_says(shown):
    """The files of both runs are there, they are the same, and they hold what was read."""
    place, _ = shown
    for name in ("report.md", "report.json", "concordance.jsonl"):
        assert (place / "golden" / name).read_bytes() == (place / "killed" / name).read_bytes()
    report = json.loads((place / "killed" / "report.json").read_text("utf-8"))
    assert len(report["books"]) == BOOKS
    places = (place / "killed" / "concordance.jsonl").read_text("utf-8").splitlines()
    assert len(places) == sum(report["concordance"].values()) > 1000
    assert len(set(places)) > 0.95 * len(places)


def test_the_attempts_went_on_instead_of_starting_anew(shown):
    """The store knows four entries of the run, and each attempt after a kill skipped what was committed."""
    import waycairn as wc

    place, ran = shown
    with wc.open(place / "store", create=False) as store:
        (run,) = store.runs(name="books")
        assert (run.status, run.entered) == ("completed", 4)
    committed = re.findall(r"^ *\d+ +[\d.]+ s +\w+ +(\d+) of", ran.stdout, re.MULTILINE)
    assert len(committed) == 3
    resumed = (place / "killed.log").read_text("utf-8").count("resumed run 'books'")
    assert resumed == 3


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path):
    """It empties its own folder only."""
    (tmp_path / "precious.txt").write_text("mine", "utf-8")
    ran = _demo(tmp_path, "--kills", "1")
    assert ran.returncode == 1
    assert "not made by the demo" in ran.stderr
    assert (tmp_path / "precious.txt").read_text("utf-8") == "mine"


def test_kills_that_were_not_delivered_are_a_failure(tmp_path):
    """No kill, no proof: the exit code says so."""
    ran = _demo(tmp_path / "place", "--kills", "0", "--most", "2")
    assert ran.returncode == 1
    assert "0 of 0 kills were delivered" in ran.stdout
