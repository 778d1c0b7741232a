"""Policies applied to a store: what they let go is looked for without a lock and removed in bounded transactions, each of which
looks once more at what the decision leans on (see `catalog.retention`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from waycairn.model.ids import checkpoint_id
from waycairn.model.policies import Policies
from waycairn.model.retaining import Dropped, Held, RunFacts, Spare, Verdict, decide, given_up, head_of, heads
from waycairn.model.sweeping import Decision, Ruled, Stride
from waycairn.store import StoreCore
from waycairn.upkeep import events
from waycairn.upkeep.mirror_folder import forget_copies, mirror_root
from waycairn.world import history
from waycairn.world.crashpoints import crashpoint

_FEWEST, _MOST = 50, 1000
"""Checkpoints that one transaction removes: of the most, commits wait some hundredths of a second for it."""
FOR_ROOM = "given up for room (max_size)"


def _stride() -> Stride:
    return Stride(_FEWEST, _MOST, _MOST)


class Tally:
    """How many checkpoints stay and go by which rule; of a dry run also each of them."""

    def __init__(self, *, lists: bool) -> None:
        self.lists = lists
        self.decisions: list[Decision] = []
        self._counts: Counter[Verdict] = Counter()
        self._bytes: Counter[Verdict] = Counter()

    def add(self, run: RunFacts, row: Held, verdict: Verdict) -> None:
        self._counts[verdict] += 1
        self._bytes[verdict] += row.size
        if self.lists:
            id_ = checkpoint_id(run.id, row.sequence)
            facts = (run.name, run.phase, row.kind, row.created)
            self.decisions.append(Decision(id_, *facts, verdict.stays, verdict.rule, row.size))

    def give_up(self, spare: Sequence[Spare]) -> None:
        """Those were told to stay before, and go for room."""
        gone = Verdict(False, FOR_ROOM)
        self._counts[gone] += len(spare)
        self._bytes[gone] += sum(one.size for one in spare)

    @property
    def dropped(self) -> int:
        return sum(count for verdict, count in self._counts.items() if not verdict.stays)

    @property
    def rules(self) -> list[Ruled]:
        """What goes first."""
        found: dict[tuple[bool, str], Ruled] = {}
        for verdict, count in self._counts.items():
            before = found.get(verdict[:2], Ruled(*verdict[:2], 0, 0))
            found[verdict[:2]] = before._replace(
                checkpoints=before.checkpoints + count, bytes=before.bytes + self._bytes[verdict]
            )
        return sorted(found.values())


def drop_retained(core: StoreCore, policies: Policies, tally: Tally, stop: Callable[[], bool]) -> None:
    """Remove what the policies let go."""
    now = core.clock.now()
    stride = _stride()
    pending: list[Dropped] = []
    for run, rows in core.catalog.held(metrics=policies.needs_metrics):
        verdicts = decide(policies, run, rows, now)
        for drop in _drops(run, rows, verdicts, stride, tally):
            pending.append(drop)
            if sum(len(one.sequences) for one in pending) >= stride.size:
                _drop(core, pending, stride)
                pending = []
                if stop():
                    return
    _drop(core, pending, stride)


def would_drop(core: StoreCore, policies: Policies, tally: Tally) -> dict[int, set[int]]:
    """The same by looking alone: sequences by the number of their run."""
    now = core.clock.now()
    gone: dict[int, set[int]] = {}
    for run, rows in core.catalog.held(metrics=policies.needs_metrics):
        for drop in _drops(run, rows, decide(policies, run, rows, now), _stride(), tally):
            gone.setdefault(run.num, set()).update(drop.sequences)
    return gone


def spare(core: StoreCore, policies: Policies, without: dict[int, set[int]]) -> Iterator[Spare]:
    """What may be given up for room."""
    now = core.clock.now()
    for run, rows in core.catalog.held(metrics=policies.needs_metrics):
        gone = without.get(run.num, ())
        for row, verdict in zip(rows, decide(policies, run, rows, now), strict=True):
            if verdict.stays and verdict.sacrifice is not None and row.sequence not in gone:
                yield Spare(verdict.sacrifice, row.created, run.num, row.sequence, row.size)


def give_up(core: StoreCore, policies: Policies, excess: int) -> list[Spare]:
    """Remove the first ones that may be given up, of about so many bytes; those that were."""
    chosen = given_up(spare(core, policies, {}), excess)
    stride = _stride()
    wanted: dict[int, set[int]] = {}
    for one in chosen:
        wanted.setdefault(one.num, set()).add(one.sequence)
    for run, rows in core.catalog.held(metrics=False):
        if run.num in wanted:
            go = wanted[run.num]
            verdicts = [Verdict(row.sequence not in go, "") for row in rows]
            for drop in _drops(run, rows, verdicts, stride):
                _drop(core, [drop], stride)
    return chosen


def _drops(
    run: RunFacts, rows: Sequence[Held], verdicts: Sequence[Verdict], stride: Stride, tally: Tally | None = None
) -> Iterator[Dropped]:
    """In parts that one transaction can remove. Oldest first: killed in between, it leaves the newer ones."""
    if tally is not None:
        for row, verdict in zip(rows, verdicts, strict=True):
            tally.add(run, row, verdict)
    going = [row for row, verdict in zip(rows, verdicts, strict=True) if not verdict.stays]
    if not going:
        return
    gone = {row.sequence for row in going}
    needed = {head_of(row) for row in going}
    newest = {head: at for head, at in heads(rows).items() if head in needed and at not in gone}
    left = reversed(going)
    while part := [row.sequence for row in islice(left, int(stride.size))]:
        yield Dropped(run, part, newest)


def _drop(core: StoreCore, drops: Sequence[Dropped], stride: Stride) -> None:
    if not drops:
        return
    began = core.clock.monotonic()
    if history.is_on():
        history.note(history.Expiring(what=_ids(drops)))
    done = core.catalog.drop_held(drops)
    crashpoint("sweep.dropped")
    count = sum(len(drop.sequences) for drop in drops)
    pause = stride.took(count, core.clock.monotonic() - began, core.catalog.is_awaited())
    events.expired(core, _ids(done))
    _forget_copies(core, done)
    if history.is_on():
        history.note(history.Deleted(what=_ids(done)))
    leave_to_others(core, pause)


def leave_to_others(core: StoreCore, seconds: float) -> None:
    """So long nobody has to wait for this one; nor for what its transaction left to be written back."""
    if seconds:
        core.catalog.write_back()
        core.clock.sleep(seconds)


def _ids(drops: Sequence[Dropped]) -> list[str]:
    return [checkpoint_id(drop.run.id, sequence) for drop in drops for sequence in drop.sequences]


def _forget_copies(core: StoreCore, drops: Sequence[Dropped]) -> None:
    """What is gone is not kept as a readable copy either."""
    root = mirror_root(core)
    if root is None or not root.is_dir():
        return
    for drop in drops:
        run = core.catalog.get_run(drop.run.id)
        if run is not None:
            forget_copies(core, run, drop.sequences)
