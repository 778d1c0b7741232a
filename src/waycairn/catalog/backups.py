"""The catalogue of backups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

from waycairn.catalog.columns import decode_json, decode_maybe, decode_text, encode_json, encode_maybe, encode_text
from waycairn.catalog.database import Row
from waycairn.catalog.filters import any_values, one_of
from waycairn.catalog.parts import Part
from waycairn.catalog.shapes import reads
from waycairn.catalog.sql import Double, Integer, and_, bindparam, insert, or_, select, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import backups
from waycairn.model.backups import WHOLE, BackupFilter, BackupRecord, BackupState
from waycairn.model.ids import RunId

_ROW = tuple(backups.c)
ADD_BACKUP = Statement(
    "add_backup", "A new backup.", insert(backups).values({column.name: bindparam(column.name) for column in _ROW})
)
GET_BACKUP = Statement("get_backup", "One backup by id.", select(*_ROW).where(backups.c.id == bindparam("id")))
HOLD_BACKUP = Statement(
    "hold_backup",
    "A backup that is whole stays until some moment, at least.",
    update(backups)
    .where(
        backups.c.id == bindparam("of"),
        one_of(backups.c.state, len(WHOLE)),
        backups.c.expires < bindparam("until", type_=Double),
    )
    .values(expires=bindparam("until", type_=Double), updated=bindparam("now")),
)
_MAY_EXPIRE = (BackupState.VERIFIED, BackupState.DELETED)
"""One whose source is being deleted is the only one who has it all."""
EXPIRE_BACKUP = Statement(
    "expire_backup",
    "The time of a backup is over, if it still is so.",
    update(backups)
    .where(
        backups.c.id == bindparam("of"),
        one_of(backups.c.state, len(_MAY_EXPIRE)),
        backups.c.pinned.is_(False),
        backups.c.expires <= bindparam("now", type_=Double),
    )
    .values(state=BackupState.EXPIRED.value, updated=bindparam("now", type_=Double)),
)


@cache
def _change(columns: tuple[str, ...], states: int) -> Statement:
    return Statement(
        "change_backup",
        "Set columns of a backup that is in one of some states.",
        update(backups)
        .where(backups.c.id == bindparam("of"), one_of(backups.c.state, states))
        .values(updated=bindparam("now"), **{column: bindparam(column) for column in columns}),
    )


@cache
def _list(columns: tuple[str, ...], states: int, *, limited: bool, paged: bool = False) -> Statement:
    chosen = select(*_ROW).where(*(backups.c[column] == bindparam(column) for column in columns))
    if states:
        chosen = chosen.where(one_of(backups.c.state, states))
    if paged:
        moment = bindparam("before", type_=Double)
        chosen = chosen.where(
            backups.c.created <= moment,  # what the index can be asked for
            or_(backups.c.created < moment, and_(backups.c.created == moment, backups.c.id < bindparam("before_id"))),
        )
    chosen = chosen.order_by(backups.c.created.desc(), backups.c.id.desc())
    return Statement(
        "list_backups",
        "Backups that match, newest first.",
        chosen.limit(bindparam("limit", type_=Integer)) if limited else chosen,
    )


class BackupPart(Part):
    """Implements `ports.BackupRows`, but for `carry_steps` (see `commits`)."""

    def add_backup(self, record: BackupRecord) -> None:
        values = {column.name: _encoded(column.name, getattr(record, column.name)) for column in _ROW}
        self._database.write(lambda session: session.change(ADD_BACKUP, values))

    def change_backup(self, backup: RunId, expected: Collection[BackupState], now: float, **columns: Any) -> bool:
        values = {name: _encoded(name, value) for name, value in columns.items()}
        statement = _change(tuple(sorted(values)), len(expected))
        values |= {"of": backup, "now": now, **any_values([state.value for state in expected])}
        return self._database.write(lambda session: session.change(statement, values)) == 1

    def hold_backup(self, backup: RunId, until: float, now: float) -> bool:
        values = {"of": backup, "until": until, "now": now, **any_values(WHOLE)}
        if self._database.write(lambda session: session.change(HOLD_BACKUP, values)) == 1:
            return True
        found = self.get_backup(backup)
        return found is not None and found.state.is_whole

    def expire_backup(self, backup: RunId, now: float) -> bool:
        values = {"of": backup, "now": now, **any_values(_MAY_EXPIRE)}
        return self._database.write(lambda session: session.change(EXPIRE_BACKUP, values)) == 1

    def get_backup(self, backup: RunId) -> BackupRecord | None:
        row = self._database.read(lambda session: session.one(GET_BACKUP, {"id": backup}))
        return None if row is None else _record_of(row)

    def list_backups(self, which: BackupFilter) -> Sequence[BackupRecord]:
        if which.states is not None and not which.states:
            return []
        asked = {"owner": encode_maybe(which.owner), "kind": which.kind}
        equal = {column: value for column, value in asked.items() if value is not None}
        states = list(which.states or ())
        statement = _list(tuple(equal), len(states), paged=which.before is not None, limited=which.limit is not None)
        moment, id_ = which.before or (None, None)
        values = {**equal, **any_values(states), "before": moment, "before_id": id_, "limit": which.limit}
        return [_record_of(row) for row in self._database.read(lambda session: session.all(statement, values))]


_ENCODERS: dict[str, Callable[[Any], Any]] = {
    "label": encode_text,
    "owner": encode_text,
    "source": lambda source: encode_json(dict(source)),
    "state": lambda state: BackupState(state).value,
    "error": encode_maybe,
}


def _encoded(name: str, value: Any) -> Any:
    return _ENCODERS[name](value) if name in _ENCODERS else value


@reads(_ROW)
def _record_of(row: Row) -> BackupRecord:
    (id_, kind, label, owner, source, state, created, updated, verified, deleted, expires) = row[:11]
    (pinned, records, size, stored, digest, error) = row[11:]
    return BackupRecord(
        id=RunId(id_),
        kind=kind,
        label=decode_text(label),
        owner=decode_text(owner),
        source=decode_json(source),
        state=BackupState(state),
        created=created,
        updated=updated,
        verified=verified,
        deleted=deleted,
        expires=expires,
        pinned=bool(pinned),
        records=records,
        size=size,
        stored=stored,
        digest=digest,
        error=decode_maybe(error),
    )
