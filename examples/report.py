"""From what was counted to something a person reads: plain values in, Markdown and JSON out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reading import Measures

THEMES = ("night", "death", "love", "money", "horse", "sea", "garden", "blood")
"""Words whose weight is compared over all books."""


@dataclass(frozen=True)
class Book:
    """One file of the folder; `sha256` says which text was read."""

    file: str
    title: str
    author: str
    year: int
    sha256: str


@dataclass
class Findings:
    """Everything the phases found out, by file name of the book."""

    books: list[Book]
    measures: dict[str, Measures]
    counts: dict[str, dict[str, int]]
    names: dict[str, dict[str, int]]
    phrases: dict[str, dict[str, float]]
    characteristic: dict[str, list[str]]
    key_sentences: dict[str, list[str]]
    distances: dict[str, dict[str, float]]
    concordance: dict[str, int]
    """Keyword to the number of its places."""


def as_json(found: Findings) -> str:
    """All of it, readable by programs; the full word counts are left out, the commonest words stand for them."""
    whole = {
        book.file: {
            "title": book.title,
            "author": book.author,
            "year": book.year,
            "sha256": book.sha256,
            "measures": asdict(found.measures[book.file]),
            "characteristic": found.characteristic[book.file],
            "names": found.names[book.file],
            "phrases": found.phrases[book.file],
            "key_sentences": found.key_sentences[book.file],
            "distances": found.distances[book.file],
        }
        for book in found.books
    }
    document: dict[str, Any] = {"books": whole, "themes": _themes(found), "concordance": found.concordance}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def as_markdown(found: Findings) -> str:
    parts = [
        _head(found),
        _glance(found),
        _theme_table(found),
        _pairs(found),
        *(_one(book, found) for book in found.books),
    ]
    return "\n".join(parts)


def _head(found: Findings) -> str:
    words = sum(measures.words for measures in found.measures.values())
    places = sum(found.concordance.values())
    return (
        f"# {len(found.books)} books, consolidated\n\n"
        f"{words:,} words by {len({book.author for book in found.books})} authors, "
        f"{min(book.year for book in found.books)} to {max(book.year for book in found.books)}. "
        f"The concordance beside this file shows {places:,} places of {len(found.concordance)} words.\n"
    )


def _glance(found: Findings) -> str:
    rows = []
    for book in found.books:
        measures = found.measures[book.file]
        rows.append(
            [
                str(book.year),
                book.title,
                book.author,
                f"{measures.words:,}",
                f"{measures.words / measures.sentences:.1f}",
                f"{measures.richness:.0f}",
                f"{measures.ease:.0f}",
                f"{measures.dialogue:.0%}",
            ]
        )
    titles = ["year", "title", "author", "words", "words a sentence", "richness", "reading ease", "spoken"]
    note = (
        "Richness is MTLD: the words that pass, on average, before the vocabulary begins to repeat itself. "
        "Reading ease is Flesch's: 100 is very easy, below 60 is demanding.\n"
    )
    return "## At a glance\n\n" + _table(titles, rows) + "\n" + note


def _theme_table(found: Findings) -> str:
    themes = _themes(found)
    rows = [[book.title, *(f"{themes[theme][book.file]:.1f}" for theme in THEMES)] for book in found.books]
    return "## Times in 10,000 words\n\n" + _table(["title", *THEMES], rows)


def _themes(found: Findings) -> dict[str, dict[str, float]]:
    return {
        theme: {
            book.file: round(found.counts[book.file].get(theme, 0) * 10_000 / found.measures[book.file].words, 2)
            for book in found.books
        }
        for theme in THEMES
    }


def _pairs(found: Findings) -> str:
    titles = {book.file: book.title for book in found.books}
    pairs = sorted(
        (distance, left, right)
        for left, row in found.distances.items()
        for right, distance in row.items()
        if left < right
    )
    rows = [[titles[left], titles[right], f"{distance:.2f}"] for distance, left, right in pairs[:8]]
    return "## Written most alike\n\n" + _table(["one", "other", "Burrows's Delta"], rows)


def _one(book: Book, found: Findings) -> str:
    measures, near = found.measures[book.file], found.distances[book.file]
    titles = {other.file: other.title for other in found.books}
    facts = [
        f"- **Its own words**: {', '.join(found.characteristic[book.file])}",
        f"- **Names**: {_counted(found.names[book.file], 10)}",
        f"- **Phrases**: {', '.join(list(found.phrases[book.file])[:8]) or 'none that repeat'}",
        f"- **Words**: {measures.distinct:,} different ones, {measures.once:,} of them used a single time",
        f"- **Longest sentence**, {len(measures.longest.split())} words: {_short(measures.longest, 300)}",
    ]
    if near:
        closest = min(near, key=lambda other: (near[other], other))
        facts.append(f"- **Closest in style**: {titles[closest]} ({near[closest]:.2f})")
    quotes = [f"> {sentence}" for sentence in found.key_sentences[book.file]]
    return "\n\n".join([f"## {book.title}", f"*{book.author}, {book.year}*", "\n".join(facts), *quotes]) + "\n"


def _counted(entries: Mapping[str, int], most: int) -> str:
    return ", ".join(f"{name} {count}" for name, count in list(entries.items())[:most])


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length].rsplit(" ", 1)[0] + " ..."


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (titles, ["---"] * len(titles), *rows)]
    return "\n".join(lines) + "\n"
