"""`waycairn checkpoints`, `diff`, `pin` and `unpin`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, checkpoint_named, find_either, moment_of, offered_runs
from waycairn.cli.output import Face, Refused, text
from waycairn.model.states import CheckpointStatus

if TYPE_CHECKING:
    from rich.text import Text

    from waycairn.model.records import CheckpointRecord
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
    from waycairn.cli import facts, picture

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
    old: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|RUN",
            help="The older checkpoint; or a run, whose two newest states are compared.",
            show_default=False,
        ),
    ],
    new: Annotated[str | None, typer.Argument(metavar="CHECKPOINT", help="The newer checkpoint.")] = None,
    key: Key = None,
) -> None:
    """Compare two checkpoints: what was added, removed and changed, and by how much arrays differ."""
    from waycairn.upkeep.differences import differences

    with face.open() as store:
        before, after = _pair(store, old, new, key)
        found = list(differences(_load(store, before), _load(store, after)))
    if face.as_json:
        listed = [_difference_facts(one) for one in found]
        face.document({"old": before.id, "new": after.id, "differences": listed})
        return
    if not found:
        face.done(f"{before.id} and {after.id} hold the same")
        return
    rows = [row for _, group in groupby(found, key=lambda one: (one.act, one.path)) for row in _rows(list(group))]
    face.table(("", "path", before.id, after.id), rows)


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
    if isinstance(first, RunRecord):
        if new is not None:
            raise Refused(f"{old} is a run. Name two checkpoints, or one run alone.")
        states = store.checkpoints(first.id, role="state", status=CheckpointStatus.VALID, limit=2)
        if len(states) < 2:
            raise Refused(f"run {first.name!r} ({first.id}) has fewer than two intact states to compare.")
        return states[1], states[0]
    if new is None:
        raise Refused(f"name the checkpoint that {first.id} is compared with, or a run to compare its newest two.")
    return first, checkpoint_named(store, new)


def _load(store: Store, record: CheckpointRecord) -> Any:
    from waycairn.cli.exporting import load_readable

    return load_readable(store, record.id)


def _difference_facts(one: Difference) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": one.path, "act": one.act, "old": one.old_text(), "new": one.new_text()}
    if one.array is not None:
        facts["array"] = {"elements": one.array.elements, "of": one.array.of, "most": one.array.most}
    return facts


def _new_text(one: Difference) -> str:
    if one.array is None:
        return one.new_text()
    most = "" if one.array.most is None else f", by up to {one.array.most:.6g}"
    return f"{one.array.elements:,} of {one.array.of:,} elements differ{most}"


def pin(face: Face, checkpoint: _CheckpointId) -> None:
    """Keep a checkpoint whatever policies say: it cannot be deleted before it is unpinned."""
    _set_pinned(face, checkpoint, pinned=True)


def unpin(face: Face, checkpoint: _CheckpointId) -> None:
    """Let a pinned checkpoint go again."""
    _set_pinned(face, checkpoint, pinned=False)


def _set_pinned(face: Face, checkpoint: str, *, pinned: bool) -> None:
    from waycairn.cli import facts

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
