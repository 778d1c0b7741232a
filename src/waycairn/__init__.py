"""waycairn: stop a long-running job at any instant and go on from exactly where it was.

The words, one meaning each:

store       one place that remembers: a catalog (rows) plus blobs (pack files)
run         one execution of a named job, identified by (name, key); has a status, progress, an owner and an epoch
owner       the process that holds a run now; its epoch grows at each takeover, and every commit checks it
item        one element of a batch, known by its key
step        a named call whose result is remembered
phase       a call with a run of its own below the run
fold        what the owner does with the results of items, one after the other; the body of a loop over run.map
queue       an input that grows while it is worked through
cut         what one commit holds together; lies between items, steps and phases, never inside one
checkpoint  an immutable, verified snapshot of a state
backup      a verified export made before a delete, kept for a time, restorable
chunk       a piece of encoded state, named by its content
pack        a file that holds many chunks
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from waycairn import errors
from waycairn.errors import Interrupted, OwnershipLost, RunIsHeld, WaycairnError
from waycairn.model.policy import Pace
from waycairn.model.states import RunStatus
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from waycairn.codec import register
    from waycairn.model.retry import Retry
    from waycairn.work.aio import AsyncRun
    from waycairn.work.face import latest, restore, rows, run, safeguard, save
    from waycairn.work.run import Run
    from waycairn.work.store import Store
    from waycairn.work.store import open_store as open  # noqa: A004 - wc.open, like gzip.open

__version__ = "0.1.0"

__all__ = [
    "AsyncRun",
    "Interrupted",
    "OwnershipLost",
    "Pace",
    "Retry",
    "Run",
    "RunIsHeld",
    "RunStatus",
    "Store",
    "WaycairnError",
    "crashpoint",
    "errors",
    "latest",
    "open",
    "register",
    "restore",
    "rows",
    "run",
    "safeguard",
    "save",
]

_LAZY = {
    "AsyncRun": ("waycairn.work.aio", "AsyncRun"),
    "Retry": ("waycairn.model.retry", "Retry"),
    "Run": ("waycairn.work.run", "Run"),
    "Store": ("waycairn.work.store", "Store"),
    "latest": ("waycairn.work.face", "latest"),
    "open": ("waycairn.work.store", "open_store"),
    "register": ("waycairn.codec", "register"),
    "restore": ("waycairn.work.face", "restore"),
    "rows": ("waycairn.work.face", "rows"),
    "run": ("waycairn.work.face", "run"),
    "safeguard": ("waycairn.work.face", "safeguard"),
    "save": ("waycairn.work.face", "save"),
}
"""Loaded at first use, so that `import waycairn` costs a few milliseconds in programs that may not use it."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'waycairn' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    value = globals()[name] = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
