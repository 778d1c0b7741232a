"""Everything of one run, gathered once and shown as a document or as a picture."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waycairn.cli import picture
from waycairn.cli.output import clean, text
from waycairn.documents import runs as facts
from waycairn.documents.timeline import attempt_facts
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, CheckpointRecord, OutputLength, RunRecord, StoredStep
from waycairn.upkeep.batch import Group, grouped
from waycairn.upkeep.run_detail import phases_below
from waycairn.upkeep.sizes import duration_text, iso, size_text
from waycairn.upkeep.standing import ORPHANED, Standing, below, owner_words, standing_of
from waycairn.upkeep.timeline import Attempt, attempts_of
from waycairn.work.keeping import METRICS

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

    from waycairn.store import StoreCore

_STEPS_SHOWN, _CHECKPOINTS_SHOWN, _GROUPS_SHOWN, _ATTEMPTS_SHOWN = 10, 5, 10, 5


@dataclass(frozen=True, kw_only=True)
class Details:
    standing: Standing
    phases: Sequence[Standing]
    """All runs below it, oldest first."""
    loops: Mapping[str, int]
    failures: Sequence[Group]
    """The most frequent first."""
    steps: Sequence[StoredStep]
    outputs: Sequence[OutputLength]
    checkpoints: Sequence[CheckpointRecord]
    """Newest first."""
    attempts: Sequence[Attempt]
    """Newest first."""
    waiting: Sequence[str]
    """Loops and queues of which something waits."""
    now: float

    # -- a document ----------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        return {
            **facts.whole_run_facts(self.standing),
            "origin": self.standing.run.origin,
            "attempts": [attempt_facts(attempt) for attempt in self.attempts],
            "loops": dict(self.loops),
            "waiting": list(self.waiting),
            "failures": facts.group_facts(self.failures),
            "steps": [_step_facts(stored) for stored in self.steps],
            "outputs": [{"path": output.path, "length": output.length} for output in self.outputs],
            "phases": self._phase_facts(self.standing.run.id),
            "checkpoints": [facts.checkpoint_facts(record) for record in self.checkpoints],
        }

    def _phase_facts(self, parent: RunId) -> list[dict[str, Any]]:
        return [
            {**facts.run_facts(phase), "phases": self._phase_facts(phase.run.id)}
            for phase in self.phases
            if phase.run.parent == parent
        ]

    # -- a picture -----------------------------------------------------------------------------------------------

    def picture(self, *, with_traceback: bool) -> RenderableType:
        from rich.console import Group
        from rich.padding import Padding

        parts: list[RenderableType] = [labelled(self._lines())]
        for title, lines in self._lists(with_traceback=with_traceback):
            parts += [heading(title), Padding(Group(*lines), (0, 0, 0, 2))]
        return Group(*parts)

    def _lines(self) -> Iterator[tuple[str, RenderableType]]:
        run = self.standing.run
        yield "run", text(run.name)
        if run.key is not None:
            yield "key", text(run.key)
        yield "id", text(run.id)
        yield "status", picture.status_text(self.standing.word)
        yield "owner", text(owner_text(self.standing))
        yield "progress", text(picture.progress_text(run.progress))
        yield "commits", text(f"{run.sequence:,}, the last {self._ago(run.updated)}")
        yield "begun", text(f"{iso(run.created)}, entered {_times(run.entered)}, epoch {run.epoch}")
        for label, content in (("task", run.task), ("tags", ", ".join(run.tags)), ("note", run.progress.note)):
            if content:
                yield label, text(content)
        for label, mapping in (("fingerprint", run.fingerprint), ("metadata", run.metadata)):
            if mapping:
                yield label, text(", ".join(f"{name}={value!r}" for name, value in mapping.items()))
        if run.launch is not None:
            yield "command", text(shlex.join(run.launch.argv))
            yield "directory", text(run.launch.directory)

    def _ago(self, then: float) -> str:
        return f"{duration_text(self.now - then)} ago"

    def _lists(self, *, with_traceback: bool) -> Iterator[tuple[str, list[RenderableType]]]:
        if self.standing.run.error:
            yield "error", list(error_lines(self.standing.run.error, with_traceback=with_traceback))
        if len(self.attempts) > 1:
            yield "attempts", list(self._attempt_lines())
        if self.phases:
            yield "phases", [self._tree()]
        if self.loops:
            yield "loops", [text(f"{name}: {count:,} done") for name, count in self.loops.items()]
        if self.failures:
            yield "failed items", list(self._failure_lines())
        if self.steps:
            yield "steps", list(self._step_lines())
        if self.outputs:
            lines = [text(f"{out.path}: {size_text(out.length)} committed") for out in self.outputs]
            yield "outputs", [*lines]
        if self.checkpoints:
            yield "checkpoints", list(self._checkpoint_lines())

    def _attempt_lines(self) -> Iterator[RenderableType]:
        for attempt in self.attempts[:_ATTEMPTS_SHOWN]:
            lasted = "" if attempt.seconds is None else f", {duration_text(attempt.seconds)}"
            made = "" if attempt.commits is None else f", {attempt.commits:,} commits"
            who = f"epoch {attempt.epoch}, {iso(attempt.begun)}, {owner_words(attempt.owner)}"
            yield text(f"{who}: {attempt.end or 'running'}{lasted}{made}")
        left_out = len(self.attempts) - _ATTEMPTS_SHOWN
        if left_out > 0:
            yield text(f"({left_out:,} earlier ones: waycairn timeline {self.standing.run.id})", "dim")

    def _tree(self) -> Tree:
        from rich.tree import Tree

        root = Tree(text(self.standing.run.name))
        places: dict[RunId, Tree] = {self.standing.run.id: root}
        for phase in self.phases:
            above = places.get(phase.run.parent or self.standing.run.id, root)
            places[phase.run.id] = above.add(phase_line(phase))
        return root

    def _failure_lines(self) -> Iterator[RenderableType]:
        failed = sum(group.count for group in self.failures)
        return failure_lines(self.failures[:_GROUPS_SHOWN], failed, self.standing.run.id)

    def _step_lines(self) -> Iterator[RenderableType]:
        left_out = len(self.steps) - _STEPS_SHOWN
        if left_out > 0:
            yield text(f"({left_out:,} earlier ones; --json has all)", "dim")
        for stored in self.steps[-_STEPS_SHOWN:]:
            step = stored.step
            of = f" of {step.scope}" if step.scope else ""
            yield text(f"{step.name}{of}: took {step.took:.3g} s, commit {stored.sequence}")

    def _checkpoint_lines(self) -> Iterator[RenderableType]:
        for record in self.checkpoints[:_CHECKPOINTS_SHOWN]:
            held = record.checkpoint
            metrics = _metrics_text(held.metadata.get(METRICS))
            tags, pinned = ", ".join(held.tags), "pinned" if record.pinned else ""
            said = filter(None, (_step_text(held.iteration), metrics, held.description, tags, pinned, record.damage))
            line = f"{record.id}  {held.kind}  {size_text(held.stored.raw_bytes)}  {self._ago(record.created)}"
            yield text("  ".join([line, *said]), "bold red" if record.damage else "")
        left_out = len(self.checkpoints) - _CHECKPOINTS_SHOWN
        if left_out > 0:
            yield text(f"({left_out:,} older ones: waycairn checkpoints {self.standing.run.id})", "dim")


def gather(core: StoreCore, run: RunRecord) -> Details:
    """Read everything of a run (or phase)."""
    standing = standing_of(core, run)
    catalog = core.catalog
    root = run if run.id == run.root else catalog.get_run(run.root)
    listed = below(core, root or run, standing.holder)
    return Details(
        standing=standing,
        phases=phases_below(run, listed),
        loops=catalog.loops(run.id),
        failures=grouped(catalog.failures(run.id)),
        steps=catalog.list_steps(run.id),
        outputs=list(catalog.outputs(run.id).values()),
        checkpoints=catalog.list_checkpoints(CheckpointFilter(run=run.id)),
        attempts=attempts_of(core, run),
        waiting=catalog.waiting(run.id),
        now=core.clock.now(),
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


# -- lines that a live view has too ----------------------------------------------------------------------------


def labelled(lines: Iterable[tuple[str, RenderableType]]) -> RenderableType:
    """Labels in bold, and what they stand for beside them."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, content in lines:
        table.add_row(label, content)
    return table


def owner_text(standing: Standing) -> str:
    """Who holds it, or who is dead and what to do."""
    run, holder = standing.run, standing.holder
    if holder is not None:
        since = f" since {iso(holder.since)}" if holder.since else ""
        return f"{owner_words(holder)}, alive{since}"
    if standing.word == ORPHANED:
        was = f"{owner_words(run.owner)} is dead" if run.owner else "its owner is dead"
        return f"{was}; go on with: waycairn resume {run.root}"
    return "none"


def phase_line(phase: Standing) -> RenderableType:
    from rich.text import Text

    progress = phase.run.progress
    told = filter(None, (picture.bar(progress), picture.items_text(progress), clean(progress.note or "")))
    return Text("  ").join([text(phase.run.name), picture.status_text(phase.word), *map(text, told)])


def failure_lines(groups: Sequence[Group], failed: int, run: RunId) -> Iterator[RenderableType]:
    """Groups, and how many of all failed items are in none of them."""
    for group in groups:
        which = group.example if group.count == 1 else f"{group.count:,} items, such as {group.example}"
        yield text(f"{which}: {group.type}: {group.message}", "red")
    left_out = failed - sum(group.count for group in groups)
    if left_out > 0:
        yield text(f"({left_out:,} more: waycairn items {run} --status failed)", "dim")


def heading(title: str) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    return Group(Text(""), Text(title, style="bold"))


def _metrics_text(metrics: Any) -> str:
    """What was logged last before it; users may have put anything there."""
    if not isinstance(metrics, Mapping):
        return ""
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())


def _step_text(iteration: int | None) -> str:
    return "" if iteration is None else f"iteration {iteration}"


def _step_facts(stored: StoredStep) -> dict[str, Any]:
    step = stored.step
    return {
        "name": step.name,
        "scope": step.scope,
        "sequence": stored.sequence,
        "took": step.took,
        "raw_bytes": step.result.raw_bytes,
    }


def error_lines(error: Mapping[str, Any], *, with_traceback: bool) -> Iterator[RenderableType]:
    yield text(f"{error.get('type')}: {error.get('message')}", "red")
    if error.get("item"):
        yield text(f"at item {error['item']}")
    if error.get("where"):
        yield text(f"in {error['where']}")
    if with_traceback:
        yield from map(text, str(error.get("traceback") or "").splitlines())
