"""What a sweep did or would do, as JSON values with stable keys. Times are seconds since 1970, sizes bytes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from waycairn.model.sweeping import SweepReport


def sweep_facts(report: SweepReport) -> dict[str, Any]:
    return {
        **asdict(report),
        "freed_bytes": report.freed_bytes,
        "rules": [rule._asdict() for rule in report.rules],
        "decisions": [decision._asdict() for decision in report.decisions],
    }
