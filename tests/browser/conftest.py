"""A chromium for each process of the tests, and the page built once."""

import subprocess

import pytest
from playwright.sync_api import sync_playwright

from browsing import ROOT, Missing, launch


@pytest.fixture(scope="session")
def built():
    """As `make dashboard` builds it, unless it is newer than what it is made of; one process of the tests waits for the other."""
    subprocess.run(["make", "dashboard"], cwd=ROOT, check=True, timeout=300)


@pytest.fixture(scope="module")
def browser(built):
    """Not longer: playwright has an event loop of its own in the thread of the tests, in which others could not begin one."""
    with sync_playwright() as playwright:
        try:
            found = launch(playwright)
        except Missing as reason:
            pytest.skip(str(reason))
        yield found
        found.close()
