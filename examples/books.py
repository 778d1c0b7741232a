"""Consolidate a folder of books: read all of them, count, compare, and write one report.

    python examples/books.py                       the fourteen books beside this file, results in ./books-report
    python examples/books.py --books DIR --out DIR your own plain-text books

Stop it whenever you like, with Ctrl-C, kill -9 or the power switch, and start it again with the same command: it goes
on from where it was, and the report is the same to the byte. Everything that makes it so is in the lines that begin
with `run.` or `phase.`; the rest is the work itself (reading.py) and its report (report.py).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import reading
from bare import Bare
from report import Book, Findings, as_json, as_markdown
from watch import Watch

import waycairn as wc

Run = wc.Run | Bare

HERE = Path(__file__).resolve().parent
SECTION = 2_000
"""Words in a section, the piece in which sentences are ranked."""
KEYWORDS = 8
"""Words of each book that get a concordance."""


# Each phase keeps what it found so far in a state: what run.each has done and what the state says never differ.


@dataclass
class Texts:
    sections: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Measured:
    books: dict[str, reading.Measures] = field(default_factory=dict)


@dataclass
class Vocabulary:
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)
    phrases: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass
class Ranked:
    best: dict[str, list[tuple[float, str]]] = field(default_factory=dict)


@dataclass
class Concordance:
    places: dict[str, int] = field(default_factory=dict)


@dataclass
class Distances:
    between: dict[str, dict[str, float]] = field(default_factory=dict)


def consolidate(run: Run, folder: Path, out: Path, most: int | None, watch: Watch) -> None:
    """The whole job. A finished phase returns its result at once; an unfinished one goes on in its middle."""
    books = run.step("inventory", take_inventory, str(folder), most)
    texts = run.phase("clean", clean, books, folder, watch)
    measures = run.phase("measure", measure, texts, watch)
    vocabulary = run.phase("count", count_words, texts, watch)
    own_words = run.step("characteristic", reading.characteristic, vocabulary.counts, 12)
    sentences = run.phase("rank", rank_sentences, texts, watch)
    keywords = sorted({word for words in own_words.values() for word in words[:KEYWORDS]})
    places = run.phase("concord", concord, texts, keywords, out, watch)
    distances = run.phase("compare", compare, vocabulary.counts, watch)
    found = Findings(
        books=books,
        measures=measures,
        counts=vocabulary.counts,
        names=vocabulary.names,
        phrases=vocabulary.phrases,
        characteristic=own_words,
        key_sentences=sentences,
        distances=distances,
        concordance=places,
    )
    run.output(str(out / "report.json")).write(as_json(found))
    run.output(str(out / "report.md")).write(as_markdown(found))


def take_inventory(folder: str, most: int | None) -> list[Book]:
    """Which books there are, and exactly which texts: a step, so that every later attempt reads the same ones."""
    place = Path(folder)
    index = place / "books.csv"
    rows = list(csv.DictReader(index.read_text("utf-8").splitlines())) if index.exists() else []
    known = {row["file"]: row for row in rows}
    found = []
    for path in [place / name for name in known] or sorted(place.glob("*.txt")):
        row = known.get(path.name, {"title": path.stem, "author": "unknown", "year": "0"})
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found.append(Book(path.name, row["title"], row["author"], int(row["year"]), digest))
    return found[:most]


def clean(phase: Run, books: list[Book], folder: Path, watch: Watch) -> dict[str, list[str]]:
    state = phase.state(Texts())
    for book in phase.each(watch.over("clean", books), key=lambda book: book.file):
        text = (folder / book.file).read_text("utf-8")
        state.sections[book.file] = reading.sections(reading.clean(text), SECTION)
    return state.sections


def measure(phase: Run, texts: dict[str, list[str]], watch: Watch) -> dict[str, reading.Measures]:
    state = phase.state(Measured())
    for file in phase.each(watch.over("measure", list(texts))):
        state.books[file] = reading.measure(texts[file])
    return state.books


def count_words(phase: Run, texts: dict[str, list[str]], watch: Watch) -> Vocabulary:
    state = phase.state(Vocabulary())
    for file in phase.each(watch.over("count", list(texts))):
        text = "\n".join(texts[file])
        words = reading.words(text)
        state.counts[file] = dict(Counter(words))
        state.names[file] = reading.names(text, 20)
        state.phrases[file] = reading.phrases(words, 20)
    return state


def rank_sentences(phase: Run, texts: dict[str, list[str]], watch: Watch) -> dict[str, list[str]]:
    state = phase.state(Ranked())
    pieces = [f"{file} {number}" for file, sections in texts.items() for number in range(len(sections))]
    for piece in phase.each(watch.over("rank", pieces)):
        file, _, number = piece.rpartition(" ")
        best = state.best.get(file, []) + reading.key_sentences(texts[file][int(number)], 3)
        state.best[file] = sorted(best, key=lambda entry: (-entry[0], entry[1]))[:3]
    return {file: [sentence for _, sentence in best] for file, best in state.best.items()}


def concord(phase: Run, texts: dict[str, list[str]], keywords: list[str], out: Path, watch: Watch) -> dict[str, int]:
    """Every place of every keyword, one line each: the file is cut back to its last committed line on resume."""
    state = phase.state(Concordance())
    lines = phase.output(str(out / "concordance.jsonl"), append=True)
    for keyword in phase.each(watch.over("concord", keywords)):
        count = 0
        for file, sections in texts.items():
            for left, word, right in reading.in_context(keyword, "\n".join(sections)):
                place = {"keyword": keyword, "book": file, "left": left, "word": word, "right": right}
                lines.write(json.dumps(place, ensure_ascii=False) + "\n")
                count += 1
        state.places[keyword] = count
    phase.checkpoint(kind="processing_state", description=f"concordance of {len(keywords)} words", tags=["concordance"])
    return state.places


def compare(phase: Run, counts: dict[str, dict[str, int]], watch: Watch) -> dict[str, dict[str, float]]:
    state = phase.state(Distances({file: {} for file in counts}))
    scale = reading.common_scale(counts, 300)
    pairs = list(combinations(counts, 2))
    for left, right in phase.each(watch.over("compare", pairs), key="|".join):
        distance = round(reading.delta(counts[left], counts[right], scale), 4)
        state.between[left][right] = state.between[right][left] = distance
    return state.between


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--books", type=Path, default=HERE / "data" / "books", help="folder of plain-text books")
    parser.add_argument("--out", type=Path, default=Path("books-report"), help="folder for the results")
    parser.add_argument("--store", type=Path, help="where to remember; the default store if not given")
    parser.add_argument("--most", type=int, help="read only so many books")
    parser.add_argument("--trace", type=Path, help="append a line for each finished piece of work")
    parser.add_argument("--forget", action="store_true", help="remember nothing: the same work without waycairn")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with Watch(given.trace) as watch:
        logging.basicConfig(level=logging.INFO, format="%(message)s")  # behind the bars, which share the terminal
        if given.forget:
            with Bare() as bare:
                consolidate(bare, given.books, given.out, given.most, watch)
        else:
            with wc.open(given.store) as store, store.run("books", fingerprint={"section": SECTION}) as run:
                consolidate(run, given.books, given.out, given.most, watch)
    print(f"The report is {given.out / 'report.md'}")


if __name__ == "__main__":
    main()
