"""A training with Hugging Face's Trainer that is small and real: what the tests start, stop, kill and resume."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

import waycairn as wc
from waycairn.integrations.transformers import WaycairnCallback, pace_of

transformers.logging.set_verbosity_error()

LENGTH = 8
EXAMPLES = 40
STEPS = 24


def model(width=16):
    """Two layers that nobody trained, with dropout and tied embeddings, so that random states and sharing matter."""
    torch.manual_seed(5)
    config = GPT2Config(
        vocab_size=40, n_positions=LENGTH, n_embd=width, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    config.loss_type = "ForCausalLM"
    return GPT2LMHeadModel(config)


def examples():
    tokens = np.random.default_rng(1).integers(0, 40, (EXAMPLES, LENGTH))
    return [{"input_ids": torch.tensor(row), "labels": torch.tensor(row)} for row in tokens]


class Teller(TrainerCallback):
    """Writes each step that ended into a file; sends a signal to its own process at one of them; may be slow."""

    def __init__(self, stop_at=None, pause=0.0):
        self.stop_at, self.pause = stop_at, pause

    def on_optimizer_step(self, args, state, control, **_):
        with Path("steps").open("a") as file:
            file.write(f"{state.global_step + 1}\n")
        if state.global_step + 1 == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self.pause)


def train(
    *, steps=STEPS, every=2, keep=2, stop_at=None, pause=0.0, own_handler=False, store="store", big=False, **arguments
):
    """Train, or go on with it; what can be seen at the end."""
    torch.set_num_threads(1)
    transformers.set_seed(3)
    handled = []
    if own_handler:
        signal.signal(signal.SIGTERM, lambda number, _: handled.append(number))
    callback = WaycairnCallback(store, name="tiny", save_every=every, keep=keep)
    given = TrainingArguments(
        "out",
        max_steps=steps,
        per_device_train_batch_size=4,
        learning_rate=0.01,
        save_strategy="no",
        eval_strategy="steps",
        eval_steps=5,
        logging_steps=3,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        **arguments,
    )
    trainer = Trainer(
        model(128 if big else 16),
        given,
        train_dataset=examples(),
        eval_dataset=examples()[:8],
        callbacks=[callback, Teller(stop_at, pause)],
    )
    resumed = callback.checkpoint_dir(trainer)
    trainer.train(resume_from_checkpoint=resumed)
    return {
        "resumed": resumed,
        "weights": [parameter.flatten().tolist() for parameter in trainer.model.parameters()],
        "logs": [_lasting(entry) for entry in trainer.state.log_history if "train_runtime" not in entry],
        "step": trainer.state.global_step,
        "handled": handled,
        "handler": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "left": sorted(path.name for path in Path("out").iterdir()),
    }


def _lasting(entry):
    """What of a log is the same every time: no durations."""
    return {name: value for name, value in entry.items() if "runtime" not in name and "per_second" not in name}


def warm():
    """What every training would import and prepare, once."""
    with tempfile.TemporaryDirectory() as folder, wc.open(Path(folder) / "store") as store:
        store.save("warm", {"number": 1})
        store.latest("warm")
        torch.set_num_threads(1)
        Trainer(model(), TrainingArguments(folder, use_cpu=True, report_to=[]), train_dataset=examples())


def paces():
    """How save_every is understood, and that an automatic pace saves."""
    found = {str(value): [pace_of(value).items, pace_of(value).seconds] for value in (5, "30s", "5m", "2h", "auto")}
    for wrong in (0, True, "often", 1.5):
        with pytest.raises(ValueError, match="30s"):
            pace_of(wrong)
    with pytest.raises(ValueError, match="at least 1"):
        WaycairnCallback("store", keep=0)
    many = type("Arguments", (), {"world_size": 2})()
    with pytest.raises(NotImplementedError, match="one process"):
        WaycairnCallback("store").on_train_begin(many, None, None)
    train(every="auto", pause=0.03)
    with wc.open("store") as store:
        found["automatic"] = store.checkpoints("tiny")[0].checkpoint.description == f"step {STEPS}"
    return found
