"""A tree that is about to be deleted has another name, at which nobody writes into it, and from which it can come back."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from waycairn.backups.paths_tree import Tree, join
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush

_LONGEST = 255


def aside_of(at: bytes, backup: str, number: int) -> bytes:
    """`.NAME.waycairn-deleting-ID` beside it; the number of the root instead of a name that would be too long."""
    above, name = os.path.split(at)
    aside = b".%b.waycairn-deleting-%b" % (name, backup.encode())
    if len(aside) > _LONGEST:
        aside = b".%d.waycairn-deleting-%b" % (number, backup.encode())
    return join(above, aside)


def is_there(at: bytes) -> bool:
    """Also a link that leads nowhere."""
    return os.path.lexists(at)


def put_aside(at: bytes, aside: bytes) -> None:
    """Durable when it returns."""
    with Tree(at) as tree:
        folder, name = tree.place(b"")
        crashpoint("backup.paths.rename")
        os.rename(name, os.path.split(aside)[1], src_dir_fd=folder, dst_dir_fd=folder)
        crashpoint("backup.paths.renamed")
        flush(folder)
        crashpoint("backup.paths.aside")


def bring_back(at: bytes, aside: bytes) -> None:
    """The other way round. FileExistsError if there is something else by now: it is never replaced."""
    with Tree(aside) as tree:
        folder, name = tree.place(b"")
        if stat.S_ISDIR(tree.state(b"").st_mode):
            if is_there(at):
                raise FileExistsError(errno.EEXIST, "something else is there by now", at)
            os.rename(name, os.path.split(at)[1], src_dir_fd=folder, dst_dir_fd=folder)
        else:
            _rename_new(folder, name, os.path.split(at)[1])
        crashpoint("backup.paths.back")
        flush(folder)


def _rename_new(folder: int, name: bytes, new: bytes) -> None:
    """A rename would replace what took the name; a link does not. Killed between, both names are the same file."""
    with suppress(FileExistsError):
        os.link(name, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    there = os.stat(new, dir_fd=folder, follow_symlinks=False)
    if not os.path.samestat(there, os.stat(name, dir_fd=folder, follow_symlinks=False)):
        raise FileExistsError(errno.EEXIST, "something else is there by now", new)
    os.unlink(name, dir_fd=folder)
