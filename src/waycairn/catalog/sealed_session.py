"""Statements on an encrypted store: what is bound is sealed, what comes back is opened; nobody else has to know."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, LargeBinary
from sqlalchemy.engine.interfaces import Dialect

from waycairn.catalog.database import Cursor, Row, Session, Values
from waycairn.catalog.protection import Protection, head_of, protection_of
from waycairn.catalog.sealed_plan import Field, Plan, plan_of
from waycairn.catalog.statement import Statement, Texts
from waycairn.catalog.tables import Json
from waycairn.errors import Damaged
from waycairn.ports import Vault

_NOTHING: Values = {}
_SOME = 256


class Seals:
    """The vault of a store, and what it has to do around each statement of one dialect. Shared by all connections."""

    def __init__(self, vault: Vault, dialect: Dialect) -> None:
        self.vault = vault
        self.texts = Texts(dialect, is_sealed=True)
        self._dialect = dialect
        self._plans: dict[Statement, Plan] = {}

    def plan(self, statement: Statement) -> Plan:
        found = self._plans.get(statement)
        if found is None:
            element = statement.core(self._dialect, is_sealed=True)
            found = self._plans[statement] = plan_of(statement.name, element)
        return found

    def seal(self, field: Field, value: Any, values: Values, statement: str) -> Any:
        if field.row is None:
            raise ValueError(
                f"the statement {statement!r} does not say of which row {field.column} is, so it cannot be sealed"
            )
        try:
            row = [values[str(part)] for part in field.row]
        except KeyError as error:
            raise ValueError(f"the statement {statement!r} seals {field.column} and was given no {error}") from None
        return sealed(self.vault, field.column, row, value)

    def open(self, field: Field, value: Any, row: Sequence[Any], values: Values) -> Any:
        named = [row[part] if isinstance(part, int) else values[str(part)] for part in field.row or ()]
        return opened(self.vault, field.column, named, value)


def context_of(column: Column[Any], row: Sequence[Any]) -> bytes:
    """What a value is bound to: its table, its column, and what names its row."""
    return b"\0".join((column.table.name.encode(), column.name.encode(), *map(_rendered, row)))


def sealed(vault: Vault, column: Column[Any], row: Sequence[Any], value: Any) -> Any:
    """As the column holds it. `row` names the row (see `sealed_plan.names_of_row`)."""
    plain = value.encode() if isinstance(value, str) else value
    protection = protection_of(column)
    if protection is Protection.HASHED:
        return vault.digest(str(column), plain).hex()
    if protection is Protection.MATCHED:
        # Nothing is what a search from the start begins behind.
        return _stored(column, vault.match(plain, context_of(column, ()))) if plain else value
    head = bytes(plain[: head_of(column)]).ljust(head_of(column), b"\0")
    return _stored(column, head + vault.seal(plain, context_of(column, row) + head))


def opened(vault: Vault, column: Column[Any], row: Sequence[Any], value: Any) -> Any:
    """As it was bound. Raises Damaged for what was not sealed for this row."""
    is_matched = protection_of(column) is Protection.MATCHED
    context = context_of(column, () if is_matched else row)
    data = _unstored(column, value, context)
    if is_matched:
        plain = vault.unmatch(data, context)
    else:
        size = head_of(column)
        plain = vault.unseal(memoryview(data)[size:], context + bytes(data[:size]))
    return plain if isinstance(column.type, LargeBinary) else plain.decode()


def _stored(column: Column[Any], data: bytes) -> Any:
    """Bytes, ASCII, or (in a column of JSON) ASCII as a JSON string."""
    if isinstance(column.type, LargeBinary):
        return data
    text = binascii.b2a_base64(data, newline=False).decode()
    return f'"{text}"' if column.type is Json else text


def _unstored(column: Column[Any], value: Any, context: bytes) -> bytes:
    if isinstance(column.type, LargeBinary) and isinstance(value, bytes | memoryview):
        return bytes(value)
    try:
        text = value[1:-1] if column.type is Json and value[0] == value[-1] == '"' else value
        return binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, TypeError, LookupError):
        raise Damaged(
            f"{context.decode('utf-8', 'backslashreplace').replace(chr(0), ' ')} is not sealed, and everything like it in an "
            "encrypted store is: it was put there by something else than waycairn, or it is damaged. It is not used. See "
            "`waycairn doctor`."
        ) from None


def _rendered(part: Any) -> bytes:
    if isinstance(part, str):
        return part.encode()
    return bytes(part).hex().encode() if isinstance(part, bytes | memoryview) else b"%d" % part


class SealedSession(Session):
    """The session of an encrypted store."""

    __slots__ = ("_seals",)

    def __init__(self, cursor: Cursor, seals: Seals) -> None:
        super().__init__(cursor, seals.texts)
        self._seals = seals

    def _run(self, statement: Statement, values: Values) -> Cursor:
        return super()._run(statement, self._sealed(statement, values))

    def _sealed(self, statement: Statement, values: Values) -> Values:
        fields = self._seals.plan(statement).values
        if not fields:
            return values
        out = dict(values)
        for name, field in fields.items():
            value = values.get(name)
            if value is not None:
                out[name] = self._seals.seal(field, value, values, statement.name)
        return out

    def _opened(self, statement: Statement, values: Values, rows: Iterable[Row]) -> Iterator[Row]:
        fields = self._seals.plan(statement).results
        if not fields:
            yield from rows
            return
        for row in rows:
            out = list(row)
            for position, field in fields.items():
                if out[position] is not None:
                    out[position] = self._seals.open(field, out[position], out, values)
            yield tuple(out)

    def one(self, statement: Statement, values: Values = _NOTHING) -> Row | None:
        row: Row | None = self._run(statement, values).fetchone()
        return None if row is None else next(self._opened(statement, values, (row,)))

    def all(self, statement: Statement, values: Values = _NOTHING) -> list[Row]:
        return list(self._opened(statement, values, self._run(statement, values).fetchall()))

    def each(self, statement: Statement, values: Values = _NOTHING) -> Iterator[Row]:
        cursor = self._run(statement, values)
        while some := cursor.fetchmany(_SOME):
            yield from self._opened(statement, values, some)

    def many(self, statement: Statement, rows: Iterable[Values]) -> None:
        super().many(statement, [self._sealed(statement, row) for row in rows])
