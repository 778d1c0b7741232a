"""What is in a backup: listed, searched, and taken out, by its owner."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request, Response
from starlette.convertors import Convertor, register_url_convertor

from waycairn.backups.searching import search
from waycairn.documents.backups import hit_document, member_document
from waycairn.model.accounts import Role
from waycairn.server.access import Access, Kind, Routes
from waycairn.server.backup_downloads import Asked, download_archive, download_member
from waycairn.server.backup_haste import Hasty
from waycairn.server.backup_wishes import asked_rightly
from waycairn.server.downloads import downloaded
from waycairn.server.models.backups import HitList, MemberList
from waycairn.server.paging import Cursor, Limit, cursor_of, paged, position_of
from waycairn.server.problems import documented
from waycairn.server.serving import serving_of


class _Member(Convertor[str]):
    """A name of a member: whatever letters, where `path` stops at the end of a line."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("member", _Member())
routes = Routes("/backups/{backup}", "backups")
_OWN = Access(Role.VIEWER, on=Kind.BACKUP, own=True)
_ERRORS = (409, 410, 422, 500)
Decrypt = Annotated[
    bool,
    Query(description="Needed where the store is encrypted: what is downloaded lies in the clear where it is saved."),
]


def _downloads(path: str, media: str) -> Callable[[Any], Any]:
    """GET, and HEAD, which tells how long it is and whether it is there without that anything is read."""
    told, head = downloaded(media), {200: {"description": "What a GET would begin with."}}
    facts: dict[str, Any] = {"response_class": Response, "problems": _ERRORS}

    def added(handle: Any) -> Any:
        routes.add("HEAD", path, _OWN, responses=head, **facts)(handle)
        return routes.get(path, _OWN, responses={**told, **documented([416])}, **facts)(handle)

    return added


Range = Annotated[
    str | None,
    Header(max_length=200, description="One range, as in `bytes=0-1023`; several are answered by all of it."),
]
IfRange = Annotated[
    str | None, Header(max_length=200, description="The ETag that the range is meant of; of another one all is sent.")
]


@routes.get("/members", _OWN, response_model=MemberList, problems=_ERRORS)
def list_members(
    request: Request,
    backup: str,
    glob: Annotated[
        str | None, Query(max_length=500, description="Only names like this, with `*` for any letters.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """In the order in which they were exported."""
    start = 0 if cursor is None else position_of(cursor, int)[0]
    members = serving_of(request).indexes.open(backup).members
    found = (
        (number, member)
        for number, member in enumerate(members.values())
        if number >= start and (glob is None or fnmatchcase(member.name, glob))
    )
    page, more = paged(found, limit, lambda one: cursor_of(one[0] + 1))
    return {"members": [member_document(member) for _, member in page], "next": more}


@_downloads("/members/{name:member}", "application/octet-stream")
def download(  # noqa: PLR0917 - headers are parameters
    request: Request,
    backup: str,
    name: Annotated[str, Path(description="Of the member, each letter that a path cannot have as %XX.")],
    decrypt: Decrypt = False,
    range: Range = None,  # noqa: A002 - the name of the header
    if_range: IfRange = None,
) -> Response:
    """The bytes of a member, or one range of them (`Range`, `If-Range`). The ETag is its SHA-256. Each piece is compared with its
    hash before it is sent: where it is damaged the connection ends, and nothing wrong was sent."""
    serving = serving_of(request)
    asked = Asked(range, if_range, decrypt, is_head=request.method == "HEAD")
    return download_member(serving.store.core, serving.indexes.open(backup), name, asked)


@_downloads("/archive", "application/x-tar")
def archive(
    request: Request,
    backup: str,
    decrypt: Decrypt = False,
    range: Range = None,  # noqa: A002
    if_range: IfRange = None,
) -> Response:
    """All of it as one .tar that needs no waycairn, or a range of that: `tar -x` it, then `sha256sum -c SHA256SUMS`. The same
    backup gives the same bytes each time, so a download that was cut off goes on."""
    serving = serving_of(request)
    asked = Asked(range, if_range, decrypt, is_head=request.method == "HEAD")
    return download_archive(serving.store.core, serving.indexes.open(backup), asked)


@routes.get("/search", _OWN, response_model=HitList, problems=_ERRORS)
def search_lines(
    request: Request,
    backup: str,
    text: Annotated[str, Query(min_length=1, max_length=1000, description="What is looked for, within one line.")],
    members: Annotated[
        list[str] | None, Query(description="Only in members of these names, with `*` for any letters.")
    ] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Lines that hold a text: those that are found within some seconds."""
    contents = serving_of(request).indexes.open(backup)
    hits: list[dict[str, Any]] = []
    try:
        with asked_rightly():
            hits.extend(hit_document(hit) for hit in search(Hasty(contents), text, members, limit))
    except TimeoutError:
        return {"hits": hits, "cut": True}
    finally:
        contents.payload.rest()
    return {"hits": hits, "cut": False}
