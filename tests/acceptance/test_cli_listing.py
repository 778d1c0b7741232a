"""`waycairn runs`, `show`, `orphans`, `checkpoints` and `diff` over runs that ended in every way a run can."""

import re
import signal
from datetime import UTC, datetime

import pytest

import waycairn as wc
from commands import document, on_terminal, run_job, start_job, waycairn


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a completed, a failed, a killed and a living run, and a plain value."""
    place = tmp_path_factory.mktemp("listing")
    assert run_job(place, "end", "report", "2026-11-20") == 0
    assert run_job(place, "fail", "broken") == 1
    assert run_job(place, "kill", "lost") == -signal.SIGKILL
    with wc.open(place / ".waycairn") as store:
        store.save("cursor", {"page": 7})
    job = start_job(place, "stop", "held")
    assert job.stdout.readline() == "ready\n"
    yield place
    job.kill()
    job.wait()
    job.stdout.close()


def _named(listed):
    return {run["name"]: run for run in listed["runs"]}


def test_every_run_is_listed_with_how_it_stands(place):
    """A killed run is orphaned, a stopped process is a living owner, a plain value is done when it is saved."""
    runs = _named(document("runs", at=place))
    words = {name: run["status"] for name, run in runs.items()}
    assert words == {
        "report": "completed",
        "broken": "failed",
        "lost": "orphaned",
        "held": "running",
        "cursor": "completed",
    }
    assert runs["held"]["owner"]["alive"]
    assert not runs["lost"]["owner"]["alive"]
    assert runs["report"]["progress"] == {"done": 40, "failed": 0, "total": 40, "percent": 100.0, "note": None}
    assert runs["lost"]["progress"]["done"] < 40


def test_keys_of_a_run_are_stable(place):
    """Programs read these: a key may be added, never renamed or dropped."""
    run = _named(document("runs", at=place))["report"]
    assert set(run) >= {
        *("id", "name", "key", "status", "parent", "root", "task", "tags", "progress", "epoch", "sequence", "entered"),
        *("created", "updated", "owner"),
    }
    then = datetime.fromisoformat(run["created"])
    assert then.tzinfo == UTC
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", run["updated"])


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--status", "orphaned"], {"lost"}),
        (["--status", "running"], {"held"}),
        (["--status", "failed", "--status", "completed"], {"broken", "report", "cursor"}),
        (["--status", "orphaned", "--status", "failed"], {"lost", "broken"}),
        (["--status", "discarded"], set()),
        (["--task", "reports"], {"report", "broken", "lost", "held"}),
        (["--task", "other"], set()),
        (["--tag", "fail"], {"broken"}),
        (["--name", "report"], {"report"}),
        (["--limit", "1"], {"held"}),
        (["--limit", "1", "--status", "orphaned"], {"lost"}),
    ],
    ids=lambda words: " ".join(sorted(words)),
)
def test_runs_can_be_filtered(place, options, names):
    """Filters are exact, may be combined, and a limit counts what matches."""
    assert set(_named(document("runs", *options, at=place))) == names


def test_a_status_that_is_none_is_wrong_use(place):
    """Exit code 2, and the message lists the words that there are."""
    ran = waycairn("runs", "--status", "done", at=place)
    assert ran.returncode == 2
    assert "orphaned" in ran.stderr
    assert ran.stdout == ""


def test_piped_lists_are_plain_columns(place):
    """One line a run under a heading, whole ids, no colours, no bars, no blanks at the ends."""
    ran = waycairn("runs", at=place)
    head, *lines = ran.stdout.splitlines()
    assert head.split() == ["id", "name", "key", "status", "progress", "items", "epoch", "age", "owner"]
    assert len(lines) == 5
    assert "\x1b" not in ran.stdout
    assert "█" not in ran.stdout
    assert all(line == line.rstrip() for line in lines)
    assert ran.stderr == ""


def test_on_a_terminal_there_are_bars_and_colours(place):
    """The same list for a person: bars, colours, and no line wider than the terminal."""
    spoken = on_terminal("runs", at=place, columns=100)
    assert spoken.code == 0
    assert "█" in spoken.text
    assert "\x1b[1;35morphaned" in spoken.text
    assert "\x1b[32mcompleted" in spoken.text
    assert max(map(len, spoken.plain.splitlines())) <= 100


def test_show_tells_everything_of_one_run(place):
    """Identity, launch, loops, steps, phases with their progress, outputs, checkpoints: as a document."""
    run = document("show", "report", at=place)["run"]
    assert run["key"] == "2026-11-20"
    assert run["fingerprint"] == {"model": 7}
    assert run["metadata"] == {"who": "me"}
    assert run["launch"]["argv"][1].endswith("job.py")
    assert run["launch"]["directory"] == str(place)
    assert run["loops"] == {"items": 40}
    assert [step["name"] for step in run["steps"]] == ["fetch"]
    assert run["outputs"] == [{"path": "lines.txt", "length": 110}]
    (phase,) = run["phases"]
    assert (phase["name"], phase["status"], phase["progress"]["done"]) == ("clean", "completed", 5)
    assert {checkpoint["kind"] for checkpoint in run["checkpoints"]} >= {"milestone", "processing_state"}
    assert run["error"] is None


def test_show_tells_where_a_run_failed(place):
    """The error with its item and place; the traceback only on request."""
    error = document("show", "broken", at=place)["run"]["error"]
    assert (error["type"], error["message"], error["item"]) == ("ValueError", "item 25 is odd", "25")
    assert "job.py" in error["where"]
    brief = waycairn("show", "broken", at=place).stdout
    assert "ValueError: item 25 is odd" in brief
    assert "at item 25" in brief
    assert "Traceback" not in brief
    assert "Traceback" in waycairn("show", "broken", "--traceback", at=place).stdout


def test_show_names_the_living_and_the_dead_owner(place):
    """Who holds it, or what to do."""
    assert re.search(r"owner +pid \d+ on .*, alive since 2", waycairn("show", "held", at=place).stdout)
    lost = waycairn("show", "lost", at=place).stdout
    assert re.search(r"status +orphaned", lost)
    assert re.search(r"owner +pid \d+ on .* is dead; go on with: waycairn resume \w+", lost)


def test_show_draws_phases_as_a_tree(place):
    """Piped, the tree is there too, with the progress of each phase."""
    shown = waycairn("show", "report", at=place).stdout
    assert re.search(r"└── clean +completed .*5/5", shown)
    assert "\x1b" not in shown


def test_a_phase_can_be_shown_by_its_id(place):
    """A phase is a run like any other, held through its root."""
    (phase,) = document("show", "held", at=place)["run"]["phases"]
    shown = document("show", phase["id"], at=place)["run"]
    assert shown["name"] == "clean"
    assert shown["loops"] == {"lines": 5}
    assert shown["phases"] == []


def test_watching_a_finished_run_shows_it_once(place):
    """There is nothing to wait for."""
    spoken = on_terminal("show", "report", "--watch", at=place)
    assert spoken.code == 0
    assert "completed" in spoken.plain


def test_watching_ends_with_ctrl_c(place):
    """The picture comes again until it is interrupted; no traceback."""
    spoken = on_terminal("show", "held", "--watch", at=place, interrupt="running")
    assert spoken.code == 130
    assert "Traceback" not in spoken.plain


def test_a_run_that_is_not_there(place):
    """One line on stderr, exit code 1."""
    ran = waycairn("show", "nobody", at=place)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("waycairn: there is no run 'nobody'")


def test_orphans_say_how_to_go_on(place):
    """Only the killed run, with the checkpoint its state would come from and the command."""
    (orphan,) = document("orphans", at=place)["orphans"]
    assert orphan["name"] == "lost"
    assert orphan["checkpoint"]["role"] == "state"
    assert orphan["resumable"]
    assert orphan["resume"] == ["waycairn", "resume", orphan["id"]]
    listed = waycairn("orphans", at=place).stdout.splitlines()
    assert len(listed) == 2
    assert listed[1].endswith(f"waycairn resume {orphan['id']}")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--kind", "milestone"], {"milestone"}),
        (["--tag", "at20"], {"milestone"}),
        (["--kind", "milestone", "--tag", "at99"], set()),
        (["--status", "damaged"], set()),
        (["--pinned"], set()),
    ],
    ids=" ".join,
)
def test_checkpoints_can_be_filtered(place, options, expected):
    """By kind, tag, status and pin."""
    found = document("checkpoints", "report", *options, at=place)["checkpoints"]
    assert {checkpoint["kind"] for checkpoint in found} == expected


def test_checkpoints_tell_what_they_hold(place):
    """Iteration, description, tags and sizes; newest first; only those of the run that was named."""
    newest, older = document("checkpoints", "report", "--kind", "milestone", at=place)["checkpoints"]
    assert [newest["iteration"], older["iteration"]] == [20, 10]
    assert newest["description"] == "a milestone"
    assert newest["tags"] == ["at20"]
    assert newest["raw_bytes"] > 8000 > newest["new_bytes"] > 0
    assert newest["run"] == older["run"] == newest["id"].partition(".")[0]
    assert len(document("checkpoints", "report", "--limit", "1", at=place)["checkpoints"]) == 1
    everywhere = document("checkpoints", at=place)["checkpoints"]
    assert len({checkpoint["run"] for checkpoint in everywhere}) > 4


def test_diff_of_two_checkpoints(place):
    """Changed, added, and for arrays how many elements differ and by how much; equal parts are not mentioned."""
    newest, older = document("checkpoints", "report", "--kind", "milestone", at=place)["checkpoints"]
    found = document("diff", older["id"], newest["id"], at=place)
    assert (found["old"], found["new"]) == (older["id"], newest["id"])
    by_path = {one["path"]: one for one in found["differences"]}
    assert set(by_path) == {"seen", "weights"}
    assert (by_path["seen"]["old"], by_path["seen"]["new"]) == ("11", "21")
    array = by_path["weights"]["array"]
    assert (array["elements"], array["of"], array["most"]) == (10, 1000, 20.0)
    assert array["norm"] == pytest.approx(sum(n * n for n in range(11, 21)) ** 0.5)
    assert array["relative"] == pytest.approx(array["norm"] / sum(n * n for n in range(11)) ** 0.5)
    assert (by_path["seen"]["by"], by_path["seen"]["share"]) == (10, pytest.approx(10 / 11))
    text = waycairn("diff", older["id"], newest["id"], at=place).stdout
    assert re.search(
        r"^~ +weights +.* +10 of 1,000 elements differ, by up to 20, norm 49\.8498 \(254 %\)$", text, re.MULTILINE
    )


def test_diff_of_a_run_takes_its_newest_two(place):
    """A run alone: its two newest intact states."""
    states = [c for c in document("checkpoints", "lost", at=place)["checkpoints"] if c["role"] == "state"]
    found = document("diff", "lost", at=place)
    assert (found["old"], found["new"]) == (states[1]["id"], states[0]["id"])


def test_diff_needs_two_things(place):
    """One checkpoint has nothing to be compared with."""
    newest = document("checkpoints", "report", "--limit", "1", at=place)["checkpoints"][0]
    ran = waycairn("diff", newest["id"], at=place)
    assert ran.returncode == 1
    assert newest["id"] in ran.stderr
