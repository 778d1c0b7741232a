"""A backup as one .tar, by the real `tar` and `sha256sum`, and from the command line."""

import io
import os
import subprocess

import pytest

import waycairn as wc
from commands import document, script, waycairn
from waycairn.backups.archive import Archive
from waycairn.backups.catalogue import find, open_contents
from waycairn.errors import BackupRefused
from waycairn.model.backups import Count

MEMBERS = {
    "plain.txt": b"words\n",
    "empty": b"",
    "folder/deep/" + "long" * 40 + "/" + "name" * 50: b"x" * 513,
    "Übergröße 日本.txt": "é".encode() * 256,
    "line\nbreak": b"1",
    "back\\slash": b"2",
    "-rf": b"3",
    "big": bytes(range(256)) * 40_000,
}


class Odd:
    """A source of one's own, whose names are whatever they are."""

    kind, label = "odd", "odd names"

    def describe(self):
        return {"odd": True}

    def count(self):
        return Count(records=len(MEMBERS))

    def export(self, target, before):
        for name, data in MEMBERS.items():
            with target.member(name) as member:
                for at in range(0, len(data), 1 << 20):
                    member.write(data[at : at + (1 << 20)])


def shell(command, where, **more):
    done = subprocess.run(command, shell=True, cwd=where, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def made(tmp_path):
    with wc.open(tmp_path / "store") as store:
        with store.safeguard(Odd()) as backup:
            pass
        yield store, backup


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_tar_and_sha256sum_are_all_it_takes(made, tmp_path, locale):
    """Whatever the names are; and the SHA-256 of SHA256SUMS is the digest of the row."""
    store, backup = made
    out = tmp_path / "out"
    out.mkdir()
    with (out / "b.tar").open("wb") as file:
        assert backup.archive_to(file, "b.tar") == (out / "b.tar").stat().st_size
    environment = {**os.environ, "LC_ALL": locale}
    shell("tar -xf b.tar && sha256sum --strict --quiet -c SHA256SUMS", out, env=environment)
    assert backup.record.digest in shell("sha256sum SHA256SUMS", out)
    for name, data in MEMBERS.items():
        assert (out / "data" / name).read_bytes() == data
    (begun, done) = [row.entry for row in store.core.catalog.audit_after(0) if row.entry.act == "backup.extract"]
    assert (begun.outcome, done.outcome, done.facts["format"]) == ("begun", "done", "tar")


def test_it_is_the_same_each_time(made):
    """Also when its row says something else by now: a download that was cut off goes on with the same bytes."""
    store, backup = made
    contents = open_contents(store.core, find(store.core, backup.id))
    before = Archive(contents)
    whole = b"".join(before.read())
    backup.pin()
    backup.extend("99d")
    backup.verify()
    after = Archive(open_contents(store.core, find(store.core, backup.id)))
    assert (after.tag, after.size, b"".join(after.read())) == (before.tag, before.size, whole)
    for start, stop in ((0, 1), (512, 5000), (len(whole) - 20_000, len(whole)), (3_000_001, 3_000_777)):
        assert b"".join(after.read(start, stop)) == whole[start:stop]


def test_the_command_line_writes_it(made, tmp_path):
    """To a file, which is whole or not there, or to where it is piped."""
    _, backup = made
    with (tmp_path / "piped").open("wb") as file:
        script("backup", "extract", backup.id, "--store", "store", "--tar", "-", at=tmp_path, stdout=file.fileno())
    said = document("backup", "extract", backup.id, "--store", "store", "--tar", "b.tar", at=tmp_path)
    target = tmp_path / "b.tar"
    assert target.read_bytes() == (tmp_path / "piped").read_bytes()
    assert (said["file"], said["bytes"]) == ("b.tar", target.stat().st_size)
    assert target.stat().st_mode & 0o777 == 0o600
    refused = waycairn("backup", "extract", backup.id, "--store", "store", "--tar", "b.tar", at=tmp_path)
    assert (refused.returncode, "is there already" in refused.stderr) == (1, True)
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".part")] == []
    for wrong in (["--tar", "c.tar", "folder"], ["--tar", "c.tar", "--member", "empty"], ["folder", "--force"]):
        assert waycairn("backup", "extract", backup.id, "--store", "store", *wrong, at=tmp_path).returncode == 2
    assert not (tmp_path / "c.tar").exists()


def test_an_encrypted_store_is_asked_twice(tmp_path):
    assert waycairn("key", "file", "key", at=tmp_path).returncode == 0
    with wc.open(tmp_path / "store", key_file=tmp_path / "key") as store:
        with store.safeguard(Odd()) as backup:
            pass
        out = io.BytesIO()
        with pytest.raises(BackupRefused, match=r"in the clear.*Nothing was written"):
            backup.archive_to(out, "here")
        assert out.getvalue() == b""
        assert backup.archive_to(out, "here", decrypt=True) == len(out.getvalue())
