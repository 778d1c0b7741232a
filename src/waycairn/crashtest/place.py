"""A copy of the job's directory for each run of it, so that trials do not see each other and nothing of yours changes."""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from waycairn.upkeep.sizes import size_text

_NOT_COPIED = (
    ".git",
    ".hg",
    ".svn",
    ".venv",
    ".tox",
    ".waycairn",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
)
_BESIDE = ("catalog.db.queue", "packs", "owners")
"""What only a store has beside its catalog."""
_MOST = 2 << 30
"""Bytes: more is no working directory of one job but somebody's home."""


@dataclass(frozen=True, slots=True)
class Place:
    """One run of the job has this for itself."""

    root: Path
    aside: Path | None = None
    """Where what belongs to the trial and not to the job lies, if not in the root."""

    @property
    def work(self) -> Path:
        """The working directory."""
        return self.root / "work"

    @property
    def _aside(self) -> Path:
        return self.aside or self.root

    @property
    def hits(self) -> Path:
        """What crash points were passed."""
        return self._aside / "hits"

    @property
    def struck(self) -> Path:
        """Made by the process that came to the chosen point."""
        return self._aside / "struck"

    @property
    def history(self) -> Path:
        """What the library acknowledged."""
        return self._aside / "history"

    @property
    def said(self) -> Path:
        """What the job wrote to stdout and stderr."""
        return self._aside / "said.txt"

    @property
    def temporary(self) -> Path:
        return self._aside / "tmp"

    @property
    def bytecode(self) -> Path:
        """Compiled modules, shared by all places of a crash test."""
        return self._aside.parent / "bytecode"

    def last_words(self, lines: int = 12) -> str:
        text = self.said.read_text("utf-8", "replace") if self.said.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stores(self) -> list[Path]:
        """The directories of waycairn stores in it."""
        return sorted(path.parent for path in self.work.rglob("catalog.db") if is_store(path.parent))

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


class Places:
    """Makes places below one directory, all alike."""

    def __init__(self, source: Path, below: Path, skip: Sequence[str]) -> None:
        """ValueError if the source is too large to be copied again and again."""
        self.source, self.below = source, below
        self._skip = (*_NOT_COPIED, *skip)
        size = sum(path.lstat().st_size for path in self._files())
        if size > _MOST:
            raise ValueError(
                f"{source} holds {size_text(size)}, and each trial gets a copy of it. Nothing was run. Leave out what the job does "
                "not read with --skip, or start in a directory of its own."
            )

    def make(self, name: str) -> Place:
        """A fresh one, as the job found its directory at first."""
        place = Place(self.below / name)
        place.remove()
        place.root.mkdir(parents=True)
        place.temporary.mkdir()
        shutil.copytree(self.source, place.work, symlinks=True, ignore=self._ignored())
        return place

    def _ignored(self) -> Callable[[str, list[str]], set[str]]:
        def ignored(folder: str, names: list[str]) -> set[str]:
            return {name for name in names if self._is_left_out(Path(folder, name))}

        return ignored

    def _is_left_out(self, path: Path) -> bool:
        if path == self.below or (path / "pyvenv.cfg").exists() or is_store(path):
            return True
        relative = path.relative_to(self.source).as_posix()
        return any(fnmatch.fnmatch(path.name, one) or fnmatch.fnmatch(relative, one) for one in self._skip)

    def _files(self) -> Iterator[Path]:
        for folder, below, names in os.walk(self.source):
            below[:] = [name for name in below if not self._is_left_out(Path(folder, name))]
            yield from (Path(folder, name) for name in names if not self._is_left_out(Path(folder, name)))


def is_store(path: Path) -> bool:
    """Whether a waycairn store lies in the directory: a trial begins without any."""
    return (path / "catalog.db").is_file() and any((path / name).exists() for name in _BESIDE)
