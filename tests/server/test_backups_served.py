"""Backups from a server that is a process: odd names, damage on the way, memory, clients that go away, and who watches."""

import hashlib
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from backups_served import told
from serving import add_people, served, token_for, until
from told import Hook
from waycairn.process import acting
from waycairn.work.store import open_store

MIB = 1 << 20
NAMES = {"Übergröße 日本.txt": b"1", "a b/c%2Fd?e#f": b"2", 'quo"te\r\nX-Bad: 1': b"3", "folder/": b"", "empty": b""}


def damage(store, data):
    """The place in some pack where these bytes lie."""
    for pack in (store / "packs").glob("*/*"):
        held = bytearray(pack.read_bytes())
        at = held.find(data)
        if at >= 0:
            held[at : at + len(data)] = bytes(len(data))
            pack.chmod(0o600)
            pack.write_bytes(held)
            return
    raise AssertionError("it lies nowhere")


@pytest.fixture(scope="module")
def hook():
    with Hook() as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory, hook):
    """A process, with a token of olga for it; the store is open here, too."""
    with open_store(tmp_path_factory.mktemp("served") / "store") as store:
        add_people(store)
        secret = token_for(store, "olga")
        channel = {"name": "hook", "kind": "webhook", "url": hook.url, "events": ["backup_ready"]}
        with (
            served(store.url, WAYCAIRN_NOTIFICATIONS__CHANNELS=json.dumps([channel])) as found,
            httpx.Client(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as http,
        ):
            yield store, found, http


def memory(pid, what):
    return int(re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) * 1024


def test_names_that_an_address_or_a_header_cannot_have(server):
    """Each is had under its own, is saved under its last part, and is never shown by a browser."""
    store, process, http = server
    id_ = told(store, {name: [data] if data else [] for name, data in NAMES.items()})
    for name, data in NAMES.items():
        answer = http.get(f"{process.api}/backups/{id_}/members/{quote(name, safe='/')}")
        assert (answer.status_code, answer.content) == (200, data), name
        said = answer.headers["content-disposition"]
        last = quote(name.rstrip("/").rpartition("/")[2], safe="")
        assert re.fullmatch(r"attachment; filename=\"[\w.-]+\"; filename\*=UTF-8''" + re.escape(last), said)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "x-bad" not in answer.headers


def test_what_is_damaged_is_not_sent(server):
    """Before the first byte it is a problem; later the connection ends, and all that came is as it was exported. The restore
    refuses, too, and the row says so once it was verified."""
    store, process, http = server
    pieces = [hashlib.shake_256(bytes([number])).digest(4 * MIB) for number in range(8)]
    whole = b"".join(pieces)
    id_ = told(store, {"big": pieces})
    damage(Path(store.url), pieces[5][2 * MIB : 2 * MIB + 64])
    url = f"{process.api}/backups/{id_}"
    for path, start, least in (
        ("members/big", 0, 16 * MIB),
        ("members/big", 7 * MIB + 5, 8 * MIB),
        ("archive", 0, 16 * MIB),
    ):
        got = b""
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):  # noqa: SIM117
            with http.stream("GET", f"{url}/{path}", headers={"Range": f"bytes={start}-"}) as answer:
                assert answer.status_code == 206
                for piece in answer.iter_raw():
                    got += piece
        expected = whole[start:] if path != "archive" else got[:512] + whole
        assert least <= len(got) < 20 * MIB + 512
        assert expected.startswith(got)
    at_once = http.get(f"{url}/members/big", headers={"Range": f"bytes={22 * MIB}-"})
    assert (at_once.status_code, at_once.json()["title"]) == (500, "Damaged")
    assert http.get(f"{url}/members/big", headers={"Range": "bytes=-1000"}).content == whole[-1000:], "what is intact"
    verified = http.post(f"{url}/verify").json()["id"]
    job = until(lambda: (one := http.get(f"{process.api}/jobs/{verified}").json())["state"] == "failed" and one, 60)
    assert job["error"]["title"] == "Damaged"
    assert http.get(url).json()["state"] == "failed"
    assert http.post(f"{url}/restore", json={}).status_code == 409
    ends = [row.entry for row in store.core.catalog.audit_after(0) if row.entry.act == "backup.extract"]
    assert sum(one.outcome == "failed" and "Damaged" in one.facts["error"] for one in ends) == 4


def test_a_large_member_takes_little_memory_and_who_goes_away_is_let_go(server):
    """By the piece, for several at once; what a client does not read is not read either, and it is written down what it got."""
    store, process, http = server
    block = hashlib.shake_256(b"block").digest(MIB)
    size = 256 * MIB
    id_ = told(store, {"large": (block for _ in range(size // MIB))})
    url = f"{process.api}/backups/{id_}/members/large"
    http.get(url, headers={"Range": "bytes=0-9"})
    before = memory(process.process.pid, "VmRSS")
    Path(f"/proc/{process.process.pid}/clear_refs").write_text("5")  # the peak begins anew

    def download(start):
        found = 0
        with http.stream("GET", url, headers={"Range": f"bytes={start}-"}) as answer:
            for number, piece in enumerate(answer.iter_raw(MIB)):
                found += len(piece)
                assert number or piece[:64] == (block * 2)[start : start + 64]
        return found

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(download, (0, 1))) == [size, size - 1]
    assert memory(process.process.pid, "VmHWM") - before < 60 * MIB

    at = urlsplit(process.url)
    with socket.create_connection((at.hostname, at.port)) as connection:
        lines = [
            f"GET {urlsplit(url).path} HTTP/1.1",
            f"Host: {at.netloc}",
            f"Authorization: {http.headers['authorization']}",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(15) == b"HTTP/1.1 200 OK"

    def cut_off():
        rows = [row.entry for row in store.core.catalog.audit_after(0) if row.entry.facts.get("cut_off")]
        return rows and rows[0].facts["sent"]

    assert until(cut_off, 60) < 64 * MIB
    assert http.get(f"{process.api}/session").status_code == 200


def test_those_who_watch_are_told(server, hook):
    """Of each stage of a job, and how the backup stands after it; and those who asked for it that it is ready."""
    store, process, http = server
    with acting("olga"), store.run("watched") as run:
        pass
    heard, listening = [], threading.Event()

    def listen():
        with http.stream("GET", f"{process.api}/events") as answer:
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                    listening.set()
                elif name == "data":
                    heard.append((kind, json.loads(value)))
                    if kind == "job" and heard[-1][1]["state"] in {"done", "failed"}:
                        return

    watcher = threading.Thread(target=listen)
    watcher.start()
    assert listening.wait(10)
    id_ = http.post(f"{process.api}/backups", json={"source": {"kind": "runs", "runs": [run.id]}}).json()["id"]
    watcher.join(60)
    assert not watcher.is_alive()
    jobs = [data["state"] for kind, data in heard if kind == "job" and data["id"] == id_]
    assert (jobs[0], jobs[-1]) == ("waiting", "done")
    states = [one["state"] for kind, data in heard if kind == "backups" for one in data["backups"]]
    assert (states[0], states[-1]) == ("exporting", "verified")
    (posted,) = until(lambda: hook.got, 60)
    document = json.loads(posted[1])
    assert (document["kind"], document["facts"]["owner"]) == ("backup_ready", "olga")
    assert all("may_touch" not in one for kind, data in heard if kind == "backups" for one in data["backups"])


def test_what_others_make_is_told_too(server):
    """By the command line, or another server; once each time that it changes."""
    store, process, http = server
    heard = []
    with http.stream("GET", f"{process.api}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: hello"
        id_ = told(store, {"m": [b"x"]}, owner="ada")
        kind = ""
        for line in lines:
            name, _, value = line.partition(": ")
            kind = value if name == "event" else kind
            if name == "data" and kind == "backups":
                heard += [one for one in json.loads(value)["backups"] if one["id"] == id_]
                if heard and heard[-1]["pinned"]:
                    break
                if heard and len(heard) == 1:
                    store.backup(id_).pin()
    assert [(one["state"], one["pinned"]) for one in heard][-1] == ("verified", True)
    assert len(heard) <= 3
