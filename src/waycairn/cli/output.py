"""What a command talks to: a terminal, a pipe, or a program that reads one JSON document."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from waycairn.work.store import Store

FAILED, BAD_USE, FOUND_BAD, HELD, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes beside 0."""
_SHORT = 17
"""Columns up to this width are never cut: ids, sizes, statuses."""


class Refused(Exception):
    """The command does not do it, and says why."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Face:
    """How one command was asked to speak, and of which store."""

    store: str | None = None
    packs: str | None = None
    key_file: str | None = None
    as_json: bool = False
    quiet: bool = False

    @property
    def secrets(self) -> dict[str, Any]:
        """What opens an encrypted store, as `wc.open` takes it."""
        return {"key_file": self.key_file, "ask": ask_secret if can_ask() else None}

    @contextmanager
    def open(self, *, create: bool = False, encrypt: bool = False) -> Iterator[Store]:
        """The store, which must exist unless it may be created."""
        from waycairn.work.store import open_store

        try:
            store = open_store(
                self.store,
                packs=self.packs,
                create=create,
                encrypt=encrypt,
                **self.secrets,
            )
        except ValueError as error:
            raise Refused(str(error), BAD_USE) from None
        with store:
            yield store

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    @property
    def is_unicode(self) -> bool:
        """Whether what is written to standard output may hold any character."""
        return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    @cached_property
    def console(self) -> Console:
        """Styled on a terminal only, and there only if NO_COLOR is not set; a pipe gets lines as long as they are."""
        from rich.console import Console

        plain = no_color() or not self.is_terminal
        return Console(
            color_system=None if plain else "auto",
            force_terminal=self.is_terminal,
            width=None if self.is_terminal else 10_000,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def show(self, thing: RenderableType) -> None:
        """Print something rich can render. Without trailing blanks: rich fills lines up."""
        if self.is_terminal:
            self.console.print(thing)
            return
        with self.console.capture() as captured:
            self.console.print(thing)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    def line(self, text: str = "", style: str = "") -> None:
        """One line of text, cleaned."""
        from rich.text import Text

        self.show(Text(clean(text), style=style))

    def done(self, text: str) -> None:
        """What was done, for a person."""
        if not self.quiet and not self.as_json:
            self.line(text)

    def aside(self, text: str) -> None:
        """Something a person at a terminal wants to know and nobody who reads the output does."""
        if sys.stderr.isatty() and not self.quiet and not self.as_json:
            sys.stderr.write(f"{clean(text)}\n")

    def line_now(self, text: str) -> None:
        """One line that a reader gets at once."""
        self.line(text)
        sys.stdout.flush()

    def document(self, facts: Mapping[str, Any]) -> None:
        """One JSON document."""
        self._write_json(facts, indent=2)

    def event(self, facts: Mapping[str, Any]) -> None:
        """One of many JSON documents, on a line of its own that a reader gets at once."""
        self._write_json(facts, indent=None)
        sys.stdout.buffer.flush()

    def _write_json(self, facts: Mapping[str, Any], indent: int | None) -> None:
        text = json_text(facts, indent, ensure_ascii=not self.is_unicode)
        # A lone surrogate (a path that is no UTF-8) has no bytes; JSON can escape it.
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace") + b"\n")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str | Text]],
        *,
        right: Sequence[str] = (),
        spare: Sequence[str] = (),
    ) -> None:
        """Rows under headings. Piped, all columns as wide as they are. On a terminal, columns without content are
        left out, then those of `spare`, in that order, until it fits; what is still too long is cut."""
        if self.is_terminal:
            kept = _fitting(columns, rows, spare, self.console.width)
            self.show(_rich_table([columns[place] for place in kept], [[row[p] for p in kept] for row in rows], right))
            return
        lines = [list(columns), *([str(cell) for cell in row] for row in rows)]
        for line in _aligned(lines, [column in right for column in columns]):
            sys.stdout.write(line + "\n")


def json_text(facts: Mapping[str, Any], indent: int | None = 2, *, ensure_ascii: bool = True) -> str:
    return json.dumps(_finite(facts), ensure_ascii=ensure_ascii, indent=indent, allow_nan=False)


def no_color() -> bool:
    """https://no-color.org: set and not empty."""
    import os

    return bool(os.environ.get("NO_COLOR"))


def text(content: str, style: str = "") -> Text:
    """A cell: cleaned, never taken for markup."""
    from rich.text import Text

    return Text(clean(content), style=style)


def clean(content: str) -> str:
    """Without control characters: a name must not be able to move the cursor or to look like two lines."""
    return "".join(char if char.isprintable() else _escaped(char) for char in content)


def without_passwords(words: str) -> str:
    """Addresses as they may be shown."""
    return re.sub(r"(://[^:/@\s]+):[^@\s]*@", r"\1:***@", words)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _finite(value: Any) -> Any:
    """NaN and the infinities, which JSON does not have, as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): _finite(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(content) for content in value]
    return value


def _fitting(columns: Sequence[str], rows: Sequence[Sequence[Any]], spare: Sequence[str], width: int) -> list[int]:
    """Places of the columns to show."""
    kept = [place for place in range(len(columns)) if not rows or any(str(row[place]) for row in rows)]
    widths = _widths([columns, *rows])
    for name in spare:
        if sum(widths[place] + 2 for place in kept) - 2 <= width:
            break
        kept = [place for place in kept if columns[place] != name]
    return kept


def _widths(lines: Sequence[Sequence[Any]]) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(str(cell)) for cell in column) for column in zip(*lines, strict=True)]


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column, longest in zip(columns, _widths([columns, *rows]), strict=True):
        # Short columns (ids, numbers) stay whole; long ones give way.
        least = min(longest, _SHORT)
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis", min_width=least)
    for row in rows:
        table.add_row(*row)
    return table


def _aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    from rich.cells import cell_len

    widths = _widths(lines)
    for line in lines:
        cells = []
        for cell, width, is_right in zip(line, widths, right, strict=True):
            blanks = " " * (width - cell_len(cell))
            cells.append(blanks + cell if is_right else cell + blanks)
        yield "  ".join(cells).rstrip()


def ask(question: str, *, yes: bool, otherwise: str = "nothing was changed.") -> None:
    """Go on only if a person agrees. Raises Refused if there is nobody to ask, or, saying what holds `otherwise`, if the answer
    is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nothing was changed: nobody can be asked here. Add --yes if you mean it.", BAD_USE)
    if not typer.confirm(clean(question), err=True):
        raise Refused(otherwise)


def can_ask() -> bool:
    """Whether a person sits there."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_secret(question: str) -> str:
    """What is typed, which is not shown."""
    import getpass

    return getpass.getpass(clean(question), stream=sys.stderr)


@contextmanager
def wrong_use() -> Iterator[None]:
    """What is wrong in what a person wrote, here or in the settings file."""
    try:
        yield
    except ValueError as error:
        raise Refused(without_passwords(str(error)), BAD_USE) from None
