"""Which checkpoints of a run go, and who says so. Pure: who asks removes them.

For each checkpoint the first of these decides:

1. a pinned one stays;
2. so does what a run cannot do without: results, where a stream stands, parts of saves of several processes;
3. the newest that can be restored from (of the state, and of each value by its name) stays while its run is unfinished, and
   the newest value saved under a name always;
4. one whose time is over goes (`expires`, from `ttl=`);
5. after a success: as `after_success` says;
6. the newest one of a finished run stays, unless it is older than `max_age_final`;
7. what is too old goes (`max_age_completed`, `max_age`);
8. what `keep` does not name goes;
9. the rest stays.

If all together take more than `max_size`, those that are left are given up in this order, the older ones first: damaged
ones, those of finished runs, those of unfinished runs, at last the newest ones of finished runs. What 1 to 3 protect is
never among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from waycairn.model.ids import RunId
from waycairn.model.policies import NEVER, Policies, Said, Settings, Subject
from waycairn.model.retention import Candidate

_TOUCHED = frozenset({"state", "value", "error"})
"""Roles of which older ones may go."""
DAMAGED, FINISHED, UNFINISHED, LAST = range(4)
"""The order in which checkpoints are given up for room."""


class Held(NamedTuple):
    """A checkpoint, as far as retention looks at it."""

    sequence: int
    created: float
    kind: str
    role: str
    verified: bool
    """It can be restored from: not damaged, not set aside."""
    pinned: bool
    expires: float | None
    size: int
    """Bytes that it brought into the store."""
    metrics: Mapping[str, Any] | None = None


class RunFacts(NamedTuple):
    """The run of checkpoints."""

    num: int
    id: RunId
    name: str
    """Of the outermost run."""
    phase: str | None
    task: str | None
    is_value: bool
    """Not a run that somebody works on, but a name that values are saved under."""
    is_finished: bool
    """The outermost run is completed or given up."""
    is_completed: bool
    since: float
    """When that was last changed."""


class Verdict(NamedTuple):
    """What becomes of a checkpoint, and the rule that said so."""

    stays: bool
    rule: str
    sacrifice: int | None = None
    """When it is given up for room; None: never."""


class Dropped(NamedTuple):
    """Checkpoints of one run that are to go, and what that leans on."""

    run: RunFacts
    sequences: Sequence[int]
    newest: Mapping[tuple[str, str], int]
    """The newest ones that can be restored from and stay, by role and (of values) kind."""


@lru_cache(maxsize=4096)
def _verdict(stays: bool, rule: str, sacrifice: int | None = None) -> Verdict:
    """Few different ones for very many checkpoints."""
    return Verdict(stays, rule, sacrifice)


def heads(rows: Iterable[Held]) -> dict[tuple[str, str], int]:
    """The newest ones that can be restored from, by role and (of values) kind: what a run goes on from."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.verified and row.role in _TOUCHED:
            found.setdefault(head_of(row), row.sequence)
    return found


def head_of(row: Held) -> tuple[str, str]:
    """What a checkpoint is the newest one of, if it is."""
    return row.role, row.kind if row.role == "value" else ""


def decide(policies: Policies, run: RunFacts, rows: Sequence[Held], now: float) -> list[Verdict]:
    """Of each checkpoint of one run; newest first, as `rows` are."""
    newest = heads(rows)
    groups: dict[tuple[str, str], list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault((row.role, row.kind), []).append(at)
    verdicts: list[Verdict] = [_verdict(True, "")] * len(rows)
    for (role, kind), places in groups.items():
        settings = policies.in_force(Subject(kind, run.phase, run.name, run.task, role == "value"))
        group = _Group(policies, settings, run, [rows[at] for at in places], newest, now)
        for at in places:
            verdicts[at] = group.verdict(rows[at])
    return verdicts


class _Group:
    """The checkpoints of one kind in one run."""

    def __init__(  # noqa: PLR0917 - one private call
        self,
        policies: Policies,
        settings: Settings,
        run: RunFacts,
        rows: Sequence[Held],
        newest: Mapping[tuple[str, str], int],
        now: float,
    ) -> None:
        self._settings = settings
        self._run = run
        self._newest = newest
        self._now = now
        self._stay: set[int] = set()
        self._oldest = -1
        keep = settings.keep.value
        if not keep.is_all:
            few = [Candidate(row.sequence, row.metrics, row.pinned, row.verified) for row in rows]
            self._stay, self._oldest = keep.chosen(few, [row.created for row in rows], policies.zone)
        after = settings.after_success.value.keep
        verified = [row.sequence for row in rows if row.verified]
        self._succeeded = set(verified[:after]) if after and run.is_completed else set()

    def verdict(self, row: Held) -> Verdict:
        run = self._run
        if row.pinned:
            return _verdict(True, "it is pinned")
        if row.role not in _TOUCHED:
            return _verdict(True, _NEEDED.get(row.role, "it is part of another one"))
        is_head = self._newest.get(head_of(row)) == row.sequence
        if is_head and run.is_value:
            return _verdict(True, "the newest value of its name")
        if is_head and not run.is_finished and row.role != "error":
            return _verdict(True, "the unfinished run goes on from it")
        if row.expires is not None and row.expires <= self._now:
            return _verdict(False, "its time is over (expires)")
        return self._after_success(row) or (self._final(row) if is_head else self._intermediate(row))

    def _after_success(self, row: Held) -> Verdict | None:
        said = self._settings.after_success
        if not self._run.is_completed or said.value.keep is None or row.sequence in self._succeeded:
            return None
        what = "delete" if not said.value.keep else f"keep last {said.value.keep}"
        return _verdict(False, f'after_success "{what}" of {said.by}')

    def _final(self, row: Held) -> Verdict:
        said = self._settings.max_age_final
        if self._run.is_finished and self._is_over(row, said, self._run.since):
            return _verdict(False, _too_old("max_age_final", said))
        return _verdict(True, "the newest one of its run", LAST if self._run.is_finished else UNFINISHED)

    def _intermediate(self, row: Held) -> Verdict:
        settings, run = self._settings, self._run
        if run.is_finished and self._is_over(row, settings.max_age_completed, run.since):
            return _verdict(False, _too_old("max_age_completed", settings.max_age_completed))
        if self._is_over(row, settings.max_age):
            return _verdict(False, _too_old("max_age", settings.max_age))
        said = settings.keep
        sacrifice = DAMAGED if not row.verified else FINISHED if run.is_finished else UNFINISHED
        if said.value.is_all:
            return _verdict(True, "nothing says that it goes", sacrifice)
        if row.sequence in self._stay or (not row.verified and row.sequence > self._oldest):
            return _verdict(True, f'keep "{said.value.text}" of {said.by}', sacrifice)
        return _verdict(False, f'not among keep "{said.value.text}" of {said.by}')

    def _is_over(self, row: Held, said: Said, since: float = 0.0) -> bool:
        limit: float = said.value
        return limit != NEVER and self._now - max(row.created, since) > limit


_NEEDED = {"result": "what its run returned", "stream": "where a stream stands"}


def _too_old(name: str, said: Said) -> str:
    hours, rest = divmod(said.value, 3600)
    text = f"{hours:g}h" if not rest and hours else f"{said.value:g}s"
    return f"older than {name} {text} of {said.by}"


# -- room ------------------------------------------------------------------------------------------------------------


class Spare(NamedTuple):
    """A checkpoint that may be given up for room. In the order of its fields: what goes first is smallest."""

    sacrifice: int
    created: float
    num: int
    sequence: int
    size: int


def given_up(spare: Iterable[Spare], excess: int) -> list[Spare]:
    """Of those that may be given up the first ones that brought at least so many bytes. Chunks that others share stay, so
    what is freed can be less: who asks looks again."""
    chosen: list[Spare] = []
    for one in sorted(spare):
        if excess <= 0:
            break
        chosen.append(one)
        excess -= one.size
    return chosen
