"""What exists and who holds it: runs, commits, checkpoints and the chunk index, in SQLite or PostgreSQL.

One implementation for both. `tables` says what is stored; `runs`, `commits`, `history`, `checkpoints` and
`chunk_index` hold the statements beside the rows they touch; `group` lets the threads of a process share a
transaction; `sqlite` and `postgres` know how to connect, begin and commit; `opening` creates and migrates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from waycairn.world.clock import SystemClock

if TYPE_CHECKING:
    from waycairn.model.policy import Durability
    from waycairn.ports import Catalog, Clock, Keyholder

__all__ = ["open_catalog"]

_CLOCK = SystemClock()


def open_catalog(
    url: str,
    *,
    durability: Durability = "power",
    create: bool = True,
    clock: Clock = _CLOCK,
    deadline: float = 30.0,
    keys: Keyholder | None = None,
    copy: bool = False,
    actor: str = "",
) -> Catalog:
    """Open the catalog at `sqlite:////absolute/path/catalog.db` or `postgresql://user@host/database`.

    A missing one is created, unless `create` is false: then StoreNotFound. An older format is migrated, a newer one
    raises StoreTooNew. Both are written to the audit log as acts of `actor`, if that is given. `deadline` bounds, in
    seconds, how long a server may take to answer before it counts as unreachable. `keys` gives the keys of an encrypted
    store (KeyMissing without) and says whether one that is created here is encrypted. With `copy` a store that is a copy
    still being made is created or opened, and no other. The result is thread-safe; close it.
    """
    from waycairn.catalog.opening import open_database, open_store

    database = open_database(url, durability, create=create, deadline=deadline)
    return open_store(database, clock, create=create, keys=keys, copy=copy, actor=actor)
