"""SIGKILL at random moments of a save that overwrites: what does the next process find, the old one, the new one, neither?

    python bench/kill_matrix.py [--kills 40] [--mib 128] [--seed 0] [--only torch.save,ours.save] [--dir DIR]

Both states are random arrays, so that nothing of the one is found again in the other. Savers and loaders are processes
of their own, forked from this one, which never saves or loads itself: libraries are imported in all of them, handles
and caches of the store are in none. A kill counts if the save had begun and had not returned. The contenders take
turns, at the same share of their own save's time. One line of JSON for each:

    old, new     the whole state of before or after
    lost         the newest save cannot be loaded, and the one before it is gone
    mixed        loads without an error, and is neither
    load_s       from the beginning of a new process until the last page of the state was touched, median
    left_mib     what lies on the disk beyond one state after a kill, median and most
    swept_…      of ours: files and bytes that nothing refers to after a sweep that follows each kill, all together
"""

import importlib
import os
import random
import select
import signal
import sys
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from contenders.savers import CONTENDERS, State, flush, ours_sweep
from measuring import arguments, median, report, scratch, skip

ARRAYS = 16
CALIBRATIONS = 3
TOO_LATE = 200
"""Saves that were over before the kill: with so many, the bench does not what it says."""


def arrays(seed: int, mib: int) -> State:
    chance = np.random.default_rng(seed)
    size = mib * 2**20 // ARRAYS // 4
    return {f"w{number:02}": chance.random(size, dtype=np.float32) for number in range(ARRAYS)}


# -- processes -------------------------------------------------------------------------------------------------------


class Child:
    """A forked process that does one thing and tells what came of it through a pipe."""

    def __init__(self, act: Callable[[Callable[[str], None]], None]) -> None:
        self.heard, tell = os.pipe()
        self.began = time.perf_counter()
        self.pid = os.fork()
        if not self.pid:
            self._act(act, tell)
        os.close(tell)

    def _act(self, act: Callable[[Callable[[str], None]], None], tell: int) -> NoReturn:
        try:
            act(lambda word: os.write(tell, f"{word}\n".encode()))
        except BaseException:  # noqa: BLE001 - a forked process never returns from here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def hear(self) -> str:
        """The next word; "" if the process ended without one."""
        word = b""
        while not word.endswith(b"\n"):
            more = os.read(self.heard, 1)
            if not more:
                return ""
            word += more
        return word.decode().strip()

    def said(self) -> str:
        """A word that it said already, else ""."""
        return self.hear() if select.select([self.heard], [], [], 0)[0] else ""

    def end(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self.heard)
        return os.waitstatus_to_exitcode(status)


class Contender:
    def __init__(self, name: str, old: State, new: State) -> None:
        self.name, self.old, self.new = name, old, new
        self.prepare, self.load = CONTENDERS[name]
        self.found: Counter[str] = Counter({"old": 0, "new": 0, "lost": 0, "mixed": 0})
        self.too_late = 0
        self.load_s: list[float] = []
        self.left: list[int] = []
        self.swept: list[tuple[int, int]] = []
        self.why_lost: Counter[str] = Counter()
        self.place = scratch(f"kill-{self.name}")
        self._import()
        self.saves = deque((self._time_save() for _ in range(CALIBRATIONS)), maxlen=CALIBRATIONS)
        """Seconds of the newest saves that were not killed: the disk is not equally fast all the time."""

    def _saving(self, state: State) -> Child:
        def act(tell: Callable[[str], None]) -> None:
            save = self.prepare(self.place, state)
            tell("begins")
            started = time.perf_counter()
            save()
            tell(f"{time.perf_counter() - started}")
            signal.pause()

        return Child(act)

    def _import(self) -> None:
        """Import here what a save and a load import, so that forked processes have it."""

        def save(tell: Callable[[str], None]) -> None:
            self.prepare(self.place, self.old)()
            if self.name.startswith("ours"):
                ours_sweep(self.place)
            tell(" ".join(sys.modules))

        def load(tell: Callable[[str], None]) -> None:
            self.load(self.place, self.old)
            tell(" ".join(sys.modules))

        for act in (save, load):
            child = Child(act)
            for module in child.hear().split():
                if module not in sys.modules:
                    importlib.import_module(module)
            assert child.end() == 0, f"{self.name} cannot save or load"

    def _time_save(self) -> float:
        """Save the old state, then overwrite it: seconds of the second save."""
        self._save_old()
        child = self._saving(self.new)
        assert child.hear() == "begins", self.name
        seconds = float(child.hear())
        os.kill(child.pid, signal.SIGKILL)
        child.end()
        return seconds

    def _save_old(self) -> None:
        self.place = scratch(f"kill-{self.name}")
        child = self._saving(self.old)
        assert child.hear() == "begins", self.name
        assert child.hear(), f"{self.name} cannot save"
        os.kill(child.pid, signal.SIGKILL)
        child.end()
        for file in self.place.rglob("*"):  # what is written back later must not slow the save that is killed
            flush(file)

    def kill(self, share: float) -> bool:
        """Whether the kill came while the save was running; only then it counts."""
        self._save_old()
        child = self._saving(self.new)
        assert child.hear() == "begins", self.name
        time.sleep(median(list(self.saves)) * share)
        os.kill(child.pid, signal.SIGKILL)
        took = child.said()
        assert child.end() == -signal.SIGKILL, self.name
        if took:
            self.too_late += 1
            assert self.too_late < TOO_LATE, f"{self.name}: the saves are over before they are killed"
            self.saves.append(float(took))
            return False
        written = sum(file.stat().st_size for file in self.place.rglob("*") if file.is_file())
        self.left.append(max(0, written - sum(values.nbytes for values in self.old.values())))
        self._look()
        if self.name.startswith("ours"):
            self._sweep()
        return True

    def _sweep(self) -> None:
        child = Child(lambda tell: tell("{} {}".format(*ours_sweep(self.place))))
        files, size = child.hear().split()
        self.swept.append((int(files), int(size)))
        assert child.end() == 0, f"{self.name} cannot sweep"

    def _look(self) -> None:
        def act(tell: Callable[[str], None]) -> None:
            try:
                state = {name: np.asarray(values) for name, values in self.load(self.place, self.old).items()}
                touched = sum(float(values[:: 4096 // 4].sum()) for values in state.values())
            except BaseException as error:  # noqa: BLE001 - CheckpointException of torch is no Exception
                tell(f"lost {type(error).__name__}")
                return
            tell(f"loaded {touched}")
            tell(self._which(state))

        child = Child(act)
        word, _, why = child.hear().partition(" ")
        seconds = time.perf_counter() - child.began
        if word == "loaded":
            self.load_s.append(seconds)
            word = child.hear()
        else:
            self.why_lost[why or "died"] += 1
        self.found[word or "lost"] += 1
        child.end()

    def _which(self, state: State) -> str:
        for word, whole in (("old", self.old), ("new", self.new)):
            if state.keys() == whole.keys() and all(np.array_equal(state[name], whole[name]) for name in whole):
                return word
        return "mixed"

    def report(self) -> None:
        files, size = (sum(column) for column in zip(*self.swept, strict=True)) if self.swept else (0, 0)
        report(
            "kill_matrix",
            contender=self.name,
            mib=arguments().mib,
            kills=self.found.total(),
            **self.found,
            why_lost=dict(self.why_lost),
            not_counted_too_late=self.too_late,
            save_s=round(median(list(self.saves)), 3),
            load_s=round(median(self.load_s), 3) if self.load_s else None,
            load_max_s=round(max(self.load_s), 3) if self.load_s else None,
            left_mib=round(median([float(size) for size in self.left]) / 2**20, 1),
            left_most_mib=round(max(self.left) / 2**20, 1),
            **({"swept_files": files, "swept_bytes": size} if self.swept else {}),
        )


def names() -> list[str]:
    wanted = arguments().only.split(",") if arguments().only else list(CONTENDERS)
    try:
        import safetensors
        import torch
    except ImportError:
        skip("kill_matrix/torch", "torch or safetensors is not installed")
        return [name for name in wanted if name.startswith(("ours", "npy"))]
    assert safetensors
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    return wanted


def main() -> None:
    warnings.filterwarnings("ignore", module="torch")
    kills = arguments().kills or (6 if arguments().quick else 40)
    chance = random.Random(arguments().seed)
    old, new = arrays(1, arguments().mib), arrays(2, arguments().mib)
    contenders = [Contender(name, old, new) for name in names()]
    for _ in range(kills):
        share = chance.random()
        for contender in contenders:
            while not contender.kill(share):
                share = chance.random()
    for contender in contenders:
        contender.report()


if __name__ == "__main__":
    sys.exit(main())
