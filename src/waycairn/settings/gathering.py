"""Every source that says something, as a layer; then all of them merged and checked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

from waycairn.settings.environment import layer_of
from waycairn.settings.finding import SettingsFile, read
from waycairn.settings.kinds import allowed, fields_of, inside, is_list, is_table, members, record_of
from waycairn.settings.layer import Layer
from waycairn.settings.loading import Loaded
from waycairn.settings.origin import Origin, Path
from waycairn.settings.presets import PRESETS
from waycairn.settings.problem import Problem, invalid, unknown
from waycairn.settings.sections import sections, settings
from waycairn.settings.validating import validated
from waycairn.settings.variables import PRESET, ours

STREAMS = "streams"
"""Of a file: the streams that are registered there, which have checks of their own."""


def gathered(arguments: Mapping[str, Any], variables: Mapping[str, str], path: str | None) -> Loaded:
    """Raises SettingsInvalid."""
    found = ours(variables)
    file = None if path is None else read(path)
    environment, problems = layer_of(found)
    here = os.getcwd()  # noqa: PTH109
    layers = [_arguments(arguments), dataclasses.replace(environment, values=_beside(here, environment.values))]
    if file is not None:
        layers.append(_of_file(file, problems))
    preset = _preset(arguments, found, file, problems)
    if preset is not None:
        layers.append(Layer(PRESETS[preset].values, lambda _: Origin("preset", str(preset))))
    for layer in layers:
        problems.extend(_strange(layer))
    if problems:
        raise invalid(problems)
    return Loaded(validated(layers), tuple(layers), path, preset)


def _arguments(given: Mapping[str, Any]) -> Layer:
    """A dataclass says all of its section, a mapping what it names."""
    values = {
        name: dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in given.items()
        if name != "preset" and value is not None
    }
    return Layer(values, lambda path: Origin("argument", f"{path[0]}=" if path else ""))


def _of_file(file: SettingsFile, problems: list[Problem]) -> Layer:
    values = file.values
    if not isinstance(values, Mapping):
        problems.append(Problem(f"it is a table of sections, not {values!r}", (), file.place(())))
        values = {}
    # A section with nothing below it, as where all of it is commented out, says nothing.
    said = {name: value for name, value in values.items() if name not in {STREAMS, "preset"} and value is not None}
    return Layer(_beside(os.path.dirname(file.name), said), file.place)  # noqa: PTH120


def _beside(directory: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Paths are relative to the directory of the file, so that it does not matter where a job starts."""
    values = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    for setting in settings():
        section = values.get(setting.section)
        if setting.is_path and isinstance(section, dict) and isinstance(section.get(setting.name), str):
            section[setting.name] = _absolute(directory, section[setting.name])
    return values


def _absolute(directory: str, value: str) -> str:
    if "://" in value or not value:
        return value
    return os.path.join(directory, os.path.expanduser(value))  # noqa: PTH111, PTH118


def _preset(
    arguments: Mapping[str, Any], found: Mapping[str, str], file: SettingsFile | None, problems: list[Problem]
) -> str | None:
    """The name that the strongest source says."""
    for name, origin in _presets(arguments, found, file):
        if name in PRESETS:
            return str(name)
        problems.append(Problem(unknown(name, PRESETS, f"preset as {name!r}"), ("preset",), origin))
        return None
    return None


def _presets(
    arguments: Mapping[str, Any], found: Mapping[str, str], file: SettingsFile | None
) -> Iterator[tuple[Any, Origin]]:
    if arguments.get("preset") is not None:
        yield arguments["preset"], Origin("argument", "preset=")
    if PRESET in found:
        yield found[PRESET], Origin("environment", PRESET)
    if file is not None and isinstance(file.values, Mapping) and file.values.get("preset") is not None:
        yield file.values["preset"], file.place(("preset",))


# -- names that do not exist ----------------------------------------------------------------------------------------


def _strange(layer: Layer) -> Iterator[Problem]:
    for section, values in layer.values.items():
        if section not in sections():
            known = [*sections(), "preset", STREAMS]
            yield Problem(unknown(section, known, "section"), (section,), layer.place((section,)))
        else:
            for path, what in _strange_below(values, sections()[section], (section,)):
                yield Problem(what, path, layer.place(path))


def _strange_below(value: Any, kind: Any, path: Path) -> Iterator[tuple[Path, str]]:
    record = record_of(kind)
    if isinstance(value, Mapping) and record is not None and not any(is_table(one) for one in members(kind)):
        for name, below in value.items():
            if name not in fields_of(record):
                yield (*path, str(name)), unknown(name, fields_of(record))
            else:
                yield from _strange_below(below, fields_of(record)[name], (*path, str(name)))
    elif isinstance(value, Mapping):
        for name, below in value.items():
            yield from _strange_below(below, inside(kind, str(name)), (*path, str(name)))
    elif isinstance(value, list | tuple):
        for place, below in enumerate(value):
            yield from _strange_below(below, inside(kind, place), (*path, place))
    elif isinstance(value, bool) and kind is not None and not _takes_flags(kind):
        yield path, f"it is {allowed(kind)}, not {value!r}".replace("True", "true").replace("False", "false")


def _takes_flags(kind: Any) -> bool:
    """Python's True is a 1, and pydantic would take it for one."""
    return kind is Any or any(one in {bool, Any} for one in members(kind)) or is_list(kind) or is_table(kind)
