"""`WAYCAIRN_SECTION__NAME`, and the names of before there were sections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from waycairn.settings.kinds import admits, fields_of, inside, is_list, is_table, members, record_of
from waycairn.settings.layer import Layer
from waycairn.settings.origin import Origin, Path
from waycairn.settings.problem import Problem, unknown
from waycairn.settings.sections import sections
from waycairn.settings.variables import PREFIX, PRESET, SHORT, meant


def layer_of(found: Mapping[str, str]) -> tuple[Layer, list[Problem]]:
    """What the variables say, and what is wrong with their names and texts."""
    values: dict[str, Any] = {}
    names: dict[Path, str] = {}
    problems: list[Problem] = []
    # Short names first, so that the long ones come over them.
    for name in sorted(found, key=lambda name: ("__" in name[len(PREFIX) :], name)):
        if name == PRESET:
            continue
        try:
            path, value = _read(name, found[name])
        except ValueError as error:
            problems.append(Problem(str(error), (), Origin("environment", name)))
            continue
        _put(values, path, value)
        names[path] = name
    return Layer(values, lambda path: Origin("environment", _nearest(names, path))), problems


def _read(name: str, text: str) -> tuple[Path, Any]:
    if name in SHORT:
        path, plain = SHORT[name]
        return path, _value(plain(text), inside(sections()[str(path[0])], path[1]))
    if "__" not in name[len(PREFIX) :]:
        raise ValueError(f"there is no such variable. Did you mean {meant(name)}?")
    path, kind = _path_of(name)
    return path, _value(text, kind)


def _path_of(name: str) -> tuple[Path, Any]:
    """The value that a long name means, and its type."""
    section, *rest = name[len(PREFIX) :].split("__")
    if section.lower() not in sections():
        raise ValueError(unknown(section.lower(), sections(), "section"))
    path: list[str] = [section.lower()]
    kind: Any = sections()[path[0]]
    for word in rest:
        record = record_of(kind)
        step = word.lower() if record is not None else word
        below = inside(kind, step)
        if below is None:
            known = [] if record is None else fields_of(record)
            raise ValueError(unknown(step, known))
        path.append(step)
        kind = below
    return tuple(path), kind


def _value(text: str, kind: Any) -> Any:
    """A text has no types: it is read as what the setting can hold."""
    plain = text.strip()
    if _is_structured(kind) and plain[:1] in {"[", "{"}:
        return _flow(plain)
    if admits(kind, type(None)) and plain.lower() == "null":
        return None
    if admits(kind, str) and not (admits(kind, int) or admits(kind, float) or admits(kind, bool)):
        return text
    try:
        number = json.loads(plain)
    except ValueError:
        return plain
    return number if isinstance(number, int | float) else plain


def _is_structured(kind: Any) -> bool:
    return any(is_list(one) or is_table(one) for one in members(kind)) or record_of(kind) is not None


def _flow(text: str) -> Any:
    from waycairn.settings.yaml_file import YamlFile

    return YamlFile("", text).values


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    for step in path[:-1]:
        below = values.get(str(step))
        if not isinstance(below, dict):
            below = values[str(step)] = {}
        values = below
    values[str(path[-1])] = value


def _nearest(names: Mapping[Path, str], path: Path) -> str:
    while path:
        for known, name in names.items():
            if known[: len(path)] == path or path[: len(known)] == known:
                return name
        path = path[:-1]
    return PREFIX
