"""From an address to a store: the only module that knows the concrete back-ends."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from waycairn.crypto.locksmith import Locksmith
from waycairn.errors import StoreNotFound
from waycairn.model.keys import DataKeys
from waycairn.model.policy import Durability
from waycairn.model.settings import Settings
from waycairn.settings import load
from waycairn.store import StoreCore
from waycairn.world.clock import SystemClock
from waycairn.world.files import make_directory, reading, translated

if TYPE_CHECKING:
    from waycairn.model.keys import WrappedKey
    from waycairn.ports import Clock, Keyholder

log = logging.getLogger("waycairn")

_PATIENCE = 30.0
"""Seconds that a server has for an answer."""
FOLDER = ".waycairn"
"""Name of a store's directory where none is given."""


def default_directory(settings: Settings | None = None) -> Path:
    """The setting `store.url`, else the nearest `.waycairn` upwards from the working directory, else a new one."""
    setting = (settings or load().settings).store.url
    if setting and "://" not in setting:
        return Path(setting).expanduser().absolute()
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / FOLDER).is_dir():
            return place / FOLDER
    return here / FOLDER


def default_url(settings: Settings | None = None) -> str:
    """The address of the store that is used where none is named."""
    settings = settings or load().settings
    setting = settings.store.url
    return setting if setting and "://" in setting else str(default_directory(settings))


def open_core(
    where: str | os.PathLike[str] | None = None,
    *,
    packs: str | os.PathLike[str] | None = None,
    durability: Durability | None = None,
    create: bool = True,
    clock: Clock | None = None,
    settings: Settings | None = None,
    keys: Keyholder | DataKeys | None = None,
    copy: bool = False,
    **secrets: Any,
) -> StoreCore:
    """Open a store, creating it if it is missing and `create` is true.

    `where` is a directory (SQLite and packs in it) or `postgresql://…`; then `packs` is the directory for pack
    files, by default `packs` in the default store directory. `keys`: of an encrypted store, and that one which is created is
    encrypted; by default a `crypto.Locksmith`, which takes `secrets`. `copy`: see `open_catalog`. `settings` are those that
    hold, in place of what the environment and files say. Raises StoreNotFound, UnsafeFileSystem, StoreTooNew, KeyMissing,
    KeyWrong, NotEncrypted, SettingsInvalid.
    """
    settings = settings or load().settings
    place = _place_of(where, packs, settings)
    keys = _keyholder(keys) or Locksmith(place.shown, settings=settings.encryption, **secrets)
    with nullcontext() if place.directory is None else reading(place.directory):
        if place.directory is not None:
            _prepare(place.directory, create)
            _foresee(place.directory / "catalog.db", keys)
        return _assemble(
            place,
            settings,
            durability=durability or settings.store.durability,
            create=create,
            clock=clock or SystemClock(),
            keys=keys,
            copy=copy,
        )


def wrapped_keys(where: str | os.PathLike[str] | None = None) -> tuple[str, Sequence[WrappedKey]]:
    """The address, and the rows of the table of keys, which need no key to be read; none in a plain store. Raises
    StoreNotFound."""
    from waycairn.catalog.keys import peek_keys
    from waycairn.catalog.opening import open_database

    place = _place_of(where, None, load().settings)
    if not exists(where):
        _refuse_missing(place.shown)
    database = open_database(place.url, "power", create=False, deadline=_PATIENCE)
    try:
        return place.shown, database.read(peek_keys)
    finally:
        database.close()


def exists(where: str | os.PathLike[str] | None = None) -> bool:
    """Whether there is a store, encrypted or not. Raises StoreUnreachable."""
    from waycairn.catalog.opening import open_database, read_info

    place = _place_of(where, None, load().settings)
    if place.directory is not None and not (place.directory / "catalog.db").exists():
        return False
    database = open_database(place.url, "power", create=False, deadline=_PATIENCE)
    try:
        return database.read(read_info) is not None
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the parts of a store lie."""

    url: str
    """Of the catalog."""
    shown: str
    """For messages."""
    packs: Path
    directory: Path | None
    """On this host, if it is a local store."""


def _place_of(where: str | os.PathLike[str] | None, packs: str | os.PathLike[str] | None, settings: Settings) -> _Place:
    address = default_url(settings) if where is None else os.fspath(where)
    if address.startswith(("postgresql://", "postgres://")):
        url = "postgresql://" + address.partition("://")[2]
        packs = packs or settings.store.packs
        folder = Path(packs).absolute() if packs else default_directory(settings) / "packs"
        return _Place(url, _shown(url), folder, None)
    if "://" in address and not address.startswith("sqlite:///"):
        raise ValueError(
            f"{address.partition('://')[0]}:// is not a place for a store; use a directory or postgresql://user@host/database"
        )
    directory = Path(address.removeprefix("sqlite:///")).expanduser().absolute()
    return _Place(f"sqlite:///{directory / 'catalog.db'}", str(directory), directory / "packs", directory)


def _keyholder(keys: Keyholder | DataKeys | None) -> Keyholder | None:
    if not isinstance(keys, DataKeys):
        return keys
    from waycairn.crypto import GivenKeys

    return GivenKeys(keys)


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
        _refuse_missing(str(directory))
    with translated("the store's directory", directory):
        make_directory(directory)
    log.info("created a store at %s", directory)


def _foresee(catalog: Path, keys: Keyholder) -> None:
    if isinstance(keys, Locksmith) and catalog.exists():
        from waycairn.catalog.foresight import parameters_of_passphrases

        keys.foresee(lambda: parameters_of_passphrases(catalog))


def _refuse_missing(path: str) -> NoReturn:
    raise StoreNotFound(
        f"there is no store at {path}. Nothing was created. Go to the directory the job ran in, or name the store with "
        "--store or WAYCAIRN_STORE.",
        path=path,
    )


def _assemble(
    place: _Place,
    settings: Settings,
    *,
    durability: Durability,
    create: bool,
    clock: Clock,
    keys: Keyholder,
    copy: bool,
) -> StoreCore:
    # Imported here: the catalog takes 0.1 s (SQLAlchemy, for PostgreSQL, 0.3 s), and `import waycairn` must not pay for it.
    from waycairn.blobs import LocalBlobs, PlacedBlobs
    from waycairn.catalog import open_catalog
    from waycairn.chunks import ChunkReader, ChunkWriter
    from waycairn.measuring import Recorder
    from waycairn.process import FileOwnership, LeaseOwnership, current_actor

    catalog = open_catalog(
        place.url,
        durability=durability,
        create=create,
        clock=clock,
        keys=keys,
        copy=copy,
        actor=current_actor(),
    )
    try:
        blobs = PlacedBlobs(LocalBlobs(place.packs), catalog.place_of, catalog.info.id, place.packs.parent)
        owners = None if place.directory is None else place.directory / "owners"
        return StoreCore(
            catalog=catalog,
            blobs=blobs,
            writer=ChunkWriter(catalog, blobs, catalog.info),
            reader=ChunkReader(catalog, blobs, catalog.info),
            ownership=FileOwnership(owners, clock) if owners else LeaseOwnership(catalog, clock),
            clock=clock,
            url=place.shown,
            scratch=(owners or place.packs).with_name("flights"),
            ledgers=_ledgers(place.url, place.packs),
            settings=settings,
            locksmith=keys if isinstance(keys, Locksmith) else None,
            meter=Recorder(catalog, clock) if settings.health.performance else None,
        )
    except BaseException:
        catalog.close()
        raise
