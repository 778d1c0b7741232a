"""One look at a store that tells whether it keeps what every store must keep; see `violation` for the list.

It is what `waycairn verify` shows, what `waycairn crashtest` and all fault harnesses end with. Without a history it
sees what a store says against itself; with one, also what was acknowledged and is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from waycairn.catalog.integrity import problems_of
from waycairn.errors import WaycairnError
from waycairn.model.records import CheckpointFilter, RunFilter
from waycairn.process import FileOwnership
from waycairn.store import StoreCore
from waycairn.upkeep import acknowledged, audit_chain, inventory, ledgers, payloads, verifying
from waycairn.upkeep.verifying import Broken
from waycairn.upkeep.violation import Violation
from waycairn.wiring import open_core
from waycairn.world.history import Event, read_history

__all__ = ["Violation", "read_history", "verify"]

_NAMED = 3
"""Names in a message."""


def verify(
    core: StoreCore,
    history: Sequence[Event] = (),
    *,
    folder: Path | None = None,
    leftovers: int | None = None,
    counted: bool = True,
) -> list[Violation]:
    """Everything that is wrong; damaged checkpoints are marked, so that nobody restores them.

    `history` is what `world.history` wrote. `folder` is where the jobs ran: then their output files are looked at, too.
    `leftovers` is how many things of each kind dead processes may have left behind; None: any number. `counted=False`
    is for jobs that tell their progress by hand. Nobody may work in the store meanwhile: for that, see `examine`.
    """
    damaged = [Violation("I2", f"the catalog is damaged: {problem}") for problem in _problems(core)]
    if damaged:
        return damaged  # everything else rests on it
    before = _listed(core)
    found = [*_looking("states", lambda: _unreadable(core)), *examine(core, counted=counted)]
    found += _looking("what was acknowledged", lambda: acknowledged.compare(core, history))
    if folder is not None:
        found += _files(core, folder)
    if leftovers is not None:
        found += _leftovers(core, leftovers)
    return [*found, *_again(core, before)]


def _looking(at: str, look: Callable[[], Iterable[Violation]]) -> list[Violation]:
    """What cannot be read ends this part of the look, not the whole of it."""
    found: list[Violation] = []
    try:
        found.extend(look())
    except WaycairnError as error:
        found.append(Violation("I2", f"{at} cannot be read: {error}"))
    return found


def _unreadable(core: StoreCore) -> Iterable[Violation]:
    return map(broken, verifying.verify(core).broken)


def broken(one: Broken) -> Violation:
    """As `verifying` tells it."""
    return Violation("I2", f"{one.name} is damaged: {one.damage}", {"name": one.name, "known_before": one.known})


def examine(core: StoreCore, *, counted: bool = False) -> list[Violation]:
    """What the rows and the packs say against each other, without reading any state; also while jobs work there."""
    found = _looking("ledgers", lambda: ledgers.examine(core, counted=counted))
    found += _looking("packs", lambda: _index(core))
    found += _looking("backups", lambda: payloads.check(core))
    return [*found, *_looking("the audit log", lambda: _misfits(core))]


def _misfits(core: StoreCore) -> Iterator[Violation]:
    for one in audit_chain.check(core).misfits:
        yield Violation("I12", f"row {one.number} of the audit log does not fit: {one.what}", {"number": one.number})


def _local(core: StoreCore) -> Path | None:
    """The directory of a store on this host."""
    return None if "://" in core.url else Path(core.url)


def _problems(core: StoreCore) -> list[str]:
    directory = _local(core)
    return [] if directory is None else problems_of(directory / "catalog.db")


def _index(core: StoreCore) -> Iterator[Violation]:
    ends = core.catalog.pack_ends()
    known, there = inventory.pack_sizes(core)
    for name in sorted({*ends, *known}):
        facts = {"pack": name}
        if name not in known:
            yield Violation("I6", f"blocks lie in pack {name}, which the catalog does not know", facts)
        elif name not in ends:
            continue  # condemned by a sweep, which removes the file before the row
        elif name not in there:
            yield Violation("I6", f"pack {name} is missing", facts)
        elif there[name] < (needed := max(known[name], ends.get(name, 0))):
            yield Violation("I6", f"pack {name} has {there[name]} bytes, {needed} are needed", facts)
    if homeless := core.catalog.count_homeless():
        yield Violation("I6", f"{homeless} chunks of the index lie nowhere", {"chunks": homeless})


def _files(core: StoreCore, folder: Path) -> Iterator[Violation]:
    for run in core.catalog.list_runs(RunFilter(roots_only=False)):
        for path, output in core.catalog.outputs(run.id).items():
            file = folder / path
            size = file.stat().st_size if file.exists() else 0
            if size < output.length:
                yield Violation("I1", f"output {path} of run {run.id} has {size} bytes, {output.length} are committed")


def _leftovers(core: StoreCore, limit: int) -> Iterator[Violation]:
    known, there = inventory.pack_sizes(core)
    kinds: dict[str, Sequence[str]] = {"packs of no commit": sorted(there.keys() - known.keys())}
    if (directory := _local(core)) is not None:
        kinds["unfinished packs"] = [path.name for path in inventory.unfinished_packs(directory / "packs")]
        kinds["files of flights"] = sorted(path.name for path in directory.glob("flights/*"))
    if isinstance(core.ownership, FileOwnership):
        kinds["owner files of dead processes"] = sorted(path.name for path in core.ownership.abandoned())
    for kind, names in kinds.items():
        if len(names) > limit:
            named = ", ".join(names[:_NAMED])
            yield Violation("I11", f"{len(names)} {kind} are left behind, at most {limit} may be: {named}")


def _again(core: StoreCore, before: Any) -> Iterator[Violation]:
    """Reading changed nothing, and who opens the store anew sees the same."""
    if _listed(core) != before:
        yield Violation("I10", "the store lists something else after it was read")
    elif (directory := _local(core)) is not None:
        other = open_core(directory, create=False, keys=core.locksmith)
        try:
            if _listed(other) != before:
                yield Violation("I10", "the store lists something else after it was opened again")
        finally:
            other.close()


def _listed(core: StoreCore) -> Any:
    """Runs, and what hangs on them, but for what reading may mark."""
    catalog = core.catalog
    runs = catalog.list_runs(RunFilter(roots_only=False))
    checkpoints = [(one.id, one.checkpoint.stored.root) for one in catalog.list_checkpoints(CheckpointFilter())]
    rest = [(catalog.loops(run.id), len(catalog.list_steps(run.id)), catalog.outputs(run.id)) for run in runs]
    return runs, checkpoints, rest
