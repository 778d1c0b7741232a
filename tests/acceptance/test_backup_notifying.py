"""That a backup is ready, or failed, is told by e-mail, to a webhook, and to callbacks: to a real mail server and a real web
server, by whoever made it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from email import message_from_bytes

import pytest

from told import Hook, Mailbox, mail, mail_server, opened
from waycairn.backups.keeping import prune
from waycairn.backups.runs import runs
from waycairn.errors import Damaged
from waycairn.model.backups import BackupState
from waycairn.upkeep.notifying import sender_of

BOTH = ("backup_ready", "backup_failed")


class Broken:
    """A source that cannot be read to its end."""

    kind, label = "broken", "a broken disk"

    def describe(self):
        return {}

    def count(self):
        raise OSError(5, "Input/output error")


def test_a_backup_that_is_ready_is_told_by_mail_and_webhook(tmp_path):
    """With what it holds and how long it stays, when it is verified and not before; only to channels that asked for it."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.txt").write_text("words")
    box, states = Mailbox(), []
    with mail_server(box) as port, Hook() as hook, Hook() as other:
        by_mail = replace(mail(port, "none"), events=("backup_ready",), minimum="critical")
        with opened(
            tmp_path / "store", by_mail, hook.channel(events=BOTH), replace(other.channel(), name="b")
        ) as store:
            store.on("backup_ready", lambda event: states.append(store.backup(event.facts["backup"]).record.state))
            with store.safeguard(tmp_path / "old", keep="2d") as backup:
                id_, owner = backup.id, backup.record.owner
            sender_of(store.core).close()
    ((_, recipients, content, _),) = box.got
    message = message_from_bytes(content)
    label = str(tmp_path / "old")
    assert " ".join(message["Subject"].split()) == f"[waycairn] backup ready: {label}"
    assert recipients == ["a@example.org", "b@example.org"]
    body = message.get_payload(decode=True).decode()
    assert f"Backup {id_} of {label} is durable, was read back, and is intact: 1 records" in body
    ((_, posted),) = hook.got
    document = json.loads(posted)
    assert (document["kind"], document["priority"]) == ("backup_ready", "info")
    assert document["facts"] | {"expires": None} == {
        "backup": id_,
        "kind": "paths",
        "label": label,
        "owner": owner,
        "records": 1,
        "bytes": document["facts"]["bytes"],
        "expires": None,
        "error": None,
    }
    assert abs(document["facts"]["expires"] - time.time() - 2 * 86400) < 60
    assert (other.got, states) == ([], [BackupState.VERIFIED])


def test_a_backup_that_failed_is_told(tmp_path):
    """With why; nobody waits for that, and what was raised is what the caller gets."""
    told = []
    with Hook() as hook, opened(tmp_path / "store", hook.channel(events=BOTH)) as store:
        store.on("backup_failed", lambda event: told.append(event.facts["error"]))
        with pytest.raises(OSError, match="Input/output error"), store.safeguard(Broken()):
            raise AssertionError
        sender_of(store.core).close()
    ((_, posted),) = hook.got
    document = json.loads(posted)
    assert (document["kind"], document["subject"]) == ("backup_failed", "backup failed: a broken disk")
    assert told == [document["facts"]["error"]]
    assert "Input/output error" in told[0]


def test_one_whose_process_died_is_told_by_who_puts_it_away(tmp_path):
    """Nobody else is left who could."""
    program = "import sys, waycairn as wc\nwith wc.open(sys.argv[1]) as store, store.safeguard(sys.argv[2]): pass"
    (tmp_path / "a").write_text("words")
    argv = [sys.executable, "-c", program, str(tmp_path / "store"), str(tmp_path / "a")]
    environment = {**os.environ, "WAYCAIRN_CRASH": "backup.read_back@1:KILL"}
    assert subprocess.run(argv, env=environment, check=False).returncode == -9
    with Hook() as hook, opened(tmp_path / "store", hook.channel(events=BOTH)) as store:
        settings = store.core.settings
        store.core.settings = replace(settings, backups=replace(settings.backups, leftover_age=0.0))
        assert prune(store.core).interrupted == 1
        sender_of(store.core).close()
    ((_, posted),) = hook.got
    assert json.loads(posted)["facts"]["error"] == "its process died while it was made"


def test_a_store_that_is_closed_meanwhile(tmp_path, caplog):
    """What is still to be sent is sent; that it was cannot be noted any more."""
    with Hook("slow") as hook:
        with opened(tmp_path / "store", hook.channel(events=BOTH)) as store:
            with store.run("job"):
                pass
            with store.safeguard(runs(store, "job")):
                pass
            sender = sender_of(store.core)
        sender.close()
    assert [json.loads(body)["kind"] for _, body in hook.got] == ["backup_ready"]
    assert "could not" not in caplog.text


def test_one_that_is_found_damaged_is_told(tmp_path):
    """It was ready, and guards nothing any more."""
    (tmp_path / "a").write_bytes(os.urandom(3_000_000))
    with Hook() as hook, opened(tmp_path / "store", hook.channel(events=BOTH)) as store:
        with store.safeguard(tmp_path / "a") as backup:
            pass
        for pack in (tmp_path / "store" / "packs").glob("*/*"):
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 1
            pack.chmod(0o600)
            pack.write_bytes(data)
        with pytest.raises(Damaged):
            store.backup(backup.id).verify()
        sender_of(store.core).close()
    assert [json.loads(body)["kind"] for _, body in hook.got] == ["backup_ready", "backup_failed"]


def test_an_event_that_there_is_not():
    with pytest.raises(ValueError, match="events is one of health, backup_ready, backup_failed, not 'backups'"):
        mail(1, "none", events=("backups",))
