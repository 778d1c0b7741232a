"""What a map was asked for, and what it yields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from waycairn.codec import Types
from waycairn.model.limit import per_second
from waycairn.model.retry import Retry
from waycairn.ports import Executor
from waycairn.world.processors import processors

T = TypeVar("T")
R = TypeVar("R")

OnError = Literal["record", "raise"]
Order = Literal["done", "input"]
Where = Literal["threads", "processes", "async"]


@dataclass(frozen=True, slots=True)
class Computed(Generic[T, R]):
    """An item whose result is there, in the hands of the loop that folds it: it is done when the body ends."""

    key: str | int
    """The key itself if it is a str or an int, else as text."""
    value: T
    """The item as the input gave it."""
    result: R

    def json(self) -> str:
        """Key and result as one line of JSONL, with its end. Raises TypeError for a result that JSON has not."""
        return json.dumps({"key": self.key, "result": self.result}, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Checked where the map is made, before anything runs."""

    workers: int
    on: Where | Executor
    types: Types
    retry: Retry
    timeout: float | None
    rate: float | None
    on_error: OnError
    order: Order


def options(
    *,
    is_async: bool,
    types: Types,
    workers: int | None,
    on: Where | Executor | None,
    retry: Retry | int | None,
    timeout: float | None,
    rate: float | str | None,
    on_error: OnError,
    order: Order,
) -> Options:
    """Raises ValueError and TypeError for what cannot be meant."""
    on = on or ("async" if is_async else "threads")
    if isinstance(on, str):
        _check_word("on", on, Where)
        if is_async != (on == "async"):
            what = "a coroutine function" if is_async else "a plain function"
            raise TypeError(
                f'{what} cannot run on={on!r}: coroutine functions run on="async", plain ones on threads or '
                "processes. Nothing was done."
            )
        workers = _usual_workers(on) if workers is None else workers
    else:
        if timeout is not None or workers not in {None, on.workers}:
            raise ValueError(
                f"an executor of your own has its workers ({on.workers}) and its timeout by itself; give them to it, not to "
                "run.map. Nothing was done."
            )
        workers = on.workers
    if workers < 1:
        raise ValueError(f"workers is a number from 1 up, not {workers!r}. Nothing was done.")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise ValueError(f"timeout is a number of seconds above 0, not {timeout!r}. Nothing was done.")
    _check_word("on_error", on_error, OnError)
    _check_word("order", order, Order)
    return Options(
        workers=workers,
        on=on,
        types=types,
        retry=Retry.of(retry),
        timeout=timeout,
        rate=None if rate is None else per_second(rate),
        on_error=on_error,
        order=order,
    )


def _usual_workers(on: str) -> int:
    return {"threads": min(32, processors() + 4), "processes": processors()}.get(on, 100)


def _check_word(name: str, word: Any, words: Any) -> None:
    known = words.__args__
    if word not in known:
        raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {word!r}. Nothing was done.")
