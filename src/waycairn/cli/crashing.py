"""`waycairn crashtest`: does a job survive being killed?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, FAILED, FOUND_BAD, Face, Refused

if TYPE_CHECKING:
    from waycairn.crashtest import Report
    from waycairn.crashtest.campaign import Tell
    from waycairn.crashtest.report import Fault

_FEW = 8
"""Points that are named one by one behind what they broke."""


def crashtest(  # noqa: PLR0917 - a command has as many options as it needs
    face: Face,
    command: Annotated[list[str], typer.Argument(help="The job, behind two dashes: -- python job.py")],
    points: Annotated[int, typer.Option("--points", "-n", help="How many moments to try.")] = 40,
    every: Annotated[bool, typer.Option("--all", help="All moments that were recorded.")] = False,
    point: Annotated[
        list[str] | None, typer.Option(help="This one only, as a report names it; may be repeated.")
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            help="What happens there: kill (default), worker, term, int, takeover, double; may be repeated.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(help="How moments are found: hooks, timer (any script), syscalls (strace), power (lost writes)."),
    ] = "hooks",
    seed: Annotated[int, typer.Option(help="Of the choice of moments.")] = 0,
    time_budget: Annotated[float | None, typer.Option(help="Seconds after which no other trial begins.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="FILE or FILE:FIELD that may differ; patterns; may be repeated.")
    ] = None,
    normalize: Annotated[list[str] | None, typer.Option(help="FILE:REGEX=>TEXT, replaced before comparing.")] = None,
    unordered: Annotated[list[str] | None, typer.Option(help="FILE whose lines may come in any order.")] = None,
    sql: Annotated[list[str] | None, typer.Option(help="DATABASE:SELECT ... whose rows must be the same.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Files and folders not to copy; patterns.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Trials at once; one for each processor.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds one run of the job may take.")] = 600.0,
    grace: Annotated[float, typer.Option(help="Seconds to leave in after SIGTERM or SIGINT.")] = 30.0,
    exit_code: Annotated[int, typer.Option(help="With which the job ends when all is well.")] = 0,
) -> int:
    """Kill a job at many moments, start it again, and see whether it ends as if nothing had happened.

    Each trial runs in a copy of the working directory, with a store of its own; nothing of yours is touched. What the job does
    outside of its directory is not undone between trials: leave it out.
    """
    from waycairn.crashtest import crashtest as test

    if face.store:
        raise Refused("the job decides on its store, and each trial has its own: leave out --store.", BAD_USE)
    options: dict[str, Any] = {
        "points": points,
        "every": every,
        "modes": tuple(mode or ["kill"]),
        "at": tuple(point or ()),
        "backend": backend,
        "seed": seed,
        "time_budget": time_budget,
        "timeout": timeout,
        "grace": grace,
        "exit_code": exit_code,
    }
    rules = {"ignore": ignore, "normalize": normalize, "unordered": unordered, "sql": sql, "skip": skip}
    options |= {name: tuple(given or ()) for name, given in rules.items()}
    if jobs is not None:
        options["jobs"] = jobs
    try:
        with _progress(face) as tell:
            report = test(command, tell=tell, **options)
    except ValueError as error:
        raise Refused(str(error), BAD_USE) from None
    except FileNotFoundError as error:
        raise Refused(f"there is no command {error.filename!r}. Nothing was run.", BAD_USE) from None
    if face.as_json:
        face.document(report.facts())
    else:
        _show(face, report)
    if report.verdict == "broken":
        return FOUND_BAD
    return 0 if report.passed else FAILED


@contextmanager
def _progress(face: Face) -> Iterator[Tell]:
    """A bar on a terminal, nothing elsewhere."""
    if face.as_json or face.quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(what: str, done: int, of: int) -> None:
            progress.update(task, description=what, completed=done, total=of or None)

        yield tell


def _show(face: Face, report: Report) -> None:
    if report.problem or report.doubt:
        for line in report.lines():
            face.line(line, "" if line.startswith(" ") else "bold yellow")
        return
    if not face.quiet:
        _show_golden(face, report)
        _show_points(face, report)
        _show_cost(face, report)
    for fault in report.faults():
        _show_fault(face, fault)
    _show_verdict(face, report)


def _show_golden(face: Face, report: Report) -> None:
    what = [f"{report.files} files"] * bool(report.files) + [f"{report.stores} store"] * bool(report.stores)
    face.line(f"undisturbed   {report.golden_seconds:.1f} s, the same twice: {', '.join(what)}")
    face.line(f"moments       {len(report.trials)} of {report.hits:,}, seed {report.settings.seed}: {report.covers}")
    face.line()


def _show_points(face: Face, report: Report) -> None:
    rows = []
    for trial in report.trials:
        result = "same" if trial.passed else "BROKEN"
        rows.append(
            (
                str(trial.point),
                trial.mode,
                f"{trial.point.progress:.0%}",
                result if trial.delivered else "not reached",
                f"{trial.redone:,}" if trial.delivered else "",
                f"{trial.resumed_in:.2f} s" if trial.attempts else "",
                trial.note if trial.delivered else "",
            )
        )
    face.table(("moment", "mode", "at", "result", "redone", "back in", "note"), rows, right=("at", "redone", "back in"))
    face.line()


def _show_cost(face: Face, report: Report) -> None:
    facts = report.facts()
    redone, resumed, extra = facts["redone"], facts["resume_seconds"], facts["extra_seconds"]
    if redone and any(trial.redone for trial in report.trials):
        face.line(f"work redone   {redone['median']:g} items and steps at the median, {redone['max']:g} at most")
    if resumed:
        face.line(f"back at work  after {resumed['median']:.2f} s at the median, {resumed['max']:.2f} s at most")
    if extra and report.settings.backend != "power":
        face.line(
            f"cost          {extra['median']:.2f} s more than undisturbed at the median, {extra['max']:.2f} s at most"
        )
    if report.left_out:
        face.line(f"left out      {report.left_out} trials: the time budget was spent")
    face.line()


def _show_fault(face: Face, fault: Fault) -> None:
    face.line(f"BROKEN  {fault.difference}", "bold red")
    more = f" and {len(fault.points) - _FEW} more" if len(fault.points) > _FEW else ""
    face.line(f"  at      {', '.join(fault.points[:_FEW])}{more}")
    face.line(f"  why     {fault.hint}")
    face.line(f"  again   {fault.again}")
    if fault.kept:
        face.line(f"  kept    {fault.kept}")
    face.line()


def _show_verdict(face: Face, report: Report) -> None:
    if report.passed:
        how = f"{report.delivered} of {report.delivered} times it ended as if nothing had happened"
        face.line(f"SURVIVED  {how} ({report.seconds:.0f} s)", "bold green")
    elif report.bad:
        broken = f"{len(report.bad)} of {len(report.trials)} trials ended otherwise than an undisturbed run"
        face.line(f"BROKEN  {broken} ({report.seconds:.0f} s)", "bold red")
    else:
        face.line(
            "NOTHING PROVED  no kill was delivered: the job never came to the chosen moments again", "bold yellow"
        )


COMMANDS = (Command("crashtest", crashtest, has_quiet=True, has_store=False),)
