"""A backup as a folder that needs no waycairn: `backup.json`, the members below `data/`, and `SHA256SUMS`.

    cd FOLDER && sha256sum -c SHA256SUMS

The SHA-256 of SHA256SUMS itself is the `digest` of the row.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from waycairn.backups.catalogue import BackupContents
from waycairn.backups.making import Told, ignore
from waycairn.backups.payload import VERSION, sums_of
from waycairn.errors import BackupRefused, WouldOverwrite
from waycairn.model.backups import BackupProgress, BackupStage, Member
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, translated

DATA, SUMS, ABOUT = "data", "SHA256SUMS", "backup.json"


def extract(
    core: StoreCore, contents: BackupContents, folder: str | os.PathLike[str], *, decrypt: bool, told: Told = ignore
) -> Path:
    """Write it beside `folder`, durably, and give it that name at the end: a kill leaves nothing under it. Raises
    WouldOverwrite for a folder that is not empty, BackupRefused for an encrypted store without `decrypt`, Damaged."""
    target = Path(folder).absolute()
    record = contents.record
    with audited(core, "backup.extract", record.id, reads_only=True, to=target, label=record.label) as act:
        _refuse(core, record.id, target, decrypt)
        draft = target.with_name(f".{target.name}.{record.id}.part")
        with translated("the extracted backup", target):
            shutil.rmtree(draft, ignore_errors=True)  # of one that was killed
            try:
                _write(contents, draft, told)
                crashpoint("backup.extract")
                draft.rename(target)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            flush_directory(target.parent)
        crashpoint("backup.extracted")
        act.facts.update(members=len(contents.members), bytes=record.size, decrypted=core.is_encrypted)
    return target


def refuse_clear(core: StoreCore, backup: str, where: str, decrypt: bool) -> None:
    """Raises BackupRefused: who takes contents out of an encrypted store says that it is meant."""
    if core.is_encrypted and not decrypt:
        raise BackupRefused(
            f"the store is encrypted, and what is extracted from backup {backup} would lie {where} in the clear. Nothing was "
            "written. Say so if that is what you want: decrypt=True, or --decrypt.",
            backup=backup,
        )


def _refuse(core: StoreCore, backup: str, target: Path, decrypt: bool) -> None:
    refuse_clear(core, backup, f"in {target}", decrypt)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WouldOverwrite(
            f"{target} is there and not an empty folder. Nothing was written. Choose another place.", path=str(target)
        )


def _write(contents: BackupContents, draft: Path, told: Told) -> None:
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.mkdir(mode=0o700)
    (draft / DATA).mkdir(mode=0o700)
    size = 0
    for member in contents.members.values():
        for written in _write_member(contents, member, draft / DATA):
            size += written
            told(BackupProgress(stage=BackupStage.EXPORT, size=size, total_size=contents.record.size))
    _put(draft / ABOUT, json.dumps(about(contents), indent=2).encode() + b"\n")
    _put(draft / SUMS, sums_of(contents.members.values()))
    for directory, _, _ in os.walk(draft):
        flush_directory(Path(directory))


def _write_member(contents: BackupContents, member: Member, data: Path) -> Iterator[int]:
    """Bytes, as they are written."""
    path = data / member.name
    if member.name.endswith("/"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _private(path) as file:
        for piece in contents.payload.checked(member.name):
            yield file.write(piece)
        file.flush()
        flush(file.fileno())


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _put(path: Path, data: bytes) -> None:
    with _private(path) as file:
        file.write(data)
        file.flush()
        flush(file.fileno())


def about(contents: BackupContents) -> dict[str, Any]:
    """What `backup.json` says."""
    record = asdict(contents.record)
    record["state"] = contents.record.state.value
    return {"version": VERSION, "backup": record, "members": members_about(contents)}


def members_about(contents: BackupContents) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "size": one.size, "sha256": one.sha256, "records": one.records, "facts": dict(one.facts)}
        for one in contents.members.values()
    ]
