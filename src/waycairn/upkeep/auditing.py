"""The audit log at work: every act that changes or exports data says who did what to what, and how it ended.

    with audited_commit(core, "run.discard", run.id):           # one transaction: the row is in it
        core.catalog.change_run(...)
    with audited(core, "sweep") as act:                         # longer: a row when it begins, one when it ends
        act.facts["chunks"] = remove_everything()
    record(core, "key.rotate", key, facts={"generation": 2})    # it is done, and this says so

Commits of runs are no such acts: those are in the history of the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from waycairn.errors import AccountError, BackupError, OwnershipLost, RunError, StoreError
from waycairn.model.audit import CUT, AuditEntry, AuditRow, Outcome, plain_facts
from waycairn.process import current_actor
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint

__all__ = ["Act", "audited", "audited_commit", "cut", "cut_if_due", "record"]

log = logging.getLogger("waycairn")

_DAY = 86_400.0
_LONGEST = 500
"""Characters of an error that are kept."""
_REFUSALS = (RunError, BackupError, AccountError, ValueError, OwnershipLost)
"""With these nothing was changed."""


@dataclass(slots=True)
class Act:
    """What is done, while it is done."""

    name: str
    object: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    """More of them may be added as long as the act goes on."""
    is_quiet: bool = False
    """Set where it turns out that nothing was to be done: then no row says that it was."""


def record(
    core: StoreCore,
    act: str,
    object: str | None = None,  # noqa: A002 - that is what it is called
    outcome: Outcome = Outcome.DONE,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append one row, durable when this returns. Raises StoreError if it cannot be written: then nothing was."""
    if core.settings.audit.on:
        core.catalog.add_audit(_entry(core, Act(act, object, dict(facts or {})), outcome))


@contextmanager
def audited_commit(
    core: StoreCore,
    act: str,
    object: str | None = None,  # noqa: A002
    *,
    rides_with: Callable[[Any], bool] = lambda _: True,
    **facts: Any,
) -> Iterator[Act]:
    """An act that is one transaction of the catalog: the first one of this thread in the block carries the row, or the first
    of those that give what `rides_with` accepts.

    A block that changes nothing is written down all the same, when it ends; unless it sets `is_quiet`. One that raises is
    `refused` or `failed`, with the error.
    """
    doing = Act(act, object, dict(facts))
    if not core.settings.audit.on:
        yield doing
        return

    def entry_of(result: Any) -> AuditEntry | None:
        return _entry(core, doing, Outcome.DONE) if rides_with(result) and not doing.is_quiet else None

    # What is said of an error, or of nothing done, must not take the rider along: hence outside of its block.
    failure: BaseException | None = None
    with core.catalog.riding(entry_of) as rider:
        try:
            yield doing
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
    if failure is not None:
        if not rider.is_there:
            _note_error(core, doing, failure)
        raise failure
    if not rider.is_there and not doing.is_quiet:
        core.catalog.add_audit(_entry(core, doing, Outcome.DONE))


@contextmanager
def audited(
    core: StoreCore,
    act: str,
    object: str | None = None,  # noqa: A002
    *,
    reads_only: bool = False,
    **facts: Any,
) -> Iterator[Act]:
    """An act of more than one transaction: a row before it begins, without which it does not, and one when it has ended.

    `reads_only`: it takes data out and changes nothing here. Then a store that cannot be written, on a medium that is
    full, read-only or failing, does not keep anybody from saving what it holds; a warning is logged instead.
    """
    doing = Act(act, object, dict(facts))
    if not core.settings.audit.on:
        yield doing
        return
    _append(core, doing, Outcome.BEGUN, forgiving=reads_only)
    crashpoint("audit.begun")
    try:
        yield doing
    except BaseException as error:
        _note_error(core, doing, error)
        raise
    _append(core, doing, Outcome.DONE, forgiving=reads_only)
    crashpoint("audit.ended")


def _note_error(core: StoreCore, doing: Act, error: BaseException) -> None:
    """How it ended. What raised is what the caller learns, also if this cannot be written."""
    doing.facts["error"] = f"{type(error).__name__}: {error}"[:_LONGEST]
    _append(core, doing, Outcome.REFUSED if isinstance(error, _REFUSALS) else Outcome.FAILED, forgiving=True)


def _append(core: StoreCore, doing: Act, outcome: Outcome, *, forgiving: bool) -> None:
    try:
        core.catalog.add_audit(_entry(core, doing, outcome))
    except (StoreError, OSError) as error:
        if not forgiving:
            raise
        log.warning("%s, %s, could not be written to the audit log: %s", doing.name, outcome, error)


def _entry(core: StoreCore, doing: Act, outcome: Outcome) -> AuditEntry:
    return AuditEntry(
        at=core.clock.now(),
        actor=current_actor(),
        act=doing.name,
        object=doing.object,
        outcome=outcome,
        facts=plain_facts(doing.facts),
    )


# -- cutting -----------------------------------------------------------------------------------------------------------


def cut_if_due(core: StoreCore) -> int:
    """As the setting `audit.keep_days` says; nothing where it is not set."""
    days = core.settings.audit.keep_days
    return cut(core, core.clock.now() - days * _DAY) if days is not None else 0


def cut(core: StoreCore, before: float) -> int:
    """Remove the oldest rows up to the last one from before a moment (seconds since 1970). In the same transaction a row
    says so, with the number and hash of the last that went: the chain is checked from there on. How many went."""
    through = _last_before(core, before)
    if through is None:
        return 0

    def entry_of(last: AuditRow, removed: int) -> AuditEntry:
        facts = {"through": last.number, "hash": last.hash.hex(), "rows": removed, "before": before}
        return _entry(core, Act(CUT, None, facts), Outcome.DONE)

    removed = core.catalog.cut_audit(through, entry_of)
    crashpoint("audit.cut")
    return removed


def _last_before(core: StoreCore, before: float) -> int | None:
    """The end of the run of old rows at the beginning; a clock that jumped back leaves more standing, never less."""
    found: int | None = None
    for row in core.catalog.audit_after(0):
        if row.damage is not None or row.entry.at >= before:
            break
        found = row.number
    return found
