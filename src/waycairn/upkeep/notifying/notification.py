"""What is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from waycairn.model.notification_settings import PRIORITIES, ChannelSettings, Priority
from waycairn.upkeep.sizes import iso
from waycairn.world.randomness import new_nonce

VERSION = 1
"""Of the JSON document that webhooks and commands get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    kind: Literal["issue", "status", "digest", "test", "backup_ready", "backup_failed"]
    priority: Priority
    subject: str
    """One line."""
    text: str
    store: str
    """The address, without a password."""
    at: float
    """Seconds since 1970."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON values."""
    id: str = field(default_factory=new_nonce)
    """The same for each try of one delivery: who gets it twice can tell."""

    def goes_to(self, channel: ChannelSettings) -> bool:
        """Who asked to be told of backups is told of each, however important."""
        if self.kind in {"backup_ready", "backup_failed"}:
            return self.kind in channel.events
        return "health" in channel.events and PRIORITIES.index(self.priority) >= PRIORITIES.index(channel.minimum)

    def document(self) -> bytes:
        """As JSON in UTF-8."""
        facts = {
            "version": VERSION,
            "id": self.id,
            "at": iso(self.at),
            "kind": self.kind,
            "priority": self.priority,
            "subject": self.subject,
            "text": self.text,
            "store": self.store,
            "facts": dict(self.facts),
        }
        return json.dumps(facts, default=str).encode()


class Undeliverable(Exception):
    """One try failed. `is_final`: another one would fail, too. Never holds a secret."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final
