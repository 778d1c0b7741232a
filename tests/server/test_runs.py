"""Lists of runs: filters, sorts, pages, counts."""

import itertools
import sqlite3

import pytest

from serving import a_scene
from waycairn.catalog import run_pages
from waycairn.catalog.statement import sqlite_texts
from waycairn.model.run_pages import RunSort
from waycairn.process import acting
from waycairn.server.models.runs import RunWord
from waycairn.server.paging import cursor_of
from waycairn.upkeep.standing import STANDINGS
from waycairn.work.store import open_store


def _names(answer):
    assert answer.status_code == 200, answer.text
    return [run["name"] for run in answer.json()["runs"]]


def test_the_words_are_those_of_the_store():
    """How a run stands has one list of words."""
    assert [word.value for word in RunWord] == list(STANDINGS)


def test_a_run_is_told_as_the_contract_says(scene):
    """Every field, with times as seconds."""
    run = scene.run_of("olga", "nightly", ends=False)
    (told,) = scene.vera.get("/runs").json()["runs"]
    assert told | {"created": 0, "updated": 0} == {
        "id": run,
        "name": "nightly",
        "key": None,
        "status": "failed",
        "parent": None,
        "root": run,
        "task": None,
        "tags": [],
        "progress": {"done": 2, "failed": 0, "total": 3, "percent": 66.67, "note": None},
        "epoch": 1,
        "sequence": told["sequence"],
        "entered": 1,
        "created": 0,
        "updated": 0,
        "owner": None,
        "account": "olga",
        "rate": None,
        "eta": None,
        "resumable": True,
        "error": {"type": "_Left", "message": ""},
    }
    assert 0 <= scene.store.core.clock.now() - told["updated"] < 60


def test_runs_are_filtered_sorted_and_counted(scene):
    """By what the addresses say, alone and together."""
    for number, name in enumerate(["b", "a", "c"]):
        with (
            acting("olga" if number else "ada"),
            scene.store.run(name, key=f"k{number}", task="t" if number else None, tags=["x"] * (number == 2)) as run,
        ):
            for item in run.each(range(3)):
                if name == "c" and item == 1:
                    break
    held = scene.store.start("held")
    try:
        asked = {
            "": ["held", "c", "a", "b"],
            "?order=asc": ["b", "a", "c", "held"],
            "?sort=name&order=asc": ["a", "b", "c", "held"],
            "?sort=updated&status=completed": ["a", "b"],
            "?status=completed&status=running": ["held", "a", "b"],
            "?status=orphaned": [],
            "?status=running": ["held"],
            "?name=a": ["a"],
            "?key=k2": ["c"],
            "?task=t": ["c", "a"],
            "?tag=x": ["c"],
            "?account=olga": ["c", "a"],
            "?text=K1": ["a"],
            "?text=": ["held", "c", "a", "b"],
            "?account=olga&status=interrupted&task=t": ["c"],
        }
        assert {query: _names(scene.vera.get(f"/runs{query}")) for query in asked} == asked
        counts = {"running": 1, "completed": 2, "interrupted": 1}
        assert scene.vera.get("/runs/counts").json() == {"counts": counts, "total": 4}
    finally:
        held.complete()


def test_a_backup_is_no_run_of_the_list(scene, tmp_path):
    """What it holds lies in a run, which nobody is to resume or discard."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    scene.run_of("olga")
    with scene.store.safeguard(tmp_path / "notes", keep="30d"):
        pass
    assert len(scene.store.runs(task="backup")) == 1
    assert _names(scene.vera.get("/runs")) == ["job"]
    assert scene.vera.get("/runs/counts").json()["total"] == 1


@pytest.mark.parametrize("sort", ["created", "updated", "name"])
def test_pages_are_whole_while_runs_are_added(scene, sort):
    """What was there when the first page was asked for comes once, and nothing comes twice."""
    for number in range(12):
        scene.run_of("olga", f"n{number % 4}-{number}", items=1)
    there = {run.id for run in scene.store.runs()}
    seen, cursor, more = [], None, itertools.count()
    while True:
        answer = scene.vera.get("/runs", params={"sort": sort, "limit": 5, **({"cursor": cursor} if cursor else {})})
        page = answer.json()
        seen += [run["id"] for run in page["runs"]]
        cursor = page["next"]
        if cursor is None:
            break
        for name in ("a", "n2", "z"):
            scene.run_of("olga", f"{name} new {next(more)}", items=1)
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


def test_what_makes_no_sense_is_told(scene):
    """422 with what is wrong; a cursor of another sort and one with numbers that no row has, too."""
    asked = [
        *(
            "limit=0",
            "limit=501",
            "sort=epoch",
            "order=up",
            "status=lost",
            f"text={'x' * 300}",
            "cursor=no",
            "cursor=W10",
        ),
        f"sort=name&cursor={cursor_of('created', 1.0, 1)}",
        f"cursor={cursor_of('created', 1.0, 10**30)}",
        f"cursor={cursor_of('created', 10**400, 1)}",
        f"sort=name&cursor={cursor_of('name', 1.0, 1)}",
    ]
    answers = [scene.vera.get(f"/runs?{query}") for query in asked]
    assert [(answer.status_code, answer.json()["title"]) for answer in answers] == [(422, "invalid request")] * len(
        asked
    )


def test_pages_look_at_few_rows(tmp_path):
    """However many there are: SQLite says of each statement that it walks an index, and sorts nothing."""
    open_store(tmp_path).close()
    catalog = sqlite3.connect(tmp_path / "catalog.db")
    facts = {"tagged": False, "searched": False, "descending": True}
    expected = {
        (0, RunSort.CREATED, None): "ix_runs_created",
        (0, RunSort.NAME, None): "ix_runs_name",
        (0, RunSort.UPDATED, False): "ix_runs_rested",
        (1, RunSort.CREATED, None): "ix_runs_status",
    }
    for (statuses, sort, running), index in expected.items():
        for continued in (False, True):
            statement = run_pages._page((), statuses, sort, running=running, continued=continued, **facts)
            text = sqlite_texts()[statement].text
            plan = [row[3] for row in catalog.execute(f"EXPLAIN QUERY PLAN {text}", [0] * text.count("?"))]
            assert index in plan[0], (text, plan)
            assert not any("TEMP B-TREE" in line for line in plan) or statuses, plan
    catalog.close()


def test_sealed_keys_are_no_place_to_search(tmp_path, monkeypatch):
    """In an encrypted store names are searched in, and whole keys and tags are still found."""
    monkeypatch.setenv("WAYCAIRN_PASSPHRASE", "correct horse")
    with a_scene(tmp_path, encryption={"encrypt": True}) as scene:
        assert scene.store.core.is_encrypted
        with scene.store.run("nightly", key="monday", tags=["x"]):
            pass
        for query in ("?key=monday", "?tag=x", "?text=NIGHT", "?key=monday&tag=x"):
            assert _names(scene.vera.get(f"/runs{query}")) == ["nightly"], query
        for query in ("?text=monday", "?key=tuesday", "?tag=y"):
            assert _names(scene.vera.get(f"/runs{query}")) == []
