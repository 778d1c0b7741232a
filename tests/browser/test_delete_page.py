"""What is deleted from the page can be brought back from the page; and how the first one signs in."""

import os
import resource
import subprocess

import pytest
from playwright.sync_api import expect

from browsing import opened, violations
from serving import PASSWORDS, add_people, served, until
from waycairn.process import acting
from waycairn.work.store import open_store


@pytest.fixture
def store(tmp_path):
    """With two runs of olga's."""
    with open_store(tmp_path / "store") as opened_store:
        add_people(opened_store)
        with acting("olga"):
            for name in ("old", "kept"):
                with opened_store.run(name, total=3) as run:
                    for item in run.items(range(3)):
                        with item:
                            item.result = {"of": item.value}
        yield opened_store


def _begin(page, store) -> None:
    """Up to the first question of a delete of the run `old`."""
    page.goto(f"/runs/{store.find('old').id}")
    page.get_by_role("button", name="More acts").click()
    page.get_by_role("menuitem", name="Delete").click()


def test_three_steps_and_back(browser, store, tmp_path):
    """Asked, backed up and read back, asked for the name; then it is gone, is downloaded, and comes back."""
    with served(store.url, "--no-upkeep") as server, opened(browser, server, "olga", store) as page:
        _begin(page, store)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("First a backup is made")
        assert violations(page) == []
        assert store.backups() == []
        dialog.get_by_role("button", name="Make the backup").click()
        typed = dialog.get_by_label("What is to be deleted")
        expect(typed).to_be_visible(timeout=20_000)
        [backup] = store.backups()
        assert backup.state == "verified"
        assert store.find("old").progress.done == 3, "made, and nothing deleted"
        assert violations(page) == []
        last = dialog.get_by_role("button", name="Delete now")
        typed.fill("something else")
        expect(last).to_be_disabled()
        typed.fill(backup.label)
        last.click()
        expect(dialog).to_contain_text("Deleted: run old", timeout=20_000)
        assert {run.name for run in store.runs(task=None)} >= {"kept"}
        assert not store.runs(name="old")
        with page.expect_download() as download:
            dialog.get_by_role("link", name="Download").click()
        download.value.save_as(tmp_path / "old.tar")
        dialog.get_by_role("link", name="To the backup").click()
        page.get_by_role("button", name="Restore…", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Restore", exact=True).click()
        until(lambda: store.runs(name="old"), 20)
    _check_archive(tmp_path)
    assert [store.find("old").progress.done, store.find("old").account] == [3, "olga"]


def _check_archive(place) -> None:
    """It needs no waycairn."""
    (place / "out").mkdir()
    subprocess.run(["tar", "-xf", place / "old.tar", "-C", place / "out"], check=True)
    [sums] = (place / "out").rglob("SHA256SUMS")
    done = subprocess.run(["sha256sum", "-c", sums.name], cwd=sums.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_backup_that_fails_stops_the_delete(browser, store, tmp_path):
    """There is no room for it: the refusal is shown, with what it means, and nothing is deleted."""
    with served(store.url, "--no-upkeep") as server, opened(browser, server, "olga", store) as page:
        _begin(page, store)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Make the backup")).to_be_visible()
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, hard))
        dialog.get_by_role("button", name="Make the backup").click()
        expect(dialog).to_contain_text("othing was", timeout=20_000)  # begun, or deleted
        expect(dialog.get_by_label("What is to be deleted")).to_have_count(0)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert store.find("old").progress.done == 3


def test_the_first_one_sets_it_up_and_signs_in(browser, tmp_path):
    """By the link that the server printed, once; then by name and password. A wrong one is told, and nothing else."""
    with open_store(tmp_path / "store") as store, served(store.url, "--no-upkeep") as server:
        assert server.setup is not None
        with opened(browser, server, None, store) as page:
            page.goto(server.setup)
            page.get_by_label("Name").fill("ada")
            for label in ("Password", "Password again"):
                page.get_by_label(label, exact=True).fill(PASSWORDS["ada"])
            assert violations(page) == []
            page.get_by_role("main").get_by_role("button").last.click()
            expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible(timeout=20_000)
        with opened(browser, server, None, store) as page:
            page.goto("/runs")
            for password in ("not that one", PASSWORDS["ada"]):
                page.get_by_label("Name").fill("ada")
                page.get_by_label("Password", exact=True).fill(password)
                page.get_by_role("button", name="Sign in").click()
                if password == "not that one":
                    expect(page.get_by_role("alert").last).not_to_be_empty()
                    assert violations(page) == []
            expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible(timeout=20_000)
    assert os.listdir(tmp_path)
