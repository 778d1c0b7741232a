"""Lightning with checkpoints in a store: real fits in processes that are killed for real.

One process has the library imported and forks those that train (`forked`), because importing takes longer than training.
"""

import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import waycairn as wc
from integrations.forked import Forked
from waycairn.errors import CheckpointNotFound, Damaged, StoreTooNew
from waycairn.integrations import stubs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def trainings():
    for library in ("torch", "lightning"):  # looked for and not imported: that is for the processes that train
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    with Forked("lightning_job") as process:
        yield process


@pytest.fixture(scope="module")
def whole(trainings, tmp_path_factory):
    """What an uninterrupted fit ends with."""
    return trainings.run("fit", tmp_path_factory.mktemp("whole"))


def there(folder):
    """The step of each checkpoint in a folder, by the name of its file; each is read whole and verified."""
    found = {}
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        stub = stubs.read_stub(path)
        with wc.open(folder / "store", create=False) as store:
            found[path.name] = store.load(stub.checkpoint, only="global_step")
            store.core.verify(store.checkpoint(stub.checkpoint).checkpoint.stored)
    return found


def stored(folder):
    """How many checkpoints the store has, named by a file or not."""
    with wc.open(folder / "store") as store:
        return len(store.checkpoints())


def resume(trainings, folder, whole, **arguments):
    """Go on from the last one; the losses from there and the weights are those of an uninterrupted fit."""
    resumed = trainings.run("fit", folder, resume="last", **arguments)
    assert resumed["losses"] == whole["losses"][len(whole["losses"]) - len(resumed["losses"]) :]
    assert resumed["weights"] == whole["weights"]
    return resumed


@pytest.mark.parametrize("top", [1, 2])
def test_the_files_are_those_of_lightning(trainings, whole, tmp_path, top):
    """The best and the last are there by their names, the others are gone from the folder and from the store."""
    done = trainings.run("fit", tmp_path, top=top)
    best = ["step=4.ckpt", "step=6.ckpt"][-top:]
    assert done["files"] == ["last.ckpt", *best]
    assert there(tmp_path) == {"last.ckpt": 12} | {name: int(name[5]) for name in best}
    assert stored(tmp_path) == len(done["files"])
    assert done["losses"] == whole["losses"], "saving changes nothing"


def test_a_fit_that_goes_on_is_the_same_to_the_bit(trainings, whole, tmp_path):
    """Stopped amid an epoch and resumed by another process, from `ckpt_path="last"`."""
    trainings.run("fit", tmp_path, steps=7, top=2)
    assert there(tmp_path)["last.ckpt"] == 6
    resumed = resume(trainings, tmp_path, whole, top=2)
    assert len(resumed["losses"]) == 6


POINTS = [
    "store.value.begin@4",
    "lightning.committed@3",
    "stub.noted@1",
    "stub.written@4",
    "stub.replaced@3",
    "stub.durable@5",
    "stub.taken@1",
    "stub.gone@1",
    "lightning.dropping@1",
    "lightning.dropped@2",
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_in_a_save_a_checkpoint_is_there(trainings, whole, tmp_path, point):
    """With save_top_k=1 every save is followed by a removal. Wherever the process dies, what stands in the folder can be
    loaded and something does; what it left half removed, the next one removes."""
    pid = trainings.start("fit", tmp_path, {"WAYCAIRN_CRASH": f"{point}:KILL"})
    assert trainings.wait(pid) == -signal.SIGKILL
    assert there(tmp_path)
    resume(trainings, tmp_path, whole)
    hidden = {path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith(".")}
    assert not {name for name in hidden if name.endswith(".removing")}
    # One more is left where the process died between a commit and the file that names it.
    unnamed = point.startswith(("lightning.committed", "stub.noted", "stub.written"))
    assert stored(tmp_path) == len(there(tmp_path)) + unnamed


@pytest.mark.parametrize("later", [0.0, 0.03, 0.1, 0.3])
def test_killed_at_any_moment_a_checkpoint_is_there(trainings, tmp_path, later):
    """The same by the clock, with saves of some megabytes under way, each followed by a removal."""
    pid = trainings.start("fit", tmp_path, every=1, steps=500, width=20_000, falling=True, last=False)
    deadline = time.monotonic() + 30
    while not any((tmp_path / "checkpoints").glob("*.ckpt")):
        assert time.monotonic() < deadline, (tmp_path / "errors").read_text()
        time.sleep(0.001)
    time.sleep(later)
    os.kill(pid, signal.SIGKILL)
    assert trainings.wait(pid) == -signal.SIGKILL
    assert there(tmp_path)


def test_a_removal_waits_for_the_save_before_it_and_an_error_is_raised(trainings, tmp_path):
    """A store that is full or away: the fit ends with that error, the removal behind the failed save is left undone, and
    so the earlier checkpoint stands."""
    crash = {"WAYCAIRN_CRASH": "store.value.begin@3:ENOSPC"}
    assert trainings.wait(trainings.start("fit", tmp_path, crash, last=False)) == 1
    errors = (tmp_path / "errors").read_text()
    assert "No space left" in errors
    assert "earlier checkpoints stand, this one was not made" in errors
    assert there(tmp_path)
    assert stored(tmp_path) == len(there(tmp_path))


def test_the_plugin_by_itself(trainings, tmp_path):
    """Order, errors, types and files, without a Trainer: several checks in one process."""
    trainings.run("by_itself", tmp_path)


def test_containers_of_omegaconf(trainings, tmp_path):
    """They come back as what they are, unresolved."""
    if find_spec("omegaconf") is None:
        pytest.skip("omegaconf is not installed")
    trainings.run("by_omegaconf", tmp_path)


def test_bfloat16_weights(trainings, tmp_path):
    """They come back to the bit, in another process, too."""
    trainings.run("fit", tmp_path, steps=4, dtype="bfloat16")
    assert trainings.run("dtypes", tmp_path) == {
        "file": ["torch.bfloat16"],
        "export": ["torch.bfloat16"],
        "fabric": True,
    }


def test_damage_is_told_with_those_that_are_intact(trainings, tmp_path):
    """A damaged checkpoint is never loaded; the error names the intact ones of the folder."""
    trainings.run("fit", tmp_path, top=2, width=20_000)
    paths = {name: stubs.read_stub(tmp_path / "checkpoints" / name) for name in there(tmp_path)}
    newest = max((tmp_path / "store" / "packs").rglob("*"), key=lambda path: (path.is_file(), path.stat().st_mtime_ns))
    data = bytearray(newest.read_bytes())
    for at in range(0, len(data), 64):
        data[at] ^= 0x55
    newest.write_bytes(data)
    with pytest.raises(Damaged):
        there(tmp_path)
    told = trainings.run("damage", tmp_path, path="checkpoints/last.ckpt")
    assert told["intact"] == [str(tmp_path / "checkpoints" / name) for name in ("step=6.ckpt", "step=4.ckpt")]
    assert "last.ckpt is damaged" in told["message"]
    with wc.open(tmp_path / "store") as store:
        assert store.checkpoint(paths["last.ckpt"].checkpoint).status == "damaged"


def test_a_stub_whose_content_is_gone(trainings, tmp_path):
    """Someone removed it from the store: said by name."""
    trainings.run("fit", tmp_path, steps=2)
    stub = stubs.read_stub(tmp_path / "checkpoints" / "last.ckpt")
    with wc.open(tmp_path / "store") as store:
        store.delete(stub.checkpoint)
        with pytest.raises(CheckpointNotFound):
            store.load(stub.checkpoint)
    assert trainings.wait(trainings.start("fit", tmp_path, resume="last")) == 1
    assert "there is no checkpoint" in (tmp_path / "errors").read_text()


def test_a_stub_is_as_the_format_page_shows_it(tmp_path):
    """Written so and read so; one of a newer version is refused."""
    shown = (
        (ROOT / "docs/reference/format.md")
        .read_text("utf-8")
        .partition("<!-- stub -->\n```json\n")[2]
        .partition("\n")[0]
    )
    path = tmp_path / "new" / "a.ckpt"
    stub = stubs.Stub(store="/data/.waycairn", checkpoint="k7f3qx0a9m2d.0")
    stubs.write_stub(path, stub)
    assert path.read_text("utf-8") == shown
    assert stubs.read_stub(path) == stub
    path.write_text(shown.replace('"waycairn":1', '"waycairn":2'), "utf-8")
    with pytest.raises(StoreTooNew, match="newer"):
        stubs.read_stub(path)


def test_the_page_runs(trainings, tmp_path):
    """The example of the page, as a reader would run it, twice: the second time it is trained already."""
    for _ in range(2):
        trainings.run("page", tmp_path, path=str(ROOT / "docs/how-to/lightning.md"))
    assert "\n40\n" in "\n" + (tmp_path / "errors").read_text()
