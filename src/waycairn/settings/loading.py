"""From the sources to settings that are checked, each value with its origin."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waycairn.model.settings import Settings
from waycairn.model.store_settings import StoreSettings
from waycairn.settings.finding import find, read

if TYPE_CHECKING:
    from waycairn.settings.layer import Layer
    from waycairn.settings.origin import Origin, Path

_STORE = "WAYCAIRN_STORE"
_PREFIX = "WAYCAIRN_"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where they are from."""

    settings: Settings
    layers: tuple[Layer, ...] = ()
    """The strongest first."""
    file: str | None = None
    preset: str | None = None

    def origin(self, path: Path) -> Origin:
        """Where this value comes from."""
        from waycairn.settings.origin import DEFAULT

        return next((layer.place(path) for layer in self.layers if layer.says(path)), DEFAULT)


def load(
    arguments: Mapping[str, Any] | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    start: str | os.PathLike[str] | None = None,
) -> Loaded:
    """Read all sources and check what they say. `file` is one to be read in place of the nearest, `start` where to look for
    that from. Raises SettingsInvalid, which names every value at fault with its place."""
    variables = os.environ if environment is None else environment
    path = find(None if start is None else os.fspath(start), variables) if file is None else os.path.abspath(file)  # noqa: PTH100
    if not arguments and (path is None or _registers_streams_only(path)):
        plain = _without_sources(variables)
        if plain is not None:
            return dataclasses.replace(plain, file=path)
    from waycairn.settings.gathering import gathered

    return gathered(arguments or {}, variables, path)


def _registers_streams_only(path: str) -> bool:
    values = read(path).values
    return isinstance(values, Mapping) and all(value is None or name == "streams" for name, value in values.items())


def _without_sources(variables: Mapping[str, str]) -> Loaded | None:
    """Where nothing but the place of the store is said there is nothing to merge or validate, and no library for it to be
    loaded. None where there is more."""
    names = [name for name in variables if name.startswith(_PREFIX) and name != _STORE]
    if names:
        from waycairn.settings.variables import ours

        if ours({name: variables[name] for name in names}):
            return None
    url = variables.get(_STORE)
    if not url:
        return Loaded(Settings())
    from waycairn.settings.layer import Layer
    from waycairn.settings.origin import Origin

    layer = Layer({"store": {"url": url}}, lambda _: Origin("environment", _STORE))
    return Loaded(dataclasses.replace(Settings(), store=StoreSettings(url=url)), (layer,))
