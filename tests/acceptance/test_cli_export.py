"""`waycairn export`: JSON that people read, npz and safetensors that programs read, whole or not at all."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import waycairn as wc
from commands import WAYCAIRN, document, environment, run_job, script, waycairn


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with checkpoints of a job's own dataclass and a value with arrays in odd places."""
    place = tmp_path_factory.mktemp("export")
    assert run_job(place, "end", "report") == 0
    with wc.open(place / ".waycairn") as store:
        arrays = {"layer.0": np.arange(6, dtype="<f4").reshape(2, 3), "layer": [np.array([1, 2], dtype=">i8")]}
        store.save("arrays", {**arrays, "half": np.array(0.5, dtype=np.float16), "words": "no array"})
        store.save("plain", {"nothing": [1, 2]})
    return place


def _id(place, run):
    return document("checkpoints", run, "--limit", "1", at=place)["checkpoints"][0]["id"]


def test_json_is_readable_without_the_program(place):
    """The job's dataclass comes with its type name and fields, NaN and sets are explicit, arrays have their data."""
    exported = document("export", _id(place, "report"), at=place)
    assert exported["checkpoint"]["kind"] == "processing_state"
    state = exported["state"]
    assert state["type"] == "__main__:State"
    assert state["fields"]["seen"] == 40
    assert state["fields"]["best"] == {"type": "float", "value": "NaN"}
    assert state["fields"]["names"] == {"type": "set", "items": ["item 0", "item 1", "item 2"]}
    weights = state["fields"]["weights"]
    assert (weights["type"], weights["dtype"], weights["shape"]) == ("array", "float64", [1000])
    assert weights["data"][:41] == [float(n) for n in range(40)] + [0.0]


def test_without_data_arrays_are_described(place):
    """dtype, shape, bytes and extremes instead of the elements."""
    state = document("export", _id(place, "report"), "--no-data", at=place)["state"]
    assert state["fields"]["weights"] == {
        "type": "array",
        "dtype": "float64",
        "shape": [1000],
        "bytes": 8000,
        "min": 0.0,
        "max": 39.0,
    }


def test_a_part_can_be_exported_alone(place):
    """`--only`, as `store.load(only=)`; a part that is not there is wrong use and says what there is."""
    assert document("export", _id(place, "report"), "--only", "seen", at=place)["state"] == 40
    ran = waycairn("export", _id(place, "report"), "--only", "scene", at=place)
    assert ran.returncode == 2
    assert "seen" in ran.stderr


def test_npz_has_every_array_by_its_path(place, tmp_path):
    """Dtypes and shapes are kept; nothing in it needs pickle; paths that meet are told apart."""
    target = tmp_path / "arrays.npz"
    ran = waycairn("export", _id(place, "arrays"), "--format", "npz", "-o", target, at=place)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with np.load(target, allow_pickle=False) as loaded:
        assert {name: (str(array.dtype), array.tolist()) for name, array in loaded.items()} == {
            "layer.0": ("float32", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
            "layer.0#2": (">i8", [1, 2]),
            "half": ("float16", 0.5),
        }


def test_safetensors_has_every_array_by_its_path(place, tmp_path):
    """The same in the other format, read back by its own library."""
    target = tmp_path / "arrays.safetensors"
    told = document("export", _id(place, "arrays"), "--format", "safetensors", "-o", target, at=place)
    assert told["bytes"] == target.stat().st_size
    loaded = load_file(target)
    assert {name: array.tolist() for name, array in loaded.items()} == {
        "layer.0": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
        "layer.0#2": [1, 2],
        "half": 0.5,
    }


def test_tensors_keep_their_dtypes(place, tmp_path):
    """bfloat16 goes into safetensors as it is; npz, which has none, says so and writes nothing."""
    torch = pytest.importorskip("torch", reason="torch is not installed here: tensors cannot be tested")
    from safetensors.torch import load_file as load_tensors

    with wc.open(place / ".waycairn") as store:
        tensor = torch.arange(4, dtype=torch.bfloat16).reshape(2, 2).t()
        saved = store.save("tensors", {"model": {"w": tensor}, "n": np.arange(3)})
    target = tmp_path / "t"
    assert waycairn("export", saved, "--format", "safetensors", "-o", target, at=place).returncode == 0
    loaded = load_tensors(target)
    assert loaded["model.w"].dtype == torch.bfloat16
    assert loaded["model.w"].tolist() == [[0.0, 2.0], [1.0, 3.0]]
    assert loaded["n"].tolist() == [0, 1, 2]
    refused = waycairn("export", saved, "--format", "npz", "-o", tmp_path / "n", at=place)
    assert refused.returncode == 1
    assert "model.w is a tensor of bfloat16" in refused.stderr
    assert not (tmp_path / "n").exists()


def test_safetensors_names_what_has_to_be_installed(place, tmp_path):
    """Without the library: one line with the extra, and no file."""
    (tmp_path / "safetensors.py").write_text("raise ImportError('none here')\n")
    target = tmp_path / "target"
    saved = _id(place, "arrays")
    ran = script("export", saved, "--format", "safetensors", "-o", target, at=place, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 1
    assert "waycairn[safetensors]" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["safetensors.py"]
    assert not target.exists()


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_a_state_without_arrays_says_so(place, tmp_path, form):
    """One line, and no empty file."""
    ran = waycairn("export", _id(place, "plain"), "--format", form, "-o", tmp_path / "x", at=place)
    assert ran.returncode == 1
    assert "holds no arrays" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_force(place, tmp_path):
    """The old file stays as it was; with --force it is replaced whole, readable by its owner only."""
    target = tmp_path / "state.json"
    target.write_text("mine")
    saved = _id(place, "plain")
    ran = waycairn("export", saved, "-o", target, at=place)
    assert ran.returncode == 1
    assert "--force" in ran.stderr
    assert target.read_text() == "mine"
    assert waycairn("export", saved, "-o", target, "--force", at=place).returncode == 0
    assert json.loads(target.read_text())["state"] == {"nothing": [1, 2]}
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_place_that_cannot_be_written(place, tmp_path):
    """One line that names the file."""
    ran = waycairn("export", _id(place, "plain"), "-o", tmp_path / "none" / "x.json", at=place)
    assert ran.returncode == 1
    assert ran.stderr.startswith("waycairn: ")
    assert "x.json" in ran.stderr


@pytest.mark.parametrize(
    "options", [["--format", "npz"], ["--format", "npz", "--no-data", "-o", "x"], ["--format", "toml"]], ids=" ".join
)
def test_wrong_use(place, options):
    """Exit code 2."""
    assert waycairn("export", _id(place, "plain"), *options, at=place).returncode == 2
    assert not (place / "x").exists()


def test_a_killed_export_leaves_the_old_file(place, tmp_path):
    """Killed while it writes: the file is the old one, not a part of the new one."""
    target = tmp_path / "state.json"
    target.write_text("mine")
    hook = "import os, waycairn.upkeep.exporting as e\ne.flush = lambda handle: os.kill(os.getpid(), 9)\n"
    run = f"{hook}import sys\nsys.argv[0] = 'waycairn'\nfrom waycairn.cli import main\nmain()\n"
    killed = subprocess.run(
        [sys.executable, "-c", run, "export", _id(place, "plain"), "-o", str(target), "--force"],
        cwd=place,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert killed.returncode == -9
    assert target.read_text() == "mine"


def test_the_exported_file_is_what_the_pipe_gets(place, tmp_path):
    """`-o` and standard output hold the same document."""
    saved = _id(place, "report")
    assert waycairn("export", saved, "-o", tmp_path / "f", at=place).returncode == 0
    assert json.loads((tmp_path / "f").read_text()) == json.loads(waycairn("export", saved, at=place).stdout)


def test_the_console_script_is_the_module(place):
    """`python -m waycairn` is the same command."""
    by_module = subprocess.run(
        [sys.executable, "-m", "waycairn", "runs"],
        cwd=place,
        env=environment(COLUMNS="80"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert os.access(WAYCAIRN, os.X_OK)
    assert by_module.stdout.split()[:3] == waycairn("runs", at=place).stdout.split()[:3]
