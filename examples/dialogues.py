"""Conversations in a file, one a line, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Turn:
    speaker: str
    """`user` or `assistant`."""
    text: str


@dataclass(frozen=True)
class Conversation:
    id: str
    topic: str
    scenario: str
    """What the two were asked to talk about."""
    turns: tuple[Turn, ...]

    def prompts(self) -> list[str]:
        """What the user says."""
        return [turn.text for turn in self.turns if turn.speaker == "user"]


def read(path: Path) -> list[Conversation]:
    """All conversations of a file, in its order."""
    with path.open(encoding="utf-8") as lines:
        return [_conversation(json.loads(line)) for line in lines]


def _conversation(row: dict[str, str | list[dict[str, str]]]) -> Conversation:
    match row:
        case {
            "conversation_id": str(name),
            "vertical": str(topic),
            "scenario": str(scenario),
            "utterances": list(said),
        }:
            return Conversation(name, topic, scenario, tuple(Turn(one["speaker"], one["text"]) for one in said))
    raise ValueError(f"this is no conversation: {str(row)[:80]}")
