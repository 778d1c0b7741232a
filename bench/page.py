"""The page in a browser: how soon the first rows are there, and what it costs to leave it open.

    PYTHONPATH=src:tests python bench/page.py [--jobs 50] [--clients 19] [--seconds 60] [--rounds 7]

A real `waycairn serve`, jobs that each commit once a second, clients that read the events, and chromium with one page. First
rows: milliseconds from the begin of the navigation to the first picture with rows, each time in a browser that has just started
with an empty profile (the server has just started the first time). Main thread: the share of time that it worked, as the browser itself counts it (Performance.getMetrics, TaskDuration).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
from playwright.sync_api import Browser, CDPSession, Page, Playwright, sync_playwright

import server as served_bench
from browsing import chromium, launch
from serving import cookie_for
from waycairn.server.doorkeeper import COOKIE
from waycairn.work.store import open_store

TIMES = """
() => {
  const at = (name) => performance.getEntriesByName(name)[0].startTime;
  return { in_document_ms: at("rows"), first_picture_ms: at("first-contentful-paint") };
}
"""


def cold(playwright: Playwright, url: str, cookie: dict[str, Any], profile: Path) -> dict[str, float]:
    """Of a browser that has just started with an empty profile. Nobody is attached to it while it loads: who listens to what a
    browser does takes a fifth of the machine."""
    argv = [
        *chromium(),
        "--headless",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "--window-size=1280,900",
    ]
    browser = subprocess.Popen([*argv, "--no-sandbox", "about:blank"], stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        while not told.exists() or not told.read_text():
            time.sleep(0.05)
        debugged = f"http://127.0.0.1:{told.read_text().split()[0]}"
        attached = playwright.chromium.connect_over_cdp(debugged)
        attached.contexts[0].add_cookies([cookie])  # type: ignore[list-item]
        attached.close()
        time.sleep(1)
        urlopen(Request(f"{debugged}/json/new?{url}/runs", method="PUT")).close()
        time.sleep(3)
        attached = playwright.chromium.connect_over_cdp(debugged)
        page = next(one for one in attached.contexts[0].pages if one.url == f"{url}/runs")
        found: dict[str, float] = page.evaluate(TIMES)
        attached.close()
    finally:
        browser.terminate()
        browser.wait(30)
    return found


def first_rows(playwright: Playwright, url: str, cookie: dict[str, Any], rounds: int, folder: Path) -> dict[str, Any]:
    taken = [cold(playwright, url, cookie, folder / f"profile-{number}") for number in range(rounds)]
    painted = [round(max(one.values())) for one in taken]  # mostly the first picture has them
    return {
        "median_ms": statistics.median(painted),
        "worst_ms": max(painted),
        "all_ms": painted,
        "in_document_ms": [round(one["in_document_ms"]) for one in taken],
    }


def opened(browser: Browser, url: str, cookie: dict[str, Any]) -> Page:
    """In a new profile, with the list of runs."""
    profile = browser.new_context(base_url=url, viewport={"width": 1280, "height": 900})
    profile.add_cookies([cookie])  # type: ignore[list-item]
    page = profile.new_page()
    page.goto("/runs")
    page.wait_for_selector("tr[data-run]")
    return page


def metrics(session: CDPSession) -> dict[str, float]:
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def left_open(page: Page, server: psutil.Process, seconds: float) -> dict[str, Any]:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    time.sleep(5)
    session.send("HeapProfiler.collectGarbage")
    before, used, begun, rss = metrics(session), served_bench.cpu(server), time.monotonic(), server.memory_info().rss
    shown = page.evaluate("document.querySelector('tr[data-run]').innerText")
    rss_by_minute = [rss]
    while (left := begun + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 60))
        rss_by_minute.append(server.memory_info().rss)
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
        "server_rss_mib_by_minute": [round(one / 2**20, 1) for one in rss_by_minute],
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
        found = first_rows(playwright, url, {**cookie, "url": url}, given.rounds, folder)
        browser = launch(playwright)
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
