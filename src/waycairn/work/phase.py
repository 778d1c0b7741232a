"""`run.phase`: a call with a run of its own below this one, whose result is remembered."""

from __future__ import annotations

from typing import Any

from waycairn.codec import Types
from waycairn.errors import Damaged
from waycairn.model.records import RunRecord
from waycairn.model.states import RunStatus
from waycairn.work.entering import enter_phase
from waycairn.work.execution import Execution
from waycairn.work.request import PACED


class PhaseCall:
    """One call of `run.phase`: known already, or a child execution to run the function in."""

    def __init__(self, parent: Execution, name: str, types: Types) -> None:
        parent.enter_phase(name)
        self._parent = parent
        self._name = name
        self._types = types
        cutter = parent.cutter
        record = enter_phase(parent.store, parent.record, cutter.epoch, name)
        cutter.phases.met(record)
        self.is_known = record.status is RunStatus.COMPLETED
        self.result: Any = self._recall(record) if self.is_known else None
        if not self.is_known:
            cutter.take(PACED)
            self.child = Execution(
                parent.store,
                record,
                pace=parent.pace,
                gate=parent.gate,
                hold=None,
                resumed=record.sequence > 0,
                has_rival=parent.has_rival,
                progress=parent.progress_mode,
                share=parent.share,
            )
            self.child.is_in_block = True
            self.child.cutter.mark = cutter.mark
            cutter.phases.begun(name, self.child.cutter)
            self.child.cutter.is_lost = cutter.is_lost
            self.child.cutter.behind.pool = cutter.behind.pool

    def _recall(self, record: RunRecord) -> Any:
        """What the completed phase returned. Raises Damaged if that cannot be read."""
        parent = self._parent
        kept = parent.store.catalog.latest_checkpoint(record.id, role="result")
        if kept is None:
            raise Damaged(
                f"phase {self._name!r} is completed, but its result is gone or damaged. Nothing was changed. Give the "
                f"phase up, so that it runs again: waycairn discard {record.id}",
                run=record.id,
            )
        at = kept.checkpoint.metadata.get("parent_sequence", 0)
        parent.cutter.guard.note_replayed(f"phase {self._name}", at, parent.cutter.state)
        return parent.store.load(kept.checkpoint.stored, types=self._types)

    def keep(self, result: Any) -> None:
        """What the phase returned, with the phase. TypeError if it could not be restored."""
        try:
            self.child.complete(result, self._types, {"parent_sequence": self._parent.cutter.sequence})
        except TypeError as error:
            raise TypeError(
                f"the result of phase {self._name!r} cannot be remembered: {error}. Everything inside the phase is "
                "safe. Annotate the return type of the function, or pass returns=."
            ) from error

    def leave(self, error: BaseException | None) -> None:
        """The child is left; behind a phase that ended lies a cut of the parent."""
        self.child.leave(error)
        if error is None:
            self._parent.cutter.take(PACED)
            self._parent.stop_if_asked()
