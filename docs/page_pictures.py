"""Takes the pictures of the page: PYTHONPATH=src:tests .venv/bin/python docs/page_pictures.py

A real server over a real store in which real jobs run, fail and are killed; the page as it is, in chromium.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from browsing import launch, opened
from serving import add_people, served, until
from waycairn.process import acting
from waycairn.work.store import Store, open_store

HERE = Path(__file__).parent
PICTURES = HERE / "how-to" / "pictures"
JOB = HERE.parent / "tests" / "browser_job.py"
TAKEN = {
    "light": {one: f"{one}.png" for one in ("incomplete", "runs", "storage", "delete")},
    "dark": {"run": "run-dark.png"},
}
SIZE = {"width": 1280, "height": 800}
RUNNING = {"reports-2026-11": 900, "embeddings": 4000, "translations": 1200}


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        place = Path(tempfile.gettempdir()) / "team"  # the page shows where the store is
        place.mkdir()
        stack.callback(shutil.rmtree, place)
        store = stack.enter_context(open_store(place / "store"))
        add_people(store)
        with acting("olga"):
            _past(store)
        for name, items in RUNNING.items():
            stack.callback(_end, _begin(place, name, items))
        _killed(place, store)
        server = stack.enter_context(served(store.url, "--allow-launch", "--no-upkeep"))
        browser = launch(stack.enter_context(sync_playwright()))
        for scheme, names in TAKEN.items():
            with opened(browser, server, "olga", store, size=SIZE, color_scheme=scheme) as page:
                _take(page, store, names)


def _take(page: Page, store: Store, names: Mapping[str, str]) -> None:
    page.goto("/runs")
    page.get_by_role("dialog").wait_for()
    _shot(page, names, "incomplete")
    page.keyboard.press("Escape")
    page.wait_for_timeout(3000)  # rates are there after some looks
    _shot(page, names, "runs")
    page.goto(f"/runs/{store.find('translator').id}?tab=metrics")
    page.wait_for_timeout(1500)
    _shot(page, names, "run")
    page.goto("/storage")
    page.wait_for_timeout(1500)
    _shot(page, names, "storage")
    page.goto(f"/runs/{store.find('reports-2026-09').id}")
    page.get_by_role("button", name="More acts").click()
    page.get_by_role("menuitem", name="Back up and delete").click()
    page.get_by_role("button", name="Make the backup").wait_for()
    _shot(page, names, "delete")


def _shot(page: Page, names: Mapping[str, str], what: str) -> None:
    if what in names:
        page.screenshot(path=PICTURES / names[what])


def _past(store: Store) -> None:
    """What ran before."""
    for month in ("09", "10"):
        with store.run(f"reports-2026-{month}", total=400, tags=["monthly"]) as run:
            for item in run.items(range(400)):
                with item:
                    if month == "10" and item.value % 97 == 5:
                        raise TimeoutError("the service did not answer within 30 s")
                    item.result = {"words": item.value * 31 % 977}
    with store.run("translator", tags=["de-en"]) as run:
        state = run.state({"weights": [0.0] * 500})
        for step in run.steps(300):
            state["weights"][step] = math.sin(step)
            noise = math.sin(step * 12.9898) * 0.04
            run.log(
                loss=2.2 * math.exp(-step / 70) + 0.3 + noise, accuracy=0.93 - 0.6 * math.exp(-step / 90) + noise / 3
            )
            if step % 60 == 59:
                run.checkpoint("milestone", iteration=step, tags=["kept"])


def _begin(place: Path, name: str, items: int) -> subprocess.Popen[bytes]:
    (place / "slow").touch()
    environment = {
        **os.environ,
        "WAYCAIRN_STORE": str(place / "store"),
        "WAYCAIRN_ACCOUNT": "olga",
        "WAYCAIRN_PROGRESS": "off",
    }
    words = [sys.executable, str(JOB), name, str(items)]
    return subprocess.Popen(words, cwd=place, env=environment, stderr=subprocess.DEVNULL)


def _killed(place: Path, store: Store) -> None:
    job = _begin(place, "summaries", 60)
    until(lambda: (found := store.runs(name="summaries")) and found[0].progress.done > 20, 60)
    job.send_signal(signal.SIGKILL)
    job.wait(10)


def _end(job: subprocess.Popen[bytes]) -> None:
    job.terminate()
    job.wait(30)


main()
