"""Records for tests, with everything filled in that a test does not care about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from waycairn.model.ids import ChunkId, RunId
from waycairn.model.records import (
    Commit,
    DoneItems,
    NewBlock,
    NewCheckpoint,
    NewChunk,
    NewData,
    NewRun,
    Owner,
    Progress,
    RunRecord,
    StepResult,
    Stored,
)
from waycairn.world.randomness import new_nonce, new_operation_id, new_run_id

NOW = 1_800_000_000.25


def an_owner(pid: int = 4711) -> Owner:
    return Owner(
        host="a-host", boot="a-boot", namespace="4026531836", pid=pid, started=NOW - 5, nonce=new_nonce(), since=NOW
    )


def a_run(name: str = "job", key: str | None = None, *, below: RunRecord | None = None, **given: Any) -> NewRun:
    """A root run, or with `below` a phase of that run."""
    id_ = new_run_id()
    facts: dict[str, Any] = {
        "root": below.root if below else id_,
        "parent": below.id if below else None,
        "owner": None,
        "epoch": below.epoch if below else 1,
        **given,
    }
    return NewRun(id=id_, name=name, key=key, **facts)


def a_stored(mark: bytes = b"m") -> Stored:
    return Stored(manifest=mark * 9, root=mark * 32, raw_bytes=1000, new_bytes=100)


def a_checkpoint(kind: str = "processing_state", **given: Any) -> NewCheckpoint:
    return NewCheckpoint(kind=kind, **{"stored": a_stored(), **given})


def a_step(scope: str, name: str, mark: bytes = b"s") -> StepResult:
    return StepResult(scope=scope, name=name, arguments=mark * 32, result=a_stored(mark), took=0.5)


def some_items(loop: str, *keys: bytes) -> DoneItems:
    return DoneItems(loop=loop, count=len(keys), keys=b",".join(keys))


def some_data(number: int, *contents: bytes, sweep_epoch: int | None = None) -> NewData:
    """Chunks with these contents, in one inline block."""
    chunks: list[NewChunk] = []
    start = 0
    for position, content in enumerate(contents):
        chunks.append(NewChunk(number + position, a_chunk_id(content), number, start, len(content)))
        start += len(content)
    joined = b"".join(contents)
    block = NewBlock(number, 0, len(joined), len(joined), None, 0, joined)
    return NewData(blocks=[block], chunks=chunks, sweep_epoch=sweep_epoch)


def a_chunk_id(content: bytes) -> ChunkId:
    return ChunkId((content * 32)[:32])


def a_cut(run: RunId, sequence: int, epoch: int = 1, **given: Any) -> Commit:
    facts: dict[str, Any] = {"operation": new_operation_id(), "now": NOW + sequence, "progress": Progress(), **given}
    return Commit(run=run, epoch=epoch, sequence=sequence, **facts)


def numbers(records: Sequence[Any]) -> list[int]:
    """The sequences of checkpoints or steps."""
    return [record.sequence for record in records]
