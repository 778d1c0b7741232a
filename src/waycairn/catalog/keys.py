"""The wrapped keys of an encrypted store: few rows, always changed as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from waycairn.catalog.chunk_index import LOCK_EPOCH
from waycairn.catalog.columns import decode_json, encode_json
from waycairn.catalog.condemning import PACK_FILL
from waycairn.catalog.database import Row, Session
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import ClauseElement, bindparam, delete, func, insert, literal, select, text
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import keys, meta
from waycairn.model.ids import PackId
from waycairn.model.keys import DataKeys, WrappedKey
from waycairn.ports import Vault
from waycairn.world.crashpoints import crashpoint

_COLUMNS = (keys.c.id, keys.c.generation, keys.c.kind, keys.c.parameters, keys.c.wrapped, keys.c.created)
KEYS = Statement("keys", "The wrapped keys.", select(*_COLUMNS))
ADD_KEY = Statement("add_key", "One of them.", insert(keys).values(**{c.name: bindparam(c.name) for c in _COLUMNS}))
FORMAT_OF = Statement("format_of", "The format of the store.", select(meta.c.format))
_SINCE = 3
DROP_KEYS = Statement("drop_keys", "All of them go, for others to come.", delete(keys))


def _lock(build: Build) -> ClauseElement:
    # On SQLite the transaction itself keeps others out.
    return select(literal(1)) if build.is_sqlite else text("LOCK TABLE keys IN EXCLUSIVE MODE")


LOCK_KEYS = Statement("lock_keys", "Nobody else changes the keys; they can still be read.", _lock)


HOLD_KEYS = Statement(
    "hold_keys",
    "Nobody changes the keys before this transaction ends.",
    text("LOCK TABLE keys IN ROW SHARE MODE"),
)
NEWEST = Statement("newest_key", "The data key in use.", select(func.max(keys.c.generation)))


class KeyPart(Part):
    """Implements `ports.KeyRows`."""

    def wrapped_keys(self) -> Sequence[WrappedKey]:
        return self._database.read(read_keys)

    def replace_keys(self, before: Sequence[WrappedKey], after: Sequence[WrappedKey]) -> bool:
        return self._database.write(lambda session: _replace(session, before, after))

    def drop_generation(
        self,
        before: Sequence[WrappedKey],
        after: Sequence[WrappedKey],
        renewed: Collection[PackId],
        is_new: Callable[[PackId], bool],
    ) -> bool:
        def drop(session: Session) -> bool:
            return _uses_only(session, renewed, is_new) and _replace(session, before, after)

        return self._database.write(drop)


def hold_keys(session: Session, vault: Vault, opened: Callable[[Sequence[WrappedKey]], DataKeys]) -> None:
    """The keys of the vault are those of the store, until the transaction of the session ends. What a process goes on
    sealing with a key that was replaced would be lost when that is dropped."""
    if not session.address.startswith("sqlite"):  # there the transaction itself keeps others out
        session.run(HOLD_KEYS)
    row = session.one(NEWEST)
    if row is not None and row[0] is not None and row[0] != vault.generation:
        vault.renew(opened(read_keys(session)))


def read_keys(session: Session) -> list[WrappedKey]:
    found = [*map(_key_of, session.all(KEYS))]
    return sorted(found, key=lambda row: (not row.is_way_in, row.generation, row.created, row.id))


def peek_keys(session: Session) -> list[WrappedKey]:
    """Before the store is opened; a store of an older format has no such table."""
    row = session.one(FORMAT_OF)
    return [] if row is None or row[0] < _SINCE else read_keys(session)


def add_keys(session: Session, rows: Sequence[WrappedKey]) -> None:
    """In the transaction of the session."""
    session.many(ADD_KEY, [*map(_values_of, rows)])


def _replace(session: Session, before: Sequence[WrappedKey], after: Sequence[WrappedKey]) -> bool:
    session.run(LOCK_KEYS)
    there = {row.id: row for row in read_keys(session)}
    if there != {row.id: row for row in before}:
        return False
    session.run(DROP_KEYS)
    crashpoint("keys.replace")
    add_keys(session, after)
    return True


def _uses_only(session: Session, renewed: Collection[PackId], is_new: Callable[[PackId], bool]) -> bool:
    """The lock first: a save that has written a pack with the old key, and is not committed yet, is refused by the epoch."""
    session.one(LOCK_EPOCH)
    used = {PackId(name) for name, _, count, _ in session.all(PACK_FILL) if count}
    return all(is_new(name) for name in used - set(renewed))


@reads(_COLUMNS)
def _key_of(row: Row) -> WrappedKey:
    id_, generation, kind, parameters, wrapped, created = row
    return WrappedKey(
        id=id_,
        generation=generation,
        kind=kind,
        parameters=decode_json(parameters),
        wrapped=bytes(wrapped),
        created=float(created),
    )


def _values_of(row: WrappedKey) -> dict[str, object]:
    return {
        "id": row.id,
        "generation": row.generation,
        "kind": row.kind,
        "parameters": encode_json(dict(row.parameters)),
        "wrapped": row.wrapped,
        "created": row.created,
    }
