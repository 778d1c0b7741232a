"""A training loop: what is tracked is saved behind it, old saves go with newer ones, values are saved beside them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

import waycairn as wc
from crash.common import LARGE, Acks, Told, Workload, blob, checkpoints, find, line
from waycairn.work.tracking import PARTS

STEPS = 7


def weights_after(steps: int) -> Any:
    """Bytes that no save finds again."""
    return np.frombuffer(blob(steps, LARGE), np.uint8) if steps else np.zeros(LARGE, np.uint8)


def draws(steps: int) -> list[float]:
    chance = random.Random(5)
    return [chance.random() for _ in range(steps)]


def learn(store: wc.Store, told: Told) -> None:
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global one is what rng=True keeps
    weights, history = np.zeros(LARGE, np.uint8), []
    with store.run("learning") as run:
        losses = run.output("losses.txt", append=True)
        run.track(weights=weights, history=history, rng=True)
        for step in run.steps(STEPS, save_every=2, keep=2):
            weights[:] = weights_after(step + 1)
            history.append(random.random())
            losses.write(line(step))
            run.log(loss=history[-1])
            if step in {2, 5}:
                run.save("best", {"step": step, "weights": weights}, wait=False).result()
                told(f"best {step}")


def check(store: wc.Store, acks: Acks) -> None:
    run = find(store, "learning")
    if run is None:
        assert not acks
        return
    states = checkpoints(store, "learning", role="state")
    for record in states:
        state = store.load(record.id)
        steps = sum(state["steps"].values())
        assert record.checkpoint.iteration == (steps or None)
        assert record.checkpoint.metadata[PARTS] == ["history", "weights"]
        assert (state["weights"] == weights_after(steps)).all(), f"torn after {steps} steps"
        assert state["history"] == draws(steps)
    newest = states[0].checkpoint.iteration or 0 if states else 0
    logged = [point.step for cut in store.core.catalog.metrics(run.id) for point in cut.points]
    assert logged == [*range(newest)], "what was logged is committed with its step"
    lengths = [one.length for one in store.core.catalog.outputs(run.id).values()]
    assert lengths in ([], [sum(len(line(step)) for step in range(newest))])
    best = [store.load(record.id)["step"] for record in checkpoints(store, "learning", kind="best")]
    assert max(best, default=-1) >= acks.get("best", -1)


WORKLOADS = {"learning": Workload(learn, check)}
