"""Replies without a network: what was said in similar places, said anew.

A Replier learns from conversations which prompts there were (an index, searched with BM25) and how assistants go on
(trigrams with back-off). It draws a reply word by word, by chances that are seeded with the prompt: the same prompt
gets the same reply, in every process.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from dialogues import Conversation

SIMILAR = 12
"""Prompts whose replies a new reply is made from."""
WEIGHT = 20
"""How much more a word counts that followed in one of these than one that followed anywhere."""
EVIDENCE = 3
"""How often a pair of words must have occurred to say alone what follows it."""
LONGEST = 40
"""Words of a reply."""
_WORD = re.compile(r"[a-z0-9]+(?:['\u2019][a-z]+)?")
_END = ""


class Index:
    """Texts, found by the words that they share with a query, the rare ones first: BM25 (Robertson and Walker 1994)."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_WORD.findall(text.lower())) for text in texts]
        lengths = [count.total() for count in counts]
        usual = sum(lengths) / max(1, len(lengths)) or 1.0
        self._places: dict[str, dict[int, float]] = defaultdict(dict)
        for number, count in enumerate(counts):
            damping = 1.2 * (0.25 + 0.75 * lengths[number] / usual)
            for word, times in count.items():
                self._places[word][number] = times * 2.2 / (times + damping)
        self._size = len(texts)

    def nearest(self, query: str, most: int) -> list[int]:
        """The numbers of the best texts, the best first; of equals the earlier."""
        scores: dict[int, float] = defaultdict(float)
        for word in _WORD.findall(query.lower()):
            places = self._places.get(word, {})
            rarity = math.log1p((self._size - len(places) + 0.5) / (len(places) + 0.5))
            for number, weight in places.items():
                scores[number] += rarity * weight
        return sorted(scores, key=lambda number: (-scores[number], number))[:most]


class Trigrams:
    """Which words followed one or two others, and how often."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._follows: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            words = [_END, _END, *text.split(), _END]
            for first, second, third in zip(words, words[1:], words[2:], strict=False):
                self._follows[first, second][third] += 1
                self._follows[(second,)][third] += 1

    def after(self, *words: str) -> Counter[str]:
        return self._follows.get(words, Counter())


class Replier:
    """Learns once, replies to anything. It keeps nothing between two replies, so threads may share it."""

    def __init__(self, conversations: Iterable[Conversation]) -> None:
        pairs = [
            (said.text, answered.text)
            for conversation in conversations
            for said, answered in pairwise(conversation.turns)
            if (said.speaker, answered.speaker) == ("user", "assistant")
        ]
        self._index = Index([said for said, _ in pairs])
        self._replies = [answered for _, answered in pairs]
        self._everywhere = Trigrams(self._replies)

    def reply(self, prompt: str) -> str:
        near = Trigrams(self._replies[number] for number in self._index.nearest(prompt, SIMILAR))
        chance = random.Random(int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8], "big"))
        words = [_END, _END]
        while len(words) < LONGEST + 2:
            follows = self._follows(near, words[-2], words[-1])
            (word,) = chance.choices(list(follows), list(follows.values()))
            if word == _END:
                break
            words.append(word)
        return " ".join(words[2:])

    def _follows(self, near: Trigrams, first: str, second: str) -> Counter[str]:
        """What may come next, by how much it counts; after a rare pair the second word alone decides."""
        for words in ((first, second), (second,)):
            follows = self._everywhere.after(*words).copy()
            for word, times in near.after(*words).items():
                follows[word] += WEIGHT * times
            if follows.total() >= EVIDENCE:
                break
        return follows
