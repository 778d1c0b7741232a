"""One entry into one run: what both faces, Run and AsyncRun, are made of.

Whatever writes is split in two: it is decided and encoded at once, on the thread of the user's code, and comes
back as a call that writes. Run makes that call, AsyncRun awaits it in a thread.
"""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from waycairn.codec import Types, encode
from waycairn.errors import OwnershipLost
from waycairn.measuring.spans import RunSpan
from waycairn.model.ids import CheckpointId
from waycairn.model.policy import Pace
from waycairn.model.records import RunRecord
from waycairn.model.states import RunStatus
from waycairn.ports import Hold
from waycairn.process import SignalGate, interruption
from waycairn.store import CheckpointDraft, StoreCore
from waycairn.work import leaving
from waycairn.work.cut import Cutter
from waycairn.work.encoding import encode_value, refuse_files
from waycairn.work.forks import watch
from waycairn.work.output import OutputFiles
from waycairn.work.queueing import Queue
from waycairn.work.reporting import Reporter
from waycairn.work.request import PACED, STATE_KIND, Request
from waycairn.work.restoring import attach_state, attach_tracked, let_go, tracked_of
from waycairn.work.sharing import Share, settle
from waycairn.work.step import StepCall, Steps, arguments_digest, check_name, result_types
from waycairn.work.tracking import Compress, part_of

if TYPE_CHECKING:
    from waycairn.work.passing import Looped
    from waycairn.work.session import Session

Write = Callable[[], CheckpointId | None]


class Awaited(Protocol):
    async def aclose(self) -> None: ...


class Execution:
    """Held by one process, used from one thread at a time. Nothing works in a forked child."""

    def __init__(
        self,
        store: StoreCore,
        record: RunRecord,
        *,
        pace: Pace,
        gate: SignalGate,
        hold: Hold | None,
        resumed: bool,
        has_rival: bool,
        progress: str | None = None,
        share: Share | None = None,
    ) -> None:
        self.store = store
        self.record = record
        self.pace = pace
        self.progress_mode = progress
        self.share = share
        self.gate = gate
        self.resumed = resumed
        self.has_rival = has_rival
        self.cutter = Cutter(store, record, pace)
        if hold is not None:
            self.cutter.is_lost = hold.is_lost
        self.reporter = Reporter(
            record.name if record.key is None else f"{record.name} [{record.key}]",
            progress,
            store.clock.monotonic(),
            self.cutter.progress_now,
        )
        self.loops: dict[str, Looped] = {}
        self.awaited: list[Awaited] = []
        """What is closed by awaiting, when an AsyncRun is left."""
        self.files = OutputFiles(self.cutter, has_rival=has_rival)
        self.overlaps = False
        """True if other tasks run while a cut is written (async): then what they could change is copied first."""
        self.turn: Any = None
        """Of tasks (async): the lock of whoever encodes and writes, so that commits keep their order."""
        self.is_completed = False
        self.is_in_block = False
        self.entered_at = store.clock.monotonic()
        self.session: Session | None = None
        self.span = RunSpan(record.id, record.name, key=record.key, epoch=record.epoch, resumed=resumed)
        self.status: RunStatus | None = None
        """What it became; None until it was left normally."""
        self._steps = Steps(self.cutter)
        self._hold = hold
        self._has_total = record.progress.total is not None and not record.sequence
        self._totals: dict[str, int] = {}
        self._pid = os.getpid()
        watch(self.cutter)

    # -- loops ---------------------------------------------------------------------------------------------------

    def open_loop(self, loop: Looped) -> None:
        """ValueError if the name is used in this entry already."""
        self.cutter.check_usable()
        if loop.name in self.loops:
            raise ValueError(
                f"loop {loop.name!r} is used twice in this run: items of the second would be taken for those of the "
                "first. Nothing was done. Give it a name of its own: run.each(..., name=...)"
            )
        both = [loop, *self.loops.values()]
        if self.cutter.state is not None and len(both) > 1 and any(one.keeps_state for one in both):
            raise ValueError(
                f"loop {loop.name!r} is a second one in a run that follows files beside a state: the state lies beside the "
                "offsets of that stream, and what another loop changes in it would be lost. Nothing was done. Use a run or "
                "a phase of its own for it, or keep the counts in rows."
            )
        self.loops[loop.name] = loop

    def queue(self, seed: Iterable[Any], key: Any, name: str, types: Types) -> Queue[Any]:
        check_name("queue", name)
        if self.share is not None:
            raise ValueError("a part has no queue: what it adds may belong to another part. Nothing was done.")
        self.cutter.check_usable()
        if any(queue.name == name for queue in self.cutter.queues):
            raise ValueError(f"queue {name!r} is used twice in this run. Nothing was done. Give it a name of its own.")
        return Queue(self.cutter, seed, key, name, types)

    def leave_loop(self, name: str) -> None:
        """`break`, or the loop was dropped: its open item is undone."""
        item = self.cutter.open_item
        if item is not None and item[0] == name and self._pid == os.getpid() and not self.cutter.is_closed:
            self.cutter.abandon_item()

    def expect(self, loop: str, total: int) -> None:
        """The loop will have that many items; the run has the sum, unless the user gave a total."""
        self._totals[loop] = total
        if not self._has_total:
            self.cutter.expect(sum(self._totals.values()))

    def report(self, now: float) -> None:
        """Tell how far it has come, if that is due."""
        if now >= self.reporter.due:
            self.reporter.look(now)

    # -- steps and phases ----------------------------------------------------------------------------------------

    def begin_step(
        self, name: str, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any], returns: Any
    ) -> StepCall:
        """A call to be made, or known already."""
        return self._steps.begin(name, result_types(function, returns), arguments_digest(arguments, named))

    def enter_phase(self, name: str) -> None:
        """Note the name; a phase lies between items, never inside one."""
        check_name("phase", name)
        self.cutter.check_usable()
        if self.cutter.open_item is not None:
            raise ValueError(
                f"phase {name!r} begins inside an item: a cut lies between items and phases, never inside one. "
                "Nothing was done. Use run.step inside an item."
            )
        self._steps.enter(f"phase {name}")

    # -- state, checkpoints, values --------------------------------------------------------------------------------

    def attach_state(self, target: Any) -> None:
        self.cutter.check_usable()
        if self.cutter.state is not None:
            raise ValueError(
                "this run has a state already; a run has one. Put both into one dict or dataclass, or use a phase."
            )
        attach_state(self.cutter, target, has_begun=bool(self.loops) or self._steps.has_begun)

    def track(self, objects: Mapping[str, Any], *, rng: bool, strict: bool, compress: Compress | None) -> None:
        """Keep these beside each other; restored if there is a checkpoint."""
        cutter = self.cutter
        cutter.check_usable()
        if cutter.open_item is not None:
            raise ValueError(
                "run.track inside a step or item: its beginning is past. Nothing was done. Track it before the loop."
            )
        parts = {name: part_of(name, target) for name, target in objects.items()}
        tracked = tracked_of(cutter)
        if twice := sorted(set(parts) & set(tracked.parts)):
            raise ValueError(f"{', '.join(twice)} is tracked already. Nothing was done. Give it a name of its own.")
        if compress is not None:
            from waycairn.chunks import check_compression

            check_compression(compress)
            tracked.compress = compress
        tracked.has_rng |= rng
        attach_tracked(cutter, parts, strict=strict, has_begun=bool(self.loops) or self._steps.has_begun)
        if rng:
            cutter.at_first = tracked.restore_rng
        if not strict:
            let_go(tracked)
        if cutter.restored is None:
            cutter.behind.measure(tracked)  # an early TypeError is better than one at the first save, an hour later

    def offer(
        self,
        kind: str = STATE_KIND,
        *,
        iteration: int | None = None,
        tags: Sequence[str] = (),
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | None = None,
        force: bool = False,
    ) -> Write | None:
        """The cut that `checkpoint` asks for; None if it is paced away, or deferred to the end of the open item."""
        is_plain = (
            not (force or tags or metadata)
            and kind == STATE_KIND
            and (iteration, description, ttl) == (None, None, None)
        )
        if is_plain:
            request = PACED
        else:
            if kind != STATE_KIND:
                check_name("checkpoint's kind", kind)
            request = Request(
                kind=kind,
                iteration=iteration,
                tags=tuple(tags),
                description=description,
                metadata=dict(metadata or {}),
                ttl=ttl,
            )
        cutter = self.cutter
        cutter.check_usable()
        if cutter.open_item is not None:
            cutter.want(request)
            return None
        if is_plain and not self.gate.received and not cutter.pacer.is_due(self.store.clock.monotonic()):
            return None
        return self.cut(request)

    def cut(self, request: Request) -> Write:
        """A cut, encoded now."""
        return functools.partial(self.cutter.commit, self.cutter.prepare(request, detached=self.overlaps))

    def value(
        self,
        name: str,
        value: Any,
        *,
        tags: Sequence[str] = (),
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | None = None,
        behind: bool = False,
    ) -> Callable[[], Any]:
        """A value to be saved beside the state; `behind`: a call that gives the Saving."""
        check_name("saved value", name)
        self.cutter.check_usable()
        draft = functools.partial(
            CheckpointDraft,
            kind=name,
            role="value",
            tags=tuple(tags),
            description=description,
            metadata=dict(metadata or {}),
            expires=None if ttl is None else self.store.clock.now() + ttl,
        )
        if behind:
            refuse_files(value)
            return functools.partial(self.cutter.value_behind, value, draft)
        encoded = encode_value(value).detached() if self.overlaps else encode_value(value)
        return functools.partial(self.cutter.commit_beside, checkpoint=draft(encoded=encoded))

    def progress(self, done: int | None, total: int | None, advance: int, note: str | None) -> Write | None:
        """What `run.progress` was told; a cut if one is due."""
        cutter = self.cutter
        cutter.check_usable()
        cutter.tell(done=done, total=total, advance=advance, note=note)
        now = self.store.clock.monotonic()
        self.report(now)
        if cutter.open_item is None and cutter.pacer.is_due(now):
            return self.cut(PACED)
        return None

    def log(self, step: int | None, metrics: Mapping[str, Any]) -> None:
        """What `run.log` was told."""
        cutter, journal = self.cutter, self.cutter.journal
        cutter.check_usable()
        if step is None:
            step = journal.step
        if step is None:
            journal.log_next(metrics, lambda: self.store.catalog.newest_step(cutter.run))
        else:
            journal.log(operator.index(step), metrics)

    # -- leaving -------------------------------------------------------------------------------------------------

    def stop_if_asked(self, *, inside: bool = False, said: str | None = None) -> None:
        """Raise Interrupted if a signal came; called right after a cut, or with what is `said` of there being none.
        `inside`: also while an item is open."""
        number = self.gate.received
        if number is not None and (inside or self.cutter.open_item is None):
            raise interruption(number, self.record.name, *([] if said is None else [said]))

    def complete(self, result: Any, types: Types | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        """The job is done; keep what it returned. Outside a block the run is left at once."""
        self.cutter.check_usable()
        if result is not None or metadata is not None:
            draft = CheckpointDraft(
                kind="result", role="result", encoded=encode(result, types=types), metadata=dict(metadata or {})
            )
            self.cutter.commit_beside(checkpoint=draft)
        self.is_completed = True
        if not self.is_in_block:
            self.leave(None)

    def leave(self, error: BaseException | None) -> None:
        """Take the last cut, or record the failure; give the run back."""
        if self._pid != os.getpid() or self.cutter.is_closed:
            return
        is_failing = True
        try:
            if error is not None:
                self.cutter.behind.end()  # an error of its own was logged, and must not hide this one
            for loop in self.loops.values():
                loop.close()
            if error is None:
                self._leave_normally()
                is_failing = False
            elif not isinstance(error, OwnershipLost | GeneratorExit):
                leaving.leave_by_error(self.cutter, error)
        finally:
            self._let_go()
            self.span.leave(self.status, error)
            if self.share is not None and self._hold is not None:  # a phase has neither owner nor batch
                settle(self.store, self.record, is_failing=is_failing)

    def _let_go(self) -> None:
        """Of everything that is held, whatever fails."""
        try:
            self.cutter.behind.end()
            self.reporter.close(self.store.clock.monotonic())
            self.cutter.is_closed = True
            self.files.close()
            if self.session is not None:
                self.session.close()
        finally:
            if self._hold is not None:
                self._hold.release()

    def _leave_normally(self) -> None:
        self.cutter.abandon_item()
        self.files.publish()
        status = leaving.status_of(self.cutter, self.loops.values(), is_completed=self.is_completed)
        leaving.leave_normally(self.cutter, status)
        self.status = status
