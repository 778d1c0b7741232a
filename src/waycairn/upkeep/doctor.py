"""Examining a whole store: can it keep its promises here, and is anything wrong in it?"""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from waycairn.catalog.integrity import problems_of
from waycairn.errors import StoreError, StoreNotFound, WaycairnError
from waycairn.process import FileOwnership
from waycairn.store import StoreCore
from waycairn.upkeep import inventory, medium, mirrored
from waycairn.upkeep.finding import Finding
from waycairn.wiring import default_directory, default_url, open_core

_LIBRARIES = (
    "sqlalchemy",
    "msgspec",
    "blake3",
    "backports.zstd",
    "pyfastcdc",
    "psycopg",
    "numpy",
    "torch",
    "safetensors",
)


def examine(where: str | None = None, *, packs: str | None = None, quick: bool = False) -> Iterator[Finding]:
    """Everything that can be told from here, one finding after the other.

    A store that cannot be opened is a finding, not an error; only StoreNotFound and a wrong address are raised.
    `quick` leaves out the part of the integrity check that reads whole indexes.
    """
    address = where or default_url()
    is_server = address.startswith(("postgresql://", "postgres://"))
    folder = None if is_server else Path(address.removeprefix("sqlite:///")).expanduser().absolute()
    try:
        core = open_core(address, packs=packs, create=False)
    except StoreNotFound:
        raise
    except StoreError as error:
        yield versions()
        yield Finding("store", "bad", str(error), "the store cannot be used as it is")
        yield from _of_folder(folder, quick=quick)
        return
    packs = packs or core.settings.store.packs
    try:
        yield versions()
        yield from _of_core(core)
        if is_server:
            yield _of_server(address)
        yield from _of_folder(folder, quick=quick)
        yield from _of_packs(folder, packs_folder(folder, packs))
        yield from _of_contents(core, packs_folder(folder, packs))
    finally:
        core.close()


def packs_folder(folder: Path | None, packs: str | None) -> Path:
    """Where the pack files of a store lie."""
    if packs:
        return Path(packs).absolute()
    return (folder or default_directory()) / "packs"


def versions() -> Finding:
    """What runs here."""
    facts = {"waycairn": metadata.version("waycairn"), "python": platform.python_version()}
    facts["sqlite"] = sqlite3.sqlite_version
    for library in _LIBRARIES:
        try:
            facts[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    main = f"waycairn {facts['waycairn']}, Python {facts['python']}, SQLite {facts['sqlite']}"
    return Finding("versions", "ok", f"{main}, {platform.system()} {platform.release()}", facts=facts)


def _of_core(core: StoreCore) -> Iterator[Finding]:
    info = core.catalog.info
    yield Finding("store", "ok", f"format {info.format}, id {info.id}", facts={"format": info.format, "id": info.id})
    yield Finding(
        "durability",
        "ok",
        f"{core.settings.store.durability}, unless a job opens the store with another durability",
        "what is acknowledged survives kill -9 and, if the device honours flushes, a power cut; with process it "
        "survives kill -9, and the newest commits may fall to a power cut",
        facts={"default": core.settings.store.durability},
    )


def _of_server(address: str) -> Finding:
    """Whether what the server commits survives its machine."""
    from waycairn.catalog.postgres import server_settings

    try:
        settings = server_settings(address)
    except WaycairnError as error:
        return Finding("server", "bad", str(error), "the settings of the server are not known")
    off = [name for name, value in settings.items() if value == "off"]
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    if off:
        return Finding(
            "server",
            "warning",
            told,
            "a power cut or a crash of the server's machine can take what was acknowledged, or damage the database",
            "; ".join(f"ALTER SYSTEM SET {name} = on" for name in off) + "; SELECT pg_reload_conf()",
            settings,
        )
    return Finding("server", "ok", told, "what it commits is flushed", facts=settings)


def _of_packs(folder: Path | None, packs: Path) -> Iterator[Finding]:
    """Where packs lie elsewhere than the catalog, the same is asked of that place."""
    if folder is not None and packs.parent == folder:
        return
    place = next(place for place in (packs, *packs.parents) if place.exists())  # it appears with the first pack
    for finding in (medium.file_system(place), medium.flushes(place)):
        yield replace(finding, check=f"{finding.check} of the packs")


def _of_folder(folder: Path | None, *, quick: bool) -> Iterator[Finding]:
    if folder is None:
        return
    yield medium.file_system(folder)
    yield medium.flushes(folder)
    yield medium.locks(folder)
    yield medium.space(folder)
    problems = problems_of(folder / "catalog.db", quick=quick)
    if problems:
        yield Finding(
            "integrity",
            "bad",
            f"the catalog is damaged: {'; '.join(problems[:3])}",
            "rows may be missing or wrong; states that are read are still verified against their hashes",
            f"stop the jobs, copy {folder}, then restore a backup of it",
            {"problems": problems},
        )
    else:
        yield Finding("integrity", "ok", f"SQLite finds nothing wrong in the catalog{' (quick)' if quick else ''}")


def _of_contents(core: StoreCore, packs: Path) -> Iterator[Finding]:
    try:
        stats = core.catalog.stats()
        yield _damaged(stats["checkpoints"].get("damaged", 0))
        yield medium.clock_sanity(core.clock.now(), stats["newest_checkpoint"], core.catalog.clock_offset())
        yield from inventory.packs(core)
        left = inventory.unfinished(packs)
        if left is not None:
            yield left
        copies = mirrored.mirror(core)
        if copies is not None:
            yield copies
        if isinstance(core.ownership, FileOwnership):
            yield inventory.owner_files(core.ownership.abandoned())
            yield inventory.queue(sorted(Path(core.url).glob("catalog.db.queue*")), core.clock)
        else:
            # The folder appears with the first pack.
            yield medium.space(next(place for place in (packs, *packs.parents) if place.exists()))
    except (WaycairnError, OSError) as error:
        yield Finding("contents", "bad", f"the contents could not be examined: {error}", "see the findings above")


def _damaged(count: int) -> Finding:
    facts = {"damaged": count}
    if not count:
        return Finding("checkpoints", "ok", "none is marked as damaged", facts=facts)
    return Finding(
        "checkpoints",
        "bad",
        f"{count} are marked as damaged",
        "they are never restored from; runs go on from the newest intact one",
        "waycairn checkpoints --status damaged says why; delete them when you have seen enough",
        facts,
    )


def is_bad(findings: list[Finding]) -> bool:
    """Whether something is wrong now."""
    return any(finding.level == "bad" for finding in findings)
