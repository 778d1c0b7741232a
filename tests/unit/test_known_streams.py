"""Where a store knows its streams to lie."""

from pathlib import Path

import pytest
import sqlalchemy as sa

import waycairn as wc
from waycairn.codec import encode
from waycairn.errors import StreamError
from waycairn.model.stream_settings import StreamSettings
from waycairn.store import CheckpointDraft
from waycairn.upkeep.streams import find_stream, known_streams, patterns_of

HIDDEN = "postgresql+psycopg://me:***@host:5433/rows"


@pytest.fixture
def store(tmp_path):
    """An empty one."""
    with wc.open(tmp_path / ".waycairn") as opened:
        yield opened


def register(store, sink, name="telemetry", run="job", paths=("logs/*.jsonl",)):
    """What a run leaves that follows a stream."""
    with store.run(run) as entered:
        metadata = {"stream": name, "sink": sink, "paths": list(paths)}
        draft = CheckpointDraft(kind="stream_offset", role="stream", encoded=encode(None), metadata=metadata)
        entered._execution.cutter.commit_beside(checkpoint=draft)
    return entered.id


@pytest.mark.parametrize(
    "written", ["postgresql://me:secret@host:5433/rows", "postgresql+asyncpg://me:s@host:5433/rows"]
)
def test_password_of_a_registered_stream(store, written):
    """The store has none; where the configuration names the same database, that one is taken, and never shown."""
    register(store, HIDDEN)
    settings = StreamSettings(name="telemetry", file=Path("pyproject.toml"), paths=["x"], sink=written, write="a:b")
    [known] = known_streams(store.core, {"telemetry": settings})
    assert (known.address, known.sink) == (written, HIDDEN)


def test_another_database_of_that_name(store):
    """A stream whose registered sink is another one now is looked for where its run left it."""
    register(store, HIDDEN)
    for sink in ("postgresql://me:secret@other:5433/rows", "/some/file.jsonl"):
        settings = StreamSettings(name="telemetry", file=Path("pyproject.toml"), paths=["x"], sink=sink, write="a:b")
        assert known_streams(store.core, {"telemetry": settings})[0].address == HIDDEN


def test_relative_to_the_job(store, tmp_path, monkeypatch):
    """Addresses and paths are meant as the job meant them, wherever this process is; pattern characters in the name
    of its directory are none."""
    place = tmp_path / "job [1]"
    place.mkdir()
    monkeypatch.chdir(place)
    register(store, "sqlite:///rows.db")
    monkeypatch.chdir(tmp_path)
    [known] = known_streams(store.core, {})
    assert sa.make_url(known.address).database == f"{place}/rows.db"
    assert patterns_of(known, ()) == [f"{tmp_path}/job [[]1]/logs/*.jsonl"]


def test_a_sink_that_is_no_database(store, tmp_path):
    """Its ledger is in the store's own database for that."""
    register(store, "/some/out.jsonl")
    assert known_streams(store.core, {})[0].address == f"sqlite:///{tmp_path}/.waycairn/streams.db"


def test_several(store):
    """One for each name and sink, with the runs that followed it; of one name the newest is meant."""
    first, second = register(store, "sqlite:////a.db"), register(store, "sqlite:////a.db", run="later")
    register(store, "sqlite:////b.db", name="other")
    newest = register(store, "sqlite:////c.db", run="moved")
    found = known_streams(store.core, {})
    assert [(one.name, one.sink) for one in found] == [
        ("other", "sqlite:////b.db"),
        ("telemetry", "sqlite:////a.db"),
        ("telemetry", "sqlite:////c.db"),
    ]
    assert (found[1].run.id, [run.id for run in found[1].former]) == (second, [first])
    assert find_stream(store.core, "telemetry").run.id == newest
    with pytest.raises(StreamError, match="these are: 'other', 'telemetry', 'telemetry'"):
        find_stream(store.core, "none")
