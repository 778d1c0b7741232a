"""What saves a state of many arrays over the one before, each with the settings its makers advise.

`prepare(place, state)` is done before the save begins and gives the save; `load(place, like)` gives what is found there
(`like` says the shapes, which some must be told). Libraries are imported where they are used, so that one that is
missing is missed by its own contender only.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import waycairn as wc

State = dict[str, Any]
Save = Callable[[], object]
Prepare = Callable[[Path, State], Save]
Load = Callable[[Path, State], State]


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def tensors(state: State) -> State:
    import torch

    return {name: torch.from_numpy(values) for name, values in state.items()}


def torch_save(place: Path, state: State) -> Save:
    import torch

    content = tensors(state)
    return lambda: torch.save(content, place / "state.pt")


def torch_load(place: Path, _like: State) -> State:
    import torch

    return torch.load(place / "state.pt")


def torch_save_renamed(place: Path, state: State) -> Save:
    """As one should with torch.save: a new file, flushed, renamed over the old one, the directory flushed."""
    import torch

    content = tensors(state)

    def save() -> None:
        with (place / "state.new").open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        (place / "state.new").replace(place / "state.pt")
        flush(place)

    return save


def safetensors_save(place: Path, state: State) -> Save:
    from safetensors.torch import save_file

    content = tensors(state)
    return lambda: save_file(content, place / "state.safetensors")


def safetensors_load(place: Path, _like: State) -> State:
    from safetensors.torch import load_file

    return load_file(place / "state.safetensors")


def dcp_save(place: Path, state: State) -> Save:
    import torch.distributed.checkpoint as dcp

    content = tensors(state)
    return lambda: dcp.save(content, checkpoint_id=place / "state", no_dist=True)


def dcp_load(place: Path, like: State) -> State:
    import torch
    import torch.distributed.checkpoint as dcp

    target = {name: torch.empty(len(values)) for name, values in like.items()}
    dcp.load(target, checkpoint_id=place / "state", no_dist=True)
    return target


def npy_save(place: Path, state: State) -> Save:
    def save() -> None:
        for name, values in state.items():
            np.save(place / f"{name}.npy", values)

    return save


def npy_load(place: Path, _like: State) -> State:
    return {file.stem: np.load(file) for file in place.glob("*.npy")}


def ours_save(place: Path, state: State) -> Save:
    store = wc.open(place)
    return lambda: store.save("state", state)


def ours_save_behind(place: Path, state: State) -> Save:
    """Behind the caller, who changes nothing meanwhile; the one before goes in the commit of the new one."""
    store = wc.open(place)
    return lambda: store.save("state", state, wait=False, keep=1).result()


def ours_load(place: Path, _like: State) -> State:
    return wc.open(place).latest("state")


def ours_checkpoint(place: Path, state: State) -> Save:
    """A run goes on from its last checkpoint, changes its state in place, and takes the next one."""
    run = wc.open(place).start("training")
    held = run.state({})
    held.update(state)
    return lambda: run.checkpoint(force=True)


def ours_resume(place: Path, _like: State) -> State:
    return wc.open(place).start("training").state({})


def ours_sweep(place: Path) -> tuple[int, int]:
    """Files and bytes below the store that nothing refers to once it was swept. Nobody else may be alive."""
    with wc.open(place) as store:
        store.sweep(grace=0)
        needed = {name for name, fill in store.core.catalog.pack_fill().items() if fill.blocks}
    left = [file for file in (place / "packs").rglob("*") if file.is_file() and file.name not in needed]
    return len(left), sum(file.stat().st_size for file in left)


CONTENDERS: dict[str, tuple[Prepare, Load]] = {
    "torch.save": (torch_save, torch_load),
    "torch.save_renamed": (torch_save_renamed, torch_load),
    "safetensors": (safetensors_save, safetensors_load),
    "torch.distributed.checkpoint": (dcp_save, dcp_load),
    "npy_directory": (npy_save, npy_load),
    "ours.save": (ours_save, ours_load),
    "ours.save_behind": (ours_save_behind, ours_load),
    "ours.checkpoint": (ours_checkpoint, ours_resume),
}
