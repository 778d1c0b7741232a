"""Rows sealed again: all of them, in every table, whatever is in them, a few at a time."""

import base64
import sqlite3
from contextlib import closing
from itertools import pairwise

import pytest

from waycairn.catalog import open_catalog
from waycairn.catalog.protection import Protection, head_of, protection_of
from waycairn.catalog.resealing import SEALED
from waycairn.catalog.tables import metadata
from waycairn.crypto import GivenKeys
from waycairn.model.journal import JournalRows
from waycairn.model.keys import DATA, DataKeys, WrappedKey
from waycairn.model.records import FailedItem
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, a_step, some_data, some_items

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BOTH = DataKeys(2, {1: OLD, 2: NEW})


class Rows(GivenKeys):
    """With a row for each key, as a real keyholder has them."""

    def open(self, store, rows, address):
        return BOTH if any(row.generation == 2 for row in rows) else super().open(store, rows, address)

    def create(self, store):
        keys, _ = super().create(store)
        return keys, [WrappedKey(id="data-1", generation=1, kind=DATA, wrapped=b"x" * 61, created=NOW)]


@pytest.fixture
def path(tmp_path):
    """A catalog with something in every table that seals, sealed with the old key."""
    path = tmp_path / "catalog.db"
    catalog = open_catalog(f"sqlite:///{path}", keys=Rows(DataKeys(1, {1: OLD})))
    for name in ("one", "two", "three"):
        run = a_run(name, key="k", metadata={"a": name}, tags=("t",), fingerprint={"f": 1}, total=3)
        assert catalog.add_run(run, NOW)
        failed = [
            FailedItem(
                loop="items", digest=bytes([n]) * 16, key=b"key", attempts=1, first=1.0, last=2.0, error={"n": n}
            )
            for n in range(5)
        ]
        cut = a_cut(
            run.id,
            1,
            checkpoint=a_checkpoint(description="d", metadata={"m": 1}, outputs={"out": 1}),
            items=[some_items("items", b"a", b"b")],
            steps=[a_step("", "fetch"), a_step("item", "other")],
            failures=failed,
            data=[some_data(catalog.reserve_numbers(2), name.encode(), b"more")],
            journal=JournalRows(),
        )
        catalog.commit(cut)
    yield path, catalog
    catalog.close()


def generations(path):
    """Of every sealed value, by its place, as the file has it."""
    found = {}
    with closing(sqlite3.connect(path)) as raw:
        for table in metadata.sorted_tables:
            for column in table.c:
                if protection_of(column) is not Protection.SEALED:
                    continue
                for (value,) in raw.execute(f'SELECT "{column.name}" FROM {table.name} WHERE "{column.name}" NOT NULL'):
                    data = value if isinstance(value, bytes) else base64.b64decode(value.strip('"'))
                    head = data[head_of(column) :]
                    assert head[0] == 0xE1, column
                    found.setdefault(str(column), []).append(int.from_bytes(head[1:3], "little"))
    return found


def test_every_value_gets_the_new_key(path):
    """And is what it was: read with the new key alone."""
    path, catalog = path
    before = _told(catalog)
    assert {one for values in generations(path).values() for one in values} == {1}
    assert len(generations(path)) > 12
    catalog.replace_keys(catalog.wrapped_keys(), [_row(1), _row(2)])
    for table in catalog.sealed_tables():
        behind, steps = None, []
        while (behind := catalog.reseal(table, behind, 2)) is not None:
            steps.append(tuple(behind))
        assert all(one != other for one, other in pairwise(steps)), "it moves on"
    assert {one for values in generations(path).values() for one in values} == {2}
    catalog.info.vault.renew(DataKeys(2, {2: NEW}))
    assert _told(catalog) == before


def test_who_was_opened_before_reads_with_the_new_key(path):
    """He asks for the keys when he meets a generation that is newer than all he knows."""
    path, catalog = path
    other = open_catalog(f"sqlite:///{path}", keys=GivenKeys(BOTH))
    other.replace_keys(other.wrapped_keys(), [_row(1), _row(2)])
    catalog.info.vault.renewing = lambda: BOTH
    assert other.add_run(a_run("four", metadata={"new": 1}), NOW)
    assert catalog.info.vault.generation == 1
    assert catalog.find_run(None, "four", None).metadata == {"new": 1}
    assert catalog.info.vault.generation == 2
    other.close()


def test_tables_that_seal_are_known_by_themselves():
    """Each with a sealed column, and no other."""
    assert {"meta", "runs", "items", "failures", "steps", "checkpoints", "blocks"} <= set(SEALED)
    assert not {"chunks", "packs", "keys", "counters"} & set(SEALED)


def _row(generation):
    return WrappedKey(
        id=f"data-{generation}", generation=generation, kind=DATA, wrapped=b"x" * 61, created=NOW + generation
    )


def _told(catalog):
    runs = [catalog.find_run(None, name, "k") for name in ("one", "two", "three")]
    return repr(
        [
            (run, [*catalog.failures(run.id)], catalog.list_steps(run.id), catalog.get_checkpoint(run.id, 1))
            for run in runs
        ]
    )
