"""`waycairn config`: which settings hold here, where they come from, and whether they are right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused, wrong_use

if TYPE_CHECKING:
    from waycairn.settings.problem import Problem


def show(
    face: Face,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what something else than the defaults says.")
    ] = False,
) -> None:
    """Tell every setting as it holds in this directory, and where it comes from. Secrets are masked."""
    from waycairn.settings import load
    from waycairn.settings.describing import rows

    with wrong_use():
        loaded = load()
    told = [row for row in rows(loaded) if row.is_changed or not changed]
    if face.as_json:
        from waycairn.documents.settings import setting_facts

        listed = [setting_facts(row) for row in told]
        face.document({"file": loaded.file, "preset": loaded.preset, "settings": listed})
        return
    if loaded.file is not None:
        face.aside(f"file: {loaded.file}")
    face.table(["setting", "value", "from"], [[row.setting.key, row.text, str(row.origin)] for row in told])


def validate(
    face: Face,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Only this file, whatever the environment says.")
    ] = None,
) -> int:
    """Check the settings that hold in this directory, or those of one file, with the streams that are registered there."""
    from waycairn.errors import SettingsInvalid
    from waycairn.settings import load
    from waycairn.settings.problem import Problem
    from waycairn.upkeep.configuration import check_streams

    if file is not None and not file.is_file():
        raise Refused(f"there is no file {file}. Nothing was checked. Name a waycairn.yaml or a pyproject.toml.")
    found: str | None = None if file is None else str(file)
    problems: list[Problem] = []
    try:
        loaded = load() if file is None else load(file=file, environment={})
        found = loaded.file
        if found is not None:
            check_streams(Path(found))
    except SettingsInvalid as error:
        problems = list(error.problems)
    except ValueError as error:
        problems = [Problem(str(error).rstrip("."))]
    return _tell(face, found, problems)


def _tell(face: Face, file: str | None, problems: list[Problem]) -> int:
    if face.as_json:
        face.document({"file": file, "valid": not problems, "problems": [_problem_facts(one) for one in problems]})
    for problem in problems:
        if not face.as_json:
            face.line(f"wrong: {problem}", "bold red")
    if not problems:
        face.done(f"{file or 'the environment (there is no settings file here)'}: all settings are right")
    return FOUND_BAD if problems else 0


def _problem_facts(problem: Problem) -> dict[str, Any]:
    from waycairn.settings.origin import dotted

    origin = problem.origin
    return {
        "setting": dotted(problem.path) or None,
        "what": problem.what,
        "source": None if origin is None else origin.source,
        "name": None if origin is None else origin.name,
        "line": None if origin is None else origin.line,
        "column": None if origin is None else origin.column,
    }


def init(
    face: Face,
    preset: Annotated[str | None, typer.Option(help="Begin with this set of values.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write a waycairn.yaml here that has every setting, commented out, with its default and what it means."""
    from waycairn.settings.describing import commented_file
    from waycairn.settings.finding import YAML, find_in
    from waycairn.settings.presets import PRESETS
    from waycairn.settings.problem import unknown
    from waycairn.upkeep.exporting import new_file

    if preset is not None and preset not in PRESETS:
        raise Refused(f"{unknown(preset, PRESETS, 'preset')}. Nothing was written.", BAD_USE)
    target = Path.cwd() / YAML
    other = find_in(str(target.parent))
    if other is not None and Path(other) != target:
        raise Refused(
            f"{other} has a [tool.waycairn] already, and only one file of a directory may hold settings. Nothing was "
            "written. Move its settings first, or go on with it."
        )
    with new_file(target, force=force) as draft:
        draft.write_text(commented_file(preset), encoding="utf-8")
    if face.as_json:
        face.document({"file": str(target), "preset": preset})
    face.done(f"wrote {target}")


COMMANDS = (
    Command("show", show, has_store=False),
    Command("validate", validate, has_quiet=True, has_store=False),
    Command("init", init, has_quiet=True, has_store=False),
)
