"""`waycairn crashtest` on real jobs: the right one survives, each wrong one is caught for what is wrong with it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from commands import on_terminal, waycairn
from waycairn.crashtest import crashtest

BROKEN = Path(__file__).resolve().parents[2] / "examples" / "broken"


def job(name: str, folder: Path) -> Path:
    """A directory with this one job."""
    shutil.copy(BROKEN / f"{name}.py", folder)
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "where", "points"),
    [
        ("append", "repeated", "squares.txt", ["item.end@2"]),
        ("early", "missing", "page-", ["store.value.committed@3"]),
        ("dice", "changed", "rolls.txt", ["item.end@20"]),
        ("order", "order", "lengths.csv", ["item.end@5"]),
        ("halfway", "damaged", "chapter-", ["paragraph@4"]),
    ],
)
def test_a_wrong_job_is_caught(tmp_path, name, kind, where, points):
    """Each of examples/broken, with the line of the report that says what it is."""
    report = crashtest(["python", f"{name}.py"], directory=job(name, tmp_path), at=points)
    assert report.verdict == "broken"
    assert report.delivered == len(points)
    fault = report.faults()[0]
    assert (fault.difference.kind, fault.difference.where[: len(where)]) == (kind, where), report.lines()
    assert fault.kept is not None
    assert (fault.kept / "work").is_dir()
    shutil.rmtree(fault.kept.parent)
    with pytest.raises(AssertionError, match=r"again: waycairn crashtest --point \S+@\d+ --mode kill -- python"):
        report.check()


def test_a_right_job_survives(tmp_path):
    """In every mode; nothing is left in the directory or beside it."""
    folder = job("right", tmp_path)
    modes = ("kill", "term", "int", "double", "takeover")
    report = crashtest(["python", "right.py"], directory=folder, points=5, modes=modes, seed=2)
    report.check()
    assert {trial.mode for trial in report.trials} == set(modes)
    assert report.delivered >= 5, "the second kill of a double one counts, too"
    assert [path.name for path in folder.iterdir()] == ["right.py"]


def test_the_programme_of_the_books_survives(tmp_path):
    """The large example, in its small setting."""
    examples = BROKEN.parent
    command = ["python", str(examples / "books.py"), "--most", "2", "--out", "report"]
    report = crashtest(command, directory=tmp_path, points=2, seed=1)
    report.check()
    assert report.files == 3


MAPPED = """
import time
import waycairn as wc

def square(number: int) -> int:
    time.sleep(0.01)
    return number * number

if __name__ == "__main__":
    with wc.run("squares") as run:
        run.map(square, range(30), workers=2, on="processes").drain()
        results = {int(key): result for key, result in run.ledger.results()}
        run.output("squares.txt").write("".join(f"{number} {results[number]}\\n" for number in range(30)))
"""


def test_one_worker_dies(tmp_path):
    """The job goes on by itself, or is started again."""
    (tmp_path / "job.py").write_text(MAPPED)
    report = crashtest(["python", "job.py"], directory=tmp_path, points=3, modes=["worker"])
    report.check()
    assert all(trial.point.in_worker for trial in report.trials)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_system_calls_strike_a_script_without_crash_points(tmp_path):
    """A home-made checkpoint, not written beside and renamed: a kill before the write leaves an empty one."""
    (tmp_path / "job.py").write_text(
        "import json, pathlib\n"
        "kept = pathlib.Path('state.json')\n"
        "done = json.loads(kept.read_text()) if kept.exists() else 0\n"
        "for number in range(done, 4):\n"
        "    kept.write_text(json.dumps(number + 1))\n"
    )
    report = crashtest(["python", "job.py"], directory=tmp_path, backend="syscalls", every=True, timeout=60)
    assert report.verdict == "broken"
    assert report.delivered >= 4
    assert "JSONDecodeError" in report.faults()[0].difference.what


def test_the_clock_strikes_a_script_without_crash_points(tmp_path):
    """A sample, and it says so."""
    (tmp_path / "job.py").write_text(
        "import pathlib, time\n"
        "for number in range(40):\n"
        "    time.sleep(0.02)\n"
        "    with pathlib.Path('out.txt').open('a') as out:\n"
        "        out.write(f'{number}\\n')\n"
    )
    report = crashtest(["python", "job.py"], directory=tmp_path, backend="timer", points=6)
    assert report.verdict == "broken"
    assert report.faults()[0].difference.kind == "repeated"
    assert "sample" in report.covers


def test_a_job_that_differs_by_itself_is_not_blamed(tmp_path):
    """Two undisturbed runs are compared first; the report says what may be ignored, and with that it goes on."""
    (tmp_path / "job.py").write_text(
        "import json, pathlib, time\n"
        "import waycairn as wc\n"
        "with wc.run('now') as run:\n"
        "    for number in run.each(range(3)):\n"
        "        pass\n"
        "    pathlib.Path('report.json').write_text(json.dumps({'at': time.time_ns(), 'done': 3}))\n"
    )
    report = crashtest(["python", "job.py"], directory=tmp_path, points=2)
    assert report.verdict == "not deterministic"
    assert "--ignore report.json" in "\n".join(report.lines())
    assert not report.trials
    assert crashtest(["python", "job.py"], directory=tmp_path, points=2, ignore=["report.json:at"]).passed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise SystemExit(5)", "ended with 5 without any crash"),
        ("open('out.txt', 'w').write('done')", "passes no crash point"),
        ("import waycairn as wc; wc.crashpoint('here')", "keeps its store outside of its directory"),
    ],
)
def test_a_job_that_cannot_be_tested_is_told_why(tmp_path, text, words):
    """And nothing is killed."""
    (tmp_path / "job.py").write_text(text)
    report = crashtest(["python", "job.py"], directory=tmp_path)
    assert report.verdict == "no golden run"
    assert words in report.problem
    assert not report.trials


def test_the_command_says_what_broke_and_how_to_see_it_again(tmp_path):
    """For people; exit code 3."""
    place = job("order", tmp_path)
    asked = ("crashtest", "--point", "item.end@5", "--", sys.executable, "order.py")
    ran = waycairn(*asked, at=place, TMPDIR=str(tmp_path / ".."))
    assert ran.returncode == 3, ran.stderr
    assert "BROKEN  lengths.csv: the same 14 lines in another order" in ran.stdout
    assert "again   waycairn crashtest --point item.end@5 --mode kill -- " in ran.stdout
    shutil.rmtree(Path(ran.stdout.partition("kept    ")[2].split()[0]).parent)


def test_the_command_speaks_json(tmp_path):
    """For programs; exit code 0."""
    ran = waycairn("crashtest", "-n", "2", "--json", "--", sys.executable, "right.py", at=job("right", tmp_path))
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["verdict"], told["bad"], told["trials"]) == ("survived", 0, 2)
    assert told["points"][0]["again"].startswith("waycairn crashtest --point ")
    assert told["resume_seconds"]["max"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--mode", "gently"), "mode 'gently' is none of kill"),
        (("--backend", "luck"), "back end 'luck' is none of hooks"),
        (("--backend", "timer", "--mode", "worker"), "needs another back end than timer"),
        (("--points", "0"), "at least 1"),
        (("--normalize", "x"), "write PATTERN:REGEX=>TEXT"),
        (("--point", "x"), "is no point: write NAME@K"),
    ],
)
def test_wrong_use_is_told(tmp_path, arguments, words):
    """Before anything is run."""
    (tmp_path / "job.py").write_text("import waycairn as wc; wc.save('a', 1)")
    ran = waycairn("crashtest", *arguments, "--", sys.executable, "job.py", at=tmp_path)
    assert ran.returncode == 2
    assert words in ran.stderr


def test_a_command_that_is_not_there_is_told(tmp_path):
    """As wrong use."""
    ran = waycairn("crashtest", "--", "no-such-program", at=tmp_path)
    assert ran.returncode == 2
    assert "there is no command 'no-such-program'" in ran.stderr


def test_a_query_that_is_wrong_is_told(tmp_path):
    """It is a mistake in the question, not in the job."""
    (tmp_path / "job.py").write_text(
        "import sqlite3, waycairn as wc\n"
        "sqlite3.connect('r.db').close()\n"
        "wc.save('a', 1)\n"
        "open('out.txt', 'w').write('done')\n"
    )
    with pytest.raises(ValueError, match="no such table: missing after an undisturbed run"):
        crashtest(["python", "job.py"], directory=tmp_path, sql=["r.db:SELECT * FROM missing"])


def test_ctrl_c_ends_what_it_started(tmp_path):
    """The jobs run in sessions of their own, so nothing else would end them."""
    (tmp_path / "job.py").write_text(
        "import sys, time\n"
        "import waycairn as wc\n"
        "with wc.run('slow') as run:\n"
        "    for number in run.each(range(2)):\n"
        "        time.sleep(0.1)\n"
        "    if run.resumed:\n"
        "        time.sleep(60)\n"
    )
    command = ("crashtest", "-n", "2", "--", sys.executable, "job.py")
    spoken = on_terminal(*command, at=tmp_path, interrupt="0/2", TMPDIR=str(tmp_path))
    assert spoken.code != 0
    left = [process for process in psutil.process_iter() if is_ours(process, tmp_path)]
    assert left == []


def is_ours(process, directory):
    with contextlib.suppress(psutil.Error):
        return process.environ().get("WAYCAIRN_CRASHTEST", "").startswith(str(directory))
    return False
