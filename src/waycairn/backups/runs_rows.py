"""Rows of runs as readable JSON lines, types kept.

    {"table":"checkpoints","run":"q2w8…","sequence":7,"pinned":false,…,"state":{"at":0,"document":118,"sha256":"…"}}

Bytes are {"$bytes": base64}; a float that JSON has no number for is {"$float": "nan"}; an object whose only key begins with
"$" stands in {"$object": …}. `state` says where the content of a stored state lies in the member beside it.
"""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from waycairn.backups.lines import lines
from waycairn.chunks import Shape
from waycairn.errors import SchemaChanged
from waycairn.upkeep.row_sums import RowSum

FORMAT = 1
STATE = "state"
_STORED = ("manifest", "root", "raw_bytes", "new_bytes")
"""Columns that say where a state lies in one store."""


class StateSpan(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """Where a state lies in the member beside the rows."""

    at: int
    """Its first byte."""
    sha256: str
    """Of its bytes there."""


class LostState(msgspec.Struct, frozen=True):
    """What a checkpoint that is marked damaged has instead."""

    damage: str


def standing(table: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row as it can be found again in its own store, wherever its chunks were moved to."""
    return {"table": table, **{name: value for name, value in row.items() if name not in ("manifest", "new_bytes")}}


def exported(table: str, row: Mapping[str, Any], state: StateSpan | LostState | None) -> dict[str, Any]:
    """A row as it means the same in any store."""
    if "manifest" not in row:
        return {"table": table, **row}
    line = {name: value for name, value in row.items() if name not in _STORED}
    return {"table": table, **line, STATE: None if state is None else msgspec.to_builtins(state)}


def add_content(total: RowSum, line: Mapping[str, Any]) -> None:
    """Count what `exported` gave, wherever its state lies; what is lost is the same as nothing."""
    state = line.get(STATE)
    if state is not None and "damage" in state:
        return
    content = None if state is None else {name: value for name, value in state.items() if name != "at"}
    total.add({**line, STATE: content})


def line_of(line: Mapping[str, Any]) -> bytes:
    return json.dumps(_typed(line), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def lines_in(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Of a member, in order. Raises SchemaChanged for what no version wrote."""
    return map(_parsed, lines(pieces))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        row = _untyped(json.loads(line))
        if isinstance(row, dict) and isinstance(row.get("table"), str):
            return row
    except (ValueError, KeyError, TypeError):
        pass
    raise SchemaChanged(f"this is no row of a run: {line[:60].decode(errors='replace')!r}. Nothing was changed.")


def state_of(line: Mapping[str, Any]) -> StateSpan | LostState | None:
    """Where the state of a row lies, if it has one."""
    found = line.get(STATE)
    if found is None:
        return None
    try:
        return msgspec.convert(found, LostState) if "damage" in found else msgspec.convert(found, StateSpan)
    except (msgspec.ValidationError, TypeError) as error:
        raise SchemaChanged(f"a state in the backup cannot be found: {error}. Nothing was changed.") from None


def stored_columns(stored: Any) -> dict[str, Any]:
    """What stands for `state` in the rows of a store; None where a row has none."""
    return {name: None if stored is None else getattr(stored, name) for name in _STORED}


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        typed = {name: _typed(one) for name, one in value.items()}
        return {"$object": typed} if len(value) == 1 and next(iter(value)).startswith("$") else typed
    if isinstance(value, list | tuple):
        return [_typed(one) for one in value]
    if isinstance(value, bytes):
        return {"$bytes": binascii.b2a_base64(value, newline=False).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


_UNTYPED: dict[str, Callable[[Any], Any]] = {
    "$bytes": binascii.a2b_base64,
    "$float": float,
    "$object": lambda value: {name: _untyped(one) for name, one in value.items()},
}


def _untyped(value: Any) -> Any:
    if isinstance(value, list):
        return [_untyped(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(name, inner)] = value.items()
        if name.startswith("$"):
            return _UNTYPED[name](inner)
    return {name: _untyped(one) for name, one in value.items()}
