"""`waycairn notify`: whom health tells, and whether that works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import BAD_USE, FAILED, Face, Refused

if TYPE_CHECKING:
    from waycairn.model.notification_settings import ChannelSettings
    from waycairn.work.store import Store


def try_out(
    face: Face,
    channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Only this one.", show_default=False)] = None,
) -> int:
    """Send a test to every channel, or to one, whatever its minimum: one try each. Exit code 1 if one failed."""
    with face.open() as store:
        outcomes = [(one, _try(store, one)) for one in _channels(store, channel)]
    if face.as_json:
        face.document({"channels": [{"name": one.name, "kind": one.kind, "error": error} for one, error in outcomes]})
    else:
        for one, error in outcomes:
            face.line(f"{one.name} ({one.kind}): {error or 'delivered'}", "bold red" if error else "")
    return FAILED if any(error for _, error in outcomes) else 0


def _channels(store: Store, name: str | None) -> list[ChannelSettings]:
    channels = list(store.core.settings.notifications.channels)
    found = [one for one in channels if name in (None, one.name)]
    if not found:
        there = ", ".join(one.name for one in channels) or "none; set them in the section notifications"
        raise Refused(f"there is no channel {name!r}; these are: {there}" if name else f"channels: {there}", BAD_USE)
    return found


def _try(store: Store, channel: ChannelSettings) -> str | None:
    """What went wrong."""
    from waycairn.upkeep.notifying import Notification, Undeliverable, deliver

    said = "This is a test: notifications of waycairn arrive here."
    notification = Notification(
        kind="test", priority="info", subject="a test", text=said, store=store.url, at=store.core.clock.now()
    )
    try:
        deliver(channel, notification)
    except Undeliverable as error:
        return str(error)
    return None


def list_channels(face: Face) -> None:
    """List the channels that are set, without their secrets, and what came of the last delivery of each."""
    from waycairn.cli.output import without_passwords

    with face.open() as store:
        rows = [(one, _last(store, one)) for one in store.core.settings.notifications.channels]
    if face.as_json:
        face.document({"channels": [{**_facts(one), **last} for one, last in rows]})
        return
    if not rows:
        face.line("no channels: nobody is told. Set them in the section notifications")
        return
    columns = ("name", "kind", "minimum", "events", "goes to", "last", "outcome")
    face.table(
        columns,
        [
            (
                one.name,
                one.kind,
                one.minimum,
                ", ".join(one.events),
                without_passwords(_target(one)),
                last["at"] or "",
                _outcome(last),
            )
            for one, last in rows
        ],
        spare=("minimum", "events", "last"),
    )


def _target(channel: ChannelSettings) -> str:
    """Where it goes; of an address of a webhook only the host, as its path may be a secret."""
    if channel.url_env:
        return f"the address in {channel.url_env}"
    if channel.kind == "webhook":
        from urllib.parse import urlsplit

        parts = urlsplit(channel.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"
    return ", ".join(channel.to) if channel.kind == "smtp" else channel.argv[0]


def _facts(channel: ChannelSettings) -> dict[str, Any]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "minimum": channel.minimum,
        "events": list(channel.events),
        "to": _target(channel),
    }


def _last(store: Store, channel: ChannelSettings) -> dict[str, Any]:
    from waycairn.upkeep.notifying import note_name
    from waycairn.upkeep.sizes import iso

    note = store.core.catalog.upkeep_note(note_name(channel))
    facts = note.facts if note else {}
    return {"at": iso(note.at) if note else None, "delivered": facts.get("delivered"), "error": facts.get("error")}


def _outcome(last: dict[str, Any]) -> str:
    if last["at"] is None:
        return "never used"
    return f"failed: {last['error']}" if last["error"] else "delivered"


COMMANDS = (Command("test", try_out), Command("list", list_channels))
