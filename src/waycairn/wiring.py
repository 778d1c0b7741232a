"""From an address to a store: the only module that knows the concrete back-ends."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from waycairn.errors import StoreNotFound
from waycairn.model.policy import Durability
from waycairn.model.settings import Settings
from waycairn.store import StoreCore
from waycairn.world.clock import SystemClock
from waycairn.world.files import make_directory, reading, translated

if TYPE_CHECKING:
    from waycairn.ports import Clock

log = logging.getLogger("waycairn")

FOLDER = ".waycairn"
"""Name of a store's directory where none is given."""


def default_directory() -> Path:
    """WAYCAIRN_STORE if it is set, else the nearest `.waycairn` upwards from the working directory, else a new one."""
    setting = os.environ.get("WAYCAIRN_STORE")
    if setting and "://" not in setting:
        return Path(setting).expanduser().absolute()
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / FOLDER).is_dir():
            return place / FOLDER
    return here / FOLDER


def default_url() -> str:
    """The address of the store that is used where none is named."""
    setting = os.environ.get("WAYCAIRN_STORE")
    return setting if setting and "://" in setting else str(default_directory())


def open_core(
    where: str | os.PathLike[str] | None = None,
    *,
    packs: str | os.PathLike[str] | None = None,
    durability: Durability = "power",
    create: bool = True,
    clock: Clock | None = None,
) -> StoreCore:
    """Open a store, creating it if it is missing and `create` is true.

    `where` is a directory (SQLite and packs in it) or `postgresql://…`; then `packs` is the directory for pack
    files, by default `packs` in the default store directory. Raises StoreNotFound, UnsafeFileSystem, StoreTooNew.
    """
    clock = clock or SystemClock()
    address = default_url() if where is None else os.fspath(where)
    if address.startswith(("postgresql://", "postgres://")):
        url = "postgresql://" + address.partition("://")[2]
        folder = Path(packs).absolute() if packs else default_directory() / "packs"
        return _assemble(url, _shown(url), folder, None, durability, create, clock)
    if "://" in address and not address.startswith("sqlite:///"):
        raise ValueError(
            f"{address.partition('://')[0]}:// is not a place for a store; use a directory or postgresql://user@host/database"
        )
    directory = Path(address.removeprefix("sqlite:///")).expanduser().absolute()
    url = f"sqlite:///{directory / 'catalog.db'}"
    with reading(directory):
        _prepare(directory, create)
        return _assemble(url, str(directory), directory / "packs", directory / "owners", durability, create, clock)


def _ledgers(url: str, packs: Path) -> str:
    """Beside a catalog in SQLite a database of its own, so that a stream never waits for a cut; else the catalog's."""
    if url.startswith("sqlite:"):
        return f"sqlite:///{packs.with_name('streams.db')}"
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _shown(url: str) -> str:
    """The address as messages may show it: without the password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _prepare(directory: Path, create: bool) -> None:
    if (directory / "catalog.db").exists():
        return
    if not create:
        raise StoreNotFound(
            f"there is no store at {directory}. Nothing was created. Go to the directory the job ran in, or name the "
            "store with --store or WAYCAIRN_STORE.",
            path=str(directory),
        )
    with translated("the store's directory", directory):
        make_directory(directory)
    log.info("created a store at %s", directory)


def _assemble(  # noqa: PLR0917 - one private call
    url: str,
    address: str,
    packs: Path,
    owners: Path | None,
    durability: Durability,
    create: bool,
    clock: Clock,
) -> StoreCore:
    # Imported here: SQLAlchemy alone takes 0.2 s, and `import waycairn` must not pay for it.
    from waycairn.blobs import LocalBlobs
    from waycairn.catalog import open_catalog
    from waycairn.chunks import ChunkReader, ChunkWriter
    from waycairn.measuring import Recorder
    from waycairn.process import FileOwnership, LeaseOwnership

    settings = Settings()
    catalog = open_catalog(url, durability=durability, create=create, clock=clock)
    try:
        blobs = LocalBlobs(packs)
        return StoreCore(
            catalog=catalog,
            blobs=blobs,
            writer=ChunkWriter(catalog, blobs, catalog.info),
            reader=ChunkReader(catalog, blobs, catalog.info),
            ownership=FileOwnership(owners, clock) if owners else LeaseOwnership(catalog, clock),
            clock=clock,
            url=address,
            scratch=(owners or packs).with_name("flights"),
            ledgers=_ledgers(url, packs),
            settings=settings,
            meter=Recorder(catalog, clock) if settings.health.performance else None,
        )
    except BaseException:
        catalog.close()
        raise
