"""A training with Lightning that is small and real: what the tests start, kill and resume."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from waycairn.integrations.lightning import WaycairnCheckpointIO

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")


class Net(pl.LightningModule):
    """Regression on numbers of its own, with dropout, so that the random state matters; a loss that falls and rises."""

    def __init__(self, width=16, dtype="float32", log=None, losses=None):
        super().__init__()
        self.save_hyperparameters(ignore=["log", "losses"])
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(width, 1)
        ).to(getattr(torch, dtype))
        self.kept = losses if losses is not None else []
        self.told = log

    def training_step(self, batch, index):
        inputs, targets = batch
        loss = (self.layers(inputs.to(self.layers[0].weight.dtype)) - targets).square().mean()
        self.kept.append((self.global_step, loss.item()))
        # What is monitored goes up and down, so that the best are not always the newest.
        self.log("loss", float((self.global_step * 7) % 5), on_step=True)
        if self.told:
            with Path(self.told).open("a") as file:
                file.write(f"{self.global_step}\n")
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
    steps=12, resume=None, top=1, every=2, last=True, io=None, store="store", wait=False, width=16, dtype="float32", log=None
):
    """Train, from the newest checkpoint if asked; returns the losses by step and the weights as numbers."""
    torch.set_num_threads(1)
    pl.seed_everything(3, verbose=False)
    losses = []
    net = Net(width, dtype, log, losses)
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


def look(folder="checkpoints", store="store"):
    """Load every checkpoint in a folder: its name, and the step that it was made at."""
    io = WaycairnCheckpointIO(store)
    return {path.name: io.load_checkpoint(path)["global_step"] for path in sorted(Path(folder).glob("*.ckpt"))}


if __name__ == "__main__":
    print(json.dumps(fit()))
