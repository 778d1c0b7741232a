"""Rows in a process that knows of them only what the catalogue says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import text

from waycairn.backups.rows import Rows
from waycairn.backups.rows_connecting import home
from waycairn.backups.rows_restoring import restore
from waycairn.errors import BackupRefused

if TYPE_CHECKING:
    from waycairn.backups.source import Contents, Source, Target, Wish
    from waycairn.model.backups import Count, Restored


def rows_again(description: Mapping[str, Any], engine: Any = None) -> Source:
    """Where the condition was text, or none, the same rows; else a source that only restores. `engine` where the address in the
    description does not do, which has no password."""
    if "where" in description and "again" not in description:
        return RowsAgain(description)
    again = description.get("again")
    where = None if again is None else text(again["where"]).bindparams(**again["parameters"])
    children = description.get("children")
    return Rows(engine or home(description).engine, description["table"], where, children)


class RowsAgain:
    """A Source that only restores: which rows were meant, an expression of the program that made the backup says."""

    kind = "rows"

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._description = description

    @property
    def label(self) -> str:
        return str(self._description["table"])

    def describe(self) -> Mapping[str, Any]:
        return self._description

    def count(self) -> Count:
        self._refuse()

    def export(self, target: Target, before: Contents | None) -> None:  # noqa: ARG002 - the contract
        self._refuse()

    def delete(self, contents: Contents) -> None:
        self._refuse(contents.record.id)

    def restore(self, contents: Contents, wish: Wish) -> Restored:
        return restore(contents, wish)

    def _refuse(self, backup: str = "ID") -> NoReturn:
        meant = self._description
        raise BackupRefused(
            f"which rows of {self.label} were meant, an expression of the program that made the backup says, and that is not "
            f"here; in SQL it was {meant['where']!r} with {meant['parameters']}. Nothing was deleted. Delete with the same rows "
            f"again: store.backup({backup!r}).delete(wc.rows(engine, {self.label!r}, where=..., "
            f"children={meant.get('children')!r})). The backup is whole, and can be restored from as it is.",
            backup=backup,
        )
