"""The pure functions of examples/reading.py, held against texts small enough to count by hand."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def _load():
    spec = importlib.util.spec_from_file_location("reading", EXAMPLES / "reading.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


reading = _load()


def test_clean_drops_what_stands_around_the_book():
    """Lines before and behind the markers go, quotes become plain, paragraphs keep no line breaks."""
    text = "licence\n*** START OF THE BOOK X ***\n\n\u201cCome,\u201d he\nsaid _now_.\n\n* * *\n\nEnd.\n*** END OF THE BOOK ***\nmore"
    assert reading.clean(text) == ['"Come," he said now.', "End."]


def test_sections_are_filled_up_to_their_size():
    """Paragraphs are never divided, every word is kept, and only the last section is short."""
    assert reading.sections(["a b c", "d e", "f", "g h i j", "k"], 4) == ["a b c\nd e", "f\ng h i j", "k"]


def test_sentences_end_at_their_mark_and_keep_the_closing_quote():
    """A title's dot ends nothing, a small letter begins nothing."""
    text = '"Mr. Holmes, come!" She ran. Was it 3.5 miles? It was... far.\nNew line'
    assert reading.sentences(text) == [
        '"Mr. Holmes, come!"',
        "She ran.",
        "Was it 3.5 miles?",
        "It was... far.",
        "New line",
    ]


def test_measure_counts_by_hand():
    """Words, sentences, different words and words used once of three sentences."""
    found = reading.measure(["The cat sat. The dog ran.", '"Go!" said the cat to the old dog.'])
    assert (found.words, found.distinct, found.once) == (14, 9, 6)
    assert found.longest == '"Go!" said the cat to the old dog.'


@pytest.mark.parametrize(("word", "count"), [("cat", 1), ("table", 2), ("ride", 1), ("beautiful", 3), ("the", 1)])
def test_syllables(word, count):
    """Groups of vowels, without the silent e."""
    assert reading.syllables(word) == count


def test_mtld_is_low_for_a_text_that_repeats_itself():
    """One word again and again needs two words a factor; all new words are never used up."""
    assert reading.mtld(["a"] * 100) == pytest.approx(2.0)
    assert reading.mtld([f"w{i}" for i in range(100)]) == 100.0


def test_dialogue_is_measured_by_the_mark_of_the_book():
    """Double quotes, single quotes and dashes; an apostrophe opens nothing."""
    assert reading.dialogue_share(['"Come," he said.', "It's late."]) == pytest.approx(7 / 26)
    assert reading.dialogue_share(["'Come,' he said.", "It's late."]) == pytest.approx(7 / 26)
    assert reading.dialogue_share(["--Come, he said.", "It is late"]) == pytest.approx(16 / 26)


def test_names_stand_inside_sentences_and_are_never_small():
    """A word at the head of a sentence proves nothing; a word that is also written small is no name."""
    text = "I saw Alice there. I met Alice at the River. The river knew Alice well. Rivers ran."
    assert reading.names(text) == {"Alice": 3}


def test_phrases_rank_pairs_that_meet_more_than_chance():
    """`black smoke` always meets, `grey house` only as often as both words are around."""
    tokens = ["black", "smoke", "grey", "house", "dust"] * 6 + ["grey", "dust", "house", "dust"] * 10
    assert next(iter(reading.phrases(tokens))) == "black smoke"


def test_characteristic_words_are_those_the_others_lack():
    """A word that is in every text weighs nothing, however often it comes."""
    counts = {"one": {"whale": 10, "water": 90}, "two": {"horse": 10, "water": 90}}
    found = reading.characteristic(counts, 1)
    assert found == {"one": ["whale"], "two": ["horse"]}


def test_key_sentence_is_the_one_that_shares_most():
    """The sentence that repeats words of all others ranks first."""
    lines = [
        "The old sailor mended nets near some quiet harbour daily.",
        "Some children threw stones across one frozen village pond.",
        "The sailor, children, nets, stones, harbour, village, pond and storm belonged together.",
        "One terrible storm broke several windows during winter nights.",
    ]
    assert reading.key_sentences("\n".join(lines), 1)[0][1] == lines[2]


def test_in_context_finds_whole_words_in_any_case():
    """Parts of words are no places, and the context ends with the line."""
    assert reading.in_context("sea", "The sea. Seaside\nSea! over-sea", width=5) == [
        ("The ", "sea", ". Sea"),
        ("", "Sea", "! ove"),
    ]


def test_delta_is_zero_for_the_same_and_one_deviation_apart_for_two():
    """Two texts that differ in all words lie two standard deviations apart."""
    counts = {"a": {"x": 3, "y": 1}, "b": {"x": 1, "y": 3}}
    scale = reading.common_scale(counts, 2)
    assert reading.delta(counts["a"], counts["a"], scale) == 0.0
    assert reading.delta(counts["a"], counts["b"], scale) == pytest.approx(2.0)


@given(st.dictionaries(st.text(max_size=3), st.integers(-5, 5)), st.integers(0, 8))
def test_top_is_sorted_by_weight_then_name(weights, most):
    """The order depends on nothing but the entries."""
    found = list(reading.top(weights, most).items())
    assert found == sorted(weights.items(), key=lambda entry: (-entry[1], entry[0]))[:most]
