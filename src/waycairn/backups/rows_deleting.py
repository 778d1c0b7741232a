"""Deleting exactly the rows that were exported: the check and the deletion are one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from sqlalchemy import select, text, tuple_

from waycairn.backups.rows_comparing import changed, differences
from waycairn.backups.rows_failures import committing, told
from waycairn.backups.rows_format import LineDecoder, LineEncoder, blocks, key_decoder
from waycairn.backups.rows_selection import Selection
from waycairn.backups.rows_session import Database, Session
from waycairn.backups.rows_shape import ForeignKey, Shape
from waycairn.backups.source import Contents
from waycairn.errors import BackupRefused, CommitUnknown, SourceChanged
from waycairn.model.backups import Member
from waycairn.world.crashpoints import crashpoint

_AT_ONCE = 500


def delete(database: Database, selected: Callable[[Session], Selection], contents: Contents) -> None:
    """A COMMIT without an answer is settled by doing the same again: rows that are gone are found to be gone."""
    try:
        _delete(database, selected, contents)
    except CommitUnknown:
        _delete(database, selected, contents)


def delete_without_backup(database: Database, selected: Callable[[Session], Selection]) -> None:
    """All that are selected at this moment. A COMMIT without an answer is not tried again: rows that came since would go."""
    _delete(database, selected, None)


def _delete(database: Database, selected: Callable[[Session], Selection], contents: Contents | None) -> None:
    with told(database, "Nothing was deleted."), database.changing() as session:
        # 1. Nobody else changes these tables, or those that refer to them, from here on.
        selection = selected(session)
        strays = _strays(selection)
        session.lock([*(shape.table for shape in selection.shapes), *(key.table for key in strays)])
        # 2. They hold what was exported; or nothing of it any more, and an earlier attempt came to its end.
        if contents is not None and not _is_as_exported(selection, contents):
            return
        # 3. No other row hangs on them.
        for key in strays:
            _check_stray(selection, key)
        # 4. Children go before those they hang on.
        _remove(selection, contents)
        crashpoint("backup.rows.delete")
        with committing(database):
            session.commit()
    crashpoint("backup.rows.deleted")


def _is_as_exported(selection: Selection, contents: Contents) -> bool:
    """False if no row that was exported is there any more. Raises SourceChanged."""
    members = _members(selection, contents)
    if (differing := _differing(selection, members)) is None:
        return True
    if _is_gone(selection.session, contents, members):
        return False
    raise _changed(selection, contents, differing, members)


def _members(selection: Selection, contents: Contents) -> dict[Shape, Member]:
    names = [shape.table.member for shape in selection.shapes]
    if sorted(names) != sorted(contents.members):
        raise SourceChanged(
            f"the tables of the backup are {', '.join(contents.members)}, those to be deleted from are "
            f"{', '.join(names)}. Nothing was deleted. Make a new backup, and delete with that."
        )
    members = {shape: contents.members[name] for shape, name in zip(selection.shapes, names, strict=True)}
    for shape, member in members.items():
        was = Shape.from_facts(member.facts)
        if (was.columns, was.key) != (shape.columns, shape.key):
            raise changed(shape, "it has other columns now")
    return members


# -- are they as they were? ------------------------------------------------------------------------------------------


def _lines(selection: Selection, shape: Shape) -> Iterator[bytes]:
    batches = selection.session.batches(selection.rows(shape), LineEncoder(shape.columns))
    return (lines for lines, _ in batches)


def _differing(selection: Selection, members: Mapping[Shape, Member]) -> Shape | None:
    for shape, member in members.items():
        sha256 = hashlib.sha256()
        for lines in _lines(selection, shape):
            sha256.update(lines)
        if sha256.hexdigest() != member.sha256:
            return shape
    return None


def _is_gone(session: Session, contents: Contents, members: Mapping[Shape, Member]) -> bool:
    """Whether no row that was exported is there any more."""
    return any(member.records for member in members.values()) and not any(
        session.found(shape, some) for shape, member in members.items() for some in _keys(shape, member, contents)
    )


def _keys(shape: Shape, member: Member, contents: Contents) -> Iterator[list[tuple[object, ...]]]:
    was = Shape.from_facts(member.facts)
    decode, places = LineDecoder(was.columns), was.places(shape.key)
    keys = (
        tuple(row[place] for place in places) for lines in blocks(contents.read(member.name)) for row in decode(lines)
    )
    while some := list(islice(keys, _AT_ONCE)):
        yield some


def _changed(selection: Selection, contents: Contents, shape: Shape, members: Mapping[Shape, Member]) -> SourceChanged:
    member = members[shape]
    old = blocks(contents.read(member.name))
    found = differences(old, _lines(selection, shape), key_decoder(shape.key))
    if found:
        return changed(shape, str(found))
    now = selection.count(shape)
    return changed(shape, f"there were {member.records:,} and are {now:,}, and many of them are others")


# -- would others go along? ------------------------------------------------------------------------------------------


def _strays(selection: Selection) -> list[ForeignKey]:
    """Foreign keys that refer to our tables, and by which no row is in the backup."""
    followed = {(key.table, frozenset(key.columns)) for shape in selection.shapes for key in shape.hangs_on}
    referring = (key for shape in selection.shapes for key in selection.session.referring(shape.table))
    return [key for key in referring if (key.table, frozenset(key.columns)) not in followed]


def _check_stray(selection: Selection, key: ForeignKey) -> None:
    """The database would delete or change rows that nobody exported, or refuse."""
    stray = select(text("1")).where(selection.referred(key)).limit(1)
    own = next((shape for shape in selection.shapes if shape.table == key.table), None)
    if own is not None:
        stray = stray.where(tuple_(*selection.key(own)).not_in(selection.keys(own)))
    if selection.session.connection.execute(stray).first() is not None:
        raise BackupRefused(
            f"rows of {key} that are not in the backup refer to rows of {key.parent} that are to be deleted. Nothing was "
            "deleted. Name that table among the children, or let those rows refer to others first.",
            table=str(key.table),
        )


# -- delete ----------------------------------------------------------------------------------------------------------


def _remove(selection: Selection, contents: Contents | None) -> None:
    """By the keys of the first table as they are now: its condition may depend on the children, and these go first."""
    session, root = selection.session, selection.shapes[0]
    if contents is None:
        expected = {shape: selection.count(shape) for shape in selection.shapes}
    else:  # they have just been found to be these, to the byte
        expected = {shape: member.records for shape, member in _members(selection, contents).items()}
    chosen = selection.among(session.keep(root, selection.keys(root)))
    for shape in reversed(selection.shapes):
        number = session.delete(chosen.source(shape), chosen.chosen(shape))
        if number != expected[shape]:
            raise SourceChanged(
                f"{number:,} rows of {shape.table} would be deleted, and {expected[shape]:,} are to be: a "
                "trigger or a rule of the database steps in. Nothing was deleted.",
                table=str(shape.table),
            )
    session.forget()
