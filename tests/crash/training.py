"""A training run: iterations with a state, rules, patterns, logged numbers, and the copies beside the catalog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import waycairn as wc
from crash.common import Acks, Told, Workload, blob, find
from waycairn.upkeep.mirror import encoded_of
from waycairn.upkeep.mirror_folder import files_of, read_log

ROUNDS = 5
T = TypeVar("T")


def workflow(number: int) -> dict[str, Any]:
    return {"round": number, "weights": blob(number, 2000)}


def train(store: wc.Store, told: Told) -> None:
    with store.run("training") as run:
        session = run.session
        for number in range(len(session.iterations()) + 1, ROUNDS + 1):
            run.log(loss=1 / number)
            session.rule("trim", score=1 + number / 4, baseline=1.0)
            metrics = {"accuracy": number / ROUNDS}
            found = [{"pattern_id": f"p{number}", "effectiveness": 0.5, "data": [number]}]
            session.iteration(metrics=metrics, state=workflow(number), patterns=found)
            told(f"iteration {number}")
            session.mirror.wait()


def check(store: wc.Store, acks: Acks) -> None:
    run = find(store, "training")
    if run is None:
        assert not acks
        return
    rows = store.core.catalog
    numbers = [one.number for one in rows.iterations(run.id)]
    assert numbers == [*range(1, len(numbers) + 1)], "once each, without a gap"
    assert len(numbers) >= acks.get("iteration", 0), f"{acks} acknowledged, {len(numbers)} there"
    steps = [point.step for cut in rows.metrics(run.id) for point in cut.points]
    # Who is left by an error commits what was logged before it, though the iteration did not come to its end.
    failed = [one for one in rows.entries(run.id) if one.ending == "failed"]
    assert steps == [*range(len(steps))], "each once, without a gap"
    assert 0 <= len(steps) - len(numbers) <= len(failed), "what was logged is committed with the iteration"
    rules = first_of_equals(rows.rules(run.id), lambda one: one.score, len(failed))
    assert [one.score for one in rules][: len(numbers)] == [1 + number / 4 for number in numbers]
    assert all(one.is_promoted for one in rules[1:]), "each is better than the one before, and over 10 %"
    patterns = first_of_equals(rows.patterns(run.id), lambda one: one.data, len(failed))
    assert [one.data for one in patterns][: len(numbers)] == [[number] for number in numbers]
    assert len(numbers) <= len(rules) <= len(numbers) + bool(failed) >= len(patterns) >= len(numbers)
    best = rows.rule_metadata()
    assert [one.score for one in best] == [one.score for one in rules[-1:]]
    for one in rows.iterations(run.id):
        assert store.load(f"{run.id}.{one.sequence}") == workflow(one.number)
    check_copies(store, run.id)


def first_of_equals(found: Sequence[T], value_of: Callable[[T], Any], most: int) -> list[T]:
    """Of an iteration that an error cut off there may be a trial that was made again: as many as errors, at most."""
    kept = [one for place, one in enumerate(found) if place == 0 or value_of(one) != value_of(found[place - 1])]
    assert len(found) - len(kept) <= most, "each once"
    return kept


def check_copies(store: wc.Store, run: str) -> None:
    """Nothing is in the copies that is not in the catalog; what is whole is exact."""
    folder = Path(store.url, "mirror", "training") if "://" not in store.url else Path("store", "mirror", "training")
    sequences = {one.sequence for one in store.core.catalog.iterations(run)}
    begun = read_log(folder) if folder.is_dir() else None
    logged = {cut.sequence for cut in store.core.catalog.metrics(run)}
    assert begun is None or set(begun.cuts) <= sequences | logged
    for document in files_of(folder):
        assert document["sequence"] in sequences
        stored = store.checkpoint(document["checkpoint"]).checkpoint.stored
        assert encoded_of(document["exact"]).document == store.core.load_encoded(stored).document


WORKLOADS = {"training": Workload(train, check)}
