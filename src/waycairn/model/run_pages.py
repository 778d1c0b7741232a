"""Lists of runs by the page, and what a look at many runs sees of each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from waycairn.model.ids import RunId
from waycairn.model.records import RunRecord
from waycairn.model.states import RunStatus


class RunSort(StrEnum):
    """By what a list of runs is sorted."""

    CREATED = "created"
    UPDATED = "updated"
    NAME = "name"


class Place(NamedTuple):
    """Of a run in a sorted list: no two have the same, and a run that does not change keeps its own."""

    value: float | str
    """What is sorted by."""
    number: int
    """Of the run's row."""


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs, and which page of them. None means any. Phases are no part of it, nor are runs that hold backups."""

    statuses: Sequence[RunStatus] | None = None
    name: str | None = None
    key: str | None = None
    task: str | None = None
    tag: str | None = None
    account: str | None = None
    text: str | None = None
    """In the name or the key, small letters as capital ones; where keys are sealed, in the name."""
    sort: RunSort = RunSort.CREATED
    descending: bool = True
    after: Place | None = None
    """The last one of the page before."""
    limit: int = 50


class PlacedRun(NamedTuple):
    place: Place
    run: RunRecord


class RunMark(NamedTuple):
    """As much of a row as says whether it changed."""

    number: int
    id: RunId
    root: RunId
    status: str
    epoch: int
    sequence: int
    updated: float
    lease_until: float | None
