"""The server under load: pages of many runs, and what a team that watches costs.

    python bench/server.py pages [--runs 100000] [--rounds 20]
    python bench/server.py feed [--jobs 50] [--clients 19] [--seconds 60]

`pages`: rows are put into the catalog by its own statements, and each page is an answer over HTTP of a real `waycairn serve`: the
newest ones, in the middle, of each sort, by filters. Milliseconds; the first of all is that of a process that has just started.

`feed`: a real server, jobs that each commit once a second (five processes with a thread a job), clients that read the events, and
one page that also reads the list every ten seconds. CPU is that of the server process, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

import waycairn as wc
from waycairn.catalog.rows import values_of_run
from waycairn.catalog.runs import ADD_RUN
from waycairn.catalog.sql import bindparam, update
from waycairn.catalog.statement import Statement
from waycairn.catalog.tables import runs
from waycairn.model.accounts import Account, AccountId, Role, Token, TokenId
from waycairn.model.records import Launch
from waycairn.model.states import RunStatus
from waycairn.server.doorkeeper import TOKEN_PREFIX, digest_of, new_secret
from waycairn.testing.records import a_run
from waycairn.work.store import Store, open_store

API = "/api/v1"
PROCESSES = 5
LAUNCH = Launch(
    argv=["/usr/bin/python3", "/srv/jobs/train/nightly.py", "--config", "configs/base.yaml", "--seed", "1234"],
    directory="/srv/jobs/train",
    environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "en_US.UTF-8", "VIRTUAL_ENV": "/srv/jobs/train/.venv"},
)
SET_STATUS = Statement(
    "set_status",
    "As if it had been left.",
    update(runs).where(runs.c.id == bindparam("of")).values(status=bindparam("word"), updated=bindparam("at")),
)
ENDS = ("completed", "completed", "completed", "completed", "partial", "interrupted", "failed", "discarded")


# -- a store, a server ---------------------------------------------------------------------------------------------------


def token(store: Store) -> str:
    """The secret of an admin's token."""
    now = time.time()
    ada = Account(id=AccountId("ada"), name="ada", role=Role.ADMIN, password=None, created=now, updated=now)
    store.core.catalog.add_account(ada)
    secret = TOKEN_PREFIX + new_secret()
    store.core.catalog.add_token(
        Token(
            id=TokenId("bench"),
            account=ada.id,
            name="bench",
            digest=digest_of(secret),
            scopes=[Role.ADMIN],
            created=now,
            expires=None,
        )
    )
    return secret


@contextmanager
def served(store: Path) -> Iterator[tuple[str, psutil.Process]]:
    argv = [sys.executable, "-m", "waycairn", "serve", "--store", str(store), "--port", "0", "--json", "--no-upkeep"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


# -- pages ---------------------------------------------------------------------------------------------------------------


def fill(store: Store, count: int) -> None:
    """That many runs, one a second up to now; the newest fifty run."""
    catalog: Any = store.core.catalog
    now = time.time()

    def work(session: Any) -> None:
        made = [(number, a_run_like(number)) for number in range(count)]
        session.many(ADD_RUN, [values_of_run(run, now - count + number) for number, run in made])
        ended = [
            {
                "of": run.id,
                "word": ENDS[number % len(ENDS)],
                "at": now - count + number + number * 7919 % 50_000,
            }
            for number, run in made[: max(0, count - 50)]
        ]
        session.many(SET_STATUS, ended)

    catalog._database.write(work)


def a_run_like(number: int) -> Any:
    return a_run(
        f"job-{number % 997:04d}",
        f"2026-{number}",
        task=("train", "ingest", "export", None)[number % 4],
        tags=["nightly"] if number % 3 else [],
        launch=LAUNCH,
        account=("ada", "bob", "cyd")[number % 3],
        metadata={"experiment": number, "rate": 0.1},
        fingerprint={"data": f"v{number}", "model": "m"},
    )


def pages(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with open_store(folder / "store") as store:
        secret = token(store)
        fill(store, given.runs)
    asked = {
        f"{sort} {order}": {"sort": sort, "order": order}
        for sort in ("created", "updated", "name")
        for order in ("desc", "asc")
    }
    asked |= {
        "status=failed": {"status": "failed"},
        "status=failed&status=partial": {"status": ["failed", "partial"]},
        "status=failed, by update": {"status": "failed", "sort": "updated"},
        "status=orphaned": {"status": "orphaned"},
        "name": {"name": "job-0500"},
        "task": {"task": "train"},
        "tag": {"tag": "nightly"},
        "account": {"account": "bob"},
        "text": {"text": "job-05"},
        "text, nothing found": {"text": "zebra"},
        "task, nothing found": {"task": "zebra"},
        "tag, nothing found": {"tag": "zebra"},
    }
    with served(folder / "store") as (url, server), httpx.Client(base_url=url + API, headers=bearer(secret)) as http:
        first = milliseconds(lambda: ask(http, "/runs", {"limit": 50}))
        found = {
            name: timed(server, given.rounds, lambda query=query: ask(http, "/runs", {"limit": 50, **query}))
            for name, query in asked.items()
        }
        for sort in ("created", "updated", "name"):
            cursor = middle(http, sort)
            found[f"{sort}, in the middle"] = timed(
                server,
                given.rounds,
                lambda sort=sort, cursor=cursor: ask(http, "/runs", {"sort": sort, "cursor": cursor}),
            )
        found["counts"] = timed(server, given.rounds, lambda: ask(http, "/runs/counts", {}))
    slowest = max(found.values(), key=lambda one: one["p50_ms"])["p50_ms"]
    return {"runs": given.runs, "first_ms": first, "slowest_p50_ms": slowest, "pages": found}


def middle(http: httpx.Client, sort: str) -> str:
    """Some pages down."""
    cursor: str | None = None
    for _ in range(20):
        cursor = ask(http, "/runs", {"sort": sort, "limit": 500, **({"cursor": cursor} if cursor else {})})["next"]
        if cursor is None:
            break
        last = cursor
    return last


def ask(http: httpx.Client, path: str, query: dict[str, Any]) -> Any:
    answer = http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def milliseconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return round((time.perf_counter() - begun) * 1000, 1)


def timed(server: psutil.Process, rounds: int, call: Callable[[], Any]) -> dict[str, float]:
    """Beside what a client waits, the processor time of the server: on a busy machine that is what compares."""
    before = cpu(server)
    taken = sorted(milliseconds(call) for _ in range(rounds))
    used = round(1000 * (cpu(server) - before) / rounds, 1)
    return {"p50_ms": statistics.median(taken), "max_ms": taken[-1], "cpu_ms": used}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


# -- the feed ------------------------------------------------------------------------------------------------------------


def work(where: str, first: int, count: int) -> None:
    """As a process: that many runs, each of which commits once a second, until it is killed."""

    def one(store: Store, number: int) -> None:
        time.sleep(number % 10 / 10)
        with store.run(f"job-{number}", total=1_000_000, pace=wc.Pace(seconds=1)) as run:
            for _ in run.each(range(1_000_000)):
                time.sleep(0.1)

    store = open_store(where)
    for number in range(first, first + count):
        threading.Thread(target=one, args=(store, number), daemon=True).start()
    threading.Event().wait()


@contextmanager
def working(store: Path, jobs: int) -> Iterator[None]:
    each = -(-jobs // PROCESSES)
    argv = [sys.executable, __file__, "work", "--store", str(store)]
    quiet = {**os.environ, "WAYCAIRN_PROGRESS": "off"}
    processes = [
        subprocess.Popen([*argv, "--first", str(first), "--jobs", str(min(each, jobs - first))], env=quiet)
        for first in range(0, jobs, each)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


class Ears:
    """Clients that read events: bytes are counted, and not looked at."""

    def __init__(self, url: str, secret: str) -> None:
        self._host, self._port = url.removeprefix("http://").split(":")
        self._request = (
            f"GET {API}/events HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {secret}\r\n\r\n"
        ).encode()
        self.bytes = self.events = 0

    async def listen(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, int(self._port))
        writer.write(self._request)
        while data := await reader.read(1 << 20):
            self.bytes += len(data)
            self.events += data.count(b"event: runs")


async def page(url: str, secret: str) -> None:
    """What an open page does beside listening."""
    async with httpx.AsyncClient(base_url=url + API, headers=bearer(secret), timeout=30) as http:
        while True:
            for path in ("/runs?limit=50", "/runs/counts"):
                (await http.get(path)).raise_for_status()
            await asyncio.sleep(10)


async def watch(given: argparse.Namespace, url: str, secret: str, server: psutil.Process) -> dict[str, Any]:
    ears = Ears(url, secret)
    tasks = [asyncio.create_task(ears.listen()) for _ in range(given.clients + 1)]
    tasks.append(asyncio.create_task(page(url, secret)))
    await asyncio.sleep(5 if given.seconds > 20 else 2)
    before, heard, received, begun, first = (
        cpu(server),
        ears.events,
        ears.bytes,
        time.monotonic(),
        server.memory_info().rss,
    )
    await asyncio.sleep(given.seconds)
    took = time.monotonic() - begun
    found = {
        "cpu_percent_of_a_core": round(100 * (cpu(server) - before) / took, 2),
        "rss_mib": [round(first / 2**20, 1), round(server.memory_info().rss / 2**20, 1)],
        "messages_a_second_and_client": round((ears.events - heard) / took / (given.clients + 1), 2),
        "kib_a_message": round((ears.bytes - received) / 1024 / max(1, ears.events - heard), 1),
        "failed": sum(task.done() for task in tasks),
    }
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def feed(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with open_store(folder / "store") as store:
        secret = token(store)
        if given.runs:
            fill(store, given.runs)
    with working(folder / "store", given.jobs), served(folder / "store") as (url, server):
        until_running(url, secret, given.jobs)
        idle = cpu(server)
        time.sleep(3)
        idle = round(100 * (cpu(server) - idle) / 3, 2)
        found = asyncio.run(watch(given, url, secret, server))
    facts = {"jobs": given.jobs, "clients": given.clients + 1, "seconds": given.seconds, "runs": given.runs}
    return {**facts, "cpu_percent_if_nobody_listens": idle, **found}


def until_running(url: str, secret: str, jobs: int) -> None:
    with httpx.Client(base_url=url + API, headers=bearer(secret)) as http:
        for _ in range(600):
            if ask(http, "/runs/counts", {})["counts"].get(RunStatus.RUNNING.value, 0) >= jobs:
                return
            time.sleep(0.1)
    raise SystemExit("the jobs did not start")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "part", nargs="?", choices=["pages", "feed", "work"], help="both of the former, if none is named"
    )
    parser.add_argument("--runs", type=int, help="rows in the store: 100,000 for pages, none for the feed")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--clients", type=int, default=19)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--store")
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    if given.part == "work":
        work(given.store, given.first, given.jobs)
    for part in [given.part] if given.part else ["pages", "feed"]:
        measure(part, given)


def measure(part: str, given: argparse.Namespace) -> None:
    given = argparse.Namespace(**vars(given))
    if given.runs is None:
        given.runs = 100_000 if part == "pages" else 0
    folder = Path(tempfile.mkdtemp(prefix="waycairn-bench-"))
    try:
        found = pages(given, folder) if part == "pages" else feed(given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"part": part, "cores": os.cpu_count(), **found}, indent=1))


if __name__ == "__main__":
    main()
