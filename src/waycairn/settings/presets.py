"""Presets: named sets of values for a kind of job. Weaker than everything that is said, stronger than the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """One of them."""

    sentence: str
    values: Mapping[str, Mapping[str, Any]]


PRESETS: Mapping[str, Preset] = {
    "phases": Preset(
        "Pipelines of phases: a state is saved at most every 300 s (`pace: 0`: only where the code forces it), and ten of "
        "these checkpoints stay of each phase, for 24 hours.",
        {"saving": {"pace": "300s", "keep": 10}, "retention": {"keep_phases": "last 10", "max_age": "24h"}},
    ),
    "sessions": Preset(
        "Sessions of iterations: fifty snapshots stay.",
        {"saving": {"keep": 50}, "training": {"keep": 50}, "retention": {"keep_sessions": "last 50"}},
    ),
    "streams": Preset(
        "Services that follow files: a batch every 100 events, looked for every 200 ms; copies are known again; more than "
        "half unusable lines stop the stream.",
        {"follow": {"batch": 100, "every": "200ms", "max_dead_ratio": "50%"}, "batches": {"progress": "log"}},
    ),
    "training": Preset(
        "Training loops: a save every five minutes, the two newest stay; a save that is not done yet is left out, not waited "
        "for.",
        {"training": {"save_every": "5m", "keep": 2, "when_busy": "skip"}, "saving": {"grace": "25s"}},
    ),
    "processes": Preset(
        "Long processes that tell their progress: a checkpoint every 5 % and at least every 300 s.",
        {"saving": {"pace": "5%, 300s", "keep": 10}, "batches": {"progress": "log"}},
    ),
}
