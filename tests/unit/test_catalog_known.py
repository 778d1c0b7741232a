"""What SQLAlchemy makes of statements and tables is known on SQLite, and right."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.dialects import sqlite

from known_texts import compiled
from waycairn.catalog.known import FILE, find
from waycairn.catalog.phrases import meant
from waycairn.catalog.sql import bindparam, select
from waycairn.catalog.statement import Statement, sqlite_texts
from waycairn.catalog.tables import metadata, runs

JOB = """
import sys
import waycairn as wc
with wc.open("store") as store:
    store.save("a", list(range(100_000)), tags=["t"])
with wc.open("store", create=False) as store:
    assert store.latest("a") == list(range(100_000))
    assert not store.verify().broken
    with store.run("job") as run:
        assert [run.step("double", lambda: item) for item in run.each([1, 2, 3])] == [1, 2, 3]
    for _ in range(2):
        with store.safeguard("folder") as backup:
            pass
    backup.delete()
    store.restore(backup.id)
    assert {one.id for one in store.backups()} >= {backup.id}
print("sqlalchemy" in sys.modules)
"""


def test_what_is_known_is_what_compiling_gives():
    """Else: PYTHONPATH=src:tests python tests/known_texts.py."""
    assert json.loads(FILE.read_bytes()) == json.loads(json.dumps(compiled()))


@pytest.mark.parametrize("passphrase", ["", "correct horse battery staple"])
def test_a_short_process_needs_no_sqlalchemy(passphrase, tmp_path, monkeypatch):
    """Plain or encrypted: it costs 0.3 s of processor time to import."""
    (tmp_path / "folder").mkdir()
    if passphrase:
        monkeypatch.setenv("WAYCAIRN_PASSPHRASE", passphrase)
    done = subprocess.run([sys.executable, "-c", JOB], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_statement_that_was_changed_is_compiled():
    """It is found by what it says."""
    changed = select(runs.c.num, runs.c.num).where(runs.c.id == bindparam("id"))
    assert find(changed) is None
    assert sqlite_texts()[Statement("get_num", "", changed)].order == ["id"]


def test_tables_are_those_of_sqlalchemy():
    """In their order, with their columns and keys."""
    real = meant(metadata)
    assert [table.name for table in metadata.sorted_tables] == [table.name for table in real.sorted_tables]
    for table in metadata.tables.values():
        theirs = real.tables[table.name]
        assert [str(column) for column in table.c] == [str(column) for column in theirs.c]
        assert [column.name for column in table.primary_key] == [column.name for column in theirs.primary_key]
        for column in table.c:
            that = theirs.c[column.name]
            assert (column.nullable, column.primary_key) == (that.nullable, that.primary_key), str(column)
            assert dict(column.info) == that.info
            assert bool(column.foreign_keys) == bool(that.foreign_keys)


def test_two_threads_are_told_the_same():
    """SQLAlchemy knows an alias by its identity: a statement that mixed two of the same name would join all with all."""
    others = runs.alias("others")
    asked = select(others.c.id, runs.c.id).where(others.c.id == runs.c.parent)
    with ThreadPoolExecutor(8) as threads:
        made = [*threads.map(lambda _: meant(asked), range(64))]
    assert len({id(one) for one in made}) == 1
    assert str(made[0].compile(dialect=sqlite.dialect())).count("JOIN") == 0
