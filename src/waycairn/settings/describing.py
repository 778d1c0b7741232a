"""Settings, told: one row each, with the value that holds and where it comes from; and a file that has all of them."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waycairn.settings.kinds import allowed, unit_of
from waycairn.settings.loading import Loaded
from waycairn.settings.origin import Origin
from waycairn.settings.presets import PRESETS
from waycairn.settings.secrets import masked, without_passwords
from waycairn.settings.sections import Setting, sections, settings
from waycairn.settings.variables import SHORT

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as it holds."""

    setting: Setting
    value: Any
    """Without secrets; as JSON has it."""
    text: str
    """As a user writes it."""
    origin: Origin

    @property
    def is_changed(self) -> bool:
        """Something else than the defaults says it."""
        return self.origin.source != "default"


def rows(loaded: Loaded) -> Iterator[Row]:
    """All settings."""
    for setting in settings():
        value = getattr(getattr(loaded.settings, setting.section), setting.name)
        shown = masked(value, is_secret=setting.is_secret)
        origin = loaded.origin(setting.path)
        yield Row(
            setting,
            shown,
            text_of(shown, setting.kind),
            Origin(origin.source, without_passwords(origin.name), origin.line, origin.column),
        )


def text_of(value: Any, kind: Any = Any) -> str:
    """A value as a user writes it in a file."""
    unit = unit_of(kind)
    if unit is not None and isinstance(value, int | float) and not isinstance(value, bool):
        return unit.text(value)
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(_as_json(value), ensure_ascii=False)


def _as_json(value: Any) -> Any:
    shown = masked(value)
    if isinstance(shown, Mapping):
        return {str(name): _as_json(below) for name, below in shown.items()}
    if isinstance(shown, list | tuple | set | frozenset):
        return [_as_json(below) for below in shown]
    return shown if isinstance(shown, str | int | float | bool | None) else str(shown)


def _is_plain(text: str) -> bool:
    """It can stand there without quotation marks."""
    from waycairn.errors import SettingsInvalid
    from waycairn.settings.yaml_file import YamlFile

    try:
        return bool(YamlFile("", f"key: {text}\n").values == {"key": text})
    except (SettingsInvalid, AttributeError):
        return False


def short_names(setting: Setting) -> list[str]:
    """Older names in the environment."""
    return [name for name, (path, _) in SHORT.items() if path == setting.path]


# -- a file that has all of them --------------------------------------------------------------------------------------


def commented_file(preset: str | None = None) -> str:
    """waycairn.yaml, with every setting commented out: its sentence, and the value that holds without it."""
    lines = [
        "# Settings of waycairn. Every one stands here with the value that it has anyway: take the # off in front of a name",
        "# to change it. Names and values are checked; `waycairn config show` says what holds and where it comes from.",
        "# Stronger than this file: the environment (WAYCAIRN_SAVING__PACE=30s) and what the code says.",
        "",
        *_comment(f"A set of values for a kind of job: {', '.join(PRESETS)}.", ""),
        f"preset: {preset}" if preset else "#preset: phases",
    ]
    for section, kind in sections().items():
        lines += ["", *_comment(" ".join((kind.__doc__ or "").split()), ""), f"{section}:"]
        for setting in settings():
            if setting.section == section:
                lines += _commented(setting, preset)
    lines += ["", *_comment(_STREAMS, ""), "streams:", ""]
    return "\n".join(lines)


_STREAMS = "Streams that `waycairn stream process NAME` follows, by name: see the reference of settings."


def _commented(setting: Setting, preset: str | None) -> list[str]:
    value = text_of(setting.default, setting.kind)
    said = dict(PRESETS[preset].values.get(setting.section, {})) if preset else {}
    sentence = setting.sentence
    if setting.name in said:
        sentence += f" (Without the preset: {value}.)"
        value = text_of(said[setting.name])
    return [*_comment(sentence, "  "), f"  #{setting.name}: {value}"]


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(text, _WIDTH)]


# -- the reference ------------------------------------------------------------------------------------------------------


def reference() -> str:
    """Tables of all settings, for the documentation."""
    told = []
    for section, kind in sections().items():
        told += [f"### {section}", "", " ".join((kind.__doc__ or "").split()), ""]
        told += ["| setting | environment | default | meaning |", "|---|---|---|---|"]
        told += [_line(setting) for setting in settings() if setting.section == section]
        told.append("")
    return "\n".join(told)


def presets_reference() -> str:
    """A table of the presets, for the documentation."""
    told = ["| preset | for | values |", "|---|---|---|"]
    for name, preset in PRESETS.items():
        values = ", ".join(
            f"`{section}.{field}: {text_of(value)}`"
            for section, fields in preset.values.items()
            for field, value in fields.items()
        )
        told.append(f"| `{name}` | {preset.sentence} | {values} |")
    return "\n".join([*told, ""])


def _kind(setting: Setting) -> str:
    """In a table whose page explains units."""
    return re.sub(r" such as .*?number( of seconds)?", "", allowed(setting.kind)).replace(' such as 0.01 or "1%"', "")


def _line(setting: Setting) -> str:
    names = "<br>".join(f"`{name}`" for name in (setting.variable, *short_names(setting)))
    default = text_of(setting.default, setting.kind)
    said = setting.sentence.replace("|", "\\|")
    return f"| `{setting.key}` | {names} | `{default}` | {said} ({_kind(setting)}) |"
