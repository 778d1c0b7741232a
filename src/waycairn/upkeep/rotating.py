"""The data key replaced by a new one. Interruptible at any point, beside running jobs; the same call goes on.

    1. a new generation of the data key is added, in one transaction: whoever writes from then on, in whatever process, looks at
       the keys in his own transaction and uses it (see `catalog.keys.hold_keys`)
    2. rows are sealed again, table by table, some at a time
    3. packs that were written with an older key are written again, and their rows switched
    4. when no pack in use needs the old key any more, it is dropped; a save that has written a pack with it and is not
       committed yet is refused by the sweep epoch and made again

Nothing is lost when it dies: what is sealed with the old key can be read for as long as that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from waycairn.chunks.pack_keys import PackKeys
from waycairn.crypto.keyring import Keyring, data_rows
from waycairn.errors import Damaged, KeysChanged
from waycairn.model.ids import PackId
from waycairn.store import StoreCore
from waycairn.upkeep.keys import change_keys, locksmith_of, opened_keys
from waycairn.upkeep.repacking import Mover
from waycairn.world.crashpoints import crashpoint

Tell = Callable[[str], None]
_AT_ONCE = 200
"""Rows of one transaction, so that commits wait some hundredths of a second for it."""
_NOTED_EVERY = 25
"""Such transactions between two notes of how far it is."""
_PACKS = "packs"
_TIMES = 8
"""That saves may bring packs with the old key before it is given up for now."""


@dataclass(slots=True)
class RotationReport:
    generation: int = 0
    """In use now."""
    tables: int = 0
    packs: int = 0
    """Written again."""
    dropped: Sequence[int] = ()
    """Generations that are gone."""
    unreadable: int = 0
    """Blocks that are damaged: they, and the old key, stay."""


def rotate_data_key(core: StoreCore, *, begin: bool = True, tell: Tell = lambda _: None) -> RotationReport:
    """Begin a rotation, unless one is under way (or `begin` is false), and bring it to its end. Durable when it returns."""
    ring = opened_keys(core)
    if begin and len(data_rows(ring.rows)) == 1:
        change_keys(core, lambda ring: ring.next_generation(core.clock.now()))
        crashpoint("rotate.begun")
    return _Rotation(core, tell).run()


class _Rotation:
    def __init__(self, core: StoreCore, tell: Tell) -> None:
        self._core = core
        self._tell = tell
        self._report = RotationReport()

    def run(self) -> RotationReport:
        ring = opened_keys(self._core)
        self._report.generation = ring.data_keys.current
        old = [row.generation for row in data_rows(ring.rows)[:-1]]
        if old:
            self._renew_vault()
            self._reseal_rows(ring)
            crashpoint("rotate.rows")
            self._drop(old)
        return self._report

    def _renew_vault(self) -> None:
        """A transaction of any kind does it."""
        self._core.catalog.reserve_numbers(1)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _reseal_rows(self, ring: Keyring) -> None:
        facts = data_rows(ring.rows)[0].parameters
        if facts.get("progress") == _PACKS:
            return
        tables = list(self._core.catalog.sealed_tables())
        table = facts.get("table")
        done = tables.index(table) if table in tables else 0
        for number, name in enumerate(tables[done:], start=done + 1):
            behind = facts.get("behind") if name == table else None
            self._reseal_table(name, behind, f"table {number} of {len(tables)}, {name}")
            self._report.tables += 1
        self._note(progress=_PACKS, table=None, behind=None)

    def _reseal_table(self, table: str, behind: Sequence[Any] | None, progress: str) -> None:
        self._tell(progress)
        parts = 0
        while (behind := self._core.catalog.reseal(table, behind, _AT_ONCE)) is not None:
            crashpoint("rotate.sealed")
            parts += 1
            if parts % _NOTED_EVERY == 0:
                self._note(progress=progress, table=table, behind=_notable(behind))
        crashpoint("rotate.table")

    def _note(self, **facts: Any) -> None:
        def change(ring: Keyring) -> Keyring:
            for row in data_rows(ring.rows)[:-1]:
                ring = ring.with_progress(row.generation, **facts)
            return ring

        change_keys(self._core, change)

    # -- packs ---------------------------------------------------------------------------------------------------------

    def _drop(self, old: Sequence[int]) -> None:
        for _ in range(_TIMES):
            renewed = self._renew_packs()
            if self._report.unreadable:
                return
            crashpoint("rotate.packs")
            if self._dropped(old, renewed):
                self._report.dropped = tuple(old)
                crashpoint("rotate.dropped")
                return
        raise KeysChanged(
            "saves went on bringing what is sealed with the old data key. Nothing is lost, and both keys are kept. Run "
            "`waycairn key rotate --data` again."
        )

    def _dropped(self, old: Sequence[int], renewed: set[PackId]) -> bool:
        ring = opened_keys(self._core)
        new = ring
        for generation in old:
            new = new.without_generation(generation)
        if not self._core.catalog.drop_generation(ring.rows, new.rows, renewed):
            return False
        locksmith_of(self._core).adopt(new)
        return True

    def _renew_packs(self) -> set[PackId]:
        """Those in use that do not need an old key; the others are written again first."""
        moved = list(self._old_packs())
        for number, pack in enumerate(moved, start=1):
            self._tell(f"pack {number} of {len(moved)}")
            self._write_again(pack)
            crashpoint("rotate.pack")
        old = set(self._old_packs())
        return {name for name, fill in self._core.catalog.pack_fill().items() if fill.blocks} - old

    def _old_packs(self) -> Iterator[PackId]:
        vault = self._core.catalog.info.vault
        assert vault is not None
        keys = PackKeys(self._core.blobs, self._core.catalog.info.id, vault)
        for name, fill in self._core.catalog.pack_fill().items():
            if fill.blocks and keys.of(name).generation != vault.generation:
                yield name

    def _write_again(self, pack: PackId) -> None:
        mover = Mover(self._core)
        try:
            blocks = mover.copying.live_blocks(pack)
        except Damaged:
            self._report.unreadable += 1
            return
        done = mover.move(blocks)
        self._report.packs += done.packs
        self._report.unreadable += len(mover.unreadable)


def _notable(behind: Sequence[Any] | None) -> list[Any] | None:
    """Notes lie in the clear: the digest of a key is none of them, and such a table, which is small, is begun again."""
    return None if behind is None or any(isinstance(one, bytes) for one in behind) else list(behind)
