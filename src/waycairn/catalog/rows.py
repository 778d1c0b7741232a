"""Records <-> rows. The order of the columns is that of the tuples here and in the statements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from waycairn.catalog.columns import (
    decode_json,
    decode_maybe,
    decode_place,
    decode_text,
    encode_json,
    encode_maybe,
    encode_place,
    encode_text,
    identity,
)
from waycairn.catalog.database import Row
from waycairn.catalog.shapes import reads
from waycairn.catalog.tables import blocks, checkpoints, chunks, runs, steps
from waycairn.model.ids import CheckpointId, ChunkId, PackId, RunId
from waycairn.model.records import (
    CheckpointRecord,
    Launch,
    NewBlock,
    NewCheckpoint,
    NewChunk,
    NewRun,
    Owner,
    Progress,
    RunRecord,
    StepResult,
    Stored,
    StoredStep,
)
from waycairn.model.states import CheckpointStatus, RunStatus

RUN_COLUMNS = (
    *(runs.c.id, runs.c.root, runs.c.parent, runs.c.name, runs.c.key, runs.c.status, runs.c.epoch, runs.c.sequence),
    *(runs.c.owner, runs.c.lease_until, runs.c.fingerprint, runs.c.task, runs.c.tags, runs.c.metadata, runs.c.launch),
    *(runs.c.done, runs.c.failed, runs.c.total, runs.c.note, runs.c.error, runs.c.created, runs.c.updated),
    runs.c.entered,
    runs.c.origin,
    runs.c.account,
)
STEP_COLUMNS = (
    *(steps.c.place, steps.c.sequence, steps.c.arguments, steps.c.took),
    *(steps.c.manifest, steps.c.root, steps.c.raw_bytes, steps.c.new_bytes),
)
CHECKPOINT_COLUMNS = (
    *(checkpoints.c.sequence, checkpoints.c.epoch, checkpoints.c.created, checkpoints.c.pinned),
    *(checkpoints.c.status, checkpoints.c.damage, checkpoints.c.kind, checkpoints.c.role, checkpoints.c.iteration),
    *(checkpoints.c.tags, checkpoints.c.description, checkpoints.c.metadata, checkpoints.c.expires),
    *(checkpoints.c.reason, checkpoints.c.outputs),
    *(checkpoints.c.manifest, checkpoints.c.root, checkpoints.c.raw_bytes, checkpoints.c.new_bytes),
)
BLOCK_COLUMNS = tuple(blocks.c)
CHUNK_COLUMNS = (chunks.c.number, chunks.c.id, chunks.c.start, chunks.c.length, chunks.c.block)

_is_pack = re.compile("[0-9a-f]{32}").fullmatch
_VALID = CheckpointStatus.VALID.value
_OWNER_FIELDS = tuple(field.name for field in fields(Owner))


def encode_owner(owner: Owner | None) -> str | None:
    return None if owner is None else encode_json({name: getattr(owner, name) for name in _OWNER_FIELDS})


def decode_owner(text: str | None) -> Owner | None:
    return None if text is None else Owner(**decode_json(text))


def encode_launch(launch: Launch | None) -> str | None:
    if launch is None:
        return None
    environment = dict(launch.environment)
    return encode_json({"argv": list(launch.argv), "directory": launch.directory, "environment": environment})


def decode_launch(text: str | None) -> Launch | None:
    return None if text is None else Launch(**decode_json(text))


def values_of_run(run: NewRun, now: float) -> dict[str, Any]:
    return {
        "id": run.id,
        "root": run.root,
        "parent": run.parent,
        "name": encode_text(run.name),
        "key": encode_maybe(run.key),
        "identity": identity(run.parent, run.name, run.key),
        "status": RunStatus.RUNNING.value,
        "epoch": run.epoch,
        "owner": encode_owner(run.owner),
        "fingerprint": encode_json(run.fingerprint),
        "task": encode_maybe(run.task),
        "tags": encode_json(list(run.tags)),
        "metadata": encode_json(dict(run.metadata)),
        "launch": encode_launch(run.launch),
        "total": run.total,
        "account": encode_maybe(run.account),
        "now": now,
    }


@reads(RUN_COLUMNS)
def run_of(row: Row) -> RunRecord:
    """From RUN_COLUMNS."""
    (id_, root, parent, name, key, status, epoch, sequence, owner, lease_until, fingerprint, task, tags) = row[:13]
    (metadata, launch, done, failed, total, note, error, created, updated, entered, origin, account) = row[13:]
    return RunRecord(
        id=RunId(id_),
        root=RunId(root),
        parent=None if parent is None else RunId(parent),
        name=decode_text(name),
        key=decode_maybe(key),
        status=RunStatus(status),
        epoch=epoch,
        sequence=sequence,
        owner=decode_owner(owner),
        lease_until=lease_until,
        fingerprint=decode_json(fingerprint),
        task=decode_maybe(task),
        tags=tuple(decode_json(tags)),
        metadata=decode_json(metadata),
        launch=decode_launch(launch),
        progress=Progress(done=done, failed=failed, total=total, note=decode_maybe(note)),
        error=decode_json(error),
        created=created,
        updated=updated,
        entered=entered,
        origin=None if origin is None else CheckpointId(origin),
        account=decode_maybe(account),
    )


def values_of_step(num: int, sequence: int, step: StepResult) -> dict[str, Any]:
    return {
        "run": num,
        "place": encode_place(step.scope, step.name),
        "sequence": sequence,
        "arguments": step.arguments,
        "took": step.took,
        **values_of_stored(step.result),
    }


def values_of_stored(stored: Stored) -> dict[str, Any]:
    """For the four columns that say where an encoded state lies."""
    return {
        "manifest": stored.manifest,
        "root": stored.root,
        "raw_bytes": stored.raw_bytes,
        "new_bytes": stored.new_bytes,
    }


def stored_of(manifest: bytes, root: bytes, raw_bytes: int, new_bytes: int) -> Stored:
    """From those columns."""
    return Stored(manifest=bytes(manifest), root=bytes(root), raw_bytes=raw_bytes, new_bytes=new_bytes)


@reads(STEP_COLUMNS)
def step_of(row: Row) -> StoredStep:
    """From STEP_COLUMNS."""
    place, sequence, arguments, took, *stored = row
    scope, name = decode_place(place)
    step = StepResult(scope=scope, name=name, arguments=arguments, result=stored_of(*stored), took=took)
    return StoredStep(step=step, sequence=sequence)


def values_of_checkpoint(
    num: int, sequence: int, epoch: int, now: float, checkpoint: NewCheckpoint
) -> Mapping[str, Any]:
    stored = checkpoint.stored
    return {
        "run": num,
        "sequence": sequence,
        "epoch": epoch,
        "created": now,
        "kind": encode_text(checkpoint.kind),
        "role": checkpoint.role,
        "status": _VALID,
        "pinned": False,
        "iteration": checkpoint.iteration,
        "expires": checkpoint.expires,
        "reason": encode_maybe(checkpoint.reason),
        "description": encode_maybe(checkpoint.description),
        "tags": encode_json(list(checkpoint.tags)),
        "metadata": encode_json(dict(checkpoint.metadata)),
        "outputs": encode_json(dict(checkpoint.outputs)),
        **values_of_stored(stored),
    }


@reads((runs.c.id, *CHECKPOINT_COLUMNS))
def checkpoint_of(row: Row) -> CheckpointRecord:
    """From the id of the run and CHECKPOINT_COLUMNS."""
    (run, sequence, epoch, created, pinned, status, damage, kind, role, iteration) = row[:10]
    (tags, description, metadata, expires, reason, outputs, *stored) = row[10:]
    return CheckpointRecord(
        run=RunId(run),
        sequence=sequence,
        epoch=epoch,
        created=created,
        pinned=bool(pinned),
        status=CheckpointStatus(status),
        damage=decode_maybe(damage),
        checkpoint=NewCheckpoint(
            kind=decode_text(kind),
            stored=stored_of(*stored),
            role=role,
            iteration=iteration,
            tags=tuple(decode_json(tags)),
            description=decode_maybe(description),
            metadata=decode_json(metadata),
            expires=expires,
            reason=decode_maybe(reason),
            outputs=decode_json(outputs),
        ),
    )


def values_of_chunk(chunk: NewChunk) -> dict[str, Any]:
    return {
        "number": chunk.number,
        "id": chunk.id,
        "block": chunk.block,
        "start": chunk.start,
        "length": chunk.length,
    }


def values_of_block(block: NewBlock) -> dict[str, Any]:
    return {
        "number": block.number,
        "codec": block.codec,
        "raw_length": block.raw_length,
        "stored_length": block.stored_length,
        "pack": block.pack,
        "offset": block.offset,
        "inline": block.inline,
        "base": block.base,
    }


@reads(BLOCK_COLUMNS)
def block_of(row: Row) -> NewBlock:
    number, codec, raw_length, stored_length, pack, offset, inline, base = row
    if not (inline is not None if pack is None else _is_pack(pack)) or min(raw_length, stored_length, offset) < 0:
        raise ValueError(f"block {number} lies nowhere")
    where = None if pack is None else PackId(pack)
    return NewBlock(number, codec, raw_length, stored_length, where, offset, inline, base)


@reads(CHUNK_COLUMNS)
def chunk_of(row: Row) -> tuple[int, ChunkId, int, int, int]:
    """Number, id, start, length, and the number of its block."""
    number, id_, start, length, block = row
    if start < 0 or length < 0:
        raise ValueError(f"chunk {number} lies nowhere")
    return number, chunk_id(id_), start, length, block


def chunks_of(rows: Sequence[Row]) -> Sequence[tuple[int, ChunkId, int, int, int]]:
    """The same of many, without a call for each: they are what they should be already, which is looked at by columns."""
    if not rows:
        return ()
    try:
        numbers, ids, starts, lengths, blocks_ = zip(*rows, strict=True)
        kinds = set(map(type, (*numbers, *starts, *lengths, *blocks_)))
        if kinds == {int} and set(map(type, ids)) == {bytes} and min(starts) >= 0 <= min(lengths):
            return rows
    except ValueError:
        pass
    return [chunk_of(row) for row in rows]


def chunk_id(value: bytes) -> ChunkId:
    return ChunkId(bytes(value))
