"""Statements on an encrypted store: what is bound is sealed, what comes back is opened; nobody else has to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from waycairn.catalog.database import Cursor, Row, Session, Values
from waycairn.catalog.plan import Field, Plan, Source
from waycairn.catalog.sealed_values import Seal, name_of, seal_of
from waycairn.catalog.statement import Statement, Texts
from waycairn.ports import Vault

_NOTHING: Values = {}
_SOME = 256
_Places = tuple[Source, ...]


class Seals:
    """The vault of a store, and what it has to do around each statement of one dialect. Shared by all connections."""

    def __init__(self, vault: Vault, texts: Texts) -> None:
        self.vault = vault
        self.texts = texts
        self._ways: dict[Statement, _Ways] = {}

    def of(self, statement: Statement) -> _Ways:
        found = self._ways.get(statement)
        if found is None:
            found = self._ways[statement] = _Ways(self.vault, statement, self.texts.plan(statement))
        return found


class _Ways:
    """What is done around one statement."""

    __slots__ = ("_results", "_statement", "_values", "_vault")

    def __init__(self, vault: Vault, statement: Statement, plan: Plan) -> None:
        self._vault = vault
        self._statement = statement.name
        self._values = [(name, seal_of(field.column), _places(field)) for name, field in plan.values.items()]
        self._results = [(at, seal_of(field.column), _places(field)) for at, field in plan.results.items()]

    @property
    def opens(self) -> bool:
        """Whether there is anything sealed in its rows."""
        return bool(self._results)

    def sealed(self, values: Values) -> Values:
        if not self._values:
            return values
        out = dict(values)
        names: dict[_Places | None, bytes] = {}
        for name, seal, places in self._values:
            value = values.get(name)
            if value is None:
                continue
            if places not in names:
                names[places] = self._name(seal, places, values)
            out[name] = seal.seal(self._vault, names[places], value)
        return out

    def opened(self, row: Row, values: Values) -> Row:
        if not self._results:
            return row
        out = list(row)
        names: dict[_Places | None, bytes] = {}
        for at, seal, places in self._results:
            value = out[at]
            if value is None:
                continue
            assert places is not None  # a statement that reads what it cannot name is refused by its plan
            if places not in names:
                names[places] = name_of([out[part] if isinstance(part, int) else values[part] for part in places])
            out[at] = seal.open(self._vault, names[places], value)
        return tuple(out)

    def _name(self, seal: Seal, places: _Places | None, values: Values) -> bytes:
        what = f"the statement {self._statement!r} seals {seal.column}"
        if places is None:
            raise ValueError(f"{what} and does not say of which row it is")
        try:
            return name_of([values[str(part)] for part in places])
        except KeyError as error:
            raise ValueError(f"{what} and was given no {error}") from None


def _places(field: Field) -> _Places | None:
    return None if field.row is None else tuple(field.row)


class SealedSession(Session):
    """The session of an encrypted store."""

    __slots__ = ("_seals",)
    is_sealed = True

    def __init__(self, cursor: Cursor, seals: Seals) -> None:
        super().__init__(cursor, seals.texts)
        self._seals = seals

    def _run(self, statement: Statement, values: Values) -> Cursor:
        return super()._run(statement, self._seals.of(statement).sealed(values))

    def one(self, statement: Statement, values: Values = _NOTHING) -> Row | None:
        row: Row | None = self._run(statement, values).fetchone()
        return None if row is None else self._seals.of(statement).opened(row, values)

    def all(self, statement: Statement, values: Values = _NOTHING) -> list[Row]:
        rows = self._run(statement, values).fetchall()
        ways = self._seals.of(statement)
        return [ways.opened(row, values) for row in rows] if ways.opens else rows

    def each(self, statement: Statement, values: Values = _NOTHING, at_once: int = _SOME) -> Iterator[Row]:
        opened = self._seals.of(statement).opened
        cursor = self._run(statement, values)
        while some := cursor.fetchmany(at_once):
            for row in some:
                yield opened(row, values)

    def many(self, statement: Statement, rows: Iterable[Values]) -> None:
        super().many(statement, map(self._seals.of(statement).sealed, rows))
