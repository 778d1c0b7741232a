"""Rows of the audit log, and how well they fit together, as JSON values with stable keys."""

from __future__ import annotations

from typing import Any

from waycairn.model.audit import AuditRow
from waycairn.upkeep.audit_chain import Checked
from waycairn.upkeep.sizes import iso


def row_facts(row: AuditRow) -> dict[str, Any]:
    """`damage` is there where the row cannot be read; then it says nothing else."""
    entry = row.entry
    damage = {} if row.damage is None else {"damage": row.damage}
    return {
        "number": row.number,
        "at": entry.at,
        "time": iso(entry.at),
        "actor": entry.actor,
        "act": entry.act,
        "object": entry.object,
        "outcome": entry.outcome.value,
        "facts": dict(entry.facts),
        "hash": row.hash.hex(),
        **damage,
    }


def checked_facts(checked: Checked) -> dict[str, Any]:
    return {
        "rows": checked.rows,
        "first": checked.first,
        "anchor": None if checked.newest is None else str(checked.newest),
        "fits": not checked.misfits,
        "misfits": [{"number": one.number, "what": one.what} for one in checked.misfits],
        "more": checked.more,
    }
