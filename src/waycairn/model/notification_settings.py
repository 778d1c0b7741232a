"""Section `notifications`: whom to tell when health changes or a backup is made, how, and how often."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from waycairn.model.units import Duration

Priority = Literal["info", "warning", "critical"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
"""From the least to the most."""
Kind = Literal["webhook", "smtp", "command"]
Security = Literal["starttls", "tls", "none"]
Topic = Literal["health", "backup_ready", "backup_failed"]
TOPICS: tuple[Topic, ...] = get_args(Topic)
"""What channels are told about."""
_NEEDS: dict[Kind, tuple[str, ...]] = {"webhook": (), "smtp": ("host", "sender", "to"), "command": ("argv",)}
_OF_KIND: dict[Kind, frozenset[str]] = {
    "webhook": frozenset({"url", "url_env", "secret_env"}),
    "smtp": frozenset({"host", "port", "security", "user", "password_env", "sender", "to"}),
    "command": frozenset({"argv"}),
}
SCHEMES = ("http://", "https://")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One way to tell somebody. Secrets are named by the environment variable that holds them, never written here."""

    name: str
    """As `waycairn notify test NAME` calls it."""
    kind: Kind
    """webhook: JSON by POST; smtp: e-mail; command: a program that reads JSON on standard input."""
    minimum: Priority = "warning"
    """Less important ones of health are not sent here: info, warning, critical."""
    events: Sequence[Topic] = ("health",)
    """What it is told of: health, backup_ready, backup_failed."""
    timeout: Duration = 10.0
    """How long one try may take."""
    url: str = ""
    """webhook: http:// or https://."""
    url_env: str = ""
    """webhook: instead of url the variable that holds it, where the address itself is a secret."""
    secret_env: str = ""
    """webhook: the variable with the key that the body is signed with (header X-Waycairn-Signature); empty: not signed."""
    host: str = ""
    """smtp: the server."""
    port: int = 0
    """smtp: 0 for the usual one: 587 with starttls, 465 with tls, 25 with none."""
    security: Security = "starttls"
    """smtp: starttls, tls, or none (then no password is sent)."""
    user: str = ""
    """smtp: who logs in; empty: nobody."""
    password_env: str = ""
    """smtp: the variable with the password of that user."""
    sender: str = ""
    """smtp: the address it comes from."""
    to: Sequence[str] = ()
    """smtp: the addresses it goes to."""
    argv: Sequence[str] = ()
    """command: the program and its arguments; no shell sees them."""

    def __post_init__(self) -> None:
        where = f"channel {self.name!r}"
        if not self.name:
            raise ValueError("name: a channel needs one")
        _one_of(where, "kind", self.kind, tuple(_NEEDS))
        _one_of(where, "minimum", self.minimum, PRIORITIES)
        _one_of(where, "security", self.security, get_args(Security))
        for topic in self.events:
            _one_of(where, "events", topic, TOPICS)
        if not self.timeout > 0:
            raise ValueError(f"{where}: timeout is seconds above 0, not {self.timeout!r}")
        for name in _NEEDS[self.kind]:
            if not getattr(self, name):
                raise ValueError(f"{where}: {name} is missing, and a {self.kind} needs it")
        self._refuse_of_others(where)
        if self.kind == "webhook":
            self._check_address(where)
        for name in ("url_env", "secret_env", "password_env"):
            variable = getattr(self, name)
            if variable and not _VARIABLE.fullmatch(variable):
                raise ValueError(f"{where}: {name} is the name of an environment variable, never the secret itself")
        if self.security == "none" and self.user:
            raise ValueError(
                f"{where}: user without security would send the password in the clear; use starttls or tls"
            )

    def _check_address(self, where: str) -> None:
        if not self.url and not self.url_env:
            raise ValueError(f"{where}: url is missing, and a webhook needs it (or url_env)")
        if self.url and self.url_env:
            raise ValueError(f"{where}: url and url_env are two ways to say the same; give one")
        if self.url and not self.url.startswith(SCHEMES):
            raise ValueError(f"{where}: url begins with http:// or https://")

    def _refuse_of_others(self, where: str) -> None:
        others = frozenset().union(*_OF_KIND.values()) - _OF_KIND[self.kind]
        for one in fields(self):
            if one.name in others and getattr(self, one.name) != one.default:
                raise ValueError(f"{where}: {one.name} is no setting of a {self.kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettings:
    """Whom to tell when health changes or a backup is made, how, and how often."""

    channels: Sequence[ChannelSettings] = ()
    """Who is told; by default nobody."""
    throttle: Duration = 3600.0
    """The time in which the same issue is told once; what was held back is told in one digest afterwards."""
    attempts: int = 4
    """Tries of one delivery."""
    backoff: Duration = 2.0
    """The pause before the second try; each further one is twice as long, a minute at most."""
    most_waiting: int = 100
    """Notifications that wait to be sent; the oldest of the least important are dropped beyond that, and counted."""

    def __post_init__(self) -> None:
        for name, least in (("throttle", 0), ("attempts", 1), ("backoff", 0), ("most_waiting", 1)):
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is a number from {least}, not {getattr(self, name)!r}")
        names = [channel.name for channel in self.channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channels: {', '.join(twice)} is there twice; each has a name of its own")


def _one_of(where: str, name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{where}: {name} is one of {', '.join(allowed)}, not {value!r}")
