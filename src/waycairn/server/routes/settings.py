"""Which settings hold in this server."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from waycairn.documents.settings import holding_facts
from waycairn.model.accounts import Role
from waycairn.server.access import Access, Routes
from waycairn.server.models.settings import SettingList
from waycairn.server.serving import serving_of
from waycairn.settings import load

routes = Routes("/settings", "settings")


@routes.get("", Access(Role.ADMIN), response_model=SettingList, problems=(409,))
def list_settings(request: Request) -> dict[str, Any]:
    """Every setting as it holds here, and where it comes from. Secrets are masked. They are changed in a file or the
    environment of the server, never from here. 409: what is written now is wrong, with its place."""
    loaded = load()
    holding = serving_of(request).store.core.settings
    return {"file": loaded.file, "preset": loaded.preset, "settings": list(holding_facts(holding, loaded))}
