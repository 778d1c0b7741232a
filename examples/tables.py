"""Conversations and their turns in a SQL database."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from dialogues import Conversation, Turn

TABLES = """
PRAGMA foreign_keys = ON;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    scenario TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS turns (
    conversation TEXT NOT NULL REFERENCES conversations (id),
    number INTEGER NOT NULL,
    speaker TEXT NOT NULL CHECK (speaker IN ('user', 'assistant')),
    text TEXT NOT NULL,
    PRIMARY KEY (conversation, number)
);
"""
# Synchronous, because the run may take its cut as soon as a fold ends: then no power cut takes the rows back.

PUT_CONVERSATION = """
INSERT INTO conversations (id, topic, scenario) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET topic = excluded.topic, scenario = excluded.scenario
"""
PUT_TURN = """
INSERT INTO turns (conversation, number, speaker, text) VALUES (?, ?, ?, ?)
ON CONFLICT (conversation, number) DO UPDATE SET speaker = excluded.speaker, text = excluded.text
"""
ALL = """
SELECT id, topic, scenario, number, speaker, text
FROM conversations JOIN turns ON turns.conversation = conversations.id ORDER BY id, number
"""


class Tables:
    """Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def put(self, conversation: Conversation, replies: Sequence[str]) -> None:
        """The prompts with their replies, in one transaction. Put again, it changes nothing but what is different."""
        turns: list[Turn] = []
        for prompt, reply in zip(conversation.prompts(), replies, strict=True):
            turns += Turn("user", prompt), Turn("assistant", reply)
        rows = [(conversation.id, number, turn.speaker, turn.text) for number, turn in enumerate(turns)]
        with self._database:
            self._database.execute(PUT_CONVERSATION, (conversation.id, conversation.topic, conversation.scenario))
            self._database.executemany(PUT_TURN, rows)

    def digest(self) -> tuple[int, str]:
        """How many turns there are, and the SHA-256 of everything that the tables hold."""
        turns = 0
        found = hashlib.sha256()
        for row in self._database.execute(ALL):
            turns += 1
            found.update(repr(row).encode())
        return turns, found.hexdigest()
