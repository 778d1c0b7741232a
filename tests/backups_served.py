"""Backups as tests ask a server for them."""

from __future__ import annotations

from typing import Any

from serving import Client, Scene, ended
from waycairn.model.backups import Count
from waycairn.process import acting
from waycairn.work.store import Store


class Told:
    """A source of one's own: members from memory, given by their pieces."""

    kind, label = "told", "what was told"

    def __init__(self, members: dict[str, list[bytes]]) -> None:
        self._members = members

    def describe(self) -> dict[str, Any]:
        return {"members": sorted(self._members)}

    def count(self) -> Count:
        return Count(records=len(self._members))

    def export(self, target: Any, before: Any) -> None:
        for name, pieces in self._members.items():
            with target.member(name) as member:
                for piece in pieces:
                    member.write(piece)

    def delete(self, contents: Any) -> None: ...

    def restore(self, contents: Any, wish: Any) -> Any: ...


def told(store: Store, members: dict[str, list[bytes]], owner: str = "olga") -> str:
    """The id of a backup of that account."""
    with acting(owner), store.safeguard(Told(members)) as backup:
        return backup.id


def backed_up(scene: Scene, run: str, by: Client | None = None) -> dict[str, Any]:
    """A backup of a run, made by the API, as it answers."""
    client = by or scene.olga
    job = ended(client, client.post("/backups", json={"source": {"kind": "runs", "runs": [run]}}))
    assert job["state"] == "done", job
    return client.get(f"/backups/{job['result']['backup']}").json()
