"""Values saved under a name, with no structure around them: the last commit wins."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from waycairn.codec import Types, encode
from waycairn.model.encoded import Encoded, Streamed
from waycairn.model.files import Files
from waycairn.model.ids import CheckpointId
from waycairn.model.records import Stored
from waycairn.process import new_root
from waycairn.store import CheckpointDraft, StoreCore
from waycairn.work.encoding import encode_value, refuse_files
from waycairn.work.restoring import newest_value
from waycairn.work.saving import Behind, Saving
from waycairn.work.state import ValueSlot
from waycairn.work.step import check_name
from waycairn.world.randomness import new_run_id


class Facts(TypedDict, total=False):
    """What a saved value may carry. Of those with `keep` the newest so many stay, and pinned ones; older ones of that name
    go in the same transaction, and a sweep gives their bytes back.

    `compress` is for large arrays and tensors of numbers: "planes" compresses their bytes by significance (bfloat16
    weights to about two thirds, at 0.7 GB/s), "delta" also stores them as the difference to the value saved before
    under this name, where that is smaller. Both are lossless and need numpy."""

    keep: int | None
    tags: Sequence[str]
    description: str | None
    compress: Literal["planes", "delta"] | None


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

        A value may be `Files`: these are read while they are written, and what changes meanwhile is refused (FilesChanged).
        """
        check_name("saved value", name)
        keep = facts.get("keep")
        if keep is not None and (isinstance(keep, bool) or keep < 1):
            raise ValueError(
                f"keep is how many of the newest values of {name!r} stay: 1 or more, or None for all, not {keep!r}"
            )
        compress = facts.get("compress")
        if compress is not None:
            from waycairn.chunks import check_compression

            check_compression(compress)
        self._behind.settle()
        new = new_root(new_run_id(), name, "value")
        draft = functools.partial(
            CheckpointDraft,
            kind="value",
            role="value",
            tags=tuple(facts.get("tags", ())),
            description=facts.get("description"),
            compress=compress,
            base=self._newest_stored(name) if compress == "delta" else None,
        )

        def write(encoded: Encoded | Streamed) -> CheckpointId:
            return self.core.save_value(new, draft(encoded=encoded), keep)

        if wait:
            return write(encode_value(value))
        refuse_files(value)
        return self._behind.save(value, write)

    def reserve(self, value: Any) -> None:
        """Have memory ready into which `save(..., wait=False)` copies a value of this size; returns at once. First touch
        of fresh memory takes longer than the copy itself."""
        self._behind.reserve(ValueSlot(value))

    def import_file(
        self,
        path: str | os.PathLike[str],
        name: str,
        *,
        kind: str = "value",
        tags: Sequence[str] = (),
        description: str | None = None,
    ) -> CheckpointId:
        """Save the arrays of a .npz or .safetensors file under a name, as `save` does: a dict of name to array or tensor,
        bit by bit as in the file. safetensors come as tensors where torch is installed. Of a directory its files, see `Files`.
        `latest` reads the kind "value". Raises CannotImport (in waycairn.upkeep.importing) for a file that cannot be read; then
        nothing was saved."""
        from waycairn.upkeep.importing import read_arrays

        check_name("saved value", name)
        path = Path(path)
        draft = CheckpointDraft(
            kind=kind,
            role="value",
            encoded=encode_value(Files(path)) if path.is_dir() else encode(read_arrays(path)),
            tags=tuple(tags),
            description=f"imported from {path.name}" if description is None else description,
        )
        run = new_root(new_run_id(), name, "value")
        from waycairn.upkeep.auditing import audited_commit

        with audited_commit(self.core, "import", name, rides_with=lambda saved: isinstance(saved, str), file=path):
            return self.core.save_value(run, draft)

    def latest(self, name: str, default: Any = None, *, returns: Any = None) -> Any:
        """The newest intact value saved under this name, else `default`."""
        found = self.core.catalog.find_run(None, name, "value")
        if found is None:
            return default
        types = None if returns is None else Types.of(returns)
        return newest_value(self.core, found.id, "value", default, types)

    def _newest_stored(self, name: str) -> Stored | None:
        """Where the value lies that was saved last under this name."""
        run = self.core.catalog.find_run(None, name, "value")
        newest = None if run is None else self.core.catalog.latest_checkpoint(run.id, role="value")
        return None if newest is None else newest.checkpoint.stored
