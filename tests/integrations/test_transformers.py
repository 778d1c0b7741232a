"""A Trainer of Hugging Face with the callback: real trainings in processes that get real signals.

One process has the library imported and forks those that train (`forked`), because importing takes longer than training.
"""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed, which the Trainer needs")
if not any((Path(place) / "transformers").is_dir() for place in sys.path if place):
    pytest.skip("transformers is not installed", allow_module_level=True)

import waycairn as wc
from integrations.forked import Forked
from waycairn.model.states import CheckpointStatus

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def trainings():
    with Forked("transformers_job") as process:
        yield process


@pytest.fixture(scope="module")
def whole(trainings, tmp_path_factory):
    """What an uninterrupted training ends with."""
    return trainings.run("train", tmp_path_factory.mktemp("whole"))


def alike(one, other):
    return all(one[name] == other[name] for name in ("weights", "logs", "step"))


def there(folder):
    """The step of each checkpoint that is intact, newest first; each is read whole."""
    found = []
    with wc.open(folder / "store") as store:
        for record in store.checkpoints("tiny"):
            store.core.verify(record.checkpoint.stored)
            found.append(int(record.checkpoint.description.removeprefix("step ")))
    return found


def begin(trainings, folder, until, **arguments):
    """A training that reached a step: its process id."""
    pid = trainings.start("train", folder, **arguments)
    deadline = time.monotonic() + 30
    while not (folder / "steps").exists() or f"\n{until}\n" not in "\n" + (folder / "steps").read_text():
        assert time.monotonic() < deadline, (folder / "errors").read_text()
        time.sleep(0.002)
    return pid


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        (7, {}),  # amid an epoch, between two logs
        (10, {}),  # the last step of an epoch, with an evaluation
        (8, {"gradient_accumulation_steps": 2, "logging_strategy": "epoch"}),
    ],
)
def test_sigterm_saves_the_step_under_way_and_resuming_is_the_same_to_the_bit(
    trainings, whole, tmp_path, step, arguments
):
    """SIGTERM in a step: it ends, its checkpoint is durable, the exit code is that of the signal; what is resumed ends
    with the weights, losses and evaluations of an uninterrupted training."""
    expected = trainings.run("train", tmp_path, store="other", **arguments) if arguments else whole
    pid = trainings.start("train", tmp_path, stop_at=step, every=1000, **arguments)
    assert trainings.wait(pid) == 128 + signal.SIGTERM
    assert there(tmp_path)[0] == step
    resumed = trainings.run("train", tmp_path, **arguments)
    assert alike(resumed, expected)
    assert resumed["resumed"]
    assert resumed["left"] == [], "the directory to resume from is a copy for one start"


@pytest.mark.parametrize("until", [3, 23])
def test_killed_at_any_moment_it_goes_on_and_ends_the_same_to_the_bit(trainings, whole, tmp_path, until):
    """SIGKILL while steps and saves are under way."""
    pid = begin(trainings, tmp_path, until, every=1, pause=0.02)
    os.kill(pid, signal.SIGKILL)
    assert trainings.wait(pid) == -signal.SIGKILL
    assert alike(trainings.run("train", tmp_path), whole)


def test_saved_between_two_epochs_it_goes_on_the_same_to_the_bit(trainings, whole, tmp_path):
    """The random states are those from before the loader was asked for the new epoch, which draws from them."""
    crash = {"WAYCAIRN_CRASH": "store.value.begin@3:KILL"}
    assert trainings.wait(trainings.start("train", tmp_path, crash, every=5)) == -signal.SIGKILL
    assert there(tmp_path) == [10, 5]
    assert alike(trainings.run("train", tmp_path), whole)


@pytest.mark.parametrize("point", ["store.value.begin@3", "transformers.committed@3", "transformers.pruning@1"])
def test_an_older_checkpoint_goes_only_behind_the_newer_one(trainings, whole, tmp_path, point):
    """Killed between a commit and the removals behind it, as many as are to be kept are there, or more."""
    pid = trainings.start("train", tmp_path, {"WAYCAIRN_CRASH": f"{point}:KILL"}, every=2, pause=0.01)
    assert trainings.wait(pid) == -signal.SIGKILL
    left = there(tmp_path)
    assert len(left) >= 2
    assert left == sorted(left, reverse=True)
    assert alike(trainings.run("train", tmp_path), whole)
    assert there(tmp_path) == [24, 22]


def test_a_finished_training_stays_as_it_is(trainings, whole, tmp_path):
    """Started again, it trains no step, though the Trainer does one more before it counts them; nothing new is saved."""
    trainings.run("train", tmp_path)
    assert alike(trainings.run("train", tmp_path), whole)
    assert there(tmp_path) == [24, 22]


def test_the_programs_own_handler_is_called_and_put_back(trainings, tmp_path):
    """With a handler of its own, a program gets its signal after the checkpoint is durable, and train() returns."""
    stopped = trainings.run("train", tmp_path, stop_at=6, own_handler=True)
    assert (stopped["handled"], stopped["step"]) == ([signal.SIGTERM], 6)
    assert there(tmp_path)[0] == 6


def test_a_second_sigterm_ends_it_at_once(trainings, tmp_path):
    """Whoever cannot wait for the end of the step sends another one: the former handler acts, which ends the process."""
    pid = begin(trainings, tmp_path, 1, every=1000, pause=30.0)
    os.kill(pid, signal.SIGTERM)
    time.sleep(0.1)
    os.kill(pid, signal.SIGTERM)
    assert trainings.wait(pid) == -signal.SIGTERM


def rot(store, newest=True):
    """Change a byte in the pack that was written last, or in all of them."""
    packs = sorted((store / "packs").rglob("*"), key=lambda path: path.stat().st_mtime_ns)
    packs = [path for path in packs if path.is_file()]
    for pack in packs[-1:] if newest else packs:
        data = bytearray(pack.read_bytes())
        for at in range(0, len(data), 64):
            data[at] ^= 0x55
        pack.write_bytes(data)


def test_a_damaged_newest_checkpoint_is_passed_over(trainings, whole, tmp_path):
    """The newest intact one is resumed from, the reason is recorded; with none intact it says so and starts nothing."""
    trainings.wait(trainings.start("train", tmp_path, stop_at=15, every=5, big=True))
    before = there(tmp_path)
    assert before[0] == 15
    rot(tmp_path / "store")
    trainings.run("train", tmp_path, big=True)
    with wc.open(tmp_path / "store") as store:
        damaged = store.checkpoints("tiny", status=CheckpointStatus.DAMAGED)
        assert [record.checkpoint.description for record in damaged] == ["step 15"]
        assert damaged[0].damage
    rot(tmp_path / "store", newest=False)
    pid = trainings.start("train", tmp_path, big=True)
    assert trainings.wait(pid) == 1
    assert "no checkpoint of the training 'tiny' is intact" in (tmp_path / "errors").read_text()


def test_an_error_behind_the_loop_is_raised_by_it(trainings, tmp_path):
    """A save that fails in the background ends the training at the next save; earlier checkpoints stand."""
    crash = {"WAYCAIRN_CRASH": "store.value.begin@3:ENOSPC"}
    assert trainings.wait(trainings.start("train", tmp_path, crash, every=2)) == 1
    errors = (tmp_path / "errors").read_text()
    assert "No space left" in errors
    assert "this one was not made" in errors
    assert there(tmp_path) == [4, 2]


def test_what_a_save_keeps_and_how_often(trainings, tmp_path):
    """A pace in steps, seconds or by itself; anything else is refused with a sentence."""
    assert trainings.run("paces", tmp_path) == {
        "5": [5, None],
        "30s": [None, 30.0],
        "5m": [None, 300.0],
        "2h": [None, 7200.0],
        "auto": [None, None],
        "automatic": True,
    }


def test_the_page_runs(trainings, tmp_path):
    """The example of the page, as a reader would run it: twice, and the second time it is finished already."""
    for _ in range(2):
        trainings.run("page", tmp_path, path=str(ROOT / "docs/how-to/hugging-face.md"))
    assert '{"steps": 30}' in (tmp_path / "errors").read_text()
    with wc.open(tmp_path / ".waycairn") as store:
        assert store.checkpoints("tiny")[0].checkpoint.description == "step 30"
