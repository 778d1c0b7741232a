"""Real job processes over the store of a scene, and one who listens to what the server tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from serving import Server, headers_of_token, until
from waycairn.work.store import Store

JOB = '''
"""A job that ends as its arguments say: WHOSE NAME HOW. It comes to its end when it is entered again."""

import os
import signal
import sys
import time

import waycairn as wc
from waycairn.process import acting

whose, name, how = sys.argv[1:]
with acting(whose), wc.run(name, pace=wc.Pace(items=1)) as run:
    out = run.output("items.txt", append=True)
    for item in run.each(range(4000 if how == "wait" else 40)):
        out.write(f"{item}\\n")
        time.sleep(0.005)
        if item == 20 and not run.resumed:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "wait":
                print("waiting", flush=True)
                time.sleep(0.1)
'''


def start_job(at: Path, store: Store, whose: str, name: str, how: str) -> subprocess.Popen[str]:
    """Of that account, in a directory of its own."""
    at.mkdir(exist_ok=True)
    (at / "job.py").write_text(JOB)
    return subprocess.Popen(
        [sys.executable, "job.py", whose, name, how],
        cwd=at,
        env={**os.environ, "WAYCAIRN_STORE": store.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@contextmanager
def waiting_job(at: Path, store: Store, whose: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """One that holds its run, in the middle of it; killed at the end if it is still there."""
    job = start_job(at, store, whose, name, "wait")
    assert job.stdout is not None
    try:
        assert job.stdout.readline() == "waiting\n"
        yield job
    finally:
        job.kill()
        job.wait()
        job.stdout.close()


class Listener:
    """Reads the events of a server as they come."""

    def __init__(self, server: Server, secret: str) -> None:
        self.heard: list[tuple[float, str, Any]] = []
        self._http = httpx.Client(base_url=server.api, headers=headers_of_token(secret), timeout=30)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.named("hello"))
        return self

    def __exit__(self, *_: object) -> None:
        self._answer.close()
        self._http.close()
        self._thread.join(5)

    def _listen(self) -> None:
        try:
            with self._http.stream("GET", "/events") as answer:
                self._answer, event = answer, ""
                for line in answer.iter_lines():
                    word, _, rest = line.partition(": ")
                    event = rest if word == "event" else event
                    if word == "data":
                        self.heard.append((time.monotonic(), event, json.loads(rest)))
        except (httpx.HTTPError, httpx.StreamError, OSError):
            return  # closed by us

    def named(self, event: str) -> list[Any]:
        """What was told under that name."""
        return [data for _, name, data in self.heard if name == event]

    def runs(self, name: str) -> list[Any]:
        """What was told of the runs of that name, in order."""
        return [run for data in self.named("runs") for run in data["runs"] if run["name"] == name]
