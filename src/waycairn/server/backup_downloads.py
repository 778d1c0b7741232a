"""What goes out of a backup: read from the store, verified on its way, and written down in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastapi import Response

from waycairn.backups.archive import Archive
from waycairn.backups.catalogue import BackupContents
from waycairn.backups.extracting import refuse_clear
from waycairn.backups.spans import read_span
from waycairn.model.backups import Member
from waycairn.server.downloads import Download, attachment
from waycairn.server.problems import Problem
from waycairn.server.ranges import Span, asked_span
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited

__all__ = ["Asked", "download_archive", "download_member", "member_of"]


def member_of(contents: BackupContents, name: str) -> Member:
    member = contents.members.get(name)
    if member is None:
        raise Problem(404, "no such member", f"backup {contents.record.id} has no member {name!r}. Nothing was read.")
    return member


@dataclass(frozen=True, slots=True)
class Asked:
    """Headers and parameters of a download."""

    range: str | None
    if_range: str | None
    decrypt: bool
    is_head: bool = False

    def span(self, size: int, tag: str) -> Span:
        """Only a GET has a range."""
        return asked_span(size, tag, None if self.is_head else self.range, self.if_range)


def download_member(core: StoreCore, contents: BackupContents, name: str, asked: Asked) -> Response:
    member = member_of(contents, name)
    span = asked.span(member.size, member.sha256)

    def read() -> Iterator[bytes]:
        return read_span(contents, name, span.start, span.stop)

    saved_as = name.rstrip("/").rpartition("/")[2]
    sent = _Sent(core, contents, f"member {name}", span, asked)
    return sent.answer(read, _headers(member.sha256, saved_as), "application/octet-stream")


def download_archive(core: StoreCore, contents: BackupContents, asked: Asked) -> Response:
    archive = Archive(contents)
    span = asked.span(archive.size, archive.tag)
    sent = _Sent(core, contents, "archive", span, asked)
    headers = _headers(archive.tag, f"waycairn-backup-{contents.record.id}.tar")
    return sent.answer(lambda: archive.read(span.start, span.stop), headers, "application/x-tar")


def _headers(tag: str, name: str) -> dict[str, str]:
    return {
        "ETag": f'"{tag}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": attachment(name),
    }


@dataclass(frozen=True, slots=True)
class _Sent:
    """One download, as the audit log has it."""

    core: StoreCore
    contents: BackupContents
    what: str
    span: Span
    asked: Asked

    def answer(self, read: Callable[[], Iterator[bytes]], headers: Mapping[str, str], media: str) -> Response:
        """To HEAD, what a GET would begin with: nothing is read. Raises BackupRefused, Damaged."""
        if not self.asked.is_head:
            return Download(lambda: self.pieces(read()), self.span, headers, media)
        self._refuse_clear()
        return Response(headers={**headers, "Content-Length": str(self.span.length)}, media_type=media)

    def _refuse_clear(self) -> None:
        refuse_clear(self.core, self.contents.record.id, "where it is saved", self.asked.decrypt)

    def pieces(self, read: Iterator[bytes]) -> Iterator[bytes]:
        """Raises BackupRefused for an encrypted store without `decrypt`, Damaged."""
        record, span = self.contents.record, self.span
        facts = {"label": record.label, "to": "a download", "what": self.what, "from": span.start, "until": span.stop}
        with audited(self.core, "backup.extract", record.id, reads_only=True, **facts) as act:
            self._refuse_clear()
            sent = 0
            try:
                for piece in read:
                    sent += len(piece)
                    yield piece
            except GeneratorExit:
                act.facts["cut_off"] = True  # who asked for it went away, and has what was sent
            finally:
                self.contents.payload.rest()
                act.facts.update(sent=sent, decrypted=self.core.is_encrypted)
