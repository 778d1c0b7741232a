"""The readable copies of a session: written behind the run, rotated, whole or not at all, and enough to recover it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import waycairn as wc
from commands import document, waycairn
from waycairn.catalog.database import Session
from waycairn.catalog.statement import Statement
from waycairn.errors import RunError, RunNotFound
from waycairn.upkeep.mirror import folder_name, signed, unsigned
from waycairn.upkeep.mirror_folder import MirrorFolder, read_log, sequences_in
from waycairn.world.crashpoints import arm


@dataclass
class Workflow:
    stage: str
    weights: Any


def state_of(number: int) -> Workflow:
    return Workflow(f"stage {number}", np.arange(300_000, dtype="<f4") * number)


def train(store: wc.Store, count: int, name: str = "job", key: str | None = None, **configured: Any) -> None:
    with store.run(name, key=key, tags=["t"], fingerprint={"seed": 1}) as run:
        run.session.configure(**configured)
        for number in range(len(run.session.iterations()) + 1, count + 1):
            run.session.iteration(
                metrics={"accuracy": number / 10, "loss": float("nan")},
                improvement=number / 100,
                state=state_of(number),
                rules=[{"rule_id": "trim", "score": 1 + number, "baseline": 1, "parameters": {"n": [number]}}],
                patterns=[{"pattern_id": "p", "effectiveness": 0.5, "data": {"n": number}}],
            )


def folder(place: Path, name: str = "job") -> Path:
    return place / "mirror" / name


def lose_catalog(place: Path) -> None:
    for path in place.glob("catalog.db*"):
        path.unlink()
    shutil.rmtree(place / "packs", ignore_errors=True)


def facts(store: wc.Store, name: str = "job") -> dict[str, Any]:
    """What a recovery has to bring back, but for ids and sequences."""
    rows, run = store.core.catalog, store.find(name).id
    return {
        "iterations": [(one.number, repr(dict(one.metrics)), one.improvement) for one in rows.iterations(run)],
        "ended": [one.ended for one in rows.iterations(run)],
        "rules": [(one.rule, one.score, one.parameters, one.is_promoted) for one in rows.rules(run)],
        "best": [(one.rule, one.score, one.name) for one in store.rules()],
        "patterns": [(one.pattern, one.effectiveness, one.data) for one in rows.patterns(run)],
    }


def test_a_copy_can_be_read_without_the_program(tmp_path: Path) -> None:
    """Plain JSON with the numbers, the state as values, and its bytes; readable by the owner only."""
    with wc.open(tmp_path) as store:
        train(store, 3)
        run = store.find("job").id
    assert sequences_in(folder(tmp_path)) == [1, 2, 3]
    path = folder(tmp_path) / "3.json"
    copy = json.loads(path.read_text("ascii"))
    assert (copy["version"], copy["run"]["id"], copy["run"]["name"], copy["sequence"]) == (1, run, "job", 3)
    assert copy["iterations"][0]["number"] == 3
    assert copy["iterations"][0]["metrics"] == {"accuracy": 0.3, "loss": "NaN"}
    assert (copy["rules"][0]["score"], copy["patterns"][0]["data"]) == (4.0, {"n": 3})
    shown = copy["state"]["fields"]
    assert shown["stage"] == "stage 3"
    assert (shown["weights"]["shape"], shown["weights"]["max"]) == ([300_000], 299_999 * 3.0)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_oldest_copies_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """50 are kept, or as many as was said; the lines about all iterations stay. 0 keeps none."""
    with wc.open(tmp_path) as store:
        with store.run("small") as run:
            for number in range(120):
                run.session.iteration(state={"n": number})
        assert sequences_in(folder(tmp_path, "small")) == [*range(71, 121)]
        begun = read_log(folder(tmp_path, "small"))
        assert begun is not None
        assert len(begun.cuts) == 120
        train(store, 4, "few", mirror=2)
        assert sequences_in(folder(tmp_path, "few")) == [3, 4]
    monkeypatch.setenv("WAYCAIRN_MIRROR", "0")
    with wc.open(tmp_path) as store:
        train(store, 2, "none")
    assert not folder(tmp_path, "none").exists()
    monkeypatch.setenv("WAYCAIRN_MIRROR", "many")
    with pytest.raises(ValueError, match="WAYCAIRN_MIRROR"):
        wc.open(tmp_path)


@pytest.mark.parametrize("place", ["a directory", "a server"])
def test_an_iteration_that_ends_while_others_are_copied(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It comes between two statements of the copier, and is copied whole: now, or with the next commit."""
    address = tmp_path if place == "a directory" else request.getfixturevalue("postgres_schema")
    rows_of, due = Session.all, [2]
    with wc.open(address, packs=tmp_path / "packs") as store, store.run("job") as run:
        run.session.configure(mirror=0)
        copier = MirrorFolder(store.core, store.find("job"), folder(tmp_path))

        def iterate(number: int) -> None:
            rule = {"rule_id": "trim", "score": 1 + number, "baseline": 1}
            pattern = {"pattern_id": "p", "effectiveness": 0.5, "data": number}
            run.session.iteration(state={"n": number}, rules=[rule], patterns=[pattern])

        def rows_and_one_more(session: Session, statement: Statement, values: dict[str, Any]) -> list[Any]:
            rows = rows_of(session, statement, values)
            if due and statement.name == "iterations_after":
                iterate(due.pop())
            return rows

        iterate(1)
        monkeypatch.setattr(Session, "all", rows_and_one_more)
        copied = [copier.sync(50), copier.sync(50)]
    assert due == []
    assert copied == [1, 1]
    log = read_log(folder(tmp_path))
    assert log is not None
    assert {
        sequence: (len(one.iterations), len(one.rules), len(one.patterns)) for sequence, one in log.cuts.items()
    } == {
        1: (1, 1, 1),
        2: (1, 1, 1),
    }
    assert sequences_in(folder(tmp_path)) == [1, 2]


def test_the_caller_does_not_wait_for_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that takes half a second for a copy makes no iteration slower; leaving waits for it."""
    sync = MirrorFolder.sync

    def slow(self: MirrorFolder, keep: int) -> int:
        time.sleep(0.5)
        return sync(self, keep)

    monkeypatch.setattr(MirrorFolder, "sync", slow)
    with wc.open(tmp_path) as store, store.run("job") as run:
        session = run.session
        session.iteration(state={"n": 0})
        started = time.monotonic()
        session.iteration(state={"n": 1})
        assert time.monotonic() - started < 0.4
        assert not folder(tmp_path).exists()
    assert sequences_in(folder(tmp_path)) == [1, 2]


def test_a_lost_catalog_is_recovered(tmp_path: Path) -> None:
    """Iterations, rules, patterns and every state that has a copy, to the bit; the run goes on with the next number."""
    with wc.open(tmp_path) as store:
        train(store, 6, mirror=3)
        train(store, 1, "other", "k/1")
        before = facts(store)
    lose_catalog(tmp_path)
    with wc.open(tmp_path) as store:
        told = store.recover_session(tmp_path / "mirror", "job")
        assert (told.iterations, told.rules, told.patterns, told.states, told.newest, told.damaged) == (
            6,
            6,
            6,
            3,
            6,
            0,
        )
        assert facts(store) == before
        run = store.find("job")
        assert (run.status, run.id, list(run.tags), run.fingerprint) == ("interrupted", told.run, ["t"], {"seed": 1})
        with pytest.raises(RunError, match="in this store already"):
            store.recover_session(folder(tmp_path))
        with store.run("job") as again:
            for number in (4, 5, 6):
                state = again.session.state(number, returns=Workflow)
                assert state.stage == f"stage {number}"
                assert state.weights.tobytes() == state_of(number).weights.tobytes()
            again.session.iteration(metrics={"accuracy": 0.7}, state=state_of(7))
            assert [one.number for one in again.session.iterations()] == [*range(1, 8)]
        # The copies of the lost run stand beside those of the new one, until the next run of that name.
        assert sequences_in(tmp_path / "mirror" / "job=former") == [4, 5, 6]
        assert sequences_in(folder(tmp_path)) == [4, 5, 6, 7]
        assert store.recover_session(tmp_path / "mirror", "other", "k/1").iterations == 1


def test_the_exact_state_of_a_run_comes_back(tmp_path: Path) -> None:
    """Where the run has a state of its own, it is restored from the recovered one."""
    with wc.open(tmp_path) as store, store.run("job") as run:
        state = run.state({"n": 0})
        for number in range(3):
            state["n"] = number + 1
            run.session.iteration()
    lose_catalog(tmp_path)
    with wc.open(tmp_path) as store:
        store.recover_session(tmp_path / "mirror")
        with store.run("job") as run:
            assert run.state({"n": 0}) == {"n": 3}


def test_damaged_copies_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A torn file, a flipped bit, a torn line: said, and the newest intact one is used."""
    with wc.open(tmp_path) as store:
        train(store, 5)
    newest, older, line = folder(tmp_path) / "5.json", folder(tmp_path) / "4.json", folder(tmp_path) / "session.jsonl"
    newest.write_bytes(newest.read_bytes()[:-5000])
    data = bytearray(older.read_bytes())
    place = data.index(b'"document": "') + 20
    data[place] = ord("A") if data[place] != ord("A") else ord("B")
    older.write_bytes(data)
    lines = line.read_bytes().split(b"\n")
    line.write_bytes(b"\n".join([*lines[:2], lines[2].replace(b"0.2", b"0.9"), *lines[3:5], lines[5][:40]]))
    (folder(tmp_path) / ".6.json.part").write_bytes(b"{")
    lose_catalog(tmp_path)
    with wc.open(tmp_path) as store, caplog.at_level(logging.WARNING, "waycairn"):
        told = store.recover_session(tmp_path / "mirror")
        assert (told.newest, told.states, told.damaged) == (3, 3, 3)
        # Iteration 2 comes from its file, 4 from its line; of 5 nothing whole is left.
        assert [one.number for one in store.core.catalog.iterations(told.run)] == [1, 2, 3, 4]
        with store.run("job") as run:
            assert run.session.state(returns=Workflow).stage == "stage 3"
    assert "5.json is torn or damaged" in caplog.text
    assert "4.json is torn or damaged" in caplog.text
    assert "a line of" in caplog.text


def test_there_is_nothing_to_recover(tmp_path: Path) -> None:
    """Said with what there is; nothing is created."""
    with wc.open(tmp_path) as store:
        with pytest.raises(RunNotFound, match="none at all"):
            store.recover_session(tmp_path / "mirror", "job")
        train(store, 1)
        train(store, 1, "other", "k")
        with pytest.raises(RunNotFound, match=r"job, other \(key k\)"):
            store.recover_session(tmp_path / "mirror", "missing")
        with pytest.raises(RunNotFound, match="one session alone"):
            store.recover_session(tmp_path / "mirror")
        for path in folder(tmp_path).iterdir():
            path.write_bytes(b"garbage")
        with pytest.raises(RunNotFound):
            store.recover_session(folder(tmp_path))


def test_a_copy_that_cannot_be_written_never_fails_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once and stands in the session; when it can be written again, everything is caught up."""
    (tmp_path / "mirror").write_text("in the way")
    with wc.open(tmp_path) as store, caplog.at_level(logging.WARNING, "waycairn"):
        with store.run("job") as run:
            for number in range(3):
                run.session.iteration(state={"n": number})
                assert not run.session.mirror.wait()
            assert run.session.mirror.problem is not None
            assert sum("not up to date" in record.message for record in caplog.records) == 1
            (tmp_path / "mirror").unlink()
            run.session.iteration(state={"n": 3})
            assert run.session.mirror.wait()
            assert run.session.mirror.problem is None
        assert store.find("job").status == "completed"
    assert sequences_in(folder(tmp_path)) == [1, 2, 3, 4]


def test_another_run_of_the_same_name(tmp_path: Path) -> None:
    """Begins copies of its own; those of the one before are kept until a third one."""
    with wc.open(tmp_path) as store:
        first = None
        for count in (3, 2, 1):
            with store.run("job", fresh=first is not None) as run:
                for number in range(count):
                    run.session.iteration(state={"n": number})
            first = store.find("job")
    assert sequences_in(folder(tmp_path)) == [1]
    assert sequences_in(tmp_path / "mirror" / "job=former") == [1, 2]


def test_a_run_that_was_cut_back(tmp_path: Path) -> None:
    """What was undone is in no copy any more."""
    with wc.open(tmp_path) as store:
        train(store, 4)
        found = store.find("job")
        store.core.catalog.rewind(found.id, found.epoch, 2, time.time())
        with store.run("job") as run:
            run.session.iteration(metrics={"accuracy": 0.33}, state=state_of(3))
        assert sequences_in(folder(tmp_path)) == [1, 2, 6]
        before = facts(store)
    lose_catalog(tmp_path)
    with wc.open(tmp_path) as store:
        store.recover_session(tmp_path / "mirror")
        assert facts(store) == before


def test_a_line_that_was_cut_short(tmp_path: Path) -> None:
    """Is written again, and the next ones stand for themselves."""
    with wc.open(tmp_path) as store:
        train(store, 3)
        path = folder(tmp_path) / "session.jsonl"
        path.write_bytes(path.read_bytes()[:-30])
        train(store, 5)
        begun = read_log(folder(tmp_path))
        assert begun is not None
        assert (len(begun.cuts), begun.skipped, begun.end) == (5, 0, path.stat().st_size)
        assert [one.number for rows in begun.cuts.values() for one in rows.iterations] == [1, 2, 3, 4, 5]


def test_what_was_deleted_is_in_no_copy(tmp_path: Path) -> None:
    """A checkpoint takes its file along, a run its folder; another run of that name keeps its own."""
    with wc.open(tmp_path) as store:
        train(store, 3)
        store.delete(f"{store.find('job').id}.2")
        assert sequences_in(folder(tmp_path)) == [1, 3]
        first = store.find("job")
        with store.run("job", fresh=True) as run:
            run.session.iteration(state={"n": 1})
        store.remove(first.id)
        assert sequences_in(folder(tmp_path)) == [1]
        store.remove("job")
        assert list((tmp_path / "mirror").iterdir()) == []


def test_names_lead_nowhere_else() -> None:
    """Whatever a run is called, its folder is one of its own, below the mirror."""
    runs = [
        [("a/b", None)],
        [("a", "b")],
        [("a@b", None)],
        [("a", None), ("b", None)],
        [("a+b", None)],
        [("..", None)],
        [(".hidden", None)],
        [("a=former", None)],
        [("é\udcff ", None)],
        [("x" * 900, None)],
        [("x" * 901, None)],
        [("a", "")],
        [("a", None)],
    ]
    names = [folder_name(run) for run in runs]
    assert len(set(names)) == len(names)
    assert all("/" not in name and not name.startswith(".") and len(name.encode()) <= 200 for name in names)
    assert not any(name.endswith("=former") for name in names)


def test_a_document_with_its_checksum() -> None:
    """Comes back, indented or not; any changed byte is told."""
    document = {"version": 1, "a": 'x "blake3": "y', "n": [1, 2.5]}
    for indent in (None, 1):
        data = signed(document, indent)
        assert {key: value for key, value in unsigned(data).items() if key != "blake3"} == document
        for place in range(0, len(data) - 4, 3):
            broken = bytearray(data)
            broken[place] ^= 1
            with pytest.raises(ValueError):
                unsigned(bytes(broken))
    with pytest.raises(ValueError, match="of version 2"):
        unsigned(signed({"version": 2}))


def child(call: Callable[[], Any], point: str = "") -> int:
    """The exit code of a process that does this, killed at a crash point (`name@hit`) if asked."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            if point:
                name, _, hit = point.partition("@")
                arm(name, int(hit), "KILL")
            call()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def copy_each(place: Path) -> None:
    with wc.open(place) as store, store.run("job") as run:
        for number in range(len(run.session.iterations()) + 1, 5):
            run.session.iteration(metrics={"n": number}, state={"n": number, "data": "x" * 5000})
            run.session.mirror.wait()


POINTS = ["written", "flushed", "renamed", "named", "appended", "log"]


@pytest.mark.parametrize("point", [f"mirror.{name}@{hit}" for name in POINTS for hit in (2, 4)])
def test_killed_while_a_copy_is_written(tmp_path: Path, point: str) -> None:
    """The copies are whole up to some iteration; the next entry catches up; recovered at once, nothing whole is lost."""
    place = tmp_path / "store"
    assert child(lambda: copy_each(place), point) == -signal.SIGKILL
    copied = sequences_in(folder(place))
    with wc.open(tmp_path / "new") as store:
        if copied:
            told = store.recover_session(place / "mirror", "job")
            assert (told.newest, told.iterations, told.damaged) == (copied[-1], copied[-1], 0)
            with store.run("job") as run:
                assert run.session.state() == {"n": copied[-1], "data": "x" * 5000}
    assert child(lambda: copy_each(place)) == 0
    assert sequences_in(folder(place)) == [1, 2, 3, 4]
    begun = read_log(folder(place))
    assert begun is not None
    assert (sorted(begun.cuts), begun.skipped) == ([1, 2, 3, 4], 0)
    assert not list(folder(place).glob(".*.part"))


def recover(place: Path) -> None:
    with wc.open(place / "new") as store:
        store.recover_session(place / "store" / "mirror", "job")


@pytest.mark.parametrize("hit", [1, 3])
def test_killed_while_it_recovers(tmp_path: Path, hit: int) -> None:
    """Called again it begins anew and ends, with rules promoted as they were."""
    with wc.open(tmp_path / "store") as store:
        train(store, 3)
        before = facts(store)
    assert child(lambda: recover(tmp_path), f"recover.committed@{hit}") == -signal.SIGKILL
    assert child(lambda: recover(tmp_path)) == 0
    with wc.open(tmp_path / "new") as store:
        assert facts(store) == before
        assert len(store.runs()) == 1


def test_recovered_from_the_command_line(tmp_path: Path) -> None:
    """The run is there again, in words and as JSON; one that is there is not overwritten."""
    with wc.open(tmp_path / ".waycairn") as store:
        train(store, 3)
    lose_catalog(tmp_path / ".waycairn")
    told = document("session", "recover", "job", at=tmp_path)
    assert (told["name"], told["iterations"], told["states"], told["newest_state"], told["damaged"]) == (
        "job",
        3,
        3,
        3,
        0,
    )
    again = waycairn("session", "recover", "job", at=tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert "in this store already" in again.stderr
    other = waycairn("session", "recover", "job", "--store", "other", "--from-mirror", ".waycairn/mirror", at=tmp_path)
    assert other.returncode == 0
    assert "recovered run 'job'" in other.stdout


def finding(place: Path) -> dict[str, Any] | None:
    found = document("doctor", "--quick", "--store", place, at=place)["findings"]
    return next((one for one in found if one["check"] == "mirror"), None)


def test_the_doctor_looks_at_the_copies(tmp_path: Path) -> None:
    """Up to date, behind, damaged, or of a session that the catalog does not have."""
    with wc.open(tmp_path) as store:
        assert finding(tmp_path) is None
        train(store, 3)
    told = finding(tmp_path)
    assert told is not None
    assert (told["level"], told["facts"]["sessions"]) == ("ok", 1)
    with wc.open(tmp_path) as store:
        train(store, 5, mirror=0)
    told = finding(tmp_path)
    assert told is not None
    assert (told["level"], told["facts"]["behind"]) == ("warning", {"job": 2})
    newest = folder(tmp_path) / "3.json"
    newest.write_bytes(newest.read_bytes()[:100])
    told = finding(tmp_path)
    assert told is not None
    assert told["facts"]["damaged"] == {"job": 1}
    with wc.open(tmp_path) as store:
        store.core.catalog.delete_run(store.find("job").id)
    newest.unlink()
    told = finding(tmp_path)
    assert told is not None
    assert (told["level"], told["facts"]["lost"]) == ("note", ["job"])


def test_beside_a_server(tmp_path: Path, postgres_schema: str) -> None:
    """With PostgreSQL the copies lie beside the packs, and a session comes back into a directory."""
    with wc.open(postgres_schema, packs=tmp_path / "packs") as store:
        train(store, 3)
        before = facts(store)
    assert sequences_in(folder(tmp_path)) == [1, 2, 3]
    with wc.open(tmp_path / "new") as store:
        assert store.recover_session(tmp_path / "mirror").newest == 3
        assert facts(store) == before
