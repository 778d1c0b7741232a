"""Asking the process that works on a run to stop."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from waycairn.errors import CannotCancel
from waycairn.model.records import Owner, RunRecord
from waycairn.process import is_here, send_signal
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited_commit
from waycairn.upkeep.standing import holder_of, owner_words


def owner_to_ask(core: StoreCore, run: RunRecord) -> Owner:
    """The living owner of a run, of a phase that of its root. Raises CannotCancel if it cannot be asked to stop."""
    owner = holder_of(core, run)
    if owner is None:
        _refuse(run, "no living process works on it", "Nothing was changed. See `waycairn runs`.")
    if not is_here(owner):
        _refuse(
            run,
            f"{owner_words(owner)} works on it, which cannot be reached from here",
            f"Nothing was changed. Run there: waycairn cancel {run.id}",
        )
    if owner.pid == os.getpid():
        _refuse(run, "this process works on it itself", "Nothing was changed. It is over when what was begun is done.")
    return owner


def cancel(core: StoreCore, run: RunRecord) -> RunRecord:
    """It is asked, and not waited for; how the run stands then. Raises CannotCancel."""
    with audited_commit(core, "run.cancel", run.id, name=run.name, key=run.key) as act:
        owner = owner_to_ask(core, run)
        act.facts.update(pid=owner.pid, host=owner.host)
        try:
            was_sent = send_signal(owner, signal.SIGTERM)
        except PermissionError:
            _refuse(
                run, f"{owner_words(owner)} belongs to another user of this host", "Nothing was changed. Ask that user."
            )
        if not was_sent:
            _refuse(run, f"{owner_words(owner)} has just ended", "Nothing was changed.")
    return core.catalog.get_run(run.id) or run


def _refuse(run: RunRecord, why: str, what: str) -> NoReturn:
    raise CannotCancel(f"run {run.name!r} ({run.id}) cannot be cancelled: {why}. {what}", run=run.id)
