"""Power loss: record what a job asks of its file system, build every disk that a power cut can leave of it.

    with recording(folder) as disk:            # a file system in memory, mounted for the block
        work = disk.copy_in(project)           # what lies there now is durable
        subprocess.run(command, cwd=work)
    shown = Disk(disk.tape, folder / "cut")
    for state in power_loss_states(disk.tape, Model.POSIX):
        shown.show(state)                      # folder/cut/… is what the cut left: resume there, and compare

A kill cannot find what this finds: after a kill the kernel still writes everything that it was given.
"""

from __future__ import annotations

from waycairn.crashtest.power.disk import Disk
from waycairn.crashtest.power.mounted import Recording, missing, recording
from waycairn.crashtest.power.states import Model, State, power_loss_states

__all__ = ["Disk", "Model", "Recording", "State", "missing", "power_loss_states", "recording"]
