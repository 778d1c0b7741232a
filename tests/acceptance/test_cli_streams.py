"""`waycairn stream`: what streams are there, where each stands, what could not be used, and reading again."""

import os
import sqlite3

import pytest
import sqlalchemy as sa

import waycairn as wc
from commands import document, on_terminal, start_job, waycairn
from streams_case import NOW, a_dead_letter, a_step, rows
from waycairn.codec import encode
from waycairn.store import CheckpointDraft
from waycairn.streams.records import Counts, Generation, Holder, Identity, Mark
from waycairn.streams.sinks import EngineSink


def generation(path, offset, number=1, **changes):
    """Of a file that is there, consumed up to the offset."""
    status = path.stat()
    return Generation(
        id=number,
        path=os.fsencode(path),
        identity=Identity(status.st_dev, status.st_ino, 0),
        offset=offset,
        lines=offset // 10,
        tail=Mark(1, b"t" * 16),
        size=status.st_size,
        modified=status.st_mtime_ns,
        first_seen=NOW,
        updated=NOW,
        **changes,
    )


def follow(place, name, *, sink=None, run="job"):
    """What a run leaves that followed two files: rows, offsets, a dead letter, and where the ledger lies."""
    (place / "a.jsonl").write_bytes(b"x" * 100)
    (place / "b.jsonl").write_bytes(b"y" * 50)
    address = sink or f"sqlite:///{place}/rows.db"
    with wc.open(place / ".waycairn") as store, store.run(run) as entered:
        cutter = entered._execution.cutter
        engine = sa.create_engine(address)
        opened = EngineSink(engine)
        facts = {"paths": [f"{place}/*.jsonl"]}
        opened.open(name, Holder(cutter.run, cutter.epoch), parser="json, as dict", facts=facts, now=NOW)
        rows.metadata.create_all(engine)
        transaction = opened.begin()
        transaction.user.execute(sa.insert(rows), [{"id": 1, "word": "one"}])
        step = a_step(
            [generation(place / "a.jsonl", 70), generation(place / "b.jsonl", 50, number=2)],
            dead=[a_dead_letter(1, 20, path=os.fsencode(place / "a.jsonl"), kind="schema"), a_dead_letter(2, 30)],
            counts=Counts(events=7, dead=2, blank=3, bytes=120),
            state=b"state",
        )
        transaction.commit(step)
        opened.close()
        shown = engine.url.render_as_string(hide_password=True)
        engine.dispose()
        metadata = {"stream": name, "sink": shown, **facts}
        draft = CheckpointDraft(kind="stream_offset", role="stream", encoded=encode(None), metadata=metadata)
        cutter.commit_beside(checkpoint=draft)
    return entered.id


@pytest.fixture
def place(tmp_path):
    """A store whose run followed two files, and left."""
    follow(tmp_path, "telemetry")
    return tmp_path


def test_list(place):
    """Name, run, sink, counts, how far behind, and that nobody follows it now."""
    lines = waycairn("stream", "list", at=place).stdout.splitlines()
    assert lines[0].split() == ["name", "run", "sink", "files", "events", "dead", "behind", "updated", "state"]
    assert lines[1].split()[:7] == ["telemetry", "job", f"sqlite:///{place}/rows.db", "2", "7", "2", "30"]
    assert lines[1].endswith("left")
    [one] = document("stream", "list", at=place)["streams"]
    assert (one["state"], one["files"], one["commits"], one["dead_letters"]) == ("left", 2, 1, 2)
    assert one["counts"] == {"events": 7, "dead": 2, "skipped": 0, "blank": 3, "nuls": 0, "bytes": 120}
    assert one["behind"]["bytes"] == 30
    assert one["run"]["name"] == "job"


def test_in_python(place):
    """The same for a dashboard of one's own; in whichever database it is asked for."""
    with wc.open(place / ".waycairn") as store:
        for sink in (None, f"sqlite:///{place}/rows.db"):
            [one] = store.streams(sink)
            assert (one.known.name, one.word, one.standing.counts.events) == ("telemetry", "left", 7)
            assert (one.letters, one.lag.bytes, one.lag.files) == (2, 30, 1)
        (place / "rows.db").unlink()
        [one] = store.streams()
        assert (one.word, one.standing) == ("sink away", None)
        assert "there is no database at" in one.error


def test_list_of_nothing(tmp_path):
    """No store is an error, as everywhere; a store without streams lists none."""
    assert waycairn("stream", "list", at=tmp_path).returncode == 1
    with wc.open(tmp_path / ".waycairn") as store:
        store.save("plain", 1)
    assert document("stream", "list", at=tmp_path) == {"streams": []}
    assert "no streams" in on_terminal("stream", "list", at=tmp_path).plain


def test_sink_away(place):
    """A database that is not there does not hide the others, and nothing is created in its place."""
    (place / "other").mkdir()
    follow(place, "other", sink=f"sqlite:///{place}/other/rows.db", run="second")
    (place / "other" / "rows.db").unlink()
    by_name = {one["name"]: one for one in document("stream", "list", at=place)["streams"]}
    assert {name: one["state"] for name, one in by_name.items()} == {"telemetry": "left", "other": "sink away"}
    assert "there is no database at" in by_name["other"]["error"]
    assert list((place / "other").iterdir()) == []
    ran = waycairn("stream", "show", "other", at=place)
    assert ran.returncode == 1
    assert "--sink" in ran.stderr


def test_made_anew(place):
    """A database that knows nothing of the stream is another matter than one that is away."""
    (place / "rows.db").unlink()
    sqlite3.connect(place / "rows.db").close()
    assert document("stream", "list", at=place)["streams"][0]["state"] == "gone"
    assert "knows no stream 'telemetry'" in waycairn("stream", "show", "telemetry", at=place).stderr
    with sqlite3.connect(place / "rows.db") as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchall() == [(0,)]
    database.close()


def test_show(place):
    """Every file with its state, place and size; parser, holder, counts."""
    said = waycairn("stream", "show", "telemetry", at=place).stdout
    assert "json, as dict" in said
    assert "7 events, 2 dead letters (2 not settled), 3 blank lines, 120 B" in said
    assert f"{place}/a.jsonl" in said
    stream = document("stream", "show", "telemetry", at=place)["stream"]
    assert [(one["offset"], one["size"], one["state"]) for one in stream["generations"]] == [
        (70, 100, "active"),
        (50, 50, "active"),
    ]
    assert stream["holder"]["epoch"] == 1
    assert stream["state_bytes"] == 5
    assert stream["former_runs"] == []


def test_show_names_who_followed_before(place):
    """Runs that followed the same stream into the same sink."""
    second = follow_again(place)
    stream = document("stream", "show", "telemetry", at=place)["stream"]
    assert stream["holder"]["run"] == second
    assert [run["name"] for run in stream["former_runs"]] == ["job"]
    assert "before" in waycairn("stream", "show", "telemetry", at=place).stdout


def follow_again(place):
    """Another run takes the stream."""
    with wc.open(place / ".waycairn") as store, store.run("second") as entered:
        cutter = entered._execution.cutter
        engine = sa.create_engine(f"sqlite:///{place}/rows.db")
        sink = EngineSink(engine)
        facts = {"paths": [f"{place}/*.jsonl"]}
        sink.open("telemetry", Holder(cutter.run, cutter.epoch), parser="other", facts=facts, now=NOW + 5)
        sink.close()
        engine.dispose()
        metadata = {"stream": "telemetry", "sink": f"sqlite:///{place}/rows.db", **facts}
        draft = CheckpointDraft(kind="stream_offset", role="stream", encoded=encode(None), metadata=metadata)
        cutter.commit_beside(checkpoint=draft)
        return entered.id


def test_unknown_stream(place):
    """The ones that are known are named."""
    ran = waycairn("stream", "show", "telemetri", at=place)
    assert ran.returncode == 1
    assert "these are: 'telemetry'" in ran.stderr


@pytest.mark.parametrize("command", ["list", "lag"])
def test_a_named_database(place, tmp_path_factory, command):
    """--sink shows what lies there, also to a store that knows nothing of it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with wc.open(elsewhere / ".waycairn") as store:
        store.save("plain", 1)
    found = document("stream", command, "--sink", f"sqlite:///{place}/rows.db", at=elsewhere)["streams"]
    assert [one["name"] for one in found] == ["telemetry"]
    ran = waycairn("stream", command, "--sink", "mysql://host/x", at=elsewhere)
    assert ran.returncode == 2
    assert waycairn("stream", command, "--sink", "x.jsonl", at=elsewhere).returncode == 2


def test_lag(place):
    """Bytes and seconds behind; a limit that is exceeded is exit code 3."""
    told = document("stream", "lag", at=place)["streams"][0]
    assert told["behind"]["bytes"] == 30
    assert told["oldest_unread"] == f"{place}/a.jsonl"
    assert not told["exceeded"]
    assert document("stream", "lag", "telemetry", "--most-bytes", "30", at=place)["streams"][0]["behind"]["files"] == 1
    assert document("stream", "lag", "--most-bytes", "29", at=place, code=3)["streams"][0]["exceeded"]
    os.utime(place / "a.jsonl", (NOW, NOW))
    ran = waycairn("stream", "lag", "--most-seconds", "60", at=place)
    assert ran.returncode == 3
    assert "too much" in ran.stdout


def test_lag_that_nobody_can_tell(place):
    """Whoever watches a limit learns that it cannot be told."""
    (place / "rows.db").unlink()
    assert waycairn("stream", "lag", at=place).returncode == 0
    assert waycairn("stream", "lag", "--most-bytes", "1000", at=place).returncode == 3


def test_dead(place):
    """Place, kind, error and beginning; by kind and by path; with --json everything."""
    lines = waycairn("stream", "dead", "telemetry", at=place).stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:5] == ["1", f"{place}/a.jsonl", "20", "2", "schema"]
    assert "oops" in lines[1]
    found = document("stream", "dead", "telemetry", "--kind", "malformed", at=place)["dead"]
    assert [(one["offset"], one["kind"], one["settled"]) for one in found] == [(30, "malformed", None)]
    assert found[0]["sha256"] == b"d".hex() * 32
    found = document("stream", "dead", "telemetry", "--path", "a.jsonl", at=place)["dead"]
    assert [one["kind"] for one in found] == ["schema"]
    assert len(document("stream", "dead", "telemetry", "--limit", "1", at=place)["dead"]) == 1
    ran = waycairn("stream", "dead", "telemetry", "--kind", "odd", at=place)
    assert ran.returncode == 2
    assert "malformed" in ran.stderr


def offsets(place):
    database = sqlite3.connect(place / "rows.db")
    found = database.execute('SELECT "offset" FROM waycairn_generations ORDER BY id').fetchall()
    database.close()
    return [offset for (offset,) in found]


def test_reset(place):
    """Offsets go back, rows stay; without consent nothing happens."""
    ran = waycairn("stream", "reset", "telemetry", at=place)
    assert ran.returncode == 2
    assert "will be there twice" in ran.stderr
    assert offsets(place) == [70, 50]
    told = document("stream", "reset", "telemetry", "--yes", at=place)
    assert sorted(told["reset"]) == [f"{place}/a.jsonl", f"{place}/b.jsonl"]
    assert offsets(place) == [0, 0]
    database = sqlite3.connect(place / "rows.db")
    assert database.execute("SELECT word FROM seen").fetchall() == [("one",)]
    database.close()


def test_reset_of_one_file(place):
    """A path that is not known is refused with nothing changed."""
    assert "knows no file at" in waycairn("stream", "reset", "telemetry", "--path", "c.jsonl", "-y", at=place).stderr
    assert offsets(place) == [70, 50]
    assert waycairn("stream", "reset", "telemetry", "--path", "b.jsonl", "-y", at=place).returncode == 0
    assert offsets(place) == [70, 0]


def test_reset_while_it_is_followed(place):
    """Refused with exit code 4, whoever agrees."""
    job = start_job(place, "stop", "job")
    try:
        assert job.stdout.readline() == "ready\n"
        with wc.open(place / ".waycairn") as store:
            record = store.find("job")
            engine = sa.create_engine(f"sqlite:///{place}/rows.db")
            sink = EngineSink(engine)
            sink.open("telemetry", Holder(record.id, record.epoch), now=NOW)
            sink.close()
            engine.dispose()
        ran = waycairn("stream", "reset", "telemetry", "--yes", "--sink", f"sqlite:///{place}/rows.db", at=place)
        assert ran.returncode == 4
        assert offsets(place) == [70, 50]
    finally:
        job.kill()
        job.wait()
        job.stdout.close()


def test_on_a_terminal(place):
    """The list fits; a question is asked, and no is no."""
    assert "telemetry" in on_terminal("stream", "list", at=place, columns=60).plain
    spoken = on_terminal("stream", "reset", "telemetry", at=place, keys="n\n")
    assert spoken.code == 1
    assert "Rows that were written" in " ".join(spoken.plain.split())
    assert offsets(place) == [70, 50]


def test_names_that_are_no_text(place):
    """A path that is no UTF-8 and moves the cursor is shown escaped, and is JSON."""
    odd = os.fsencode(place) + b"/\xff\x1b[2J.jsonl"
    engine = sa.create_engine(f"sqlite:///{place}/rows.db")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE waycairn_dead_letters SET path = :path WHERE id = 1"), {"path": odd})
    engine.dispose()
    ran = waycairn("stream", "dead", "telemetry", at=place)
    assert ran.returncode == 0
    assert "\\x1b[2J.jsonl" in ran.stdout
    assert "\x1b" not in ran.stdout
    [path] = {one["path"] for one in document("stream", "dead", "telemetry", "--kind", "schema", at=place)["dead"]}
    assert os.fsencode(path) == odd
