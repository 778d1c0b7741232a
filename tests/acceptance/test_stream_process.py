"""`waycairn stream process` and `retry-dead`: streams that are registered in a pyproject.toml, as a service runs them."""

import json
import signal
import sqlite3
import subprocess
import time

import pytest
import sqlalchemy as sa

import waycairn as wc
from commands import WAYCAIRN, document, environment, script, waycairn
from waycairn.errors import StreamError

JOB = """
import msgspec

class Event(msgspec.Struct):
    id: int
    word: str = ""

class Strict(msgspec.Struct, forbid_unknown_fields=True):
    id: int

def rows(events):
    return [(event.id, event.word) for event in events]

def mappings(events):
    for event in events:
        if event["id"] == 13:
            raise ValueError("13 is odd")
        yield {"id": event["id"], "word": str(event.get("word"))}

def write(tx, events):
    tx.write("".join(f"{event.id}\\n" for event in events))

async def later(tx, events):
    pass

number = 3
"""
TYPED = 'schema = "job:Event"\nrows = "job:rows"\ntable = "events"'


@pytest.fixture
def project(tmp_path):
    """A project with a stream, a database with its table, and a directory of logs."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "logs" / "a.jsonl").write_text("".join(f'{{"id": {n}, "word": "w{n}"}}\n' for n in range(10)))
    database = sqlite3.connect(tmp_path / "rows.db")
    database.execute("CREATE TABLE events (id INTEGER, word TEXT)")
    database.close()
    register(tmp_path)
    return tmp_path


def register(place, settings=TYPED, sink="sqlite:///rows.db", more=""):
    table = f'[tool.waycairn.streams.telemetry]\npaths = ["logs/*.jsonl"]\nsink = "{sink}"\n{settings}\n{more}\n'
    (place / "pyproject.toml").write_text(table)


def append(place, text, name="a.jsonl"):
    with (place / "logs" / name).open("a") as file:
        file.write(text)


def rows(place):
    database = sqlite3.connect(place / "rows.db", timeout=30)
    found = database.execute("SELECT id, word FROM events ORDER BY rowid").fetchall()
    database.close()
    return found


def once(place, **more):
    return waycairn("stream", "process", "telemetry", "--once", at=place, **more)


def test_once(project):
    """What is there is written, the second time only what is new; from any directory of the project."""
    ran = once(project)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("stream 'telemetry': 10 events, ")
    assert rows(project) == [(n, f"w{n}") for n in range(10)]
    append(project, '{"id": 10, "word": "w10"}\nno json\n')
    told = document("stream", "process", "telemetry", "--once", at=project)
    assert (told["done"]["events"], told["done"]["dead"]) == (1, 1)
    ran = waycairn("stream", "process", "telemetry", "--once", "--store", project / ".waycairn", at=project / "deeper")
    assert ran.stdout.startswith("stream 'telemetry': 0 events, 0 B in ")
    assert rows(project) == [(n, f"w{n}") for n in range(11)]


def test_it_is_listed(project):
    """What was followed is known to the store by its registered name, with nothing left to read."""
    once(project)
    [one] = document("stream", "list", at=project)["streams"]
    assert (one["name"], one["state"], one["counts"]["events"]) == ("telemetry", "left", 10)
    assert one["behind"] == {"bytes": 0, "seconds": 0, "files": 0}
    append(project, '{"id": 10}\n')
    append(project, '{"id": 11}\n', "new.jsonl")
    assert document("stream", "lag", at=project)["streams"][0]["behind"]["files"] == 2


def test_verify(project):
    """Bytes that were consumed and are others now are told with exit code 3; a file that went away is no fault."""
    append(project, '{"id": 10, "word": "w10"}\n', "b.jsonl")
    once(project)
    ran = waycairn("stream", "verify", "telemetry", at=project)
    assert (ran.returncode, ran.stdout.count("as it was consumed")) == (0, 2)
    (project / "logs" / "b.jsonl").unlink()
    with (project / "logs" / "a.jsonl").open("r+b") as file:
        file.seek(3)
        file.write(b"x")
    ran = waycairn("stream", "verify", "telemetry", at=project)
    assert ran.returncode == 3
    assert "changed: bytes 0-" in ran.stdout
    assert "not there any more" in ran.stdout
    by_path = {one["path"]: one for one in document("stream", "verify", "telemetry", at=project, code=3)["files"]}
    assert by_path[f"{project}/logs/b.jsonl"]["there"] is False
    assert by_path[f"{project}/logs/a.jsonl"]["changed"][0][0] == 0


def test_sigterm(project):
    """A service is stopped: exit code 143, one line on what was done, and the next start goes on."""
    job = start(project)
    wait_for(lambda: len(rows(project)) == 10)
    [one] = document("stream", "list", at=project)["streams"]
    assert (one["state"], one["owner"]["pid"]) == ("following", job.pid)
    second = waycairn("stream", "process", "telemetry", at=project)
    assert (second.returncode, second.stdout) == (4, "")
    assert waycairn("stream", "reset", "telemetry", "--yes", at=project).returncode == 4
    append(project, '{"id": 10, "word": "w10"}\n')
    wait_for(lambda: len(rows(project)) == 11)
    job.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 143
    assert out.startswith("stream 'telemetry': 11 events")
    assert err.splitlines()[-1].startswith("waycairn: run 'telemetry' was stopped by SIGTERM")
    assert once(project).stdout.startswith("stream 'telemetry': 0 events")


def start(place):
    return subprocess.Popen(
        [WAYCAIRN, "stream", "process", "telemetry"],
        cwd=place,
        env=environment(WAYCAIRN_PROGRESS="off"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, limit=60):
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_kill(project):
    """kill -9 in the middle: what follows goes on from what is committed."""
    append(project, "".join(f'{{"id": {n}, "word": "w{n}"}}\n' for n in range(10, 3000)))
    register(project, more="batch = 10")
    job = start(project)
    wait_for(lambda: len(rows(project)) > 100)
    job.kill()
    job.communicate()
    assert once(project).returncode == 0
    assert rows(project) == [(n, f"w{n}") for n in range(3000)]


def test_mappings_without_a_schema(project):
    """Rows may be mappings, and a generator."""
    register(project, 'rows = "job:mappings"\ntable = "events"')
    assert once(project).returncode == 0
    assert rows(project)[-1] == (9, "w9")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('write = "job:write"', "".join(f"{n}\n" for n in range(10))),
        ('rows = "job:rows"', "".join(f'[{n},"w{n}"]\n' for n in range(10))),
    ],
)
def test_a_file(project, settings, expected):
    """`write` gets the transaction; `rows` are lines of JSON. Dead letters of a file cannot be tried again."""
    append(project, "no json\n")
    register(project, f'schema = "job:Event"\n{settings}', sink="out.txt")
    assert once(project).stdout.startswith("stream 'telemetry': 10 events, 1 dead letters")
    assert (project / "out.txt").read_text() == expected
    assert document("stream", "show", "telemetry", at=project)["stream"]["sink_length"] == len(expected)
    ran = waycairn("stream", "retry-dead", "telemetry", at=project)
    assert ran.returncode == 1
    assert "its sink is no database" in ran.stderr
    assert "waycairn stream dead telemetry --json" in ran.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('rows = "jb:rows"\ntable = "events"', "rows: there is no module 'jb' in "),
        ('rows = "job:row"\ntable = "events"', "rows: the module job has no 'row'."),
        ('rows = "job:number"\ntable = "events"', "rows: job:number is 3, and no function."),
        ('write = "job:later"', "write: job:later is a coroutine function"),
        ('write = "job:write"\nbath = 3', "bath: there is no such setting; did you mean batch?"),
    ],
)
def test_wrong_settings(project, settings, said):
    """Said with the file, the table and the key; nothing was started."""
    register(project, settings)
    ran = once(project)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{project}/pyproject.toml:" in ran.stderr
    assert f": [tool.waycairn.streams.telemetry] {said}" in ran.stderr
    assert not (project / ".waycairn").exists()


def test_a_module_that_lacks_something(project):
    """What it lacks is told, and is not taken for the module itself."""
    (project / "job.py").write_text("import not_installed\n")
    ran = script("stream", "process", "telemetry", "--once", at=project)
    assert ran.returncode == 1
    assert ran.stderr.endswith("ModuleNotFoundError: No module named 'not_installed'\n")


def test_no_such_table(project):
    """Nothing is consumed; with the table it goes on."""
    register(project, TYPED.replace('"events"', '"evens"'))
    ran = once(project)
    assert ran.returncode == 1
    assert "there is no table 'evens' in sqlite:///" in ran.stderr
    register(project)
    assert once(project).stdout.startswith("stream 'telemetry': 10 events")


def test_not_registered(project):
    """The nearest name is offered."""
    ran = waycairn("stream", "process", "telemetri", at=project)
    assert ran.returncode == 2
    assert "Did you mean 'telemetry'?" in ran.stderr


# -- dead letters once more -----------------------------------------------------------------------------------------


def test_retry_dead(project):
    """The schema was mended: what can be used now is written once, the rest keeps its new error."""
    register(project, TYPED.replace("Event", "Strict").replace('"job:rows"', '"job:mappings"'))
    (project / "job.py").write_text(JOB.replace('event["id"]', "event.id").replace('event.get("word")', "event"))
    append(project, "no json\n")
    once(project)
    assert document("stream", "list", at=project)["streams"][0]["dead_letters"] == 11
    register(project)
    (project / "job.py").write_text(JOB)
    told = document("stream", "retry-dead", "telemetry", at=project, code=3)
    assert told == {"stream": "telemetry", "settled": 10, "failed": 1, "unreadable": 0, "elsewhere": 0}
    assert rows(project) == [(n, f"w{n}") for n in range(10)]
    [left] = document("stream", "dead", "telemetry", at=project)["dead"]
    assert (left["kind"], left["tries"], left["text"]) == ("malformed", 1, "no json")
    assert len(document("stream", "dead", "telemetry", "--all", at=project)["dead"]) == 11
    assert waycairn("stream", "retry-dead", "telemetry", "--kind", "schema", at=project).returncode == 0
    assert len(rows(project)) == 10


def test_retry_of_what_the_function_refuses(project):
    """What raises is undone and stays; it is no reason to stop."""
    append(project, '{"id": "12"}\n{"id": "13"}\n', "b.jsonl")
    once(project)
    register(project, 'rows = "job:mappings"\ntable = "events"')
    told = document("stream", "retry-dead", "telemetry", at=project)
    assert told["settled"] == 2
    (project / "logs" / "b.jsonl").write_text("")
    register(project)
    append(project, '{"id": "x"}\n{"id": 14, "word": 5}\n', "c.jsonl")
    once(project)
    (project / "job.py").write_text(JOB.replace('event["id"] == 13', 'event["id"] == "x"'))
    register(project, 'rows = "job:mappings"\ntable = "events"')
    told = document("stream", "retry-dead", "telemetry", at=project, code=3)
    assert (told["settled"], told["failed"]) == (1, 1)
    assert [one["tried_error"] for one in document("stream", "dead", "telemetry", at=project)["dead"]] == [
        "ValueError: 13 is odd"
    ]


def test_retry_of_a_file_that_is_gone(project):
    """Its lines cannot be read any more; they stay."""
    append(project, "no json\n")
    once(project)
    (project / "logs" / "a.jsonl").unlink()
    told = document("stream", "retry-dead", "telemetry", at=project, code=3)
    assert (told["settled"], told["unreadable"]) == (0, 1)


def test_retry_of_a_stream_that_is_only_in_code(project):
    """The Python call is named, and does it."""
    append(project, "no json\n")
    once(project)
    (project / "pyproject.toml").unlink()
    ran = waycairn("stream", "retry-dead", "telemetry", at=project)
    assert ran.returncode == 1
    assert "wc.open().retry_dead('telemetry', write, schema=...)" in ran.stderr
    table = sa.table("events", sa.column("id"), sa.column("word"))
    with wc.open(project / ".waycairn") as store:
        retried = store.retry_dead(
            "telemetry",
            lambda tx, events: tx.execute(sa.insert(table), events),
            schema=lambda line: {"id": 99, "word": "x"},
        )
        assert (retried.settled, retried.failed) == (1, 0)
        with pytest.raises(StreamError, match="there is no stream 'tele'"):
            store.retry_dead("tele", print)
    assert rows(project)[-1] == (99, "x")


@pytest.mark.parametrize("point", ["stream.retry.commit", "stream.retry.committed"])
def test_retry_killed(project, point):
    """Killed just before or after its commit: every line is written once."""
    append(project, '{"id": "12"}\n{"id": "13"}\n')
    once(project)
    (project / "job.py").write_text(JOB.replace("id: int\n    word", "id: int | str\n    word"))
    ran = subprocess.run(
        [WAYCAIRN, "stream", "retry-dead", "telemetry"],
        cwd=project,
        env=environment(WAYCAIRN_CRASH=f"{point}@1:KILL"),
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    assert waycairn("stream", "retry-dead", "telemetry", at=project).returncode == 0
    assert len(rows(project)) == 12


def test_a_line_that_is_too_long(project):
    """It is not read into memory; with a higher limit it is."""
    register(project, more="line_limit = 100")
    append(project, json.dumps({"id": 10, "word": "w" * 200}) + "\n")
    once(project)
    told = document("stream", "retry-dead", "telemetry", at=project, code=3)
    assert told["failed"] == 1
    assert "more than the limit of 100" in document("stream", "dead", "telemetry", at=project)["dead"][0]["tried_error"]
    register(project)
    assert document("stream", "retry-dead", "telemetry", at=project)["settled"] == 1
    assert rows(project)[-1] == (10, "w" * 200)


def as_text(line):
    return line.decode()


def test_retry_beside_another(project):
    """A letter that somebody else settles meanwhile is not written a second time."""
    append(project, "no json\nnor this\n")
    once(project)
    written = []

    def write(tx, events):
        written.extend(events)
        tx.execute(sa.text("UPDATE waycairn_dead_letters SET settled = 1 WHERE id = 2"))

    with wc.open(project / ".waycairn") as store:
        retried = store.retry_dead("telemetry", write, schema=as_text)
    assert written == ["no json"]
    assert (retried.settled, retried.elsewhere) == (1, 1)


def test_retry_that_ends_the_transaction(project):
    """A COMMIT among its statements would part the rows from their mark: it is an error."""
    append(project, "no json\n")
    once(project)
    with wc.open(project / ".waycairn") as store, pytest.raises(RuntimeError, match="ended the transaction itself"):
        store.retry_dead("telemetry", lambda tx, _: tx.connection.commit(), schema=as_text)


def test_retry_beside_the_service(project):
    """It need not be stopped, and goes on."""
    append(project, '{"id": "12"}\n')
    job = start(project)
    try:
        wait_for(lambda: len(rows(project)) == 10)
        (project / "job.py").write_text(JOB.replace("id: int\n    word", "id: int | str\n    word"))
        wait_for(lambda: document("stream", "dead", "telemetry", at=project)["dead"])
        assert document("stream", "retry-dead", "telemetry", at=project)["settled"] == 1
        append(project, '{"id": 10, "word": "w10"}\n')
        wait_for(lambda: len(rows(project)) == 12)
    finally:
        job.terminate()
        job.communicate(timeout=60)
    assert job.returncode == 143


# -- servers --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(postgres_database):
    """An engine for a database of a user with a table in a schema, and its address."""
    engine = sa.create_engine(postgres_database.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA apart"))
        connection.execute(sa.text("CREATE TABLE apart.events (id integer, word text)"))
    yield engine, postgres_database
    engine.dispose()


def test_postgres(project, server):
    """The same with a server: process, list, lag, retry-dead, reset. What the database refuses is undone and stays."""
    engine, address = server
    register(project, TYPED.replace('"events"', '"apart.events"'), sink=address)
    append(project, '{"id": "x"}\n')
    ran = once(project)
    assert (ran.returncode, ran.stdout.split(", ")[:2]) == (0, ["stream 'telemetry': 10 events", "1 dead letters"])
    [one] = document("stream", "list", at=project)["streams"]
    assert (one["state"], one["counts"]["events"], one["behind"]["bytes"]) == ("left", 10, 0)
    lenient = JOB.replace("id: int\n    word", "id: int | str\n    word")
    (project / "job.py").write_text(lenient)
    assert document("stream", "retry-dead", "telemetry", at=project, code=3)["failed"] == 1
    (project / "job.py").write_text(lenient.replace("(event.id,", "(11 if event.id == 'x' else event.id,"))
    assert document("stream", "retry-dead", "telemetry", at=project)["settled"] == 1
    assert document("stream", "reset", "telemetry", "--yes", at=project)["generations"] == [1]
    assert document("stream", "lag", "--sink", address, at=project)["streams"][0]["behind"]["files"] == 1
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM apart.events")) == 11


def test_a_server_that_is_away(project):
    """The stream waits for it, can be stopped meanwhile, and says that nobody knows what was done."""
    register(project, sink="postgresql://nobody@127.0.0.1:1/none")
    job = start(project)
    wait_for((project / ".waycairn").exists)
    wait_for(lambda: "running" in waycairn("runs", at=project).stdout)
    time.sleep(0.5)
    assert job.poll() is None
    job.send_signal(signal.SIGTERM)
    out, _ = job.communicate(timeout=60)
    assert (job.returncode, out) == (143, "stream 'telemetry': its database is away, so nobody can say what was done\n")
    ran = waycairn("stream", "list", "--sink", "postgresql://me:secret@127.0.0.1:1/none", at=project)
    assert ran.returncode == 1
    assert "does not answer" in ran.stderr
    assert "secret" not in ran.stderr
