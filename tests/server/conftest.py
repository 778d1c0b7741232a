"""Fixtures of all tests of the server."""

import pytest

from serving import a_scene


@pytest.fixture
def scene(tmp_path):
    """A new store with the accounts ada, olga and vera, their clients, and the app."""
    with a_scene(tmp_path) as found:
        yield found
