"""Rot: every structure of a store with a bit flipped, cut short, zeroed, exchanged; it is told, or it does no harm."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import shutil
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import waycairn as wc
from programme import full_store
from programme.decay import CUT, Decay, commits_in, decays_of
from programme.full_store import STORE, Reading
from programme.isolation import Died, isolated
from programme.tally import Budget, Tally
from waycairn.catalog.integrity import problems_of
from waycairn.errors import WaycairnError
from waycairn.upkeep import verifying
from waycairn.wiring import open_core

__all__ = ["UNPROTECTED", "run"]

LIMIT = 20.0
"""Seconds that one look at a damaged store may take."""

UNPROTECTED: dict[str, str] = {}
"""Fields that SQLite keeps without a checksum and we without a hash: damage to them alone can go unnoticed."""


@dataclass
class Seen:
    """What became of one damaged store."""

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
            decay.apply(self.folder, self.files)
            _look(self._golden, seen)
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


def _look(golden: Reading, seen: Seen) -> None:
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
        seen.state = hashlib.sha256(repr(sorted(found.records.items())).encode()).hexdigest()
        try:
            verified = verifying.verify(core, *verifying.everything(core), lambda _name, _size: None)
            seen.told += [f"verify: {broken.name}: {broken.damage}" for broken in verified.broken]
        except WaycairnError as error:
            seen.told.append(f"verify: {type(error).__name__}: {error}")
    seen.told += [f"doctor: {problem}" for problem in problems_of(Path(STORE, "catalog.db"))]


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


def run(budget: Budget, folder: Path) -> Tally:
    """In turn a structure each; `most` is how many of each structure."""
    tally = Tally("rot")
    began = time.monotonic()
    judge = Judge(tally)
    for scene in scenes(folder):
        judge.earlier = scene.earlier()
        chance = budget.chance(scene.name)
        trials = list(_in_turn(decays_of(scene.files, chance, budget.most or 10**9)))
        for decay, told in isolated(trials, scene.look, LIMIT):
            tally.delivered[decay.kind] += 1
            judge.judge(decay, told)
            if budget.is_spent:
                break
    judge.report()
    tally.seconds = time.monotonic() - began
    return tally


def _in_turn(groups: dict[str, list[Decay]]) -> Iterator[Decay]:
    """One of each structure in turn."""
    for some in itertools.zip_longest(*groups.values()):
        yield from filter(None, some)


class Judge:
    """What may become of a damaged store, and what not."""

    def __init__(self, tally: Tally) -> None:
        self.earlier: set[str] = set()
        self._tally = tally
        self._outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        """By structure: harmless, told, earlier, or the field that changed unnoticed."""

    def judge(self, decay: Decay, told: Any) -> None:
        outcome = f"{told}" if isinstance(told, Died) else self._outcome_of(decay, Seen(**told))
        if outcome not in {"harmless", "told", "earlier"} and outcome not in UNPROTECTED:
            self._tally.bad.append(f"{decay}: {outcome}")
            outcome = "bad"
        self._outcomes[decay.structure][outcome] += 1

    def _outcome_of(self, decay: Decay, seen: Seen) -> str:
        if seen.raw:
            return seen.raw
        if wrong := [name for name in seen.changed if name.endswith(".value")]:
            return f"a wrong value was handed out: {seen.changed[wrong[0]]}"
        if seen.told or not seen.changed:
            return "told" if seen.told else "harmless"
        if seen.state in self.earlier:
            return "earlier"
        if decay.structure in UNPROTECTED:
            return decay.structure
        unknown = [name for name in seen.changed if name not in UNPROTECTED]
        return f"nobody tells: {', '.join(f'{name} ({seen.changed[name]})' for name in unknown)}" if unknown else next(iter(seen.changed))

    def report(self) -> None:
        for structure, outcomes in sorted(self._outcomes.items()):
            print(f"{structure}: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")
