"""`waycairn show --watch`: a picture that is drawn again, or one line for each change."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from waycairn.cli import picture
from waycairn.cli.details import error_lines, failure_lines, heading, labelled, owner_text, phase_line
from waycairn.cli.output import FOUND_BAD, Face, no_color, text
from waycairn.documents import runs as facts
from waycairn.upkeep.sizes import duration_text, iso, rate_text
from waycairn.upkeep.standing import owner_words
from waycairn.upkeep.watching import Look, Watcher

if TYPE_CHECKING:
    from rich.console import RenderableType

    from waycairn.model.ids import RunId
    from waycairn.work.store import Store

_GROUPS_SHOWN = 5


def keep_looking(face: Face, store: Store, run: RunId, interval: float) -> int:
    """Until the run is left, or its owner is dead: the exit code."""
    watcher = Watcher(store.core, run)
    with _shown(face) as show:
        while not (look := _next(watcher, show)).is_over:
            store.core.clock.sleep(interval)
    if not face.as_json:
        face.line(_ending(look))
    return FOUND_BAD if look.has_died else 0


def _next(watcher: Watcher, show: Callable[[Look], None]) -> Look:
    look = watcher.look()
    show(look)
    return look


@contextmanager
def _shown(face: Face) -> Iterator[Callable[[Look], None]]:
    """What becomes of each look."""
    if face.as_json:
        yield _on_change(lambda look: face.event(_facts(look)))
    elif not face.is_terminal or face.console.is_dumb_terminal or no_color():
        # Drawing again takes escape codes.
        yield _on_change(lambda look: face.line_now(_line(look)))
    else:
        from rich.live import Live

        # Nothing else is printed meanwhile; a standard output that rich took over tells no encoding.
        with Live(console=face.console, auto_refresh=False, redirect_stdout=False) as live:
            yield lambda look: live.update(_picture(look), refresh=True)


def _on_change(show: Callable[[Look], None]) -> Callable[[Look], None]:
    before: list[object] = [None]

    def look_at(look: Look) -> None:
        standing = look.standing
        phases = [(phase.run.id, phase.run.sequence, phase.run.progress) for phase in look.phases]
        run = standing.run
        after = (standing.word, standing.holder, run.epoch, run.sequence, run.progress, phases)
        if after != before[0]:
            before[0] = after
            show(look)

    return look_at


def _facts(look: Look) -> dict[str, Any]:
    run = look.standing.run
    return {
        "time": iso(look.now),
        **facts.run_facts(look.standing),
        "rate": None if look.rate is None else float(f"{look.rate:.4g}"),
        "eta": None if look.eta is None else round(look.eta, 1),
        "failures": facts.group_facts(look.failures),
        "phases": [facts.run_facts(phase) for phase in look.phases],
        "error": None
        if run.error is None
        else {name: run.error.get(name) for name in ("type", "message", "item", "where")},
        "resume": ["waycairn", "resume", run.root] if look.has_died and run.launch else None,
    }


def _line(look: Look) -> str:
    run = look.standing.run
    words = [
        iso(look.now),
        look.standing.word,
        _done_text(look),
        f"{run.progress.failed:,} failed",
        "" if run.progress.percent is None else f"{run.progress.percent:.1f} %",
        "-/s" if look.rate is None else rate_text(look.rate),
        "ETA -" if look.eta is None else f"ETA {duration_text(look.eta)}",
        f"commit {run.sequence:,}",
        *(f"{phase.run.name} {picture.items_text(phase.run.progress)}".rstrip() for phase in look.phases),
        run.progress.note,
    ]
    return "  ".join(word for word in words if word)


def _done_text(look: Look) -> str:
    progress = look.standing.run.progress
    return f"{progress.done:,}" if progress.total is None else f"{progress.done:,}/{progress.total:,}"


def _picture(look: Look) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding

    run = look.standing.run
    lists: list[tuple[str, list[RenderableType]]] = []
    if run.error and not look.standing.holder:
        lists.append(("error", [*error_lines(run.error, with_traceback=False)]))
    if look.phases:
        lists.append(("running phases", [phase_line(phase) for phase in look.phases]))
    if look.failures:
        lists.append(
            ("newest failed items", [*failure_lines(look.failures[:_GROUPS_SHOWN], run.progress.failed, run.id)])
        )
    parts: list[RenderableType] = [labelled(_labels(look))]
    for title, lines in lists:
        parts += [heading(title), Padding(Group(*lines), (0, 0, 0, 2))]
    return Group(*parts)


def _labels(look: Look) -> Iterator[tuple[str, RenderableType]]:
    run = look.standing.run
    yield "run", text(run.name if run.key is None else f"{run.name}, key {run.key}")
    yield "id", text(run.id)
    yield "status", picture.status_text(look.standing.word)
    yield "owner", text(owner_text(look.standing))
    yield "progress", text(picture.progress_text(run.progress))
    if look.rate is not None:
        yield "rate", text(rate_text(look.rate))
    if look.eta is not None:
        yield "to go", text(f"about {duration_text(look.eta)}")
    yield "commits", text(f"{run.sequence:,}, the last {duration_text(look.now - run.updated)} ago")
    if run.progress.note:
        yield "note", text(run.progress.note)


def _ending(look: Look) -> str:
    run = look.standing.run
    if look.has_died:
        who = owner_words(run.owner) if run.owner else "its owner"
        way = f"Go on with: waycairn resume {shlex.quote(run.root)}" if run.launch else "Start the job again to go on."
        return f"run {facts.title_of(run)}: {who} is dead. What was committed is safe. {way}"
    why = f" by {run.error.get('type')}: {run.error.get('message')}" if run.error else ""
    return f"run {facts.title_of(run)} is {look.standing.word}{why}"
