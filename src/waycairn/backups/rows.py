"""Rows of a database, and the rows that hang on them, as a source of a backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waycairn.backups.rows_children import Children, name_of, plain, shapes
from waycairn.backups.rows_connecting import database, described
from waycairn.backups.rows_deleting import delete, delete_without_backup
from waycairn.backups.rows_failures import told
from waycairn.backups.rows_format import LineEncoder
from waycairn.backups.rows_restoring import restore
from waycairn.backups.rows_selection import Selection
from waycairn.backups.rows_shape import TableName
from waycairn.backups.source import Contents, Target
from waycairn.model.backups import Count, Restored
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from waycairn.backups.rows_session import Session
    from waycairn.backups.source import Wish


class Rows:
    """See `rows`. Opens a connection for each call, and none in between."""

    kind = "rows"

    def __init__(self, engine: Any, table: Any, where: Any = None, children: Children = None) -> None:
        self._database = database(engine)
        self._table = name_of(table)
        self._where = where
        self._children = children
        self.label = _label(self._table, children)
        self._description = described(self._database, self._table, where, plain(children))

    def describe(self) -> Mapping[str, Any]:
        return self._description

    def count(self) -> Count:
        with told(self._database, "Nothing was read or changed."), self._database.reading() as session:
            selection = self._selection(session)
            details = {str(shape.table): selection.count(shape) for shape in selection.shapes}
        return Count(records=sum(details.values()), details=details)

    def export(self, target: Target, before: Contents | None) -> None:  # noqa: ARG002 - rows do not say whether they changed
        """In one transaction that only reads: what others write meanwhile is not seen, and does not wait (in SQLite
        with a rollback journal it does)."""
        with told(self._database, "Nothing was deleted."), self._database.reading() as session:
            selection = self._selection(session)
            records = size = 0
            for shape in selection.shapes:
                encode = LineEncoder(shape.columns)
                with target.member(shape.table.member, **shape.facts()) as member:
                    for lines, number in session.batches(selection.rows(shape), encode):
                        member.write(lines, records=number)
                        records, size = records + number, size + len(lines)
                        target.progress(records, size)
                crashpoint("backup.rows.exported")

    def delete(self, contents: Contents) -> None:
        delete(self._database, self._selection, contents)

    def delete_without_backup(self) -> None:
        delete_without_backup(self._database, self._selection)

    def restore(self, contents: Contents, wish: Wish) -> Restored:
        return restore(contents, wish, self._database)

    def _selection(self, session: Session) -> Selection:
        return Selection(session, shapes(session, self._table, self._children), self._where)


def _label(table: TableName, children: Children) -> str:
    if children == "auto":
        return f"{table} (+ what hangs on it)"
    below = ", ".join(plain(children) or ())
    return f"{table} (+ {below})" if below else str(table)


def rows(engine: Any, table: Any, where: Any = None, children: Children = None) -> Rows:
    """Rows of a database as a source for `safeguard`.

    `engine`: of SQLAlchemy, for SQLite or PostgreSQL (of an AsyncEngine its URL is opened by the blocking driver), or a URL.
    `table`: its name, a Table, or a mapped class. `where`: an expression of SQLAlchemy, or `sqlalchemy.text` with its
    parameters; None means all rows. `children`: tables that hang on it, with their columns that refer to the parent:

        {"turns": "conversation_id"}
        {"turns": ("conversation_id", {"attachments": "turn_id"})}      on any level
        {"turns": ("tenant", "conversation_id")}                        a key of two columns
        "auto"                                                          by the foreign keys of the database, on all levels

    A table that hangs on two others is named below both: its rows are those that hang on either.
    Raises TypeError and ValueError for what cannot be backed up, when it is used at the latest.
    """
    return Rows(engine, table, where, children)
