"""The installed `waycairn` command, piped or on a terminal, over stores that real jobs made."""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

WAYCAIRN = str(Path(sys.executable).with_name("waycairn"))
_LIMIT = 120

JOB = '''
"""A job with everything a run can have; it ends as its first argument says."""

import dataclasses
import os
import signal
import sys

import numpy as np
import waycairn as wc


@dataclasses.dataclass
class State:
    seen: int = 0
    best: float = float("nan")
    names: set = dataclasses.field(default_factory=set)
    weights: object = None


def clean(phase, factor) -> int:
    for _ in phase.each(range(5), name="lines"):
        pass
    return 2 * factor


def fetch(address) -> dict:
    return {"from": address}


def main(end, name, key=None):
    facts = {"task": "reports", "tags": ["nightly", end], "fingerprint": {"model": 7}, "metadata": {"who": "me"}}
    with wc.run(name, key=key, **facts) as run:
        state = run.state(State(weights=np.zeros(1000)))
        run.phase("clean", clean, 3)
        run.step("fetch", fetch, "there")
        out = run.output("lines.txt", append=True)
        for item in run.each(range(40), total=40):
            state.seen += 1
            state.weights[item] = item
            state.names.add(f"item {item % 3}")
            out.write(f"{item}\\n")
            if item in (10, 20):
                run.checkpoint("milestone", iteration=item, tags=[f"at{item}"], description="a milestone")
            if item == 25 and not run.resumed:
                act(end)
    print("finished", state.seen, "resumed", run.resumed, "COLOUR=" + os.environ.get("COLOUR", ""))


def act(end):
    if end == "fail":
        raise ValueError("item 25 is odd")
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "stop":
        print("ready", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
    if end == "leave":
        sys.exit(7)


main(*sys.argv[1:])
'''


def environment(**more: str) -> dict[str, str]:
    """This environment without what would change how commands look or where they look."""
    dropped = ("WAYCAIRN", "FORCE_COLOR", "NO_COLOR", "TERM", "COLUMNS", "LINES", "TTY_", "PYTHONUNBUFFERED")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | more


def waycairn(*arguments: object, at: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory, with its output in files and nobody at the keyboard: a process of its own,
    forked where everything is imported already, which saves a second for each of some hundred."""
    argv = [WAYCAIRN, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as place:
        asked = {"argv": argv, "at": str(at), "environment": environment(**more), "place": place}
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        out, err = (Path(place, name).read_text("utf-8") for name in ("out", "err"))
    return subprocess.CompletedProcess(argv, code, out, err)


def script(
    *arguments: object, at: Path, encoding: str = "utf-8", stdout: int = subprocess.PIPE, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the installed script itself, from nothing, with pipes."""
    return subprocess.run(
        [WAYCAIRN, *map(str, arguments)],
        cwd=at,
        env=environment(PYTHONIOENCODING=encoding, **more),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding=encoding,
        timeout=_LIMIT,
        check=False,
    )


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    for stream in (server.stdin, server.stdout):
        if stream is not None:
            stream.close()
    server.wait(_LIMIT)


def serve() -> None:
    """One forked process for each line on stdin; its exit code on stdout."""
    for module in (
        *("cli.app", "catalog.opening", "catalog.whole", "catalog.sqlite", "chunks.reader", "work.store"),
        *("settings.gathering", "settings.describing"),
    ):
        importlib.import_module(f"waycairn.{module}")
    for module in ("numpy", "rich.table", "rich.live", "rich.tree"):
        importlib.import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(argv: list[str], at: str, environment: dict[str, str], place: str) -> NoReturn:
    """Do in this process what the installed script does."""
    signal.alarm(_LIMIT)  # a command that hangs is ended by a signal that none expects
    os.chdir(at)
    os.environ.clear()
    os.environ.update(environment)
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        handle = os.open(os.path.join(place, name), flags | os.O_CREAT, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    sys.argv = argv
    code: object = 70
    try:
        from waycairn.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def document(*arguments: object, at: Path, code: int = 0) -> Any:
    """What the command says with --json; standard output is that one document and nothing else."""
    ran = waycairn(*arguments, "--json", at=at)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def run_job(at: Path, end: str, name: str, *key: str, **more: str) -> int:
    """Run JOB to its end; its exit code."""
    return start_job(at, end, name, *key, **more).wait(_LIMIT)


def start_job(at: Path, end: str, name: str, *key: str, **more: str) -> subprocess.Popen[str]:
    script = at / "job.py"
    if not script.exists():
        script.write_text(JOB)
    return subprocess.Popen(
        [sys.executable, "job.py", end, name, *key],
        cwd=at,
        env=environment(**more),
        stdout=subprocess.PIPE if end == "stop" else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@dataclass
class Spoken:
    code: int
    text: str

    @property
    def plain(self) -> str:
        """Without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.text)


def on_terminal(
    *arguments: object,
    at: Path,
    keys: str = "",
    interrupt: str = "",
    shown: tuple[str, Path] | None = None,
    columns: int = 120,
    **more: str,
) -> Spoken:
    """Run the command on a terminal of its own. `keys` are typed once a question stands there; a Ctrl-C is typed
    once the text `interrupt` was shown; a file is made once the text of `shown` was."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(at)
        os.execve(
            WAYCAIRN,
            [WAYCAIRN, *map(str, arguments)],
            environment(TERM="xterm-256color", COLUMNS=str(columns), LINES="50", **more),
        )
    said = b""
    deadline = time.monotonic() + _LIMIT
    typed = interrupted = False
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"nothing more came: {said!r}")
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            chunk = b""
        if not chunk:
            break
        said += chunk
        if keys and not typed and b"[y/N]" in said:
            typed = True
            os.write(terminal, keys.encode())
        if shown and shown[0].encode() in said:
            shown[1].touch()
        if interrupt and not interrupted and interrupt.encode() in said:
            interrupted = True
            os.write(terminal, b"\x03")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return Spoken(os.waitstatus_to_exitcode(status), said.decode("utf-8", "replace"))


if __name__ == "__main__":
    serve()
