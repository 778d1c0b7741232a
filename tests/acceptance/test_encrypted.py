"""An encrypted store shows nothing: every byte that a job leaves on the disk is looked at for planted secrets, beside a plain
store, where they are found; and without its key it opens for nobody."""

import base64
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

import waycairn as wc
from commands import document, waycairn
from waycairn.errors import Damaged, KeyMissing, KeyWrong, NotEncrypted, StoreNotFound

WHAT = (
    *("key", "state", "large", "result", "value", "error", "tag", "metadata", "description", "argv"),
    *(
        "metric",
        "parameters",
        "rule",
        "pattern",
        "found",
        "runkey",
        "fingerprint",
        "note",
        "output",
        "failed",
        "letter",
    ),
)
"""Each of these is planted, with the same beginning."""
JOB = """
import logging, os, sys
import waycairn as wc

mark = sys.argv[1]
logging.basicConfig(level=logging.DEBUG, filename="job.log")
_ = lambda what: f"{mark}-{what}"


def bad(item):
    raise ValueError(_("error"))


facts = {"key": _("runkey"), "fingerprint": {"f": _("fingerprint")}, "tags": [_("tag")], "metadata": {"m": _("metadata")}}
with wc.open(sys.argv[2], packs=sys.argv[3]) as store:
    with store.run("job", **facts, progress="off") as run:
        state = run.state({"n": 0, "words": _("state"), "large": b""})
        run.step("fetch", lambda a: {"r": _("result")}, _("argument"))
        for item in run.items([_("key"), _("failed")]):
            with item:
                if item.value == _("failed"):
                    bad(item)
                item.result = _("value")
        state["large"] = os.urandom(200_000) + _("large").encode() + os.urandom(200_000)
        run.log(0, **{_("metric"): 0.5})
        run.session.iteration(metrics={_("metric"): 1.0}, description=_("description"))
        run.session.rule("a rule", score=2.0, baseline=1.0, parameters={"p": _("parameters")}, description=_("rule"))
        run.session.pattern(_("pattern"), effectiveness=0.5, data={"d": _("found")})
        run.checkpoint("milestone", description=_("description"), tags=[_("tag")], metadata={"m": _("metadata")})
        run.progress(note=_("note"))
        out = run.output(f"outside/{_('output')}.txt", append=True)
        out.write("rows")
    with store.run("tail", progress="off") as run:
        counts = run.state({"n": 0, "words": _("state")})
        for batch in run.follow("outside/*.jsonl", sink=lambda events, key: None, once=True):
            with batch:
                counts["n"] += len(batch.events)
    for page in range(3):
        store.save("pages", {"page": page, "large": os.urandom(150_000) + _("large").encode()})
"""


def forms(mark):
    """How it may lie somewhere: as it is, as wide characters, in base 64 at any place, in hexadecimal."""
    text = mark.encode()
    yield from (text, mark.encode("utf-16-le"), mark.encode("utf-16-be"), text.hex().encode())
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + text)
        yield encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]


def found(place, mark):
    """The files below a place that hold it, or are called so."""
    wanted = re.compile(b"|".join(map(re.escape, forms(mark))))
    files = [path for path in Path(place).rglob("*") if path.is_file()]
    assert files
    return [path for path in files if wanted.search(content(path)) or wanted.search(os.fsencode(path.name))]


def content(path):
    """A server that is at work removes some of its files; those tell nothing any more."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def run_job(at, mark, store, packs, **environment):
    (at / "job.py").write_text(JOB)
    (at / "tmp").mkdir(exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WAYCAIRN")}
    command = [sys.executable, "-W", "ignore", "job.py", mark, store, packs, f"{mark}-argv"]
    return subprocess.run(
        command,
        cwd=at,
        env={**clean, "TMPDIR": str(at / "tmp"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def key(tmp_path):
    """A key file outside of everything that is looked at."""
    folder = tmp_path / "safe"
    folder.mkdir()
    assert waycairn("key", "file", "key", at=folder).returncode == 0
    return str(folder / "key")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """The address of a store, the folder of its packs, and all folders in which it leaves something."""
    at = tmp_path / "at"
    (at / "outside").mkdir(parents=True)
    if request.param == "sqlite":
        yield str(at / "store"), str(at / "store" / "packs"), lambda: [at / "store"]
        return
    server = request.getfixturevalue("postgres_server")
    with server.schema() as address:

        def everything():
            with server.connect() as admin:
                admin.execute("CHECKPOINT")
            return [at / "store", server.data]

        yield address, str(at / "store" / "packs"), everything


def leave(at, mark, address, packs, *, is_killed=True, **environment):
    """What a job leaves that has failures; before it one that is killed while it writes a pack."""
    (at / "outside" / "lines.jsonl").write_text(f'{{"a": 1}}\n{mark}-letter is no JSON\n')
    if is_killed:
        killed = run_job(at, mark, address, packs, **environment, WAYCAIRN_CRASH="pack.rename@2:KILL")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = run_job(at, mark, address, packs, **environment)
    assert done.returncode == 0, done.stderr
    (at / "store" / "said.log").write_text(done.stdout + done.stderr)
    (at / "job.log").rename(at / "store" / "job.log")
    (at / "tmp").rename(at / "store" / "tmp")


def test_no_byte_of_an_encrypted_store_tells_anything(place, key, tmp_path):
    """Neither the database, its log, packs whole or torn, ledgers, owner files, logs, nor temporary files."""
    address, packs, folders = place
    mark = f"Q{secrets.token_hex(12)}"
    leave(tmp_path / "at", mark, address, packs, WAYCAIRN_KEY_FILE=key)
    assert [path for folder in folders() for path in found(folder, mark)] == []
    with wc.open(address, packs=packs, key_file=key) as store:
        (run,) = store.runs(name="job")
        assert run.key == f"{mark}-runkey"
        assert {item.error["message"] for item in store.core.catalog.failures(run.id)} == {f"{mark}-error"}
        assert store.load(store.checkpoints(run.id, kind="milestone")[0].id)["words"] == f"{mark}-state"


def test_the_same_in_a_plain_store_is_found(place, tmp_path):
    """Each of the secrets, by the same look: so it can find them."""
    address, packs, folders = place
    mark = f"Q{secrets.token_hex(12)}"
    leave(tmp_path / "at", mark, address, packs, is_killed=False)
    all_of_it = b"".join(content(path) for folder in folders() for path in found(folder, mark))
    missed = [what for what in WHAT if not any(form in all_of_it for form in forms(f"{mark}-{what}"))]
    assert missed == []


# -- keys ----------------------------------------------------------------------------------------------------------------


def made(at, key, name="store"):
    with wc.open(at / name, key_file=key) as store:
        store.save("page", {"page": 1, "large": bytes(200_000)})
    return str(at / name)


def test_without_its_key_it_opens_for_nobody(tmp_path, key):
    """The error says that nothing was read, what would open it, and that else it is lost; the command exits with 1."""
    store = made(tmp_path, key)
    assert waycairn("key", "file", "other", at=tmp_path).returncode == 0
    with pytest.raises(KeyMissing, match=r"is encrypted, and no key was given\. Nothing was read.*the data is lost"):
        wc.open(store)
    with pytest.raises(KeyWrong, match=r"other does not open .*Nothing was read"):
        wc.open(store, key_file=tmp_path / "other")
    with pytest.raises(KeyWrong):
        wc.open(store, passphrase="guess")
    refused = waycairn("runs", "--store", store, at=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "WAYCAIRN_KEY_FILE" in refused.stderr
    assert document("runs", "--store", store, "--key-file", key, at=tmp_path)["runs"][0]["name"] == "page"


def test_a_key_makes_no_plain_store(tmp_path, key, monkeypatch):
    """Whoever gives a key gets an encrypted store or an error, and one in the environment is not forgotten silently."""
    with wc.open(tmp_path / "plain") as plain:
        plain.save("page", 1)
    with pytest.raises(NotEncrypted, match="waycairn copy --encrypt"):
        wc.open(tmp_path / "plain", key_file=key)
    with pytest.raises(KeyMissing, match="Nothing was created"):
        wc.open(tmp_path / "new", encrypt=True)
    with pytest.raises(StoreNotFound):
        wc.open(tmp_path / "new", create=False)
    monkeypatch.setenv("WAYCAIRN_KEY_FILE", key)
    with wc.open(tmp_path / "new") as new:
        assert new.core.is_encrypted
    assert document("key", "list", "--store", str(tmp_path / "new"), at=tmp_path)["encrypted"]


def test_wrapped_keys_that_were_changed_are_refused(tmp_path, key):
    """Those of another store, one in the place of another, and a secret that was put back in the clear."""
    store, other = made(tmp_path, key), made(tmp_path, key, "other")
    with closing(sqlite3.connect(f"{other}/catalog.db")) as theirs:
        rows = theirs.execute("SELECT kind, wrapped FROM keys ORDER BY kind").fetchall()
    with closing(sqlite3.connect(f"{store}/catalog.db")) as ours, ours:
        before = ours.execute("SELECT id, wrapped FROM keys").fetchall()
        for kind, wrapped in rows:
            ours.execute("UPDATE keys SET wrapped = ? WHERE kind = ?", (wrapped, kind))
    with pytest.raises((KeyWrong, Damaged)):
        wc.open(store, key_file=key)
    with closing(sqlite3.connect(f"{store}/catalog.db")) as ours, ours:
        for id_, wrapped in before:
            ours.execute("UPDATE keys SET wrapped = ? WHERE id = ?", (wrapped, id_))
        sealed = ours.execute("SELECT secret FROM meta").fetchone()
        ours.execute("DELETE FROM keys WHERE kind = 'data'")
    with pytest.raises((KeyWrong, Damaged)):
        wc.open(store, key_file=key)
    with closing(sqlite3.connect(f"{store}/catalog.db")) as ours, ours:
        ours.execute("DELETE FROM keys")
        assert len(sealed[0]) > 32
    with pytest.raises(KeyMissing):
        wc.open(store)
    with pytest.raises((KeyWrong, Damaged)):
        wc.open(store, key_file=key)
