"""Every page, over a store in which something of each kind is: for axe, for phones, by keyboard, in light and dark."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browsing import DESK, PHONE, opened, violations
from serving import add_people, served, until
from waycairn.process import acting
from waycairn.work.store import open_store

FOLLOWER = Path(__file__).parent.parent / "following_job.py"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A store with runs that ended in each way, a session, a stream with dead letters, a backup; and its server."""
    place = tmp_path_factory.mktemp("furnished")
    with open_store(place / "store") as store:
        add_people(store)
        with acting("olga"):
            _runs(store)
            with store.safeguard(_folder(place), keep="7d") as backup:
                backup.verify()
        _stream(place)
        with served(store.url, "--no-upkeep") as server:
            yield store, server


def _runs(store) -> None:
    with store.run("whole", total=3, tags=["nightly"]) as run:
        for _ in run.each(range(3)):
            pass
    with store.run("partial", total=4) as run:
        for item in run.items(range(4)):
            with item:
                if item.value == 2:
                    raise ValueError("the service said 503")
    with contextlib.suppress(RuntimeError), store.run("broken", total=9) as run:
        for item in run.each(range(9)):
            if item == 4:
                raise RuntimeError("no more room")
    with store.run("training") as run:
        state = run.state({"weight": 0.0})
        run.phase("warm up", lambda phase: phase.id)
        for step in run.steps(30):
            state["weight"] += 1 / (step + 1)
            run.log(loss=1 / (step + 1), accuracy=step / 30)
            if step % 10 == 0:
                run.checkpoint("milestone", iteration=step, description=f"step {step}")


def _folder(place):
    folder = place / "reports"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"report {number}\n" * 50)
    return folder


def _stream(place) -> None:
    (place / "logs").mkdir()
    lines = "".join(f'{{"seq": {number}, "id": {number}}}\n' for number in range(20))
    (place / "logs" / "a.jsonl").write_text(lines + "no json\n[1]\n")
    words = [sys.executable, str(FOLLOWER), str(place), "10", "follow", "job"]
    job = subprocess.Popen(words, env={**os.environ, "WAYCAIRN_ACCOUNT": "olga"}, stderr=subprocess.DEVNULL)
    with open_store(place / "store") as store:
        until(lambda: [one for one in store.streams() if one.letters == 2], 60)
    job.send_signal(signal.SIGTERM)
    job.wait(30)


def addresses(store) -> dict[str, str]:
    """Of every page, by a name for messages."""
    backup = store.backups()[0].id
    runs = {run.name: run.id for run in store.runs()}
    return {
        "runs": "/runs?status=completed&status=partial",
        **{f"run {name}": f"/runs/{runs[name]}" for name in ("partial", "broken", "training")},
        **{
            f"run, {tab}": f"/runs/{runs['training']}?tab={tab}"
            for tab in ("checkpoints", "metrics", "timeline", "about")
        },
        "backups": "/backups",
        "backup": f"/backups/{backup}",
        "streams": "/streams",
        "stream": "/streams/job",
        "storage": "/storage",
        "audit": "/audit",
        "accounts": "/accounts",
        "settings": "/settings",
        "account": "/account",
        "nothing there": "/nowhere",
    }


def settled(page) -> None:
    """Everything that was asked for has been answered and shown."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "size"), [("light", DESK), ("dark", PHONE)])
def test_axe_finds_nothing(browser, furnished, scheme, size):
    """Nor does a page of a phone have to be moved sideways."""
    store, server = furnished
    found = {}
    with opened(browser, server, "ada", store, size=size, color_scheme=scheme) as page:
        for name, address in addresses(store).items():
            page.goto(address)
            settled(page)
            if page.get_by_role("dialog").count():
                found[f"{name}, dialog"] = violations(page)
                page.keyboard.press("Escape")
            found[name] = violations(page)
            too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if too_wide > 0:
                found[f"{name}, width"] = [f"{too_wide} pixels too wide"]
    assert {name: bad for name, bad in found.items() if bad} == {}


def test_a_viewer_is_told_what_is_not_theirs(browser, furnished):
    """The page of another's run is read, its contents are not, and no act is offered."""
    store, server = furnished
    with opened(browser, server, "vera", store) as page:
        page.goto(f"/runs/{store.find('partial').id}")
        settled(page)
        expect(page.get_by_role("heading", name="partial").first).to_be_visible()
        expect(page.get_by_text("olga").first).to_be_visible()
        for act in ("Discard", "Retry failed", "Resume"):
            expect(page.get_by_role("button", name=act, exact=True)).to_have_count(0)
        page.goto("/audit")
        settled(page)
        expect(page.get_by_role("main")).to_contain_text("admin")


def test_by_keyboard_alone(browser, furnished):
    """From the address to a run and its checkpoints, without a pointer; where the focus is can be seen."""
    store, server = furnished
    with opened(browser, server, "vera", store) as page:
        page.goto("/runs")
        page.get_by_role("dialog").wait_for()  # what is not complete is asked for
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(
                "document.activeElement.closest('tr[data-run]') !== null && document.activeElement.tagName === 'A'"
            ):
                break
        outline = page.evaluate(
            "getComputedStyle(document.activeElement.closest('tr')).outlineStyle"
        )  # of the whole row
        assert outline not in ("none", ""), "the focus cannot be seen"
        name = page.evaluate("document.activeElement.innerText")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
