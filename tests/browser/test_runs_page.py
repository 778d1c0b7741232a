"""Runs in a real browser: real jobs run, are killed, and are resumed from the page."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from browsing import opened
from serving import add_people, served, until
from waycairn.process import current_account
from waycairn.work.store import open_store

JOB = Path(__file__).parent.parent / "browser_job.py"
INCOMPLETE = re.compile(r"/api/v1/runs\?.*status=interrupted")
AT_FIRST_ROW = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("tr[data-run]")) return;
  observer.disconnect();
  window.fetched = performance.getEntriesByType("resource").map((one) => new URL(one.name).pathname);
}).observe(document, { childList: true, subtree: true });
"""


@pytest.fixture
def place(tmp_path):
    """A store with accounts, and a directory for the jobs. `olga` is who runs them."""
    with open_store(tmp_path / "store") as store:
        add_people(store)
        yield store, tmp_path


def begin(place, name: str, items: int, *, slow: bool = True) -> subprocess.Popen:
    store, folder = place
    environment = {
        **os.environ,
        "WAYCAIRN_STORE": str(store.url),
        "WAYCAIRN_PROGRESS": "off",
        "WAYCAIRN_ACCOUNT": "olga",
    }
    if slow:
        (folder / "slow").touch()
    words = [sys.executable, str(JOB), name, str(items)]
    return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def done(store, name: str) -> int:
    found = store.runs(name=name)
    return found[0].progress.done if found else 0


def lines(place, name: str) -> list[str]:
    return sorted((place[1] / f"{name}.txt").read_text().splitlines(), key=int)


def test_a_job_is_killed_and_goes_on_by_a_click(browser, place):
    """It is seen to run, seen to die, and what it did is neither lost nor done again."""
    store = place[0]
    with served(store.url, "--allow-launch", "--no-upkeep") as server:
        job = begin(place, "reports", 300)
        until(lambda: done(store, "reports") >= 3, 30)
        with opened(browser, server, "olga", store) as page:
            page.goto("/runs")
            row = page.get_by_role("row").filter(has_text="reports")
            expect(row).to_contain_text("running")
            before = row.get_by_role("progressbar").get_attribute("aria-valuenow")
            page.wait_for_function(
                "before => document.querySelector('tr[data-run] [role=progressbar]').ariaValueNow !== before",
                arg=before,
            )
            kill(job)
            expect(row).to_contain_text("orphaned")
            page.reload()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("1 run is not complete")
            expect(dialog).to_contain_text("reports")
            assert done(store, "reports") < 300
            (place[1] / "slow").unlink()
            dialog.get_by_role("button", name="Resume").click()
            until(lambda: done(store, "reports") == 300, 60)
            expect(dialog).to_contain_text("completed")
    assert lines(place, "reports") == [str(number) for number in range(300)]


def test_what_was_incomplete_stays_in_the_dialog_when_it_is_read_again(browser, place):
    """Nothing jumps away under the pointer, whenever the answer comes: here behind the end of the run."""
    store, _ = place
    job = begin(place, "reports", 300)
    until(lambda: done(store, "reports") >= 8, 30)  # the one that fails has failed
    kill(job)
    (place[1] / "slow").unlink()
    asked: list[Route] = []

    def hold_the_second(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.continue_()

    with served(store.url) as server, opened(browser, server, "olga", store) as page:
        page.route(INCOMPLETE, hold_the_second)
        page.goto("/runs")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("orphaned")
        until(lambda: page.wait_for_timeout(50) or len(asked) == 2, 30)
        begin(place, "reports", 300, slow=False).wait(60)
        with page.expect_response(INCOMPLETE):
            asked[1].continue_()
        page.wait_for_timeout(200)  # the answer is in the page
        expect(dialog).to_contain_text("completed")
        assert "reports" not in page.evaluate("fetch('/api/v1/runs?status=orphaned').then((answer) => answer.text())")


def test_first_rows_wait_for_no_file_that_the_document_does_not_name(browser, place):
    """A chunk that asks for another one, or a style, is a trip to the server before there are rows. All rows follow."""
    store, _ = place
    for number in range(30):
        with store.run(f"quick-{number}") as run:
            list(run.each([number]))
    with served(store.url) as server, opened(browser, server, "olga", store) as page:
        page.add_init_script(AT_FIRST_ROW)
        document = page.goto("/runs").text()
        expect(page.locator("tr[data-run]")).to_have_count(30)
        files = [path for path in page.evaluate("window.fetched") if path.startswith("/assets/")]
        assert 3 <= len(files) <= 6
        assert not [path for path in files if path not in document]


def test_discard_is_asked_twice(browser, place):
    store = place[0]
    job = begin(place, "given-up", 500)
    until(lambda: done(store, "given-up") >= 3, 30)
    kill(job)
    with served(store.url, "--no-upkeep") as server, opened(browser, server, "olga", store) as page:
        page.goto("/runs")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("--allow-launch")
        expect(dialog).to_contain_text("waycairn")  # the line to copy
        dialog.get_by_role("button", name="Discard", exact=True).click()
        assert store.find("given-up").status == "running"
        dialog.get_by_role("button", name="Yes, discard").click()
        assert store.find("given-up").status == "running"
        dialog.get_by_role("button", name="Discard for good").click()
        until(lambda: store.find("given-up").status == "discarded")
        expect(dialog).to_contain_text("discarded")


def test_focus_stays_under_live_updates(browser, place):
    """A row that is updated each second is the same row: who is on it by keyboard stays there."""
    store = place[0]
    job = begin(place, "long", 2000)
    try:
        until(lambda: done(store, "long") >= 3, 30)
        with served(store.url, "--no-upkeep") as server, opened(browser, server, "vera", store) as page:
            page.goto("/runs")
            link = page.get_by_role("link", name="long")
            link.focus()
            row = page.get_by_role("row").filter(has_text="long")
            for _ in range(2):
                text = row.inner_text()
                page.wait_for_function("text => document.querySelector('tr[data-run]').innerText !== text", arg=text)
            expect(link).to_be_focused()
            page.keyboard.press("Enter")
            page.wait_for_url("**/runs/*")
            expect(page.get_by_role("heading", name="long").first).to_be_visible()
    finally:
        kill(job)


def test_failed_items_are_grouped_and_tried_again(browser, place):
    store = place[0]
    assert begin(place, "partial", 12, slow=False).wait(30) == 0
    assert store.find("partial").status == "partial"
    with served(store.url, "--allow-launch", "--no-upkeep") as server, opened(browser, server, "olga", store) as page:
        page.goto(f"/runs/{store.find('partial').id}")
        page.get_by_role("tab", name="Items").click()
        expect(page.get_by_text("the service said 503").first).to_be_visible()
        page.get_by_role("button", name="Retry failed").first.click()
        until(lambda: store.find("partial").status == "completed", 30)
        expect(page.get_by_text("completed").first).to_be_visible()
    assert lines(place, "partial") == [str(number) for number in range(12)]


def test_the_jobs_of_this_file_belong_to_olga(place):
    """Else the tests above would say nothing of what is one's own."""
    store = place[0]
    assert current_account() != "olga"
    assert begin(place, "short", 2, slow=False).wait(30) == 0
    assert store.find("short").account == "olga"
    assert time.time() - store.find("short").created < 60
