"""What the store says no to, as a problem with words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from waycairn.errors import CheckpointNotFound, Damaged
from waycairn.model.records import CheckpointRecord
from waycairn.server.problems import Problem
from waycairn.work.store import Store

__all__ = ["checkpoint_named", "refused"]


@contextmanager
def refused() -> Iterator[None]:
    """For acts and reads of one thing whose state may not allow it. Raises Problem."""
    try:
        yield
    except Damaged as error:
        raise Problem(409, "Damaged", str(error)) from error
    except ModuleNotFoundError as error:
        raise Problem(
            409,
            "not installed",
            f"It holds values of {error.name}, which is not installed where the server runs. Nothing is wrong with it. "
            f"Install it there: pip install 'waycairn[{error.name}]'",
        ) from error
    except ValueError as error:
        raise Problem(409, "refused", str(error)) from error


def checkpoint_named(store: Store, id_: str) -> CheckpointRecord:
    """Raises CheckpointNotFound, also for what looks like no id of one."""
    try:
        return store.checkpoint(id_)
    except (ValueError, OverflowError) as error:
        raise CheckpointNotFound(str(error), checkpoint=id_) from None
