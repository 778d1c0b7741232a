"""Everything that cares for a store, one after the other on an encrypted one that holds rows of every kind."""

from __future__ import annotations

import os
from pathlib import Path

import waycairn as wc
from waycairn.codec import encode
from waycairn.codec.keys import key_digest, pack_keys
from waycairn.crypto.locksmith import Locksmith
from waycairn.model.records import FailedItem, Progress, RunFilter
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.settings import Settings
from waycairn.store import CheckpointDraft, ComputedDraft, Draft
from waycairn.testing.records import a_run
from waycairn.upkeep import invariants
from waycairn.upkeep.copying import copy_store
from waycairn.wiring import open_core
from waycairn.world.randomness import new_operation_id

PASSPHRASE = "correct horse battery staple"


def count_to(store, last):
    """A run with a state, a step, items, a phase, a file, metrics, iterations, rules and patterns; a mark at each number."""
    with store.run("job", tags=["nightly"], metadata={"who": "me"}, pace="every item", progress="off") as run:
        state = run.state({"sum": 0, "noise": b""})
        run.step("fetch", lambda: {"blob": os.urandom(200_000)})
        run.phase("part", lambda phase: phase.save("half", os.urandom(1000)))
        out = run.output("lines.txt", append=True)
        for number in run.each(range(1, 100), key=str):
            if number > last:
                break
            state["sum"] += number
            state["noise"] = os.urandom(150_000)
            out.write(f"{number}\n")
            run.log(number, loss=1 / number)
            run.session.iteration(metrics={"loss": 1 / number}, description=f"number {number}")
            run.session.rule("rule", score=float(number), baseline=1.0, parameters={"p": number})
            run.session.pattern(f"pattern {number}", effectiveness=0.5, data={"n": number})
            run.checkpoint("mark", tags=[f"at {number}"], metadata={"metrics": {"loss": 1 / number}})
        return state["sum"]


def queue_up(store, last):
    """A queue, and items that fail."""
    with store.run("queue", pace="every item", progress="off") as run:
        queue = run.queue([1])
        for number in run.each(queue):
            queue.extend([number + 1])
            run.checkpoint("mark", tags=[f"at {number}"])
            if number == last:
                break
    with store.run("bad", pace="every item", progress="off") as run:
        for item in run.items(range(3), key=str):
            with item:
                if item.value == 1:
                    raise ValueError("no good")
    return store.find("bad").status


def wait(store):
    """Results that wait for their fold, as a map leaves them that was killed."""
    run = a_run("waiting")
    store.core.catalog.add_run(run, store.core.clock.now())
    draft = Draft(
        run=run.id,
        epoch=1,
        sequence=1,
        operation=new_operation_id(),
        progress=Progress(failed=1),
        computed=[
            ComputedDraft(
                loop="items", digest=key_digest("done"), key=pack_keys(["done"]), encoded=encode({"result": "x" * 9000})
            )
        ],
        failures=[
            FailedItem(
                loop="items",
                digest=key_digest("bad"),
                key=pack_keys(["bad"]),
                error={"type": "ValueError"},
                attempts=1,
                first=1.0,
                last=1.0,
            )
        ],
        checkpoint=CheckpointDraft(kind="mark", encoded=encode({"n": 1})),
    )
    store.core.commit(draft)


def found(core):
    """What every table of rows tells, opened; and every state, loaded."""
    catalog, told = core.catalog, {}
    for run in catalog.list_runs(RunFilter(roots_only=False)):
        told[run.id] = {
            "run": (run.name, run.status, run.tags, run.metadata, run.progress),
            "states": [
                (one.sequence, one.checkpoint.tags, core.load(one.checkpoint.stored)) for one in records(core, run.id)
            ],
            "steps": [(one.step.name, core.load(one.step.result)) for one in catalog.list_steps(run.id)],
            "items": dict(catalog.loops(run.id)),
            "waiting": {
                name: (
                    [core.load(item.result) for item in catalog.computed(run.id, name)],
                    [
                        bytes(one.document)
                        for stored in catalog.queued(run.id, name)
                        for one in core.load_results(stored)
                    ],
                )
                for name in catalog.waiting(run.id)
            },
            "failures": [(one.key, one.error) for one in catalog.failures(run.id)],
            "outputs": dict(catalog.outputs(run.id)),
            "metrics": list(catalog.metrics(run.id)),
            "iterations": list(catalog.iterations(run.id)),
            "rules": list(catalog.rules(run.id)),
            "patterns": list(catalog.patterns(run.id)),
        }
    return repr(told)


def records(core, run):
    from waycairn.model.records import CheckpointFilter

    return core.catalog.list_checkpoints(CheckpointFilter(run=run))


def is_sound(store):
    assert invariants.examine(store.core) == []
    assert store.verify().broken == []
    return found(store.core)


def tagged(store, run, tag):
    return store.checkpoints(run, tag=tag)[0].id


def test_all_of_it_on_an_encrypted_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = wc.open(tmp_path / "store", passphrase=PASSPHRASE)
    assert store.core.is_encrypted
    count_to(store, 3)
    assert queue_up(store, 3) == "partial"
    wait(store)
    store.save("big", os.urandom(400_000))
    is_sound(store)

    store.fork("job", tagged(store, "job", "at 2"), "other")
    store.fork("queue", tagged(store, "queue", "at 2"), "queue of another")
    store.fork("waiting", store.checkpoints("waiting")[0].id, "waiting, too")
    store.rewind("job", tagged(store, "job", "at 1"))
    told = is_sound(store)
    assert told.count("'rule'") == 3  # one of job, two of the fork
    assert Path("lines.other.txt").read_text() == "1\n2\n"
    assert count_to(store, 4) == 10

    store.core.settings = Settings(retention=RetentionSettings(keep="best 1 by loss, last 1"))
    before = len(store.checkpoints())
    report = store.sweep(grace=0)
    assert report.checkpoints
    assert len(store.checkpoints()) < before
    told = is_sound(store)
    store.optimize(recompress=True)
    assert is_sound(store) == told
    store.archive([store.find("big")], tmp_path / "old")
    assert list((tmp_path / "old").rglob("*"))
    assert is_sound(store) == told
    store.unarchive()
    assert is_sound(store) == told

    target = open_core(tmp_path / "copy", keys=Locksmith.of("copy", store.core.locksmith.source), copy=True)
    copy_store(store.core, target)
    target.close()
    store.close()
    with wc.open(tmp_path / "copy", create=False, passphrase=PASSPHRASE) as copy:
        assert is_sound(copy) == told
        assert copy.repair(dry_run=True).is_empty
        done = [row.entry.act for row in copy.core.catalog.audit_after(0) if row.entry.outcome == "done"]
        assert sorted(done) == sorted(
            ["store.create", *["run.fork"] * 3, "run.rewind", "sweep", "optimize", "archive", "unarchive"]
        )
    for path in (*tmp_path.glob("store/**/*"), *tmp_path.glob("copy/**/*"), *tmp_path.glob("old/**/*")):
        if path.is_file():
            assert b"no good" not in path.read_bytes()
            assert b"nightly" not in path.read_bytes()
