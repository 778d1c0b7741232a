"""`run.session`: a training run's own memory. Iterations with their states, rules that were tried, patterns found."""

from __future__ import annotations

import functools
import json
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from waycairn.codec import Types, encode
from waycairn.errors import CheckpointNotFound, Damaged
from waycairn.model.ids import CheckpointId, checkpoint_id
from waycairn.model.journal import Iteration, Pattern, RuleOptimization
from waycairn.model.states import CheckpointStatus
from waycairn.ports import Catalog
from waycairn.work.facts import describe
from waycairn.work.journal import Entry, as_number
from waycairn.work.mirroring import Mirroring
from waycairn.work.request import Request
from waycairn.work.restoring import note_damage
from waycairn.work.step import check_name

if TYPE_CHECKING:
    from waycairn.upkeep.sessions import SessionReport
    from waycairn.work.execution import Execution

log = logging.getLogger("waycairn")

KIND = "iteration"
"""The kind of an iteration's checkpoint."""
PROMOTE_OVER = 0.1
"""What a rule has to improve by, as a share of its baseline, to be promoted: 10 %."""
_ROUNDING = 1 + 1e-9
"""1.1 is not over 1.0 by more than 10 %, though its float is."""
Write = Callable[[], CheckpointId | None]


class Session:
    """A view of one run. Writing methods belong to the thread that entered it, except `rule` and `pattern`."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._cutter = execution.cutter
        self._since = execution.entered_at
        self._promote_over = _share_setting("WAYCAIRN_PROMOTE_OVER", PROMOTE_OVER)
        self.mirror = Mirroring(execution.store, execution.record)
        """The readable copies beside the catalog; `problem` says why there is none, if so."""
        self._cutter.journal.on_commit = self.mirror.wake
        self.mirror.catch_up()

    @property
    def _catalog(self) -> Catalog:
        """With what a save behind the loop writes: that is neither waiting nor there until it is durable."""
        self._cutter.behind.settle()
        return self._execution.store.catalog

    def configure(self, *, promote_over: float | None = None, mirror: int | None = None) -> None:
        """`promote_over`: the share of its baseline that a rule has to improve by to be promoted (0.1 by default).
        `mirror`: how many readable copies are kept beside the catalog (50 by default); 0 for none."""
        if promote_over is not None:
            if not promote_over >= 0:
                raise ValueError(f"promote_over is a share of the baseline, 0.1 for 10 %, not {promote_over!r}.")
            self._promote_over = float(promote_over)
        if mirror is not None:
            if mirror < 0:
                raise ValueError(f"mirror is how many copies are kept, 0 for none, not {mirror!r}.")
            self.mirror.keep = self.mirror.checked(mirror, "configure(mirror=)")

    # -- writing -------------------------------------------------------------------------------------------------

    def iteration(
        self,
        number: int | None = None,
        *,
        metrics: Mapping[str, Any] | None = None,
        improvement: float | None = None,
        state: Any = None,
        rules: Sequence[Mapping[str, Any]] = (),
        patterns: Sequence[Mapping[str, Any]] = (),
        error: BaseException | None = None,
        description: str | None = None,
    ) -> CheckpointId | None:
        """Record one round of the session, durably, in one commit with everything up to here::

            run.session.iteration(metrics={"accuracy": 0.91}, improvement=0.02, state=workflow,
                                  rules=[{"rule_id": "trim", "score": 1.2, "baseline": 1.0}])

        The commit holds a checkpoint (kind "iteration") of the run's state, or of `state`, so that exactly this comes
        back by `session.state(number)`. Numbers go on by themselves, also after a resume; ValueError for one that is
        there already (one that a rewind undid is free again), or if `state` is given beside `run.state`. `rules` and
        `patterns` are what `rule` and `pattern` take, `error` is an exception that went wrong in it. Inside an item the
        commit is deferred to the end of the item, like `run.checkpoint`; then None is returned.
        """
        write = self.begin(
            number,
            metrics=metrics,
            improvement=improvement,
            state=state,
            rules=rules,
            patterns=patterns,
            error=error,
            description=description,
        )
        if write is None:
            return None
        taken = write()
        self._execution.stop_if_asked()
        return taken

    def begin(
        self,
        number: int | None = None,
        *,
        metrics: Mapping[str, Any] | None = None,
        improvement: float | None = None,
        state: Any = None,
        rules: Sequence[Mapping[str, Any]] = (),
        patterns: Sequence[Mapping[str, Any]] = (),
        error: BaseException | None = None,
        description: str | None = None,
    ) -> Write | None:
        """Decided and encoded now; a call that writes, None if that is deferred."""
        cutter = self._cutter
        cutter.check_usable()
        number = self._number(number)
        now = self._execution.store.clock.monotonic()
        done = Iteration(
            number=number,
            metrics={name: as_number(name, value) for name, value in (metrics or {}).items()},
            improvement=None if improvement is None else as_number("improvement", improvement),
            ended=self._execution.store.clock.now(),
            took=now - self._since,
            description=description,
            error=None if error is None else describe(error, None),
        )
        tried = [self._trial(iteration=number, **rule) for rule in rules]
        found = [self._pattern(iteration=number, **pattern) for pattern in patterns]
        request = self._request(done, state)
        entries: list[Entry] = [*tried, *found, done]
        cutter.journal.add(*entries)
        if cutter.open_item is not None:
            cutter.want(request)
            self._since = now
            return None
        try:
            write = self._execution.cut(request)
        except BaseException:
            cutter.journal.withdraw(entries)
            raise
        return functools.partial(self._written, write, entries, now)

    def _written(self, write: Write, entries: Sequence[Entry], now: float) -> CheckpointId | None:
        try:
            taken = write()
        except BaseException:
            # Not there, so it never was: whoever records it again gets the same number.
            self._cutter.journal.withdraw(entries)
            raise
        self._since = now
        return taken

    def _number(self, number: int | None) -> int:
        waiting = [entry.number for entry in self._cutter.journal.waiting() if isinstance(entry, Iteration)]
        if number is None:
            newest = self._catalog.find_iteration(self._cutter.run)
            known: list[int] = [0, *waiting, *(() if newest is None else (newest.number,))]
            return max(known) + 1
        if number in waiting or self._catalog.find_iteration(self._cutter.run, number) is not None:
            raise ValueError(
                f"iteration {number} of this run is recorded already. Nothing was changed. Leave the number out to go on "
                "counting; after a resume, look at run.session.iterations() for what is there."
            )
        return number

    def _request(self, done: Iteration, state: Any) -> Request:
        execution, cutter = self._execution, self._cutter
        metadata: dict[str, Any] = {"metrics": dict(done.metrics), "improvement": done.improvement}
        how: dict[str, Any] = {
            "kind": KIND,
            "iteration": done.number,
            "description": done.description,
            "metadata": metadata,
        }
        if state is None:
            return Request(**how, role="state" if cutter.state is not None else "value")
        if cutter.state is not None:
            raise ValueError(
                "state= was given, and this run has a state: run.state(...). That is what an iteration holds. Nothing was "
                "recorded. Leave state= out, or put the workflow into the state of the run."
            )
        if cutter.open_item is not None and cutter.wanted is not None and cutter.wanted.encoded is not None:
            raise ValueError(
                "an iteration with a state of its own waits for the end of the open item already, and a commit holds one "
                "state. Nothing was recorded. Record iterations between items, or one in each."
            )
        encoded = encode(state)
        is_late = execution.overlaps or cutter.open_item is not None
        return Request(**how, role="state", encoded=encoded.detached() if is_late else encoded)

    def rule(
        self,
        rule_id: str,
        *,
        score: float,
        baseline: float,
        parameters: Mapping[str, Any] | None = None,
        description: str | None = None,
        iteration: int | None = None,
    ) -> RuleOptimization:
        """A rule was tried. Returns the trial; its improvement is ``(score - baseline) / |baseline|``. One that improved by
        more than `promote_over` becomes what the store knows of the rule (`store.rules()`), if it scores better than
        what stands there. Committed with the next cut, or iteration."""
        self._cutter.check_usable()
        trial = self._trial(rule_id, score, baseline, parameters, description, iteration)
        self._cutter.journal.add(trial)
        return trial

    def pattern(
        self,
        pattern_id: str,
        *,
        effectiveness: float,
        data: Any = None,
        description: str | None = None,
        iteration: int | None = None,
    ) -> Pattern:
        """Something was discovered; `data` is JSON. Committed with the next cut, or iteration."""
        self._cutter.check_usable()
        found = self._pattern(pattern_id, effectiveness, data, description, iteration)
        self._cutter.journal.add(found)
        return found

    def _trial(  # noqa: PLR0917 - one private call
        self,
        rule_id: str,
        score: float,
        baseline: float,
        parameters: Mapping[str, Any] | None = None,
        description: str | None = None,
        iteration: int | None = None,
    ) -> RuleOptimization:
        check_name("rule", rule_id)
        scored, base = (_finite(name, value) for name, value in (("score", score), ("baseline", baseline)))
        improvement = improvement_of(scored, base)
        return RuleOptimization(
            rule=rule_id,
            score=scored,
            baseline=base,
            improvement=improvement,
            parameters=_as_json(f"the parameters of rule {rule_id!r}", dict(parameters or {})),
            description=description,
            iteration=iteration,
            created=self._execution.store.clock.now(),
            is_candidate=improvement > self._promote_over * _ROUNDING,
        )

    def _pattern(
        self,
        pattern_id: str,
        effectiveness: float,
        data: Any = None,
        description: str | None = None,
        iteration: int | None = None,
    ) -> Pattern:
        check_name("pattern", pattern_id)
        return Pattern(
            pattern=pattern_id,
            effectiveness=_finite("effectiveness", effectiveness),
            data=_as_json(f"the data of pattern {pattern_id!r}", data),
            description=description,
            iteration=iteration,
            created=self._execution.store.clock.now(),
            run=self._cutter.run,
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def iterations(self) -> Sequence[Iteration]:
        """By number; those that wait for the next cut have sequence 0."""
        return [*self._catalog.iterations(self._cutter.run), *self._waiting(Iteration)]

    def rules(self) -> Sequence[RuleOptimization]:
        """Every trial, in order."""
        return [*self._catalog.rules(self._cutter.run), *self._waiting(RuleOptimization)]

    def patterns(self) -> Sequence[Pattern]:
        """Every one that this run found, in order."""
        return [*self._catalog.patterns(self._cutter.run), *self._waiting(Pattern)]

    def _waiting(self, kind: type[Any]) -> list[Any]:
        return [entry for entry in self._cutter.journal.waiting() if isinstance(entry, kind)]

    def best(self, metric: str, mode: Literal["max", "min"] = "max") -> Iteration | None:
        """The first iteration with the highest (or lowest) value of a metric; None if none has it. NaN is no value."""
        if mode not in ("max", "min"):
            raise ValueError(f"mode is 'max' or 'min', not {mode!r}.")
        having = [one for one in self.iterations() if not math.isnan(one.metrics.get(metric, math.nan))]
        sign = 1 if mode == "max" else -1
        return max(having, key=lambda one: (sign * one.metrics[metric], -one.number), default=None)

    def state(self, number: int | None = None, *, returns: Any = None, default: Any = None) -> Any:
        """What the workflow was at the end of an iteration, exactly. `returns` gives its types.

        Of the newest one by default: a damaged one is passed over for the newest intact one before it, and the log
        says why; `default` if there is no iteration. With a number CheckpointNotFound if it has none, Damaged if
        it cannot be read."""
        types = None if returns is None else Types.of(returns)
        if number is not None:
            found = self._catalog.find_iteration(self._cutter.run, number)
            if found is None:
                raise CheckpointNotFound(
                    f"this run has no iteration {number}. See run.session.iterations().", run=self._cutter.run
                )
            return self._load(found, types)
        damaged: Damaged | None = None
        for iteration in reversed(self._catalog.iterations(self._cutter.run)):
            try:
                value = self._load(iteration, types)
            except Damaged as error:
                damaged = error
                continue
            except CheckpointNotFound:
                continue  # retention took it
            if damaged is not None:
                log.warning("the state of iteration %d is used instead of a newer one: %s", iteration.number, damaged)
            return value
        if damaged is not None:
            raise damaged
        return default

    def _load(self, iteration: Iteration, types: Types | None) -> Any:
        store = self._execution.store
        record = store.catalog.get_checkpoint(self._cutter.run, iteration.sequence)
        if record is None:
            raise CheckpointNotFound(
                f"the checkpoint of iteration {iteration.number} ({checkpoint_id(self._cutter.run, iteration.sequence)}) was "
                "deleted. See `waycairn checkpoints`.",
                run=self._cutter.run,
            )
        if record.status is CheckpointStatus.DAMAGED:
            raise Damaged(f"checkpoint {record.id} of iteration {iteration.number} is damaged: {record.damage}")
        try:
            return store.load(record.checkpoint.stored, types=types)
        except Damaged as error:
            note_damage(store, record, error)
            raise

    def report(self) -> SessionReport:
        """How it went, as committed: progress, best values, plateau, time, resumes, rules, patterns. See
        `waycairn report`."""
        from waycairn.upkeep.sessions import report_of

        return report_of(self._execution.store, self._cutter.run)

    def close(self) -> None:
        """The run is left: wait for the mirror, for a bounded time."""
        self.mirror.close()


class AsyncSession(Session):
    """A Session whose iterations are awaited."""

    async def iteration(self, number: int | None = None, **what: Any) -> CheckpointId | None:  # type: ignore[override]
        """As Session.iteration."""
        import asyncio

        async with self._execution.turn:
            write = self.begin(number, **what)
            if write is None:
                return None
            taken = await asyncio.to_thread(write)
        self._execution.stop_if_asked()
        return taken


def improvement_of(score: float, baseline: float) -> float:
    """As a share of the baseline: 0.1 is 10 %. Without a baseline any gain is infinite."""
    gain = score - baseline
    if baseline == 0:
        return 0.0 if gain == 0 else math.copysign(math.inf, gain)
    return gain / abs(baseline)


def _finite(name: str, value: Any) -> float:
    number = as_number(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, which cannot be compared. Nothing was recorded.")
    return number


def _as_json(what: str, value: Any) -> Any:
    """As it comes back from JSON, so that later changes do not reach it."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} cannot be kept as JSON ({error}). Nothing was recorded.") from None


def _share_setting(name: str, default: float) -> float:
    """A share from the environment: 0.1, or 10%."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not share >= 0:
        raise ValueError(f"{name} is a share like 0.1 or 10%, not {text!r}. Nothing was done.")
    return share
