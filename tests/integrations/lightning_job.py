"""A training with Lightning that is small and real: what the tests start, kill and resume."""

from __future__ import annotations

import argparse
import enum
import logging
import tempfile
import threading
import time
import warnings
from collections import OrderedDict
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.data import AttributeDict
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import parsing

import waycairn as wc
from waycairn.errors import Damaged, UnknownType, WaycairnError
from waycairn.integrations.lightning import WaycairnCheckpointIO
from waycairn.integrations.stubs import read_stub
from waycairn.world import crashpoints

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Net(pl.LightningModule):
    """Regression on numbers of its own, with dropout, so that the random state matters; a loss that falls and rises."""

    def __init__(self, width=16, dtype="float32", falling=False, losses=None):
        super().__init__()
        self.save_hyperparameters(ignore=["losses"])
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(width, 1)
        ).to(getattr(torch, dtype))
        self.kept = losses if losses is not None else []
        self.falling = falling

    def training_step(self, batch, index):
        inputs, targets = batch
        loss = (self.layers(inputs.to(self.layers[0].weight.dtype)) - targets).square().mean()
        self.kept.append((self.global_step, loss.item()))
        # What is monitored goes up and down, so that the best are not always the newest.
        self.log("loss", float(-self.global_step if self.falling else (self.global_step * 7) % 5), on_step=True)
        return loss

    def on_save_checkpoint(self, checkpoint):
        checkpoint["random"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint):
        self.random = checkpoint["random"]

    def on_train_start(self):
        if hasattr(self, "random"):
            torch.set_rng_state(self.random)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5), "interval": "step"}]


class Batches:
    """Batches in an order of chance that goes on where it was: Lightning keeps the place of a loader that tells it."""

    def __init__(self):
        self.inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
        self.place = 0
        self.is_resumed = False

    def __len__(self):
        return 16

    def __iter__(self):
        if not self.is_resumed:
            self.place = 0
        self.is_resumed = False
        order = torch.randperm(64, generator=torch.Generator().manual_seed(2)).split(4)
        for indices in order[self.place :]:
            self.place += 1
            yield self.inputs[indices], self.inputs[indices].sum(1, keepdim=True)

    def state_dict(self):
        return {"place": self.place}

    def load_state_dict(self, state):
        self.place, self.is_resumed = state["place"], True


def fit(
    *,
    steps=12,
    resume=None,
    top=1,
    every=2,
    last=True,
    io=None,
    store="store",
    wait=False,
    width=16,
    dtype="float32",
    falling=False,
):
    """Train, from the newest checkpoint if asked; returns the losses by step and the weights as numbers."""
    torch.set_num_threads(1)
    pl.seed_everything(3, verbose=False)
    losses = []
    net = Net(width, dtype, falling, losses)
    keeping = ModelCheckpoint(
        "checkpoints", filename="{step}", monitor="loss", save_top_k=top, save_last=last, every_n_train_steps=every
    )
    trainer = pl.Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[keeping],
        plugins=[io or WaycairnCheckpointIO(store, wait=wait)],
    )
    trainer.fit(net, Batches(), ckpt_path=resume)
    return {
        "losses": losses,
        "weights": [parameter.float().flatten().tolist() for parameter in net.parameters()],
        "files": sorted(path.name for path in Path("checkpoints").iterdir()),
        "best": keeping.best_model_path,
    }


def damage(path):
    """What is told of a checkpoint that is damaged."""
    try:
        WaycairnCheckpointIO("store").load_checkpoint(path)
    except Damaged as error:
        return {"intact": error.intact, "message": str(error)}
    return None


def dtypes():
    """The types of the weights in a checkpoint, as it is, exported, and saved by Fabric."""
    io = WaycairnCheckpointIO("store")
    io.export_checkpoint("checkpoints/last.ckpt", "exported.ckpt")
    found = {
        "file": io.load_checkpoint("checkpoints/last.ckpt"),
        "export": torch.load("exported.ckpt", weights_only=False),
    }
    equal = all(
        torch.equal(one, other)
        for one, other in zip(found["file"]["state_dict"].values(), found["export"]["state_dict"].values(), strict=True)
    )
    assert equal
    kinds = {
        name: sorted({str(one.dtype) for one in content["state_dict"].values()}) for name, content in found.items()
    }
    return kinds | {"fabric": by_fabric()}


def by_fabric():
    """Fabric saves and loads in place by the same plugin."""
    io = WaycairnCheckpointIO("store")
    fabric = Fabric(accelerator="cpu", plugins=[io])
    layer = torch.nn.Linear(2, 2)
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    fabric.save("fabric.ckpt", {"layer": layer, "step": 3})
    with torch.no_grad():
        layer.weight.zero_()
    rest = fabric.load("fabric.ckpt", {"layer": layer})
    return rest == {"step": 3} and all(torch.equal(before[name], layer.state_dict()[name]) for name in before)


class Mode(enum.Enum):
    FAST = 1


class Attributes(dict):
    """A mapping of the user's own."""


def by_itself():
    """The plugin without a Trainer."""
    _content_comes_back()
    _is_copied_when_it_is_saved()
    _order_and_errors()
    _files_of_all_kinds()


def _content_comes_back():
    io = WaycairnCheckpointIO("store", types=[Mode, Attributes], wait=True)
    content = {
        "namespace": argparse.Namespace(rate=0.1, nested=argparse.Namespace(deep=(1, 2))),
        "attributes": AttributeDict(a=AttributeDict(b=[AttributeDict(c=1)])),
        "parsing": parsing.AttributeDict(a=1),
        "own": Attributes(x=1),
        "mode": Mode.FAST,
        "number": np.float32(1.5),
        "odd": {"$type": "argparse:Namespace", "content": {"not": "one"}},
        "state": OrderedDict(weight=torch.arange(3.0)),
    }
    io.save_checkpoint(content, "own.ckpt")
    again = WaycairnCheckpointIO("store", types=[Mode, Attributes]).load_checkpoint("own.ckpt")
    assert torch.equal(again.pop("state")["weight"], content.pop("state")["weight"])
    assert again == content
    assert {name: type(value) for name, value in again.items()} == {n: type(value) for n, value in content.items()}
    assert type(again["attributes"].a.b[0]) is AttributeDict
    with pytest.raises(UnknownType, match="types="):
        WaycairnCheckpointIO("store", types=[Mode]).load_checkpoint("own.ckpt")
    plain = WaycairnCheckpointIO("store")
    for value in (Mode.FAST, Attributes(), object(), Net):
        with pytest.raises(TypeError, match="hparams"):
            plain.save_checkpoint({"hparams": {"value": value}}, "refused.ckpt")
    plain.teardown()
    assert not Path("refused.ckpt").exists()
    there = WaycairnCheckpointIO("store", types=[Mode, Attributes])
    for where in ("cpu", torch.device("cpu"), {"cuda:0": "cpu"}, lambda storage, _: storage, lambda _, __: None):
        assert there.load_checkpoint("own.ckpt", map_location=where)["state"]["weight"].device.type == "cpu"
    moved = there.load_checkpoint("own.ckpt", map_location=lambda *_: torch.empty(0, device="meta").untyped_storage())
    assert moved["state"]["weight"].device.type == "meta"


def by_omegaconf():
    """Hyper-parameters as containers, and their class, as Lightning keeps them then."""
    from omegaconf import DictConfig, OmegaConf

    content = {
        "hyper_parameters": OmegaConf.create({"rate": 0.1, "half": "${rate}", "layers": [{"width": 3}]}),
        "hparams_type": DictConfig,
    }
    WaycairnCheckpointIO("store", wait=True).save_checkpoint(content, "conf.ckpt")
    again = WaycairnCheckpointIO("store").load_checkpoint("conf.ckpt")
    assert again == content
    assert type(again["hyper_parameters"]) is DictConfig
    assert OmegaConf.to_container(again["hyper_parameters"], resolve=False)["half"] == "${rate}"
    assert again["hyper_parameters"].layers[0].width == 3


def _is_copied_when_it_is_saved():
    io = WaycairnCheckpointIO("store")
    live = torch.zeros(300_000)
    for number in range(4):
        live.fill_(number)
        io.save_checkpoint({"live": live, "number": number}, f"copied-{number}.ckpt")
        live.fill_(-1.0)
    for number in range(4):
        assert bool((io.load_checkpoint(f"copied-{number}.ckpt")["live"] == number).all())


def _order_and_errors():
    io = WaycairnCheckpointIO("store")
    io.save_checkpoint({"number": 1}, "order/a.ckpt")
    io.wait()
    # Stopped in the commit: nothing is removed before it, and it is removed afterwards.
    gate = threading.Event()
    io._queue.after_saves(gate.wait, "a test")
    io.save_checkpoint({"number": 2}, "order/b.ckpt")
    io.remove_checkpoint("order/a.ckpt")
    assert Path("order/a.ckpt").exists()
    assert not Path("order/b.ckpt").exists()
    gate.set()
    io.wait()
    assert not Path("order/a.ckpt").exists()
    # A failed save: its error comes once, the removals behind it are left undone, what follows works again.
    crashpoints.arm("store.value.begin", act="ENOSPC")
    io.save_checkpoint({"number": 3}, "order/c.ckpt")
    io.remove_checkpoint("order/b.ckpt")
    io.remove_checkpoint("order/b.ckpt")
    with pytest.raises(OSError, match="No space left"):
        io.wait()
    crashpoints.disarm()
    assert io.load_checkpoint("order/b.ckpt") == {"number": 2}
    io.save_checkpoint({"number": 4}, "order/d.ckpt")
    io.remove_checkpoint("order/b.ckpt")
    io.teardown()
    assert sorted(path.name for path in Path("order").iterdir()) == ["d.ckpt"]
    # A file that cannot be written: the content is not named, the error is raised by the next save.
    Path("order/e.ckpt").mkdir()
    io.save_checkpoint({"number": 5}, "order/e.ckpt")
    time.sleep(0.2)
    with pytest.raises(WaycairnError, match=r"e\.ckpt"):
        io.save_checkpoint({"number": 6}, "order/f.ckpt")
    io.teardown()
    assert not Path("order/f.ckpt").exists()


def _files_of_all_kinds():
    io = WaycairnCheckpointIO("store", wait=True)
    folder = Path("files")
    io.save_checkpoint({"number": 1}, folder / "a.ckpt")
    # Written over: the former content goes. Renamed: it goes along. A hard link, a symbolic one, a pin: it stays.
    io.save_checkpoint({"number": 2}, folder / "a.ckpt")
    first = read_stub(folder / "a.ckpt")
    (folder / "a.ckpt").rename(folder / "b.ckpt")
    io.save_checkpoint({"number": 3}, folder / "a.ckpt")
    assert io.load_checkpoint(folder / "b.ckpt") == {"number": 2}
    (folder / "hard.ckpt").hardlink_to(folder / "a.ckpt")
    (folder / "soft.ckpt").symlink_to("b.ckpt")
    io.remove_checkpoint(folder / "a.ckpt")
    assert io.load_checkpoint(folder / "hard.ckpt") == {"number": 3}
    assert io.load_checkpoint(folder / "soft.ckpt") == {"number": 2}
    io.save_checkpoint({"number": 4}, folder / "soft.ckpt")
    assert io.load_checkpoint(folder / "b.ckpt") == {"number": 2}
    with wc.open("store") as store:
        store.pin(first.checkpoint)
        io.remove_checkpoint(folder / "b.ckpt")
        assert store.load(first.checkpoint) == {"number": 2}
        assert not (folder / "b.ckpt").exists()
    # What a process noted that died before its removal began: the stub stands, so nothing is removed.
    note = folder / ".hard.ckpt.removing"
    note.write_bytes((folder / "hard.ckpt").read_bytes())
    WaycairnCheckpointIO("store", wait=True).save_checkpoint({"number": 7}, folder / "after.ckpt")
    assert not note.exists()
    assert io.load_checkpoint(folder / "hard.ckpt") == {"number": 3}
    # Another store: a stub knows where its content lies.
    WaycairnCheckpointIO("elsewhere", wait=True).save_checkpoint({"number": 5}, folder / "else.ckpt")
    assert io.load_checkpoint(folder / "else.ckpt") == {"number": 5}
    io.remove_checkpoint(folder / "else.ckpt")
    with wc.open("elsewhere") as store:
        assert store.checkpoints() == []
    # Files of others.
    torch.save({"number": 6}, folder / "torch.ckpt")
    with pytest.raises(ValueError, match="no checkpoint of waycairn"):
        io.load_checkpoint(folder / "torch.ckpt")
    io.remove_checkpoint(folder / "torch.ckpt")
    io.remove_checkpoint(folder / "torch.ckpt")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        io.load_checkpoint(folder / "torch.ckpt")
    with pytest.raises(ValueError, match="local file system"):
        io.save_checkpoint({}, "s3://bucket/a.ckpt")
    with pytest.raises(TypeError, match="storage_options"):
        io.save_checkpoint({}, "a.ckpt", storage_options={})
    (folder / "torn.ckpt").write_bytes((folder / "hard.ckpt").read_bytes()[:30])
    with pytest.raises(Damaged, match="stub"):
        io.load_checkpoint(folder / "torn.ckpt")
    with wc.open("store") as store:
        listed = {record.id: record.checkpoint.description for record in store.checkpoints()}
    whole = [path for path in Path.cwd().rglob("*.ckpt") if path.is_file() and path.name != "torn.ckpt"]
    unnamed = set(listed) - {read_stub(path).checkpoint for path in whole}
    # The pinned one, and the one whose file could not be written.
    assert {Path(listed[one]).name for one in unnamed} == {"a.ckpt", "e.ckpt"}
    assert len(unnamed) == 2


def warm():
    """What every fit would import and prepare, once."""
    with tempfile.TemporaryDirectory() as folder, wc.open(Path(folder) / "store") as store:
        store.save("warm", {"number": 1})
        store.latest("warm")
        torch.set_num_threads(1)
        pl.Trainer(max_steps=1, accelerator="cpu", logger=False, default_root_dir=folder, enable_progress_bar=False)
