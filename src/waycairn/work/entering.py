"""Entering a run by (name, key): new, taken over from the dead, or refused because its owner lives."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from waycairn.errors import FingerprintMismatch, RunIsHeld, RunNotCompleted
from waycairn.model.ids import RunId
from waycairn.model.records import PARTS, WHOLE, Launch, NewRun, RunRecord
from waycairn.model.states import RunStatus
from waycairn.ports import Hold
from waycairn.process import new_root
from waycairn.store import StoreCore
from waycairn.upkeep.holding import held
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint
from waycairn.world.randomness import new_run_id

log = logging.getLogger("waycairn")

_TRIES = 20
"""Rounds in which another process was faster; each of them means that somebody made progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the user said about the run."""

    name: str
    key: str | None = None
    fingerprint: Mapping[str, Any] | None = None
    fresh: bool = False
    total: int | None = None
    task: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    launch: Launch | None = None
    whole: RunId | None = None
    """Of a part: the run of its batch, see `sharing`."""


@dataclass(frozen=True, slots=True)
class Entered:
    record: RunRecord
    hold: Hold
    resumed: bool
    """True if the run had been entered before and was not completed then."""
    has_rival: bool = False
    """True if the former owner may still run and write to the files that it has open."""


def enter(store: StoreCore, ask: Ask) -> Entered:
    """Become the owner of the run. Raises RunIsHeld, FingerprintMismatch, RunNotCompleted; then nothing changed."""
    for attempt in range(_TRIES):
        found = store.catalog.find_run(None, ask.name, ask.key)
        entered = _begin(store, ask, replaces=None) if found is None else _enter_found(store, ask, found)
        if entered is not None:
            crashpoint("enter.done")
            if history.is_on():
                history.note(history.Entered(run=entered.record.id, epoch=entered.record.epoch, pid=os.getpid()))
            return entered
        store.clock.sleep(0.002 * attempt)
    raise RunIsHeld(
        f"run {ask.name!r} is being entered by several processes at once and each time another one was faster. "
        "Nothing was changed. Start one of them only.",
        run=ask.name,
    )


def _enter_found(store: StoreCore, ask: Ask, found: RunRecord) -> Entered | None:
    owner = store.ownership.holder(found)
    if owner is not None:
        raise held(found, owner)
    if found.status is RunStatus.DISCARDED or found.metadata.get(WHOLE) != ask.whole:
        return _begin(store, ask, replaces=found)  # given up, or of a batch that was
    if PARTS in found.metadata:
        raise ValueError(
            f"run {ask.name!r} is done in {found.metadata[PARTS]} parts; entered as one, everything would be done again. "
            "Nothing was changed. Enter it with part=(index, count), or under another key."
        )
    if ask.fresh:
        if found.status is not RunStatus.COMPLETED:
            raise RunNotCompleted(
                f"run {ask.name!r} is {found.status}, not completed, and fresh=True replaces completed runs only. "
                "Nothing was changed. Finish it by running it without fresh=True, or give it up first: "
                f"waycairn discard {ask.name}",
                run=found.id,
                status=found.status,
            )
        return _begin(store, ask, replaces=found)
    check_fingerprint(found, ask.fingerprint)
    return _take_over(store, ask, found)


def _begin(store: StoreCore, ask: Ask, replaces: RunRecord | None) -> Entered | None:
    """A new run. The lock is held before the row exists, so that nobody can find it unowned."""
    run = new_run_id()
    hold = store.ownership.claim(run, 1)
    if hold is None:
        return None
    new = new_root(
        run,
        ask.name,
        ask.key,
        hold.owner,
        fingerprint=ask.fingerprint,
        task=ask.task,
        tags=ask.tags,
        metadata=ask.metadata,
        launch=ask.launch,
        total=ask.total,
    )
    crashpoint("enter.claimed")
    now = store.clock.now()
    try:
        if replaces is None:
            is_ours = store.catalog.add_run(new, now)
        else:
            is_ours = store.catalog.replace_run(replaces.id, replaces.epoch, new, now)
        record = _ours(store, run, epoch=1) if is_ours else None
    except BaseException:
        hold.release()
        raise
    if record is None:
        hold.release()
        return None
    return Entered(record, hold, resumed=False)


def _take_over(store: StoreCore, ask: Ask, found: RunRecord) -> Entered | None:
    hold = store.ownership.claim(found.id, found.epoch + 1)
    if hold is None:
        return None
    crashpoint("enter.claimed")
    try:
        if not store.catalog.take_over(found.id, found.epoch, hold.owner, store.clock.now()):
            hold.release()
            return None
        record = _refresh(store, ask, found)
        if record is None:
            hold.release()
            return None
        crashpoint("enter.taken")
        has_rival = store.ownership.has_rival(found)
        store.ownership.forget(found.id, record.epoch)
    except BaseException:
        hold.release()
        raise
    if found.status is RunStatus.RUNNING:
        store.meter.count("takeovers")
    resumed = found.status is not RunStatus.COMPLETED
    log.info(
        "%s run %r (%s%s), epoch %d, from commit %d: %d%s items done",
        "resumed" if resumed else "entered completed",
        found.name,
        found.id,
        "" if found.origin is None or found.entered else f", forked from {found.origin}",
        record.epoch,
        record.sequence,
        record.progress.done,
        "" if record.progress.total is None else f" of {record.progress.total}",
        extra={
            "run": found.name,
            "key": found.key,
            "run_id": found.id,
            "epoch": record.epoch,
            "sequence": record.sequence,
            "done": record.progress.done,
            "total": record.progress.total,
        },
    )
    return Entered(record, hold, resumed, has_rival)


def _refresh(store: StoreCore, ask: Ask, found: RunRecord) -> RunRecord | None:
    """What this entry says anew about the run; None if somebody displaced us meanwhile."""
    changes: dict[str, Any] = {}
    if ask.launch is not None and ask.launch != found.launch:
        changes["launch"] = ask.launch
    if ask.fingerprint is not None and found.fingerprint is None:
        changes["fingerprint"] = ask.fingerprint
    if ask.total is not None and ask.total != found.progress.total:
        changes["total"] = ask.total
    for name in ("task", "tags", "metadata"):
        value = getattr(ask, name)
        if value and value != getattr(found, name):
            changes[name] = value
    if changes:
        store.catalog.change_run(found.id, found.epoch + 1, store.clock.now(), **changes)
    return _ours(store, found.id, epoch=found.epoch + 1)


def _ours(store: StoreCore, run: RunId, epoch: int) -> RunRecord | None:
    """The row, if it still is of the epoch that we claimed. Who is stopped between the two and displaced would read the
    epoch of its heir, and commit beside it as if it were the heir."""
    crashpoint("enter.look")
    record = store.catalog.get_run(run)
    return record if record is not None and record.epoch == epoch else None


def displace(store: StoreCore, found: RunRecord) -> RunRecord:
    """Forced takeover: the present owner, stopped or hung, is fenced out; the run waits to be entered again. A run that
    was left has no owner: nothing is changed."""
    if found.status is not RunStatus.RUNNING:
        return found
    hold = store.ownership.claim(found.id, found.epoch + 1)
    if hold is None:
        raise RunIsHeld(
            f"run {found.name!r} is being entered by another process at this moment. Nothing was changed. Try again.",
            run=found.id,
        )
    try:
        if not store.catalog.take_over(found.id, found.epoch, None, store.clock.now()):
            raise RunIsHeld(
                f"run {found.name!r} was taken over by another process at this moment. Nothing was changed by this "
                "one. See `waycairn show`.",
                run=found.id,
            )
        store.meter.count("takeovers.forced")
    finally:
        hold.release()
    record = store.catalog.get_run(found.id)
    assert record is not None, "a run that was just taken over is there"
    return record


def check_fingerprint(found: RunRecord, fingerprint: Mapping[str, Any] | None) -> None:
    """Raises FingerprintMismatch naming what differs. None, now or then, is not compared."""
    if fingerprint is None or found.fingerprint is None or dict(fingerprint) == dict(found.fingerprint):
        return
    before, missing = found.fingerprint, "(not there)"
    differences = [
        f"{name}: {before.get(name, missing)!r} then, {fingerprint.get(name, missing)!r} now"
        for name in sorted({*before, *fingerprint})
        if before.get(name, missing) != fingerprint.get(name, missing)
    ]
    raise FingerprintMismatch(
        f"run {found.name!r} was started with another fingerprint: {'; '.join(differences)}. Results of both would be "
        "mixed, so nothing was changed. Run it with the old values, or under another key, or give the old run up: "
        f"waycairn discard {found.name}",
        run=found.id,
        before=dict(before),
        now=dict(fingerprint),
    )


def enter_phase(store: StoreCore, parent: RunRecord, epoch: int, name: str) -> RunRecord:
    """The run of a phase, owned through its root. Made if it is missing."""
    found = store.catalog.find_run(parent.id, name, None)
    if found is None:
        run: RunId = new_run_id()
        new = NewRun(
            id=run,
            root=parent.root,
            parent=parent.id,
            name=name,
            key=None,
            owner=None,
            epoch=epoch,
            account=parent.account,
        )
        crashpoint("phase.add")
        store.catalog.add_run(new, store.clock.now())
        found = store.catalog.get_run(run)
        assert found is not None, "a run that was just added is there"
    return found
