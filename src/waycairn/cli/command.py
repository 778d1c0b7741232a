"""A command: a function that gets a Face and what it asks for; the options that all commands share are added here."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from waycairn.cli.output import Face

Function = Callable[..., int | None]
"""Takes a Face first; returns its exit code, None for 0."""

_STORE = Annotated[str | None, typer.Option("--store", help="The store: a directory or postgresql://...")]
_PACKS = Annotated[
    str | None, typer.Option("--packs", help="The directory of the pack files, with postgresql:// only.")
]
_KEY_FILE = Annotated[
    str | None,
    typer.Option("--key-file", help="The key of an encrypted store, where the environment does not name it."),
]
_JSON = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
_QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing unless it fails.")]


def flowing(words: str) -> str:
    """Paragraphs without the line breaks of the code: a terminal has its own."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in words.split("\n\n"))


@dataclass(frozen=True)
class Command:
    name: str
    function: Function
    has_quiet: bool = False
    """It does something, and its words are only for people."""
    has_store: bool = True
    """It works on a store."""

    def add_to(self, app: typer.Typer) -> None:
        """Register it with the shared options behind its own."""
        words = flowing(inspect.getdoc(self.function) or "")
        first = re.split(r"(?<=[.?!])\s", words, maxsplit=1)[0]
        app.command(self.name, help=words, short_help=first)(self._called())

    def _called(self) -> Callable[..., None]:
        def call(context: typer.Context, **given: Any) -> None:
            face = Face(
                # Before the command or behind it: both are where people write it.
                store=given.pop("store", None) or context.obj,
                packs=given.pop("packs", None),
                key_file=given.pop("key_file", None),
                as_json=given.pop("as_json"),
                quiet=given.pop("quiet", False),
            )
            code = self.function(face, **given)
            # Here, where a closed pipe is still an error that can be handled.
            sys.stdout.flush()
            raise typer.Exit(code or 0)

        parameters = self._parameters()
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    def _parameters(self) -> list[inspect.Parameter]:
        own = list(inspect.signature(self.function, eval_str=True).parameters.values())[1:]
        shared: list[tuple[str, Any, Any]] = [("as_json", _JSON, False)]
        if self.has_store:
            shared = [("store", _STORE, None), ("packs", _PACKS, None), ("key_file", _KEY_FILE, None), *shared]
        if self.has_quiet:
            shared.append(("quiet", _QUIET, False))
        named = inspect.Parameter.KEYWORD_ONLY
        return [
            inspect.Parameter("context", named, annotation=typer.Context),
            *(parameter.replace(kind=named) for parameter in own),
            *(inspect.Parameter(name, named, default=default, annotation=kind) for name, kind, default in shared),
        ]
