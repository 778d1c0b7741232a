"""What a run offers to a training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from waycairn.model.policy import Pace
from waycairn.model.retention import Keep
from waycairn.model.training_settings import WhenBusy
from waycairn.work.step import check_name
from waycairn.work.stepping import StepLoop
from waycairn.work.tracking import Compress

if TYPE_CHECKING:
    from waycairn.work.execution import Execution

AS_SET: Final = "as set"
"""Of an argument for which None means something of its own."""


class Training:
    """The part of `Run` that trains; AsyncRun has the same."""

    _execution: Execution

    def track(
        self, *, rng: bool = False, strict: bool = True, compress: Compress | None = None, **objects: Any
    ) -> None:
        """Keep these objects in every checkpoint, and put them back as they were when the run is resumed.

            run.track(model=model, optimizer=optimizer, scheduler=scheduler, data=loader, rng=True)

        What has state_dict and load_state_dict (torch modules, optimizers, schedulers, StatefulDataLoader,
        waycairn.training.Batches; also several in a list or dict), containers, arrays, tensors, dataclasses, generators
        of random numbers, objects of your own (their attributes). Restored here, in place; the random numbers of Python,
        numpy and torch (`rng`) where the first step begins. They are read while a save copies them, so nothing else may
        change them between steps. `compress` is for large tensors: "planes" compresses their bytes by significance
        (bfloat16 weights to about two thirds), "delta" also stores them as the difference to the save before where that is
        smaller; both are lossless, need numpy, and make saves slower, not the loop.

        Raises ValueError for a name that is used twice, or, unless `strict=False`, where the checkpoint that the run goes
        on from holds other names; TypeError for what cannot be stored or changed in place, or `data` without a state;
        Damaged if nothing that is intact fits. A damaged checkpoint is passed over for the newest intact one.
        """
        self._execution.track(objects, rng=rng, strict=strict, compress=compress)

    def steps(
        self,
        count: int,
        *,
        save_every: float | str | Pace | None = None,
        name: str = "steps",
        when_busy: WhenBusy | None = None,
        keep: Keep | int | str | None = AS_SET,
    ) -> StepLoop:
        """The numbers of the steps that are not done, up to count - 1: a training loop that goes on where it was.

            for step in run.steps(10_000, save_every="5m"):
                run.log(loss=train(model, next(batches)))

        A step is done when the loop asks for the next one, or at `break`. All that is tracked, `run.state`, outputs and
        what was logged are saved together: every so many steps, at an interval ("30s", "5m"), or "auto": so that saving
        takes about 1 % of the time (None: as the setting `training.save_every` says, else at the pace of the run). The loop stands still only while the state is copied;
        it is written behind it. Where the one before is still being written, a save every N steps waits for it, or with
        when_busy="skip" is left out; one at an interval comes as soon as it can. An error of a save is raised by the
        loop. SIGTERM ends the loop after the save in flight and, if the setting `saving.grace` leaves time for it, one more.

        `keep` says which of these saves stay: the newest so many, "last 2, best 3 by loss", "best 1 by accuracy max" (by
        what was logged last before each), None for all; by default as the settings say, see `TrainingSettings`. The others go in the commit of a newer one, and a sweep behind
        the loop gives their bytes back. What `run.checkpoint` was asked for by a kind or tag stays.

        Raises ValueError if the name is used twice in this entry.
        """
        check_name("loop", name)
        kept = Keep.of(self._execution.store.settings.training.keep if keep == AS_SET else keep)
        return StepLoop(self._execution, count, save_every=save_every, name=name, when_busy=when_busy, keep=kept)
