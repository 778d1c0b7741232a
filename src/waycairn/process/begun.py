"""A run that does not exist yet, of whoever begins it."""

from __future__ import annotations

from typing import Any

from waycairn.model.ids import RunId
from waycairn.model.records import NewRun, Owner
from waycairn.process.actor import current_account

__all__ = ["new_root"]


def new_root(run: RunId, name: str, key: str | None, owner: Owner | None = None, **facts: Any) -> NewRun:
    """A run of its own, no phase. It belongs to the account that this context acts for, else to the user of the host."""
    return NewRun(id=run, root=run, parent=None, name=name, key=key, owner=owner, account=current_account(), **facts)
