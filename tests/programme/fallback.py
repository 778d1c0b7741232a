"""A run whose newest checkpoint is damaged goes on from the newest intact one, says so, and ends as if nothing had been."""

from __future__ import annotations

import os
import random
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import waycairn as wc
from programme import full_store
from programme.decay import CUT, FLIP, ZERO, changed
from programme.full_store import STORE
from waycairn.errors import Damaged
from waycairn.model.records import CheckpointRecord
from waycairn.model.states import CheckpointStatus

__all__ = ["Loss", "end", "losses", "recover"]

RUN = "tally"
COLUMNS = ("manifest", "root")


@dataclass(frozen=True, slots=True)
class Loss:
    """Damage to the newest checkpoints of the run that was killed."""

    kind: str
    column: str
    count: int
    """How many of the newest."""
    at: float
    """The place, as a share of the whole."""
    structure = "newest checkpoints"

    def __str__(self) -> str:
        return f"{self.kind} in {self.column} of the newest {self.count} checkpoints at {self.at:.6f}"


def losses(chance: random.Random) -> Iterator[Loss]:
    while True:
        yield Loss(
            chance.choice((FLIP, CUT, ZERO)), chance.choice(COLUMNS), chance.choice((1, 1, 2, 3, 9)), chance.random()
        )


def end(folder: Path) -> str:
    """How the job ends when nothing is damaged."""
    os.chdir(folder)
    with wc.open(STORE) as store:
        full_store.finish(store)
        return repr(full_store.outcome(store))


def recover(folder: Path, loss: Loss, golden: str) -> str:
    """Empty if everything is as promised."""
    os.chdir(folder)
    with wc.open(STORE) as store:
        states = store.checkpoints(RUN, role="state", status=CheckpointStatus.VALID)
        lost, kept = states[: loss.count], states[loss.count :]
        _damage(lost, loss)
        try:
            full_store.finish(store)
        except Damaged as error:
            return (
                "" if not kept and "no checkpoint of this run's state is intact" in str(error) else f"refused: {error}"
            )
        except Exception:
            return traceback.format_exc()
        return _judge(store, lost, kept, golden)


def _judge(store: wc.Store, lost: list[CheckpointRecord], kept: list[CheckpointRecord], golden: str) -> str:
    if not kept:
        return "it began anew, though no checkpoint of its state was intact"
    for record in lost:
        now = store.core.catalog.get_checkpoint(record.run, record.sequence)
        if now is not None and (now.status != "damaged" or not now.damage):
            return f"{record.id} is {now.status} and was damaged; the reason kept: {now.damage}"
    found = repr(full_store.outcome(store))
    return "" if found == golden else f"it ended otherwise: {found[:2000]} instead of {golden[:2000]}"


def _damage(lost: list[CheckpointRecord], loss: Loss) -> None:
    with closing(sqlite3.connect(f"{STORE}/catalog.db", isolation_level=None, timeout=10)) as database:
        for record in lost:
            place = "run = (SELECT num FROM runs WHERE id = ?) AND sequence = ?"
            key = (record.run, record.sequence)
            ((content,),) = database.execute(f"SELECT {loss.column} FROM checkpoints WHERE {place}", key)
            size = len(content) * (8 if loss.kind == FLIP else 1)
            bad = changed(content, loss.kind, int(loss.at * size))
            if bad == content:  # the tail was zeros
                bad = changed(content, FLIP, 0)
            database.execute(f"UPDATE checkpoints SET {loss.column} = ? WHERE {place}", (bad, *key))
