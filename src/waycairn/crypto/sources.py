"""Where the secret comes from that opens an encrypted store: an argument, the environment, the settings, in this order."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from waycairn.errors import KeyMissing, KeyWrong
from waycairn.model.keys import KEY, PASSPHRASE

_KEY_SIZE = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
VARIABLES = ("WAYCAIRN_KEY", "WAYCAIRN_KEY_FILE", "WAYCAIRN_PASSPHRASE")


@dataclass(frozen=True, slots=True)
class Source:
    """A secret, and where it was found."""

    kind: str
    """PASSPHRASE or KEY."""
    where: str
    """For messages: `WAYCAIRN_PASSPHRASE`, `the file /etc/waycairn.key`."""
    secret: bytes = field(repr=False)


def from_passphrase(text: str, where: str) -> Source:
    """ValueError for an empty one."""
    if not text:
        raise ValueError(f"{where} is empty, and an empty passphrase protects nothing. Nothing was changed.")
    return Source(PASSPHRASE, where, text.encode("utf-8", "surrogateescape"))


def from_text(text: str, where: str) -> Source:
    """A key as 64 hexadecimal digits. Raises KeyWrong; the message never shows any of it."""
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        secret = b""
    if len(secret) != _KEY_SIZE:
        raise KeyWrong(
            f"{where} holds no key: a key is 32 bytes, written as 64 hexadecimal digits. Nothing was read or changed. Make "
            "one with `waycairn key file PATH`.",
            where=where,
        )
    return Source(KEY, where, secret)


def from_file(path: str | os.PathLike[str]) -> Source:
    """A file of 32 bytes, or of 64 hexadecimal digits, that nobody but its owner can read. Raises KeyMissing, KeyWrong."""
    place = Path(path).expanduser()
    where = f"the key file {place}"
    try:
        with place.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS and os.name == "posix":
                raise KeyWrong(
                    f"{where} can be read by others than its owner, so it may be known. It was not used. If it is not known, "
                    f"run: chmod 600 {place}",
                    where=where,
                )
            content = file.read(1024)
    except OSError as error:
        raise KeyMissing(
            f"{where} cannot be read ({error.strerror or error}). Nothing was read from the store. Bring the file back from "
            "where its copy is kept, or open the store by another of its ways in (`waycairn key list` needs no key).",
            where=where,
        ) from None
    if len(content) == _KEY_SIZE:
        return Source(KEY, where, content)
    return from_text(content.decode("ascii", "replace"), where)


def from_environment(environment: Mapping[str, str] | None = None) -> list[Source]:
    """All that the environment names."""
    environment = os.environ if environment is None else environment
    found = []
    if text := environment.get("WAYCAIRN_KEY"):
        found.append(from_text(text, "WAYCAIRN_KEY"))
    if path := environment.get("WAYCAIRN_KEY_FILE"):
        found.append(from_file(path))
    if text := environment.get("WAYCAIRN_PASSPHRASE"):
        found.append(from_passphrase(text, "WAYCAIRN_PASSPHRASE"))
    return found


def find_sources(
    *,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
    settings_key_file: str | None = None,
) -> Sequence[Source]:
    """Those of the first place that has any."""
    given = [from_file(key_file)] if key_file is not None else []
    given += [from_passphrase(passphrase, "the passphrase that was given")] if passphrase is not None else []
    return given or from_environment() or ([from_file(settings_key_file)] if settings_key_file else [])


def write_key_file(path: Path) -> None:
    """A new random key as hexadecimal digits, readable by its owner only, durable when this returns. FileExistsError if the
    path is taken: a key is never overwritten."""
    from waycairn.world.files import flush, flush_directory, translated, write_all

    with translated("the key file", path):
        handle = _created(path)
    if handle is None:
        raise FileExistsError(
            f"{path} is there already, and a key is never overwritten: what it opens would be lost. Nothing was changed."
        )
    with translated("the key file", path):
        try:
            write_all(handle, f"{os.urandom(_KEY_SIZE).hex()}\n".encode())
            flush(handle)
        finally:
            os.close(handle)
        flush_directory(path.absolute().parent)


def _created(path: Path) -> int | None:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
