"""Processes that train, forked from one that has imported the library already: importing it takes longer than training.

    python forked.py MODULE

imports MODULE (a file beside this one) and obeys one order a line: {"call", "with", "folder", "environment"}. It answers
with the process id; to a process id with the exit code of that process, once it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import traceback
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
_LIMIT = 60
"""Seconds after which a process that hangs is ended."""


class Forked(AbstractContextManager["Forked"]):
    """The process that forks those that train; ended at the end of the block."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.stdin.close()

    def start(self, call: str, folder: Path, environment: dict[str, str] | None = None, **arguments: Any) -> int:
        """Call a function of the module in a process of its own; the process id."""
        order = {"call": call, "with": arguments, "folder": str(folder), "environment": environment or {}}
        return self._ask(order)

    def wait(self, pid: int) -> int:
        """The exit code, negative for a signal."""
        return self._ask(pid)

    def run(self, call: str, folder: Path, environment: dict[str, str] | None = None, **arguments: Any) -> Any:
        """Call it, wait, and give what it returned. Fails with what it wrote if it failed."""
        code = self.wait(self.start(call, folder, environment, **arguments))
        assert code == 0, f"exit code {code}\n{(folder / 'errors').read_text()}"
        return json.loads((folder / "returned").read_text())

    def _ask(self, what: Any) -> int:
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def _work(module: Any, order: dict[str, Any]) -> int:
    from waycairn.errors import Interrupted
    from waycairn.world import crashpoints

    errors = os.open(f"{order['folder']}/errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(errors, 1)  # where we answer
    os.dup2(errors, 2)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    crashpoints._plan = crashpoints._from_environment()
    try:
        returned = (_page if order["call"] == "page" else getattr(module, order["call"]))(**order["with"])
        Path("returned").write_text(json.dumps(returned))
    except Interrupted as stopped:
        return stopped.code  # what its hook makes of it in a process that ends by itself
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _page(path: str) -> None:
    """Run the examples of a page of the documentation, as a reader would; the library is imported already."""
    blocks = re.findall(r"^```py\n(.*?)^```", Path(path).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    exec(compile("\n".join(blocks), path, "exec"), {"__name__": "__main__"})


def _serve() -> None:
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    module = importlib.import_module(sys.argv[1])
    module.warm()
    gc.collect()
    gc.freeze()  # what is never looked at by the collector stays shared with the children
    print("ready", flush=True)
    for text in sys.stdin:
        asked = json.loads(text)
        if isinstance(asked, int):
            print(os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            signal.alarm(_LIMIT)
            code = _work(module, asked)
            sys.stderr.flush()
            os._exit(code)
        print(pid, flush=True)


if __name__ == "__main__":
    _serve()
