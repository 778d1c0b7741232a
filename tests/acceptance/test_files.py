"""Directories of files as a state: saved and written piece by piece, the same as a dict of their bytes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

import waycairn as wc
from commands import document, waycairn
from waycairn.chunks import source, streaming
from waycairn.chunks.scratch import OpenBlocks
from waycairn.codec import files as reading
from waycairn.codec import writing_files as writing
from waycairn.codec.files import encode_files
from waycairn.codec.tree import encode
from waycairn.errors import Damaged, FilesChanged
from waycairn.files import Files
from waycairn.model.encoded import Streamed
from waycairn.model.ids import PackId
from waycairn.model.records import NewBlock

MIB = 1 << 20


def text(seed: int, size: int) -> bytes:
    chance = random.Random(seed)
    lines: list[str] = []
    length = 0
    while length < size:
        lines.append(
            json.dumps({"id": len(lines), "loss": chance.random(), "note": chance.choice(["", "ok", "again"])}) + "\n"
        )
        length += len(lines[-1])
    return "".join(lines).encode()[:size]


def make(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SMALL = {"a.txt": b"one", "empty": b"", "deep/er/b.bin": bytes(range(256))}
LARGE = {
    "books/one.jsonl": text(1, 3 * MIB),
    "books/two.jsonl": text(2, 40 * MIB + 17),
    **{f"many/{number:04}.txt": text(number, 40 * (number % 97)) for number in range(700)},
    "noise.bin": random.Random(3).randbytes(2 * MIB),
    "ünïcode ☃": b"x" * 70_000,
    "z": b"",
}


@pytest.fixture(params=["small", "large"])
def contents(request: pytest.FixtureRequest) -> dict[str, bytes]:
    return SMALL if request.param == "small" else LARGE


@pytest.mark.parametrize("passphrase", [None, "long enough"], ids=["plain", "encrypted"])
def test_files_come_back(tmp_path: Path, contents: dict[str, bytes], passphrase: str | None) -> None:
    """As files, and as the dict that they are."""
    tree = make(tmp_path / "tree", contents)
    with wc.open(tmp_path / "store", passphrase=passphrase) as store:
        saved = store.save("tree", Files(tree))
        assert store.latest("tree") == contents
        again = Files(tmp_path / "again")
        assert store.load(saved, into=again) is again
        store.verify()
    assert contents_of(tmp_path / "again") == contents
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "again").rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_the_document_is_that_of_the_dict(tmp_path: Path, contents: dict[str, bytes]) -> None:
    """Byte by byte, with the same places to cut."""
    encoded = encode_files(Files(make(tmp_path, contents)))
    same = encode(dict(sorted(contents.items())))
    assert isinstance(encoded, Streamed) == (contents is LARGE)
    found, at, cuts = bytearray(), 0, set()
    for data, places in encoded.sections():
        cuts |= {at, *(at + place for place in places)}
        found += data
        at += len(data)
    assert found == same.document
    assert encoded.length == encoded.size == len(found)
    assert set(same.cuts()) <= cuts


def test_a_dict_finds_the_chunks_of_files_again(tmp_path: Path) -> None:
    """And files those of a dict: only what lies at the end of a section is another chunk."""
    tree = make(tmp_path / "tree", LARGE)
    with wc.open(tmp_path / "store") as store:
        store.save("tree", Files(tree))
        first = store.checkpoint(next(iter(store.checkpoints("tree"))).id).checkpoint.stored
        store.save("dict", dict(sorted(LARGE.items())))
        store.save("tree", Files(tree))
        again = [next(iter(store.checkpoints(name))).checkpoint.stored.new_bytes for name in ("dict", "tree")]
    assert first.raw_bytes > 45 * MIB
    assert again[0] < first.new_bytes / 20
    assert again[1] < 20_000


def test_texts_and_dicts_are_written_too(tmp_path: Path) -> None:
    """Whatever names its contents."""
    with wc.open(tmp_path / "store") as store:
        saved = store.save(
            "notes", {"a/b.md": "# Größe\n", "c": b"\0\1", "long": "x" * 300, "longer": "y" * 70_000, "": b""}
        )
        with pytest.raises(ValueError, match="no relative name"):
            store.load(saved, into=Files(tmp_path / "out"))
        saved = store.save("notes", {"a/b.md": "# Größe\n", "c": b"\0\1", "long": "x" * 300, "longer": "y" * 70_000})
        store.load(saved, into=Files(tmp_path / "out"))
    assert contents_of(tmp_path / "out") == {
        "a/b.md": "# Größe\n".encode(),
        "c": b"\0\1",
        "long": b"x" * 300,
        "longer": b"y" * 70_000,
    }


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([1, 2], "it is no dict"),
        ({"a": b"x", "b": 7}, "'b' is neither bytes nor a text"),
        ({7: b"x"}, "a key is no text"),
        ({b"k": b"x"}, "a key is no text"),
        ({"../out": b"x"}, "no relative name"),
        ({"/etc/out": b"x"}, "no relative name"),
        ({"a//b": b"x"}, "no relative name"),
        ({"a/./b": b"x"}, "no relative name"),
        ({"a\0b": b"x"}, "no relative name"),
        ({"a": b"x", "t": (1, 2)}, "it holds more than plain values"),
    ],
)
def test_what_is_no_files_is_refused(tmp_path: Path, value: Any, why: str) -> None:
    """And nothing is left of those that were."""
    with wc.open(tmp_path / "store") as store:
        saved = store.save("value", value)
        with pytest.raises(ValueError, match=why):
            store.load(saved, into=Files(tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_arrays_are_refused(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    with wc.open(tmp_path / "store") as store:
        saved = store.save("value", {"a": b"x", "w": numpy.zeros(9000)})
        with pytest.raises(ValueError, match="more than plain values"):
            store.load(saved, into=Files(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced(tmp_path: Path) -> None:
    """A directory that is there must be empty."""
    with wc.open(tmp_path / "store") as store:
        saved = store.save("value", SMALL)
        (tmp_path / "empty").mkdir()
        store.load(saved, into=Files(tmp_path / "empty"))
        assert contents_of(tmp_path / "empty") == SMALL
        for name in ("file", "link"):
            (tmp_path / name).symlink_to("empty") if name == "link" else (tmp_path / name).write_bytes(b"")
            with pytest.raises(FileExistsError, match="Nothing was written"):
                store.load(saved, into=Files(tmp_path / name))
        with pytest.raises(FileExistsError, match="Nothing was written"):
            store.load(saved, into=Files(tmp_path / "empty"))
        with pytest.raises(ValueError, match="only="):
            store.load(saved, into=Files(tmp_path / "other"), only="a.txt")


def test_what_is_neither_file_nor_directory_is_refused(tmp_path: Path) -> None:
    """Nothing is left out in silence. A link to a file is read as that file."""
    tree = make(tmp_path / "tree", SMALL)
    (tree / "linked").symlink_to("a.txt")
    with wc.open(tmp_path / "store") as store:
        store.save("tree", Files(tree))
        assert store.latest("tree") == {**SMALL, "linked": b"one"}
        os.mkfifo(tree / "pipe")
        with pytest.raises(ValueError, match="pipe is neither a file nor a directory"):
            store.save("tree", Files(tree))
        (tree / "pipe").unlink()
        (tree / "there").symlink_to("deep")
        with pytest.raises(ValueError, match="there is neither"):
            store.save("tree", Files(tree))
        (tree / "there").unlink()
        (tree / "there").symlink_to("nowhere")
        with pytest.raises(FileNotFoundError):
            store.save("tree", Files(tree))
        with pytest.raises(FileNotFoundError):
            store.save("tree", Files(tmp_path / "missing"))
        with pytest.raises(NotADirectoryError):
            store.save("tree", Files(tree / "a.txt"))
        (tree / "there").unlink()
        Path(os.fsdecode(os.fsencode(tree) + b"/\xff")).write_bytes(b"")
        with pytest.raises(ValueError, match="not UTF-8"):
            store.save("tree", Files(tree))
        assert len(list(store.checkpoints("tree"))) == 1


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "another"])
@pytest.mark.parametrize("which", ["small", "large"])
def test_files_that_change_meanwhile_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, which: str
) -> None:
    """Half of one and half of another is no checkpoint."""
    tree = make(tmp_path / "tree", SMALL if which == "small" else {"a.txt": text(1, 20 * MIB), "b": b"x"})
    listed = reading._listed

    def list_and_change(directory: Path) -> Any:
        found = listed(directory)
        path = tree / "a.txt"
        data = path.read_bytes()
        if change == "another":
            path.with_name("new").write_bytes(data)
            os.replace(path.with_name("new"), path)
        elif change == "other":
            os.utime(path, ns=(0, 0))
        else:
            path.write_bytes(data + b"x" if change == "longer" else data[:-1])
        return found

    with wc.open(tmp_path / "store") as store:
        monkeypatch.setattr(reading, "_listed", list_and_change)
        with pytest.raises(FilesChanged, match=r"a\.txt was written to while it was saved"):
            store.save("tree", Files(tree))
        monkeypatch.undo()
        assert list(store.checkpoints()) == []
        store.save("tree", Files(tree))
        assert store.latest("tree") == contents_of(tree)


def test_damage_leaves_no_files(tmp_path: Path) -> None:
    """A wrong byte in a pack: the checkpoint is marked, and what was written of it is gone."""
    tree = make(tmp_path / "tree", LARGE)
    with wc.open(tmp_path / "store") as store:
        saved = store.save("tree", Files(tree))
        for pack in (tmp_path / "store" / "packs").rglob("*"):
            if pack.is_file():
                with pack.open("rb+") as file:
                    file.seek(pack.stat().st_size // 2)
                    file.write(b"\0\1\2\3")
        with pytest.raises(Damaged):
            store.load(saved, into=Files(tmp_path / "out"))
        assert store.checkpoint(saved).status == "damaged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "tree"]


LIMITED = """
import resource, signal, sys
import waycairn as wc
from waycairn.files import Files

with wc.open(sys.argv[1]) as store:
    saved = next(iter(store.checkpoints("tree"))).id
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        store.load(saved, into=Files(sys.argv[2]))
    except OSError as error:
        print(error.strerror)
"""


def test_what_cannot_be_written_leaves_no_files(tmp_path: Path) -> None:
    """A limit of 1 MiB a file, in a real process; the same with room is well."""
    tree = make(tmp_path / "tree", LARGE)
    with wc.open(tmp_path / "store") as store:
        saved = store.save("tree", Files(tree))
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "store", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "File too large\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "tree"]
    with wc.open(tmp_path / "store") as store:
        store.load(saved, into=Files(tmp_path / "out"))
    assert contents_of(tmp_path / "out") == LARGE


def test_a_run_saves_files(tmp_path: Path) -> None:
    """Beside its state; but not behind the job, which could write to them."""
    tree = make(tmp_path / "tree", SMALL)
    with wc.open(tmp_path / "store") as store, store.run("job") as run:
        saved = run.save("outputs", Files(tree))
        assert store.load(saved) == SMALL
        with pytest.raises(TypeError, match="wait=False"):
            run.save("outputs", Files(tree), wait=False)
        with pytest.raises(TypeError, match="wait=False"):
            store.save("outputs", Files(tree), wait=False)
        with pytest.raises(TypeError, match="Files"):
            store.save("outputs", {"inside": Files(tree)})


def test_names_of_any_length_and_parts_of_any_size(tmp_path: Path) -> None:
    """The writer is given one byte, and seven, and all at once."""
    state = {
        "n" * 200 + "/" + "m" * 250 + "/" + "ü" * 120: b"long",
        "a": b"",
        **{f"{number}": b"x" * number for number in range(300)},
    }
    data = memoryview(encode(state).document)
    for size in (1, 7, len(data)):
        to = Files(tmp_path / str(size))
        with writing.writing_files(to) as writer:
            for at in range(0, len(data), size):
                writer.take(data[at : at + size])
        assert contents_of(to.directory) == state
    for cut in (1, 3, 40, len(data) - 1):
        with (
            pytest.raises(ValueError, match="midst of a value"),
            writing.writing_files(Files(tmp_path / "cut")) as writer,
        ):
            writer.take(data[:cut])
    with (
        pytest.raises(ValueError, match="behind its last"),
        writing.writing_files(Files(tmp_path / "cut")) as writer,
    ):
        writer.take(memoryview(bytes(data) + b"x"))
    assert not (tmp_path / "cut").exists()


def test_more_than_4_gib_is_refused(tmp_path: Path) -> None:
    """A sparse file: it is not even read."""
    (tmp_path / "tree").mkdir()
    with (tmp_path / "tree" / "large").open("wb") as file:
        file.truncate(2**32)
    with wc.open(tmp_path / "store") as store, pytest.raises(TypeError, match="4 GiB or more"):
        store.save("tree", Files(tmp_path / "tree"))


MEASURED = """
import sys
from pathlib import Path
import waycairn as wc
from waycairn.files import Files

def most():
    # Not ru_maxrss: that of the process which started this one counts, too.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024

act, where, what = sys.argv[1:]
with wc.open(where) as store:
    before = most()
    if act == "save":
        store.save("tree", Files(what))
    else:
        store.load(next(iter(store.checkpoints("tree"))).id, into=Files(what))
print(most() - before)
"""


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    """400 MiB are saved and written in a quarter of that."""
    block = text(5, 8 * MIB)
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(10):
        with (tree / str(number)).open("wb") as file:
            for part in range(5):
                file.write(random.Random(number * 10 + part).randbytes(4096) + block)
    for act, what in (("save", tree), ("load", tmp_path / "out")):
        ended = subprocess.run(
            [sys.executable, "-c", MEASURED, act, tmp_path / "store", what], capture_output=True, text=True, check=True
        )
        assert 1 < int(ended.stdout) < 120, f"{act}: {ended.stdout} MiB"
    assert contents_of(tmp_path / "out") == contents_of(tree)


def test_from_the_command_line(tmp_path: Path) -> None:
    """A directory in, a directory out."""
    tree = make(tmp_path / "tree", SMALL)
    saved = document("import", tree, "tree", at=tmp_path)["checkpoint"]["id"]
    told = document("export", saved, "--format", "files", "-o", "out", at=tmp_path)
    assert told == {"checkpoint": saved, "format": "files", "to": "out", "files": 3}
    assert contents_of(tmp_path / "out") == SMALL
    for more, why in (
        ((), "name the directory with -o DIR"),
        (("-o", "out", "--force"), "new or empty"),
        (("-o", "other", "--only", "a.txt"), "new or empty"),
        (("-o", "out"), "is there already"),
    ):
        refused = waycairn("export", saved, "--format", "files", *more, at=tmp_path)
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
    refused = waycairn("export", "--all", "--to", "all", "--format", "files", at=tmp_path)
    assert (refused.returncode, "for one checkpoint" in refused.stderr) == (2, True), refused.stderr
    missing = waycairn("import", "nowhere", "tree", at=tmp_path)
    assert (missing.returncode, "nowhere" in missing.stderr) == (1, True), missing.stderr


def test_a_block_is_opened_once_though_several_windows_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed from one save to the next lies in one block, all over the files."""
    monkeypatch.setattr(streaming, "_LENT", 256 * 1024)
    chance = random.Random(7)
    lines = text(1, 8 * MIB).splitlines(keepends=True)
    with wc.open(tmp_path / "store") as store:
        for _ in range(4):
            for _ in range(60):
                lines[chance.randrange(len(lines))] = b'{"edited": %d}\n' % chance.randrange(10**9)
            make(tmp_path / "tree", {"lines": b"".join(lines)})
            saved = store.save("tree", Files(tmp_path / "tree"))
        stored = store.checkpoint(saved).checkpoint.stored
        places = store.core._reader.stream(stored)._places.values()
        opened: list[int] = []
        open_block = source.ChunkSource._open_block

        def note_and_open(self: source.ChunkSource, wants: Any, *more: Any) -> None:
            opened.append(wants[0].place.block.number)
            open_block(self, wants, *more)

        monkeypatch.setattr(source.ChunkSource, "_open_block", note_and_open)
        store.load(saved, into=Files(tmp_path / "again"))
    assert contents_of(tmp_path / "again") == {"lines": b"".join(lines)}
    blocks = {place.block.number for place in places}
    assert len(blocks) >= 9
    assert set(opened) == blocks
    assert len(opened) < 2 * len(
        blocks
    )  # two threads may want one at the same time; 32 windows need that of the last save


def test_blocks_are_kept_as_long_as_they_are_needed() -> None:
    """And no more bytes than were said; one that was moved is another one."""

    def block(number: int) -> NewBlock:
        return NewBlock(
            number=number, pack=PackId("p"), offset=number, stored_length=9, raw_length=4, codec=0, inline=None
        )

    opened = OpenBlocks(10, {1: 3, 2: 2, 3: 5, 4: 1})
    opened.keep(block(1), memoryview(b"once"), 1)
    opened.keep(block(4), memoryview(b"last"), 1)
    assert opened.find(block(4)) is None
    opened.keep(block(2), memoryview(b"twos"), 1)
    opened.keep(block(3), memoryview(b"much"), 1)  # there is no room
    assert opened.find(block(3)) is None
    assert opened.find(structs.replace(block(1), offset=99)) is None
    assert [opened.find(block(1)) for _ in range(3)] == [b"once", b"once", None]
    opened.keep(block(3), memoryview(b"much"), 1)
    assert opened.find(block(3)) == b"much"
    assert opened.find(block(2)) == b"twos"
