"""The store against restic and borg, with the same trees: first and next save, restore, check of all data, size.

Every tool is a subprocess, with a sync before each and a cache of files that was in use; every restored tree is compared with
what was saved. Each figure is the best of the rounds; the ratios are to the better of the peers. Peers that are not installed are skipped, and it is said so:

    apt-get install -y restic borgbackup

    python bench/packs.py [--quick] [--mib 382] [--only restic,borg,borg16k] [--dir /tmp/x] [--plain]

Cases: `random` (what does not compress), `floats` (weights, of which a tenth is changed in 1 MiB blocks), `lines` (a tree of
growing JSON lines with edits, ten snapshots).
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE / "contenders" / "trees.py"
MIB = 1 << 20
PASSWORD = "one that is used for nothing else"
BORG_16K = ("--chunker-params", "buzhash,10,16,14,4095", "--compression", "zstd,1")


def main() -> int:
    asked = arguments()
    place = Path(asked.dir) / "packs"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for case in asked.cases.split(","):
            snapshots = CASES[case](place / "data", asked.mib)
            size = sum(file.stat().st_size for file in snapshots[-1].rglob("*") if file.is_file())
            print(
                json.dumps({"case": case, "snapshots": len(snapshots), "MiB of the last": round(size / MIB, 1)}),
                flush=True,
            )
            compare(case, snapshots, place, asked)
            shutil.rmtree(place / "data")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default=str(HERE / "results" / "scratch"), help="on the disk under test")
    parser.add_argument("--mib", type=int, default=0, help="of the first snapshot; by default 382 of lines, else 1024")
    parser.add_argument("--quick", action="store_true", help="24 MiB, for a first look")
    parser.add_argument("--cases", default="random,floats,lines")
    parser.add_argument("--only", default="ours,restic,borg,borg16k", help="tools, by commas")
    parser.add_argument("--plain", action="store_true", help="ours without encryption, where it could be")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    asked.mib = asked.mib or (24 if asked.quick else 0)
    return asked


# -- data ----------------------------------------------------------------------------------------------------------


def random_files(place: Path, mib: int) -> list[Path]:
    folder = _folder(place, "random")
    chance = random.Random(1)
    for number in range(4):
        with (folder / f"{number}.bin").open("wb") as file:
            for _ in range(max(1, (mib or 1024) // 64)):
                file.write(chance.randbytes(16 * MIB))
    return [folder]


def floats(place: Path, mib: int) -> list[Path]:
    import numpy as np

    chance = np.random.default_rng(0)
    before, after = _folder(place, "before"), _folder(place, "after")
    blocks = mib or 1024
    changed = set(chance.choice(blocks, blocks // 10, replace=False).tolist())
    for number in range(4):
        with (before / f"{number}.f32").open("wb") as one, (after / f"{number}.f32").open("wb") as two:
            for block in range(number, blocks, 4):
                weights = chance.standard_normal(MIB // 4, dtype=np.float32) * np.float32(0.02)
                one.write(weights.tobytes())
                if block in changed:
                    weights += chance.standard_normal(MIB // 4, dtype=np.float32) * np.float32(1e-4)
                two.write(weights.tobytes())
    return [before, after]


def lines(place: Path, mib: int) -> list[Path]:
    """Twenty files; each time 2.5 % more lines, and forty lines of each edited, which changes their lengths."""
    chance = random.Random(9)
    files: list[list[str]] = []
    for shard in range(20):
        records: list[str] = []
        size = 0
        while size < (mib or 382) * MIB // 20:
            records.append(_record(chance, len(records), shard))
            size += len(records[-1])
        files.append(records)
    snapshots = []
    for number in range(10):
        folder = _folder(place, f"lines-{number}")
        for shard, records in enumerate(files):
            if number:
                records += [_record(chance, len(records) + more, shard) for more in range(len(records) // 40)]
                for _ in range(40):
                    at = chance.randrange(len(records))
                    records[at] = _record(chance, at, shard)
            (folder / f"state-{shard:02}.jsonl").write_text("".join(records), encoding="utf-8")
        snapshots.append(folder)
    return snapshots


def _record(chance: random.Random, number: int, shard: int) -> str:
    return (
        json.dumps(
            {
                "ts": 1_700_000_000 + number * 0.25,
                "id": f"item-{shard}-{number:08}",
                "status": chance.choice(["done", "failed", "pending"]),
                "attempt": chance.randint(0, 3),
                "loss": chance.random(),
                "path": f"/data/shard-{number % 64:03}/file_{chance.randint(0, 10**6)}.parquet",
                "note": chance.choice(["", "retry later", "checksum mismatch on read", "ok " * 5]),
            }
        )
        + "\n"
    )


def _folder(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir(parents=True)
    return folder


CASES = {"random": random_files, "floats": floats, "lines": lines}


# -- tools ---------------------------------------------------------------------------------------------------------


@dataclass
class Tool:
    """One that keeps snapshots of a tree. Commands run in the directory of the tree."""

    name: str
    store: Path
    environment: dict[str, str] = field(default_factory=dict)
    encrypted: bool = True

    def missing(self) -> str | None:
        return None

    def prepare(self) -> list[str]:
        raise NotImplementedError

    def save(self, number: int) -> list[str]:
        raise NotImplementedError

    def restore(self, number: int, to: Path) -> tuple[list[str], Path]:
        """The command, and the directory to run it in."""
        raise NotImplementedError

    def check(self) -> list[str]:
        """Read all data and compare it with its hashes."""
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError


class Ours(Tool):
    def prepare(self) -> list[str]:
        return self._tree("prepare")

    def save(self, number: int) -> list[str]:  # noqa: ARG002 - it names its snapshots itself
        return self._tree("save", "tree", ".")

    def restore(self, number: int, to: Path) -> tuple[list[str], Path]:  # noqa: ARG002 - the newest
        return self._tree("restore", "tree", str(to)), to

    def check(self) -> list[str]:
        return self._tree("check")

    def version(self) -> str:
        from importlib.metadata import version

        return version("waycairn")

    def _tree(self, act: str, *more: str) -> list[str]:
        return [sys.executable, str(TREE), act, str(self.store), *more]


class Restic(Tool):
    def missing(self) -> str | None:
        return None if shutil.which("restic") else "restic is not installed: apt-get install restic"

    def prepare(self) -> list[str]:
        return ["restic", "init", "-q"]

    def save(self, number: int) -> list[str]:  # noqa: ARG002 - it names its snapshots itself
        return ["restic", "backup", "--host", "bench", "-q", "."]

    def restore(self, number: int, to: Path) -> tuple[list[str], Path]:  # noqa: ARG002 - the newest
        return ["restic", "restore", "latest", "--target", str(to), "-q"], to

    def check(self) -> list[str]:
        return ["restic", "check", "--read-data", "-q"]

    def version(self) -> str:
        return subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.split()[1]


class Borg(Tool):
    options: tuple[str, ...] = ()

    def missing(self) -> str | None:
        return None if shutil.which("borg") else "borg is not installed: apt-get install borgbackup"

    def prepare(self) -> list[str]:
        return ["borg", "init", "-e", "repokey-blake2"]

    def save(self, number: int) -> list[str]:
        return ["borg", "create", *self.options, f"::s{number}", "."]

    def restore(self, number: int, to: Path) -> tuple[list[str], Path]:
        return ["borg", "extract", f"::s{number}"], to

    def check(self) -> list[str]:
        return ["borg", "check", "--verify-data"]

    def version(self) -> str:
        return subprocess.run(["borg", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def tools(place: Path, asked: argparse.Namespace) -> list[Tool]:
    stores, homes = place / "stores", place / "homes"
    restic = {
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_REPOSITORY": str(stores / "restic"),
        "RESTIC_CACHE_DIR": str(homes / "restic"),
    }

    def borg(name: str) -> dict[str, str]:
        return {
            "BORG_PASSPHRASE": PASSWORD,
            "BORG_REPO": str(stores / name),
            "BORG_BASE_DIR": str(homes / name),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    small = Borg("borg16k", stores / "borg16k", borg("borg16k"))
    small.options = BORG_16K
    encrypted = can_encrypt() and not asked.plain
    # As installed: with the bytecode that pip makes.
    warm = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(homes / "bytecode")}
    ours = Ours(
        "ours", stores / "ours", {**warm, **({"WAYCAIRN_PASSPHRASE": PASSWORD} if encrypted else {})}, encrypted
    )
    found = [ours, Restic("restic", stores / "restic", restic), Borg("borg", stores / "borg", borg("borg")), small]
    return [tool for tool in found if tool.name in asked.only.split(",")]


def can_encrypt() -> bool:
    """Whether stores of this version can be encrypted."""
    import inspect

    import waycairn as wc

    return "passphrase" in inspect.signature(wc.open).parameters


# -- measuring -----------------------------------------------------------------------------------------------------


def compare(case: str, snapshots: list[Path], place: Path, asked: argparse.Namespace) -> None:
    figures: dict[str, dict[str, float]] = {}
    for tool in tools(place, asked):
        if why := tool.missing():
            print(json.dumps({"case": case, "tool": tool.name, "skipped": why}), flush=True)
            continue
        rounds = [measure(tool, snapshots, place) for _ in range(asked.rounds)]
        figures[tool.name] = {name: min(one[name] for one in rounds) for name in rounds[0]}
        told = {name: round(value, 3) for name, value in figures[tool.name].items()}
        about = {"version": tool.version(), "encrypted": tool.encrypted}
        print(json.dumps({"case": case, "tool": tool.name, **about, **told}), flush=True)
    print(json.dumps({"case": case, "ratios": ratios(figures)}), flush=True)


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """How many times faster ours is than the better peer; and its size as a share of each peer's."""
    ours = figures.get("ours")
    peers = {name: one for name, one in figures.items() if name != "ours"}
    if not ours or not peers:
        return {}
    faster = {
        name: round(min(one[name] for one in peers.values()) / ours[name], 2)
        for name in ("first s", "next s", "restore s", "check s", "first cpu", "next cpu", "restore cpu", "check cpu")
        if ours[name]
    }
    sizes = {f"size of {name}": round(ours["MiB"] / one["MiB"], 3) for name, one in peers.items()}
    return {**faster, **sizes}


def measure(tool: Tool, snapshots: list[Path], place: Path) -> dict[str, float]:
    """In a store of its own. Each snapshot comes to the same place, as a tree that grows does."""
    work, out = place / "work", place / "restored"
    for folder in (tool.store, work, out):
        shutil.rmtree(folder, ignore_errors=True)
    tool.store.parent.mkdir(parents=True, exist_ok=True)
    run(tool, tool.prepare(), place)
    taken = []
    first_size = 0.0
    for number, snapshot in enumerate(snapshots):
        if work.is_symlink() or work.exists():
            shutil.rmtree(work)
        shutil.copytree(snapshot, work)
        taken.append(run(tool, tool.save(number), work))
        first_size = first_size or size_of(tool.store)
    size = size_of(tool.store)
    out.mkdir()
    command, where = tool.restore(len(snapshots) - 1, out)
    restored = run(tool, command, where)
    assert_same(snapshots[-1], out if (out / next(snapshots[-1].iterdir()).name).exists() else inner(out))
    checked = run(tool, tool.check(), place)
    for folder in (tool.store, work, out):
        shutil.rmtree(folder, ignore_errors=True)
    later = taken[1:]
    return {
        "first s": taken[0].wall,
        "next s": sum(one.wall for one in later) / len(later) if later else 0.0,
        "restore s": restored.wall,
        "check s": checked.wall,
        "first cpu": taken[0].cpu,
        "next cpu": sum(one.cpu for one in later) / len(later) if later else 0.0,
        "restore cpu": restored.cpu,
        "check cpu": checked.cpu,
        "MiB of the first": first_size,
        "MiB": size,
    }


@dataclass(frozen=True)
class Taken:
    """Seconds."""

    wall: float
    cpu: float
    """Of all processes and threads of the tool: what a busy machine changes least."""


def touch_memory(place: Path, mib: int = 1024) -> None:
    """The cache of files, before a tool's turn. What a virtual machine has not used for a while its host takes back, and gives
    again at 3 ms a MiB: nobody must pay for that because of a pause (480 MiB to new files: 0.11 s, or 1.4)."""
    path = place / "touched"
    block = bytes(MIB)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(block)
    path.unlink()


def run(tool: Tool, command: list[str], where: Path) -> Taken:
    os.sync()
    touch_memory(tool.store.parent)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=where, env={**os.environ, **tool.environment}, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        raise SystemExit(f"{tool.name}: {' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return Taken(took, used)


def size_of(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MIB


def inner(folder: Path) -> Path:
    """Where a tool that restores whole paths put the tree."""
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    return folder


def assert_same(left: Path, right: Path) -> None:
    names = sorted(file.name for file in left.iterdir())
    assert names == sorted(file.name for file in right.iterdir()), "other files were restored"
    same, different, failed = filecmp.cmpfiles(left, right, names, shallow=False)
    assert (len(same), different, failed) == (len(names), [], []), f"restored otherwise: {different or failed}"


if __name__ == "__main__":
    raise SystemExit(main())
