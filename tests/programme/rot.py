"""Rot: every structure of a store with a bit flipped, cut short, zeroed, exchanged; it is told, or it does no harm."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
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
from programme.decay import Decay, decays_of
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
    raw: str = ""
    """Traceback of an error that is not ours."""


class Scene:
    """A store as it was, in memory, and a folder in which copies of it rot."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.folder = folder
        self.files = {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }
        self._golden: Reading | None = None

    def restore(self) -> None:
        """The folder as it was."""
        for path in self.folder.rglob("*"):
            if path.is_file() and str(path.relative_to(self.folder)) not in self.files:
                path.unlink()
        for name, content in self.files.items():
            path = self.folder / name
            if not path.exists() or path.stat().st_size != len(content) or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
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
        try:
            verified = verifying.verify(core, *verifying.everything(core), lambda _name, _size: None)
            seen.told += [f"verify: {broken.name}: {broken.damage}" for broken in verified.broken]
        except WaycairnError as error:
            seen.told.append(f"verify: {type(error).__name__}: {error}")
    seen.told += [f"doctor: {problem}" for problem in problems_of(Path(STORE, "catalog.db"))]


def _compare(golden: Reading, found: Reading, seen: Seen) -> None:
    for (name, of), value in golden.facts.items():
        if (name, of) not in found.facts:
            seen.changed[f"{name} gone"] = of
        elif found.facts[name, of] != value:
            seen.changed[name] = f"{of}: {str(value)[:80]!r} became {str(found.facts[name, of])[:80]!r}"
    for name, of in found.facts.keys() - golden.facts.keys():
        seen.changed[f"{name} new"] = of


def scenes(folder: Path) -> list[Scene]:
    """The same store twice: with all its rows still in the log, and with all of them in the database."""
    dead, rested = folder / "log", folder / "rested"
    full_store.build(dead)
    shutil.copytree(dead, rested)
    with contextlib.chdir(rested), wc.open(STORE):
        pass
    return [Scene(dead, "log"), Scene(rested, "rested")]


def run(budget: Budget, folder: Path) -> Tally:
    tally = Tally("rot")
    began = time.monotonic()
    silent: dict[str, Counter[str]] = defaultdict(Counter)
    for scene in scenes(folder):
        chance = budget.chance(scene.name)
        trials = list(_in_turn(decays_of(scene.name, scene.files, chance), chance))
        trials = trials[: budget.most]
        for decay, told in isolated(trials, scene.look, LIMIT):
            tally.delivered[decay.kind] += 1
            if isinstance(told, Died):
                tally.bad.append(f"{decay}: {told}")
            else:
                _judge(decay, Seen(**told), tally, silent)
            if budget.is_spent:
                break
    for name, where in sorted(silent.items()):
        print("silent", name, dict(where))
    tally.seconds = time.monotonic() - began
    return tally


def _in_turn(groups: dict[str, list[Decay]], chance: random.Random) -> Iterator[Decay]:
    """One of each structure in turn, in a random order."""
    for decays in groups.values():
        chance.shuffle(decays)
    while groups:
        for name in list(groups):
            if groups[name]:
                yield groups[name].pop()
            else:
                del groups[name]


def _judge(decay: Decay, seen: Seen, tally: Tally, silent: dict[str, Counter[str]]) -> None:
    if seen.raw:
        tally.bad.append(f"{decay}: {seen.raw}")
    elif "value.value" in seen.changed:
        tally.bad.append(f"{decay}: a wrong value was handed out: {seen.changed}")
    elif seen.changed and not seen.told:
        for name, example in seen.changed.items():
            silent[name][decay.structure] += 1
            if name not in UNPROTECTED:
                tally.bad.append(f"{decay}: nobody tells that {name} changed: {example}")
