"""Everything that can be read out of a store, damaged or not, as files that other programs read, with an index of what is
there and what could not be had and why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from waycairn.codec.keys import plain
from waycairn.errors import WaycairnError
from waycairn.model.records import CheckpointRecord, RunRecord
from waycairn.store import StoreCore
from waycairn.upkeep.batch import results_of
from waycairn.upkeep.exporting import CannotExport, named_arrays, new_file, write_npz, write_safetensors
from waycairn.upkeep.readable import readable
from waycairn.upkeep.sizes import iso
from waycairn.upkeep.stored_states import checkpoints_of, runs_of
from waycairn.world.files import make_directory

Form = Literal["json", "npz", "safetensors"]
INDEX = "index.json"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_UNREADABLE = (WaycairnError, ModuleNotFoundError, RecursionError, ValueError, TypeError, MemoryError)
"""What a state that cannot be had ends with; the others are exported all the same."""


@dataclass(slots=True)
class Rescued:
    """What was exported, and what could not be."""

    files: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)


def export_all(
    core: StoreCore, to: Path, form: Form = "json", tell: Callable[[str], None] = lambda _what: None
) -> Rescued:
    """Write every checkpoint, and the results of every step and item, below a directory that is new or empty. Each file is
    whole or not there, readable by you only; `index.json`, written last, lists them. Arrays go as `form`; a state without
    any, and every result, as JSON. Changes nothing in the store. Raises CannotExport if the directory holds something."""
    if to.exists() and any(to.iterdir()):
        raise CannotExport(f"{to} is not empty. Nothing was written. Name a new directory.")
    make_directory(to)
    work = _Export(core, to, form, tell)
    runs = work.tried("the list of runs", lambda: runs_of(core, None)) or []
    for run in runs:
        work.run(run)
    _write_json(to / INDEX, {"store": core.catalog.info.id, "files": work.found.files, "failed": work.found.failed})
    return work.found


class _Export:
    def __init__(self, core: StoreCore, to: Path, form: Form, tell: Callable[[str], None]) -> None:
        self._core = core
        self._to = to
        self._form = form
        self._tell = tell
        self.found = Rescued()

    def run(self, run: RunRecord) -> None:
        folder = self._to / f"{_NOT_IN_NAMES.sub('-', run.name)[:60]}-{run.id}"
        about = {"run": run.id, "name": run.name, "key": run.key}
        for record in self._each(f"checkpoints of run {run.id}", lambda: checkpoints_of(self._core, run)):
            self._checkpoint(folder, about, record)
        for stored in self._each(f"steps of run {run.id}", lambda: iter(self._core.catalog.list_steps(run.id))):
            step = stored.step
            facts = {**about, "what": "step", "step": step.name, "scope": step.scope or None}
            name = f"step-{stored.sequence}-{_NOT_IN_NAMES.sub('-', step.name)[:60]}"
            self._state(folder, name, facts, partial(self._core.load, step.result, strict=False), "json")
        loops = self.tried(f"loops of run {run.id}", lambda: self._core.catalog.loops(run.id)) or {}
        for loop in loops:
            self._results(folder, {**about, "what": "results", "loop": loop}, run, loop)

    def _checkpoint(self, folder: Path, about: dict[str, Any], record: CheckpointRecord) -> None:
        facts = {
            **about,
            "what": "checkpoint",
            "checkpoint": record.id,
            "kind": record.checkpoint.kind,
            "role": record.checkpoint.role,
            "created": iso(record.created),
            "status": record.status.value,
        }
        name = f"checkpoint-{record.sequence}"
        self._state(folder, name, facts, partial(self._core.load, record.checkpoint.stored, strict=False), self._form)

    def _results(self, folder: Path, about: dict[str, Any], run: RunRecord, loop: str) -> None:
        """A file a cut: one that is damaged takes no other with it."""
        blocks = self._each(f"items of run {run.id}", lambda: self._core.catalog.done_items(run.id, loop))
        for number, block in enumerate(blocks):
            if block.results is None:
                continue

            def load(block: Any = block) -> Any:
                return [{"key": plain(key), "result": result} for key, result in results_of(self._core, block)]

            name = f"results-{_NOT_IN_NAMES.sub('-', loop)[:40]}-{number}"
            self._state(folder, name, {**about, "items": block.count}, load, "json")

    def _state(self, folder: Path, name: str, facts: dict[str, Any], load: Callable[[], Any], form: Form) -> None:
        what = facts.get("checkpoint") or f"{facts['what']} {name} of run {facts['run']}"
        self._tell(str(what))
        loaded = self.tried(str(what), lambda: [load()], facts)
        if loaded is None:
            return
        make_directory(folder)
        path = self.tried(str(what), lambda: _write(folder, name, facts, loaded[0], form), facts)
        if path is not None:
            self.found.files.append({**facts, "file": str(path.relative_to(self._to)), "bytes": path.stat().st_size})

    def _each(self, what: str, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """One after the other, as far as that goes."""
        rows = self.tried(what, begin)
        while rows is not None and (one := self.tried(what, lambda: [next(rows, None)])) is not None:
            if one[0] is None:
                return
            yield one[0]

    def tried(self, what: str, act: Callable[[], Any], facts: dict[str, Any] | None = None) -> Any:
        """What it gives; None, and a line in the index, if it cannot be had."""
        try:
            return act()
        except _UNREADABLE as error:
            self.found.failed.append({**(facts or {"what": what}), "why": f"{type(error).__name__}: {error}"})
            return None


def _write(folder: Path, name: str, facts: dict[str, Any], value: Any, form: Form) -> Path:
    if form != "json":
        try:
            named = named_arrays(value)
        except CannotExport:
            form = "json"  # there are no arrays in it
    path = folder / f"{name}.{form}"
    if form == "json":
        _write_json(path, {**facts, "value": readable(value)})
        return path
    with new_file(path, force=False) as draft:
        if form == "npz":
            write_npz(draft, named)
        else:
            write_safetensors(draft, named, {f"waycairn_{key}": str(value) for key, value in facts.items()})
    return path


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with new_file(path, force=False) as draft:
        draft.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
