"""waycairn.yaml: its values, and the line and column of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from waycairn.settings.origin import Origin, Path
from waycairn.settings.problem import Problem, invalid


class _Loader(yaml.SafeLoader):
    """As YAML 1.2 has it: `off` and `no` are words, `22:00` is no number of base 60, 010 is ten."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way


def _whole_number(loader: yaml.SafeLoader, node: Any) -> int:
    return int(loader.construct_scalar(node))


_PLAIN = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}",
        re.compile(f"^(?:{_pattern})$"),
        [*_first.replace("\0", ""), *([""] if "\0" in _first else [])],
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


class YamlFile:
    """Read once."""

    def __init__(self, name: str, text: str) -> None:
        """Raises SettingsInvalid with the place for what is no YAML, is no table, or has a key twice."""
        self.name = name
        self._marks: dict[Path, tuple[int, int]] = {}
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                self._mark(node, (), ())
            self.values: Any = {} if node is None else loader.construct_document(node)
        except yaml.YAMLError as error:
            self._refuse(error)
        finally:
            loader.dispose()

    def place(self, path: Path) -> Origin:
        """Of the value, or of the nearest thing around it."""
        while path and path not in self._marks:
            path = path[:-1]
        line, column = self._marks.get(path, (1, 1))
        return Origin("file", self.name, line, column)

    def _mark(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> None:
        if id(node) in above:
            raise invalid([Problem("it contains itself", path, self.place(path))])
        self._marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        for step, below in self._below(node):
            if (*path, step) in self._marks:
                origin = Origin("file", self.name, below.start_mark.line + 1, below.start_mark.column + 1)
                raise invalid([Problem("it stands there twice. Keep one of them", (*path, step), origin)])
            self._mark(below, (*path, step), (*above, id(node)))

    @staticmethod
    def _below(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node]]:
        if isinstance(node, yaml.MappingNode):
            yield from ((str(key.value), value) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            yield from enumerate(node.value)

    def _refuse(self, error: yaml.YAMLError) -> NoReturn:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        origin = Origin("file", self.name, *((mark.line + 1, mark.column + 1) if mark else (1, 1)))
        what = getattr(error, "problem", None) or str(error)
        raise invalid([Problem(f"it is no YAML: {what}", (), origin)]) from None
