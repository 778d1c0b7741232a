"""Forks and rewinds: what another beginning at an earlier cut comes to."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import waycairn as wc
from waycairn.errors import CheckpointNotFound, RunError, RunIsHeld
from waycairn.model.records import PHASES


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with wc.open("store") as store:
        yield store


def count_to(store, last, name="count", key=None, out="lines.txt"):
    """Numbers into a state, a file, steps and metrics; a tagged checkpoint at each."""
    with store.run(name, key=key, pace="every item", progress="off") as run:
        resumed = run.resumed
        state = run.state({"sum": 0, "seen": []})
        lines = run.output(out, append=True)
        for number in run.each(range(1, last + 1)):
            state["sum"] += run.step("square", lambda n=number: n * n)
            state["seen"].append(number)
            lines.write(f"{number}\n")
            run.log(number, value=number)
            run.checkpoint("mark", tags=[f"n{number}"])
        return resumed, dict(state)


def at(store, run, number):
    (found,) = store.checkpoints(run, tag=f"n{number}")
    return found


def test_a_fork_begins_at_its_cut(store):
    """State, items, steps, what was logged and the file, up to there; the source is as it was."""
    count_to(store, 6)
    source = store.find("count")
    fork = store.fork("count", at(store, "count", 3).id, "other", key="b")
    assert (fork.status, fork.entered, fork.origin, fork.progress.done) == (
        "interrupted",
        0,
        at(store, "count", 3).id,
        3,
    )
    assert Path("lines.other-b.txt").read_text() == "1\n2\n3\n"
    assert [len(cut.points) for cut in store.core.catalog.metrics(fork.id)] == [1, 1, 1]
    assert count_to(store, 8, "other", "b") == (True, {"sum": 204, "seen": [1, 2, 3, 4, 5, 6, 7, 8]})
    assert Path("lines.other-b.txt").read_text() == "".join(f"{n}\n" for n in range(1, 9))
    assert store.find("count") == source
    assert Path("lines.txt").read_text() == "".join(f"{n}\n" for n in range(1, 7))


def test_a_fork_says_where_it_comes_from(store, caplog):
    """In the log, when it is entered first."""
    count_to(store, 3)
    fork = store.fork("count", at(store, "count", 2).id, "other")
    with caplog.at_level(logging.INFO, "waycairn"):
        count_to(store, 3, "other")
        count_to(store, 3, "other")
    assert [f"forked from {fork.origin}" in line for line in caplog.messages if "run 'other'" in line] == [True, False]


def test_a_rewind_undoes_what_came_later(store):
    """And the run, completed before, comes to the same end again."""
    count_to(store, 6)
    done = store.find("count")
    assert done.status == "completed"
    marks = [at(store, "count", n).id for n in range(1, 7)]
    back = store.rewind("count", marks[1])
    assert (back.status, back.epoch, back.progress.done, back.owner) == ("interrupted", done.epoch + 1, 2, None)
    assert [store.checkpoint(one).status for one in marks] == ["valid"] * 2 + ["set-aside"] * 4
    assert len(store.core.catalog.list_steps(back.id)) == 2
    assert store.load(marks[5])["sum"] == 91
    assert count_to(store, 6) == (True, {"sum": 91, "seen": [1, 2, 3, 4, 5, 6]})
    assert Path("lines.txt").read_text() == "".join(f"{n}\n" for n in range(1, 7))


def test_what_cannot_be_gone_back_to(store):
    """Refused with a sentence, and nothing is changed."""
    count_to(store, 4)
    store.save("value", 1)
    first, third = at(store, "count", 1), at(store, "count", 3)
    (value,) = store.checkpoints("value")
    with pytest.raises(ValueError, match="is none of run"):
        store.fork("value", first.id, "other")
    with pytest.raises(ValueError, match="no cut of the run"):
        store.rewind("value", value.id)
    with pytest.raises(RunError, match="there is a run 'count'"):
        store.fork("count", first.id, "count")
    with store.run("count", progress="off"), pytest.raises(RunIsHeld):
        store.rewind("count", first.id)
    store.rewind("count", first.id)
    with pytest.raises(CheckpointNotFound, match="went back behind it"):
        store.fork("count", third.id, "other")
    with pytest.raises(CheckpointNotFound, match="went back behind it"):
        store.rewind("count", third.id)
    store.discard("count")
    with pytest.raises(ValueError, match="was given up"):
        store.rewind("count", first.id)
    assert store.fork("count", first.id, "other").progress.done == 1
    assert store.find("count").status == "discarded"
    assert len(store.runs()) == 3


def test_a_fork_while_its_source_runs(store):
    """Nothing waits for the owner; asked twice it is one fork."""
    with store.run("count", pace="every item", progress="off") as run:
        state = run.state({"n": 0})
        for number in run.each(range(4)):
            state["n"] = number
            run.checkpoint("mark", tags=[f"n{number}"])
            if number == 2:
                fork = store.fork("count", at(store, "count", 1).id, "other")
                assert store.fork("count", at(store, "count", 1).id, "other") == fork
    assert store.find("count").status == "completed"
    with store.run("other", progress="off") as run:
        assert run.state({"n": 0}) == {"n": 1}
        assert list(run.each(range(4))) == [2, 3]


def pipeline(store, name, last):
    """Two phases, of which the second has one below; tagged checkpoints of the whole between."""

    def clean(phase):
        out = phase.output("clean.txt", append=True)
        for number in phase.each(range(3)):
            out.write(f"{number}\n")
        return "cleaned"

    def train(phase):
        state = phase.state({"steps": 0})
        for _ in phase.each(range(4)):
            state["steps"] += 1
        return phase.phase("eval", lambda inner: [*inner.each(range(2))] and "good")

    seen = []
    with store.run(name, pace="every item", progress="off") as run:
        for word, call in (("clean", clean), ("train", train))[:last]:
            run.checkpoint("mark", tags=[f"before {word}"])
            seen.append(run.phase(word, call, returns=str))
        run.checkpoint("mark", tags=["end"])
        return seen


def test_phases_go_along(store):
    """A checkpoint of the run names where its phases stood; a rewind and a fork take them there."""
    whole = pipeline(store, "job", 2)
    marks = {one.checkpoint.tags[0]: one for one in store.checkpoints("job", kind="mark")}
    assert PHASES not in marks["before clean"].checkpoint.metadata
    assert set(marks["before train"].checkpoint.metadata[PHASES]) == {"clean"}
    nested = marks["end"].checkpoint.metadata[PHASES]["train"][1]
    assert set(nested) == {"eval"}

    fork = store.fork("job", marks["before train"].id, "other")
    (phase,) = store.phases(fork.id)
    assert (phase.name, phase.status, phase.root, phase.parent) == ("clean", "completed", fork.id, fork.id)
    assert Path("clean.other.txt").read_text() == "0\n1\n2\n"
    assert pipeline(store, "other", 2) == whole
    assert Path("clean.other.txt").read_text() == "0\n1\n2\n"

    store.rewind("job", marks["before train"].id)
    standing = {one.name: (one.status, one.progress.done) for one in store.phases("job")}
    assert standing == {"clean": ("completed", 3), "train": ("interrupted", 0), "eval": ("interrupted", 0)}
    assert pipeline(store, "job", 2) == whole
    store.rewind("job", at_mark(store, "job", "before clean").id)
    assert pipeline(store, "job", 2) == whole
    assert Path("clean.txt").read_text() == "0\n1\n2\n"


def at_mark(store, run, tag):
    return next(one for one in store.checkpoints(run, tag=tag) if one.status == "valid")
