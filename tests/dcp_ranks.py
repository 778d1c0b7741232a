"""Ranks of a torch.distributed job as real processes, forked from a server that imported torch once."""

from __future__ import annotations

import logging
import multiprocessing
import os
import traceback
import warnings
from pathlib import Path

PRELOADED = [
    *("torch.distributed.checkpoint", "torch.distributed.device_mesh", "torch.distributed.tensor", "torch._dynamo"),
    *("waycairn.integrations.torch_dcp", "waycairn.catalog.sqlite", "waycairn.catalog.failures", "waycairn.blobs"),
    *("waycairn.chunks", "waycairn.process", "waycairn.codec.tensors"),
]


def start(scenario, world: int, folder: Path, *arguments):
    """Run `scenario(rank, folder, *arguments)` in so many processes that are one gloo group; their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    meeting = folder / f"meeting-{os.urandom(4).hex()}"
    ranks = [
        context.Process(target=_be, args=(scenario, (rank, world, meeting), folder, arguments)) for rank in range(world)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(90)
    for rank in ranks:
        if rank.is_alive():
            rank.kill()
            rank.join()
    return [rank.exitcode for rank in ranks]


def _be(scenario, place, folder: Path, arguments) -> None:
    import torch.distributed as dist

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rank, world, meeting = place
    try:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
        scenario(rank, folder, *arguments)
        dist.barrier()
        dist.destroy_process_group()
    except BaseException:
        (folder / f"rank{rank}.txt").write_text(traceback.format_exc())
        os._exit(7)


def whole(factor: float):
    """Random, so that it cannot be compressed into the catalog."""
    import torch

    return torch.rand(80, 6000, generator=torch.Generator().manual_seed(5)) * factor


def sharded(factor: float, placement: int = 0):
    """A state of every kind of entry: a tensor in shards, one that each rank has, objects, one of rank's own."""
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    local = whole(factor).chunk(dist.get_world_size(), dim=placement)[dist.get_rank()].contiguous()
    return {
        "sharded": DTensor.from_local(local, mesh, [Shard(placement)], run_check=False),
        "replicated": torch.full((1000,), factor),
        "nested": {"step": int(factor), "names": ["a", ("b", factor)]},
        f"own{dist.get_rank()}": torch.full((50_000,), factor + dist.get_rank()),
    }


def save(rank: int, folder: Path, factors, keep: int = 1) -> None:
    import torch.distributed.checkpoint as dcp

    from waycairn.integrations.torch_dcp import WaycairnWriter

    writer = WaycairnWriter(folder / "store", keep=keep)
    for factor in factors:
        dcp.save(sharded(factor), checkpoint_id="job", storage_writer=writer)


def load_otherwise(rank: int, folder: Path, factor) -> None:
    """In shards of columns what was saved in shards of rows."""
    import torch
    import torch.distributed.checkpoint as dcp

    from waycairn.integrations.torch_dcp import WaycairnReader

    wanted, state = sharded(factor, placement=1), sharded(0, placement=1)
    dcp.load(state, checkpoint_id="job", storage_reader=WaycairnReader(folder / "store"))
    assert torch.equal(state["sharded"].to_local(), wanted["sharded"].to_local())
    assert torch.equal(state["replicated"], wanted["replicated"])
    assert torch.equal(state[f"own{rank}"], wanted[f"own{rank}"])
    assert state["nested"] == wanted["nested"]


def die(rank: int, folder: Path, victim: int, point: str, factor) -> None:
    """One rank is killed at a crash point of its save."""
    from waycairn.world.crashpoints import arm

    if rank == victim:
        arm(point, act="KILL")
    save(rank, folder, [factor])


def save_with_cached_plans(rank: int, folder: Path) -> None:
    """DCP then hands ranks the plans of earlier saves."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.default_planner import DefaultSavePlanner

    from waycairn.integrations.torch_dcp import WaycairnWriter

    for factor in (1.0, 2.0, 3.0):
        planner = DefaultSavePlanner(enable_plan_caching=True)
        dcp.save(sharded(factor), checkpoint_id="job", planner=planner, storage_writer=WaycairnWriter(folder / "store"))


def save_behind(rank: int, folder: Path) -> None:
    """async_save in a process of its own, twice."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType

    from waycairn.integrations.torch_dcp import WaycairnWriter

    writer = WaycairnWriter(folder / "store")
    for factor in (1.0, 2.0):
        future = dcp.async_save(
            {"w": sharded(factor)["replicated"], "step": factor},
            checkpoint_id="job",
            storage_writer=writer,
            async_checkpointer_type=AsyncCheckpointerType.PROCESS,
        )
        future.result()


def read_damaged(rank: int, folder: Path, then: float) -> None:
    """The bytes of a rank's part are damaged: the load fails on all ranks, and the next one reads the one before."""
    import pytest
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.api import CheckpointException

    from waycairn.errors import Damaged
    from waycairn.integrations.torch_dcp import WaycairnReader

    with pytest.raises(CheckpointException) as caught:
        dcp.load(sharded(0), checkpoint_id="job", storage_reader=WaycairnReader(folder / "store"))
    assert any(isinstance(cause, Damaged) for cause, _ in caught.value.failures.values())
    load_otherwise(rank, folder, then)
