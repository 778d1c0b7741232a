"""Trainings of Hugging Face's Trainer in a store: `Trainer(callbacks=[WaycairnCallback()])`.

    callback = WaycairnCallback(name="tiny-bert")
    trainer = Trainer(model, TrainingArguments("out", save_strategy="no"), train_dataset=data, callbacks=[callback])
    trainer.train(resume_from_checkpoint=callback.checkpoint_dir(trainer))

When it saves. Not in on_step_end, though that is where others do: the Trainer logs and evaluates after it, so what is
saved there lacks the log of its own step. It saves as the next step begins, which is where the Trainer puts random states
back when it resumes; between epochs, before the loader is asked for the next one; and at the end.

How it resumes. The Trainer resumes from a directory. `checkpoint_dir` reads the newest checkpoint that is intact and
writes it as such a directory, which the first step removes again. So the Trainer's own loading is what restores; the
callback adds only what that leaves out, the losses since the last log.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import TrainerCallback

from waycairn.errors import Damaged
from waycairn.integrations.save_queue import Copied, Copier, SaveQueue, store_at
from waycairn.integrations.sigterm import Sigterm
from waycairn.integrations.trainer_state import collect, history_of, put_back_losses, write_directory
from waycairn.model.ids import CheckpointId, split_checkpoint_id
from waycairn.model.pace import Pacer
from waycairn.model.policy import Pace
from waycairn.model.records import CheckpointRecord
from waycairn.model.states import CheckpointStatus
from waycairn.process.signals import interruption
from waycairn.work.restoring import note_damage
from waycairn.work.store import Store
from waycairn.world.crashpoints import crashpoint

__all__ = ["WaycairnCallback"]

_FOLDER = ".waycairn-resume"
"""In the Trainer's output directory, from `checkpoint_dir` to the first step."""
_LONG = re.compile(r"(\d+(?:\.\d+)?)\s*(m|min|h)")


class WaycairnCallback(TrainerCallback):  # type: ignore[misc]
    """Saves a training in a store at a pace, and at once when SIGTERM comes; resumes from the newest intact checkpoint.

    `store` is an open store, its address, or None for the one in use here. `name` tells trainings apart; by default it is
    the absolute path of the output directory, so give one where several hosts share a store. `save_every` is a number of
    steps, a time ("30s", "5m"), or "auto": saves then have about 1 % of the run time. `keep` checkpoints are kept, and an
    older one goes only when a newer one is durable. The Trainer's own saving may be on or off ("no").

    With `on_sigterm` the first SIGTERM ends the training after the step that is under way, with a checkpoint of it that
    is durable; then the program's own handler is called if it had one, else `train()` is left by waycairn.Interrupted,
    so that what comes after it never takes a half-trained model for a finished one. One process only.
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        save_every: int | str = "auto",
        keep: int = 2,
        on_sigterm: bool = True,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep is the number of checkpoints that stay, at least 1, not {keep!r}")
        self._where, self._opened = store, store if isinstance(store, Store) else None
        self._name = name
        self._pace = pace_of(save_every)
        self._keep = keep
        self._on_sigterm = on_sigterm
        self._queue = SaveQueue("transformers", in_flight=1)
        self._copier = Copier()
        self._sigterm = Sigterm(_is_training)
        self._pacer = Pacer(self._pace, time.monotonic())
        self._took: tuple[float, float] | None = None
        self._trainer: Any = None
        self._resumed: dict[str, Any] | None = None
        self._finished: dict[str, Any] | None = None
        self._folder: Path | None = None
        self._saved: tuple[int, int] | None = None
        self._is_epoch_new = False
        self._first = 0

    # -- what a program calls ------------------------------------------------------------------------------------

    def checkpoint_dir(self, trainer: Any) -> str | None:
        """A directory that `trainer.train(resume_from_checkpoint=...)` resumes from, None if nothing was saved yet.

        It holds the newest checkpoint that is intact, verified while it is read. A damaged one is marked with the reason
        and passed over. The callback adds itself to the trainer if it is not among its callbacks. Raises Damaged if
        checkpoints were saved and none is intact: starting anew is not done behind your back.
        """
        self._trainer = trainer
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        self._queue.wait()
        content = self._newest(self._name_for(trainer.args))
        if content is None:
            return None
        folder = Path(trainer.args.output_dir).absolute() / _FOLDER
        write_directory(content, folder)
        self._folder = folder
        self._resumed = {"step": content["step"], "losses": content["losses"]}
        self._finished = content if 0 < trainer.args.max_steps <= content["step"] else None
        return str(folder)

    def wait(self) -> None:
        """Return when every save is durable. Raises what went wrong in one."""
        self._queue.wait()

    # -- what the Trainer calls ------------------------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to watch for SIGTERM, and put back what the Trainer does not."""
        del control
        _refuse_many(args)
        if self._resumed is not None and state.global_step == self._resumed["step"]:
            put_back_losses(self._trainer, self._resumed["losses"])
            self._saved = _mark(state)
        self._resumed = None
        self._first = state.global_step
        self._pacer = Pacer(self._pace, time.monotonic())
        self._pacer.expect(state.max_steps)
        if self._on_sigterm:
            self._sigterm.watch()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Save between two epochs, if one is due."""
        del control
        self._is_epoch_new = True
        if state.global_step > self._first:
            self._save_if_due(args, state, parts)

    def on_step_begin(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Save what the steps before gave, if a save is due."""
        del control
        self._remove_folder()
        if state.global_step == self._first + 1:  # an optimizer has all of its state after a step
            self._copier.reserve(self._content(state, parts))
        # The loader of a new epoch has drawn its seed by now: these random states are not those to resume with.
        if not self._is_epoch_new:
            self._save_if_due(args, state, parts)
        self._is_epoch_new = False

    def on_step_end(self, args: Any, state: Any, control: Any, **parts: Any) -> Any:
        """Stop if SIGTERM came. Its checkpoint is taken when this step was logged, but before an evaluation, which may
        take longer than whoever sent the signal will wait."""
        if self._finished is not None:
            self._undo_step(state, control, parts)
        if self._sigterm.received:
            control.should_training_stop = True
            if control.should_evaluate:
                self._save(args, state, parts, wait=True)
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Save where the training stops, for a signal or for good."""
        if control.should_training_stop:
            self._save(args, state, parts, wait=self._sigterm.received)

    def on_train_end(self, args: Any, state: Any, control: Any, **parts: Any) -> None:
        """Save what was logged since, and wait until all is durable. Raises what went wrong; Interrupted after SIGTERM."""
        del control
        try:
            self._remove_folder()
            if self._ends_here(args, state):
                self._save(args, state, parts, wait=True)
            self._queue.stop()
            self._copier.trim()
        finally:
            self._sigterm.put_back()
        if self._sigterm.received and state.global_step < state.max_steps and not self._sigterm.pass_on():
            raise interruption(signal.SIGTERM, self._name_for(args))

    # -- saving ----------------------------------------------------------------------------------------------------

    def _save_if_due(self, args: Any, state: Any, parts: dict[str, Any]) -> None:
        took, self._took = self._took, None
        if took is not None:
            self._pacer.took(*took)
        is_due = self._pacer.is_due(time.monotonic())
        if is_due and not (self._pace.is_automatic and self._queue.is_busy):
            self._save(args, state, parts)

    def _save(self, args: Any, state: Any, parts: dict[str, Any], *, wait: bool = False) -> None:
        """Save what is not saved already: a step, or logs of one that was."""
        mark = _mark(state)
        if mark != self._saved and state.global_step > 0:
            began = time.monotonic()
            self._queue.save(
                lambda: self._begin(args, state, parts), lambda saved: self._finish(saved, began), "saving the training"
            )
            self._saved = mark
            if not self._pace.is_automatic:
                self._pacer.took(began, time.monotonic())
        if wait:
            self._queue.wait()

    def _ends_here(self, args: Any, state: Any) -> bool:
        """Whether what was done since the save in on_epoch_end belongs to the training."""
        if args.load_best_model_at_end:
            return False  # the model is the best one now, and not the newest
        # Stopped by a signal amid an epoch, the Trainer has logged the end of an epoch that did not end.
        return not self._sigterm.received or float(state.epoch).is_integer()

    def _begin(self, args: Any, state: Any, parts: dict[str, Any]) -> Copied:
        return self._copier.begin(
            self._store(),
            self._name_for(args),
            self._content(state, parts),
            tags=("transformers",),
            description=_description(state.global_step),
        )

    def _content(self, state: Any, parts: dict[str, Any]) -> dict[str, Any]:
        return collect(
            state,
            model=parts["model"],
            optimizer=parts["optimizer"],
            scheduler=parts["lr_scheduler"],
            trainer=self._trainer,
        )

    def _finish(self, saved: CheckpointId, began: float) -> None:
        """In the thread behind: the newer one is durable, so older ones may go."""
        crashpoint("transformers.committed")
        if self._pace.is_automatic:
            self._took = (began, time.monotonic())
        store = self._store()
        listed = store.checkpoints(
            split_checkpoint_id(saved)[0], role="value", status=CheckpointStatus.VALID, pinned=False
        )
        for record in _beyond(listed, self._keep):
            crashpoint("transformers.pruning")
            store.delete(record.id)

    # -- resuming --------------------------------------------------------------------------------------------------

    def _newest(self, name: str) -> Any:
        """The content of the newest intact checkpoint, None if there never was one."""
        store = self._store()
        run = store.core.catalog.find_run(None, name, "value")
        if run is None:
            return None
        damaged: list[str] = []
        while True:
            record = store.core.catalog.latest_checkpoint(run.id, role="value")
            if record is None:
                break
            try:
                return store.core.load(record.checkpoint.stored)
            except Damaged as error:
                note_damage(store.core, record, error)
                damaged.append(f"{record.id} ({error})")
        listed = damaged or [record.id for record in store.checkpoints(run.id)]
        if not listed:
            return None
        raise Damaged(
            f"no checkpoint of the training {name!r} is intact: {'; '.join(listed)}. Nothing was changed. Restore the "
            "store from a backup, or start anew under another name.",
            run=run.id,
        )

    def _undo_step(self, state: Any, control: Any, parts: dict[str, Any]) -> None:
        """A training that ended amid an epoch is resumed by the Trainer with one step more before it looks at how many
        there are to be: take it back, so that a finished training stays as it is however often it is started."""
        content, self._finished = self._finished, None
        assert content is not None
        if state.global_step != content["step"] + 1:
            return
        for part, name in (("model", "model"), ("optimizer", "optimizer"), ("lr_scheduler", "scheduler")):
            parts[part].load_state_dict(content[name])
        for field, value in content["trainer"].items():
            setattr(state, field, value)
        control.should_log = control.should_evaluate = control.should_save = False

    def _remove_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)  # a copy; the next start replaces what is left of it

    # -- small things ----------------------------------------------------------------------------------------------

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = store_at(self._where)
        return self._opened

    def _name_for(self, args: Any) -> str:
        return self._name or str(Path(args.output_dir).absolute())


def pace_of(save_every: int | str) -> Pace:
    """A number of steps, a time, or "auto"."""
    if isinstance(save_every, int) and not isinstance(save_every, bool) and save_every > 0:
        return Pace(items=save_every)
    if isinstance(save_every, str):
        long = _LONG.fullmatch(save_every.strip())
        if long:
            return Pace(seconds=float(long[1]) * (3600 if long[2] == "h" else 60))
        return Pace.of(save_every)
    raise ValueError(f'save_every is a number of steps, a time as "30s" or "5m", or "auto", not {save_every!r}')


def _description(step: int) -> str:
    return f"step {step}"


def _mark(state: Any) -> tuple[int, int]:
    """Changes with every step, and with every log."""
    return state.global_step, len(history_of(state))


def _beyond(newest_first: Any, keep: int) -> list[CheckpointRecord]:
    """Those to be deleted: of each step all but the newest, and all beyond the newest steps."""
    steps: list[str | None] = []
    beyond = []
    for record in newest_first:
        step = record.checkpoint.description
        if step in steps or len(steps) == keep:
            beyond.append(record)
        else:
            steps.append(step)
    return beyond


def _is_training(frame: FrameType | None) -> bool:
    """Whether the Trainer's loop is among the callers of this frame."""
    while frame is not None:
        if frame.f_code.co_name == "train" and frame.f_globals.get("__name__") == "transformers.trainer":
            return True
        frame = frame.f_back
    return False


def _refuse_many(args: Any) -> None:
    if args.world_size > 1 or getattr(args, "deepspeed", None) or getattr(args, "fsdp", None):
        raise NotImplementedError(
            "WaycairnCallback saves the training of one process, and this one has several or shards its model. Nothing "
            "was saved. Use the Trainer's own saving, or torch.distributed.checkpoint with waycairn's writer."
        )
