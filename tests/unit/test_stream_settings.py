"""A stream in a pyproject.toml: what is allowed, and what is said of the rest."""

import tomllib

import pytest
import sqlalchemy as sa

from waycairn.model.stream_settings import stream_settings
from waycairn.upkeep.configuration import registered_stream, registered_streams

LEAST = 'paths = ["logs/*.jsonl"]\nsink = "sqlite:///rows.db"\nrows = "job:rows"\ntable = "events"\n'


@pytest.fixture
def project(tmp_path):
    """A directory with a pyproject.toml, and what is written into its table of one stream."""
    place = tmp_path / "a [b] %20"
    (place / "deeper").mkdir(parents=True)

    def write(settings, head="[tool.waycairn.streams.telemetry]"):
        (place / "pyproject.toml").write_text(f"[project]\nname = 'x'\n{head}\n{settings}", "utf-8")
        return place

    return write


def test_everything_is_relative_to_the_file(project):
    """From a directory below; a directory whose name looks like a pattern is none."""
    place = project(LEAST.replace('["logs/*.jsonl"]', '["logs/*.jsonl", "/var/x.jsonl"]'))
    found = registered_stream("telemetry", place / "deeper")
    assert found.paths == [str(place).replace("[", "[[]") + "/logs/*.jsonl", "/var/x.jsonl"]
    assert sa.make_url(found.sink).database == f"{place}/rows.db"
    assert (found.rows, found.table, found.file) == ("job:rows", "events", place / "pyproject.toml")


@pytest.mark.parametrize(
    ("sink", "expected"),
    [
        ("sqlite:////var/rows.db", "sqlite:////var/rows.db"),
        ("postgresql://me@host/rows", "postgresql://me@host/rows"),
        ("out.jsonl", "{}/out.jsonl"),
        ("/var/out.jsonl", "/var/out.jsonl"),
    ],
)
def test_sinks(project, sink, expected):
    """A URL of a database, or a path."""
    place = project(f'paths = "a.jsonl"\nsink = "{sink}"\nwrite = "job:write"')
    assert registered_stream("telemetry", place).sink == expected.format(place)


def test_a_url_keeps_what_else_it_says(project):
    """Driver and options of an address with a relative path, below a directory whose name has to be escaped in one."""
    place = project('paths = "a.jsonl"\nsink = "sqlite+pysqlite:///rows.db?timeout=3"\nwrite = "job:write"')
    found = sa.make_url(registered_stream("telemetry", place).sink)
    assert (found.drivername, found.database, dict(found.query)) == (
        "sqlite+pysqlite",
        f"{place}/rows.db",
        {"timeout": "3"},
    )


def test_what_goes_to_follow(project):
    """All that `run.follow` takes, and nothing that was not said."""
    given = {"batch": 10, "every": "1s", "on_error": "skip", "max_dead_ratio": 0.5, "final_line": "take"}
    given |= {"on_copy": "reread", "line_limit": 100}
    lines = "".join(f"{key} = {value!r}\n" for key, value in given.items())
    assert registered_stream("telemetry", project(LEAST + lines)).options == given
    assert registered_stream("telemetry", project(LEAST)).options == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (LEAST + "bacth = 3", "bacth: there is no such setting; did you mean batch?"),
        (LEAST + "batch = 0", "batch: it is a number from 1, not 0"),
        (LEAST + "batch = true", "batch: it is a number from 1, not True"),
        (LEAST + 'every = "soon"', "every: it is a length of time"),
        (LEAST + "every = [1]", "every: it is a length of time"),
        (LEAST + 'on_error = "raise"', "on_error: it is one of dead_letter, stop, skip, not 'raise'"),
        (LEAST + "on_error = [1]", "on_error: it is one of dead_letter, stop, skip, not [1]"),
        (LEAST + "max_dead_ratio = 1", "max_dead_ratio: it is a share of lines"),
        (LEAST + 'schema = "job.Event"', "schema: it is \"module:name\", not 'job.Event'"),
        (LEAST + 'write = "job:write"', "write: there is rows too"),
        (LEAST.replace('rows = "job:rows"\n', ""), "rows: it is missing"),
        (LEAST.replace('table = "events"\n', ""), "table: it is missing"),
        (LEAST.replace("rows =", "write ="), "table: it goes with rows"),
        (LEAST.replace("sqlite:///rows.db", "rows.jsonl"), "table: the sink is a file"),
        (LEAST.replace("sqlite:///rows.db", "mysql://host/x"), "sink: mysql:// is no sink"),
        (LEAST.replace("sqlite:///rows.db", "sqlite://"), "sink: a database in memory"),
        (LEAST.replace('["logs/*.jsonl"]', "[]"), "paths: it is a list of paths"),
        (LEAST.replace('["logs/*.jsonl"]', "[1]"), "paths: it is a list of paths"),
        ('paths = "a"\nwrite = "job:write"', "sink: it is missing"),
        ('sink = "a"\nwrite = "job:write"', "paths: it is missing"),
    ],
)
def test_what_is_refused(project, settings, said):
    """Which file, which table, which key, what is allowed."""
    place = project(settings)
    with pytest.raises(ValueError, match="pyproject") as refused:
        registered_stream("telemetry", place)
    where, told = str(refused.value).split(": ", 1)
    assert told.startswith(f"[tool.waycairn.streams.telemetry] {said}")
    # The line of the key, or of the table where the key is not there.
    file, line, _ = where.rsplit(":", 2)
    assert file == f"{place}/pyproject.toml"
    key = said.partition(":")[0]
    found = [n for n, text in enumerate((place / "pyproject.toml").read_text().splitlines(), 1) if text.startswith(key)]
    assert [int(line)] == (found[-1:] or [3])


def test_no_such_stream(project, tmp_path):
    """The nearest name is offered; without any file the directory is named."""
    place = project(LEAST)
    with pytest.raises(ValueError, match="Did you mean 'telemetry'"):
        registered_stream("telemetri", place)
    with pytest.raises(ValueError, match=r"Register it: \[tool.waycairn.streams.quite\]"):
        registered_stream("quite", place)
    with pytest.raises(ValueError, match=r"no waycairn.yaml, and no pyproject.toml .* or above"):
        registered_stream("telemetry", tmp_path)


@pytest.mark.parametrize(
    ("settings", "head", "said"),
    [
        ("streams = 3", "[tool.waycairn]", "is a table of streams; streams is 3"),
        ("telemetry = 3", "[tool.waycairn.streams]", "telemetry is a table of settings, not 3"),
        ("= 3", "[tool.waycairn.streams]", "it is no TOML"),
    ],
)
def test_no_table(project, settings, head, said):
    """What is no table at all is refused with the file."""
    with pytest.raises(ValueError, match="pyproject") as refused:
        registered_stream("telemetry", project(settings, head))
    assert said in str(refused.value)


def test_all_of_them(project, tmp_path):
    """Every registered stream, each checked; none is no error."""
    place = project(LEAST + "\n[tool.waycairn.streams.other]\n" + LEAST)
    assert list(registered_streams(place)) == ["telemetry", "other"]
    assert registered_streams(tmp_path) == {}


def test_settings_do_not_lose_anything(tmp_path):
    """The record says where it stands, for errors that are found later."""
    found = stream_settings(tmp_path / "pyproject.toml", "telemetry", tomllib.loads(LEAST))
    with pytest.raises(ValueError, match=r"pyproject.toml: \[tool.waycairn.streams.telemetry\] rows: there is none"):
        found.refuse("rows", "there is none.")
