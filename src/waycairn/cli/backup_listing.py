"""`waycairn backup list`, `show` and `search`: which backups are there, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli import backup_facts as facts
from waycairn.cli.backup_naming import BackupId, BackupIds
from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused, text, wrong_use
from waycairn.documents.backups import backup_facts, member_facts
from waycairn.model.backups import WHOLE, BackupFilter, BackupState

if TYPE_CHECKING:
    from waycairn.backups.listing import Listed
    from waycairn.backups.searching import Hit
    from waycairn.model.backups import BackupRecord, Member
    from waycairn.store import StoreCore
    from waycairn.work.store import Store

_STATES = (*(state.value for state in BackupState), "interrupted")


def offered_states(incomplete: str) -> list[str]:
    """For shell completion."""
    return [word for word in _STATES if word.startswith(incomplete)]


def list_backups(
    face: Face,
    owner: Annotated[str, typer.Option(help="Who made them: me, a name, or all.")] = "all",
    kind: Annotated[str | None, typer.Option(help="Of what: paths, rows, runs, or a kind of your own.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only these; may be repeated.", autocompletion=offered_states)
    ] = None,
    *,
    words: Annotated[
        str | None, typer.Option("--text", help="Only those with this in their source or in their id.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """List backups, newest first; those that expired are among them, without what they held."""
    for word in state or ():
        if word not in _STATES:
            raise Refused(f"{word!r} is no state of a backup; these are: {', '.join(_STATES)}", BAD_USE)
    with face.open() as store:
        found = _listed(store, BackupFilter(owner=_named(owner), kind=kind, limit=limit), state, words)
        now = store.core.clock.now()
    if face.as_json:
        face.document({"backups": [backup_facts(one.record, is_interrupted=one.is_interrupted) for one in found]})
        return
    if not found and face.is_terminal:
        face.line("no backups" if owner == "all" and not (kind or state or words) else "no backups like that")
        return
    rows = [[text(cell) for cell in facts.row(one.record, now, is_interrupted=one.is_interrupted)] for one in found]
    face.table(facts.COLUMNS, rows, right=facts.RIGHT, spare=facts.SPARE)


def _named(owner: str) -> str | None:
    from waycairn.process import current_account

    return {"me": current_account(), "all": None}.get(owner, owner)


def _listed(store: Store, which: BackupFilter, states: Sequence[str] | None, words: str | None) -> list[Listed]:
    from waycairn.backups.listing import list_backups as found

    return list(found(store.core, which, states, words))


def show_backup(
    face: Face,
    backup: BackupId,
    member: Annotated[
        list[str] | None, typer.Option(help="Only members of this name, with * for any letters; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many members.")] = 20,
    skip: Annotated[int, typer.Option(min=0, help="Leave out so many members before.")] = 0,
) -> None:
    """Show everything about a backup: its facts, what it holds, and what can be done with it now."""
    from waycairn.backups.advice import next_steps, standing_in_words

    with face.open() as store:
        one = store.backup(backup)
        record, dead, now = one.record, one.is_interrupted, store.core.clock.now()
        found, damage = _members(store.core, record, member)
    shown = found[skip : skip + limit]
    steps = list(next_steps(record, is_interrupted=dead))
    means = standing_in_words(record, is_interrupted=dead)
    if face.as_json:
        face.document(
            {
                "backup": backup_facts(record, is_interrupted=dead),
                "means": means,
                "do": [{"what": step.what, "command": step.command} for step in steps],
                "members": [member_facts(each) for each in shown],
                "members_count": len(found),
                "damage": damage,
            }
        )
        return
    for label, said in facts.lines(record, now, is_interrupted=dead):
        face.line(f"{label:<9}{said}")
    face.line(f"{'means':<9}{means}")
    if damage:
        face.line(f"{'damaged':<9}{damage}", "bold red")
    if shown:
        face.line()
        rows = [[text(cell) for cell in facts.member_row(each)] for each in shown]
        face.table(facts.MEMBER_COLUMNS, rows, right=("records", "size"), spare=("sha256",))
    if len(found) > skip + len(shown):
        face.line(f"{len(found):,} members; the next ones: --skip {skip + len(shown)}")
    face.line()
    for step in steps:
        face.line(f"{step.what}: {step.command}")


def _members(core: StoreCore, record: BackupRecord, patterns: Sequence[str] | None) -> tuple[list[Member], str | None]:
    """And why they cannot be read, where that is so: everything else can be shown all the same."""
    from waycairn.backups.catalogue import open_contents
    from waycairn.backups.searching import chosen
    from waycairn.errors import BackupError, Damaged

    if not record.state.is_whole:
        return [], None
    try:
        contents = open_contents(core, record)
    except (BackupError, Damaged) as error:
        return [], str(error)
    return [contents.members[name] for name in chosen(contents, patterns)], None


def search(
    face: Face,
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What is looked for, within one line: a key, a name.")],
    backups: BackupIds = None,
    *,
    member: Annotated[
        list[str] | None, typer.Option(help="Only in members of this name, with * for any letters; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = 100,
) -> int:
    """Look for a text in backups, without restoring them: which line of which member holds it. A backup that is damaged is exit
    code 3."""
    damaged: dict[str, str] = {}
    with face.open() as store, wrong_use():
        found = list(islice(_hits(store, words, backups, member, damaged), limit))
    if face.as_json:
        face.document({"hits": [_hit_facts(one, hit) for one, hit in found], "damaged": damaged})
    else:
        rows = [[text(one), text(hit.member), text(f"{hit.line:,}"), text(hit.text)] for one, hit in found]
        if rows or not face.is_terminal:
            face.table(("backup", "member", "line", "text"), rows, right=("line",), spare=("backup",))
        else:
            face.line("not found")
        for one, why in damaged.items():
            face.line(f"backup {one} could not be searched: {why}", "bold red")
    return FOUND_BAD if damaged else 0


def _hits(
    store: Store, words: str, named: Sequence[str] | None, members: Sequence[str] | None, damaged: dict[str, str]
) -> Iterator[tuple[str, Hit]]:
    """Of backups that are named, a pattern that no member matches is an error; of all it says only where to look."""
    from waycairn.errors import BackupError, Damaged

    wanted = named or [one.id for one in store.backups(state=WHOLE)]
    for one in wanted:
        try:
            for hit in store.backup(one).search(words, members, limit=None):
                yield one, hit
        except Damaged as error:
            damaged[one] = str(error)
        except BackupError:
            if named:
                raise


def _hit_facts(backup: str, hit: Hit) -> dict[str, Any]:
    return {"backup": backup, "member": hit.member, "line": hit.line, "offset": hit.offset, "text": hit.text}


COMMANDS = (
    Command("list", list_backups),
    Command("show", show_backup),
    Command("search", search),
)
