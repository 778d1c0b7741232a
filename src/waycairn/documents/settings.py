"""Settings as JSON values with stable keys. Secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from waycairn.model.settings import Settings
from waycairn.settings.describing import Row, rows
from waycairn.settings.loading import Loaded
from waycairn.settings.secrets import masked

EARLIER = "what held when this process started; something else is written now, which holds from its next start on"


def setting_facts(row: Row) -> dict[str, Any]:
    """As `waycairn config show` says it."""
    origin = row.origin
    return {
        "setting": row.setting.key,
        "value": row.value,
        "text": row.text,
        "from": str(origin),
        "source": origin.source,
        "name": origin.name or None,
        "line": origin.line,
        "column": origin.column,
        "variable": row.setting.variable,
    }


def holding_facts(holding: Settings, loaded: Loaded) -> Iterator[dict[str, Any]]:
    """Settings as they hold in this process. Where each comes from is read now: what was changed since is told as that."""
    for now, row in zip(rows(loaded), rows(replace(loaded, settings=holding)), strict=True):
        setting = row.setting
        yield {
            "key": setting.key,
            "value": row.value,
            "text": row.text,
            "origin": str(row.origin) if now.value == row.value else EARLIER,
            "source": row.origin.source if now.value == row.value else "earlier",
            "default": masked(setting.default, is_secret=setting.is_secret),
            "meaning": setting.sentence,
            "variable": setting.variable,
        }
