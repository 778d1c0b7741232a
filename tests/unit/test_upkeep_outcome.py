"""What a store says about its jobs, compared without ids and times."""

from __future__ import annotations

from dataclasses import dataclass

import waycairn as wc
from waycairn.upkeep.differences import differences
from waycairn.upkeep.outcome import outcome


@dataclass
class Answer:
    text: str


def asked(folder, last):
    """What the store says of a run whose items give instances of a class that nobody registered."""
    with wc.open(folder) as store:
        with store.run("ask", key="today") as run:
            for item in run.items(["a", "b"]):
                with item:
                    item.result = Answer(last if item.value == "b" else "first")
        return outcome(store.core)


def test_results_of_a_class_of_the_job_are_compared(tmp_path):
    """By their fields; the class itself is not imported here."""
    said = asked(tmp_path / "one", "second")
    assert asked(tmp_path / "same", "second") == said
    (found,) = differences(said, asked(tmp_path / "other", "third"))
    assert "ask [today]" in found.path
    assert (found.old, found.new) == ("second", "third")
