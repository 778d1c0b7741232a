"""What can be read out of a book by counting: pure functions, text in, plain values out.

Everything is deterministic: ties are broken by the alphabet, and nothing depends on the order of a set.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeVar

Value = TypeVar("Value", int, float)
WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"""(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)[.!?]+["')]*(?=\s+["'(]?[A-Z])""")
_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2014": "--", "\u2013": "-"})
_HEADER = re.compile(r"\*\*\* ?START OF TH(?:E|IS) .*?\*\*\*", re.DOTALL)
_FOOTER = re.compile(r"\*\*\* ?END OF TH(?:E|IS) ")
_BLANK_LINES = re.compile(r"\n\s*\n")
_IN_WORD = re.compile(r"[\w-]")
_SPACES = re.compile(r"\s+")
_TITLES = frozenset({"Mrs", "Miss", "Mister", "Sir", "Lord", "Lady", "Aunt", "Uncle"})
_VOWELS = re.compile(r"[aeiouy]+")

FUNCTION_WORDS = frozenset(
    WORD.findall(
        "a about after again all am an and any are as at be because been before being but by came can come could did "
        "do does down each even ever every first for from get go good got had has have he her here him himself his how "
        "i if in into is it its itself just know like little made make man many may me might more most much must my "
        "myself never no nor not nothing now of off oh old on once one only or other our out over own quite said same "
        "say see shall she should so some something still such than that the their them then there these they thing "
        "think this those though thought through till time to too two under up upon us very was way we well went were "
        "what when where which while who whom whose why will with without would yes yet you your don't i'll i'm it's "
        "didn't"
    )
)
"""Words too common in any English text to tell one book from another."""


@dataclass(frozen=True)
class Measures:
    """One book in numbers."""

    words: int
    sentences: int
    distinct: int
    """Different words."""
    once: int
    """Words that occur a single time (hapax legomena)."""
    richness: float
    """MTLD: how many words pass, on average, until only 72 % of them are new. Independent of the book's length."""
    ease: float
    """Flesch reading ease: 90 is a children's book, 30 a scientific paper."""
    dialogue: float
    """Share of the words that is spoken by somebody, 0 to 1."""
    longest: str
    """The longest sentence."""


def clean(text: str) -> list[str]:
    """The paragraphs of a plain-text book: without the lines around it, with plain quotes and single spaces."""
    if start := _HEADER.search(text):
        text = text[start.end() :]
    if end := _FOOTER.search(text):
        text = text[: end.start()]
    text = text.lstrip("\ufeff").replace("\r\n", "\n").translate(_PLAIN).replace("_", "")
    blocks = (_SPACES.sub(" ", block).strip() for block in _BLANK_LINES.split(text))
    return [block for block in blocks if WORD.search(block)]


def sections(paragraphs: Sequence[str], size: int) -> list[str]:
    """Neighbouring paragraphs, one a line, in sections of about `size` words."""
    found: list[str] = []
    here: list[str] = []
    count = 0
    for paragraph in paragraphs:
        here.append(paragraph)
        count += len(WORD.findall(paragraph))
        if count >= size:
            found.append("\n".join(here))
            here, count = [], 0
    if here:
        found.append("\n".join(here))
    return found


def sentences(text: str) -> list[str]:
    """The sentences of a text; none goes over the end of a line, which is the end of a paragraph."""
    found = []
    for line in text.splitlines():
        start = 0
        for end in _SENTENCE_END.finditer(line):
            found.append(line[start : end.end()].lstrip())
            start = end.end()
        found.append(line[start:].lstrip())
    return [sentence for sentence in found if WORD.search(sentence)]


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def measure(parts: Sequence[str]) -> Measures:
    """All numbers of one book, given as its sections."""
    text = "\n".join(parts)
    spoken, said = words(text), sentences(text)
    counts = Counter(spoken)
    per_sentence = len(spoken) / len(said)
    per_word = sum(syllables(word) * count for word, count in counts.items()) / len(spoken)
    return Measures(
        words=len(spoken),
        sentences=len(said),
        distinct=len(counts),
        once=sum(count == 1 for count in counts.values()),
        richness=round((mtld(spoken) + mtld(spoken[::-1])) / 2, 1),
        ease=round(206.835 - 1.015 * per_sentence - 84.6 * per_word, 1),
        dialogue=round(dialogue_share(text.splitlines()), 3),
        longest=max(said, key=lambda sentence: (len(WORD.findall(sentence)), sentence)),
    )


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e at the end: right for nine English words in ten."""
    groups = len(_VOWELS.findall(word))
    if word.endswith("e") and not word.endswith("le") and groups > 1:
        groups -= 1
    return max(1, groups)


def mtld(tokens: Iterable[str], threshold: float = 0.72) -> float:
    """Measure of textual lexical diversity, in one direction (McCarthy and Jarvis 2010)."""
    factors, total = 0.0, 0
    seen: set[str] = set()
    length = 0
    for token in tokens:
        total += 1
        length += 1
        seen.add(token)
        if len(seen) / length <= threshold:
            factors += 1
            seen.clear()
            length = 0
    if length:
        factors += (1 - len(seen) / length) / (1 - threshold)
    return total / factors if factors else float(total)


def dialogue_share(paragraphs: Sequence[str]) -> float:
    """Share of the characters between quotes. The mark is the one that most paragraphs of the book open with:
    double quotes, single quotes, or the dash of Joyce, whose spoken paragraphs have no end mark."""
    marks = Counter({'"': 0, "'": 0, "--": 0})
    for paragraph in paragraphs:
        for mark in marks:
            marks[mark] += paragraph.startswith(mark)
    mark = max(marks, key=lambda name: marks[name])
    whole = sum(map(len, paragraphs))
    if mark == "--":
        return sum(len(line) for line in paragraphs if line.startswith(mark)) / whole
    opening = re.compile(rf"(?<!\w){mark}.+?(?:{mark}(?!\w)|$)")
    return sum(len(match) for line in paragraphs for match in opening.findall(line)) / whole


def names(text: str, most: int = 40) -> dict[str, int]:
    """Capitalised words that stand inside a sentence and are hardly ever written small: people and places."""
    small = Counter(word for word in WORD.findall(text) if word.islower())
    inside: Counter[str] = Counter()
    for sentence in sentences(text):
        found = WORD.findall(sentence)
        inside.update(word.removesuffix("'s") for word in found[1:] if word.istitle() and len(word) > 2)
    kept = {
        name: count
        for name, count in inside.items()
        if count >= 3 and small[name.lower()] * 4 < count and name not in _TITLES and name.lower() not in FUNCTION_WORDS
    }
    return top(kept, most)


def phrases(tokens: Sequence[str], most: int = 40) -> dict[str, float]:
    """Neighbouring words that meet far more often than chance would have it (Dunning's log-likelihood, 1993)."""
    counts, pairs = Counter(tokens), Counter(pairwise(tokens))
    total = len(tokens)
    scores = {
        f"{first} {second}": round(_log_likelihood(together, counts[first], counts[second], total), 2)
        for (first, second), together in pairs.items()
        if together >= 4 and first not in FUNCTION_WORDS and second not in FUNCTION_WORDS
    }
    return top(scores, most)


def _log_likelihood(both: int, first: int, second: int, total: int) -> float:
    observed = (both, first - both, second - both, total - first - second + both)
    expected = (
        first * second / total,
        first * (total - second) / total,
        (total - first) * second / total,
        (total - first) * (total - second) / total,
    )
    return 2 * sum(seen * math.log(seen / chance) for seen, chance in zip(observed, expected, strict=True) if seen > 0)


def characteristic(counts: Mapping[str, Mapping[str, int]], most: int) -> dict[str, list[str]]:
    """For each text the words that it uses much and the others hardly: tf-idf over all of them."""
    spread = Counter(word for vocabulary in counts.values() for word in vocabulary)
    found = {}
    for name, vocabulary in counts.items():
        total = sum(vocabulary.values())
        weights = {
            word: count / total * math.log(len(counts) / spread[word])
            for word, count in vocabulary.items()
            if count >= 5 and len(word) > 3 and word not in FUNCTION_WORDS
        }
        found[name] = list(top(weights, most))
    return found


def key_sentences(text: str, most: int) -> list[tuple[float, str]]:
    """The sentences that share most with all others: TextRank (Mihalcea and Tarau 2004), 20 rounds of PageRank."""
    candidates = [sentence for sentence in sentences(text) if 8 <= len(WORD.findall(sentence)) <= 45]
    bags = [frozenset(words(sentence)) - FUNCTION_WORDS for sentence in candidates]
    edges: list[list[tuple[int, float]]] = [[] for _ in bags]
    for (i, left), (j, right) in combinations(enumerate(bags), 2):
        shared = len(left & right)
        if shared and len(left) > 1 and len(right) > 1:
            weight = shared / (math.log(len(left)) + math.log(len(right)))
            edges[i].append((j, weight))
            edges[j].append((i, weight))
    ranks = _page_rank(edges)
    best = sorted(range(len(candidates)), key=lambda i: (-ranks[i], i))[:most]
    return [(round(ranks[i], 4), candidates[i]) for i in best]


def _page_rank(edges: Sequence[Sequence[tuple[int, float]]], damping: float = 0.85) -> list[float]:
    out = [sum(weight for _, weight in neighbours) for neighbours in edges]
    ranks = [1.0] * len(edges)
    for _ in range(20):
        ranks = [
            1 - damping + damping * sum(ranks[j] * weight / out[j] for j, weight in neighbours) for neighbours in edges
        ]
    return ranks


def in_context(keyword: str, text: str, width: int = 44) -> list[tuple[str, str, str]]:
    """Every place of a word, on its line: what stands left of it, the word as written, what stands right of it."""
    spellings = sorted({keyword.lower(), keyword.capitalize(), keyword.upper()})
    places = sorted(place for spelling in spellings for place in _places(spelling, text))
    return [
        (
            text[max(0, start - width) : start].rpartition("\n")[2],
            text[start:end],
            text[end : end + width].partition("\n")[0],
        )
        for start, end in places
    ]


def _places(word: str, text: str) -> Iterator[tuple[int, int]]:
    """Where the word stands alone. A plain search first: it is thirty times faster than a pattern."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if not _IN_WORD.match(text[start - 1 : start]) and not _IN_WORD.match(text[end : end + 1]):
            yield start, end
        start = text.find(word, end)


def delta(left: Mapping[str, int], right: Mapping[str, int], scale: Mapping[str, tuple[float, float]]) -> float:
    """Burrows's Delta (2002): how differently two texts use the commonest words; below 1 is close."""
    left_total, right_total = sum(left.values()), sum(right.values())
    differences = [
        abs(left.get(word, 0) / left_total - right.get(word, 0) / right_total) / deviation
        for word, (_, deviation) in scale.items()
        if deviation
    ]
    return sum(differences) / len(differences) if differences else 0.0


def common_scale(counts: Mapping[str, Mapping[str, int]], most: int) -> dict[str, tuple[float, float]]:
    """The commonest words over all texts, each with the mean and the standard deviation of its share."""
    everything: Counter[str] = Counter()
    for vocabulary in counts.values():
        everything.update(vocabulary)
    totals = {name: sum(vocabulary.values()) for name, vocabulary in counts.items()}
    scale = {}
    for word in top(everything, most):
        shares = [vocabulary.get(word, 0) / totals[name] for name, vocabulary in counts.items()]
        mean = sum(shares) / len(shares)
        scale[word] = (mean, math.sqrt(sum((share - mean) ** 2 for share in shares) / len(shares)))
    return scale


def top(weights: Mapping[str, Value], most: int) -> dict[str, Value]:
    """The heaviest entries, heaviest first."""
    return dict(sorted(weights.items(), key=lambda entry: (-entry[1], entry[0]))[:most])
