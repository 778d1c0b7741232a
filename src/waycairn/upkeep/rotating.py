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
from waycairn.model.repacking import PackFacts, PackOrigin
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited
from waycairn.upkeep.keys import change_keys, locksmith_of, opened_keys
from waycairn.upkeep.places import places
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
    with audited(core, "key.rotate-data") as act:
        report = _rotated(core, begin=begin, tell=tell)
        act.facts.update(generation=report.generation, dropped=list(report.dropped))
        return report


def _rotated(core: StoreCore, *, begin: bool, tell: Tell) -> RotationReport:
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
        info = core.catalog.info
        assert info.vault is not None, "it has keys"
        self._vault = info.vault
        self._keys = PackKeys(core.blobs, info.id, info.vault)

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
        notable = self._core.catalog.sealed_tables()
        tables = list(notable)
        table = facts.get("table")
        done = tables.index(table) if table in tables else 0
        for number, name in enumerate(tables[done:], start=done + 1):
            behind = facts.get("behind") if name == table else None
            self._reseal_table(name, behind, f"table {number} of {len(tables)}, {name}", is_notable=notable[name])
            self._report.tables += 1
        self._note(progress=_PACKS, table=None, behind=None)

    def _reseal_table(self, table: str, behind: Sequence[Any] | None, progress: str, *, is_notable: bool) -> None:
        """Notes lie in the clear: where the key of a row may not be seen the table is begun again."""
        self._tell(progress)
        parts = 0
        while (behind := self._core.catalog.reseal(table, behind, _AT_ONCE)) is not None:
            crashpoint("rotate.sealed")
            parts += 1
            if parts % _NOTED_EVERY == 0:
                self._note(progress=progress, table=table, behind=list(behind) if is_notable else None)
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
        if not self._core.catalog.drop_generation(ring.rows, new.rows, renewed, self._is_new):
            return False
        locksmith_of(self._core).adopt(new)
        return True

    def _renew_packs(self) -> set[PackId]:
        """Those in use that do not need an old key; the others are written again first."""
        moved = list(self._old_packs())
        facts = self._core.catalog.pack_facts() if moved else {}
        for number, pack in enumerate(moved, start=1):
            self._tell(f"pack {number} of {len(moved)}")
            self._write_again(pack, facts[pack])
            crashpoint("rotate.pack")
        old = set(self._old_packs())
        return {name for name, fill in self._core.catalog.pack_fill().items() if fill.blocks} - old

    def _old_packs(self) -> Iterator[PackId]:
        for name, fill in self._core.catalog.pack_fill().items():
            if fill.blocks and not self._is_new(name):
                yield name

    def _is_new(self, pack: PackId) -> bool:
        return self._keys.of(pack).generation == self._vault.generation

    def _write_again(self, pack: PackId, facts: PackFacts) -> None:
        """To where it lies: what is archived stays so."""
        origin = PackOrigin(created=facts.created, level=facts.level, place=facts.place)
        target = None if facts.place is None else places(self._core).at(facts.place)
        mover = Mover(self._core, origin=origin, target=target)
        try:
            blocks = mover.copying.live_blocks(pack)
        except Damaged:
            self._report.unreadable += 1
            return
        done = mover.move(blocks)
        self._report.packs += done.packs
        self._report.unreadable += len(mover.unreadable)
