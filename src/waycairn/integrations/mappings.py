"""Mappings of other libraries as plain data, and back.

A checkpoint of Lightning holds hyper-parameters: namespaces of argparse, attribute dicts, containers of OmegaConf. Each
becomes {"$type": name, "content": ...}, which any reader of the store understands; only the names below and those that
the caller passes are made again, so that stored data never chooses a class by itself.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from waycairn.codec.layouts import qualified_name
from waycairn.errors import UnknownType

_TYPE, _CONTENT = "$type", "content"
_DICT = "dict"
"""A plain dict that happens to have the key "$type"."""
_CLASS = "class"
"""Lightning keeps the class of its hyper-parameters, where they are of OmegaConf."""

Taking = Callable[[Any], Any]
Making = Callable[[Any], Any]


class Mappings:
    """Those that are known, with the classes that the caller passes: subclasses of dict that are made of a dict."""

    def __init__(self, kinds: Iterable[type] = ()) -> None:
        self._take: dict[type, tuple[str, Taking]] = {Namespace: ("argparse:Namespace", vars)}
        self._make: dict[str, Making] = {_DICT: dict, "argparse:Namespace": lambda content: Namespace(**content)}
        self._classes: dict[str, type] = {}
        for kind in kinds:
            if issubclass(kind, dict):  # an Enum or a dataclass is the codec's own affair
                self._add(kind, dict, kind)
        self._add_lightning()
        self._add_omegaconf()

    def plain(self, value: Any) -> Any:
        """The same with plain dicts in the place of known mappings. Other values are passed on as they are."""
        kind = type(value)
        if kind is dict:
            content = {key: self.plain(member) for key, member in value.items()}
            return {_TYPE: _DICT, _CONTENT: content} if _TYPE in content else content
        if kind is list or kind is tuple:
            return kind(self.plain(member) for member in value)
        known = self._take.get(kind)
        if known is not None:
            name, take = known
            return {_TYPE: name, _CONTENT: self.plain(take(value))}
        if isinstance(value, type) and qualified_name(value) in self._classes:
            return {_TYPE: _CLASS, _CONTENT: qualified_name(value)}
        return value

    def again(self, value: Any) -> Any:
        """What `plain` was given. Raises UnknownType for a mapping that is not known here."""
        kind = type(value)
        if kind is dict:
            if _TYPE in value:
                return self._made(value)
            return {key: self.again(member) for key, member in value.items()}
        if kind is list or kind is tuple:
            return kind(self.again(member) for member in value)
        return value

    def _made(self, value: Mapping[str, Any]) -> Any:
        name, content = value[_TYPE], value[_CONTENT]
        if name == _CLASS:
            return self._classes.get(content) or self._refuse(content)
        if name == _DICT:
            return {key: self.again(member) for key, member in content.items()}
        make = self._make.get(name) or self._refuse(name)
        return make(self.again(content))

    def _refuse(self, name: str) -> Any:
        raise UnknownType(
            f"the checkpoint holds a {name}, which is not known here. Nothing was imported. Import its library before, "
            "or pass the class: WaycairnCheckpointIO(types=[...]).",
            type_name=name,
        )

    def _add(self, kind: type, take: Taking, make: Making) -> None:
        name = qualified_name(kind)
        self._take[kind], self._make[name], self._classes[name] = (name, take), make, kind

    def _add_lightning(self) -> None:
        from lightning.fabric.utilities.data import AttributeDict

        self._add(AttributeDict, dict, AttributeDict)
        parsing = sys.modules.get("lightning.pytorch.utilities.parsing")
        if parsing is not None:
            self._add(parsing.AttributeDict, dict, parsing.AttributeDict)

    def _add_omegaconf(self) -> None:
        omegaconf = sys.modules.get("omegaconf")  # a container of it is there only if it was imported
        if omegaconf is None:
            return
        for kind in (omegaconf.DictConfig, omegaconf.ListConfig):
            self._add(kind, _without_resolving, omegaconf.OmegaConf.create)


def _without_resolving(container: Any) -> Any:
    return sys.modules["omegaconf"].OmegaConf.to_container(container, resolve=False)
