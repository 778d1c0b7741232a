"""`waycairn doctor` and `stats`: is everything well?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused, text, without_passwords

if TYPE_CHECKING:
    from waycairn.upkeep.finding import Finding

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "bad": "bold red"}


def doctor(
    face: Face,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the slow half of the integrity check.")] = False,
) -> int:
    """Examine the store: can it keep its promises here, and is anything wrong in it? Changes nothing."""
    from waycairn.upkeep.doctor import examine, is_bad
    from waycairn.wiring import default_url

    findings: list[Finding] = []
    try:
        for finding in examine(face.store, packs=face.packs, quick=quick, **face.secrets):
            if not (findings or face.as_json or face.quiet):
                face.line(f"store    {without_passwords(face.store or default_url())}")
            findings.append(finding)
            if not face.as_json and not (face.quiet and finding.level in {"ok", "note"}):
                _show_finding(face, finding)
    except ValueError as error:
        raise Refused(str(error), BAD_USE) from None
    if face.as_json:
        listed = [_finding_facts(finding) for finding in findings]
        store = without_passwords(face.store or default_url())
        face.document({"store": store, "healthy": not is_bad(findings), "findings": listed})
    return FOUND_BAD if is_bad(findings) else 0


def _finding_facts(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level,
        "what": finding.what,
        "means": finding.means,
        "do": finding.do,
        "facts": dict(finding.facts),
    }


def _show_finding(face: Face, finding: Finding) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(width=8)
    table.add_column(overflow="fold")
    table.add_row(
        text(finding.level, _STYLES[finding.level]), Text.assemble((f"{finding.check}: ", "bold"), text(finding.what))
    )
    for label, said in (("", finding.means), ("do: ", finding.do)):
        if said:
            table.add_row("", text(f"{label}{said}"))
    face.show(table)


class StatsFormat(StrEnum):
    TEXT = "text"
    PROMETHEUS = "prometheus"


def stats(
    face: Face,
    output: Annotated[
        StatsFormat, typer.Option("--format", help="prometheus: its text format, for a scraper; with health.")
    ] = StatsFormat.TEXT,
) -> int:
    """Count what the store holds: runs, checkpoints, sizes, how much smaller they were made; how long saves and loads took
    within the last day, what failed, and how fast the store grows."""
    if output is StatsFormat.PROMETHEUS:
        return _prometheus(face)
    from waycairn.upkeep.sizes import iso
    from waycairn.upkeep.statistics import statistics

    with face.open() as store:
        counted = statistics(store.core)
        now = store.core.clock.now()
    if face.as_json:
        times = {name: iso(counted[name]) for name in ("oldest_checkpoint", "newest_checkpoint")}
        upkeep = {work: iso(at) for work, at in counted["upkeep"].items()}
        face.document({**counted, **times, "upkeep": upkeep})
    else:
        _show_stats(face, counted, now)
    return FOUND_BAD if counted["checkpoints"]["damaged"] else 0


def _prometheus(face: Face) -> int:
    from waycairn.upkeep.prometheus import exposition

    if face.as_json:
        raise Refused("--format prometheus and --json are two formats; choose one", BAD_USE)
    with face.open() as store:
        sys.stdout.buffer.write(exposition(store.core).encode())
    return 0


def _show_stats(face: Face, counted: dict[str, Any], now: float) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, said in _stat_lines(counted, now):
        is_bad = label == "checkpoints" and counted["checkpoints"]["damaged"]
        table.add_row(label, text(said, "bold red" if is_bad else ""))
    face.show(table)


def _stat_lines(counted: dict[str, Any], now: float) -> list[tuple[str, str]]:
    from waycairn.cli.picture import counted as in_words
    from waycairn.upkeep.sizes import duration_text, size_text

    def words(name: str) -> str:
        return in_words([(word, count) for word, count in counted[name].items()])

    def age(name: str) -> str:
        return "none" if counted[name] is None else f"{duration_text(now - counted[name])} ago"

    smaller = [
        f"{counted[name]:.3g}x by {word}"
        for name, word in (("deduplication", "keeping equal chunks once"), ("compression", "compression"))
        if counted[name] is not None
    ]
    files = [f"{counted['packs']:,} packs of {size_text(counted['pack_bytes'])}"]
    if counted["catalog_bytes"] is not None:
        files.append(f"catalog {size_text(counted['catalog_bytes'])}")
    return [
        ("runs", words("runs")),
        ("phases", words("phases")),
        ("checkpoints", words("checkpoints")),
        ("by kind", words("checkpoints_by_kind")),
        ("newest", age("newest_checkpoint")),
        ("oldest", age("oldest_checkpoint")),
        ("steps", f"{counted['steps']:,}"),
        *_backup_lines(counted["backups"]),
        ("raw", size_text(counted["raw_bytes"])),
        ("stored", f"{size_text(counted['stored_bytes'])}{': ' if smaller else ''}{', '.join(smaller)}"),
        ("files", ", ".join(files)),
        *_measured_lines(counted),
        *((f"last {work}", f"{duration_text(now - at)} ago") for work, at in counted["upkeep"].items()),
    ]


def _backup_lines(backups: dict[str, int]) -> Iterator[tuple[str, str]]:
    from waycairn.upkeep.sizes import size_text

    if backups["whole"]:
        yield "backups", f"{backups['whole']:,} of {size_text(backups['bytes'])}"


def _measured_lines(counted: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What was measured within the last day; nothing where nothing was."""
    from waycairn.cli.health import took_text
    from waycairn.upkeep.sizes import size_text

    for act, one in counted["measured"].items():
        took = " ".join(f"{name} {took_text(one[name])}" for name in ("p50", "p95", "p99"))
        failed = f", {one['failures']:,} failed" if one["failures"] else ""
        yield f"{act}, 24 h", f"{one['count']:,}: {took}{failed}"
    if counted["takeovers"]:
        yield "takeovers, 24 h", f"{counted['takeovers']:,}"
    if counted["late_saves"]:
        yield "late saves, 24 h", f"{counted['late_saves']:,}"
    if counted["growth_bytes_a_day"] is not None:
        grows = counted["growth_bytes_a_day"]
        yield "growth", f"{'-' if grows < 0 else ''}{size_text(abs(grows))} a day"


COMMANDS = (
    Command("doctor", doctor, has_quiet=True),
    Command("stats", stats),
)
