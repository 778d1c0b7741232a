"""The programme itself: what it runs, what it counts, what it calls bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from programme import record, torture
from programme.registry import HARNESSES, Entry, find
from programme.tally import Tally
from programme.torture import Report, shares


def report_of(*tallies: Tally, **facts) -> Report:
    report = Report(seed=1, minutes=1.0, **facts)
    report.tallies = {tally.harness: tally for tally in tallies}
    return report


def test_every_harness_is_registered():
    """A module of this folder with a `run` that nobody starts proves nothing; neither does a name without a module."""
    here = Path(torture.__file__).parent
    runs = {path.stem for path in here.glob("*.py") if "\ndef run(\n    budget: Budget" in path.read_text()}
    runs |= {path.stem for path in here.glob("*.py") if "\ndef run(budget: Budget" in path.read_text()}
    assert "kills" in runs
    assert runs <= {entry.name for entry in HARNESSES}


def test_a_name_that_is_none_is_refused():
    """And those that there are are told."""
    with pytest.raises(ValueError, match="there is no harness 'thrills'; there are kills, "):
        find("thrills")


def test_a_run_that_delivers_nothing_is_bad():
    """As bad as a bad outcome: it proves nothing. What was skipped is neither."""
    fine, idle = Tally("kills"), Tally("power")
    fine.delivered["kills"] = 3
    assert report_of(fine).bad == []
    assert report_of(fine, idle).bad == ["power: nothing was delivered"]
    assert report_of(fine, skipped={"power": "no FUSE"}).bad == []
    fine.bad.append("lost")
    assert report_of(fine).bad == ["kills: lost"]


def test_the_time_is_shared_by_weight():
    """Two lanes: twice the time in all, the longest first, none beyond one lane."""
    entries = [Entry("a", 1, ""), Entry("b", 8, ""), Entry("c", 3, "")]
    assert [(entry.name, seconds) for entry, seconds in shares(entries, 60.0)] == [
        ("b", 60.0),
        ("c", 30.0),
        ("a", 10.0),
    ]


def test_a_harness_whose_means_are_missing_is_skipped(monkeypatch, capsys):
    """With the reason; and a run of nothing else than that is not called a success."""
    entry = Entry("kills", 1, "")
    monkeypatch.setattr(entry.load(), "missing", lambda: "there are no processes here", raising=False)
    report = torture.torture([entry], 0.1, 1)
    assert report.skipped == {"kills": "there are no processes here"}
    assert capsys.readouterr().out == "kills: skipped: there are no processes here\n"
    assert not report.tallies


def test_a_module_of_ours_that_is_missing_is_no_missing_means():
    """It would be skipped for ever, and nobody would see it."""
    report = torture.torture([Entry("never_written", 1, "")], 0.1, 1)
    assert not report.skipped
    assert report.bad[0].startswith("never_written: the harness itself failed: No module named")


def test_one_harness_runs_from_the_command_line(tmp_path):
    """In a process of its own: its counts come back, and a harness that breaks is a bad outcome."""
    tally = torture.apart("kills", 0.1, 4)
    assert tally.bad == []
    assert tally.delivered.total() == 0
    broken = torture.apart("nothing like it", 0.1, 4)
    assert broken.bad[0].startswith("the harness itself failed (exit code 1): ValueError: there is no harness")


def test_tables_are_written_between_their_marks():
    """What stands around them stays; the page has the marks."""
    fine = Tally("kills")
    fine.delivered.update({"kills": 1234, "terminations": 5})
    table = record.counts_table(report_of(fine, skipped={"power": "no a|b"}).facts())
    assert "1,234 kills, 5 terminations; **0 bad outcomes**" in table
    assert "skipped: no a\\|b" in table
    text = "before\n<!-- torture: begin -->\nold\n<!-- torture: end -->\nafter"
    assert record.replaced(text, "torture", "new") == text.replace("old", "new")
    with pytest.raises(ValueError, match="no marks"):
        record.replaced("nothing", "torture", "new")
    page = record.PAGE.read_text("utf-8")
    assert record.replaced(record.replaced(page, "torture", "a"), "mutants", "b") != page


def test_mutants_are_told_with_what_found_them():
    """One that survived is told as such."""
    one = {"bug": "b", "harness": "kills", "what": "It forgets.", "by": "lost", "faults": 1, "seconds": 2.4}
    table = record.mutants_table(
        {"date": "now", "seed": 1, "mutants": [one, {**one, "bug": "c", "by": ""}], "skipped": {"d": "no FUSE"}}
    )
    assert table.splitlines() == [
        "now, seed 1: 1 of 2 found.",
        "",
        "| mutant | the mistake | found by | after |",
        "|---|---|---|---|",
        "| b | It forgets. | kills | 1 fault, 2 s |",
        "| c | It forgets. | **not found** by kills | 1 fault, 2 s |",
        "| d | | skipped: no FUSE | |",
    ]


def test_what_is_run_again_takes_its_place(tmp_path):
    """In the report of a run of more harnesses; what was bad of it is gone, what was bad of others stays."""
    path = tmp_path / "torture.json"
    rot, power, again = Tally("rot", bad=["wrong"]), Tally("power", bad=["lost"]), Tally("rot")
    for tally, count in ((rot, 3), (power, 5), (again, 7)):
        tally.delivered["faults"] = count
    report_of(rot, power).write(path)
    report_of(again).write(path)
    facts = json.loads(path.read_text())
    assert facts["bad"] == ["power: lost"]
    assert {name: one["delivered"]["faults"] for name, one in facts["harnesses"].items()} == {"rot": 7, "power": 5}
