"""The state of a store in the text format of Prometheus (version 0.0.4), for a node exporter's textfile collector or a page.

Histograms and counters are sums over everything that any process wrote down and that is kept, so they only grow, whoever is
asked; what a process has measured and not written yet (a minute at most) is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from waycairn.model.health import Health, Status
from waycairn.model.histogram import Histogram
from waycairn.model.measures import ACTS, MEASURES, failures_of
from waycairn.store import StoreCore
from waycairn.upkeep.health import health_of
from waycairn.upkeep.measured import by_name
from waycairn.upkeep.statistics import statistics

Type = Literal["gauge", "counter", "histogram"]
_LIMITS = tuple(2.0**power for power in range(-13, 8))
"""Seconds, 0.12 ms to 128 s: ends of buckets of ours, so that each count is exact."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    type: Type
    help: str


METRICS = (
    Metric("waycairn_runs", "gauge", "Runs by how they stand; phases are not among them."),
    Metric("waycairn_checkpoints", "gauge", "Checkpoints by status."),
    Metric("waycairn_checkpoints_by_kind", "gauge", "Checkpoints by kind."),
    Metric("waycairn_newest_checkpoint_timestamp_seconds", "gauge", "When the newest checkpoint was made."),
    Metric("waycairn_raw_bytes", "gauge", "What checkpoints and step results would take one by one."),
    Metric("waycairn_stored_bytes", "gauge", "What they take: equal chunks once, compressed."),
    Metric("waycairn_packs", "gauge", "Pack files."),
    Metric("waycairn_pack_bytes", "gauge", "Bytes of pack files."),
    Metric("waycairn_catalog_bytes", "gauge", "Bytes of an SQLite catalog with its log."),
    Metric("waycairn_growth_bytes_per_day", "gauge", "How fast the store grows."),
    Metric("waycairn_disk_free_bytes", "gauge", "Free bytes of the disk that saves go to."),
    Metric("waycairn_health_score", "gauge", "0 to 100, see waycairn health."),
    Metric("waycairn_health_status", "gauge", "1 for the status that it has: healthy, degraded, unhealthy or unknown."),
    Metric("waycairn_issues", "gauge", "Issues by check and severity."),
    Metric("waycairn_act_seconds", "histogram", "How long acts took: save, commit, load, verify, sweep, notify."),
    Metric("waycairn_act_failures_total", "counter", "Acts that could not be done."),
    Metric("waycairn_act_bytes_total", "counter", "Bytes that acts wrote, loaded or gave back."),
    Metric("waycairn_events_total", "counter", "What else happened: takeovers, late and skipped saves, outages."),
)
_BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
_EVENTS = tuple(
    measure.name
    for measure in MEASURES
    if (measure.unit == "count" and measure.name not in map(failures_of, ACTS)) or measure.name == "save.late"
)


def exposition(core: StoreCore) -> str:
    """Raises errors of the store."""
    health = health_of(core)
    measured = by_name(core.catalog.measured())
    parts = [*_of_store(statistics(core)), *_of_health(health), *_of_acts(measured)]
    return "".join(_written(_BY_NAME[name], list(samples)) for name, samples in parts)


Samples = Iterator[tuple[str, Mapping[str, str], float]]
"""What comes behind the name, labels, and the value."""


def _of_store(stats: Mapping[str, Any]) -> Iterator[tuple[str, Samples]]:
    yield "waycairn_runs", _labelled("status", stats["runs"])
    yield "waycairn_checkpoints", _labelled("status", stats["checkpoints"])
    yield "waycairn_checkpoints_by_kind", _labelled("kind", stats["checkpoints_by_kind"])
    yield "waycairn_newest_checkpoint_timestamp_seconds", _one(stats["newest_checkpoint"])
    for name in ("raw_bytes", "stored_bytes", "packs", "pack_bytes", "catalog_bytes"):
        yield f"waycairn_{name}", _one(stats[name])
    yield "waycairn_growth_bytes_per_day", _one(stats["growth_bytes_a_day"])


def _of_health(health: Health) -> Iterator[tuple[str, Samples]]:
    yield "waycairn_disk_free_bytes", _one(health.facts.get("disk_free"))
    yield "waycairn_health_score", _one(health.score)
    yield "waycairn_health_status", _labelled("status", {one.value: one is health.status for one in Status})
    yield "waycairn_issues", (("", {"check": one.check, "severity": one.severity}, 1.0) for one in health.issues)


def _of_acts(measured: Mapping[str, Histogram]) -> Iterator[tuple[str, Samples]]:
    nothing = Histogram()
    acts = {act: measured.get(act, nothing) for act in ACTS}
    yield "waycairn_act_seconds", (sample for act, one in acts.items() for sample in _buckets({"act": act}, one))
    failures = {act: measured.get(failures_of(act), nothing).count for act in ACTS}
    yield "waycairn_act_failures_total", _labelled("act", failures)
    sizes = {act: measured.get(f"{act}.bytes", nothing).total for act in ("save", "load", "sweep")}
    yield "waycairn_act_bytes_total", _labelled("act", sizes)
    yield "waycairn_events_total", _labelled("event", {name: measured.get(name, nothing).count for name in _EVENTS})


def _buckets(labels: Mapping[str, str], histogram: Histogram) -> Samples:
    for limit in (*_LIMITS, math.inf):
        yield "_bucket", {**labels, "le": number(limit)}, histogram.up_to(limit)
    yield "_sum", labels, histogram.total
    yield "_count", labels, histogram.count


def _labelled(label: str, values: Mapping[str, float]) -> Samples:
    return (("", {label: name}, float(value)) for name, value in values.items())


def _one(value: float | None) -> Samples:
    """A value that is not known is no sample: it is not zero."""
    return iter([] if value is None else [("", {}, float(value))])


# -- the format -----------------------------------------------------------------------------------------------------


def _written(metric: Metric, samples: list[tuple[str, Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {metric.name} {escaped(metric.help)}", f"# TYPE {metric.name} {metric.type}"]
    for suffix, labels, value in samples:
        inside = ",".join(f'{name}="{quoted(content)}"' for name, content in labels.items())
        lines.append(f"{metric.name}{suffix}{f'{{{inside}}}' if inside else ''} {number(value)}")
    return "\n".join(lines) + "\n" if samples else ""


def escaped(text: str) -> str:
    """In a help text: backslash and line feed."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def quoted(text: str) -> str:
    """In the value of a label: also the quotation mark; a lone surrogate, which has no UTF-8, is escaped as well."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return escaped(plain).replace('"', '\\"')


def number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(int(value)) if value == int(value) else repr(value)
