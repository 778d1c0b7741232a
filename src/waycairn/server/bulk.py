"""One act on many runs: each is asked for by itself, and what cannot be done with one keeps nobody from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from waycairn.errors import OwnershipLost, RunNotFound, WaycairnError
from waycairn.model.records import RunRecord
from waycairn.model.run_pages import RunPage
from waycairn.server.access import Caller
from waycairn.server.launching import Started
from waycairn.server.models.runs import BulkAct, BulkAsked, ChosenRuns, Done
from waycairn.server.problems import Problem
from waycairn.server.serving import Serving
from waycairn.settings.secrets import without_passwords
from waycairn.upkeep.cancelling import owner_to_ask
from waycairn.upkeep.holding import held
from waycairn.upkeep.run_pages import list_page
from waycairn.upkeep.standing import Standing, standing_of
from waycairn.work.backing import refuse_backup

__all__ = ["Bulk"]

_MOST, _MOST_STARTED = 500, 50
"""Runs at once. What is started works: fifty processes are much for a host."""
_STARTS = frozenset({BulkAct.RESUME, BulkAct.RETRY})


@dataclass(slots=True)
class _Outcome:
    id: str
    standing: Standing | None
    outcome: Done
    detail: str | None = None
    started: Started | None = None

    def document(self) -> dict[str, Any]:
        run = None if self.standing is None else self.standing.run
        return {
            "run": self.id,
            "name": None if run is None else run.name,
            "status": None if self.standing is None else self.standing.word,
            "outcome": self.outcome,
            "detail": self.detail,
        }


class Bulk:
    """One request."""

    def __init__(self, serving: Serving, caller: Caller, asked: BulkAsked) -> None:
        self._serving, self._caller, self._act = serving, caller, asked.act
        self._store = serving.store
        self._asked = asked

    def run(self) -> list[dict[str, Any]]:
        """What became of each, or would. Raises Problem before anything is done."""
        if self._act in _STARTS:
            self._serving.launcher.refuse_if_off()
        chosen = list(self._chosen())
        if self._act in _STARTS and len(chosen) > _MOST_STARTED:
            _refuse_many(len(chosen), _MOST_STARTED)
        outcomes = [self._outcome(id_, run) for id_, run in chosen]
        self._settle(outcomes)
        return [one.document() for one in outcomes]

    def _chosen(self) -> Iterator[tuple[str, RunRecord | None]]:
        if self._asked.filter is not None:
            yield from ((run.id, run) for run in self._matching(self._asked.filter))
            return
        for id_ in dict.fromkeys(self._asked.runs or ()):
            try:
                yield id_, self._store.find(id_)
            except RunNotFound:
                yield id_, None

    def _matching(self, chosen: ChosenRuns) -> Sequence[RunRecord]:
        given = chosen.model_dump(exclude={"status"})
        page = list_page(self._store.core, [word.value for word in chosen.status], RunPage(**given, limit=_MOST))
        if page.last is not None:
            _refuse_many(None, _MOST)
        return [standing.run for standing in page.standings]

    def _outcome(self, id_: str, run: RunRecord | None) -> _Outcome:
        if run is None:
            return _Outcome(id_, None, Done.REFUSED, f"there is no run {id_} in this store")
        standing = standing_of(self._store.core, run)
        try:
            return self._do(standing)
        except (WaycairnError, OwnershipLost, Problem) as error:
            return _Outcome(run.id, standing, Done.REFUSED, without_passwords(str(error)))

    def _do(self, standing: Standing) -> _Outcome:
        """Raises for what is not done."""
        run = standing.run
        if not self._caller.may_touch(run.account):
            raise Problem(403, "not yours", f"run {run.id} is not yours. Nothing was done.")
        detail = self._check(standing)
        if self._asked.dry_run:
            return _Outcome(run.id, standing, Done.WOULD, detail)
        acts: dict[BulkAct, Callable[[str], RunRecord]] = {
            BulkAct.DISCARD: self._store.discard,
            BulkAct.CANCEL: self._store.cancel,
        }
        if self._act in acts:
            after = acts[self._act](run.id)
            return _Outcome(run.id, standing_of(self._store.core, after), Done.DONE, detail)
        started = self._serving.launcher.start(run, retry_failed=self._retries)
        return _Outcome(run.id, standing, Done.DONE, started.launched.command, started)

    @property
    def _retries(self) -> bool | None:
        return True if self._act is BulkAct.RETRY else None

    def _check(self, standing: Standing) -> str | None:
        """What can be known before. Raises for what would be refused."""
        run = standing.run
        match self._act:
            case BulkAct.DISCARD:
                refuse_backup(self._store.core, run, "given up")
                if standing.holder is not None:
                    raise held(run, standing.holder)
                if run.status.is_finished:
                    raise Problem(409, "finished", f"run {run.name!r} is {run.status}: there is nothing to give up.")
            case BulkAct.CANCEL:
                owner_to_ask(self._store.core, run)
            case _:
                return self._serving.launcher.command_of(run).retrying(self._retries).shell_line()
        return None

    def _settle(self, outcomes: Sequence[_Outcome]) -> None:
        """All are looked at for as long as one is."""
        patience: dict[str, float] = {}
        for one in outcomes:
            if one.started is not None:
                try:
                    one.started.settle(**patience)
                except Problem as problem:
                    one.outcome, one.detail = Done.REFUSED, problem.detail
                patience = {"patience": 0.02}


def _refuse_many(count: int | None, most: int) -> None:
    said = f"more than {most}" if count is None else f"{count}"
    raise Problem(
        422, "too many runs", f"these are {said} runs; {most} are the most at once. Nothing was done. Choose fewer."
    )
