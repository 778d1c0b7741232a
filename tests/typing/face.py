"""What a type checker knows of the public face. Checked by mypy, never run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

import waycairn as wc
from waycairn.model.ids import CheckpointId
from waycairn.model.journal import Iteration, RuleOptimization


@dataclass
class Progress:
    page: int = 0


def double(number: int) -> int:
    return 2 * number


def count(phase: wc.Run, words: list[str]) -> dict[str, int]:
    state = phase.state(dict[str, int]())
    for word in phase.each(words):
        state[word] = len(word)
    return state


def plain(photos: list[Path]) -> None:
    with wc.run("thumbnails", key="2026-11-21", fingerprint={"model": "m-7"}, pace="5%") as run:
        assert_type(run, wc.Run)
        assert_type(run.state(Progress()), Progress)
        assert_type(run.step("double", double, 3), int)
        assert_type(run.phase("count", count, ["a"]), dict[str, int])
        assert_type(run.resumed, bool)
        out = run.output("replies.jsonl", append=True)
        out.write("text")
        for photo in run.each(photos, key=lambda path: path.name):
            assert_type(photo, Path)
        for batch in run.each(photos, name="batches", batch=3):
            assert_type(batch, list[Path])
        run.progress(3, total=7, note="reading")
        run.log(step=3, loss=0.5)
        assert_type(run.session.iteration(metrics={"a": 1}, state={"n": 1}), CheckpointId | None)
        assert_type(run.session.best("a"), Iteration | None)
        assert_type(run.session.rule("r", score=1, baseline=1), RuleOptimization)
        run.complete({"rows": 3})


async def awaited(photos: list[Path]) -> None:
    async with wc.run("thumbnails") as run:
        assert_type(run, wc.AsyncRun)
        assert_type(run.state(Progress()), Progress)
        async for photo in run.each(photos):
            photo.stat()
        await run.checkpoint(tags=["end"])
        run.log(loss=1)
        assert_type(await run.session.iteration(), CheckpointId | None)


def stores(directory: Path) -> None:
    with wc.open(directory) as store:
        assert_type(store, wc.Store)
        recovered = store.recover("import")
        assert_type(recovered, wc.Run | None)
        for record in store.runs(status=wc.RunStatus.FAILED):
            assert_type(record.name, str)
        value: Any = store.load("k7f3qx0a9m2d.42", only="model.layer1")
        store.load("k7f3qx0a9m2d.42", into={"w": value}, only=["model.layer1", "step"], map_location="cpu")
        store.save("weights", value, compress="planes")
        store.import_file("weights.npz", "weights", kind="model_state")
        wc.save("cursor", value)


def configured(place: Path) -> None:
    assert_type(wc.open(place, saving={"pace": "30s"}, preset="phases"), wc.Store)
    assert_type(wc.open(place, settings="other.yaml"), wc.Store)
    settings = wc.open(place, settings=place / "other.yaml").core.settings
    assert_type(settings.saving.grace, float)
    assert_type(settings.batches.workers, int | None)
    wc.open(place, settings=settings)
    wc.open(place, settings=3)  # type: ignore[arg-type]
