"""Changes of the keys of an open store. Each is one transaction: the keys are the old ones or the new ones, whoever dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from waycairn.errors import KeysChanged, NotEncrypted
from waycairn.store import StoreCore
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from waycairn.crypto.keyring import Keyring
    from waycairn.crypto.locksmith import Locksmith
    from waycairn.crypto.sources import Source

_TIMES = 8
"""That somebody else may change the keys in between."""


def add_way_in(core: StoreCore, source: Source, label: str | None = None) -> str:
    """One more secret that opens the store; the id of this way in. Durable when it returns."""
    _refuse_second(core, source)
    new = change_keys(core, lambda ring: ring.adding(source, core.clock.now(), label))
    return new.rows[-1].id


def remove_way_in(core: StoreCore, id_: str) -> None:
    """Its secret opens the store no more. ValueError if it is the last one, or there is none of that id. Who had the secret
    and a copy of the catalog can still read that copy: a rotation of the data key shuts him out of what comes."""
    change_keys(core, lambda ring: ring.removing(id_))


def rotate_way_in(core: StoreCore, source: Source, id_: str | None = None) -> str:
    """Another secret in place of that of a way in (by default the one that this store was opened by); its new id. Nothing
    else is written again: it takes no longer than any commit."""
    _refuse_second(core, source)
    old = {row.id for row in core.catalog.wrapped_keys()}
    new = change_keys(core, lambda ring: ring.replacing(id_ or ring.opened_by, source, core.clock.now()))
    return next(row.id for row in new.rows if row.id not in old)


def change_keys(core: StoreCore, change: Callable[[Keyring], Keyring]) -> Keyring:
    """Read the keys, change them, and write them if they are still those that were read. `change` may be called again."""
    for _ in range(_TIMES):
        ring = opened_keys(core)
        new = change(ring)
        crashpoint("keys.change")
        if core.catalog.replace_keys(ring.rows, new.rows):
            locksmith_of(core).adopt(new)
            crashpoint("keys.changed")
            return new
    raise KeysChanged


def opened_keys(core: StoreCore) -> Keyring:
    """As they are now. Raises NotEncrypted, KeyWrong (what this process opened the store with was removed since)."""
    locksmith = locksmith_of(core)
    locksmith.open(core.catalog.info.id, core.catalog.wrapped_keys(), core.url)
    if locksmith.keyring is None:
        raise not_encrypted(core.url)
    return locksmith.keyring


def locksmith_of(core: StoreCore) -> Locksmith:
    if core.locksmith is None:
        raise not_encrypted(core.url)
    return core.locksmith


def not_encrypted(address: str) -> NotEncrypted:
    return NotEncrypted(
        f"the store at {address} is not encrypted, so it has no keys. Nothing was changed. Make an encrypted copy of it: "
        "waycairn copy SOURCE DESTINATION --encrypt",
        address=address,
    )


def _refuse_second(core: StoreCore, source: Source) -> None:
    """The same secret twice would look like two ways in, and be one."""
    from waycairn.crypto.keyring import opens

    taken = next((row.id for row in core.catalog.wrapped_keys() if opens(core.catalog.info.id, row, source)), None)
    if taken is not None:
        raise ValueError(f"{source.where} opens the store already, as way in {taken}. Nothing was changed.")
