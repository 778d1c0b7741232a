"""Training loops with torch: killed and resumed, bit-identical to one that nobody disturbed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

import killing
import waycairn as wc
from waycairn.world.crashpoints import arm

torch = pytest.importorskip("torch", reason="torch is not installed")
np = pytest.importorskip("numpy", reason="numpy is not installed")
loading = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

# torchdata calls what torch has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated", "ignore:.*lr_scheduler.step.*")


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Children are forked from here: what they would all import is imported once. And native threads do not survive
    a fork, so there is one; sums keep their order, too."""
    torch.set_num_threads(1)
    weights = torch.nn.Parameter(torch.zeros(1))
    for optimizer in (torch.optim.AdamW([weights]), torch.optim.SGD([weights], momentum=0.9)):
        weights.sum().backward()
        optimizer.step()
    list(loading.StatefulDataLoader([1, 2], batch_size=1, shuffle=True))


def digest(*states: Any) -> str:
    found = hashlib.sha256()
    for state in states:
        for name, tensor in sorted(state.items()):
            found.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode() + tensor.detach().numpy().tobytes())
    return found.hexdigest()


def train(place: Path, *, steps: int = 14, seed: int = 3, die: int = -1) -> dict[str, Any]:
    """Dropout, running statistics, tied weights, two optimizers, a schedule, shuffled data, noise of all generators."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    data = torch.utils.data.TensorDataset(torch.arange(240.0).reshape(60, 4), torch.arange(60) % 2)
    loader = loading.StatefulDataLoader(data, batch_size=8, shuffle=True, num_workers=0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 4),
        torch.nn.BatchNorm1d(4),
        torch.nn.Dropout(0.4),
        torch.nn.Linear(4, 4),
        torch.nn.Linear(4, 2),
    )
    model[3].weight = model[0].weight
    body = torch.optim.AdamW([*model[0].parameters(), *model[1].parameters()], lr=1e-2)
    head = torch.optim.SGD(model[4].parameters(), lr=1e-2, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(body, max_lr=0.1, total_steps=steps)
    ema = {name: value.clone() for name, value in model.state_dict().items()}
    with wc.open(place / "store") as store, store.run("train", progress="off") as run:
        losses = run.output(place / "losses.csv", append=True)
        run.track(model=model, optimizers=[body, head], scheduler=schedule, data=loader, ema=ema, rng=True)
        batches = iter(loader)
        for step in run.steps(steps, save_every=3):
            try:
                inputs, labels = next(batches)
            except StopIteration:
                batches = iter(loader)
                inputs, labels = next(batches)
            noise = random.random() * 1e-3 + np.random.rand() * 1e-3 + torch.rand(()) * 1e-3
            loss = torch.nn.functional.cross_entropy(model(inputs / 240 + noise), labels)
            for optimizer in (body, head):
                optimizer.zero_grad()
            loss.backward()
            if step == die:
                os.kill(os.getpid(), signal.SIGKILL)
            for optimizer in (body, head):
                optimizer.step()
            schedule.step()
            for name, value in model.state_dict().items():
                ema[name].copy_(0.9 * ema[name] + 0.1 * value)
            losses.write(f"{step},{loss.item()!r},{schedule.get_last_lr()}\n")
    moments = {f"{n}{k}": v for n, s in body.state_dict()["state"].items() for k, v in s.items()}
    return {"weights": digest(model.state_dict(), ema, moments), "losses": (place / "losses.csv").read_text()}


@pytest.fixture(scope="module")
def expected(warm: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What an undisturbed process ends with."""
    golden = killing.attempt(train, tmp_path_factory.mktemp("golden"), traced=False)
    assert golden.code == 0, golden.error
    return golden.result


@pytest.mark.parametrize("die", [0, 5, 13])
def test_a_training_that_is_killed_ends_bit_identical(tmp_path: Path, expected: Any, die: int) -> None:
    """Weights, moments, running statistics, losses and the order of the data, after SIGKILLs in the loop."""
    assert killing.attempt(lambda where: train(where, die=die), tmp_path, traced=False).code == -signal.SIGKILL
    with wc.open(tmp_path / "store") as store:
        has_begun = bool(store.checkpoints("train", role="state"))
    # A process that was seeded otherwise, and is killed as well: nothing of its own must be left.
    again = killing.attempt(lambda where: train(where, seed=99 if has_begun else 3, die=8), tmp_path, traced=False)
    assert again.code == (-signal.SIGKILL if die <= 8 else 0)
    ended = killing.attempt(train, tmp_path, traced=False)
    assert ended.result == expected, ended.error


@pytest.mark.parametrize("point", ["store.chunks", "store.committed", "saving.end"])
def test_killed_by_the_thread_that_writes(tmp_path: Path, expected: Any, point: str) -> None:
    """Within a save behind the loop: the one before is used, and the end is the same."""
    killed = killing.attempt(
        lambda where: train(where) if arm(point, 2, "KILL") is not None else None, tmp_path, traced=False
    )
    assert killed.code == -signal.SIGKILL, f"no kill at {point}"
    assert killing.attempt(train, tmp_path, traced=False).result == expected


def test_tied_weights_come_back_tied_and_a_part_is_loaded_alone(tmp_path: Path) -> None:
    """What shares memory shares it again; `only` reads one tensor of one model."""
    train(tmp_path)
    with wc.open(tmp_path / "store") as store:
        newest = store.checkpoints("train", role="state", limit=1)[0]
        model = store.load(newest.id, only="model")
        assert model["0.weight"].data_ptr() == model["3.weight"].data_ptr()
        alone = store.load(newest.id, only="model.4.bias")
        assert torch.equal(alone, model["4.bias"])
