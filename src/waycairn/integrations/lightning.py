"""Checkpoints of Lightning in a store: `Trainer(plugins=[WaycairnCheckpointIO()])`.

ModelCheckpoint names checkpoints by path, and so do `ckpt_path="last"` and those who look into the folder. A small file,
the stub, stands at each path (see `stubs`); the content is in the store: each chunk once, hashed, verified when it is
read, without pickle. A path names one checkpoint, so there is no falling back from a damaged one behind the user's back:
the error names those in the same folder that are intact.

Saves are written behind the training loop. A removal waits for the saves before it and is left undone if one of them
failed, so that a folder which had a checkpoint has one at every instant.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO

from waycairn.codec import Types
from waycairn.errors import CheckpointNotFound, Damaged, RunNotFound, StoreNotFound
from waycairn.integrations import stubs
from waycairn.integrations.mappings import Mappings
from waycairn.integrations.save_queue import Copied, Copier, SaveQueue, store_at
from waycairn.integrations.stubs import NoStub, Stub
from waycairn.model.ids import CheckpointId, split_checkpoint_id
from waycairn.model.states import CheckpointStatus
from waycairn.work.store import Store, open_store
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush_directory
from waycairn.world.randomness import new_nonce

__all__ = ["WaycairnCheckpointIO"]

log = logging.getLogger("waycairn")

_IN_FLIGHT = 2
"""Copies in memory at once. Two, because ModelCheckpoint saves twice in a row, the best and the last: with one the loop
would wait for the first of them, and the second finds nearly all of its content stored."""
_ENOUGH = 3
"""Intact checkpoints that an error names; each is read whole to be sure."""


class WaycairnCheckpointIO(CheckpointIO):  # type: ignore[misc]
    """Lightning's and Fabric's checkpoints in a store of waycairn.

    `store` is an open store, its address, or None for the one in use here. `wait=True` makes every save durable before
    it returns; otherwise the content is copied, the training goes on, and an error is raised by the next save, load or
    the end of the fit. `types` are the user's own classes in hyper-parameters and callback states (enums, dataclasses,
    subclasses of dict): what is not among them and not registered is refused when it is saved.

    Called by one thread of one process, as Lightning does (rank zero). Strategies that write shards themselves (FSDP
    with sharded checkpoints, DeepSpeed) do not ask a CheckpointIO.
    """

    def __init__(
        self, store: Store | str | os.PathLike[str] | None = None, *, wait: bool = False, types: Iterable[type] = ()
    ) -> None:
        self._where = store
        self._wait = wait
        self._kinds = tuple(types)
        self._opened: Store | None = None
        self._others: dict[str, Store] = {}
        self._queue = SaveQueue("lightning", in_flight=_IN_FLIGHT)
        self._copier = Copier()
        self._tidied: set[Path] = set()

    # -- what Lightning calls ------------------------------------------------------------------------------------

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Copy a checkpoint and write it behind the caller; `path` is there when it is durable.

        Waits while two saves are under way. Raises what went wrong in an earlier save or removal, before anything is
        done; TypeError naming the path of what cannot be stored.
        """
        if storage_options is not None:
            raise TypeError("a store takes no storage_options. Nothing was saved. Leave them out.")
        place = _local(path)
        self._queue.save(
            lambda: self._begin(checkpoint, place), lambda saved: self._stand(place, saved), f"saving {place}"
        )
        if self._wait:
            self._queue.wait()

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, verified, when the saves under way are durable. Tensors come to the CPU, or to where
        `map_location` (a device, its name, or a function of torch.load) sends them. Nothing that is stored is executed,
        whatever `weights_only` says.

        Raises FileNotFoundError, ValueError for a file of another program, Damaged (its `intact` are the paths of
        others in the folder that were found intact), CheckpointNotFound for a stub without content, UnknownType.
        """
        del weights_only
        self._queue.wait()
        place = _local(path)
        stub = _stub_at(place)
        store = self._holding(stub, place)
        try:
            content = store.load(stub.checkpoint, returns=self._kinds or None, map_location=_device(map_location))
        except Damaged as error:
            raise self._damaged(place, stub, error) from error
        loaded: dict[str, Any] = _moved(self._mappings().again(content), map_location)
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint when the saves before are durable, never if one of them failed. Content that is pinned
        or that another stub names (a hard link) stays in the store."""
        place = _local(path)
        self._queue.after_saves(lambda: self._remove(place), f"removing {place}")
        if self._wait:
            self._queue.wait()

    def teardown(self) -> None:
        """Wait until all is durable. Raises what went wrong. Lightning calls it at the end of a fit, however it ends."""
        self._queue.stop()
        self._copier.trim()

    # -- what others may call --------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Return when everything that was saved is durable, for a save outside of a fit. Raises what went wrong."""
        self._queue.wait()

    def export_checkpoint(self, path: str | Path, to: str | Path) -> None:
        """Write a checkpoint as a file of Lightning's own, for programs that do not know the store, such as
        `LightningModule.load_from_checkpoint`. Whole or not at all; takes the place of what is at `to`."""
        import torch

        from waycairn.upkeep.exporting import new_file

        content = self.load_checkpoint(path)
        with new_file(_local(to), force=True) as draft:
            torch.save(content, draft)

    # -- the caller's thread ---------------------------------------------------------------------------------------

    def _begin(self, checkpoint: dict[str, Any], place: Path) -> Copied:
        # A name of its own for each save: replacing and removing touch one saved value, whoever else saves at a path
        # that reads the same on another host.
        name = f"{place.name} {new_nonce()[:8]}"
        value = self._mappings().plain(checkpoint)
        return self._copier.begin(
            self._store(), name, value, types=Types.of(*self._kinds), tags=("lightning",), description=str(place)
        )

    def _mappings(self) -> Mappings:
        return Mappings(self._kinds)  # made anew: libraries may have been imported since

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = store_at(self._where)
        return self._opened

    def _holding(self, stub: Stub, place: Path) -> Store:
        """The store that has the content: ours, or the one that the stub names."""
        ours = self._store()
        if _has(ours, stub) or stub.store == ours.url:
            return ours
        if stub.store not in self._others:
            try:
                self._others[stub.store] = open_store(stub.store, create=False)
            except StoreNotFound as error:
                raise StoreNotFound(
                    f"{place} lies in the store {stub.store}, which is not there, and not in {ours.url}. Nothing was "
                    "changed. If it was moved, give its new address: WaycairnCheckpointIO(store).",
                    path=str(place),
                ) from error
        return self._others[stub.store]

    def _damaged(self, place: Path, stub: Stub, error: Damaged) -> Damaged:
        intact = [str(path) for _, path in zip(range(_ENOUGH), self._intact(place, stub), strict=False)]
        instead = f"Intact in the same folder: {', '.join(intact)}." if intact else "No other in its folder is intact."
        return Damaged(
            f"{place} is damaged and is not used: {error} {instead} Give another one as ckpt_path.",
            path=str(place),
            checkpoint=stub.checkpoint,
            intact=intact,
        )

    def _intact(self, place: Path, damaged: Stub) -> Iterator[Path]:
        for path, stub in _stubs_beside(place):
            if stub.checkpoint == damaged.checkpoint:
                continue
            try:
                store = self._holding(stub, path)
                record = store.checkpoint(stub.checkpoint)
                if record.status is not CheckpointStatus.DAMAGED:
                    store.core.verify(record.checkpoint.stored)
                    yield path
            except (Damaged, CheckpointNotFound, StoreNotFound):
                continue

    # -- the thread behind -----------------------------------------------------------------------------------------

    def _stand(self, place: Path, saved: CheckpointId) -> None:
        crashpoint("lightning.committed")
        self._tidy(place.parent)
        former = stubs.note_former(place)
        stubs.write_stub(place, Stub(store=self._store().url, checkpoint=saved))
        if former is not None:
            self._drop(former)

    def _remove(self, place: Path) -> None:
        if not place.exists() and not place.is_symlink():
            return
        self._tidy(place.parent)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)  # shards of another strategy
            flush_directory(place.parent)
            return
        note = stubs.take_away(place)
        if note is not None:
            self._drop(note)

    def _tidy(self, folder: Path) -> None:
        """Finish what a process began that died."""
        if folder not in self._tidied:
            self._tidied.add(folder)
            for note in stubs.notes_in(folder):
                self._drop(note)

    def _drop(self, note: Path) -> None:
        """Remove the content that a note names, then the note."""
        stub = stubs.to_remove(note)
        if stub is not None:
            crashpoint("lightning.dropping")
            try:
                self._remove_content(stub, note)
            except (CheckpointNotFound, RunNotFound, StoreNotFound):
                log.info("the content of %s is gone already", note)
        note.unlink(missing_ok=True)
        crashpoint("lightning.dropped")

    def _remove_content(self, stub: Stub, note: Path) -> None:
        store = self._holding(stub, note)
        if store.checkpoint(stub.checkpoint).pinned:
            log.info("checkpoint %s stays in the store: it is pinned", stub.checkpoint)
            return
        store.remove(split_checkpoint_id(stub.checkpoint)[0])


def _local(path: str | Path) -> Path:
    text = str(path).removeprefix("file://")
    if "://" in text:
        raise ValueError(
            f"{text} is not on a local file system. Nothing was done. The stubs of checkpoints are small local files; "
            "the store may be anywhere."
        )
    return Path(text).absolute()


def _stub_at(place: Path) -> Stub:
    try:
        return stubs.read_stub(place)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no checkpoint at {place}. Nothing was changed.") from None
    except NoStub:
        raise ValueError(
            f"{place} is no checkpoint of waycairn. Nothing was loaded. One that Lightning wrote is loaded without this "
            "plugin, or taken over once: io.save_checkpoint(torch.load(path, weights_only=True), new_path)."
        ) from None


def _stubs_beside(place: Path) -> Iterator[tuple[Path, Stub]]:
    """The stubs of a folder, newest first."""
    files = [path for path in place.parent.iterdir() if path.is_file() and not path.name.startswith(".")]
    for path in sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        try:
            yield path, stubs.read_stub(path)
        except (NoStub, Damaged):
            continue


def _has(store: Store, stub: Stub) -> bool:
    run, sequence = split_checkpoint_id(stub.checkpoint)
    return store.core.catalog.get_checkpoint(run, sequence) is not None


def _device(where: Any) -> Any:
    """What the store understands of a `map_location` of torch.load: a device. A dict says which device takes the place of
    which, but what is stored is of none."""
    return None if callable(where) or isinstance(where, dict) else where


def _moved(value: Any, where: Any) -> Any:
    """Tensors sent to where a function as `map_location` says."""
    if not callable(where):
        return value
    from lightning_utilities.core.apply_func import apply_to_collection
    from torch import Tensor

    def move(tensor: Tensor) -> Tensor:
        storage = where(tensor.untyped_storage(), "cpu")
        return tensor if storage is None else tensor.to(storage.device)

    return apply_to_collection(value, Tensor, move)
