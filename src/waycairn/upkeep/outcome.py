"""All that a store says about the jobs it remembers, but for ids, times and attempts: equal for a job that ran through and
one that was killed and went on."""

from __future__ import annotations

from typing import Any

from waycairn.codec.keys import keys_of, shown
from waycairn.errors import Damaged
from waycairn.model.records import RunFilter, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.batch import key_of, results_of

Outcome = dict[str, dict[str, Any]]
"""Of each run, by its path: `books`, `books/clean`, `nightly [2026-11-21]`."""


def outcome(core: StoreCore) -> Outcome:
    """Reads every result, step and newest state. What is damaged stands there as the text of the error."""
    runs = {run.id: run for run in core.catalog.list_runs(RunFilter(roots_only=False))}
    return {_path(run, runs): _of_run(core, run) for run in runs.values()}


def _path(run: RunRecord, runs: dict[Any, RunRecord]) -> str:
    name = run.name if run.key is None else f"{run.name} [{run.key}]"
    parent = runs.get(run.parent) if run.parent else None
    return name if parent is None else f"{_path(parent, runs)}/{name}"


def _of_run(core: StoreCore, run: RunRecord) -> dict[str, Any]:
    catalog = core.catalog
    newest = {role: catalog.latest_checkpoint(run.id, role=role) for role in ("state", "value", "result")}
    return {
        "status": run.status.value,
        "done": run.progress.done,
        "items": {loop: _done(core, run, loop) for loop in catalog.loops(run.id)},
        "failed": {key_of(failed): failed.error.get("message") for failed in catalog.failures(run.id)},
        "steps": {
            f"{stored.step.scope} {stored.step.name}".lstrip(): _loaded(core, stored.step.result)
            for stored in catalog.list_steps(run.id)
        },
        "outputs": {output.path: output.length for output in catalog.outputs(run.id).values()},
        **{role: _loaded(core, found.checkpoint.stored) for role, found in newest.items() if found},
    }


def _done(core: StoreCore, run: RunRecord, loop: str) -> dict[str, Any]:
    """What each item gave, by key; None for nothing."""
    found: dict[str, Any] = {}
    for block in core.catalog.done_items(run.id, loop):
        try:
            found |= {shown(key): result for key, result in results_of(core, block)}
        except Damaged as error:
            found |= dict.fromkeys(map(shown, keys_of(block)), f"damaged: {error}")
    return dict(sorted(found.items()))


def _loaded(core: StoreCore, stored: Any) -> Any:
    try:
        return core.load(stored, strict=False)
    except Damaged as error:
        return f"damaged: {error}"
