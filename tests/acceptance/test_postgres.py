"""A store on a real PostgreSQL: who owns a run, and what a signal does."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import waycairn as wc
from killing import attempt
from waycairn.errors import RunIsHeld


def test_a_living_owner_is_respected(postgres_schema: str, tmp_path: Path) -> None:
    """A second entry is refused while the first lives."""
    with wc.open(postgres_schema, packs=tmp_path) as one, wc.open(postgres_schema, packs=tmp_path) as two:
        with one.run("job"), pytest.raises(RunIsHeld, match=f"held by pid {os.getpid()}"):
            two.run("job").open()
        with two.run("job") as run:
            assert not run.resumed


def test_sigterm_takes_the_cut(postgres_schema: str, tmp_path: Path) -> None:
    """As on SQLite: the item ends, the cut is taken, Interrupted is raised."""

    def slow(place: Path) -> Any:
        with wc.open(postgres_schema, packs=place / "packs") as store, store.run("slow", pace=0) as run:
            for number in run.each(range(5)):
                if number == 2 and not run.resumed:
                    os.kill(os.getpid(), signal.SIGTERM)
            return run.ledger.summary().completed

    assert "SIGTERM" in attempt(slow, tmp_path).error
    assert attempt(slow, tmp_path).result == 5
