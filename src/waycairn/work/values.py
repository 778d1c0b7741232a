"""Values saved under a name, with no structure around them: the last commit wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

import msgspec

from waycairn.codec import Types, encode
from waycairn.model.encoded import Encoded
from waycairn.model.ids import CheckpointId
from waycairn.model.records import NewRun
from waycairn.store import CheckpointDraft, StoreCore
from waycairn.work.restoring import newest_value
from waycairn.work.saving import Behind, Saving
from waycairn.work.step import check_name
from waycairn.world.randomness import new_run_id


class Facts(TypedDict, total=False):
    """What a saved value may carry. Of those with `keep` the newest so many stay, and pinned ones; older ones of that name
    go in the same transaction, and a sweep gives their bytes back."""

    keep: int | None
    tags: Sequence[str]
    description: str | None


class Values:
    """The part of `Store` that saves and loads them."""

    def __init__(self, core: StoreCore) -> None:
        self.core = core
        self._behind = Behind()

    @overload
    def save(self, name: str, value: Any, *, wait: Literal[True] = ..., **facts: Unpack[Facts]) -> CheckpointId: ...

    @overload
    def save(self, name: str, value: Any, *, wait: Literal[False], **facts: Unpack[Facts]) -> Saving: ...

    def save(self, name: str, value: Any, *, wait: bool = True, **facts: Unpack[Facts]) -> CheckpointId | Saving:
        """Save a value under a name, no structure at all: the last commit wins. Durable when this returns. With `keep` the
        newest so many values of that name stay, see Facts.

        With `wait=False` it is copied and written behind the job: durable when `result()` of what this returns has
        returned. One at a time: the next save of this store waits for it, and raises its error unless somebody asked
        for it; so does `close`. `reserve` has the memory for the copy ready before the first one.
        """
        check_name("saved value", name)
        keep = facts.get("keep")
        if keep is not None and (isinstance(keep, bool) or keep < 1):
            raise ValueError(
                f"keep is how many of the newest values of {name!r} stay: 1 or more, or None for all, not {keep!r}"
            )
        self._behind.settle()
        run = new_run_id()
        new = NewRun(id=run, root=run, parent=None, name=name, key="value", owner=None)
        draft = CheckpointDraft(
            kind="value",
            role="value",
            encoded=encode(value),
            tags=tuple(facts.get("tags", ())),
            description=facts.get("description"),
        )
        if wait:
            return self.core.save_value(new, draft, keep)

        def write(copied: Encoded) -> CheckpointId:
            return self.core.save_value(new, msgspec.structs.replace(draft, encoded=copied), keep)

        return self._behind.save(draft.encoded, write)

    def reserve(self, value: Any) -> None:
        """Have memory ready into which `save(..., wait=False)` copies a value of this size; returns at once. First touch
        of fresh memory takes longer than the copy itself."""
        self._behind.pool.reserve(encode(value).size)

    def latest(self, name: str, default: Any = None, *, returns: Any = None) -> Any:
        """The newest intact value saved under this name, else `default`."""
        found = self.core.catalog.find_run(None, name, "value")
        if found is None:
            return default
        types = None if returns is None else Types.of(returns)
        return newest_value(self.core, found.id, "value", default, types)
