"""Notifications, delivered for real: a server on loopback that gets a POST, a mail server, a program."""

import datetime as dt
import hashlib
import hmac
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from told import Hook, Mailbox, mail, mail_server, opened
from waycairn.cli import notifying
from waycairn.cli.output import Face, Refused
from waycairn.model.notification_settings import ChannelSettings, NotificationSettings
from waycairn.upkeep.notifying import Notification, Sender, Undeliverable, deliver

SAID = Notification(
    kind="issue",
    priority="warning",
    subject="disk: 4 GB of the disk\nare free",
    text="Ünfortunately so.",
    store="/place",
    at=1_800_000_000.0,
    facts={"free_bytes": 4_000_000_000},
)


# -- a webhook ------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_the_document():
    """As JSON, with the id of the delivery."""
    with Hook() as hook:
        deliver(hook.channel(), SAID)
    ((headers, body),) = hook.got
    document = json.loads(body)
    assert document == {
        "version": 1,
        "id": SAID.id,
        "at": "2027-01-15T08:00:00.000Z",
        "kind": "issue",
        "priority": "warning",
        "subject": SAID.subject,
        "text": "Ünfortunately so.",
        "store": "/place",
        "facts": {"free_bytes": 4_000_000_000},
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Waycairn-Delivery"] == SAID.id
    assert "X-Waycairn-Signature" not in headers


def test_a_webhook_is_signed(monkeypatch):
    """Over time and body; who has the secret can check that nobody changed them. The secret itself is never sent."""
    monkeypatch.setenv("HOOK_SECRET", "s3cret words")
    with Hook() as hook:
        deliver(hook.channel(secret_env="HOOK_SECRET"), SAID)
    ((headers, body),) = hook.got
    moment = headers["X-Waycairn-Timestamp"]
    expected = hmac.new(b"s3cret words", moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Waycairn-Signature"] == f"sha256={expected}"
    assert abs(time.time() - int(moment)) < 60
    assert "s3cret" not in str(headers) + body.decode()


def test_an_address_that_is_a_secret(monkeypatch):
    """Is read from its variable; there, too, nothing but http is an address."""
    channel = ChannelSettings(name="hook", kind="webhook", url_env="HOOK_URL")
    with Hook() as hook:
        monkeypatch.setenv("HOOK_URL", hook.url)
        deliver(channel, SAID)
        assert len(hook.got) == 1
    monkeypatch.setenv("HOOK_URL", "file:///etc/passwd")
    with pytest.raises(Undeliverable, match="HOOK_URL does not begin with http") as caught:
        deliver(channel, SAID)
    assert "passwd" not in str(caught.value)


def test_a_secret_that_is_not_set_is_named_and_nothing_is_sent():
    with Hook() as hook, pytest.raises(Undeliverable, match=r"HOOK_SECRET.*is not set") as caught:
        deliver(hook.channel(secret_env="HOOK_SECRET"), SAID)
    assert caught.value.is_final
    assert hook.got == []


@pytest.mark.parametrize(
    ("answer", "said", "is_final"),
    [
        (500, "answered 500", False),
        (429, "answered 429", False),
        (404, "answered 404", True),
        ("file:///etc/passwd", "answered 302: .*not allowed", True),
        ("http://127.0.0.1:1/elsewhere", "answered 302: it redirects", True),
    ],
)
def test_what_is_no_success_is_none(answer, said, is_final):
    """Redirects neither: a POST that follows one loses what it says, or goes where nobody meant it to."""
    with Hook(answer) as hook, pytest.raises(Undeliverable, match=said) as caught:
        deliver(hook.channel(), SAID)
    assert caught.value.is_final is is_final
    assert len(hook.got) == 1


def test_a_webhook_that_does_not_answer_is_given_up():
    """In its time."""
    with Hook("slow") as hook, pytest.raises(Undeliverable, match="no answer: timed out"):
        deliver(hook.channel(timeout=0.1), SAID)
    with pytest.raises(Undeliverable, match=r"no answer: .*refused"):
        deliver(ChannelSettings(name="hook", kind="webhook", url="http://127.0.0.1:1/"), SAID)


# -- e-mail ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Key and certificate of localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_comes_encrypted_and_logged_in(certificate, monkeypatch, security):
    """Whole, to everybody; a line break in the subject begins no header."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", "pa55")
    box = Mailbox()
    with mail_server(box, certificate, is_tls=security == "tls") as port:
        deliver(mail(port, security, user="wc", password_env="MAIL_PASSWORD"), SAID)
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        with pytest.raises(Undeliverable, match="answered 535") as caught:
            deliver(mail(port, security, user="wc", password_env="MAIL_PASSWORD"), SAID)
    assert caught.value.is_final
    assert "wrong" not in str(caught.value)
    ((sender, recipients, content, is_encrypted),) = box.got
    assert (sender, recipients) == ("waycairn@example.org", ["a@example.org", "b@example.org"])
    assert is_encrypted or security == "tls"  # then the server speaks nothing else, and need not say so
    message = message_from_bytes(content)
    assert message["Subject"] == "[waycairn] disk: 4 GB of the disk are free"
    assert message["To"] == "a@example.org, b@example.org"
    text = message.get_payload(decode=True).decode()
    assert "Ünfortunately so." in text
    assert "store: /place" in text


def test_a_certificate_that_does_not_hold_is_an_error(certificate):
    """Nothing is sent."""
    box = Mailbox()
    with mail_server(box, certificate) as port, pytest.raises(Undeliverable, match="CERTIFICATE_VERIFY_FAILED"):
        deliver(mail(port, "starttls"), SAID)
    assert box.got == []


@pytest.mark.parametrize(("answer", "is_final"), [("550 nobody of that name", True), ("451 later", False)])
def test_recipients_that_are_refused(answer, is_final):
    with mail_server(Mailbox(answer)) as port, pytest.raises(Undeliverable, match="every recipient") as caught:
        deliver(mail(port, "none"), SAID)
    assert caught.value.is_final is is_final


# -- a command ------------------------------------------------------------------------------------------------------


def command(program, *arguments, **more):
    return ChannelSettings(
        name="command", kind="command", argv=[sys.executable, "-c", program, *arguments], **{"timeout": 20.0, **more}
    )


def test_a_command_reads_the_document(tmp_path):
    """On its standard input; its arguments are seen by no shell."""
    out = tmp_path / "out; touch hacked"
    deliver(command("import sys; open(sys.argv[1], 'w').write(sys.stdin.read())", str(out)), SAID)
    assert json.loads(out.read_text())["subject"] == SAID.subject
    assert os.listdir(tmp_path) == [out.name]


def test_a_command_that_fails():
    """What it says is told."""
    with pytest.raises(Undeliverable, match="ended with 3: no pager here") as caught:
        deliver(command("import sys; print('no pager', 'here', file=sys.stderr); sys.exit(3)"), SAID)
    assert not caught.value.is_final
    with pytest.raises(Undeliverable, match="cannot be started") as caught:
        deliver(ChannelSettings(name="none", kind="command", argv=["/nowhere/pager"]), SAID)
    assert caught.value.is_final


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    """In its time, whatever holds its output open."""
    pids = tmp_path / "pids"
    program = 'sleep 60 & echo "$$ $!" > "$0.new"; mv "$0.new" "$0"; wait'
    channel = ChannelSettings(name="hangs", kind="command", argv=["sh", "-c", program, str(pids)], timeout=0.7)
    began = time.monotonic()
    with pytest.raises(Undeliverable, match="was killed"):
        deliver(channel, SAID)
    assert time.monotonic() - began < 20
    for pid in pids.read_text().split():
        deadline = time.monotonic() + 10
        while _lives(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not _lives(pid)


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- in the background -----------------------------------------------------------------------------------------------


def failures(store):
    store.core.meter.flush()
    return sum(row.histogram.count for row in store.core.catalog.measured() if row.name == "notify.failures")


def test_it_is_tried_again(tmp_path):
    """With the same id, until it is delivered; each channel gets what is important enough for it."""
    with (
        Hook(500, 503) as hook,
        opened(tmp_path, hook.channel(), replace(hook.channel(), name="b", minimum="critical")) as store,
    ):
        sender = Sender(store.core)
        assert sender.send(SAID) == 1
        assert sender.send(replace(SAID, priority="info")) == 0
        sender._thread.join()
        sender.close()
        assert failures(store) == 0
        assert store.core.catalog.upkeep_note("notify hook").facts == {"delivered": SAID.subject, "error": None}
    assert [headers["X-Waycairn-Delivery"] for headers, _ in hook.got] == [SAID.id] * 3


def test_what_cannot_be_delivered_is_seen(tmp_path, caplog):
    """In the log, in what is measured, in health, in the list of channels; and it held nobody up."""
    with Hook(*[500] * 9) as hook, opened(tmp_path, hook.channel(), attempts=3) as store:
        store.save("value", 1)
        sender = Sender(store.core)
        began = time.monotonic()
        sender.send(SAID)
        assert time.monotonic() - began < 1
        sender._thread.join()
        sender.close()
        assert len(hook.got) == 3
        assert failures(store) == 1
        health = store.health()
        assert [issue.check for issue in health.issues if issue.severity == "warning"] == ["notifications"]
        face = face_of(store)
        notifying.list_channels(face)
        (channel,) = face.said["channels"]
        assert channel["error"] == "it answered 500: Internal Server Error"
        assert channel["to"].startswith("http://127.0.0.1:")
        assert "hook" not in channel["to"]
    assert "channel 'hook' was not told" in caplog.text


def test_what_will_never_be_delivered_is_tried_once(tmp_path):
    with Hook(404) as hook, opened(tmp_path, hook.channel()) as store:
        sender = Sender(store.core)
        sender.send(SAID)
        sender._thread.join()
        assert len(hook.got) == 1
        assert failures(store) == 1
        sender.close()


def test_closing_does_not_wait_for_long(tmp_path):
    """What waits for its next try is given up, and counted."""
    with Hook(*[500] * 9) as hook, opened(tmp_path, hook.channel(), backoff=60.0) as store:
        sender = Sender(store.core)
        sender.send(SAID)
        deadline = time.monotonic() + 10
        while not hook.got and time.monotonic() < deadline:
            time.sleep(0.01)
        began = time.monotonic()
        sender.close()
        assert time.monotonic() - began < 5
        assert failures(store) == 1


def test_too_many_that_wait(tmp_path):
    """The least important ones are dropped, and counted."""
    with Hook("slow") as hook, opened(tmp_path, replace(hook.channel(), minimum="info"), most_waiting=2) as store:
        sender = Sender(store.core)
        sender.send(SAID)
        while sender._waiting:
            time.sleep(0.01)
        for priority in ("critical", "info", "warning"):
            sender.send(replace(SAID, priority=priority, subject=priority))
        sender._thread.join()
        sender.close()
        assert failures(store) == 1
    assert [json.loads(body)["priority"] for _, body in hook.got] == ["warning", "critical", "warning"]


# -- commands of waycairn -----------------------------------------------------------------------------------------------


def face_of(store):
    """A face that collects, over a store that is open already and has these channels."""

    class Collecting(Face):
        @contextmanager
        def open(self, *, create=False):
            yield store

        def document(self, facts):
            self.said.update(facts)

    face = Collecting(as_json=True)
    object.__setattr__(face, "said", {})
    return face


def test_a_test_is_sent_to_every_channel(tmp_path):
    """Whatever its minimum; one that fails is told, with exit code 1."""
    with (
        Hook() as hook,
        opened(tmp_path, replace(hook.channel(), minimum="critical"), command("raise SystemExit(1)")) as store,
    ):
        face = face_of(store)
        assert notifying.try_out(face) == 1
        assert [(one["name"], one["error"]) for one in face.said["channels"]] == [
            ("hook", None),
            ("command", "it ended with 1"),
        ]
        assert notifying.try_out(face, "hook") == 0
        with pytest.raises(Refused, match="no channel 'pager'; these are: hook, command"):
            notifying.try_out(face, "pager")
    assert [json.loads(body)["kind"] for _, body in hook.got] == ["test", "test"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "x", "kind": "webhook"}, "channel 'x': url is missing, and a webhook needs it"),
        ({"name": "x", "kind": "webhook", "url": "file:///etc/passwd"}, "url begins with http"),
        ({"name": "x", "kind": "webhook", "url": "http://a", "argv": ["b"]}, "argv is no setting of a webhook"),
        ({"name": "x", "kind": "webhook", "url": "http://a", "secret_env": "se cret!"}, "never the secret itself"),
        ({"name": "x", "kind": "webhook", "url": "http://a", "url_env": "B"}, "two ways to say the same"),
        ({"name": "x", "kind": "pigeon"}, "kind is one of webhook, smtp, command"),
        ({"name": "x", "kind": "command", "argv": ["a"], "minimum": "high"}, "minimum is one of info"),
        ({"name": "", "kind": "command", "argv": ["a"]}, "name"),
        ({"name": "x", "kind": "command", "argv": ["a"], "timeout": 0}, "timeout is seconds above 0"),
        (
            {"name": "x", "kind": "smtp", "host": "a", "sender": "b", "to": ["c"], "security": "none", "user": "d"},
            "password in the clear",
        ),
    ],
)
def test_channels_that_cannot_be(wrong, said):
    with pytest.raises(ValueError, match=said):
        ChannelSettings(**wrong)


def test_settings_that_cannot_be():
    channel = ChannelSettings(name="x", kind="command", argv=["a"])
    with pytest.raises(ValueError, match="x is there twice"):
        NotificationSettings(channels=[channel, channel])
    with pytest.raises(ValueError, match="attempts is a number from 1"):
        NotificationSettings(attempts=0)
