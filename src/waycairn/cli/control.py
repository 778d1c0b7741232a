"""`waycairn resume`, `discard`, `cancel`, `takeover` and `delete`: acts on runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName, Yes, find_either
from waycairn.cli.output import Face, Refused, ask

if TYPE_CHECKING:
    from waycairn.model.records import CheckpointRecord, RunRecord
    from waycairn.work.store import Store


def resume(
    face: Face,
    run: RunName,
    key: Key = None,
    *,
    show: Annotated[bool, typer.Option("--print", help="Show the command, do not start it.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also if the run is completed or discarded.")] = False,
    retry_failed: Annotated[
        bool | None, typer.Option("--retry-failed/--only-pending", help="Whether failed items are tried once more.")
    ] = None,
) -> None:
    """Start the recorded command line of a run again: same directory, same environment where it matters.

    It runs in the foreground in place of this command: signals reach it, and its exit code is the one you get.
    """
    from waycairn.documents.runs import title_of
    from waycairn.upkeep.standing import root_of, standing_of
    from waycairn.upkeep.starting import command_of, refuse_start

    with face.open() as store:
        found = root_of(store.core, store.find(run, key))
        command = command_of(store.core, found).retrying(retry_failed)
        if not (show or face.as_json):
            refuse_start(standing_of(store.core, found), again=again)
    if face.as_json:
        face.document({"run": found.id, **command.facts()})
    elif show:
        face.line(command.shell_line())
    else:
        face.aside(f"resuming {title_of(found)}: {command.shell_line()}")
        command.become()


def discard(face: Face, run: RunName, key: Key = None, yes: Yes = False) -> None:
    """Give an unfinished run up: it stays listed, and entering it again starts anew."""
    from waycairn.documents import runs as facts
    from waycairn.upkeep.holding import held
    from waycairn.upkeep.standing import standing_of

    with face.open() as store:
        found = store.find(run, key)
        standing = standing_of(store.core, found)
        if standing.holder is not None:
            raise held(found, standing.holder)
        done = f"{found.progress.done:,} items done, {found.sequence:,} commits"
        ask(
            f"Give up run {facts.title_of(found)}, {standing.word}, {done}? It stays listed and readable, but the next "
            "start of the job begins anew.",
            yes=yes,
        )
        after = store.discard(found.id)
        if face.as_json:
            face.document({"run": facts.run_facts(standing_of(store.core, after))})
    face.done(f"run {facts.title_of(found)} is discarded; entering it again starts anew")


def cancel(face: Face, run: RunName, key: Key = None, yes: Yes = False) -> None:
    """Ask the living owner of a run, on this host, to stop: it takes its cut and leaves the run interrupted."""
    from waycairn.documents import runs as facts
    from waycairn.upkeep.cancelling import owner_to_ask
    from waycairn.upkeep.standing import owner_words, standing_of

    with face.open() as store:
        found = store.find(run, key)
        holder = owner_to_ask(store.core, found)
        ask(
            f"Ask {owner_words(holder)} to stop working on run {facts.title_of(found)}? It takes its cut first.",
            yes=yes,
        )
        after = store.cancel(found.id)
        if face.as_json:
            face.document({"run": facts.run_facts(standing_of(store.core, after))})
    face.done(f"{owner_words(holder)} was asked to stop; run {facts.title_of(found)} can be resumed then")


def takeover(face: Face, run: RunName, key: Key = None, yes: Yes = False) -> None:
    """Fence out the living owner of a run, stopped or hung, so that the run can be entered again."""
    from waycairn.documents import runs as facts
    from waycairn.upkeep.standing import owner_words, root_of, standing_of

    with face.open() as store:
        found = root_of(store.core, store.find(run, key))
        holder = standing_of(store.core, found).holder
        if holder is None:
            said = (
                f"run {facts.title_of(found)} has no living owner; nothing was changed. Enter it, or: waycairn resume"
            )
            epoch = found.epoch
        else:
            ask(
                f"Take run {facts.title_of(found)} from {owner_words(holder)}? What it committed stands; whatever it "
                "does from now on is refused and lost, and that process stops at its next commit.",
                yes=yes,
            )
            epoch = store.takeover(found.id).epoch
            said = f"run {facts.title_of(found)} was taken from {owner_words(holder)}; it is in epoch {epoch} and free"
        if face.as_json:
            face.document(
                {
                    "run": found.id,
                    "taken": holder is not None,
                    "epoch": epoch,
                    "from": facts.owner_facts(holder, alive=True),
                }
            )
    face.done(said)


def delete(
    face: Face,
    what: Annotated[
        str,
        typer.Argument(metavar="CHECKPOINT|RUN", help="Id of a checkpoint; name or id of a run.", show_default=False),
    ],
    key: Key = None,
    yes: Yes = False,
) -> None:
    """Delete a checkpoint, or a run with its phases, items, step results and checkpoints. It cannot be undone."""
    from waycairn.model.records import RunRecord

    with face.open() as store:
        found = find_either(store, what, key)
        if isinstance(found, RunRecord):
            _delete_run(store, found, yes=yes)
        else:
            _delete_checkpoint(store, found, yes=yes)
        kind = "run" if isinstance(found, RunRecord) else "checkpoint"
        if face.as_json:
            face.document({"deleted": kind, "id": found.id})
    face.done(f"{kind} {found.id} is deleted")


def _delete_run(store: Store, run: RunRecord, *, yes: bool) -> None:
    from waycairn.documents.runs import title_of
    from waycairn.upkeep.holding import held
    from waycairn.upkeep.standing import standing_of
    from waycairn.upkeep.stored_states import of_run

    standing = standing_of(store.core, run)
    if standing.holder is not None:
        raise held(run, standing.holder)
    if run.id != run.root:
        raise Refused(
            f"{title_of(run)} is a phase: it goes with its run {run.root}. Nothing was deleted. To make it run again: "
            f"waycairn discard {run.id}"
        )
    checkpoints, runs = of_run(store.core, run)
    pinned = [record.id for record in checkpoints if record.pinned]
    if pinned:
        raise Refused(
            f"run {title_of(run)} has {len(pinned)} pinned checkpoints ({pinned[0]}). Nothing was deleted. "
            f"Unpin them first: waycairn unpin {pinned[0]}"
        )
    ask(
        f"Delete run {title_of(run)}, {standing.word}, with {len(runs) - 1} phases, {run.progress.done:,} items done and "
        f"{len(checkpoints)} checkpoints? It is forgotten for good; files that it wrote stay.",
        yes=yes,
    )
    store.remove(run.id)


def _delete_checkpoint(store: Store, record: CheckpointRecord, *, yes: bool) -> None:
    from waycairn.upkeep.sizes import size_text

    size = size_text(record.checkpoint.stored.raw_bytes)
    if not record.pinned:
        ask(f"Delete checkpoint {record.id} ({record.checkpoint.kind}, {size})? It is gone for good.", yes=yes)
    try:
        store.delete(record.id)
    except ValueError as error:
        raise Refused(str(error)) from None


COMMANDS = (
    Command("resume", resume, has_quiet=True),
    Command("discard", discard, has_quiet=True),
    Command("cancel", cancel, has_quiet=True),
    Command("takeover", takeover, has_quiet=True),
    Command("delete", delete, has_quiet=True),
)
