"""How well a store is, as JSON values with stable keys. Sizes are bytes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from waycairn.documents.moments import When, iso
from waycairn.model.health import Day, Health, Issue, Latency
from waycairn.model.health_acts import WHY
from waycairn.upkeep.trends import Trends

_NONE = Latency(count=0, failures=0)


def health_facts(found: Health, when: When = iso) -> dict[str, Any]:
    return {
        "at": when(found.at),
        "status": found.status.value,
        "score": found.score,
        "issues": [issue_facts(issue) for issue in found.issues],
        "recommendations": list(found.recommendations),
        "trends": [day_facts(day, when) for day in found.trends],
        "facts": dict(found.facts),
    }


def issue_facts(issue: Issue) -> dict[str, Any]:
    """`act` is what does what is recommended, by name."""
    act = None if issue.act is None else {"name": issue.act.value, "why": WHY[issue.act]}
    return {**asdict(issue), "act": act, "points": issue.points}


def day_facts(day: Day, when: When = iso) -> dict[str, Any]:
    return {**asdict(day), "begins": when(day.begins)}


def growth_facts(trends: Trends) -> dict[str, Any]:
    """What charts show. Times are seconds."""
    return {"days": [_charted(day) for day in trends.days], "bytes_a_day": trends.bytes_a_day}


def _charted(day: Day) -> dict[str, Any]:
    """`saved` is what equal chunks kept once and compression spared: how much less was written than saves held."""
    save, load = (day.acts.get(act, _NONE) for act in ("save", "load"))
    raw = day.raw_bytes
    return {
        "day": (iso(day.begins) or "")[:10],
        "begins": day.begins,
        "bytes": day.store_bytes,
        "raw": raw,
        "written": day.written_bytes,
        "saved": None if raw is None else max(0.0, raw - day.written_bytes),
        "freed": day.freed_bytes,
        "saves": save.count,
        "loads": load.count,
        "failures": sum(one.failures for one in day.acts.values()),
        "save_p95": save.p95,
        "load_p95": load.p95,
        "takeovers": day.takeovers,
    }
