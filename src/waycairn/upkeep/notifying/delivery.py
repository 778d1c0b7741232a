"""One try to tell somebody, whichever way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from waycairn.model.notification_settings import ChannelSettings, Kind
from waycairn.upkeep.notifying import command, mail, webhook
from waycairn.upkeep.notifying.notification import Notification

_WAYS: Mapping[Kind, Callable[[ChannelSettings, Notification], None]] = {
    "webhook": webhook.post,
    "smtp": mail.send,
    "command": command.run,
}


def deliver(channel: ChannelSettings, notification: Notification) -> None:
    """Returns when it was taken over by the other side. Raises Undeliverable."""
    _WAYS[channel.kind](channel, notification)
