"""How commands speak: piped, on a terminal, as a document, when they fail, when nobody listens any more."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

import waycairn as wc
from commands import WAYCAIRN, document, environment, on_terminal, run_job, script, waycairn

ODD = "naïve \x1b[31mred\x1b[0m\nnew line [bold]x[/bold] 見出し :smile:"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a failed run, and one whose name, tags and note try to be more than text."""
    place = tmp_path_factory.mktemp("output")
    assert run_job(place, "fail", "broken") == 1
    with (
        wc.open(place / ".waycairn") as store,
        store.run(ODD, key="\x07", tags=["[red]t[/red]"], metadata={"rate": float("nan")}) as run,
    ):
        run.state({"page": 1})
        run.progress(1, note="half [bold]way\x1b[2J")
    return place


COMMANDS = [
    ["runs"],
    ["show", "broken"],
    ["checkpoints"],
    ["orphans"],
    ["stats"],
    ["verify"],
    ["doctor", "--quick"],
    ["resume", "broken", "--print"],
    ["diff", "broken"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_piped_output_is_plain_and_stderr_is_empty(place, command):
    """No escape codes, no carriage returns, no progress, nothing beside the output."""
    ran = script(*command, at=place)
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout
    assert "\r" not in ran.stdout
    assert ran.stdout.strip()
    assert ran.stderr == ""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_json_is_one_document(place, command):
    """An object that any JSON parser takes; NaN and the like are strings in it."""
    assert isinstance(document(*command, at=place), dict)


@pytest.mark.parametrize("command", [["runs"], ["show", "broken"], ["doctor", "--quick"], ["verify"]], ids=" ".join)
def test_no_color_means_none(place, command):
    """On a terminal NO_COLOR leaves no colour and no bold; an empty one does not count (no-color.org)."""
    plain = on_terminal(*command, at=place, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*m", plain.text)
    assert re.search(r"\x1b\[[0-9;]*m", on_terminal(*command, at=place, NO_COLOR="").text)


def test_a_dumb_terminal_gets_no_codes(place):
    """TERM=dumb shows every escape code as letters."""
    child = subprocess.run(
        [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)", WAYCAIRN, "runs"],
        cwd=place,
        env=environment(TERM="dumb"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert b"broken" in child.stdout
    assert b"\x1b" not in child.stdout


def test_a_name_is_only_a_name(place):
    """No name moves the cursor, makes two lines or becomes markup, piped or on a terminal; JSON has it as it is."""
    escaped = "naïve \\x1b[31mred\\x1b[0m\\nnew line [bold]x[/bold] 見出し :smile:"
    piped = waycairn("runs", at=place)
    assert len(piped.stdout.splitlines()) == 3
    assert escaped in piped.stdout
    run = next(run for run in document("runs", at=place)["runs"] if run["key"] == "\x07")
    assert run["name"] == ODD
    for shown in (waycairn("show", run["id"], at=place).stdout, on_terminal("show", run["id"], at=place).plain):
        assert "[red]t[/red]" in shown
        assert "half [bold]way\\x1b[2J" in shown
        assert "\x1b" not in shown
    assert document("show", run["id"], at=place)["run"]["metadata"] == {"rate": "NaN"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_can_show_any_name(place, encoding):
    """What the output cannot hold is shown escaped; a document stays JSON."""
    for options in ([], ["--json"]):
        ran = script("runs", *options, at=place, encoding=encoding)
        assert (ran.returncode, ran.stderr) == (0, "")
        if options:
            assert ODD in {run["name"] for run in json.loads(ran.stdout)["runs"]}
        else:
            assert ("見出し" if encoding == "utf-8" else "\\u898b\\u51fa\\u3057") in ran.stdout


@pytest.mark.parametrize(
    "command",
    [["runs"], ["export"], ["results", "broken"], ["show", "broken", "--watch"], ["show", "broken", "--json"]],
    ids=" ".join,
)
def test_a_closed_pipe_ends_it_quietly(place, command):
    """`| head` may leave at any time: no traceback, no message."""
    if command == ["export"]:
        command = ["export", document("checkpoints", "broken", at=place)["checkpoints"][0]["id"]]
    reader, writer = os.pipe()
    os.close(reader)
    ran = script(*command, at=place, stdout=writer)
    os.close(writer)
    assert ran.stderr == ""
    assert ran.returncode in {1, -signal.SIGPIPE}


def test_where_there_is_no_store(tmp_path):
    """One line, exit code 1, and none was created."""
    for command in (["runs"], ["doctor"], ["stats", "--json"], ["resume", "nightly"]):
        ran = waycairn(*command, at=tmp_path)
        assert ran.returncode == 1
        assert ran.stdout == ""
        assert re.fullmatch(r"waycairn: there is no store at .*\n", ran.stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_store_can_be_named_anywhere(place, tmp_path):
    """Before the command, behind it, by the environment, or by lying above the working directory."""
    inside = place / "deep" / "er"
    inside.mkdir(parents=True)
    named = place / ".waycairn"
    listed = {
        waycairn("--store", named, "runs", "--json", at=tmp_path).stdout,
        waycairn("runs", "--json", "--store", named, at=tmp_path).stdout,
        waycairn("runs", "--json", at=tmp_path, WAYCAIRN_STORE=str(named)).stdout,
        waycairn("runs", "--json", at=inside).stdout,
    }
    assert len(listed) == 1
    assert "broken" in listed.pop()


@pytest.mark.parametrize(
    "command",
    [["frobnicate"], ["runs", "--frob"], ["show"], ["runs", "--limit", "0"], ["runs", "--store", "gopher://x"]],
    ids=" ".join,
)
def test_wrong_use_is_told_from_failure(place, command):
    """Exit code 2, words on stderr, nothing on stdout."""
    ran = waycairn(*command, at=place)
    assert ran.returncode == 2
    assert ran.stderr.strip()
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr


def test_a_password_is_never_shown(tmp_path):
    """An address in a message has it masked."""
    address = "postgresql://ann:s3cret@localhost:1/none?connect_timeout=1"
    runs = waycairn("runs", "--store", address, at=tmp_path)
    assert runs.returncode == 1
    assert runs.stderr.startswith("waycairn: ")
    doctor = waycairn("doctor", "--store", address, at=tmp_path)
    assert doctor.returncode == 3
    assert "postgresql://ann:***@localhost:1/none" in doctor.stdout
    nonsense = waycairn("doctor", "--store", "mysql://ann:s3cret@localhost/none", at=tmp_path)
    assert nonsense.returncode == 2
    for ran in (runs, doctor, nonsense):
        assert "s3cret" not in ran.stdout + ran.stderr


def test_the_version_is_told_fast():
    """By the command and by `python -m waycairn`, without loading the command line."""
    for command in ([WAYCAIRN], [sys.executable, "-m", "waycairn"]):
        ran = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True, timeout=60)
        assert ran.stdout == f"waycairn {wc.__version__}\n"
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", WAYCAIRN, "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stderr
    assert "waycairn.cli" in loaded
    assert not re.search(r"\| +(typer|rich|sqlalchemy|msgspec)\b", loaded)


def test_a_shell_can_complete_names(place):
    """Commands, statuses, and the names of the runs in the store at hand."""
    for words, offered in (
        ("waycairn che", "checkpoints"),
        ("waycairn show bro", "broken"),
        ("waycairn runs --status orph", "orphaned"),
    ):
        ran = waycairn(
            at=place, _WAYCAIRN_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1)
        )
        assert offered in ran.stdout.split(), ran.stderr
