"""Telling people: what is told, how often, and the ways it goes out."""

from __future__ import annotations

from waycairn.upkeep.notifying.delivery import deliver
from waycairn.upkeep.notifying.notification import Notification, Undeliverable
from waycairn.upkeep.notifying.sender import Sender, note_name, sender_of

__all__ = ["Notification", "Sender", "Undeliverable", "deliver", "note_name", "sender_of"]
