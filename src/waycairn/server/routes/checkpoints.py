"""One checkpoint: shown, kept, deleted, compared, downloaded."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from waycairn.documents.differences import difference_facts
from waycairn.documents.moments import seconds
from waycairn.documents.plain import sendable
from waycairn.documents.runs import checkpoint_facts
from waycairn.model.accounts import Role
from waycairn.model.records import CheckpointRecord
from waycairn.server.access import Access, Caller, Kind, Routes, caller_of, refuse_foreign
from waycairn.server.models.checkpoints import CheckpointDocument, DiffDocument
from waycairn.server.refusing import checkpoint_named, refused
from waycairn.server.serving import serving_of
from waycairn.upkeep.auditing import audited
from waycairn.upkeep.export_streams import Download, as_json, as_npz, as_safetensors
from waycairn.upkeep.exporting import named_arrays
from waycairn.work.store import Store

routes = Routes("/checkpoints", "checkpoints")

_SHOW = Access(Role.VIEWER, on=Kind.CHECKPOINT)
_READ = Access(Role.VIEWER, on=Kind.CHECKPOINT, own=True)
_ACT = Access(Role.OPERATOR, on=Kind.CHECKPOINT, own=True)
MOST_DIFFERENCES = 1000
Who = Annotated[Caller, Depends(caller_of)]


class Format(StrEnum):
    JSON = "json"
    NPZ = "npz"
    SAFETENSORS = "safetensors"


def document_of(record: CheckpointRecord, *, may_touch: bool) -> dict[str, Any]:
    """As the API answers."""
    facts = checkpoint_facts(record, moment=seconds)
    return {**sendable(facts), "outputs": sendable(facts["outputs"]) if may_touch else None}


@routes.get("/{checkpoint}", _SHOW, response_model=CheckpointDocument)
def show_checkpoint(request: Request, checkpoint: str, caller: Who) -> dict[str, Any]:
    """Everything of it but its content."""
    return _document(serving_of(request).store, checkpoint, caller)


@routes.post("/{checkpoint}/pin", _ACT, response_model=CheckpointDocument)
def pin(request: Request, checkpoint: str, caller: Who) -> dict[str, Any]:
    """Keep it whatever policies say: it cannot be deleted before it is unpinned."""
    store = serving_of(request).store
    store.pin(checkpoint)
    return _document(store, checkpoint, caller)


@routes.post("/{checkpoint}/unpin", _ACT, response_model=CheckpointDocument)
def unpin(request: Request, checkpoint: str, caller: Who) -> dict[str, Any]:
    """Let it go again."""
    store = serving_of(request).store
    store.pin(checkpoint, False)
    return _document(store, checkpoint, caller)


@routes.delete("/{checkpoint}", _ACT, problems=(409,), status_code=204)
def delete(request: Request, checkpoint: str) -> Response:
    """Delete it. Refused for a pinned one, and for the one that an unfinished run goes on from."""
    with refused():
        serving_of(request).store.delete(checkpoint)
    return Response(status_code=204)


@routes.get("/{checkpoint}/diff", _READ, problems=(409,), response_model=DiffDocument)
def diff(
    request: Request,
    checkpoint: str,
    caller: Who,
    to: Annotated[str, Query(max_length=200, description="The newer checkpoint.", examples=["k7f3qx0a9m2d.42"])],
    limit: Annotated[int, Query(ge=1, le=MOST_DIFFERENCES, description="At most so many.")] = MOST_DIFFERENCES,
) -> dict[str, Any]:
    """What was added, removed and changed from this one to another, which must be yours as well."""
    store = serving_of(request).store
    other = checkpoint_named(store, to)
    refuse_foreign(caller, Kind.CHECKPOINT, other.id, store.find(other.run).account)
    with refused():
        found = list(islice(store.diff(checkpoint, other.id), limit + 1))
    listed = [_difference(difference_facts(one)) for one in found[:limit]]
    return {"old": checkpoint, "new": other.id, "differences": listed, "cut": len(found) > limit}


_FILE = {"schema": {"type": "string", "format": "binary"}}


@routes.get(
    "/{checkpoint}/export",
    _READ,
    problems=(409,),
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A file.",
            "content": {"application/octet-stream": _FILE, "application/json": {"schema": {"type": "object"}}},
        }
    },
)
def export(
    request: Request,
    checkpoint: str,
    form: Annotated[Format, Query(alias="format", description="json: all of it, readable. The others: its arrays.")],
    data: Annotated[bool, Query(description="With json: the elements of arrays, not only what they are.")] = True,
) -> StreamingResponse:
    """Its state as a file that other programs read. It is loaded and verified whole before anything is sent."""
    store = serving_of(request).store
    record = store.checkpoint(checkpoint)
    with refused(), audited(store.core, "export", record.id, reads_only=True, format=form.value):
        download = _download(store, record, form, data=data)
    headers = {"Content-Disposition": f'attachment; filename="{record.id}.{form}"', "Cache-Control": "no-store"}
    if download.length is not None:
        headers["Content-Length"] = str(download.length)
    return StreamingResponse(download.pieces, media_type=download.media, headers=headers)


def _download(store: Store, record: CheckpointRecord, form: Format, *, data: bool) -> Download:
    """Everything that can go wrong does before this returns."""
    state = store.load(record.id, strict=False)
    match form:
        case Format.JSON:
            return as_json(state, checkpoint_facts(record), size=record.checkpoint.stored.raw_bytes, data=data)
        case Format.NPZ:
            return as_npz(named_arrays(state))
        case Format.SAFETENSORS:
            about = {"waycairn_checkpoint": record.id, "waycairn_kind": record.checkpoint.kind}
            return as_safetensors(named_arrays(state), about)


def _document(store: Store, checkpoint: str, caller: Caller) -> dict[str, Any]:
    record = store.checkpoint(checkpoint)
    return document_of(record, may_touch=caller.may_touch(store.find(record.run).account))


def _difference(facts: dict[str, Any]) -> dict[str, Any]:
    kind = facts.pop("act")
    found: dict[str, Any] = sendable({"by": None, "share": None, "array": None, **facts, "kind": kind})
    return found
