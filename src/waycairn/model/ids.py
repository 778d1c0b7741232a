"""Names of things. Every id is made by the client, so that a lost reply can be settled by asking for it."""

from __future__ import annotations

from typing import NewType

RunId = NewType("RunId", str)
"""12 characters of base 32, random: `k7f3qx0a9m2d`."""

CheckpointId = NewType("CheckpointId", str)
"""`RUN.SEQUENCE`: the run and the commit sequence at which the checkpoint was taken, `k7f3qx0a9m2d.42`."""

PackId = NewType("PackId", str)
"""32 hexadecimal characters, random: the name of a pack file."""

ChunkId = NewType("ChunkId", bytes)
"""32 bytes: BLAKE3-256 of the content, keyed by the secret of the store."""

OperationId = NewType("OperationId", bytes)
"""16 random bytes that name one attempt to commit."""


def checkpoint_id(run: RunId, sequence: int) -> CheckpointId:
    return CheckpointId(f"{run}.{sequence}")


def split_checkpoint_id(checkpoint: str) -> tuple[RunId, int]:
    """`k7f3qx0a9m2d.42` to its run and sequence; ValueError if it is not of that form."""
    run, dot, sequence = checkpoint.partition(".")
    if not dot or not run or not (sequence.isascii() and sequence.isdigit()):
        raise ValueError(f"{checkpoint!r} is not a checkpoint id; they look like k7f3qx0a9m2d.42")
    return RunId(run), int(sequence)
