"""`waycairn backup`: what is deleted is backed up first, in three steps; a kill leaves it in one place or in both."""

import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import waycairn as wc
from commands import WAYCAIRN, document, environment, on_terminal, run_job, script, waycairn
from waycairn.model.backups import BackupState

QUESTIONS = ("Make the backup? Nothing is deleted yet.", "Delete exactly these")
SCHEMA = """
CREATE TABLE talks (id INTEGER PRIMARY KEY, title TEXT, updated TEXT);
CREATE TABLE turns (id INTEGER PRIMARY KEY, talk INTEGER REFERENCES talks(id), words TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, turn INTEGER REFERENCES turns(id), name TEXT);
"""


def tree(folder):
    """Names and bytes below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def old(tmp_path):
    """A folder that is to be deleted."""
    folder = tmp_path / "old"
    (folder / "deep").mkdir(parents=True)
    for number in range(30):
        (folder / f"note {number}.txt").write_text(f"note {number}\nof many\n")
    (folder / "deep" / "large.bin").write_bytes(os.urandom(3 << 20))
    return folder


@pytest.fixture
def talks(tmp_path):
    """A database with 20 conversations, 3 turns each, a file each."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.executescript(SCHEMA)
        for talk in range(1, 21):
            database.execute("INSERT INTO talks VALUES (?, ?, ?)", (talk, f"talk {talk}", f"20{talk + 4:02}-01-01"))
            for turn in range(talk * 10, talk * 10 + 3):
                database.execute("INSERT INTO turns VALUES (?, ?, ?)", (turn, talk, f"words {turn}"))
                database.execute("INSERT INTO files VALUES (?, ?, ?)", (turn * 10, turn, f"file {turn}"))
        database.commit()
    return tmp_path / "app.db"


ROWS = (
    *("--rows", "sqlite:///app.db", "--table", "talks", "--where", "updated < :before AND id >= :first"),
    *("--param", "before=2015", "--param", "first:=3", "--child", "turns=talk", "--child", "turns/files=turn"),
)


def rows_of(database):
    with closing(sqlite3.connect(database)) as opened:
        return {table: opened.execute(f"SELECT * FROM {table}").fetchall() for table in ("talks", "turns", "files")}


def create(at, *arguments, code=0):
    return document("backup", "create", *arguments, at=at, code=code)


def show(at, backup):
    return document("backup", "show", backup, at=at)


def only(at):
    """The one backup there is."""
    (found,) = document("backup", "list", at=at)["backups"]
    return found


# -- the three steps -------------------------------------------------------------------------------------------


def test_a_delete_in_three_steps(tmp_path, old):
    """Both questions are told though --yes answers them; then it is gone, and comes back as it was."""
    before = tree(old)
    ran = waycairn("backup", "create", "old", "--keep", "30d", "--delete", "--yes", at=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert not old.exists()
    assert ran.stdout.index("Delete 31 of") < ran.stdout.index("is durable, was read back, and is intact")
    listed = only(tmp_path)
    assert (listed["state"], listed["kind"], listed["records"], listed["source"]["paths"]) == (
        "deleted",
        "paths",
        31,
        [str(old)],
    )
    assert listed["sha256"] in ran.stdout
    assert f"waycairn backup restore {listed['id']}" in ran.stdout
    restored = document("backup", "restore", listed["id"], at=tmp_path)
    assert (restored["records"], restored["skipped"], restored["to"]) == (31, 0, str(old))
    assert tree(old) == before


def test_progress_is_told_by_stages(tmp_path, old):
    """Without a terminal a line when a stage ends; nothing with --json or --quiet."""
    ran = waycairn("backup", "create", "old", "--delete", "--yes", at=tmp_path)
    stages = [line.split(":")[0] for line in ran.stderr.splitlines()]
    assert stages == ["exporting", "reading back", "deleting"]
    assert "31 of 31" in ran.stderr
    ran = waycairn("backup", "restore", only(tmp_path)["id"], "--json", at=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = waycairn("backup", "create", "old", "--delete", "--yes", "--quiet", at=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_person_answers_both(tmp_path, old):
    """On a terminal: bars, and two questions with what they are about."""
    said = on_terminal("backup", "create", "old", "--delete", at=tmp_path, keys="y\ny\n")
    assert said.code == 0, said.text
    assert all(question in said.plain for question in QUESTIONS)
    assert "exporting" in said.plain
    assert "━" in said.plain
    assert not old.exists()


def test_no_color_draws_no_bar(tmp_path, old):
    """No escape code at all, and lines instead."""
    said = on_terminal("backup", "create", "old", at=tmp_path, NO_COLOR="1")
    assert said.code == 0
    assert "\x1b" not in said.text
    assert "reading back: " in said.text


def test_who_says_no_first_makes_nothing(tmp_path, old):
    """Neither backup nor delete."""
    said = on_terminal("backup", "create", "old", "--delete", at=tmp_path, keys="n\n")
    assert said.code == 1
    assert document("backup", "list", at=tmp_path)["backups"] == []
    assert old.exists()


def test_who_says_no_last_keeps_the_backup(tmp_path, old):
    """It is told how to go on with it, and that works."""
    said = on_terminal("backup", "create", "old", "--delete", at=tmp_path, keys="y\nn\n")
    assert said.code == 1
    made = only(tmp_path)
    assert made["state"] == "verified"
    assert f"waycairn backup delete-source {made['id']}" in said.plain
    assert old.exists()
    deleted = document("backup", "delete-source", made["id"], "--yes", at=tmp_path)
    assert deleted["backup"]["state"] == "deleted"
    assert not old.exists()
    again = waycairn("backup", "delete-source", made["id"], at=tmp_path)
    assert (again.returncode, "already" in again.stdout) == (0, True)


def test_nobody_to_ask(tmp_path, old):
    """Consent that nobody can give is exit code 2, and nothing is made."""
    ran = waycairn("backup", "create", "old", "--delete", at=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Add --yes" in ran.stderr
    assert document("backup", "list", at=tmp_path)["backups"] == []
    assert old.exists()


def test_without_delete_nothing_is_asked(tmp_path, old):
    """And nothing goes."""
    made = create(tmp_path, "old", "--keep", "forever")["backup"]
    assert (made["state"], made["expires"], made["interrupted"]) == ("verified", None, False)
    assert old.exists()


def test_a_source_that_changed_is_not_deleted(tmp_path, old):
    """One line says so, and the backup stays."""
    made = create(tmp_path, "old")["backup"]
    (old / "new.txt").write_text("came later")
    before = tree(old)
    ran = waycairn("backup", "delete-source", made["id"], "--yes", at=tmp_path)
    assert ran.returncode == 1
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("waycairn:")]
    assert "new.txt" in line
    assert tree(old) == before
    assert show(tmp_path, made["id"])["backup"]["state"] == "verified"


def test_a_backup_that_is_declined(tmp_path, old):
    """Only with a reason, which the audit log keeps, and with a yes of its own."""
    declined = ("backup", "create", "old", "--delete", "--no-backup", "--because", "made again in a minute")
    assert waycairn(*declined, at=tmp_path).returncode == 2
    assert old.exists()
    said = document(*declined, "--yes", at=tmp_path)
    assert (said["backup"], said["records"], said["declined"]) == (None, 31, "made again in a minute")
    assert not old.exists()
    assert document("backup", "list", at=tmp_path)["backups"] == []
    (row,) = [one for one in document("audit", "list", at=tmp_path)["rows"] if one["act"] == "backup.decline"]
    assert "made again in a minute" in json.dumps(row)


def test_the_folder_with_the_store_is_refused(tmp_path, old):
    """The backup would be deleted with what it keeps."""
    ran = waycairn("backup", "create", ".", "--delete", "--yes", at=tmp_path)
    assert ran.returncode == 1
    assert "in one another" in ran.stderr
    assert old.exists()


WRONG = {
    "nothing": ([], "name what"),
    "table without rows": (["old", "--table", "t"], "--rows"),
    "rows and paths": (["old", "--rows", "sqlite:///app.db", "--table", "talks"], "two backups"),
    "no table": (["--rows", "sqlite:///app.db"], "--table"),
    "no such table": (["--rows", "sqlite:///app.db", "--table", "nowhere"], "nowhere"),
    "param without where": (["--rows", "sqlite:///app.db", "--table", "talks", "--param", "a=1"], "--where"),
    "bad param": ([*ROWS, "--param", "a:=x"], "JSON"),
    "no param": (["--rows", "sqlite:///app.db", "--table", "talks", "--where", "id < :n"], "n"),
    "bad child": ([*ROWS, "--child", "turns"], "table=column"),
    "child of nobody": ([*ROWS, "--child", "nobody/files=turn"], "nobody"),
    "child twice": ([*ROWS, "--child", "turns=id"], "twice"),
    "bad address": (["--rows", "//secret:word@host", "--table", "talks"], "URL"),
    "no length": (["old", "--keep", "soon"], "soon"),
    "no reason": (["old", "--delete", "--no-backup"], "--because"),
    "reason alone": (["old", "--because", "x"], "--no-backup"),
    "empty reason": (["old", "--delete", "--no-backup", "--because", " "], "why"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_use(tmp_path, old, talks, wrong):
    """Exit code 2, one line that says what is wrong, no password, and nothing is made."""
    arguments, said = WRONG[wrong]
    ran = waycairn("backup", "create", *arguments, at=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    assert said in ran.stderr
    assert "word" not in ran.stderr
    with wc.open(tmp_path / ".waycairn") as store:
        assert store.backups() == []


# -- rows and runs ---------------------------------------------------------------------------------------------


def test_rows_with_what_hangs_on_them(tmp_path, talks):
    """Exactly those of the condition go, with their turns and files; a part comes back, then all."""
    before = rows_of(talks)
    made = create(tmp_path, *ROWS, "--delete", "--yes")["backup"]
    left = rows_of(talks)
    assert [row[0] for row in left["talks"]] == [1, 2, *range(11, 21)]
    assert made["records"] == 8 * 7
    hits = document("backup", "search", "words 52", at=tmp_path)["hits"]
    assert [(hit["member"], hit["line"]) for hit in hits] == [("turns.jsonl", 9)]
    record = document("backup", "extract", made["id"], "--member", "turns.jsonl", "--key", "52", at=tmp_path)
    assert record["words"] == "words 52"
    document("backup", "restore", made["id"], "--only", "talks:5", at=tmp_path)
    assert {row[0] for row in rows_of(talks)["turns"]} - {row[0] for row in left["turns"]} == {50, 51, 52}
    document("backup", "restore", made["id"], at=tmp_path)
    assert rows_of(talks) == before


def test_rows_that_changed_stop_the_restore(tmp_path, talks):
    """Unless told, and asked: what is there is gone then."""
    made = create(tmp_path, *ROWS)["backup"]
    with closing(sqlite3.connect(talks)) as database:
        database.execute("UPDATE talks SET title = 'mine' WHERE id = 4")
        database.commit()
    ran = waycairn("backup", "restore", made["id"], at=tmp_path)
    assert ran.returncode == 1
    assert waycairn("backup", "restore", made["id"], "--overwrite", at=tmp_path).returncode == 2
    assert rows_of(talks)["talks"][3][1] == "mine"
    assert document("backup", "restore", made["id"], "--overwrite", "--yes", at=tmp_path)["overwritten"] == 1
    assert rows_of(talks)["talks"][3][1] == "talk 4"


def test_rows_into_another_database(tmp_path, talks):
    """With --to; the first one is left alone."""
    made = create(tmp_path, *ROWS)["backup"]
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.executescript(SCHEMA)
    document("backup", "restore", made["id"], "--to", "sqlite:///other.db", at=tmp_path)
    assert [row[0] for row in rows_of(tmp_path / "other.db")["talks"]] == list(range(3, 11))


def test_children_by_foreign_keys(tmp_path, talks):
    """--child auto."""
    made = create(tmp_path, *ROWS[:10], "--child", "auto")["backup"]
    members = {member["name"]: member["records"] for member in show(tmp_path, made["id"])["members"]}
    assert members == {"talks.jsonl": 8, "turns.jsonl": 24, "files.jsonl": 24}


def test_runs(tmp_path):
    """By name; they come back into this store, or another one."""
    assert run_job(tmp_path, "end", "report") == 0
    before = document("show", "report", at=tmp_path)["run"]
    made = create(tmp_path, "--runs", "report", "--delete", "--yes")["backup"]
    assert waycairn("show", "report", at=tmp_path).returncode == 1
    document("backup", "restore", made["id"], "--to", "elsewhere", at=tmp_path)
    assert document("show", "report", "--store", "elsewhere", at=tmp_path)["run"]["progress"] == before["progress"]
    document("backup", "restore", made["id"], at=tmp_path)
    assert document("show", "report", at=tmp_path)["run"]["progress"] == before["progress"]
    assert waycairn("backup", "create", "--runs", "nobody", at=tmp_path).returncode == 1


# -- kills -----------------------------------------------------------------------------------------------------


def killed(at, point, *arguments):
    ran = script("backup", "create", *arguments, "--delete", "--yes", at=at, WAYCAIRN_CRASH=f"{point}:KILL")
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def follow(at, command):
    """What `show` says to do."""
    ran = subprocess.run(
        [WAYCAIRN, *command.split()[1:], *(["--yes"] if "delete" in command else [])],
        cwd=at,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "point", ["backup.row@1", "backup.run@1", "backup.part@1", "backup.read_back@1", "backup.verify@1"]
)
def test_killed_before_it_was_verified(tmp_path, old, point):
    """It guards nothing, which is told; nothing was deleted; what is left of it goes as told, and the next one works."""
    before = tree(old)
    killed(tmp_path, point, "old")
    assert tree(old) == before
    left = only(tmp_path)
    assert left["interrupted"]
    assert document("backup", "list", "--state", "interrupted", at=tmp_path)["backups"] == [left]
    assert document("orphans", at=tmp_path)["orphans"] == []
    said = show(tmp_path, left["id"])
    assert "nothing was deleted" in said["means"]
    assert waycairn("backup", "delete-source", left["id"], "--yes", at=tmp_path).returncode == 1
    assert waycairn("backup", "restore", left["id"], at=tmp_path).returncode == 1
    follow(tmp_path, said["do"][0]["command"])
    assert only(tmp_path)["state"] == "expired"
    create(tmp_path, "old", "--delete", "--yes")
    assert not old.exists()


DELETING = ["backup.deleting@1", "backup.source.deleted@1"]


@pytest.mark.parametrize("step", [0, 1], ids=["finish", "restore"])
@pytest.mark.parametrize("point", [*DELETING, "backup.paths.aside@1", "backup.paths.unlinked@7"])
def test_killed_while_paths_are_deleted(tmp_path, old, point, step):
    """All of it is in the backup; both commands that `show` names bring it to an end."""
    before = tree(old)
    killed(tmp_path, point, "old")
    left = only(tmp_path)
    assert left["state"] == "deleting"
    do = show(tmp_path, left["id"])["do"]
    assert waycairn("backup", "delete", left["id"], "--last-copy", "--yes", at=tmp_path).returncode == 1
    follow(tmp_path, do[step]["command"])
    if step == 0:
        assert only(tmp_path)["state"] == "deleted"
        assert {path.name for path in tmp_path.iterdir()} == {".waycairn"}
        follow(tmp_path, f"waycairn backup restore {left['id']}")
    else:
        assert only(tmp_path)["state"] == "verified"
    assert tree(old) == before
    assert {path.name for path in tmp_path.iterdir()} == {".waycairn", "old"}


@pytest.mark.parametrize("step", [0, 1], ids=["finish", "restore"])
@pytest.mark.parametrize("point", DELETING)
def test_killed_while_rows_are_deleted(tmp_path, talks, point, step):
    """The same of rows, by another process that knows of them only what the catalogue says."""
    before = rows_of(talks)
    killed(tmp_path, point, *ROWS)
    left = only(tmp_path)
    follow(tmp_path, show(tmp_path, left["id"])["do"][step]["command"])
    if step == 0:
        assert [row[0] for row in rows_of(talks)["talks"]] == [1, 2, *range(11, 21)]
        follow(tmp_path, f"waycairn backup restore {left['id']}")
    assert rows_of(talks) == before


def test_a_delete_that_was_cut_off_is_told_by_health(tmp_path, old):
    """After an hour; nobody needs to look for it."""
    killed(tmp_path, "backup.deleting@1", "old")
    left = only(tmp_path)
    with wc.open(tmp_path / ".waycairn") as store:
        now = store.core.clock.now()
        store.core.catalog.change_backup(left["id"], [BackupState.DELETING], now - 4000, state=BackupState.DELETING)
    (issue,) = [one for one in document("health", at=tmp_path, code=5)["issues"] if one["check"] == "backups"]
    assert (issue["severity"], issue["facts"]) == ("warning", {"backups": [left["id"]]})
    assert "waycairn backup delete-source" in issue["do"]


# -- what is there ---------------------------------------------------------------------------------------------


def test_list_chooses(tmp_path, old, talks):
    """By owner, kind and state."""
    first = create(tmp_path, "old", "--delete", "--yes")["backup"]
    second = create(tmp_path, *ROWS)["backup"]

    def listed(*options):
        return [one["id"] for one in document("backup", "list", *options, at=tmp_path)["backups"]]

    assert listed() == listed("--owner", "me") == listed("--owner", first["owner"]) == [second["id"], first["id"]]
    assert listed("--owner", "somebody") == []
    assert listed("--kind", "rows") == listed("--state", "verified") == listed("--limit", "1") == [second["id"]]
    assert listed("--text", "/OLD") == listed("--text", first["id"], "--state", "deleted") == [first["id"]]
    assert waycairn("backup", "list", "--state", "lost", at=tmp_path).returncode == 2
    said = waycairn("backup", "list", at=tmp_path).stdout
    assert said.splitlines()[0].split() == [
        "id",
        "state",
        "kind",
        "source",
        "records",
        "size",
        "made",
        "expires",
        "owner",
    ]


def test_show_pages_through_members(tmp_path, old):
    """Twenty at first; --skip and --limit go on, --member chooses."""
    made = create(tmp_path, "old")["backup"]
    pages = [document("backup", "show", made["id"], "--skip", skip, at=tmp_path)["members"] for skip in (0, 20)]
    names = [member["name"] for page in pages for member in page]
    assert len(set(names)) == len(names) == show(tmp_path, made["id"])["members_count"]
    assert {f"old/note {number}.txt" for number in range(30)} < set(names)
    chosen = document("backup", "show", made["id"], "--member", "*/note 2?.txt", "--limit", "3", at=tmp_path)
    assert (len(chosen["members"]), chosen["members_count"]) == (3, 10)
    said = waycairn("backup", "show", made["id"], at=tmp_path).stdout
    assert "--skip 20" in said
    assert f"waycairn backup delete-source {made['id']}" in said
    assert waycairn("backup", "show", "nobody", at=tmp_path).returncode == 1


def test_search_in_all(tmp_path, old, talks):
    """Which line of which member of which backup; those that have no such member are left out, unless they are named."""
    first, second = create(tmp_path, "old")["backup"], create(tmp_path, *ROWS)["backup"]
    hits = document("backup", "search", "note 7", "--member", "*.txt", at=tmp_path)["hits"]
    assert hits == [{"backup": first["id"], "member": "old/note 7.txt", "line": 1, "offset": 0, "text": "note 7"}]
    assert len(document("backup", "search", "of many", first["id"], "--limit", "5", at=tmp_path)["hits"]) == 5
    assert waycairn("backup", "search", "x", second["id"], "--member", "*.txt", at=tmp_path).returncode == 1
    assert waycairn("backup", "search", "", at=tmp_path).returncode == 2


def test_extract_needs_no_waycairn(tmp_path, old):
    """The folder is checked by sha256sum, and holds the bytes; a folder that is not empty is refused."""
    before = tree(old)
    made = create(tmp_path, "old")["backup"]
    document("backup", "extract", made["id"], "out", at=tmp_path)
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, check=False)
    assert checked.returncode == 0
    assert before.items() <= tree(tmp_path / "out" / "data" / "old").items()
    assert waycairn("backup", "extract", made["id"], "out", at=tmp_path).returncode == 1
    ran = waycairn("backup", "extract", made["id"], "--member", "old/note 3.txt", at=tmp_path)
    assert ran.stdout.encode() == before["note 3.txt"]
    name = "old/deep/large.bin"
    wrote = document("backup", "extract", made["id"], "--member", name, "-o", "large", at=tmp_path)
    assert wrote["bytes"] == 3 << 20
    assert (tmp_path / "large").read_bytes() == before["deep/large.bin"]
    for wrong in (["--member", "nobody"], ["--member", name, "-o", "large"], ["--member", name, "--key", "1"]):
        assert waycairn("backup", "extract", made["id"], *wrong, at=tmp_path).returncode == 1
    for wrong in ([], ["out", "--member", name], ["out", "--key", "1"]):
        assert waycairn("backup", "extract", made["id"], *wrong, at=tmp_path).returncode == 2


def test_how_long_it_stays(tmp_path, old):
    """Extended, pinned, pruned, given up; what is all that is left goes only when that is said."""
    made = create(tmp_path, "old", "--keep", "0s", "--delete", "--yes")["backup"]["id"]
    assert [one["id"] for one in document("backup", "prune", "--dry-run", at=tmp_path)["expired"]] == [made]
    assert document("backup", "pin", made, at=tmp_path)["backup"]["pinned"]
    assert document("backup", "prune", at=tmp_path)["expired"] == 0
    assert waycairn("backup", "delete", made, "--last-copy", "--yes", at=tmp_path).returncode == 1
    assert not document("backup", "unpin", made, at=tmp_path)["backup"]["pinned"]
    assert document("backup", "extend", made, "--keep", "forever", at=tmp_path)["backup"]["expires"] is None
    assert waycairn("backup", "extend", made, "--keep", "soon", at=tmp_path).returncode == 2
    assert document("backup", "prune", at=tmp_path)["expired"] == 0
    ran = waycairn("backup", "delete", made, "--yes", at=tmp_path)
    assert (ran.returncode, "--last-copy" in ran.stderr) == (1, True)
    assert document("backup", "delete", made, "--last-copy", "--yes", at=tmp_path)["backup"]["state"] == "expired"
    assert waycairn("backup", "restore", made, at=tmp_path).returncode == 1
    assert waycairn("backup", "extend", made, at=tmp_path).returncode == 1
    assert "gone" in show(tmp_path, made)["means"]


def test_prune_lets_go_of_what_expired(tmp_path, old):
    """The row stays."""
    made = create(tmp_path, "old", "--keep", "0s")["backup"]["id"]
    assert document("backup", "prune", at=tmp_path) == {"dry_run": False, "expired": 1, "interrupted": 0, "payloads": 1}
    assert only(tmp_path)["id"] == made


def test_damage_is_told(tmp_path, old):
    """By verify and search with exit code 3, by restore with 1, and by health: it is all that is left."""
    made = create(tmp_path, "old", "--delete", "--yes")["backup"]["id"]
    for pack in Path(tmp_path, ".waycairn", "packs").glob("*/" + "?" * 32):
        with pack.open("r+b") as file:
            file.seek(pack.stat().st_size // 2)
            file.write(bytes(4096))
    assert list(document("backup", "verify", at=tmp_path, code=3)["damaged"]) == [made]
    assert list(document("backup", "search", "never there", at=tmp_path, code=3)["damaged"]) == [made]
    assert waycairn("backup", "restore", made, at=tmp_path).returncode == 1
    issues = document("health", at=tmp_path, code=3)["issues"]
    assert ("backups", "critical") in [(one["check"], one["severity"]) for one in issues]


def test_stats_and_health_know_of_backups(tmp_path, old):
    """How many, how large; and which are all that is left and about to go."""
    made = create(tmp_path, "old", "--delete", "--keep", "1h", "--yes")["backup"]
    counted = document("stats", at=tmp_path)["backups"]
    assert counted == {"whole": 1, "bytes": made["bytes"], "stored_bytes": made["stored_bytes"]}
    (issue,) = [one for one in document("health", at=tmp_path)["issues"] if one["check"] == "backups"]
    assert (issue["severity"], issue["points"]) == ("info", 0)
    document("backup", "pin", made["id"], at=tmp_path)
    assert "backups" not in [one["check"] for one in document("health", at=tmp_path)["issues"]]


def test_an_encrypted_store(tmp_path, old):
    """Opens with its secret only; what is taken out lies in the clear only if that was said."""
    secret = {"WAYCAIRN_PASSPHRASE": "correct horse"}
    assert waycairn("key", "init", at=tmp_path, **secret, WAYCAIRN_NEW_PASSPHRASE="correct horse").returncode == 0
    before = tree(old)
    ran = waycairn("backup", "create", "old", "--delete", "--yes", "--json", at=tmp_path, **secret)
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout)["backup"]["id"]
    assert not any(b"of many" in data for data in tree(tmp_path / ".waycairn").values())
    assert waycairn("backup", "show", made, at=tmp_path).returncode == 1
    assert waycairn("backup", "extract", made, "out", at=tmp_path, **secret).returncode == 1
    member = ("--member", "old/note 3.txt", "-o", "note")
    assert waycairn("backup", "extract", made, *member, at=tmp_path, **secret).returncode == 1
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "note").exists()
    assert waycairn("backup", "extract", made, "out", "--decrypt", at=tmp_path, **secret).returncode == 0
    assert waycairn("backup", "restore", made, at=tmp_path, **secret).returncode == 0
    assert tree(old) == before


def test_ids_are_completed(tmp_path, old):
    """By the shell, as names of runs are."""
    made = create(tmp_path, "old")["backup"]["id"]
    words = f"waycairn backup show {made[:3]}"
    ran = script(at=tmp_path, _WAYCAIRN_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="3")
    assert ran.stdout.split() == [made]


def test_every_act_is_in_the_audit_log(tmp_path, old):
    """Who looked at one record, too."""
    made = create(tmp_path, "old", "--delete", "--yes")["backup"]["id"]
    document("backup", "restore", made, at=tmp_path)
    waycairn("backup", "extract", made, "--member", "old/note 3.txt", at=tmp_path)
    document("backup", "extend", made, "--keep", "30d", at=tmp_path)
    document("backup", "delete", made, "--last-copy", "--yes", at=tmp_path)
    acts = [one["act"] for one in document("audit", "list", at=tmp_path)["rows"] if one["object"] == made]
    expected = ["create", "delete_source", "restore", "extract", "extend", "remove"]
    assert {f"backup.{act}" for act in expected} <= set(acts)
