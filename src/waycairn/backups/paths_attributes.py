"""Owner, mode, times and extended attributes, as far as this process may set them."""

from __future__ import annotations

import errno
import logging
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from waycairn.backups.paths_entry import Entry, Kind
from waycairn.backups.paths_names import escaped, unescaped

log = logging.getLogger("waycairn")

_HAS_NONE = {errno.ENOTSUP, errno.ENODATA}
_TAKES_NONE = {errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOSPC, errno.E2BIG, errno.ERANGE}
CAN = hasattr(os, "listxattr")
"""Linux."""


def attributes_of(handle: int) -> dict[str, str]:
    """Of an open file or folder; none where the file system has none. Raises OSError: what cannot be read is not left out."""
    found: dict[str, str] = {}
    with _but_for(_HAS_NONE):
        for name in os.listxattr(handle) if CAN else ():
            with _but_for(_HAS_NONE):  # it went meanwhile
                found[escaped(os.fsencode(name))] = b64encode(os.getxattr(handle, name)).decode()
    return found


@contextmanager
def _but_for(harmless: Collection[int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in harmless:
            raise


def dress(handle: int, entry: Entry) -> None:
    """Give an open file or folder what it had. The owner first: a change of it takes rights away."""
    _own(handle, None, entry)
    _set_attributes(handle, entry.attributes)
    os.fchmod(handle, entry.mode)
    os.utime(handle, ns=(entry.mtime, entry.mtime))


def dress_by_name(folder: int, name: bytes, entry: Entry) -> None:
    """The same for a link, a pipe or a socket, which cannot be opened for it."""
    _own(folder, name, entry)
    if entry.kind is not Kind.LINK:
        os.chmod(name, entry.mode, dir_fd=folder)
    os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=folder, follow_symlinks=False)


def _own(handle: int, name: bytes | None, entry: Entry) -> None:
    """Who is not root may give nothing away, and keeps a group that he is in."""
    for owner, group in ((entry.uid, entry.gid), (-1, entry.gid)):
        with suppress(PermissionError):
            if name is None:
                os.fchown(handle, owner, group)
            else:
                os.chown(name, owner, group, dir_fd=handle, follow_symlinks=False)
            return


def _set_attributes(handle: int, attributes: Mapping[str, str]) -> None:
    """One that this file system or this process cannot set is left out, as `cp -a` does, and told in the log."""
    for name, value in attributes.items():
        try:
            os.setxattr(handle, os.fsdecode(unescaped(name)), b64decode(value))
        except OSError as error:
            if error.errno not in _TAKES_NONE:
                raise
            log.warning("the extended attribute %s is not restored: %s", name, error.strerror)


def kind_of(state: os.stat_result) -> Kind | None:
    """None for a device, and whatever else there may be."""
    return _KINDS.get(stat.S_IFMT(state.st_mode))


_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFSOCK: Kind.SOCKET,
}
