"""The generator of examples/replying.py: it finds, it goes on, and it is the same every time."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the modules of the examples import each other by name
    spec.loader.exec_module(module)
    return module


dialogues = _load("dialogues")
replying = _load("replying")


def _conversation(*texts):
    speakers = ("user", "assistant") * len(texts)
    turns = tuple(dialogues.Turn(speaker, text) for speaker, text in zip(speakers, texts, strict=False))
    return dialogues.Conversation("c", "Coffee", "any", turns)


def test_rare_words_find():
    """A word that is in every text finds nothing better than another; of equals the earlier comes first."""
    index = replying.Index(["a latte please", "a mocha please", "a mocha please", "a tea"])
    assert index.nearest("please, one MOCHA", 2) == [1, 2]
    assert index.nearest("tea", 9) == [3]
    assert index.nearest("water", 9) == []


def test_what_follows_what():
    """Two words, or one where two are too rare; beginnings and ends are places too."""
    trigrams = replying.Trigrams(["it is ready", "it is hot"])
    assert trigrams.after("it", "is") == {"ready": 1, "hot": 1}
    assert trigrams.after("", "") == {"it": 2}
    assert trigrams.after("hot") == {"": 1}
    assert trigrams.after("cold") == {}


def test_a_reply_is_made_of_what_was_said_there():
    """Similar prompts decide; a prompt that resembles nothing gets a reply all the same."""
    taught = [_conversation("a latte please", "your latte is ready"), _conversation("hello", "good morning")]
    replier = replying.Replier(taught)
    assert replier.reply("one latte") == "your latte is ready"
    assert replier.reply("hello there") == "good morning"
    assert replier.reply("xyz") in {"your latte is ready", "good morning"}


def test_the_same_in_every_process():
    """Neither the order of sets and dicts nor the state of a generator of chances has a say."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; import dialogues, hashlib, replying\n"
        "found = dialogues.read(Path(sys.argv[1], 'data/conversations/taskmaster4_00.jsonl'))\n"
        "replier = replying.Replier(found[::2])\n"
        "replies = [replier.reply(prompt) for one in found[1:100:2] for prompt in one.prompts()]\n"
        "assert len(set(replies)) > 30 and all(replies)\n"
        "print(hashlib.sha256(repr(replies).encode()).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, EXAMPLES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_what_is_no_conversation_is_refused(tmp_path):
    """With its head, so that it can be found."""
    path = tmp_path / "other.jsonl"
    path.write_text('{"dialogue_id": "1"}\n', "utf-8")
    with pytest.raises(ValueError, match=r"no conversation.*dialogue_id"):
        dialogues.read(path)
