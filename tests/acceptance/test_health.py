"""Health of real stores: what real jobs left, what was measured, what is told, and the commands that show it."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

import waycairn as wc
from commands import document, on_terminal, run_job, waycairn
from waycairn.model.health_settings import HealthSettings
from waycairn.model.histogram import Histogram
from waycairn.model.measures import HOUR, Measured
from waycairn.model.notification_settings import ChannelSettings, NotificationSettings
from waycairn.model.records import NewRun
from waycairn.model.retention_settings import RetentionSettings
from waycairn.upkeep.health_task import HealthTask
from waycairn.upkeep.measured import condense, hour_of
from waycairn.upkeep.prometheus import METRICS, exposition, quoted

DAY = 24 * HOUR


@contextmanager
def opened(place, **health):
    with wc.open(place) as store:
        store.core.settings = replace(store.core.settings, health=HealthSettings(**health))
        yield store


def checks(health):
    return {issue.check: issue.severity for issue in health.issues if issue.severity != "info"}


def measured(hour, name, *values, writer="other"):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return Measured(hour, name, writer, histogram)


# -- what is found ----------------------------------------------------------------------------------------------------


def test_a_store_that_is_well(tmp_path):
    """Healthy, with the facts and a trend of today."""
    with opened(tmp_path) as store:
        for number in range(5):
            store.load(store.save("value", {"number": number}))
        health = store.health()
    assert (health.status, health.score, checks(health)) == ("healthy", 100, {})
    (today,) = health.trends
    assert (today.acts["save"].count, today.acts["load"].count, today.takeovers) == (5, 5, 0)
    assert 0 < today.acts["save"].p50 <= today.acts["save"].p99
    assert health.facts["store_bytes"] == today.store_bytes > 100_000
    assert health.facts["disk_free"] > 0


def test_an_empty_store_is_well(tmp_path):
    with opened(tmp_path) as store:
        assert checks(store.health()) == {}


def test_a_run_of_the_dead_is_an_orphan_and_later_a_takeover(tmp_path):
    """The score falls, and rises again when somebody goes on."""
    child = os.fork()
    if child == 0:
        run = wc.open(tmp_path).run("nightly").open()
        run.progress(done=1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with opened(tmp_path) as store:
        health = store.health()
        assert (health.status, health.score, checks(health)) == ("degraded", 90, {"orphans": "warning"})
        assert health.facts["orphans"][0]["name"] == "nightly"
        with store.run("nightly"):
            pass
        health = store.health()
        assert (health.status, health.facts["takeovers"]) == ("healthy", 1)


def test_damage_of_a_run_that_cannot_go_on_is_critical(tmp_path):
    """Of a finished one it is a warning."""
    with opened(tmp_path) as store:
        run = store.start("job")
        run.state({"data": os.urandom(300_000)})
        run.checkpoint(force=True)
        (found,) = store.checkpoints("job")
        for pack in (tmp_path / "packs").glob("*/*"):
            pack.write_bytes(bytes(pack.stat().st_size))
        with pytest.raises(wc.WaycairnError):
            store.load(found.id)
        health = store.health()
        assert (health.status, checks(health)) == ("unhealthy", {"damage": "critical", "load failures": "warning"})
        assert health.facts["stranded"][0]["name"] == "job"
        run.complete()
        assert checks(store.health())["damage"] == "warning"


def test_a_run_that_hangs_is_overdue(tmp_path):
    """By its own pace, or by how long its former runs took; not while one of its phases commits."""
    with opened(tmp_path, overdue_least=0.001, overdue_factor=5.0) as store:
        for number in range(3):
            with store.run("quick", key=str(number)):
                pass
        with store.run("quick", key="hangs") as run:
            for _ in range(4):
                run.checkpoint(force=True)
            time.sleep(0.3)
            overdue = store.health().facts["overdue"]
            assert [one["name"] for one in overdue] == ["quick"]
            assert "no commit for" in overdue[0]["why"]
            run.phase("part", lambda phase: phase.checkpoint(force=True))
            (why,) = [one["why"] for one in store.health().facts["overdue"]] or [""]
            assert "no commit" not in why
            assert "usually" in why
        assert store.health().facts["overdue"] == []


def test_trends_and_growth_come_from_what_was_measured(tmp_path):
    """By day, over what several processes wrote; growth from sizes where there are any, else from what was written."""
    with opened(tmp_path) as store:
        now = hour_of(store.core.clock.now())
        today = now // 24 * 24
        rows = [measured(today - 24 * ago, "save", 0.5, 1.5, writer=writer) for ago in range(10) for writer in "ab"]
        rows += [measured(today - 24 * ago, "save.bytes", 3e6) for ago in range(1, 4)]
        rows += [measured(today - 24, "sweep.bytes", 1e6), measured(today - 24, "save.failures", 0.0)]
        store.core.catalog.put_measured(rows)
        health = store.health()
        assert len(health.trends) == 7
        assert [day.acts["save"].count for day in health.trends] == [4] * 7
        yesterday = health.trends[-2]
        assert yesterday.begins == (today - 24) * HOUR
        assert yesterday.acts["save"].p99 == pytest.approx(1.5, rel=0.02)
        assert (yesterday.written_bytes, yesterday.freed_bytes, yesterday.acts["save"].failures) == (3e6, 1e6, 1)
        assert health.facts["growth_a_day"] == pytest.approx(8e6 / 6)
        store.core.catalog.put_measured([measured(now - 48, "store.bytes", 1e9)])
        assert store.health().facts["growth_a_day"] == pytest.approx((health.facts["store_bytes"] - 1e9) / 2, rel=0.03)


def test_a_store_that_cannot_be_looked_at_is_unknown(tmp_path):
    with opened(tmp_path) as store:
        store.core.catalog.close()
        health = store.health()
    assert (health.status, health.score) == ("unknown", None)
    assert "closed" in health.facts["error"]


def test_old_measurements_become_few_rows(tmp_path):
    """Hours that are over are put together, old ones become one sum: nothing that was counted is lost."""
    with opened(tmp_path, keep_days=30) as store:
        now = hour_of(store.core.clock.now())
        rows = [measured(now - ago, "save", 0.1, writer=writer) for ago in (0, 5, 31 * 24, 40 * 24) for writer in "abc"]
        store.core.catalog.put_measured(rows)
        assert condense(store.core) == 2 + 5
        found = [(row.hour, row.writer, row.histogram.count) for row in store.core.catalog.measured()]
        assert found == [(0, "", 6), (now - 5, "", 3), (now, "a", 1), (now, "b", 1), (now, "c", 1)]


# -- callbacks ----------------------------------------------------------------------------------------------------------


def test_callbacks_are_told_after_the_commit(tmp_path):
    """In order, on a thread of their own, with the name of the run; they may use the store. Phases end silently."""
    told, threads = [], set()

    def note(event):
        threads.add(threading.current_thread().name)
        told.append((event.kind, event.name, [store.checkpoint(one).checkpoint.kind for one in event.checkpoints]))

    with wc.open(tmp_path) as store:
        for kind in ("created", "completed", "failed"):
            store.on(kind, note)
        store.save("value", 1)
        with store.run("good") as run:
            run.state({"at": 0})
            run.phase("part", lambda phase: None)
        with pytest.raises(ValueError, match="odd"), store.run("bad"):
            raise ValueError("odd")
        with store.run("half") as run:
            for item in run.items([1]):
                with item:
                    raise ValueError("odd")
    assert [one for one in told if one[0] != "created"] == [
        ("completed", "good", []),
        ("failed", "bad", []),
        ("failed", "half", []),
    ]
    assert ("created", "value", ["value"]) in told
    assert ("created", "part", ["result"]) in told
    assert ("created", "bad", ["error"]) in told
    assert threads == {"waycairn-events"}


def test_a_callback_that_fails_breaks_nothing(tmp_path, caplog):
    """It is logged and counted; the others are called, the save stands; who does not want to be told any more is not."""
    told = []
    with wc.open(tmp_path) as store:
        store.on("created", lambda _event: 1 / 0)
        stop = store.on("created", told.append)
        saved = store.save("value", 1)
        store.core.listener.drain()
        stop()
        store.save("value", 2)
        store.core.listener.drain()
        assert store.load(saved) == 1
        assert store.core.listener.failures == 2
        with pytest.raises(ValueError, match="no event 'deleted'; these are: created, completed"):
            store.on("deleted", told.append)
    assert [event.checkpoints for event in told] == [[saved]]
    assert "ZeroDivisionError" in caplog.text


def test_no_save_waits_for_a_callback(tmp_path):
    """Closing does."""
    told = threading.Event()
    with wc.open(tmp_path) as store:
        store.on("created", lambda _event: told.wait(30))
        began = time.monotonic()
        for number in range(3):
            store.save("value", number)
        assert time.monotonic() - began < 20
        told.set()


def test_a_program_tells_before_it_ends(tmp_path):
    """Whoever asked is told of the last save, too, though nothing was closed."""
    (tmp_path / "job.py").write_text(
        "import time, waycairn as wc\n"
        "store = wc.open('store')\n"
        "store.on('created', lambda event: (time.sleep(0.2), print(event.name)))\n"
        "store.save('one', 1); store.save('two', 2)\n"
    )
    said = subprocess.run(
        [sys.executable, "job.py"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    assert said.stdout.split() == ["one", "two"]


def test_who_asks_for_expired_is_told_by_the_sweep(tmp_path):
    """Which checkpoints are gone, once they are."""
    told = []
    with wc.open(tmp_path) as store:
        store.on("expired", lambda event: told.append((list(event.checkpoints), len(store.checkpoints("job")))))
        with store.run("job") as run:
            state = run.state({"at": 0})
            made = []
            for state["at"] in range(3):
                made.append(run.checkpoint(force=True))
        store.core.settings = replace(store.core.settings, retention=RetentionSettings(keep=1))
        store.sweep(dry_run=True)
        store.sweep()
    ((gone, left),) = told
    assert (sorted(gone), left) == (made[:2], 1)


# -- in the background ----------------------------------------------------------------------------------------------------


@contextmanager
def watched(place, tmp_path, **more):
    """A store whose health is told by a command that appends what it gets to a file."""
    out = tmp_path / "told.jsonl"
    channel = ChannelSettings(
        name="file",
        kind="command",
        argv=["sh", "-c", 'read -r line; printf "%s\\n" "$line" >> "$0"', str(out)],
        minimum="info",
    )
    with wc.open(place) as store:
        notifications = NotificationSettings(channels=[channel], **more)
        store.core.settings = replace(store.core.settings, notifications=notifications)
        task = HealthTask(store.core)

        def told():
            thread = task._sender._thread
            if thread is not None:
                thread.join()
            return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []

        yield store, task, told
        task._sender.close()


def orphan(store, name):
    """A run that is held by nobody."""
    run = NewRun(id=f"{name:0<12}", root=f"{name:0<12}", parent=None, name=name, key=None, owner=None)
    store.core.catalog.add_run(run, store.core.clock.now())


def test_what_changes_is_told(tmp_path):
    """Degraded, then well again; by callback and by channel. Looked at first and well is no news."""
    changes = []
    with watched(tmp_path / "store", tmp_path) as (store, task, told):
        store.on("health_changed", lambda event: changes.append((event.facts["before"], event.facts["after"])))
        assert task().status == "healthy"
        assert told() == []
        orphan(store, "left")
        assert task().status == "degraded"
        assert [(one["kind"], one["priority"]) for one in told()] == [("issue", "warning"), ("status", "warning")]
        assert told()[0]["facts"]["check"] == "orphans"
        assert "What to do: waycairn orphans" in told()[0]["text"]
        task()
        assert len(told()) == 2
        store.discard("left")
        task()
        assert told()[-1]["subject"] == "degraded -> healthy, score 100"
        assert told()[-1]["priority"] == "warning"
    assert changes == [("healthy", "degraded"), ("degraded", "healthy")]


def test_the_same_is_not_told_again_soon_by_no_process(tmp_path):
    """After a while it is, with how often it was found; what was over by then comes in a digest."""
    with watched(tmp_path / "store", tmp_path, throttle=3600.0) as (store, task, told):
        orphan(store, "left")
        task()
        assert [one["kind"] for one in told()] == ["issue", "status"]
    with watched(tmp_path / "store", tmp_path, throttle=3600.0) as (store, task, told):
        task()
        assert len(told()) == 2
        note = store.core.catalog.upkeep_note("notified").facts
        assert note["held"] == {"orphans warning": 1}
        store.core.catalog.note_upkeep(
            "notified", 0.0, {**note, "told": {"orphans warning": store.core.clock.now() - 3601}}
        )
        task()
        assert "It was found 1 times more" in told()[-1]["text"]
        assert store.core.catalog.upkeep_note("notified").facts["held"] == {}
        task()
        store.discard("left")
        note = store.core.catalog.upkeep_note("notified").facts
        store.core.catalog.note_upkeep(
            "notified", 0.0, {**note, "told": {"orphans warning": store.core.clock.now() - 3601}}
        )
        task()
        digest = next(one for one in told() if one["kind"] == "digest")
        assert digest["facts"]["held"] == {"orphans warning": 1}


def test_monitoring_can_be_off(tmp_path):
    """Measurements are written all the same."""
    with opened(tmp_path, monitoring=False) as store:
        store.save("value", 1)
        assert HealthTask(store.core)() is None
        assert [row.name for row in store.core.catalog.measured()] == ["save", "save.bytes", "save.raw"]


def test_a_store_that_is_away_is_told(tmp_path, caplog):
    """Though nothing can be noted in it; once."""
    caplog.set_level(logging.CRITICAL, "waycairn")
    with watched(tmp_path / "store", tmp_path) as (store, task, told):
        task()
        store.core.catalog.close()
        task()
        task()
        assert [(one["kind"], one["subject"]) for one in told()] == [("status", "healthy -> unknown")]


# -- commands -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store in which a job died."""
    place = tmp_path_factory.mktemp("health")
    run_job(place, "end", "fine")
    run_job(place, "kill", "killed")
    return place


def test_the_command_says_how_well_it_is(place):
    """In words, and as JSON; the exit code is that of the status."""
    said = waycairn("health", at=place)
    assert said.returncode == 5
    lines = said.stdout.splitlines()
    assert lines[0] == "degraded, score 90 of 100"
    assert "orphans: 1 run is held by the dead: 'killed' (-10)" in said.stdout
    assert "do: waycairn orphans" in said.stdout
    found = document("health", at=place, code=5)
    assert found.keys() == {"at", "status", "score", "issues", "recommendations", "trends", "facts"}
    assert (found["status"], found["score"], found["issues"][0]["points"]) == ("degraded", 90, 10)
    assert found["recommendations"][0].startswith("waycairn orphans")
    assert found["trends"][-1]["acts"]["save"]["count"] > 0


def test_the_command_can_look_again_and_again(place):
    """One line, or one JSON document, a look; drawn again on a terminal."""
    said = waycairn("health", "--watch", "--times", 2, "--interval", 0.01, at=place)
    assert said.returncode == 5
    assert ["degraded  score 90" in line for line in said.stdout.splitlines()] == [True, True]
    said = waycairn("health", "--watch", "--times", 2, "--interval", 0.01, "--json", at=place)
    assert [json.loads(line)["score"] for line in said.stdout.splitlines()] == [90, 90]
    shown = on_terminal("health", "--watch", "--times", 2, "--interval", 0.01, at=place)
    assert "degraded, score 90 of 100" in shown.plain
    assert waycairn("health", "--watch", "--interval", 0, at=place).returncode == 2


def test_stats_tell_how_long_things_took(place):
    """Of the last day, with percentiles."""
    found = document("stats", at=place)
    assert found["measured"]["save"]["count"] > 0
    assert found["measured"]["save"]["p50"] <= found["measured"]["save"]["p99"]
    assert found.keys() >= {"written_bytes", "freed_bytes", "takeovers", "late_saves", "growth_bytes_a_day"}
    said = waycairn("stats", at=place).stdout
    assert "save, 24 h" in said
    assert " p99 " in said


def families(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_stats_for_prometheus(place):
    """Read by Prometheus' own parser: types, labels, and histograms whose buckets only grow."""
    said = waycairn("stats", "--format", "prometheus", at=place)
    assert said.returncode == 0
    found = families(said.stdout)
    expected = {metric.name.removesuffix("_total"): metric.type for metric in METRICS}
    assert {name: family.type for name, family in found.items()}.items() <= expected.items()
    values = {
        (sample.name, *sorted(sample.labels.items())): sample.value for one in found.values() for sample in one.samples
    }
    assert values["waycairn_runs", ("status", "orphaned")] == 1
    assert values["waycairn_health_score",] == 90
    assert values["waycairn_health_status", ("status", "degraded")] == 1
    assert values["waycairn_issues", ("check", "orphans"), ("severity", "warning")] == 1
    saves = [sample for sample in found["waycairn_act_seconds"].samples if sample.labels["act"] == "save"]
    buckets = [sample.value for sample in saves if sample.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert saves[-3].labels["le"] == "+Inf"
    assert buckets[-1] == values["waycairn_act_seconds_count", ("act", "save")] > 0
    assert waycairn("stats", "--format", "prometheus", "--json", at=place).returncode == 2


def test_names_that_would_break_the_format_are_escaped(tmp_path):
    """A kind of checkpoint is a text of the user's."""
    kind = 'a "quoted\\ kind"\nwith a line'
    with wc.open(tmp_path) as store:
        with store.run("job") as run:
            run.state({"at": 0})
            run.checkpoint(kind, force=True)
        found = families(exposition(store.core))
        again = families(exposition(store.core))
    assert kind in [sample.labels["kind"] for sample in found["waycairn_checkpoints_by_kind"].samples]
    assert quoted("\udcff") == "\\\\udcff"
    assert again["waycairn_act_seconds"].samples[-1].value >= found["waycairn_act_seconds"].samples[-1].value


def test_no_channels(place):
    """Whoever lists them is told so; a test of none is wrong use."""
    assert "no channels" in waycairn("notify", "list", at=place).stdout
    assert document("notify", "list", at=place) == {"channels": []}
    assert waycairn("notify", "test", at=place).returncode == 2


def test_upkeep_looks_at_health(tmp_path):
    """As one of its tasks: what it found is noted, and told."""
    changed = threading.Event()
    with wc.open(tmp_path) as store:
        store.on("health_changed", lambda _event: changed.set())
        orphan(store, "left")
        store.start_upkeep()
        assert changed.wait(60)
        store.stop_upkeep()
        assert store.core.catalog.upkeep_note("health status").facts == {"status": "degraded", "score": 90}
