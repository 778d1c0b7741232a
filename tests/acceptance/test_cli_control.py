"""`waycairn resume`, `discard`, `takeover`, `delete`, `pin`: acts on runs, each asked for, none on a held one."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

import waycairn as wc
from commands import WAYCAIRN, document, environment, on_terminal, run_job, start_job, waycairn
from waycairn.process import send_signal


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A store with a completed run, and one whose owner was killed."""
    place = tmp_path_factory.mktemp("control") / "template"
    place.mkdir()
    assert run_job(place, "end", "report") == 0
    assert run_job(place, "kill", "lost") == -signal.SIGKILL
    return place


@pytest.fixture
def place(template, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(template, tmp_path / "copy")


@pytest.fixture
def stopped(tmp_path):
    """A store whose one run is held by a stopped process."""
    job = start_job(tmp_path, "stop", "held")
    assert job.stdout.readline() == "ready\n"
    yield tmp_path, job
    job.kill()
    job.wait()
    job.stdout.close()


def _status(place, run):
    return document("show", run, at=place)["run"]["status"]


# -- resume --------------------------------------------------------------------------------------------------


def test_resume_goes_on_with_a_killed_run(tmp_path):
    """From anywhere: the recorded command, in the recorded directory; its output and nothing else on stdout."""
    place, elsewhere = tmp_path / "job", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    assert run_job(place, "kill", "lost") == -signal.SIGKILL
    ran = waycairn("resume", "lost", "--store", place / ".waycairn", at=elsewhere)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "finished 40 resumed True COLOUR=\n"
    assert ran.stderr == ""
    assert _status(place, "lost") == "completed"
    assert (place / "lines.txt").read_text() == "".join(f"{n}\n" for n in range(40))
    assert list(elsewhere.iterdir()) == []


def test_resume_passes_the_exit_code_through(tmp_path):
    """What the job exits with is what the command exits with."""
    assert run_job(tmp_path, "kill", "lost") == -signal.SIGKILL
    script = tmp_path / "job.py"
    script.write_text(script.read_text() + "sys.exit(19)\n")
    assert waycairn("resume", "lost", at=tmp_path).returncode == 19


def test_resume_starts_in_the_recorded_store(tmp_path):
    """A job that found its store by WAYCAIRN_STORE finds it again, whatever that variable says now."""
    kept, other = tmp_path / "kept", tmp_path / "other"
    assert run_job(tmp_path, "kill", "lost", WAYCAIRN_STORE=str(kept)) == -signal.SIGKILL
    ran = waycairn("resume", "lost", "--store", kept, at=tmp_path, WAYCAIRN_STORE=str(other))
    assert ran.stdout == "finished 40 resumed True COLOUR=\n"
    assert not other.exists()


def test_resume_does_not_lead_a_job_to_another_store(tmp_path):
    """A job that ran without WAYCAIRN_STORE is started without it."""
    other = tmp_path / "other"
    assert run_job(tmp_path, "kill", "lost") == -signal.SIGKILL
    ran = waycairn("resume", "lost", "--store", tmp_path / ".waycairn", at=tmp_path, WAYCAIRN_STORE=str(other))
    assert ran.stdout == "finished 40 resumed True COLOUR=\n"
    assert not other.exists()


def test_the_present_environment_is_kept(tmp_path):
    """Recorded variables are laid over the present ones; what was not recorded comes from here."""
    assert run_job(tmp_path, "kill", "lost") == -signal.SIGKILL
    ran = waycairn("resume", "lost", at=tmp_path, COLOUR="blue", PATH=f"/nowhere:{os.environ['PATH']}")
    assert ran.stdout == "finished 40 resumed True COLOUR=blue\n"


def test_signals_reach_the_resumed_job(tmp_path):
    """The command becomes the job: the pid is the job's, and SIGTERM ends it as a job ends, at its cut."""
    script = tmp_path / "job.py"
    script.write_text(
        "import sys, time, waycairn as wc\n"
        "with wc.run('slow') as run:\n"
        "    for item in run.each(range(10_000)):\n"
        "        if item == 3 and not run.resumed: sys.exit(1)\n"
        "        if item == 5: print('going', flush=True)\n"
        "        time.sleep(0.01)\n"
    )
    assert subprocess.run([sys.executable, "job.py"], cwd=tmp_path, env=environment(), check=False).returncode == 1
    job = subprocess.Popen(
        [WAYCAIRN, "resume", "slow"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert job.stdout.readline() == b"going\n"
    assert document("show", "slow", at=tmp_path)["run"]["owner"]["pid"] == job.pid
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == 143
    assert _status(tmp_path, "slow") == "interrupted"


def test_resume_can_show_the_command_only(place):
    """A line for a shell, and the same as a document; nothing is started."""
    shown = waycairn("resume", "lost", "--print", at=place)
    assert shown.returncode == 0
    assert shown.stdout.startswith("cd ")
    assert shown.stdout.rstrip().endswith("job.py kill lost")
    command = document("resume", "lost", at=place)
    assert command["argv"][0] == sys.executable
    assert command["argv"][2:] == ["kill", "lost"]
    assert _status(place, "lost") == "orphaned"


def test_a_completed_run_is_not_resumed(tmp_path):
    """Exit code 1, unless --again: then what is done is skipped."""
    assert run_job(tmp_path, "end", "report") == 0
    ran = waycairn("resume", "report", at=tmp_path)
    assert ran.returncode == 1
    assert "--again" in ran.stderr
    again = waycairn("resume", "report", "--again", at=tmp_path)
    assert again.stdout == "finished 40 resumed False COLOUR=\n"


def test_a_held_run_is_not_resumed(stopped):
    """Exit code 4, and nothing was started."""
    place, job = stopped
    ran = waycairn("resume", "held", at=place)
    assert ran.returncode == 4
    assert f"held by pid {job.pid}" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert document("show", "held", at=place)["run"]["entered"] == 1


def test_what_cannot_be_started_again_says_why(tmp_path):
    """The directory is gone: one line, exit code 1."""
    work = tmp_path / "work"
    work.mkdir()
    assert run_job(work, "kill", "lost", WAYCAIRN_STORE=str(tmp_path / "store")) == -signal.SIGKILL
    shutil.rmtree(work)
    ran = waycairn("resume", "lost", "--store", tmp_path / "store", at=tmp_path)
    assert ran.returncode == 1
    assert "cannot be entered" in ran.stderr
    assert "Nothing was started" in ran.stderr


# -- discard -------------------------------------------------------------------------------------------------


def test_discard_begins_anew(place):
    """The old run stays listed; the next entry is a new run from the start."""
    before = document("show", "lost", at=place)["run"]["id"]
    assert document("discard", "lost", "--yes", at=place)["run"]["status"] == "discarded"
    assert run_job(place, "end", "lost") == 0
    runs = document("runs", "--name", "lost", at=place)["runs"]
    assert [run["status"] for run in runs] == ["completed", "discarded"]
    assert runs[1]["id"] == before
    assert runs[0]["entered"] == 1


@pytest.mark.parametrize("act", ["discard", "cancel", "takeover", "delete"])
def test_destructive_acts_need_consent(stopped, place, act):
    """Nobody to ask and no --yes: wrong use, nothing changed."""
    where, run = (stopped[0], "held") if act in {"takeover", "cancel"} else (place, "lost")
    before = document("show", run, at=where)
    ran = waycairn(act, run, at=where)
    assert ran.returncode == 2
    assert "--yes" in ran.stderr
    assert "Nothing was changed" in ran.stderr
    assert document("show", run, at=where) == before


def test_a_person_is_asked(place):
    """The question says what it means; no is no (exit code 1), yes is yes."""
    asked = on_terminal("discard", "lost", at=place, keys="n\r")
    assert asked.code == 1
    assert "begins anew" in asked.plain
    assert "nothing was changed" in asked.plain
    assert _status(place, "lost") == "orphaned"
    assert on_terminal("discard", "lost", at=place, keys="y\r").code == 0
    assert _status(place, "lost") == "discarded"


@pytest.mark.parametrize("act", ["discard", "delete"])
def test_a_held_run_is_neither_discarded_nor_deleted(stopped, act):
    """Exit code 4, also with --yes."""
    place, _ = stopped
    ran = waycairn(act, "held", "--yes", at=place)
    assert ran.returncode == 4
    assert _status(place, "held") == "running"


# -- takeover ------------------------------------------------------------------------------------------------


def test_takeover_frees_a_run_from_a_stopped_process(stopped):
    """The run can be entered at once; the old process wakes up, is refused, and has changed nothing."""
    place, job = stopped
    taken = document("takeover", "held", "--yes", at=place)
    assert taken["taken"]
    assert taken["from"]["pid"] == job.pid
    assert taken["epoch"] == 2
    assert _status(place, "held") == "orphaned"
    assert run_job(place, "end", "held") == 0
    after = document("show", "held", at=place)
    job.send_signal(signal.SIGCONT)
    assert job.wait(60) != 0
    assert document("show", "held", at=place) == after


def test_takeover_of_a_free_run_changes_nothing(place):
    """There is nobody to take it from."""
    before = document("show", "report", at=place)
    assert document("takeover", "report", "--yes", at=place)["taken"] is False
    assert document("show", "report", at=place) == before


# -- delete and pin ------------------------------------------------------------------------------------------


def test_a_checkpoint_is_deleted(place):
    """That one, and no other."""
    before = [one["id"] for one in document("checkpoints", "report", at=place)["checkpoints"]]
    assert document("delete", before[2], "--yes", at=place) == {"deleted": "checkpoint", "id": before[2]}
    after = [one["id"] for one in document("checkpoints", "report", at=place)["checkpoints"]]
    assert after == before[:2] + before[3:]


def test_the_checkpoint_an_unfinished_run_goes_on_from_stays(place):
    """Exit code 1."""
    newest = document("orphans", at=place)["orphans"][0]["checkpoint"]["id"]
    ran = waycairn("delete", newest, "--yes", at=place)
    assert ran.returncode == 1
    assert "goes on from" in ran.stderr
    assert document("show", "lost", at=place)["run"]["checkpoints"][0]["id"] == newest


def test_a_pinned_checkpoint_stays(place):
    """Neither it nor its run can be deleted until it is unpinned."""
    pinned = document("checkpoints", "report", "--kind", "milestone", at=place)["checkpoints"][0]["id"]
    assert document("pin", pinned, at=place)["checkpoint"]["pinned"]
    listed = document("checkpoints", "--pinned", at=place)["checkpoints"]
    assert [one["id"] for one in listed] == [pinned]
    for what in (pinned, "report"):
        ran = waycairn("delete", what, "--yes", at=place)
        assert ran.returncode == 1
        assert f"waycairn unpin {pinned}" in ran.stderr
    assert waycairn("unpin", pinned, at=place).returncode == 0
    assert waycairn("delete", pinned, "--yes", at=place).returncode == 0


def test_a_run_is_deleted_with_everything_below_it(place):
    """Its phases and checkpoints too; other runs stay."""
    (phase,) = document("show", "report", at=place)["run"]["phases"]
    said = waycairn("delete", "report", "--yes", at=place)
    assert said.returncode == 0
    for gone in ("report", phase["id"]):
        assert waycairn("show", gone, at=place).returncode == 1
    assert [run["name"] for run in document("runs", at=place)["runs"]] == ["lost"]
    assert document("stats", at=place)["phases"] == {"completed": 1}


def test_a_phase_is_not_deleted_alone(place):
    """It goes with its run."""
    (phase,) = document("show", "report", at=place)["run"]["phases"]
    ran = waycairn("delete", phase["id"], "--yes", at=place)
    assert ran.returncode == 1
    assert "is a phase" in ran.stderr


@pytest.mark.parametrize("what", ["nobody", "nobody.7", "..", ""])
def test_deleting_what_is_not_there(place, what):
    """Exit code 1, nothing deleted."""
    ran = waycairn("delete", what, "--yes", at=place)
    assert ran.returncode == 1
    assert ran.stderr.startswith("waycairn: there is no ")
    assert len(document("runs", at=place)["runs"]) == 2


def test_quiet_acts_say_nothing(place):
    """-q: no word where it works, one line where it does not."""
    assert waycairn("discard", "lost", "--yes", "-q", at=place).stdout == ""
    assert waycairn("delete", "nobody", "--yes", "-q", at=place).stderr != ""
    spoken = waycairn("delete", "lost", "--yes", at=place).stdout
    assert spoken.startswith("run ")
    assert spoken.endswith("is deleted\n")


# -- cancel --------------------------------------------------------------------------------------------------


def test_cancel_asks_the_owner_to_stop(stopped):
    """SIGTERM comes to that process, and the run can be resumed; a run that nobody works on is refused, with code 1."""
    place, job = stopped
    told = document("cancel", "held", "--yes", at=place)["run"]
    assert (told["name"], told["owner"]["pid"]) == ("held", job.pid)
    job.send_signal(signal.SIGCONT)
    assert job.wait(60) == 143
    assert _status(place, "held") == "interrupted"
    ran = waycairn("cancel", "held", "--yes", at=place)
    assert ran.returncode == 1
    assert "no living process works on it" in ran.stderr
    assert waycairn("resume", "held", at=place).returncode == 0


def test_a_process_of_another_host_is_not_signalled(stopped):
    """Its number may be anybody's here: refused, and nothing is sent; so too if the number went to a later process."""
    place, job = stopped
    with wc.open(place / ".waycairn") as store:
        owner = store.holder(store.find("held"))
        assert send_signal(owner, 0)
        assert not send_signal(replace(owner, boot="another"), signal.SIGKILL)
        assert not send_signal(replace(owner, started=owner.started + 1), signal.SIGKILL)
        assert not send_signal(replace(owner, pid=2**22 + 1), signal.SIGKILL)
    assert job.poll() is None
