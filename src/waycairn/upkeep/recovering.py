"""A session out of its mirror, into a store that does not have it: iterations, rules, patterns, and the states exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from waycairn.errors import Damaged, RunError, RunNotFound
from waycairn.model.ids import RunId
from waycairn.model.journal import JournalRows
from waycairn.model.records import Progress, RunRecord
from waycairn.model.states import RunStatus
from waycairn.process import new_root
from waycairn.store import CheckpointDraft, Draft, StoreCore
from waycairn.upkeep.mirror import encoded_of, rows_of
from waycairn.upkeep.mirror_folder import folders_in, log, read_file, read_log, sequences_in
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_operation_id, new_run_id

RECOVERING, RECOVERED = "waycairn.recovering", "waycairn.recovered_from"
"""In the metadata of the run while it is being recovered, and afterwards: the id that it had."""


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What was recovered, and what could not be."""

    run: RunId
    name: str
    key: str | None
    iterations: int
    rules: int
    patterns: int
    states: int
    """How many iterations have their state again."""
    newest: int | None
    """The number of the newest of those."""
    damaged: int
    """Files and lines that were left out."""


def find_mirror(root: Path, name: str | None = None, key: str | None = None) -> Path:
    """The folder of one run, in or below a place. Without a name the only one there. Raises RunNotFound."""
    found = list(folders_in(root))
    named = [folder for folder, run in found if name is None or (run["name"], run["key"]) == (name, key)]
    if name is not None and len(named) > 1:
        # That of the run before stands beside it, for when it is the one that is wanted.
        named = [folder for folder in named if not folder.name.endswith("=former")] or named[:1]
    if len(named) == 1:
        return named[0]
    there = ", ".join(
        sorted({run["name"] + ("" if run["key"] is None else f" (key {run['key']})") for _, run in found})
    )
    wanted = (
        "one session alone" if name is None else f"a session {name!r}" + ("" if key is None else f" with key {key!r}")
    )
    raise RunNotFound(
        f"there is no mirror of {wanted} at {root}; there is {f'one of: {there}' if there else 'none at all'}. Nothing was "
        "changed. Name the directory, or the run.",
        path=str(root),
    )


def recover(core: StoreCore, folder: Path) -> Recovered:
    """Commit what a mirror holds as a run of this store, interrupted, to be entered and gone on with.

    Killed half-way it begins anew when it is called again. Raises RunError if the store has a run of that name and key,
    RunNotFound if nothing in the folder can be read."""
    run, cuts, damaged = _read(folder)
    record = _begin(core, run)
    numbers: list[int] = []
    sequence = 0
    for sequence, (origin, rows) in enumerate(sorted(cuts.items()), start=1):
        checkpoint = _checkpoint(folder, origin, rows)
        is_last = sequence == len(cuts)
        core.commit(
            Draft(
                run=record.id,
                epoch=record.epoch,
                sequence=sequence,
                operation=new_operation_id(),
                progress=Progress(),
                checkpoint=checkpoint,
                journal=rows,
                status=RunStatus.INTERRUPTED if is_last else None,
            )
        )
        crashpoint("recover.committed")
        if checkpoint is not None:
            numbers += [one.number for one in rows.iterations]
    metadata = {**{name: value for name, value in record.metadata.items() if name != RECOVERING}, RECOVERED: run["id"]}
    core.catalog.change_run(record.id, record.epoch, core.clock.now(), metadata=metadata)
    return Recovered(
        run=record.id,
        name=record.name,
        key=record.key,
        iterations=sum(len(rows.iterations) for rows in cuts.values()),
        rules=sum(len(rows.rules) for rows in cuts.values()),
        patterns=sum(len(rows.patterns) for rows in cuts.values()),
        states=len(numbers),
        newest=max(numbers, default=None),
        damaged=damaged,
    )


def _read(folder: Path) -> tuple[Mapping[str, Any], dict[int, JournalRows], int]:
    """Who it is, what each commit wrote down, and how much of it is damaged."""
    begun = read_log(folder)
    cuts = {} if begun is None else dict(begun.cuts)
    damaged = 0 if begun is None else begun.skipped
    run = None if begun is None else begun.run
    for sequence in sequences_in(folder):
        document = read_file(folder, sequence)
        if document is None:
            damaged += 1
            continue
        run = run or document["run"]
        if document["run"]["id"] == run["id"]:
            cuts.setdefault(sequence, rows_of(document))  # its line may not have been written before a kill
    if run is None or not cuts:
        raise RunNotFound(f"nothing in {folder} can be recovered. Nothing was changed.", path=str(folder))
    return run, cuts, damaged


def _begin(core: StoreCore, run: Mapping[str, Any]) -> RunRecord:
    """A run of its name, without an owner."""
    name, key = run["name"], run["key"]
    found = core.catalog.find_run(None, name, key)
    if found is not None and found.metadata.get(RECOVERING) == run["id"] and core.ownership.holder(found) is None:
        # A recovery that was killed: what it promoted goes with it.
        core.catalog.rewind(found.id, found.epoch, 0, core.clock.now())
        core.catalog.delete_run(found.id)
        found = None
    if found is not None:
        raise RunError(
            f"run {name!r} is in this store already ({found.id}). Nothing was changed. Enter it to go on; or recover into "
            "another store: --store DIR.",
            run=found.id,
        )
    id_ = new_run_id()
    new = new_root(
        id_,
        name,
        key,
        task=run["task"],
        tags=tuple(run["tags"]),
        metadata={**run["metadata"], RECOVERING: run["id"]},
        fingerprint=run["fingerprint"],
    )
    core.catalog.add_run(new, core.clock.now())
    record = core.catalog.get_run(id_)
    assert record is not None, "a run that was just added is there"
    return record


def _checkpoint(folder: Path, origin: int, rows: JournalRows) -> CheckpointDraft | None:
    """With exactly the bytes of the state, if the file of that commit has them."""
    document = read_file(folder, origin) if (folder / f"{origin}.json").exists() else None
    if document is None or document["exact"] is None or not rows.iterations:
        return None
    try:
        encoded = encoded_of(document["exact"])
    except (Damaged, ValueError, KeyError, TypeError) as error:
        log.warning("the state in %s is damaged and is left out: %s", folder / f"{origin}.json", error)
        return None
    newest = rows.iterations[-1]
    return CheckpointDraft(
        kind=document["holds"]["kind"],
        role=document["holds"]["role"],
        encoded=encoded,
        iteration=newest.number,
        description=newest.description,
        metadata={"metrics": dict(newest.metrics), "improvement": newest.improvement},
    )
