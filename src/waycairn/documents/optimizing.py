"""What an optimizer did or would do, as JSON values with stable keys. Sizes are bytes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from waycairn.model.optimizing import OptimizeReport
from waycairn.upkeep.analysis import Analysis


def optimize_facts(report: OptimizeReport) -> dict[str, Any]:
    facts = asdict(report)
    for when in ("before", "after"):
        facts[when]["share"] = getattr(report, when).share
    return facts


def analysis_facts(analysis: Analysis) -> dict[str, Any]:
    facts = asdict(analysis)
    facts["packs"]["share"] = analysis.packs.share
    return {**facts, "deduplication": analysis.deduplication}
