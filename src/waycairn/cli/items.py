"""`waycairn items`: which items of a run failed, and what the done ones gave."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, RunName
from waycairn.cli.output import BAD_USE, Face, Refused, clean, text

if TYPE_CHECKING:
    from waycairn.model.records import RunRecord
    from waycairn.store import StoreCore

_STATUSES = ("failed", "done")


def offered_statuses(incomplete: str) -> list[str]:
    """For shell completion."""
    return [word for word in _STATUSES if word.startswith(incomplete)]


def list_items(
    face: Face,
    run: RunName,
    key: Key = None,
    *,
    status: Annotated[
        str | None, typer.Option(help="Only failed ones, or only done ones.", autocompletion=offered_statuses)
    ] = None,
    loop: Annotated[str | None, typer.Option(help="Only items of this loop.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    traceback: Annotated[bool, typer.Option("--traceback", help="With the tracebacks of the failed ones.")] = False,
) -> None:
    """List items: failed ones with their errors, then done ones with their results."""
    if status is not None and status not in _STATUSES:
        raise Refused(f"{status!r} is no status of an item; these are: {', '.join(_STATUSES)}", BAD_USE)
    with face.open() as store:
        found = list(islice(_facts(store.core, store.find(run, key), status, loop), limit))
    if face.as_json:
        face.document({"items": found})
        return
    if not found and face.is_terminal:
        face.line("no items" if status is None else f"no {status} items")
        return
    _show(face, found, with_traceback=traceback)


def _facts(core: StoreCore, run: RunRecord, status: str | None, loop: str | None) -> Iterator[dict[str, Any]]:
    from waycairn.codec.keys import shown
    from waycairn.documents.items import failed_facts
    from waycairn.upkeep.batch import done_items
    from waycairn.upkeep.readable import readable

    if status in {None, "failed"}:
        for failed in core.catalog.failures(run.id):
            if loop is None or failed.loop == loop:
                yield failed_facts(failed)
    if status in {None, "done"}:
        for name, key, result in done_items(core, run.id, loop):
            yield {"loop": name, "key": shown(key), "status": "done", "result": readable(result)}


def _show(face: Face, found: list[dict[str, Any]], *, with_traceback: bool) -> None:
    rows = [
        [text(item["key"]), text(item["loop"]), item["status"], str(item.get("attempts", "")), text(_outcome(item))]
        for item in found
    ]
    face.table(("key", "loop", "status", "attempts", "error or result"), rows, right=("attempts",), spare=("loop",))
    if with_traceback:
        for item in found:
            if item["status"] == "failed":
                face.line()
                face.line(f"{clean(item['key'])}:")
                for line in str(item["error"].get("traceback") or "").splitlines():
                    face.line(f"  {clean(line)}")


def _outcome(item: dict[str, Any]) -> str:
    from waycairn.upkeep.readable import short

    if item["status"] == "failed":
        return f"{item['error'].get('type')}: {item['error'].get('message')}"
    return "" if item["result"] is None else short(item["result"])


COMMANDS = (Command("items", list_items),)
