"""Which tables hang on the one that is named: by what the caller says, or by the foreign keys of the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, TypeAlias

import msgspec

from waycairn.backups.rows_session import Session
from waycairn.backups.rows_shape import ForeignKey, Shape, TableName

Children: TypeAlias = Mapping[Any, Any] | Literal["auto"] | None


def name_of(table: Any) -> TableName:
    """Of a name, a Table, or a mapped class. Raises TypeError for anything else."""
    if isinstance(table, str):
        return TableName.parse(table)
    found = getattr(table, "__table__", table)
    if not isinstance(getattr(found, "name", None), str) or not hasattr(found, "columns"):
        raise TypeError(f"a table is given by its name, as a Table or as a mapped class, not as {type(table).__name__}")
    return TableName(found.schema and str(found.schema), str(found.name))


def plain(children: Children) -> Any:
    """The same as JSON values. Raises TypeError for what cannot be understood."""
    if children is None or children == "auto":
        return children
    if not isinstance(children, Mapping):
        raise TypeError(_SAY)
    return {str(name_of(table)): _plain_link(link) for table, link in children.items()}


_SAY = (
    'children are a mapping from a table to its columns that refer to the parent: {"turns": "conversation_id"}; with '
    'children of their own {"turns": ("conversation_id", {"attachments": "turn_id"})}; or "auto"'
)


def _plain_link(link: Any) -> list[Any]:
    columns, below = _parted(link)
    return [*columns, plain(below)] if below else [*columns]


def _parted(link: Any) -> tuple[tuple[str, ...], Mapping[Any, Any]]:
    """("tenant", "conversation_id", {...}) as its columns and what hangs on them."""
    parts: list[Any] = [link] if isinstance(link, str) else list(link) if isinstance(link, Sequence) else []
    below: Mapping[Any, Any] = parts.pop() if parts and isinstance(parts[-1], Mapping) else {}
    if not parts or not all(isinstance(part, str) for part in parts):
        raise TypeError(_SAY)
    return tuple(parts), below


def shapes(session: Session, root: TableName, children: Children) -> list[Shape]:
    """All tables of the backup, parents first. Raises ValueError where that cannot be: what is missing, goes round in a
    circle, or does not fit."""
    given = _found(session, root) if children == "auto" else _given(session, root, children or {})
    links: dict[TableName, list[ForeignKey]] = {root: []}
    for link in given:
        links.setdefault(link.table, []).append(link)
    graph = {table: [link.parent for link in hung] for table, hung in links.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        raise ValueError(
            f"the children go round in a circle ({circle}): which rows belong to which cannot be said in levels. "
            "Nothing was done. Name the children without the link that closes it."
        ) from None
    return [_checked(session, table, links[table]) for table in order]


def _given(session: Session, parent: TableName, children: Mapping[Any, Any]) -> Iterator[ForeignKey]:
    for table, link in children.items():
        columns, below = _parted(link)
        name = name_of(table)
        if name.schema is None:
            name = TableName(parent.schema, name.name)
        yield ForeignKey(table=name, columns=columns, parent=parent, refers=_refers(session, parent, name, columns))
        yield from _given(session, name, below)


def _refers(session: Session, parent: TableName, table: TableName, columns: tuple[str, ...]) -> tuple[str, ...]:
    """What the columns refer to: by a foreign key of the database, else the primary key."""
    for key in session.referring(parent):
        if key.table == table and set(key.columns) == set(columns):
            return tuple(key.refers[key.columns.index(column)] for column in columns)
    refers = session.shape(parent).key
    if len(refers) != len(columns):
        raise ValueError(
            f"{table}({', '.join(columns)}) cannot refer to {parent}({', '.join(refers)}): other numbers of columns"
        )
    return refers


def _found(session: Session, root: TableName) -> Iterator[ForeignKey]:
    """By the foreign keys of the database, on all levels."""
    seen, ahead = {root}, [root]
    while ahead:
        for key in session.referring(ahead.pop(0)):
            yield key
            if key.table not in seen:
                seen.add(key.table)
                ahead.append(key.table)


def _checked(session: Session, table: TableName, links: Sequence[ForeignKey]) -> Shape:
    shape = session.shape(table)
    for link in links:
        for column in set(link.columns) - set(shape.names):
            raise ValueError(f"the table {table} has no column {column!r}; it has {', '.join(shape.names)}")
    return msgspec.structs.replace(shape, hangs_on=tuple(links))
