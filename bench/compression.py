"""Text as states: how much smaller real saves make prose and JSON lines, and what compressing again gives.

`saved` is what saves at their own speed leave (zstd level 1), `less` the share that is gone: 0.55 is promised for prose
and 0.75 for JSON lines. Then the same store is optimized at higher levels, one after the other.
"""

import gzip
import json
import time
from pathlib import Path
from typing import Any

from measuring import arguments, report, scratch

import waycairn as wc
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.upkeep.optimize import optimize

DATA = Path(__file__).resolve().parents[1] / "examples" / "data"
LEVELS = (3, 6, 9, 12, 15, 19)


def prose(most: int) -> list[Any]:
    """Each book as a list of its paragraphs."""
    texts = [path.read_text("utf-8", "replace") for path in sorted((DATA / "books").glob("*.txt"))]
    return [text.split("\n\n") for text in texts[:most]]


def events(most: int) -> list[Any]:
    """JSON lines as a job holds them: parsed, 5,000 at a time."""
    with gzip.open(DATA / "events" / "access.jsonl.gz", "rt", encoding="utf-8") as lines:
        parsed = [json.loads(line) for _, line in zip(range(most * 5000), lines, strict=False)]
    return [parsed[at : at + 5000] for at in range(0, len(parsed), 5000)]


def raw_lines(most: int) -> list[Any]:
    """The same as text."""
    with gzip.open(DATA / "events" / "access.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [line for _, line in zip(range(most * 5000), lines, strict=False)]
    return [texts[at : at + 5000] for at in range(0, len(texts), 5000)]


def growing(states: list[Any], steps: int = 40) -> list[Any]:
    """One list that grows, saved whole each time: many small blocks."""
    flat = [one for state in states for one in state][: steps * 100]
    return [flat[: 100 * (step + 1)] for step in range(len(flat) // 100)]


def stored(store: wc.Store) -> int:
    """Bytes of blocks, wherever they lie, and of manifests."""
    manifests = sum(len(one.checkpoint.stored.manifest) for one in store.checkpoints())
    return int(store.core.catalog.stats()["block_bytes"]) + manifests


def measure(name: str, states: list[Any], unique: int | None = None) -> None:
    with wc.open(scratch(f"compression-{name}")) as store:
        began = time.perf_counter()
        for state in states:
            store.save(name, state)
        seconds = time.perf_counter() - began
        raw = unique or sum(one.checkpoint.stored.raw_bytes for one in store.checkpoints())
        saved = stored(store)
        report(
            "compression",
            of=name,
            raw_bytes=raw,
            saved=saved,
            less=round(1 - saved / raw, 3),
            seconds=round(seconds, 2),
        )
        for level in LEVELS:
            began = time.perf_counter()
            optimize(store.core, settings=OptimizeSettings(level=level), recompress=True)
            now, seconds = stored(store), time.perf_counter() - began
            report(
                "compression", of=name, level=level, stored=now, less=round(1 - now / raw, 3), seconds=round(seconds, 2)
            )
        assert [store.load(one.id) for one in reversed(store.checkpoints(name))] == states


def main() -> None:
    most = 3 if arguments().quick else 20
    measure("prose", prose(most))
    measure("events", events(most))
    measure("lines", raw_lines(most))
    grown = growing(raw_lines(1), 10 if arguments().quick else 40)
    measure("growing", grown, unique=sum(len(line) for line in grown[-1]))


if __name__ == "__main__":
    main()
