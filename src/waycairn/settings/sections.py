"""What can be set: the dataclasses of `waycairn.model.settings`, looked at."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from waycairn.model.settings import Settings
from waycairn.settings.kinds import fields_of, is_path
from waycairn.settings.origin import Path


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of one section."""

    section: str
    name: str
    kind: Any
    """Its type."""
    default: Any
    is_secret: bool
    is_path: bool

    @property
    def sentence(self) -> str:
        """What it means. Read from the source, so only where somebody asks."""
        return sentences_of(sections()[self.section]).get(self.name, "")

    @property
    def path(self) -> Path:
        return (self.section, self.name)

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return f"WAYCAIRN_{self.section}__{self.name}".upper()


@functools.cache
def sections() -> Mapping[str, Any]:
    """Name to dataclass."""
    return {name: kind for name, kind in fields_of(Settings).items() if dataclasses.is_dataclass(kind)}


@functools.cache
def settings() -> Sequence[Setting]:
    """All of them, section by section."""
    return list(_settings())


def _settings() -> Iterator[Setting]:
    for section, kind in sections().items():
        kinds = fields_of(kind)
        default = kind()
        for field in dataclasses.fields(kind):
            yield Setting(
                section=section,
                name=field.name,
                kind=kinds[field.name],
                default=getattr(default, field.name),
                is_secret=bool(field.metadata.get("secret")),
                is_path=bool(field.metadata.get("path")) or is_path(kinds[field.name]),
            )


def sentences_of(kind: Any) -> Mapping[str, str]:
    """What stands below each field of a dataclass, in one line."""
    return _sentences_of(kind)


@functools.cache
def _sentences_of(kind: Any) -> Mapping[str, str]:
    import ast
    import importlib
    import inspect

    tree = ast.parse(inspect.getsource(importlib.import_module(kind.__module__)))
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    said = {}
    for field, below in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            value = below.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                said[field.target.id] = " ".join(value.value.split())
    return said
