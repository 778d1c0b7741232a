"""Learn from the requests of a web site while they are written: patterns, how well they were served, hourly sums.

    python examples/telemetry.py logs                 follows logs/access.jsonl until it is stopped, into telemetry.db
    python examples/telemetry.py logs --once          what is there now, then ends

Kill it whenever you like, rotate, truncate or compress the logs meanwhile, and start it again with the same command: each
request is counted once. What has to be said for that is in `learn`; the rest is what it learns.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from patterns import Pattern, Patterns
from sqlalchemy import Engine, create_engine, text

import waycairn as wc

TABLES = (
    "CREATE TABLE IF NOT EXISTS patterns (number INTEGER PRIMARY KEY, pattern TEXT, requests INTEGER, served INTEGER)",
    "CREATE TABLE IF NOT EXISTS hours (hour TEXT PRIMARY KEY, requests INTEGER, served INTEGER, bytes INTEGER)",
)
ADD_PATTERN = text(
    "INSERT INTO patterns VALUES (:number, :pattern, :requests, :served) ON CONFLICT (number) DO UPDATE SET "
    "pattern = excluded.pattern, requests = requests + excluded.requests, served = served + excluded.served"
)
ADD_HOUR = text(
    "INSERT INTO hours VALUES (:hour, :requests, :served, :bytes) ON CONFLICT (hour) DO UPDATE SET "
    "requests = requests + excluded.requests, served = served + excluded.served, bytes = bytes + excluded.bytes"
)


class Request(msgspec.Struct):
    at: str
    path: str
    status: int
    bytes: int


def learn(run: wc.Run, logs: Path, engine: Engine, *, once: bool) -> None:
    """Sums are added to: a batch that came twice would be seen in them."""
    patterns = run.state(Patterns())
    for batch in run.follow(logs / "access.jsonl", sink=engine, schema=Request, once=once):
        with batch as tx:
            add(tx, batch.events, patterns)


def add(tx: Any, requests: Sequence[Request], patterns: Patterns) -> None:
    """What these requests say, to what is known."""
    of_patterns: dict[int, dict[str, Any]] = {}
    of_hours: dict[str, dict[str, Any]] = {}
    for request in requests:
        pattern: Pattern = patterns.of(request.path)
        sums = of_patterns.setdefault(pattern.number, {"number": pattern.number, "requests": 0, "served": 0})
        hour = of_hours.setdefault(request.at[:13], {"hour": request.at[:13], "requests": 0, "served": 0, "bytes": 0})
        sums["pattern"] = str(pattern)
        hour["bytes"] += request.bytes
        for one in (sums, hour):
            one["requests"] += 1
            one["served"] += request.status < 400
    tx.execute(ADD_PATTERN, list(of_patterns.values()))
    tx.execute(ADD_HOUR, list(of_hours.values()))


def database(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(table))
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("logs", type=Path, help="folder in which access.jsonl grows")
    parser.add_argument("--database", type=Path, default=Path("telemetry.db"))
    parser.add_argument("--once", action="store_true", help="end when everything that is there was read")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    engine = database(given.database)
    with wc.run("telemetry") as run:
        learn(run, given.logs, engine, once=given.once)
    engine.dispose()


if __name__ == "__main__":
    main()
