"""Files that say the same are the same, and what differs is told in words that point at the mistake."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from waycairn.crashtest.comparing import Comparison
from waycairn.crashtest.lines import compare_lines
from waycairn.crashtest.place import Place
from waycairn.crashtest.settings import Settings

ROWS = [f"{number} squared is {number * number}" for number in range(9)]


@pytest.mark.parametrize(
    ("new", "kind", "words"),
    [
        ([*ROWS[:3], *ROWS[2:]], "repeated", "1 lines too many (10 instead of 9); there again: '2 squared is 4'"),
        ([*ROWS[:3], *ROWS[4:]], "lost", "1 of 9 lines are missing, the first is line 4: '3 squared is 9'"),
        ([*ROWS[3:], *ROWS[:3]], "order", "the same 9 lines in another order; line 1 is"),
        ([*ROWS[:3], "3 squared is 10", *ROWS[4:]], "changed", "1 of 9 lines differ; line 4 is '3 squared is 10'"),
        ([*ROWS[:3], "3 squ"], "damaged", "ends in the middle of line 4 of 9"),
        ([*ROWS, "what?"], "changed", "1 lines too many (10 instead of 9), the first: 'what?'"),
    ],
)
def test_lines_are_told_by_what_happened_to_them(new, kind, words):
    """Twice, lost, moved, changed, cut off."""
    (found,) = compare_lines("out.txt", ROWS, new)
    assert found.kind == kind
    assert words in found.what


def test_lines_in_any_order_may_be_allowed():
    """For results that come as they are done."""
    assert compare_lines("out.txt", ROWS, ROWS[::-1], unordered=True) == []


@pytest.fixture
def places(tmp_path):
    """Two of them, empty."""
    made = [Place(tmp_path / name) for name in ("golden", "other")]
    for place in made:
        place.work.mkdir(parents=True)
    return made


def compared(places, name, *contents, **rules):
    for place, content in zip(places, contents, strict=True):
        if isinstance(content, bytes):
            (place.work / name).write_bytes(content)
        elif content is not None:
            (place.work / name).write_text(content)
    settings = Settings(command=["job"], directory=places[0].root, **rules)
    return [(one.kind, one.what) for one in Comparison(settings, places[0]).compare(places[1])]


def test_json_is_compared_by_structure(places):
    """Order of keys and blanks mean nothing; a field may be left out."""
    old, new = '{"a": 1, "at": "9:00", "b": [1, 2]}', '{"b":[1,2],"a":2,"at":"9:05"}'
    assert compared(places, "r.json", old, new) == [
        ("changed", "a is 2, not 1"),
        ("changed", "at is '9:05', not '9:00'"),
    ]
    assert compared(places, "r.json", old, new, ignore=["*.json:a*"]) == []


def test_a_longer_list_looks_like_an_append_that_was_repeated(places):
    """In JSON as in lines."""
    assert compared(places, "r.json", "[1, 2]", "[1, 2, 2]") == [("repeated", "2 is too much: 2")]


def test_json_lines_are_documents(places):
    """One a line, in order or not; half a line is told as such."""
    old = "".join(json.dumps({"id": number, "took": number / 7}) + "\n" for number in range(4))
    new = "".join(json.dumps({"took": 0, "id": number}) + "\n" for number in (0, 2, 1, 3))
    assert compared(places, "r.jsonl", old, new, ignore=["r.jsonl:took"])[0][0] == "order"
    assert compared(places, "r.jsonl", old, new, ignore=["r.jsonl:took"], unordered=["*.jsonl"]) == []
    assert compared(places, "r.jsonl", old, old[:-9])[0][0] == "damaged"


def test_csv_is_compared_by_cells(places):
    """However they are quoted; a column may be left out by its name."""
    assert compared(places, "r.csv", "name,ms\na,1\n", '"name","ms"\n"a","1"\n') == []
    assert compared(places, "r.csv", "name,ms\na,1\n", "name,ms\na,2\n", ignore=["r.csv:ms"]) == []
    assert compared(places, "r.csv", "name,ms\na,1\n", "name,ms\na,1\na,1\n")[0][0] == "repeated"


def test_arrays_are_compared_element_by_element(places):
    """An npz holds times, so its bytes say nothing."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    for place, when in zip(places, ("a", "b"), strict=True):
        numpy.savez(place.work / "w.npz", w=numpy.arange(5.0), when=numpy.array(when))
    assert [what for _, what in compared(places, "w.npz", None, None)] == [
        "when is ndarray <U1 [], not ndarray <U1 [] (1 of 1 elements differ)"
    ]
    assert compared(places, "w.npz", None, None, ignore=["w.npz:when"]) == []


def test_tensors_in_safetensors_too(places):
    """By name, dtype, shape and every element."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    for place, last in zip(places, (4.0, 5.0), strict=True):
        safetensors.save_file({"w": numpy.array([1.0, last])}, place.work / "w.safetensors")
    assert compared(places, "w.safetensors", None, None) == [
        ("changed", "w is ndarray float64 [2], not ndarray float64 [2] (1 of 2 elements differ)")
    ]


def database(places, *rows_of):
    for place, rows in zip(places, rows_of, strict=True):
        with closing(sqlite3.connect(place.work / "r.db")) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS done (id INTEGER, took REAL)")
            connection.executemany("INSERT INTO done VALUES (?, ?)", rows)


def test_databases_are_compared_by_rows(places):
    """In any order; a row that is there twice is found."""
    database(places, [(1, 0.1), (2, 0.2)], [(2, 0.2), (1, 0.1), (1, 0.1)])
    assert compared(places, "r.db", None, None)[0][0] == "repeated"
    assert compared(places, "r.db", None, None, ignore=["r.db:done"]) == []


def test_a_query_is_compared_where_it_is_asked_for(places):
    """Instead of the whole database."""
    database(places, [(1, 0.1)], [(1, 0.3)])
    only = {"ignore": ["r.db"]}
    assert compared(places, "r.db", None, None, sql=["r.db:SELECT id FROM done"], **only) == []
    assert compared(places, "r.db", None, None, sql=["r.db:SELECT took FROM done"], **only)[0][0] == "changed"


def test_the_directory_of_a_trial_is_no_difference(places):
    """Jobs write their paths into logs."""
    texts = [f"wrote {place.work}/out.txt\n" for place in places]
    assert compared(places, "job.log", *texts) == []


def test_what_may_differ_is_normalized_first(places):
    """Times in a log."""
    assert compared(places, "job.log", "took 12 ms\n", "took 7 ms\n", normalize=[r"*.log:\d+ ms=>MS"]) == []
    assert compared(places, "job.log", "took 12 ms\n", "took 7 ms\n") != []


def test_files_that_are_missing_or_left_over_are_told(places):
    """By name."""
    (places[0].work / "a.txt").touch()
    (places[1].work / "b.tmp").touch()
    assert [kind for kind, _ in compared(places, "x", None, None)] == ["missing", "extra"]
    assert compared(places, "x", None, None, ignore=["?.t*"]) == []


def test_other_bytes_are_told(places):
    """Cut off, or other content."""
    assert compared(places, "r.bin", b"\xff\x00\x01", b"\xff") == [("damaged", "1 bytes instead of 3, cut off")]
    assert compared(places, "r.bin", b"\xff\x00", b"\xff\x01") == [
        ("changed", "2 bytes instead of 2, of other content")
    ]
