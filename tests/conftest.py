"""Fixtures that start something real."""

import os
import signal
from contextlib import ExitStack

import pytest

from programme.server import Missing, started

# Started in the background by a shell, pytest inherits that SIGINT is ignored, and so would every job it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The suites of waycairn.testing are no test files, so pytest has to be told to explain their assertions.
pytest.register_assert_rewrite("waycairn.testing")


@pytest.fixture(scope="session", autouse=True)
def no_bytecode_of_jobs():
    """What jobs import is compiled by make, and a job leaves in its folder what it made and nothing else."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


@pytest.fixture(scope="session")
def postgres_server():
    """One real PostgreSQL a test session; stopped at the end."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(started())
        except Missing as reason:
            pytest.skip(str(reason))
        yield server


@pytest.fixture
def postgres_database(postgres_server):
    """The address of an empty database of its own."""
    with postgres_server.database() as address:
        yield address


@pytest.fixture
def postgres_schema(postgres_server):
    """The address of an empty schema of its own, in a database that all tests share."""
    with postgres_server.schema() as address:
        yield address


def pytest_collection_modifyitems(config, items):
    """Tests marked torture take many minutes each: only with -m torture, or by name. The long ones of the programme come
    first: at the end one core would wait for the other."""
    items.sort(key=lambda item: "programme" not in item.path.parts)
    asked = config.option.markexpr or config.option.keyword or any("::" in argument for argument in config.args)
    if not asked:
        torture = [item for item in items if item.get_closest_marker("torture")]
        config.hook.pytest_deselected(items=torture)
        items[:] = [item for item in items if item not in torture]
