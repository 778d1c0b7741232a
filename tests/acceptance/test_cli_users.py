"""`waycairn user`, `waycairn token` and what `waycairn serve` refuses, as processes."""

import socket
import subprocess
import sys

import pytest

from commands import WAYCAIRN, document, environment, waycairn
from waycairn.crypto.passwords import digest_of, matches
from waycairn.work.store import open_store


@pytest.fixture
def place(tmp_path):
    """A directory with a store in it."""
    open_store(tmp_path / ".waycairn").close()
    return tmp_path


def typed(words, *arguments, at):
    """The command with something on its standard input."""
    argv = [WAYCAIRN, *arguments]
    return subprocess.run(argv, cwd=at, env=environment(), input=words, capture_output=True, text=True, check=False)


def test_accounts_from_the_command_line(place):
    """Made, listed, changed and removed; a password comes by standard input and is kept as Argon2 makes it."""
    made = typed("ada likes walks\n", "user", "add", "ada", "--role", "admin", "--password-stdin", at=place)
    assert (made.returncode, made.stdout) == (0, "ada may use the server now, as admin\n"), made.stderr
    assert document("user", "add", "bot", "--no-password", at=place)["has_password"] is False
    listed = document("user", "list", at=place)["accounts"]
    assert [(one["name"], one["role"], one["has_password"]) for one in listed] == [
        ("ada", "admin", True),
        ("bot", "viewer", False),
    ]
    assert "ada   admin" in waycairn("user", "list", at=place).stdout
    assert document("user", "role", "bot", "operator", at=place)["role"] == "operator"
    assert document("user", "disable", "bot", at=place)["disabled"] is not None
    assert document("user", "enable", "bot", at=place)["disabled"] is None
    assert typed("another one, longer\n", "user", "password", "bot", "--password-stdin", at=place).returncode == 0
    with open_store(place / ".waycairn") as store:
        stored = store.accounts.get("bot").password
        assert stored.startswith("$argon2id$")
        assert matches("another one, longer", stored)
        assert not matches("another one, longer\n", stored)
        written = str([row.entry.facts for row in store.core.catalog.audit_after(0)])
    assert "walks" not in written
    assert "longer" not in written
    assert waycairn("user", "remove", "bot", at=place).returncode == 2  # nobody can be asked
    assert document("user", "remove", "bot", "--yes", at=place) == {"removed": "bot"}


def test_what_is_refused_changes_nothing(place):
    """One line that says why, and the exit code."""
    waycairn("user", "add", "ada", "--role", "admin", "--no-password", at=place)
    for code, said, *arguments in (
        (1, "last admin", "user", "disable", "ada"),
        (1, "last admin", "user", "role", "ada", "viewer"),
        (1, "last admin", "user", "remove", "ada", "--yes"),
        (1, "already", "user", "add", "ada", "--no-password"),
        (1, "no account 'eve'", "user", "disable", "eve"),
        (1, "no account 'eve'", "token", "create", "eve", "--name", "x"),
        (1, "no token 'abc'", "token", "revoke", "abc"),
        (2, "is not called", "user", "add", "a b", "--no-password"),
        (2, "--password-stdin", "user", "add", "eve"),
        (2, "--expires-in", "token", "create", "ada", "--name", "x", "--expires-in", "soon"),
    ):
        ran = waycairn(*arguments, at=place)
        assert (ran.returncode, ran.stdout) == (code, ""), (arguments, ran.stderr)
        assert said in ran.stderr
        assert ran.stderr.count("\n") == 1
    assert typed("short\n", "user", "add", "eve", "--password-stdin", at=place).returncode == 2
    assert len(document("user", "list", at=place)["accounts"]) == 1


def test_tokens_from_the_command_line(place):
    """The secret is printed once and alone, for a script; its hash is kept."""
    waycairn("user", "add", "bot", "--role", "operator", "--no-password", at=place)
    made = waycairn("token", "create", "bot", "--name", "ci", "--scope", "viewer", "--expires-in", "30d", at=place)
    secret = made.stdout.strip()
    assert secret.startswith("wct_")
    assert made.stderr == ""
    (listed,) = document("token", "list", at=place)["tokens"]
    assert (listed["account"], listed["name"], listed["scopes"], listed["used"]) == ("bot", "ci", ["viewer"], None)
    assert listed["expires"].startswith("20")
    with open_store(place / ".waycairn") as store:
        assert store.core.catalog.find_token(digest_of(secret)).id == listed["id"]
    assert document("token", "list", "--account", "bot", at=place)["tokens"] == [listed]
    other = document("token", "create", "bot", "--name", "other", at=place)
    assert (other["token"]["scopes"], other["token"]["expires"]) == (["operator"], None)
    assert document("token", "revoke", listed["id"], at=place) == {"revoked": listed["id"]}
    assert [one["name"] for one in document("token", "list", at=place)["tokens"]] == ["other"]


def test_a_server_does_not_start_where_it_should_not(place, tmp_path):
    """Reached by others without a word, on a port that is taken, over a store that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for code, said, *arguments in (
            (2, "--insecure", "--host", "0.0.0.0"),
            (2, "--secure", "--host", "jobs.example.org"),
            (1, "cannot listen", "--port", port),
            (1, "no store", "--store", tmp_path / "none", "--port", "0"),
        ):
            ran = waycairn("serve", *arguments, at=place)
            assert (ran.returncode, ran.stdout) == (code, ""), (arguments, ran.stderr)
            assert said in ran.stderr
    assert not (tmp_path / "none").exists()


def test_without_its_libraries_it_says_what_to_install(place):
    """Everything else works without them."""
    code = "import sys; sys.modules['fastapi'] = None; sys.argv[0] = 'waycairn'; from waycairn.cli import main; main()"
    for arguments, said, exit_code in (
        (["serve", "--port", "0"], "pip install 'waycairn[server]'", 2),
        (["user", "list"], "", 0),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=place,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == exit_code, ran.stderr
        assert said in ran.stderr
