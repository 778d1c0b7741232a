"""What a repair did or would do, as JSON values with stable keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from waycairn.model.repair import RepairReport


def repair_facts(report: RepairReport) -> dict[str, Any]:
    unlisted = [{"pack": pack, "damage": damage} for pack, damage in report.unlisted]
    return {**asdict(report), "healed": list(report.healed), "unlisted": unlisted}
