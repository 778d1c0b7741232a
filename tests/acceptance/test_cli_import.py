"""`waycairn import` and store.import_file: files of arrays come in bit by bit, or not at all."""

import contextlib
import json
import random
import struct
import zipfile

import numpy as np
import pytest

import waycairn as wc
from commands import document, waycairn
from waycairn.upkeep.exporting import named_arrays, new_file, write_safetensors
from waycairn.upkeep.importing import CannotImport


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / ".waycairn") as store:
        yield store


ARRAYS = {
    "layer.0": np.arange(6, dtype="<f4").reshape(2, 3),
    "big": np.arange(300_000, dtype="<i8"),
    "other_order": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "big_endian": np.array([1, 2], dtype=">i8"),
    "half": np.array(0.5, dtype=np.float16),
    "empty": np.zeros((0, 3), np.uint8),
    "times": np.array(["2026-11-30", "NaT"], "datetime64[ns]"),
    "records": np.array([(1, 2.5)], [("a", "<i4"), ("b", "<f8")]),
    "words": np.array(["a", "bcd"]),
}


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "compressed"])
def test_npz(store, tmp_path, save):
    """As numpy writes it: every dtype that needs no pickle, names in order."""
    path = tmp_path / "a.npz"
    save(path, **ARRAYS)
    checkpoint = store.import_file(path, "arrays", tags=["t"])
    found = store.latest("arrays")
    assert list(found) == list(ARRAYS)
    assert all(same(found[name], array) for name, array in ARRAYS.items())
    record = store.checkpoint(checkpoint).checkpoint
    assert (record.description, record.tags, record.kind) == ("imported from a.npz", ("t",), "value")


def test_safetensors_with_every_dtype(store, tmp_path):
    """What torch has and the format holds, bfloat16 and float8 among them, is the same bits again; and back."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file, save_file

    names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    names += ["float8_e4m3fn", "float8_e5m2"]
    content = torch.randint(0, 256, (4096,), dtype=torch.uint8)
    state = {name: (content % 2 if name == "bool" else content).view(getattr(torch, name)).clone() for name in names}
    state |= {"scalar": torch.tensor(2.5), "none": torch.zeros(0, 3), "large": torch.randn(600, 600)}
    save_file(state, str(tmp_path / "m.safetensors"), {"author": "somebody"})
    store.import_file(tmp_path / "m.safetensors", "m")
    found = store.latest("m")
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(found[name].reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8)), name
    with new_file(tmp_path / "again.safetensors", force=False) as draft:  # as `waycairn export` does
        write_safetensors(draft, named_arrays(found), {})
    again = load_file(str(tmp_path / "again.safetensors"))
    assert all(
        torch.equal(again[n].reshape(-1).view(torch.uint8), t.reshape(-1).view(torch.uint8)) for n, t in state.items()
    )


def test_the_command(tmp_path):
    """Creates the store, tells the checkpoint, keeps kind and description; a second file of that name is the newer value."""
    for number in (1, 2):
        np.savez(tmp_path / f"{number}.npz", w=np.full(3, number))
    ran = waycairn("import", "1.npz", "weights", at=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = document("import", "2.npz", "weights", "--description", "the second", at=tmp_path)
    assert told["file"] == "2.npz"
    assert (told["checkpoint"]["kind"], told["checkpoint"]["description"]) == ("value", "the second")
    waycairn("import", "1.npz", "weights", "--kind", "model_state", at=tmp_path)
    with wc.open(tmp_path / ".waycairn", create=False) as store:
        assert store.latest("weights")["w"].tolist() == [2, 2, 2]
        kinds = [record.checkpoint.kind for record in store.checkpoints("weights")]
        assert kinds == ["model_state", "value", "value"]
        assert store.load(ran.stdout.strip())["w"].tolist() == [1, 1, 1]


def foreign(path):
    path.write_bytes(random.Random(1).randbytes(5000))


def an_archive_of_something_else(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def arrays_of_objects(path):
    np.savez(path, good=np.arange(3), bad=np.array([{"a": 1}], dtype=object))


def two_of_one_name(path):
    np.savez(path, a=np.arange(3))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("a.npy")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.npy", content)


def more_than_it_says(path):
    np.savez(path, a=np.arange(3))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("a.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content + b"x")


def less_than_it_says(path):
    np.savez(path, a=np.arange(300))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("a.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content[:-9])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (foreign, "not a zip file"),
        (an_archive_of_something_else, "readme.txt, which is no array"),
        (arrays_of_objects, "bad.npy: Object arrays cannot be loaded when allow_pickle=False"),
        (two_of_one_name, "two of its arrays have the same name"),
        (more_than_it_says, "a.npy is longer than its array"),
        (less_than_it_says, "a.npy:"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_npz(store, tmp_path, make, why):
    """Said, with the reason; nothing is saved."""
    path = tmp_path / "a.npz"
    make(path)
    with pytest.raises(CannotImport, match=f"{why}.*Nothing was saved"):
        store.import_file(path, "a")
    assert store.runs() == []


def test_every_cut_and_many_flips(store, tmp_path):
    """A file cut off anywhere is refused; a flipped bit is refused where the format can tell (a zip always can)."""
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.numpy import save_file

    np.savez(tmp_path / "a.npz", a=np.arange(20), b=np.ones(3))
    save_file({"a": np.arange(20), "b": np.ones(3)}, str(tmp_path / "a.safetensors"))
    kept = {"a": list(range(20)), "b": [1.0] * 3}
    chance = random.Random(2)
    for name in ("a.npz", "a.safetensors"):
        whole = (tmp_path / name).read_bytes()
        path = tmp_path / f"bad.{name}"
        for length in chance.sample(range(len(whole)), 60):
            path.write_bytes(whole[:length])
            with pytest.raises(CannotImport, match="Nothing was saved"):
                store.import_file(path, "bad")
        header = struct.unpack("<Q", whole[:8])[0] + 8 if name.endswith("safetensors") else len(whole)
        for _ in range(150):
            bad = bytearray(whole)
            bad[chance.randrange(header)] ^= 1 << chance.randrange(8)
            path.write_bytes(bad)
            with contextlib.suppress(CannotImport):
                found = store.load(store.import_file(path, f"flipped {name}"))
                if name == "a.npz":  # the flip was in what means nothing, such as a time
                    assert {key: value.tolist() for key, value in found.items()} == kept
    assert store.latest("bad") is None


def test_the_command_refuses(tmp_path):
    """Exit codes: 2 for a file that is not there, 1 for one that cannot be read; one line, no traceback."""
    (tmp_path / "a.npz").write_bytes(b"no zip")
    (tmp_path / "a.pt").write_bytes(b"a pickle")
    for file, code, why in (
        ("none.npz", 2, "there is no file"),
        ("a.npz", 1, "cannot be read as npz"),
        ("a.pt", 1, "neither .npz nor .safetensors"),
    ):
        ran = waycairn("import", file, "x", at=tmp_path)
        assert (ran.returncode, ran.stdout) == (code, "")
        assert why in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    listed = document("runs", at=tmp_path)
    assert json.dumps(listed["runs"]) == "[]"
