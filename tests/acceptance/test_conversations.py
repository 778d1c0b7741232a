"""The second example: a service that is slow and fails, results in a file and in SQL tables, and many deaths."""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import waycairn as wc

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DATA = EXAMPLES / "data" / "conversations" / "taskmaster4_00.jsonl"
RECOVERED = "--service-recovered"
ASKED = [json.loads(line) for line in DATA.read_text("utf-8").splitlines()][1::2]
"""The conversations that are replied to, as the file has them."""


def _start(script, *options, **variables):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("WAYCAIRN", "FORCE_COLOR"))
    } | variables
    command = [sys.executable, EXAMPLES / script, *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Job:
    """The example with its results and its store in one folder, started with the same options again and again."""

    def __init__(self, place, *options):
        self.place = place
        self._options = ("--store", place / "store", "--output-dir", place, *options)

    def start(self, *options, **variables):
        return _start("conversations.py", *self._options, *options, **variables)

    def finish(self, *options):
        process = self.start(*options)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said

    def kill(self, called, later):
        """SIGKILL so many seconds after that many conversations were sent to the service."""
        process = self.start()
        while len(self.calls()) < called and process.poll() is None:
            time.sleep(0.002)
        time.sleep(later)
        process.kill()
        said, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said

    def die_at(self, crash_point, *options):
        """SIGKILL at a named place; see waycairn.world.crashpoints."""
        process = self.start(*options, WAYCAIRN_CRASH=crash_point)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said

    def calls(self):
        """How often each conversation was sent to the service."""
        log = self.place / "calls.log"
        return Counter(log.read_text("utf-8").splitlines()) if log.exists() else Counter()

    def lines(self):
        return (self.place / "replies.jsonl").read_text("utf-8").splitlines()

    def tables(self):
        """All rows of both tables."""
        database = sqlite3.connect(self.place / "replies.db")
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        conversations = database.execute("SELECT * FROM conversations ORDER BY id").fetchall()
        turns = database.execute("SELECT * FROM turns ORDER BY conversation, number").fetchall()
        database.close()
        return conversations, turns


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """An undisturbed job after both passes, in an event loop, and how it stood after the first."""
    job = Job(tmp_path_factory.mktemp("golden"), "--latency", "0.01", "--on", "async")
    job.said, job.first_lines, job.first_calls = job.finish(), job.lines(), job.calls()
    with wc.open(job.place / "store", create=False) as store, store.run("conversations", key=DATA.stem) as run:
        job.failures = list(run.ledger.failures())
    job.said_again = job.finish(RECOVERED)
    return job


def test_undisturbed(golden):
    """Every conversation is in the tables once, whole, with a reply to each prompt, and in the file the same replies;
    those that were overloaded at first took two or three calls."""
    conversations, turns = golden.tables()
    assert {name for name, _, _ in conversations} == {one["conversation_id"] for one in ASKED}
    prompts = {
        (one["conversation_id"], said["text"])
        for one in ASKED
        for said in one["utterances"]
        if said["speaker"] == "user"
    }
    assert {(name, text) for name, _, speaker, text in turns if speaker == "user"} == prompts
    replies = {}
    for name, _, speaker, text in turns:
        if speaker == "assistant":
            assert text
            replies.setdefault(name, []).append(text)
    assert {line["id"]: line["replies"] for line in map(json.loads, golden.lines())} == replies
    assert len(golden.lines()) == len(ASKED)
    assert {2, 3} <= set(golden.first_calls.values()) <= {1, 2, 3}


def test_failures_are_recorded_with_reasons(golden):
    """Nothing else is missing from the first pass; none of them was asked for twice; the summary groups them."""
    assert "238 of 250 done, 12 failed" in golden.said
    assert "12 times Refused: the service does not take this conversation" in golden.said
    assert {(one.type, one.attempts) for one in golden.failures} == {("Refused", 1)}
    names = {one.key.strip("'") for one in golden.failures}
    assert names == {one["conversation_id"] for one in ASKED} - {json.loads(line)["id"] for line in golden.first_lines}
    assert {golden.first_calls[name] for name in names} == {1}
    assert 'raise Refused("the service does not take this conversation")' in golden.failures[0].traceback


def test_the_second_pass_does_what_failed(golden):
    """And nothing else: one call for each. The lines of the first pass stand where they stood."""
    assert "250 of 250 done, 0 failed" in golden.said_again
    again = golden.calls() - golden.first_calls
    assert set(again.values()) == {1}
    assert {one.key.strip("'") for one in golden.failures} == set(again)
    assert golden.lines()[: len(golden.first_lines)] == golden.first_lines
    with wc.open(golden.place / "store", create=False) as store:
        assert store.find("conversations", DATA.stem).status == "completed"


def test_killed_six_times_the_results_are_the_same_to_the_byte(golden, tmp_path):
    """The demo, six kills at random moments, calls by threads. It compares by itself; here its files are compared once
    more, also with those of another undisturbed job."""
    place = tmp_path / "place"
    demo = _start("conversations_demo.py", "--kills", "6", "--latency", "0.03", "--place", place)
    said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, said
    assert "Killed 6 times; the tables and the file are the same to the byte." in said
    for name in ("golden", "killed"):
        job = Job(place / name)
        assert (job.lines(), job.tables()) == (golden.lines(), golden.tables())
    assert (place / "killed" / "said.log").read_text("utf-8").count("resumed run 'conversations'") >= 5
    lost = re.search(r"before their answer was committed: (\d+)", said)
    assert int(lost.group(1)) < 6 * 125, "a kill costs what was between two cuts, not all the calls before it"


def test_killed_with_worker_processes(golden, tmp_path):
    """They end with it. In the order of the answers the file has the same lines, and the tables are the same."""
    job = Job(tmp_path, "--on", "processes", "--workers", "2", "--order", "done", "--latency", "0.005")
    chance = random.Random()
    for part in range(2):
        job.kill(int(80 * (part + chance.random())), chance.uniform(0, 0.05))
    job.finish()
    job.finish(RECOVERED)
    assert sorted(job.lines()) == sorted(golden.lines())
    assert job.tables() == golden.tables()


def test_killed_in_the_middle_of_a_fold(golden, tmp_path):
    """The rows are written, the line is not, and the run knows of neither: all of it comes again, and once."""
    job = Job(tmp_path, "--order", "done", "--latency", "0.01")
    process = job.start("--crash-after", "40")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said
    conversations, _ = job.tables()
    assert len(conversations) == 40
    job.finish(RECOVERED)
    assert sorted(job.lines()) == sorted(golden.lines())
    assert job.tables() == golden.tables()
    again = job.calls() - golden.first_calls
    assert set(again.values()) == {1}, "an answer was asked for twice after one death"


def test_old_conversations_are_purged_and_brought_back(golden, tmp_path):
    """Those and their turns: all of them after a kill before their delete is committed, none when it is done, and brought back
    they are what they were."""
    job = Job(shutil.copytree(golden.place, tmp_path / "place"), RECOVERED)
    conversations, turns = golden.tables()
    old = {one["conversation_id"] for one in ASKED[:100]}
    job.die_at("backup.rows.delete", "--purge", "100")
    assert job.tables() == (conversations, turns)
    said = job.finish("--purge", "100")
    assert job.tables() == (
        [row for row in conversations if row[0] not in old],
        [row for row in turns if row[0] not in old],
    )
    job.finish("--bring-back", re.search(r"--bring-back (\w+)", said).group(1))
    assert job.tables() == (conversations, turns)
