"""`waycairn health`: how well the store is, once or again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, Face, Refused, no_color, text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from waycairn.model.health import Day, Health, Issue
    from waycairn.work.store import Store

_STATUS = {"healthy": "bold green", "degraded": "bold yellow", "unhealthy": "bold red", "unknown": "bold magenta"}
_SEVERITY = {"info": "cyan", "warning": "yellow", "critical": "bold red"}


def health(
    face: Face,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until it is stopped.")] = False,
    interval: Annotated[float, typer.Option(help="With --watch: seconds between two looks.")] = 10.0,
    times: Annotated[int | None, typer.Option(help="With --watch: look so often, then end.", min=1)] = None,
) -> int:
    """Tell how well the store is: status, score, what is the matter and what to do about it, and how the last days went. Reads
    rows, never states; changes nothing but the measurements."""
    if not interval > 0:
        raise Refused(f"--interval is seconds above 0, not {interval:g}", BAD_USE)
    with face.open() as store:
        found = store.health()
        if not watch:
            _show(face, found)
        else:
            found = _keep_looking(face, store, found, interval, times)
    return found.exit_code


def _keep_looking(face: Face, store: Store, found: Health, interval: float, times: int | None) -> Health:
    with _shown(face) as show:
        show(found)
        while times is None or (times := times - 1):
            store.core.clock.sleep(interval)
            found = store.health()
            show(found)
    return found


@contextmanager
def _shown(face: Face) -> Iterator[Callable[[Health], None]]:
    if face.as_json:
        from waycairn.documents.health import health_facts

        yield lambda found: face.event(health_facts(found))
    elif not face.is_terminal or face.console.is_dumb_terminal or no_color():
        yield lambda found: face.line_now(_line(found))
    else:
        from rich.live import Live

        with Live(console=face.console, auto_refresh=False, redirect_stdout=False) as live:
            yield lambda found: live.update(_picture(found), refresh=True)


def _show(face: Face, found: Health) -> None:
    if face.as_json:
        from waycairn.documents.health import health_facts

        face.document(health_facts(found))
    else:
        face.show(_picture(found))


def _line(found: Health) -> str:
    from waycairn.upkeep.sizes import iso

    score = "-" if found.score is None else str(found.score)
    return "  ".join([iso(found.at) or "", found.status.value, f"score {score}", *(one.what for one in found.issues)])


def _picture(found: Health) -> RenderableType:
    from rich.console import Group

    score = "" if found.score is None else f", score {found.score} of 100"
    parts: list[RenderableType] = [text(f"{found.status.value}{score}", _STATUS[found.status.value])]
    if "error" in found.facts:
        parts.append(text(f"it could not be looked at: {found.facts['error']}"))
    parts += [_issue_picture(issue) for issue in found.issues]
    if found.trends:
        parts += [text(""), _trend_table(found)]
    return Group(*parts)


def _issue_picture(issue: Issue) -> RenderableType:
    from rich.table import Table

    from waycairn.model.health_acts import WHY

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(width=8)
    table.add_column(overflow="fold")
    points = f" (-{issue.points})" if issue.points else ""
    table.add_row(text(issue.severity, _SEVERITY[issue.severity]), text(f"{issue.check}: {issue.what}{points}"))
    act = f"{issue.act}: {WHY[issue.act]}" if issue.act else ""
    for said in (issue.means, f"do: {issue.do}" if issue.do else "", act):
        if said:
            table.add_row("", text(said))
    return table


def _trend_table(found: Health) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in (
        "day",
        "saves",
        "p50",
        "p95",
        "p99",
        "failed",
        "loads",
        "p99",
        "written",
        "freed",
        "takeovers",
        "store",
    ):
        table.add_column(name, justify="left" if name == "day" else "right", no_wrap=True)
    for day in found.trends:
        table.add_row(*_trend_row(day))
    return table


def _trend_row(day: Day) -> list[str]:
    from waycairn.model.health import Latency
    from waycairn.upkeep.sizes import iso, size_text

    save, load = (day.acts.get(act, Latency(count=0, failures=0)) for act in ("save", "load"))
    failed = sum(one.failures for one in day.acts.values())
    return [
        (iso(day.begins) or "")[:10],
        f"{save.count:,}",
        *(took_text(took) for took in (save.p50, save.p95, save.p99)),
        f"{failed:,}",
        f"{load.count:,}",
        took_text(load.p99),
        size_text(day.written_bytes),
        size_text(day.freed_bytes),
        f"{day.takeovers:,}",
        "-" if day.store_bytes is None else size_text(day.store_bytes),
    ]


def took_text(seconds: float | None) -> str:
    """`0.42 ms`, `3.1 s`."""
    if seconds is None:
        return "-"
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


COMMANDS = (Command("health", health),)
