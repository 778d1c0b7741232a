"""Rot: every structure of a store with a bit flipped, cut short, zeroed, exchanged; it is told, or it does no harm."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import waycairn as wc
from programme import fallback, full_store, isolation
from programme.decay import CUT, Decay, commits_in, decays_of
from programme.fallback import Loss
from programme.full_store import STORE, Reading
from programme.isolation import Died, isolated
from programme.tally import Budget, Tally
from waycairn.errors import WaycairnError
from waycairn.upkeep import invariants
from waycairn.wiring import open_core

__all__ = ["UNPROTECTED", "run"]

TABLES = ("runs", "items", "failures", "computed", "queued", "steps", "outputs", "checkpoints")
ELSEWHERE = frozenset({"items.run", "computed.run", "steps.run", "checkpoints.run"})
"""Columns by which a row stands with another run, and is read as that run's: its bytes are right, so no hash tells, but
the ledgers do."""
LIMIT = 20.0
"""Seconds that one look at a damaged store may take."""
EACH = 2
"""So many faults of each structure in a round."""
LOSSES = 12
"""So many runs that go on from damage in a round."""

UNPROTECTED: Mapping[str, str] = {
    # The columns themselves.
    **dict.fromkeys(
        (
            "runs.created",
            "runs.updated",
            "runs.entered",
            "steps.took",
            "checkpoints.created",
            "failures.first",
            "failures.last",
        ),
        "a time or a count that is shown",
    ),
    **dict.fromkeys(
        ("runs.tags", "runs.metadata", "runs.launch", "runs.task", "runs.note", "runs.error", "runs.owner"),
        "what is shown of a run; how it is started again",
    ),
    **dict.fromkeys(
        (
            "checkpoints.tags",
            "checkpoints.metadata",
            "checkpoints.description",
            "checkpoints.iteration",
            "checkpoints.reason",
        ),
        "what is shown of a checkpoint; `pace` among the reasons lets a cut replace it",
    ),
    **dict.fromkeys(
        ("failures.attempts", "failures.error", "failures.poison"), "what is shown of a failure; poison waits"
    ),
    **dict.fromkeys(("runs.done", "runs.total"), "how far a run is, as it is shown"),
    **dict.fromkeys(("runs.id", "runs.name", "runs.key"), "the run is found under another name"),
    "runs.fingerprint": "a run is refused, or taken though its inputs differ",
    "runs.epoch": "a former owner is not refused, or the present one is",
    "runs.sequence": "the next commit is refused",
    "checkpoints.run": "the checkpoint is listed with another run",
    "checkpoints.sequence": "the checkpoint has another name, and another is the newest",
    "checkpoints.epoch": "shown only",
    "checkpoints.kind": "it is not found by its kind",
    "checkpoints.role": "it is not found to be restored: an older one is",
    "checkpoints.pinned": "it is kept, or not",
    "checkpoints.expires": "it is kept too long or not long enough",
    "checkpoints.outputs": "a run that goes back cuts an output to another length",
    "items.loop": "finished items run again",
    "items.sequence": "the order of items; what a run that goes back forgets",
    **dict.fromkeys(("computed.run", "computed.loop"), "a result is computed again"),
    **dict.fromkeys(
        ("queued.run", "queued.queue", "queued.sequence"), "an addition is lost, or comes in another order"
    ),
    "failures.loop": "a failure is shown elsewhere",
    **dict.fromkeys(("outputs.run", "outputs.length"), "an output is cut to another length"),
    **dict.fromkeys(("steps.run", "steps.place"), "a step is called again"),
    "steps.arguments": "a step is refused, its arguments having changed, or not refused",
    "steps.sequence": "what a run that goes back forgets",
    # How that shows when a flip in a page does it.
    **dict.fromkeys(("runs.progress", "items.order", "items.count", "queued.order"), "see the columns"),
    **{f"{table} {how}": "see the columns" for table in TABLES for how in ("gone", "new")},
}
"""Columns that SQLite keeps without a checksum and we without a hash, and what a bit in them can do unnoticed. Anything
else that changes unnoticed is bad."""


@dataclass
class Seen:
    """What became of one damaged store."""

    happened: bool = True
    told: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    """Field to an example."""
    state: str = ""
    """A hash of all that there is to read, if it is not what it was."""
    raw: str = ""
    """Traceback of an error that is not ours."""


class Scene:
    """A store as it was, in memory, and a folder in which copies of it rot."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.files = {name: Path(folder, name).read_bytes() for name in _files_below(folder)}
        self._golden: Reading | None = None

    def restore(self) -> None:
        """The folder as it was."""
        for name in _files_below(self.folder):
            if name not in self.files:
                os.unlink(self.folder / name)
        for name, content in self.files.items():
            path = self.folder / name
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)

    def look(self, decay: Decay) -> dict[str, Any]:
        """Damage it, and look at all of it."""
        os.chdir(self.folder)
        self.restore()
        if self._golden is None:
            self._golden = _read_sound()
            self.restore()
        seen = Seen()
        try:
            seen.happened = decay.apply(self.folder, self.files)
            _look(self._golden, seen, thoroughly=decay.at % 4 == 0)
        except Exception:
            seen.raw = traceback.format_exc()
        return vars(seen)

    def earlier(self) -> set[str]:
        """What there was to read after each commit in the log. A log that ends early is one of these, whole."""
        log = f"{STORE}/catalog.db-wal"
        cuts = [Decay(CUT, "log", log, end) for end in commits_in(self.files.get(log, b""))]
        return {seen["state"] for _, seen in isolated(cuts, self.look, LIMIT) if not isinstance(seen, Died)}


def _files_below(folder: Path) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(place, name), folder) for place, _, names in os.walk(folder) for name in names
    )


def _read_sound() -> Reading:
    core = open_core(STORE, create=False)
    with closing(core):
        found = full_store.read(core)
    assert not found.refused, found.refused
    return found


def _look(golden: Reading, seen: Seen, *, thoroughly: bool) -> None:
    """Who was told by reading need not be told again by `verify`, but now and then."""
    try:
        core = open_core(STORE, create=False)
    except WaycairnError as error:
        seen.told.append(f"{type(error).__name__}: {error}")
        return
    with closing(core):
        found = full_store.read(core)
        seen.told += found.refused
        _compare(golden, found, seen)
        if not (seen.told or seen.changed):
            return
        if seen.told and not thoroughly:
            return
        seen.state = hashlib.sha256(repr(sorted(found.records.items())).encode()).hexdigest()
        try:
            seen.told += [f"verify: {violation}" for violation in invariants.verify(core, folder=Path())]
        except WaycairnError as error:
            seen.told.append(f"verify: {type(error).__name__}: {error}")


def _compare(golden: Reading, found: Reading, seen: Seen) -> None:
    for (table, of), fields in golden.records.items():
        now = found.records.get((table, of))
        if now is None:
            seen.changed[f"{table} gone"] = of
            continue
        for name, value in fields.items():
            if name not in now:
                seen.changed[f"{table}.{name} gone"] = of
            elif now[name] != value:
                seen.changed[f"{table}.{name}"] = f"{of}: {str(value)[:90]} became {str(now[name])[:90]}"
    for table, of in found.records.keys() - golden.records.keys():
        seen.changed[f"{table} new"] = of


def scenes(folder: Path) -> list[Scene]:
    """The same store twice: with all its rows still in the log, and with all of them in the database."""
    dead, rested = folder / "log", folder / "rested"
    full_store.build(dead)
    shutil.copytree(dead, rested)
    with contextlib.chdir(rested), wc.open(STORE):
        pass
    return [Scene(dead, "log"), Scene(rested, "rested")]


def run(budget: Budget, folder: Path, structures: Sequence[str] = ()) -> Tally:
    """Round after round: some of each structure, then some runs that go on from damage. `structures`: these only."""
    tally = Tally("rot")
    began = time.monotonic()
    here = Path.cwd()
    judge = Judge(tally)
    with closing(Folders(folder)) as folders:
        for number in itertools.count():
            for fault, told in _round(folders, budget.chance(f"round {number}"), judge, structures):
                if isinstance(told, dict) and not told["happened"]:
                    continue
                tally.delivered[fault.kind] += 1
                judge.judge(fault, told)
                count = sum(tally.delivered.values())
                if budget.is_spent or count == budget.most or len(tally.bad) >= isolation.HOPELESS:
                    break
            else:
                continue
            break
    os.chdir(here)
    judge.report()
    tally.seconds = time.monotonic() - began
    return tally


class Folders:
    """The stores that rot, and how the job of one of them ends when nothing does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.scenes = scenes(folder)
        self.sound = folder / "sound"
        shutil.copytree(folder / "rested", self.sound)
        with contextlib.suppress(StopIteration):
            _, self.end = next(isolated([folder / "rested"], fallback.end, LIMIT))
        self.scenes[-1].restore()
        self.earlier = self.scenes[0].earlier()

    def recover(self, loss: Loss) -> str:
        """In a copy of its own."""
        place = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            shutil.copytree(self.sound, place, dirs_exist_ok=True)
            return fallback.recover(place, loss, self.end)
        finally:
            shutil.rmtree(place)

    def close(self) -> None:
        for name in ("log", "rested", "sound"):
            shutil.rmtree(self._folder / name)


def _round(
    folders: Folders, chance: random.Random, judge: Judge, structures: Sequence[str]
) -> Iterator[tuple[Decay | Loss, Any]]:
    if not structures or Loss.structure in structures:
        yield from isolated(list(itertools.islice(fallback.losses(chance), LOSSES)), folders.recover, LIMIT)
    for scene in folders.scenes:
        judge.earlier = folders.earlier if scene.name == "log" else set()
        groups = decays_of(scene.files, chance, 20 * EACH if structures else EACH)
        chosen = [decays for name, decays in groups.items() if not structures or name in structures]
        chance.shuffle(chosen)
        yield from isolated(list(_in_turn(chosen)), scene.look, LIMIT)
        scene.restore()


def _in_turn(groups: Sequence[Sequence[Decay]]) -> Iterator[Decay]:
    """One of each structure in turn."""
    for some in itertools.zip_longest(*groups):
        yield from filter(None, some)


FINE = frozenset({"harmless", "told", "earlier", "went on"})


class Judge:
    """What may become of a damaged store, and what not."""

    def __init__(self, tally: Tally) -> None:
        self.earlier: set[str] = set()
        self._tally = tally
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        """By structure: harmless, told, earlier, or the field that changed unnoticed."""

    def judge(self, fault: Decay | Loss, told: Any) -> None:
        """`told` is a Seen as a dict; of a Loss, empty if the run went on as it should."""
        if isinstance(told, Died):
            outcome = f"{told}"
        elif isinstance(fault, Loss):
            outcome = told or "went on"
        else:
            outcome = self._outcome_of(fault, Seen(**told))
        if outcome not in FINE and outcome not in UNPROTECTED:
            self._tally.bad.append(f"{fault}: {outcome}")
            outcome = "bad"
        self._outcomes[fault.structure][outcome] += 1

    def _outcome_of(self, decay: Decay, seen: Seen) -> str:
        if seen.raw:
            return seen.raw
        is_elsewhere = decay.structure in ELSEWHERE and seen.told
        if not is_elsewhere and (wrong := [name for name in seen.changed if name.endswith(".value")]):
            return f"a wrong value was handed out: {seen.changed[wrong[0]]}"
        if seen.told or not seen.changed:
            return "told" if seen.told else "harmless"
        return "earlier" if seen.state in self.earlier else self._unnoticed(decay, seen)

    def _unnoticed(self, decay: Decay, seen: Seen) -> str:
        """What changed, if that may be; else a sentence."""
        if decay.structure == decay.file:
            known, names = decay.structure in UNPROTECTED, [decay.structure]
        else:
            is_database = decay.file.startswith(f"{STORE}/catalog.db")
            known, names = is_database and UNPROTECTED.keys() >= seen.changed.keys(), list(seen.changed)
        return names[0] if known else f"nobody tells that {', '.join(names)} changed: {seen.changed}"

    def report(self) -> None:
        for structure, outcomes in sorted(self._outcomes.items()):
            print(f"{structure}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")
