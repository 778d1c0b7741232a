"""What `waycairn backup create` is told to back up: paths, rows of a database, or runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waycairn.cli.output import BAD_USE, Refused, without_passwords, wrong_use

if TYPE_CHECKING:
    from waycairn.backups.source import Source
    from waycairn.store import StoreCore


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """As it stands on the command line."""

    what: Sequence[str]
    """Paths, or names of runs."""
    are_runs: bool
    rows: str | None
    table: str | None
    where: str | None
    params: Sequence[str]
    children: Sequence[str]

    def check(self) -> None:
        """Before anything is opened. Raises Refused."""
        if self.rows is None and (self.table or self.where or self.params or self.children):
            raise Refused("--table, --where, --param and --child go with --rows URL.", BAD_USE)
        if self.rows is not None and (self.what or self.are_runs):
            raise Refused("--rows URL and paths or runs are two backups: make one after the other.", BAD_USE)
        if self.rows is not None and self.table is None:
            raise Refused("name the table of the rows: --table NAME.", BAD_USE)
        if self.rows is None and not self.what:
            raise Refused("name what is to be backed up: paths; --runs and names; or --rows URL --table NAME.", BAD_USE)
        if self.params and self.where is None:
            raise Refused("--param gives values to the :names in --where.", BAD_USE)


def source_wanted(core: StoreCore, wanted: Wanted) -> Source:
    """Raises Refused for what a person wrote wrongly."""
    with usable():
        if wanted.rows is not None:
            return _rows(wanted)
        if wanted.are_runs:
            from waycairn.backups.runs import runs

            return runs(core, *wanted.what)
        from waycairn.backups.paths import paths

        return paths(*wanted.what)


def _rows(wanted: Wanted) -> Source:
    from sqlalchemy import text

    from waycairn.backups.rows import rows

    where = None
    if wanted.where is not None:
        given = dict(_param(words) for words in wanted.params)
        where = text(wanted.where).bindparams(**given)
        for name in where.compile().params.keys() - given.keys():
            raise ValueError(f"--where has :{name}, which has no value: add --param {name}=...")
    return rows(wanted.rows, wanted.table, where=where, children=_children(wanted.children))


@contextmanager
def usable() -> Iterator[None]:
    """What is wrong in an address, a condition, a name: told as wrong use, without a password."""
    try:
        with wrong_use():
            yield
    except _argument_error() as error:
        raise Refused(f"{without_passwords(str(error))}. Nothing was done.", BAD_USE) from None


def _argument_error() -> type[Exception]:
    """Asked for when something was raised: who backs up paths does not wait for SQLAlchemy."""
    from sqlalchemy.exc import ArgumentError

    return ArgumentError


def _param(words: str) -> tuple[str, Any]:
    """`name=text`, or `name:=value` with a JSON value."""
    name, separator, value = words.partition("=")
    if not separator or not name.strip(":"):
        raise ValueError(f"--param {words!r}: write name=text, or name:=value for a number, true, false or null")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError:
        raise ValueError(f"--param {words!r}: what stands behind := is not JSON; for text write one = only") from None


def _children(given: Sequence[str]) -> Any:
    """`turns=conversation_id` and `turns/attachments=turn_id` as what `rows` takes. A key of several columns has commas."""
    if list(given) == ["auto"]:
        return "auto"
    columns: dict[tuple[str, ...], tuple[str, ...]] = {}
    for words in given:
        path, separator, named = words.partition("=")
        tables = tuple(path.split("/"))
        if not separator or not all(tables) or not all(named.split(",")):
            raise ValueError(
                f"--child {words!r}: write table=column, table=column,column, parent/table=column, or auto alone"
            )
        if tables in columns:
            raise ValueError(f"--child {path} is given twice")
        columns[tables] = tuple(named.split(","))
    for tables in columns:
        if len(tables) > 1 and tables[:-1] not in columns:
            raise ValueError(f"--child {'/'.join(tables)}: its parent {'/'.join(tables[:-1])} is no --child itself")
    return _below((), columns) or None


def _below(parent: tuple[str, ...], columns: Mapping[tuple[str, ...], tuple[str, ...]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for tables, named in columns.items():
        if tables[:-1] == parent:
            below = _below(tables, columns)
            found[tables[-1]] = (*named, below) if below else named
    return found
