"""Which file system a path lies on, and whether SQLite's promises hold there."""

from __future__ import annotations

import os
from pathlib import Path

from waycairn.errors import UnsafeFileSystem

_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "glusterfs", "lustre", "beegfs"),
    *("gpfs", "davfs", "vboxsf", "prl_fs"),
    *("fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.goofys", "fuse.glusterfs", "fuse.ceph"),
    *("fuse.davfs", "fuse.mount-s3", "fuse.juicefs", "fuse.vmhgfs-fuse", "fuse.blobfuse2"),
}
"""WAL needs memory that all processes share and locks that hold between hosts; these give one or neither."""


def file_system_of(path: str, mounts: str) -> str | None:
    """The type of the file system that holds `path` (absolute, resolved), from the text of /proc/mounts."""
    found, longest = None, -1
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        place = _unescape(fields[1])
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        # Of two mounts on one place the later one is on top.
        if inside and len(place) >= longest:
            found, longest = fields[2], len(place)
    return found


def _unescape(field: str) -> str:
    for code, letter in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        field = field.replace(code, letter)
    return field


def refuse_network(path: str, mounts: str) -> None:
    """Raise UnsafeFileSystem if `path` lies on a file system of another host."""
    kind = file_system_of(path, mounts)
    if kind in _NETWORK:
        raise UnsafeFileSystem(
            f"{path} lies on a network file system ({kind}), where SQLite can lose or mix up what was committed. "
            "Nothing was written. Use a directory on a local disk, or a PostgreSQL store: "
            'wc.open("postgresql://user@host/database").',
            path=path,
            file_system=kind,
        )


def check_local(path: Path) -> None:
    """refuse_network for the mounts of this host; does nothing where they cannot be read (macOS)."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    refuse_network(os.path.realpath(path), mounts)
