"""Downloads by themselves: who waits for whom."""

import anyio

from backups_served import told
from waycairn.backups.catalogue import find, open_contents
from waycairn.backups.searching import search
from waycairn.server.backup_haste import Hasty
from waycairn.server.downloads import Download
from waycairn.server.ranges import Span


def test_who_takes_nothing_is_let_go():
    """In its time; what it was read from is closed."""
    was_closed, taken = [], []

    def pieces():
        try:
            yield from (b"x" * 300_000 for _ in range(3))
        finally:
            was_closed.append(True)

    async def send(message):
        taken.append(message["type"])
        if len(taken) > 2:
            await anyio.sleep_forever()

    answer = Download(pieces, Span(0, 900_000, 900_000, is_part=False), {}, "text/plain", patience=0.05)
    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(answer, {"type": "http"}, anyio.sleep_forever, send)
    assert (taken, was_closed) == (["http.response.start", "http.response.body", "http.response.body"], [True])


def test_a_search_that_takes_too_long_tells_what_it_found(scene, monkeypatch):
    """And that it was cut."""
    id_ = told(scene.store, {"a": [b"words\n"], "b": [b"words\n"]})
    contents = open_contents(scene.store.core, find(scene.store.core, id_))
    assert len(list(search(Hasty(contents), "words"))) == 2
    monkeypatch.setattr("waycairn.server.routes.backup_contents.Hasty", lambda contents: Hasty(contents, -1.0))
    assert scene.olga.get(f"/backups/{id_}/search?text=words").json() == {"hits": [], "cut": True}
