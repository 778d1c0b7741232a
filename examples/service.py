"""A stand-in for a service that replies: it takes its time, it is overloaded now and then, and it refuses some.

Which conversation meets what fate is decided by its id, so that every pass over them meets the same. Each call leaves a
line in a log, as it would on the bill of a real service.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dialogues import Conversation
from replying import Replier

REFUSED = 0.04
"""Share of the conversations that the service does not take until it has recovered."""
OVERLOADED = 0.16
"""Share of the others for which it is overloaded at first: at the first call, or at the first two."""


class Refused(Exception):
    """The service does not take this conversation, however often it is asked."""


class Overloaded(Exception):
    """The service is overloaded. It may reply to the next call."""


@dataclass(frozen=True)
class Answer:
    replies: tuple[str, ...]
    """One for each prompt, in their order."""


@dataclass(frozen=True)
class Service:
    """Threads and coroutines may share it, and processes get copies: all it remembers stands in the log."""

    replier: Replier
    log: Path
    latency: float
    """Seconds a call takes on average."""
    has_recovered: bool = False

    def answer(self, conversation: Conversation) -> Answer:
        """A reply to each prompt. Raises Refused and Overloaded."""
        self._receive(conversation)
        time.sleep(self._seconds(conversation))
        return self._generate(conversation)

    async def answer_async(self, conversation: Conversation) -> Answer:
        """As `answer`, for an event loop."""
        self._receive(conversation)
        await asyncio.sleep(self._seconds(conversation))
        return self._generate(conversation)

    def calls(self) -> Counter[str]:
        """How often each conversation was sent here, by its id."""
        return Counter(self.log.read_text("utf-8").splitlines()) if self.log.exists() else Counter()

    def _receive(self, conversation: Conversation) -> None:
        line = f"{conversation.id}\n".encode()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(log, line)  # one write, which no kill divides
        finally:
            os.close(log)

    def _seconds(self, conversation: Conversation) -> float:
        return self.latency * (0.5 + _share("seconds", conversation.id))

    def _generate(self, conversation: Conversation) -> Answer:
        fate = _share("fate", conversation.id)
        if fate < REFUSED and not self.has_recovered:
            raise Refused("the service does not take this conversation")
        if REFUSED <= fate < REFUSED + OVERLOADED:
            calls = 1 if fate < REFUSED + OVERLOADED / 2 else 2
            if self.calls()[conversation.id] <= calls:
                raise Overloaded("the service is overloaded")
        return Answer(tuple(map(self.replier.reply, conversation.prompts())))


def _share(what: str, name: str) -> float:
    """A number from 0 to 1 that looks random and is the same every time."""
    return int.from_bytes(hashlib.sha256(f"{what} {name}".encode()).digest()[:8], "big") / 2**64
