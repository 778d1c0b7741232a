"""A new store beside a damaged one, from every row of its catalog that can be read, and its packs.

The damaged store is not touched. The new one is made under another name and gets its own at the end: killed anywhere there is
no new store, or all of it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waycairn.catalog import open_catalog
from waycairn.catalog.salvaging import SalvagedRows, SalvagedTable, salvage_rows
from waycairn.crypto.locksmith import Locksmith
from waycairn.errors import Damaged, StoreNotFound, WaycairnError
from waycairn.model.repair import RepairReport
from waycairn.upkeep.auditing import record
from waycairn.upkeep.repairing import repair
from waycairn.upkeep.verified import Verified
from waycairn.upkeep.verifying import verify
from waycairn.wiring import open_core
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, make_directory, translated


class CannotSalvage(WaycairnError):
    """The store cannot be salvaged to that place. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    to: str
    tables: Mapping[str, SalvagedTable]
    packs: int
    repaired: RepairReport
    verified: Verified
    """What is still damaged in the new store."""

    @property
    def is_whole(self) -> bool:
        """Nothing is missing that can be told to be missing."""
        gaps = any(table.gaps or table.nonsense for table in self.tables.values())
        return not (gaps or self.verified.broken or self.repaired.lost)


def salvage(store: Path, to: Path | None = None, **secrets: Any) -> Salvaged:
    """Make the new store, repaired and verified. Nobody may work in the damaged one meanwhile. By default it lies beside it,
    `.waycairn.salvaged`. An encrypted one stays encrypted with the same keys; `secrets` open it, as `wc.open` takes them. Raises
    StoreNotFound, CannotSalvage, KeyMissing, KeyWrong; Damaged if nobody can tell any more which store it was."""
    catalog = store / "catalog.db"
    if not catalog.is_file():
        raise StoreNotFound(f"there is no catalog.db in {store}. Nothing was written. Name the directory of the store.")
    to = to or store.with_name(f"{store.name}.salvaged")
    if to.exists():
        raise CannotSalvage(
            f"{to} is there already. Nothing was written. Choose another place with --to, or remove it."
        )
    draft = to.with_name(f".{to.name}.part")
    try:
        return _made(store, draft, to, secrets)
    except WaycairnError:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _made(store: Path, draft: Path, to: Path, secrets: Mapping[str, Any]) -> Salvaged:
    with translated("the salvaged store", draft):
        shutil.rmtree(draft, ignore_errors=True)  # of one that was killed
        make_directory(draft)
        rows = _rows(store, draft)
        locksmith = _opened(draft, rows, secrets)
        crashpoint("salvage.rows")
        packs = _packs(store / "packs", draft / "packs")
        _beside(store, draft)
        crashpoint("salvage.packs")
        with closing(open_core(draft, create=False, keys=locksmith)) as core:
            repaired = repair(core)
            verified = verify(core, level="structure")
            with suppress(Damaged):  # where its end is lost the log cannot go on
                record(core, "store.salvage", str(store.absolute()), facts=_lost(rows))
        (draft / "catalog.db.before-repair").unlink(missing_ok=True)
        flush_directory(draft)
        crashpoint("salvage.rename")
        draft.rename(to)
        flush_directory(to.parent)
    crashpoint("salvage.done")
    return Salvaged(str(to), rows.tables, packs, repaired, verified)


def _lost(rows: SalvagedRows) -> dict[str, Any]:
    return {"lost": [name for name, table in rows.tables.items() if table.gaps or table.nonsense]}


def _rows(store: Path, draft: Path) -> SalvagedRows:
    """From a copy of the catalog and its log: opening the damaged one would change it."""
    copy = draft / "damaged" / "catalog.db"
    copy.parent.mkdir(mode=0o700)
    for name in ("catalog.db", "catalog.db-wal"):
        if (store / name).exists():
            shutil.copy2(store / name, copy.with_name(name))
    others = sorted(path for path in store.glob("catalog.db.*") if path.suffix != ".tmp")
    fresh = draft / "catalog.db"
    open_catalog(f"sqlite:///{fresh.absolute()}").close()
    rows = salvage_rows(copy, fresh, others)
    shutil.rmtree(copy.parent)
    return rows


def _opened(draft: Path, rows: SalvagedRows, secrets: Mapping[str, Any]) -> Locksmith | None:
    """Whoever asks a person for the passphrase asks once. Of an encrypted store rows that cannot be opened are left out."""
    with closing(open_core(draft, create=False, **secrets)) as core:
        vault, locksmith = core.catalog.info.vault, core.locksmith
    if vault is not None:
        from waycairn.catalog.unopened import drop_unopened

        drop_unopened(draft / "catalog.db", vault, rows)
    return locksmith


def _packs(old: Path, new: Path) -> int:
    """The same files under a second name where that can be: a pack is never changed."""
    count = 0
    make_directory(new)
    for pack in sorted(path for path in old.glob("*/*") if path.is_file() and not path.suffix):
        folder = new / pack.parent.name
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(pack, folder / pack.name)
        except OSError:
            _copy(pack, folder / pack.name)
        count += 1
    for folder in (*(path for path in new.iterdir() if path.is_dir()), new):
        flush_directory(folder)
    return count


def _beside(store: Path, draft: Path) -> None:
    """What streams without a database of their own remember."""
    for file in store.glob("streams.db*"):
        if not file.name.endswith("-shm"):
            _copy(file, draft / file.name)


def _copy(source: Path, target: Path) -> None:
    shutil.copy2(source, target)
    with target.open("rb+") as file:
        flush(file.fileno())
