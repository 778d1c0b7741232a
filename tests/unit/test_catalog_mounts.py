"""On which file systems SQLite is refused."""

import pytest

from waycairn.catalog import open_catalog
from waycairn.catalog.mounts import file_system_of, refuse_network
from waycairn.errors import UnsafeFileSystem

MOUNTS = r"""
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/export /mnt/share nfs4 rw,vers=4.2 0 0
//server/disk /mnt/win cifs rw 0 0
tmpfs /mnt/share/local tmpfs rw 0 0
you@host:/ /mnt/with\040space fuse.sshfs rw 0 0
/dev/vdb /data xfs rw 0 0
server:/late /data nfs rw 0 0
recording /mnt/fuse fuse rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/.waycairn/catalog.db", "ext4"),
        ("/mnt/share/a/catalog.db", "nfs4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/shared/catalog.db", "ext4"),
        ("/mnt/share/local/catalog.db", "tmpfs"),
        ("/mnt/with space/catalog.db", "fuse.sshfs"),
        ("/data/catalog.db", "nfs"),
    ],
)
def test_the_deepest_and_last_mount_counts(path, kind):
    """Not a prefix of a name, and of two mounts on one place the later."""
    assert file_system_of(path, MOUNTS) == kind


@pytest.mark.parametrize("path", ["/mnt/share/x.db", "/mnt/win/x.db", "/mnt/with space/x.db", "/data/x.db"])
def test_network_file_systems_are_refused(path):
    """With the way out in the message."""
    with pytest.raises(UnsafeFileSystem, match=r"postgresql://"):
        refuse_network(path, MOUNTS)


@pytest.mark.parametrize("path", ["/x.db", "/mnt/share/local/x.db", "/mnt/fuse/x.db"])
def test_local_file_systems_are_not(path):
    """Memory and FUSE on this host are fine."""
    refuse_network(path, MOUNTS)


def test_nothing_known_is_nothing_refused():
    """An empty list of mounts (another platform)."""
    assert file_system_of("/x", "") is None
    refuse_network("/x", "")


@pytest.mark.parametrize("address", ["mysql://host/db", "catalog.db", "sqlite://"])
def test_an_address_that_is_none(address):
    """A programmer's mistake, with an example of a right one."""
    with pytest.raises(ValueError, match="they look like"):
        open_catalog(address)
