"""`waycairn results`: what the items of a run gave, as lines of JSON, CSV and Parquet; or how they failed."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
import pytest

import waycairn as wc
from commands import WAYCAIRN, document, environment, on_terminal, script, waycairn
from waycairn.upkeep.exporting import CannotExport
from waycairn.upkeep.results import DoneResults
from waycairn.upkeep.tables import find_columns, write_csv

ITEMS = 20_000


@dataclass
class Usage:
    tokens: int
    cost: float


@dataclass
class Reply:
    text: str
    usage: Usage
    good: bool | None = None
    when: dt.date = dt.date(2026, 11, 21)
    parts: list[str] = field(default_factory=list)


MIXED = {
    "a": Reply('naïve, "quoted"\nnew line 見出し', Usage(3, 0.5), True, parts=["x", "ü"]),
    "ö": {"text": "a dict", "score": float("nan"), "key": "its own key", "result.key": 1},
    "number": 7,
    "none": None,
    "array": np.arange(3, dtype="<f4"),
    "list": [1, (2, 3), {"deep": {"er": None}}],
    "surrogate": {"text": "bad \udcff name"},
    "empty": {},
}
REAL_KEYS = {1: "int", 2**70: "large", UUID(int=7): "uuid", PurePosixPath("p/" * 150): "path", (1, "b"): "tuple"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs with results of every kind, in two loops, with even ones, with failures, and with nothing done."""
    place = tmp_path_factory.mktemp("results")
    with wc.open(place / ".waycairn") as store:
        with store.run("mixed", pace="3 items") as run:
            for item in run.items(MIXED, name="answers"):
                with item:
                    item.result = MIXED[item.value]
            for item in run.items(REAL_KEYS, name="keys"):
                with item:
                    item.result = REAL_KEYS[item.value]
        with store.run("even") as run:
            for item in run.items(range(5)):
                with item:
                    half = item.value / 2 if item.value else 0
                    item.result = {"n": item.value, "share": half, "odd": item.value % 2 == 1}
        for _ in range(2):
            with store.run("failing", key="night") as run:
                for item in run.items(range(10)):
                    with item:
                        if item.value % 4 == 3:
                            raise ValueError(f"schlecht für {item.value}")
        with store.run("nothing"):
            pass
    return place


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_each_done_item_is_a_line_of_json(place):
    """Real keys, the loop, the result in readable form: records by their fields, arrays with their data, None too."""
    ran = waycairn("results", "mixed", at=place)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = lines(ran.stdout)
    assert all(list(one) == ["key", "loop", "result"] for one in found)
    results = {one["key"]: one["result"] for one in found if one["loop"] == "answers"}
    assert list(results) == list(MIXED)
    assert results["a"]["type"].endswith(":Reply")
    assert results["a"]["fields"]["text"] == MIXED["a"].text
    assert results["a"]["fields"]["usage"]["fields"] == {"tokens": 3, "cost": 0.5}
    assert results["ö"]["score"] == {"type": "float", "value": "NaN"}
    assert (results["number"], results["none"], results["empty"]) == (7, None, {})
    assert results["array"] == {"type": "array", "dtype": "float32", "shape": [3], "data": [0.0, 1.0, 2.0]}
    assert results["list"] == [1, [2, 3], {"deep": {"er": None}}]
    assert results["surrogate"]["text"] == MIXED["surrogate"]["text"]
    assert "見出し" in ran.stdout


def test_keys_are_whole_and_of_their_type(place):
    """Numbers stay numbers however large; what JSON has no type for is text, and not cut short."""
    found = lines(waycairn("results", "mixed", "--loop", "keys", at=place).stdout)
    assert {one["key"]: one["result"] for one in found} == {
        1: "int",
        2**70: "large",
        "00000000-0000-0000-0000-000000000007": "uuid",
        str(PurePosixPath("p/" * 150)): "path",
        "(1, 'b')": "tuple",
    }


def test_a_file_holds_what_the_pipe_gets(place, tmp_path):
    """For you only, with nothing beside it, and --json tells what was written."""
    for form in ("jsonl", "csv"):
        target = tmp_path / form / "out"
        target.parent.mkdir()
        told = document("results", "mixed", "--format", form, "-o", target, at=place)
        assert (told["items"], told["bytes"], told["format"]) == (13, target.stat().st_size, form)
        piped = subprocess.run(
            [WAYCAIRN, "results", "mixed", "--format", form],
            cwd=place,
            env=environment(),
            capture_output=True,
            check=True,
        )
        assert target.read_bytes() == piped.stdout
        assert target.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_csv_has_a_column_for_each_field(place):
    """The union of the fields in the order in which they appear, nested ones as JSON, plain results in `result`, and
    fields that are named like our columns with `result.` in front."""
    rows = list(csv.DictReader(io.StringIO(waycairn("results", "mixed", "--format", "csv", at=place).stdout)))
    assert list(rows[0]) == [
        *("key", "loop", "text", "usage", "good", "when", "parts", "score"),
        *("result.key", "result.result.key", "result"),
    ]
    by_key = {row["key"]: {name: value for name, value in row.items() if value} for row in rows}
    assert len(by_key) == 13
    about = {"key": "a", "loop": "answers", "good": "true", "when": "2026-11-21", "parts": '["x", "ü"]'}
    usage = json.loads(by_key["a"].pop("usage"))
    assert usage["fields"] == {"tokens": 3, "cost": 0.5}
    assert by_key["a"] == {**about, "text": MIXED["a"].text}
    assert by_key["ö"] == {
        "key": "ö",
        "loop": "answers",
        "text": "a dict",
        "score": "NaN",
        "result.key": "its own key",
        "result.result.key": "1",
    }
    assert by_key["number"]["result"] == "7"
    assert json.loads(by_key["array"]["result"])["data"] == [0.0, 1.0, 2.0]
    assert by_key["none"] == {"key": "none", "loop": "answers"}
    assert by_key["surrogate"]["text"] == "bad \\udcff name"
    assert by_key["1180591620717411303424"]["result"] == "large"


def test_parquet_has_types(place, tmp_path):
    """int64, double, bool and string from the values; whole numbers among floats are doubles."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here: Parquet cannot be tested")
    target = tmp_path / "even.parquet"
    assert document("results", "even", "-o", target, at=place)["format"] == "parquet"
    table = parquet.read_table(target)
    assert {one.name: str(one.type) for one in table.schema} == {
        "key": "int64",
        "loop": "string",
        "n": "int64",
        "share": "double",
        "odd": "bool",
    }
    assert table.to_pylist()[3] == {"key": 3, "loop": "items", "n": 3, "share": 1.5, "odd": True}


def test_parquet_of_mixed_results(place, tmp_path):
    """A column of several kinds is JSON text throughout, so that 1 and "1" stay apart; NaN is one; None is null."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here: Parquet cannot be tested")
    target = tmp_path / "mixed.parquet"
    ran = waycairn("results", "mixed", "-o", target, at=place)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    table = parquet.read_table(target)
    assert table.schema.field("result").metadata == {b"format": b"json"}
    assert table.schema.field("text").metadata is None
    rows = {json.loads(row["key"]): row for row in table.to_pylist()}
    assert list(rows)[: len(MIXED)] == list(MIXED)
    assert math.isnan(rows["ö"]["score"])
    assert rows["a"]["good"] is True
    assert rows["a"]["score"] is None
    assert rows["surrogate"]["text"] == "bad \\udcff name"
    assert json.loads(rows["number"]["result"]) == 7
    assert json.loads(rows["list"]["result"]) == [1, [2, 3], {"deep": {"er": None}}]
    assert rows["none"]["result"] is None


def test_numbers_that_a_column_cannot_hold(tmp_path):
    """Beyond 64 bits, or beyond what a double holds exactly among doubles: JSON text, no digit is lost."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here: Parquet cannot be tested")
    given = [{"a": 2**64, "b": 2**60, "c": 2**60}, {"a": 1, "b": 0.5, "c": 1}]
    with wc.open(tmp_path / ".waycairn") as store, store.run("wide") as run:
        for item in run.items(range(2)):
            with item:
                item.result = given[item.value]
    assert waycairn("results", "wide", "-o", "wide.parquet", at=tmp_path).returncode == 0
    table = parquet.read_table(tmp_path / "wide.parquet").drop(["key", "loop"])
    assert table.to_pylist() == [
        {"a": str(2**64), "b": str(2**60), "c": 2**60},
        {"a": "1", "b": "0.5", "c": 1},
    ]


def test_failed_items(place, tmp_path):
    """Type, message, place, attempts and times; in every form; the key finds the run."""
    found = lines(waycairn("results", "failing", "--key", "night", "--failed", at=place).stdout)
    assert sorted(one["key"] for one in found) == [3, 7]
    for one in found:
        assert list(one) == ["key", "loop", "type", "message", "where", "attempts", "first", "last"]
        assert (one["type"], one["message"]) == ("ValueError", f"schlecht für {one['key']}")
        assert one["attempts"] == 2
        assert "test_cli_results.py" in one["where"]
        assert dt.datetime.fromisoformat(one["first"]) < dt.datetime.fromisoformat(one["last"])
    text = waycairn("results", "failing", "--failed", "--format", "csv", at=place).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [{**row, "key": int(row["key"]), "attempts": int(row["attempts"])} for row in rows] == found
    done = lines(waycairn("results", "failing", at=place).stdout)
    assert [one["key"] for one in done] == [0, 1, 2, 4, 5, 6, 8, 9]
    assert waycairn("results", "failing", "--failed", "--loop", "other", at=place).stdout == ""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here: Parquet cannot be tested")
    for run in ("failing", "even"):
        target = tmp_path / f"{run}.parquet"
        assert waycairn("results", run, "--failed", "-o", target, at=place).returncode == 0
        table = parquet.read_table(target)
        assert table.num_rows == (2 if run == "failing" else 0)
        assert str(table.schema.field("attempts").type) == "int64"


def test_a_run_without_results(place, tmp_path):
    """Nothing piped, one line for a person, a header in a table."""
    ran = waycairn("results", "nothing", at=place)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert "no done items" in on_terminal("results", "nothing", at=place).plain
    assert waycairn("results", "nothing", "--format", "csv", at=place).stdout.split() == ["key,loop"]


def test_nothing_is_overwritten_without_force(place, tmp_path):
    """The old file stays; with --force it is replaced."""
    target = tmp_path / "out.jsonl"
    target.write_text("mine")
    ran = waycairn("results", "even", "-o", target, at=place)
    assert ran.returncode == 1
    assert "--force" in ran.stderr
    assert target.read_text() == "mine"
    assert waycairn("results", "even", "-o", target, "--force", at=place).returncode == 0
    assert len(lines(target.read_text())) == 5


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["nobody"], 1, "there is no run 'nobody'"),
        (["mixed", "--loop", "none"], 1, "Loops with done items: answers, keys."),
        (["mixed", "--format", "parquet"], 2, "-o FILE"),
        (["mixed", "--json"], 2, "-o FILE"),
        (["mixed", "--format", "xml"], 2, "jsonl"),
        (["mixed", "-o", "no/such/folder/x"], 1, "no/such/folder"),
    ],
    ids=str,
)
def test_what_cannot_be_done(place, options, code, word):
    """The reason in one line, nothing on standard output, no file."""
    before = sorted(place.iterdir())
    ran = waycairn("results", *options, at=place)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert word in ran.stderr
    assert sorted(place.iterdir()) == before


def test_without_pyarrow_the_extra_is_named(place, tmp_path):
    """One line, and no file."""
    (tmp_path / "pyarrow.py").write_text("raise ImportError('none here')\n")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ran = script("results", "even", "-o", tmp_path / "x.parquet", at=place, PYTHONPATH=path)
    assert ran.returncode == 1
    assert "waycairn[parquet]" in ran.stderr
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".parquet" or "part" in one.name] == []


def test_results_that_are_no_table(tmp_path):
    """Every result with fields of its own would be a table of endless width: refused, JSON lines take it."""
    with wc.open(tmp_path / ".waycairn") as store, store.run("wide") as run:
        for item in run.items(range(11)):
            with item:
                item.result = {f"{item.value}.{number}": number for number in range(1000)}
    ran = waycairn("results", "wide", "-o", "wide.csv", at=tmp_path)
    assert ran.returncode == 1
    assert "more than 10,000 different fields" in ran.stderr
    assert not (tmp_path / "wide.csv").exists()
    assert len(lines(waycairn("results", "wide", at=tmp_path).stdout)) == 11


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Two runs of equal cuts, the second four times as long: 20,000 items, 60 MB of text."""
    place = tmp_path_factory.mktemp("many")
    noise = random.Random(1)
    with wc.open(place / ".waycairn") as store:
        for count in (ITEMS // 4, ITEMS):
            with store.run(f"of {count}", pace="200 items") as run:
                for item in run.items(range(count)):
                    with item:
                        item.result = {"n": item.value, "text": noise.randbytes(1500).hex()}
    return place


# Not ru_maxrss: a process inherits that of the one that started it.
MEASURED = """
import re, sys
sys.argv[0] = "waycairn"
from waycairn.cli.app import run
code = run()
print(code, 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]), file=sys.stderr)
"""


def peak(place, *options):
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, "results", *map(str, options)],
        cwd=place,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    code, most = map(int, ran.stderr.split())
    assert code == 0
    return most


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_memory_does_not_grow_with_the_run(many, tmp_path, form):
    """Four times the items, 45 MB of text more, take hardly more: one cut is held at a time, or a row group."""
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed here: Parquet cannot be tested")
    short, long = (
        peak(many, f"of {count}", "--format", form, "-o", tmp_path / f"{count}") for count in (ITEMS // 4, ITEMS)
    )
    assert (tmp_path / f"{ITEMS}").stat().st_size > (25e6 if form == "parquet" else 60e6)
    # pyarrow keeps memory that it does not use: 40 MB however long the run, 170 MB if it were one row group.
    assert long - short < (60e6 if form == "parquet" else 15e6), (short, long)


def test_every_item_is_there_once(many, tmp_path):
    """All 20,000, in order, in every form; Parquet in several row groups."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed here: Parquet cannot be tested")
    for form in ("jsonl", "csv", "parquet"):
        assert waycairn("results", f"of {ITEMS}", "-o", tmp_path / f"all.{form}", at=many).returncode == 0
    with (tmp_path / "all.jsonl").open() as file:
        assert [json.loads(line)["result"]["n"] for line in file] == [*range(ITEMS)]
    with (tmp_path / "all.csv").open(newline="") as file:
        assert [int(row["key"]) for row in csv.DictReader(file)] == [*range(ITEMS)]
    with parquet.ParquetFile(tmp_path / "all.parquet") as file:
        assert file.num_row_groups > 2
        assert file.read(["key"])["key"].to_pylist() == [*range(ITEMS)]


def test_ctrl_c_leaves_nothing(many, tmp_path):
    """Interrupted while it writes: no file, no part of one, exit code 130."""
    target = tmp_path / "all.jsonl"
    with subprocess.Popen(
        [sys.executable, "-m", "waycairn", "results", f"of {ITEMS}", "-o", str(target)],
        cwd=many,
        env=environment(),
        stderr=subprocess.DEVNULL,
    ) as export:
        deadline = time.monotonic() + 60
        while not any(part.stat().st_size for part in tmp_path.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        export.send_signal(signal.SIGINT)
        assert export.wait(60) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_run_can_be_exported_while_it_goes_on(tmp_path):
    """What was done when the export began, and no more, also where new fields come between its two passes."""
    with wc.open(tmp_path / ".waycairn") as store:
        with store.run("job") as run:
            for item in run.items(range(3)):
                with item:
                    item.result = {"early": item.value}
        source = DoneResults.of(store.core, store.find("job").id)
        assert list(find_columns(source)) == ["key", "loop", "early"]
        with store.run("job") as run:
            for item in run.items(range(6)):
                with item:
                    item.result = {"late": item.value}
        out = io.StringIO()
        assert write_csv(out, source) == 3
        assert out.getvalue().splitlines() == ["key,loop,early", *(f"{n},items,{n}" for n in range(3))]


def test_a_run_that_was_set_back_meanwhile_is_told(place):
    """Less than there was: an error, never a file that looks whole."""
    with wc.open(place / ".waycairn") as store:
        source = DoneResults(store.core, store.find("even").id, {"items": 6})
        with pytest.raises(CannotExport, match="set back"):
            list(source.rows())


def test_a_writer_is_not_disturbed(place):
    """The command takes no lock: it reads while another process is in the middle of a transaction."""
    writer = sqlite3.connect(next((place / ".waycairn").glob("*.db*")), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert Counter(one["loop"] for one in lines(waycairn("results", "mixed", at=place).stdout)) == {
            "answers": len(MIXED),
            "keys": len(REAL_KEYS),
        }
    finally:
        writer.execute("ROLLBACK")
        writer.close()
