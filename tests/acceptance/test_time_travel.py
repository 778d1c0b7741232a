"""Forks and rewinds: what another beginning at an earlier cut comes to."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import waycairn as wc
from commands import document, waycairn
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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(last=st.integers(2, 7), cut=st.integers(1, 7), then=st.integers(1, 9), turn=st.booleans())
def test_from_any_cut_it_ends_as_if_nothing_had_happened(tmp_path_factory, monkeypatch, *, last, cut, then, turn):
    """A run to some item, forked at an earlier one (or rewound to it), both finished: states and files of runs without."""
    cut = min(cut, last)
    monkeypatch.chdir(tmp_path_factory.mktemp("cut"))
    with wc.open("store") as store:
        count_to(store, last)
        fork = store.fork("count", at(store, "count", cut).id, "fork")
        if turn:
            store.rewind("count", at(store, "count", cut).id)
        for name, out in (("count", "lines.txt"), ("fork", "lines.fork.txt")):
            end = max(then, last if name == "count" and not turn else cut)
            resumed, state = count_to(store, then, name)
            assert resumed == (name == "fork" or turn)
            numbers = range(1, end + 1)
            assert state == {"sum": sum(n * n for n in numbers), "seen": list(numbers)}
            assert Path(out).read_text() == "".join(f"{n}\n" for n in numbers)
        logged = [p.step for cut in store.core.catalog.metrics(fork.id) for p in cut.points]
        assert logged == list(range(1, max(then, cut) + 1))


def test_what_waits_and_what_failed_goes_along(store):
    """A queue with what it had, items that had failed, results of a map, saved values, random numbers of a training."""

    def walk(name, upto):
        with store.run(name, pace="every item", progress="off") as run:
            queue = run.queue([1])
            for number in run.each(queue):
                if number < 6:
                    queue.extend([number + 1])
                if number == 3:
                    run.checkpoint("mark", tags=["three"])
                if number == upto:
                    break
            run.save("seen", number)
            return number

    assert walk("queue", 5) == 5
    store.fork("queue", at_mark(store, "queue", "three").id, "other")
    assert walk("other", 99) == 6

    def fail(name, bad):
        with store.run(name, pace="every item", progress="off") as run:
            for item in run.items(range(4)):
                with item:
                    if item.value == 2:
                        run.checkpoint("mark", tags=["two"])
                    if item.value in bad:
                        raise ValueError(item.value)
        return store.find(name).status, sorted(run.ledger.failures(), key=str)

    assert fail("bad", {0})[0] == "partial"
    assert fail("bad", set())[0] == "completed"
    fork = store.fork("bad", at_mark(store, "bad", "two").id, "worse")
    assert (fork.progress.done, fork.progress.failed) == (2, 0), "settled since: it is simply to do again"
    assert fail("worse", {3})[0] == "partial"


def test_a_fork_of_a_fork(store):
    """Its files are named by itself; another file of that name is left alone."""
    count_to(store, 3)
    store.fork("count", at(store, "count", 2).id, "one")
    count_to(store, 4, "one")
    Path("lines.two.txt").write_text("mine")
    with pytest.raises(ValueError, match=re.escape("lines.two.txt is there")):
        store.fork("one", at(store, "one", 4).id, "two")
    Path("lines.two.txt").unlink()
    store.fork("one", at(store, "one", 4).id, "two")
    assert count_to(store, 5, "two")[1]["sum"] == 55
    assert sorted(path.name for path in Path().glob("lines*")) == ["lines.one.txt", "lines.two.txt", "lines.txt"]
    assert Path("lines.two.txt").read_text() == "1\n2\n3\n4\n5\n"


def test_the_bytes_are_shared(store):
    """A fork adds none, and what both need outlives either."""
    with store.run("large", pace="every item", progress="off") as run:
        state = run.state({"data": np.random.default_rng(1).bytes(600_000)})
        run.checkpoint("mark", tags=["n1"])
    before = sum(path.stat().st_size for path in Path("store/packs").rglob("*") if path.is_file())
    fork = store.fork("large", at(store, "large", 1).id, "other")
    store.remove("large")
    store.sweep(grace=0)
    assert sum(path.stat().st_size for path in Path("store/packs").rglob("*") if path.is_file()) == before
    with store.run("other", progress="off") as run:
        assert run.state({"data": b""}) == state
    store.remove(fork.id)
    store.sweep(grace=0)
    assert not [path for path in Path("store/packs").rglob("*") if path.is_file()]


def test_an_output_that_is_not_opened_yet_keeps_its_length(store):
    """A checkpoint at the beginning of a later entry knows the files of the one before."""

    def go(first):
        with store.run("late", pace="every item", progress="off") as run:
            state = run.state({"n": 0})
            if not first:
                run.checkpoint("mark", tags=["before the file"])
            out = run.output("late.txt", append=True)
            for n in run.each(range(3 if first else 6)):
                state["n"] = n
                out.write(f"{n}\n")

    go(True)
    go(False)
    mark = at_mark(store, "late", "before the file")
    assert mark.checkpoint.outputs == {"late.txt": 6}
    store.rewind("late", mark.id)
    go(False)
    assert Path("late.txt").read_text() == "0\n1\n2\n3\n4\n5\n"


def test_states_are_compared_in_little_memory(store):
    """Large arrays are there only while they are compared; what is found is what loading both would find."""
    rng = np.random.default_rng(1)
    old = {"a": {str(n): rng.random(1_000_000) for n in range(8)}, "step": 1, "name": "x"}
    new = {"a": {**old["a"], "3": old["a"]["3"] + 1}, "step": 3, "more": (1,)}
    ids = [store.save(name, value) for name, value in (("old", old), ("new", new))]
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    found = {one.path: one for one in store.diff(*ids)}
    assert resident("VmHWM") - before < 48_000, "two states of 64 MB"
    assert {path: one.act for path, one in found.items()} == {
        "a.3": "changed",
        "step": "changed",
        "name": "removed",
        "more": "added",
    }
    assert (found["a.3"].array.elements, found["step"].by) == (1_000_000, (2.0, 2.0))
    assert found["a.3"].array.most == pytest.approx(1)
    assert [one.path for one in store.diff("old", "old")] == []


def resident(what):
    """In KiB."""
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))


def test_the_commands(store):
    """Fork, rewind and the filters of checkpoints, as a person calls them."""
    count_to(store, 4)
    two, here = at(store, "count", 2).id, Path.cwd()
    forked = document("fork", "count", two, "other", "--new-key", "b", "--store", "store", at=here)
    assert (forked["origin"], forked["run"]["name"], forked["run"]["key"]) == (two, "other", "b")
    assert waycairn("fork", "count", two, "count", "--store", "store", at=here).returncode == 1
    asked = waycairn("rewind", "count", two, "--store", "store", at=here)
    assert asked.returncode == 2
    assert "Nothing was changed" in asked.stderr
    rewound = document("rewind", "count", two, "--yes", "--store", "store", at=here)
    assert (rewound["checkpoint"], rewound["undone"] > 0) == (two, True)
    listed = document("checkpoints", "--name-glob", "oth*", "--since", "1h", "--store", "store", at=here)
    assert {one["run"] for one in listed["checkpoints"]} == {forked["run"]["id"]}
    assert document("checkpoints", "--until", "1h", "--store", "store", at=here)["checkpoints"] == []
    aside = document("checkpoints", "count", "--status", "set-aside", "--store", "store", at=here)["checkpoints"]
    newest = next(one["id"] for one in aside if "n4" in one["tags"])
    found = document("diff", two, newest, "--limit", 1, "--store", "store", at=here)
    assert (found["more"], len(found["differences"])) == (2, 1)
    said = waycairn("diff", "count", newest, "--store", "store", at=here).stdout
    assert re.search(r"^~ +sum +5 +30 \(\+25, \+500 %\)$", said, re.MULTILINE)
