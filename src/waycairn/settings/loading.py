"""From the sources to settings that are checked, each value with its origin."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waycairn.model.settings import Settings
from waycairn.model.store_settings import StoreSettings
from waycairn.settings.finding import find

if TYPE_CHECKING:
    from waycairn.settings.layer import Layer
    from waycairn.settings.origin import Origin, Path

_STORE = "WAYCAIRN_STORE"
_PREFIX = "WAYCAIRN_"
_SHORT = ("GRACE", "RETRY_FAILED", "PROGRESS", "PROMOTE_OVER", "MIRROR", "LOG", "PRESET")


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
    path = find(None if start is None else os.fspath(start)) if file is None else os.path.abspath(file)  # noqa: PTH100
    if path is None and not arguments:
        plain = _without_sources(variables)
        if plain is not None:
            return plain
    from waycairn.settings.gathering import gathered

    return gathered(arguments or {}, variables, path)


def _without_sources(variables: Mapping[str, str]) -> Loaded | None:
    """Where nothing but the place of the store is said there is nothing to merge or validate, and no library for it to be
    loaded. None where there is more."""
    for name in variables:
        if name.startswith(_PREFIX):
            rest = name[len(_PREFIX) :]
            if ("__" in rest or rest in _SHORT) and variables[name].strip():
                return None
    url = variables.get(_STORE)
    if not url:
        return Loaded(Settings())
    from waycairn.settings.layer import Layer
    from waycairn.settings.origin import Origin

    layer = Layer({"store": {"url": url}}, lambda _: Origin("environment", _STORE))
    return Loaded(dataclasses.replace(Settings(), store=StoreSettings(url=url)), (layer,))
