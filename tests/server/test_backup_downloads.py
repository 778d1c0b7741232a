"""What goes out of a backup: any range of it, as it was exported and not otherwise, by the piece."""

import hashlib
import subprocess
from itertools import pairwise

import pytest

from backups_served import told
from serving import a_scene
from waycairn.server.backup_indexes import BackupIndexes

MIB = 1 << 20
PIECE = 3 * MIB + 17
NOISE = hashlib.shake_256(b"noise").digest(3 * PIECE)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """A scene with a backup of a large member and one that is empty."""
    with a_scene(tmp_path_factory.mktemp("downloads")) as scene:
        members = {"noise": [NOISE[at : at + PIECE] for at in range(0, len(NOISE), PIECE)]}
        members["empty"] = []
        yield scene, told(scene.store, members)


SIZE = len(NOISE)
TAG = f'"{hashlib.sha256(NOISE).hexdigest()}"'


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        (f"bytes={PIECE - 1}-{PIECE}", PIECE - 1, PIECE + 1),
        (f"bytes={PIECE}-{2 * PIECE - 1}", PIECE, 2 * PIECE),
        (f"bytes={MIB + 1}-{SIZE + 99}", MIB + 1, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        (f"bytes=-{SIZE + 5}", 0, SIZE),
        ("Bytes = 5 - 6", 5, 7),
    ],
)
def test_ranges(there, asked, start, stop):
    """At odd borders, within a piece and across."""
    scene, id_ = there
    answer = scene.olga.get(f"/backups/{id_}/members/noise", headers={"Range": asked, "If-Range": TAG})
    assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes {start}-{stop - 1}/{SIZE}")
    assert answer.headers["content-length"] == str(stop - start)
    assert answer.content == NOISE[start:stop]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Range": "bytes=5-4"},
        {"Range": "bytes=-"},
        {"Range": "lines=0-5"},
        {"Range": "bytes=0-5,10-20"},
        {"Range": "bytes=0-5", "If-Range": '"another"'},
        {"Range": "bytes=0-5", "If-Range": f"W/{TAG}"},
        {"Range": "bytes=0-5", "If-Range": "Mon, 30 Nov 2026 19:14:53 GMT"},
    ],
)
def test_all_of_it(there, headers):
    """Where no range is asked for, or one that makes no sense, or one of something else."""
    scene, id_ = there
    answer = scene.olga.get(f"/backups/{id_}/members/noise", headers=headers)
    assert (answer.status_code, answer.headers["etag"], answer.headers["accept-ranges"]) == (200, TAG, "bytes")
    assert answer.content == NOISE


@pytest.mark.parametrize(
    ("member", "asked"), [("noise", f"bytes={SIZE}-"), ("noise", "bytes=-0"), ("empty", "bytes=0-")]
)
def test_where_nothing_lies(there, member, asked):
    scene, id_ = there
    answer = scene.olga.get(f"/backups/{id_}/members/{member}", headers={"Range": asked})
    size = SIZE if member == "noise" else 0
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_member_that_there_is_not(there):
    """Whatever it is called: members are no files."""
    scene, id_ = there
    for name in ("none", "../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "", "a%00b"):
        answer = scene.olga.get(f"/backups/{id_}/members/{name}")
        assert answer.status_code == 404, name


def test_the_archive(there, tmp_path):
    """Of the length that was told; in parts it is the same; tar and sha256sum are content with it; and each is audited."""
    scene, id_ = there
    path = f"/backups/{id_}/archive"
    whole = scene.olga.get(path)
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert whole.headers["content-type"] == "application/x-tar"
    borders = [0, 1, 511, 512, 513, PIECE + 77, len(whole.content) - 10_240, len(whole.content)]
    parts = []
    for start, stop in pairwise(borders):
        headers = {"Range": f"bytes={start}-{stop - 1}", "If-Range": whole.headers["etag"]}
        parts.append(scene.olga.get(path, headers=headers))
    assert {part.status_code for part in parts} == {206}
    (tmp_path / "b.tar").write_bytes(b"".join(part.content for part in parts))
    command = "tar -xf b.tar && sha256sum --strict --quiet -c SHA256SUMS"
    assert subprocess.run(command, shell=True, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "b.tar").read_bytes() == whole.content
    ends = [row.entry for row in scene.store.core.catalog.audit_after(0) if row.entry.facts.get("what") == "archive"]
    assert [one.facts["sent"] for one in ends if one.outcome == "done"] == [
        len(whole.content),
        *(stop - start for start, stop in pairwise(borders)),
    ]
    assert {one.actor.split()[0] for one in ends} == {"olga"}


@pytest.mark.parametrize("path", ["members/noise", "members/empty", "archive"])
def test_head_tells_what_a_get_would_begin_with(there, path):
    """Without that anything is read, so nothing is written down; a range is nothing to it."""
    scene, id_ = there
    got = scene.olga.get(f"/backups/{id_}/{path}")
    before = len(list(scene.store.core.catalog.audit_after(0)))
    head = scene.olga.ask("HEAD", f"/backups/{id_}/{path}", headers={"Range": "bytes=0-0"})
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers} == {**got.headers}
    assert len(list(scene.store.core.catalog.audit_after(0))) == before
    assert scene.olga.ask("HEAD", f"/backups/{id_}/members/none").status_code == 404
    assert scene.vera.ask("HEAD", f"/backups/{id_}/{path}").status_code == 403


def test_an_index_is_read_once(there, monkeypatch):
    """However many pages and ranges are asked for; what the backup's state allows is looked at each time."""
    scene, id_ = there
    read = []
    load = scene.store.core.load
    monkeypatch.setattr(scene.store.core, "load", lambda result: read.append(result) or load(result))
    scene.app.state.serving.indexes._indexes.clear()
    for _ in range(3):
        assert len(scene.olga.get(f"/backups/{id_}/members").json()["members"]) == 2
        assert scene.olga.get(f"/backups/{id_}/members/empty").content == b""
    assert len(read) == 1


def test_indexes_are_let_go(there):
    """There are never more of them than that, nor more members in them."""
    scene, _ = there
    indexes = BackupIndexes(scene.store.core)
    ids = [told(scene.store, {f"m{number}": [b"x"]}) for number in range(10)]
    for id_ in ids:
        assert list(indexes.open(id_).members) == [f"m{ids.index(id_)}"]
    assert list(indexes._indexes) == ids[-8:]
