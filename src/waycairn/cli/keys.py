"""`waycairn key …`: the keys of an encrypted store, and the ways in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Yes
from waycairn.cli.output import BAD_USE, Face, Refused, ask, ask_secret, can_ask, wrong_use

if TYPE_CHECKING:
    from waycairn.crypto.locksmith import Locksmith
    from waycairn.crypto.sources import Source
    from waycairn.model.keys import WrappedKey

_NEW = "WAYCAIRN_NEW_PASSPHRASE"
NewKeyFile = Annotated[
    Path | None, typer.Option("--new-key-file", help="A file with the new key; else a new passphrase is asked for.")
]
WayIn = Annotated[str, typer.Argument(metavar="ID", help="A way in, as `waycairn key list` names it.")]


def file(face: Face, path: Annotated[Path, typer.Argument(help="The file to make.")]) -> None:
    """Make a key: a file of 32 random bytes, as hexadecimal digits, that only its owner can read. Never overwrites one."""
    from waycairn.crypto.sources import write_key_file

    try:
        write_key_file(path)
    except FileExistsError as error:
        raise Refused(str(error)) from None
    if face.as_json:
        face.document({"path": str(path.absolute())})
    face.done(f"a new key is in {path}. Keep a copy of it where the store is not: what it opens is lost without it")


def init(face: Face) -> None:
    """Create an encrypted store, opened by a passphrase or a key file: --key-file, the environment, else what is typed."""
    from waycairn.wiring import exists

    if exists(face.store):
        raise Refused(
            "there is a store already. Nothing was changed. See `waycairn key list`, `waycairn copy --encrypt`."
        )
    with face.open(create=True, encrypt=True) as store:
        rows = store.core.catalog.wrapped_keys()
        url = store.url
    if face.as_json:
        face.document({"store": url, "keys": [_facts(row) for row in rows]})
    face.done(f"created an encrypted store at {url}; it opens by a {rows[0].kind} (way in {rows[0].id})")
    face.done("without that nothing in it can be read: keep a copy where the store is not, or add a second way in")


def list_(face: Face) -> None:
    """List the ways in and the generations of the data key. Needs no key: what is listed opens nothing."""
    address, rows = _rows(face)
    if face.as_json:
        face.document({"store": address, "encrypted": bool(rows), "keys": [_facts(row) for row in rows]})
        return
    if not rows:
        face.line("the store is not encrypted")
        return
    from waycairn.upkeep.sizes import iso

    face.table(
        ("ID", "KIND", "CREATED", "LABEL", "STATE"),
        [(row.id, row.kind, iso(row.created) or "", _label(row), _state(row, rows)) for row in rows],
    )


def add(
    face: Face,
    new_key_file: NewKeyFile = None,
    label: Annotated[str | None, typer.Option(help="A word by which you will know it again.")] = None,
) -> None:
    """Add a way in: another passphrase or key file that opens the store, too."""
    from waycairn.upkeep.keys import add_way_in

    with face.open() as store, wrong_use():
        id_ = add_way_in(store.core, new_source(new_key_file), label)
    if face.as_json:
        face.document({"added": id_})
    face.done(f"way in {id_} opens the store from now on, beside the others")


def remove(face: Face, id_: WayIn, yes: Yes = False) -> None:
    """Remove a way in. Never the last one."""
    from waycairn.crypto.keyring import way_in
    from waycairn.upkeep.keys import remove_way_in

    with face.open() as store:
        with wrong_use():
            way_in(store.core.catalog.wrapped_keys(), id_)
        ask(f"Remove way in {id_}? Its secret opens the store no more, which cannot be undone.", yes=yes)
        with wrong_use():
            remove_way_in(store.core, id_)
    if face.as_json:
        face.document({"removed": id_})
    face.done(
        f"way in {id_} is gone. Who knew it and has an old copy of the store can read that copy, and what is written"
    )
    face.done("from now on as well until the data key is changed: waycairn key rotate --data")


def rotate(
    face: Face,
    id_: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The way in that gets another secret; by default the one in use."),
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="The data key instead: everything is encrypted again.")] = False,
    new_key_file: NewKeyFile = None,
) -> None:
    """Replace the secret of a way in by another one, which is done at once; or, with --data, the data key. That takes its
    time, jobs may work meanwhile, and it can be interrupted: run it again to go on."""
    if data and (id_ or new_key_file):
        raise Refused("--data changes no way in: leave out ID and --new-key-file.", BAD_USE)
    if data:
        _rotate_data(face)
        return
    from waycairn.upkeep.keys import rotate_way_in

    with face.open() as store, wrong_use():
        new = rotate_way_in(store.core, new_source(new_key_file), id_)
    if face.as_json:
        face.document({"way_in": new})
    face.done(f"way in {new} takes the place of the old one, whose secret opens the store no more")


def _rotate_data(face: Face) -> None:
    from waycairn.upkeep.rotating import rotate_data_key

    with face.open() as store:
        report = rotate_data_key(store.core, tell=face.aside)
    if face.as_json:
        face.document(asdict(report))
        return
    face.done(f"data key {report.generation} is in use; {report.packs:,} packs were written again")
    if report.unreadable:
        raise Refused(
            f"{report.unreadable:,} blocks are damaged and stay as they are, and so does the old data key. See `waycairn "
            "verify`; delete the checkpoints that need them, sweep, and run this again."
        )
    face.done("what the old data key opened is gone with the next sweep: waycairn sweep")


def check(face: Face) -> int:
    """Open the keys with what is given, and say which way in that was. Reads nothing else."""
    with face.open() as store:
        from waycairn.upkeep.keys import opened_keys

        ring = opened_keys(store.core)
        generations = sorted(ring.data_keys.by_generation)
    if face.as_json:
        face.document({"store": store.url, "opened_by": ring.opened_by, "generations": generations})
    else:
        face.done(
            f"{ring.source.where} opens the store, as way in {ring.opened_by}; data keys: {_numbers(generations)}"
        )
    return 0


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def new_source(path: Path | str | None, like: Locksmith | None = None) -> Source:
    """Another secret; where none is named that of `like`, if it has one."""
    from waycairn.crypto.sources import from_file, from_passphrase

    if path is not None:
        return from_file(path)
    if words := os.environ.get(_NEW):
        return from_passphrase(words, _NEW)
    if like is not None and like.source is not None:
        return like.source
    if not can_ask():
        raise Refused(
            f"no new secret was given. Nothing was changed. Give --new-key-file FILE, or set {_NEW}.", BAD_USE
        )
    words = ask_secret("New passphrase: ")
    if ask_secret("The same again: ") != words:
        raise Refused("the two passphrases differ. Nothing was changed.", BAD_USE)
    return from_passphrase(words, "the new passphrase")


def _rows(face: Face) -> tuple[str, Sequence[WrappedKey]]:
    from waycairn.wiring import wrapped_keys

    with wrong_use():
        return wrapped_keys(face.store)


def _facts(row: WrappedKey) -> dict[str, Any]:
    from waycairn.upkeep.sizes import iso

    shown = {name: value for name, value in row.parameters.items() if name != "salt"}
    return {"id": row.id, "kind": row.kind, "generation": row.generation, "created": iso(row.created), **shown}


def _label(row: WrappedKey) -> str:
    return str(row.parameters.get("label") or "")


def _state(row: WrappedKey, rows: Sequence[WrappedKey]) -> str:
    if row.is_way_in:
        return ""
    if row.generation == max(one.generation for one in rows):
        return "in use"
    return f"being replaced: {row.parameters.get('progress', 'not begun')}"


COMMANDS = (
    Command("file", file, has_quiet=True, has_store=False),
    Command("init", init, has_quiet=True),
    Command("list", list_),
    Command("add", add, has_quiet=True),
    Command("remove", remove, has_quiet=True),
    Command("rotate", rotate, has_quiet=True),
    Command("check", check, has_quiet=True),
)
