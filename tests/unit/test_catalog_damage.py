"""A database that is damaged is told by our errors, whatever SQLite and Python make of it."""

import random
import sqlite3
import time
from contextlib import closing

import pytest

import waycairn as wc
from waycairn.catalog.integrity import problems_of
from waycairn.errors import Damaged, WaycairnError


@pytest.fixture
def place(tmp_path):
    with wc.open(tmp_path / "store") as store:
        with store.run("job") as run:
            for _ in run.each(range(3)):
                pass
        store.save("cursor", {"page": 1})
    return tmp_path / "store"


def test_a_schema_that_is_no_text(place):
    """SQLite quotes the schema in its message, and Python cannot decode that."""
    path = place / "catalog.db"
    content = path.read_bytes()
    at = content.index(b"CREATE TABLE runs")
    path.write_bytes(content[: at + 10] + b"\xa0" + content[at + 11 :])
    with pytest.raises(Damaged, match="is damaged"):
        wc.open(place)
    assert problems_of(path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET status = 'compl%ted'",
        "UPDATE runs SET tags = '{'",
        "UPDATE runs SET epoch = 'x'",
        "UPDATE runs SET owner = '{\"host\": 1}'",
        "UPDATE checkpoints SET status = 'valiD'",
        "UPDATE checkpoints SET metadata = x'00'",
        "UPDATE checkpoints SET root = 7",
        "UPDATE items SET count = count + 1",
        "UPDATE items SET keys = zeroblob(9)",
        "UPDATE items SET root = zeroblob(32)",
        "UPDATE meta SET secret = x'00'",
        "DELETE FROM counters",
    ],
)
def test_a_row_that_cannot_be(place, change):
    """Each is told when it is read or needed, by an error of ours that says what it means."""
    with closing(sqlite3.connect(place / "catalog.db")) as database:
        database.execute(change)
        database.commit()
    with pytest.raises(WaycairnError, match=r"\.$"), wc.open(place) as store:
        for run in store.runs():
            with store.run(run.name) as again:
                list(again.each(range(4)))
        for record in store.checkpoints():
            store.load(record.id)
        store.core.catalog.reserve_numbers(1)


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE items SET loop = x'00'", lambda catalog, run: catalog.loops(run)),
        ("UPDATE items SET keys = 7", lambda catalog, run: list(catalog.done_items(run, "each"))),
        ("UPDATE failures SET digest = 'x'", lambda catalog, run: catalog.failed_digests(run, "items")),
        ("UPDATE computed SET loop = x'00'", lambda catalog, run: catalog.waiting(run)),
        ("UPDATE packs SET size = 'x'", lambda catalog, _: catalog.packs()),
        ("UPDATE checkpoints SET kind = x'00'", lambda catalog, _: catalog.stats()),
    ],
)
def test_a_row_of_another_table(place, change, read):
    """As it stands there where pages of the database were exchanged: gathered or counted, it is told as well."""
    with wc.open(place) as store, store.run("more") as run:
        store.save("large", random.Random(1).randbytes(1 << 21))
        for _ in run.each(range(3), name="each"):
            pass
        for item in run.items(["fails"]):
            with item:
                raise ValueError
        for _ in run.map(str, range(99), name="map", on="threads"):
            time.sleep(0.2)  # the others are computed meanwhile
            break
    with closing(sqlite3.connect(place / "catalog.db")) as database:
        assert database.execute(change).rowcount > 0
        database.commit()
    with wc.open(place) as store, pytest.raises(Damaged, match="is damaged"):
        read(store.core.catalog, store.find("more").id)
