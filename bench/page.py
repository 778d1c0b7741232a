"""The page in a browser: how soon the first rows are there, and what it costs to leave it open.

    PYTHONPATH=src:tests python bench/page.py [--jobs 50] [--clients 19] [--seconds 60] [--rounds 7]

A real `waycairn serve`, jobs that each commit once a second, clients that read the events, and chromium with one page. First
rows: milliseconds from the begin of the navigation to the first row in the document, and to the picture with it on the screen,
each time in a new browser profile (nothing cached); the first time the browser and the server have just started, too. Main thread: the share of time that it worked, as the browser itself counts it (Performance.getMetrics, TaskDuration).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

import server as served_bench
from browsing import launch
from serving import cookie_for
from waycairn.server.doorkeeper import COOKIE
from waycairn.work.store import open_store

NOTE_FIRST_ROW = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("tr[data-run]")) return;
  observer.disconnect();
  window.firstRow = performance.now();
  const painted = new MessageChannel();
  painted.port1.onmessage = () => { window.firstRowPainted = performance.now(); };
  requestAnimationFrame(() => painted.port2.postMessage(null));  // comes behind the picture of this frame
}).observe(document, { childList: true, subtree: true });
"""


def opened(browser: Browser, url: str, cookie: dict[str, Any]) -> Page:
    """In a new profile, with the list of runs."""
    profile = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    profile.add_cookies([cookie])  # type: ignore[list-item]
    page = profile.new_page()
    page.add_init_script(NOTE_FIRST_ROW)
    page.goto("/runs")
    page.wait_for_function("() => window.firstRowPainted !== undefined")
    return page


def first_rows(browser: Browser, url: str, cookie: dict[str, Any], rounds: int) -> dict[str, Any]:
    taken: dict[str, list[int]] = {"in_document_ms": [], "painted_ms": []}
    for _ in range(rounds):
        page = opened(browser, url, cookie)
        for name, at in zip(taken, page.evaluate("[window.firstRow, window.firstRowPainted]"), strict=True):
            taken[name].append(round(at))
        page.context.close()
    return {name: {"first": all_[0], "median": statistics.median(all_), "all": all_} for name, all_ in taken.items()}


def metrics(session: CDPSession) -> dict[str, float]:
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def left_open(page: Page, server: psutil.Process, seconds: float) -> dict[str, Any]:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    time.sleep(5)
    session.send("HeapProfiler.collectGarbage")
    before, used, begun, rss = metrics(session), served_bench.cpu(server), time.monotonic(), server.memory_info().rss
    shown = page.evaluate("document.querySelector('tr[data-run]').innerText")
    time.sleep(seconds)
    took = time.monotonic() - begun
    assert page.evaluate("document.querySelector('tr[data-run]').innerText") != shown, "the page is not live"
    session.send("HeapProfiler.collectGarbage")
    after = metrics(session)
    return {
        "main_thread_percent": round(100 * (after["TaskDuration"] - before["TaskDuration"]) / took, 2),
        "script_percent": round(100 * (after["ScriptDuration"] - before["ScriptDuration"]) / took, 2),
        "heap_mib": [round(one["JSHeapUsedSize"] / 2**20, 1) for one in (before, after)],
        "nodes": [round(one["Nodes"]) for one in (before, after)],
        "server_cpu_percent_of_a_core": round(100 * (served_bench.cpu(server) - used) / took, 2),
        "server_rss_mib": [round(rss / 2**20, 1), round(server.memory_info().rss / 2**20, 1)],
    }


def listen(url: str, secret: str, clients: int) -> None:
    """In a thread: clients that read the events until the server ends."""

    async def all_of_them() -> None:
        ears = served_bench.Ears(url, secret)
        await asyncio.gather(*(ears.listen() for _ in range(clients)), return_exceptions=True)

    asyncio.run(all_of_them())


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with open_store(folder / "store") as store:
        secret = served_bench.token(store)
        cookie = {
            "name": f"{COOKIE}_{store.core.catalog.info.id[:8]}",
            "value": cookie_for(store, "ada", 86_400),
            "httpOnly": True,
            "sameSite": "Strict",
        }
    with (
        sync_playwright() as playwright,
        served_bench.working(folder / "store", given.jobs),
        served_bench.served(folder / "store") as (url, server),
    ):
        served_bench.until_running(url, secret, given.jobs)
        browser = launch(playwright)
        found = first_rows(browser, url, {**cookie, "url": url}, given.rounds)
        ears = threading.Thread(target=listen, args=(url, secret, given.clients), daemon=True)
        ears.start()
        open_page = left_open(opened(browser, url, {**cookie, "url": url}), server, given.seconds)
        browser.close()
    return {"jobs": given.jobs, "clients": given.clients, "seconds": given.seconds, "first_rows": found, **open_page}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--clients", type=int, default=19)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="waycairn-bench-"))
    try:
        found = measure(given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"cores": os.cpu_count(), **found}, indent=1))


if __name__ == "__main__":
    main()
