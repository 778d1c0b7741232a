"""What accounts may do."""

from __future__ import annotations

from typing import Any

from waycairn.model.accounts import Role
from waycairn.server.access import Access, Routes
from waycairn.server.models.accounts import RoleList

routes = Routes("/roles", "roles")
_MAY = {
    Role.VIEWER: (
        "See all runs, checkpoints, streams, backups, statistics and the health of the store.",
        "See the contents of what belongs to it: exports, results of items, members of backups, dead letters.",
        "Make and revoke its own tokens, change its own password.",
    ),
    Role.OPERATOR: (
        "Resume, discard, cancel and take over its own runs.",
        "Pin and delete checkpoints of its own runs.",
        "Back up, restore, extend and delete its own runs and backups.",
        "Process its own streams.",
    ),
    Role.ADMIN: (
        "All of that with what belongs to others.",
        "Sweep, optimize, verify and repair the store, prune backups.",
        "Read the audit log and the settings.",
        "Make, change and remove accounts, and revoke the tokens of others.",
    ),
}


@routes.get("", Access(Role.VIEWER), response_model=RoleList)
def list_roles() -> dict[str, Any]:
    """The roles, each of which may do what those before it may, and this."""
    return {"roles": [{"role": role, "may": list(may)} for role, may in _MAY.items()]}
