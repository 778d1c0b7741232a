"""pydantic-settings merges the layers and validates what comes out. The only module that loads it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from waycairn.model.settings import Settings
from waycairn.settings.kinds import allowed, fields_of, inside, record_of
from waycairn.settings.layer import Layer
from waycairn.settings.origin import Path
from waycairn.settings.problem import Problem, invalid
from waycairn.settings.sections import sections


class _Source(PydanticBaseSettingsSource):
    """A layer, as pydantic-settings wants it."""

    def __init__(self, model: type[BaseSettings], layer: Layer) -> None:
        super().__init__(model)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self._layer.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return {name: _frozen(value) for name, value in self._layer.values.items()}


def _frozen(value: Any) -> Any:
    """Lists as tuples: settings are frozen, and their defaults are written so."""
    if isinstance(value, Mapping):
        return {name: _frozen(below) for name, below in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


_layers: ContextVar[Sequence[Layer]] = ContextVar("layers")
"""Of the call under way: pydantic-settings asks the class for its sources, and the class is made once."""


def validated(layers: Sequence[Layer]) -> Settings:
    """The strongest layer comes first. Raises SettingsInvalid with the place of each value at fault."""
    token = _layers.set(layers)
    try:
        merged = _model()()
    except ValidationError as error:
        raise invalid(list(_problems(error, layers))) from None
    finally:
        _layers.reset(token)
    return Settings(**{name: getattr(merged, name) for name in sections()})


class _Layered(BaseSettings):
    model_config = SettingsConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours take the place of the usual ones
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return tuple(_Source(settings_cls, layer) for layer in _layers.get())


@functools.cache
def _model() -> type[BaseSettings]:
    fields: dict[str, Any] = {name: (kind, kind()) for name, kind in sections().items()}
    return create_model("WaycairnSettings", __base__=_Layered, **fields)


def _problems(error: ValidationError, layers: Sequence[Layer]) -> Iterator[Problem]:
    """Of a union every member complains; a person is told once."""
    told = set()
    for one in error.errors():
        path, kind = _path_of(one["loc"])
        what = _what(one, kind)
        if one["type"] == "value_error":
            path, what = _meant(path, kind, what)
        if path not in told:
            told.add(path)
            origin = next((layer.place(path) for layer in layers if layer.says(path)), None)
            yield Problem(what, path, origin or _around(path, layers))


def _path_of(steps: Sequence[str | int]) -> tuple[Path, Any]:
    """Without the names of union members that pydantic puts in between; and the type that is wanted there."""
    kind: Any = sections()[str(steps[0])]
    path: list[str | int] = [steps[0]]
    for step in steps[1:]:
        below = inside(kind, step)
        if below is not None:
            path.append(step)
            kind = below
    return tuple(path), kind


def _what(one: Mapping[str, Any], kind: Any) -> str:
    if one["type"] == "value_error":
        return str(one["ctx"]["error"]).rstrip(".")
    if one["type"] == "missing":
        return "it is missing"
    return f"it is {allowed(kind)}, not {_shown(one['input'])}"


_AT = re.compile(r"(?P<at>[A-Za-z_]\w*(\.\w+|\[\d+\])*)(?P<colon>:)?\s*")
_STEP = re.compile(r"\w+")


def _meant(path: Path, kind: Any, what: str) -> tuple[Path, str]:
    """A record that was checked as a whole says in front which field it means, as in `pause is …` or
    `retention.rules[1].keep: …`; or somewhere else."""
    record = record_of(kind)
    if record is None:
        return path, what
    known = fields_of(record)
    found = _AT.match(what)
    if found is not None:
        steps = [int(step) if step.isdigit() else step for step in _STEP.findall(found["at"])]
        if len(steps) > 1 and steps[0] == path[0]:
            steps = steps[1:]
        if steps[0] in known:
            rest = what[found.end() :]
            if found["colon"]:
                return (*path, *steps), rest
            return (*path, *steps), f"it {rest}" if rest.startswith("is ") else what
    named = next((word for word in _STEP.findall(what) if word in known), None)
    return (path, what) if named is None else ((*path, named), what)


def _around(path: Path, layers: Sequence[Layer]) -> Any:
    """What is missing stands nowhere; its table does."""
    while path:
        path = path[:-1]
        for layer in layers:
            if path and layer.says(path):
                return layer.place(path)
    return None


def _shown(value: Any) -> str:
    """As a file has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))
