"""`waycairn verify`: is everything readable, and what is not, by name?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Key, find_either
from waycairn.cli.output import BAD_USE, FOUND_BAD, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.verify_part import Level
    from waycairn.store import StoreCore
    from waycairn.upkeep.verified import Verified
    from waycairn.upkeep.violation import Violation

_MOST_PACKS = 5


def verify(
    face: Face,
    *,
    what: Annotated[
        str | None, typer.Argument(metavar="RUN|CHECKPOINT", help="Only this run (with its phases) or checkpoint.")
    ] = None,
    key: Key = None,
    read_data: Annotated[
        str | None,
        typer.Option(
            "--read-data",
            metavar="PART",
            help="How much is read: all, 2/7 (the second of seven parts), /7 or 5% (what was verified longest ago).",
        ),
    ] = None,
    structure: Annotated[
        bool, typer.Option("--structure", help="Read no data: rows, root hashes, headers and footers of packs.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Rows, and whether packs are there and long enough.")] = False,
) -> int:
    """Read everything back and compare it with its hashes; mark what is damaged, so that it is never restored. Of a whole
    store, look also whether its rows and packs agree with each other."""
    from waycairn.upkeep import invariants

    if sum((structure, quick, read_data is not None)) > 1:
        raise Refused("--structure, --quick and --read-data exclude each other.", BAD_USE)
    with face.open() as store:
        part = store.core.settings.verify.read_data if read_data is None else read_data
        only = find_either(store, what, key) if what else None
        level: Level = "quick" if quick else "structure" if structure else "data"
        verified = _verify(face, store.core, only, level, part)
        violations = [] if what else invariants.examine(store.core)
    if face.as_json:
        from waycairn.documents.verifying import verified_facts

        face.document(verified_facts(verified, violations))
    else:
        _show(face, verified, violations)
    return FOUND_BAD if verified.broken or verified.damaged_packs or violations else 0


def _verify(face: Face, core: StoreCore, only: Any, level: Level, part: str) -> Verified:
    from waycairn.upkeep import verifying

    try:
        if face.as_json or face.quiet or not face.is_terminal:
            return verifying.verify(core, only, level=level, part=part)
        with face.console.status("verifying") as status:
            return verifying.verify(core, only, level=level, part=part, tell=_teller(status))
    except ValueError as error:
        raise Refused(f"--read-data: {error}", BAD_USE) from None


def _teller(status: Any) -> Any:
    from waycairn.upkeep.sizes import size_text

    read = 0

    def tell(what: str, size: int) -> None:
        nonlocal read
        read += size
        status.update(f"verifying {what}, {size_text(read)} read")

    return tell


def _show(face: Face, verified: Verified, violations: Sequence[Violation]) -> None:
    from waycairn.upkeep.sizes import size_text

    for violation in violations:
        face.line(f"violated: {violation}", "bold red")
    for damage in list(verified.damaged_packs.values())[:_MOST_PACKS]:
        face.line(f"damaged: {damage}", "bold red")
    if len(verified.damaged_packs) > _MOST_PACKS:
        face.line(f"damaged: {len(verified.damaged_packs) - _MOST_PACKS} packs more", "bold red")
    for broken in verified.broken:
        known = " (known before)" if broken.known else ""
        face.line(f"damaged: {broken.name}{known}: {broken.damage}", "bold red")
    for one in verified.restores:
        left = (
            f"its newest intact checkpoint is {one.checkpoint}" if one.checkpoint else "no checkpoint of it is intact"
        )
        face.line(f"run {one.name} ({one.run}): {left}")
    face.done(
        f"{verified.checkpoints:,} checkpoints, {verified.steps:,} step results and {verified.results:,} cuts with results "
        f"of items, {size_text(verified.raw_bytes)} read; "
        f"{len(verified.broken)} damaged"
    )
    if verified.away_packs:
        face.done(f"{verified.away_packs:,} packs lie in archives that are not there, and were not looked at")
    if verified.broken or verified.damaged_packs:
        face.done("waycairn repair mends what can be mended; waycairn export --all saves what can be read")


COMMANDS = (Command("verify", verify, has_quiet=True),)
