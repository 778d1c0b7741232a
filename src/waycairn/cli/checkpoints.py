"""`waycairn checkpoints`, `diff`, `pin` and `unpin`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby, islice
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.exporting import installed
from waycairn.cli.naming import Key, checkpoint_named, find_either, moment_of, offered_runs
from waycairn.cli.output import Face, Refused, text
from waycairn.model.states import CheckpointStatus

if TYPE_CHECKING:
    from rich.text import Text

    from waycairn.model.records import CheckpointRecord, RunRecord
    from waycairn.upkeep.differences import Difference
    from waycairn.work.store import Store

_CheckpointId = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Id of a checkpoint.", show_default=False)]


_ELEMENTS_SHOWN = 5


class _Acts(StrEnum):
    """What a difference is marked with in a list."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


def list_checkpoints(
    face: Face,
    *,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Only those of this run (name or id).", autocompletion=offered_runs),
    ] = None,
    key: Key = None,
    kind: Annotated[str | None, typer.Option(help="Only those of this kind.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    status: Annotated[CheckpointStatus | None, typer.Option(help="Only valid, damaged or set-aside ones.")] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Only pinned ones.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Only those taken from this moment on: 2h, 2026-11-30, 2026-11-30T14:05.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only those taken before this moment.")] = None,
    name_glob: Annotated[
        str | None, typer.Option("--name-glob", help="Only those of runs and phases with a name like this, as train-*.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """List checkpoints, newest first."""
    from waycairn.cli import picture
    from waycairn.documents import runs as facts

    with face.open() as store:
        now = store.core.clock.now()
        found = store.checkpoints(
            None if run is None else store.find(run, key).id,
            kind=kind,
            tag=tag,
            status=status,
            pinned=True if pinned else None,
            since=None if since is None else moment_of("--since", since, now),
            until=None if until is None else moment_of("--until", until, now),
            name_glob=name_glob,
            limit=limit,
        )
    if face.as_json:
        face.document({"checkpoints": [facts.checkpoint_facts(record) for record in found]})
        return
    if not found and face.is_terminal:
        face.line("no checkpoints like that")
        return
    rows = [picture.checkpoint_row(record, now) for record in found]
    face.table(picture.CHECKPOINT_COLUMNS, rows, right=picture.CHECKPOINT_RIGHT, spare=picture.CHECKPOINT_SPARE)


def diff(
    face: Face,
    *,
    old: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|RUN",
            help="The older one. A run is its newest state; alone, its two newest are compared.",
            show_default=False,
        ),
    ],
    new: Annotated[str | None, typer.Argument(metavar="CHECKPOINT|RUN", help="The newer one.")] = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, help="Tell at most so many differences one by one.")] = 1000,
) -> None:
    """Compare two states: what was added, removed and changed, and by how much numbers and arrays differ."""
    from waycairn.documents.differences import difference_facts
    from waycairn.upkeep.comparing import compare
    from waycairn.work.restoring import note_damage

    with face.open() as store:
        before, after = _pair(store, old, new, key)
        with installed(before.id):
            each = compare(store.core, before, after, lambda record, error: note_damage(store.core, record, error))
            found = list(islice(each, limit))
            more = sum(1 for _ in each)
    if face.as_json:
        listed = [difference_facts(one) for one in found]
        face.document({"old": before.id, "new": after.id, "differences": listed, "more": more})
        return
    if not found:
        face.done(f"{before.id} and {after.id} hold the same")
        return
    rows = [row for _, group in groupby(found, key=lambda one: (one.act, one.path)) for row in _rows(list(group))]
    face.table(("", "path", before.id, after.id), rows)
    if more:
        face.line(f"and {more:,} more differences: --limit")


def _rows(group: Sequence[Difference]) -> Iterator[Sequence[str | Text]]:
    """One line each; a set that differs in many elements has one path, and only its first ones are shown."""
    for one in group[:_ELEMENTS_SHOWN]:
        yield [
            _Acts[one.act.upper()].value,
            text(one.path or "(the state)"),
            text(one.old_text()),
            text(_new_text(one)),
        ]
    left_out = len(group) - _ELEMENTS_SHOWN
    if left_out > 0:
        yield [_Acts[group[0].act.upper()].value, text(group[0].path), f"(and {left_out:,} more)", ""]


def _pair(store: Store, old: str, new: str | None, key: str | None) -> tuple[CheckpointRecord, CheckpointRecord]:
    from waycairn.model.records import RunRecord

    first = find_either(store, old, key)
    if new is not None:
        return _state_of(store, first), _state_of(store, find_either(store, new))
    if isinstance(first, RunRecord):
        states = store.checkpoints(first.id, role="state", status=CheckpointStatus.VALID, limit=2)
        if len(states) < 2:
            raise Refused(f"run {first.name!r} ({first.id}) has fewer than two intact states to compare.")
        return states[1], states[0]
    raise Refused(f"name the checkpoint that {first.id} is compared with, or a run to compare its newest two.")


def _state_of(store: Store, found: RunRecord | CheckpointRecord) -> CheckpointRecord:
    from waycairn.model.records import RunRecord

    if not isinstance(found, RunRecord):
        return found
    for role in ("state", "value"):
        newest = store.core.catalog.latest_checkpoint(found.id, role=role)
        if newest is not None:
            return newest
    raise Refused(f"run {found.name!r} ({found.id}) has no intact state to compare.")


def _new_text(one: Difference) -> str:
    if one.by is not None:
        apart, share = one.by
        return f"{one.new_text()} ({apart:+.6g}{'' if share is None else f', {100 * share:+.3g} %'})"
    if one.array is None:
        return one.new_text()
    most = "" if one.array.most is None else f", by up to {one.array.most:.6g}"
    norm = "" if one.array.norm is None else f", norm {one.array.norm:.6g}"
    relative = "" if one.array.relative is None else f" ({100 * one.array.relative:.3g} %)"
    return f"{one.array.elements:,} of {one.array.of:,} elements differ{most}{norm}{relative}"


def pin(face: Face, checkpoint: _CheckpointId) -> None:
    """Keep a checkpoint whatever policies say: it cannot be deleted before it is unpinned."""
    _set_pinned(face, checkpoint, pinned=True)


def unpin(face: Face, checkpoint: _CheckpointId) -> None:
    """Let a pinned checkpoint go again."""
    _set_pinned(face, checkpoint, pinned=False)


def _set_pinned(face: Face, checkpoint: str, *, pinned: bool) -> None:
    from waycairn.documents import runs as facts

    with face.open() as store:
        record = checkpoint_named(store, checkpoint)
        store.pin(record.id, pinned)
        if face.as_json:
            face.document({"checkpoint": facts.checkpoint_facts(store.checkpoint(record.id))})
    face.done(f"checkpoint {record.id} is {'pinned' if pinned else 'not pinned any more'}")


COMMANDS = (
    Command("checkpoints", list_checkpoints),
    Command("diff", diff),
    Command("pin", pin, has_quiet=True),
    Command("unpin", unpin, has_quiet=True),
)
