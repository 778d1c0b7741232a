"""What a training of Hugging Face's Trainer consists of, as a value for a store, and as the directory it resumes from.

Version 1 is a dict: version, step, model, optimizer, scheduler and scaler (their state_dicts; None where there is none),
random (python, numpy, cpu, cuda), trainer (the fields of TrainerState) and losses (the sum since the last log, and when
that was; None if the Trainer was not at hand).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waycairn.world.files import make_directory, translated

VERSION = 1
_SUMMARY = "train_runtime"
"""In the entry of the history that the Trainer adds when it returns: no part of the training."""


def collect(state: Any, *, model: Any, optimizer: Any, scheduler: Any, trainer: Any = None) -> dict[str, Any]:
    """Everything that the next step depends on. The tensors are the live ones: encode it before they change."""
    if trainer is not None:
        trainer.store_flos()
    return {
        "version": VERSION,
        "step": state.global_step,
        "model": model.state_dict(),
        "optimizer": _state_of(optimizer),
        "scheduler": _state_of(scheduler),
        "scaler": _state_of(getattr(optimizer, "scaler", None)),
        "random": _random_states(),
        "trainer": _trainer_state(state, trainer),
        "losses": _losses(trainer),
    }


def history_of(state: Any) -> list[dict[str, Any]]:
    """The logs of the training, without the summary of a call of train() that ended."""
    history: list[dict[str, Any]] = state.log_history
    return history[:-1] if history and _SUMMARY in history[-1] else history


def put_back_losses(trainer: Any, losses: Mapping[str, Any] | None) -> None:
    """Let the next log speak of all steps since the last one: the Trainer itself starts anew at the step it resumes at.
    The loss over the whole call, in its summary, stays that of the steps of this call."""
    if losses is None or not hasattr(trainer, "_tr_loss"):
        return
    import torch

    since = torch.tensor(losses["since_log"], dtype=trainer._tr_loss.dtype, device=trainer._tr_loss.device)  # noqa: SLF001
    trainer._tr_loss = since  # noqa: SLF001 - there is no public place for it
    trainer._total_loss_scalar = -since.item()  # noqa: SLF001
    trainer._globalstep_last_logged = losses["logged"]  # noqa: SLF001


def write_directory(content: Mapping[str, Any], folder: Path) -> None:
    """Write it as a directory that `Trainer.train(resume_from_checkpoint=...)` takes, in the formats that it reads. A
    copy for one start, so nothing is flushed. What was at `folder` is replaced."""
    import torch
    from safetensors.torch import save_file

    with translated("the directory to resume from", folder):
        shutil.rmtree(folder, ignore_errors=True)
        make_directory(folder)
        save_file(_apart(content["model"]), folder / "model.safetensors", metadata={"format": "pt"})
        torch.save(content["random"], folder / "rng_state.pth")
        for name in ("optimizer", "scheduler", "scaler"):
            if content[name] is not None:
                torch.save(content[name], folder / f"{name}.pt")
        (folder / "trainer_state.json").write_text(json.dumps(content["trainer"], indent=2), "utf-8")


def _state_of(part: Any) -> Any:
    return None if part is None else part.state_dict()


def _random_states() -> dict[str, Any]:
    import numpy as np
    import torch

    states = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - the global one, which the Trainer restores
        "cpu": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.random.get_rng_state()
    return states


def _trainer_state(state: Any, trainer: Any) -> dict[str, Any]:
    fields = dataclasses.asdict(state)
    fields["log_history"] = [dict(entry) for entry in history_of(state)]
    if trainer is not None:
        fields["stateful_callbacks"] = _callback_states(trainer)
    return fields


def _callback_states(trainer: Any) -> dict[str, Any]:
    """Of those that can be exported, as they are now; several of one class as a list."""
    from transformers.trainer_callback import ExportableState

    states: dict[str, Any] = {}
    for callback in (*trainer.callback_handler.callbacks, trainer.control):
        if isinstance(callback, ExportableState):
            states.setdefault(type(callback).__name__, []).append(callback.state())
    return {name: found[0] if len(found) == 1 else found for name, found in states.items()}


def _losses(trainer: Any) -> dict[str, Any] | None:
    with contextlib.suppress(AttributeError):
        return {"since_log": trainer._tr_loss.item(), "logged": trainer._globalstep_last_logged}  # noqa: SLF001
    return None  # another version of the Trainer, or none at hand


def _apart(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors that share no memory (tied parameters do), which safetensors asks for. Each is loaded under its name."""
    apart, seen = {}, set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor.contiguous()
        seen.add(place)
    return apart
