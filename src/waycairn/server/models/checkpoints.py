"""Checkpoints, and what differs between two of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from waycairn.model.states import CheckpointStatus
from waycairn.server.models import Document


class CheckpointDocument(Document):
    id: str = Field(examples=["k7f3qx0a9m2d.42"])
    run: str = Field(examples=["k7f3qx0a9m2d"])
    sequence: int = Field(description="The commit of its run that holds it.")
    epoch: int = Field(description="The entry into the run that took it.")
    created: float
    kind: str = Field(examples=["processing_state"])
    role: str = Field(description="What it is to its run.", examples=["state", "value", "result", "error", "stream"])
    status: CheckpointStatus
    damage: str | None = Field(description="What is wrong with it.")
    pinned: bool = Field(description="Kept, whatever policies say.")
    iteration: int | None
    tags: list[str]
    description: str | None
    metadata: dict[str, Any]
    reason: str | None = Field(
        description="Why it was taken where the job did not ask for it.", examples=["pace", "end", "signal", "error"]
    )
    expires: float | None
    outputs: dict[str, int] | None = Field(
        description="Committed length of each output file at that cut, by path; null for those who may not touch the run."
    )
    raw_bytes: int = Field(description="Size of the state.")
    new_bytes: int = Field(description="What it added to the store.")


class CheckpointList(Document):
    checkpoints: list[CheckpointDocument]
    next: str | None = Field(description="The cursor of the next page; null with the last one.")


class ArrayDifference(Document):
    elements: int = Field(description="How many elements differ.")
    of: int
    most: float | None = Field(description="Largest difference of two elements.")
    norm: float | None = Field(description="L2 norm of the difference.")
    relative: float | None = Field(description="That as a share of the norm of the old array.")


class DifferenceDocument(Document):
    path: str = Field(description="Where in the state; empty: the whole of it.", examples=["model.layer1.weight"])
    kind: Literal["added", "removed", "changed"]
    old: str = Field(description="A short text; empty if it was added.")
    new: str = Field(description="A short text; empty if it was removed.")
    by: float | None = Field(description="Of two numbers: new - old.")
    share: float | None = Field(description="That as a share of the old one.")
    array: ArrayDifference | None = Field(description="Of two arrays of one kind and shape.")


class DiffDocument(Document):
    old: str = Field(description="The checkpoint that is compared.", examples=["k7f3qx0a9m2d.41"])
    new: str = Field(description="What it is compared with.", examples=["k7f3qx0a9m2d.42"])
    differences: list[DifferenceDocument] = Field(description="In the order of the states.")
    cut: bool = Field(description="There are more of them.")
