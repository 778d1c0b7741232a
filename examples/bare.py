"""The words of a run, with nothing remembered: what the job costs without waycairn. `make demo` measures with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TextIO, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
State = TypeVar("State")
P = ParamSpec("P")


class Bare:
    """Calls, loops and writes; after a kill everything starts anew."""

    def __init__(self) -> None:
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def step(self, name: str, fn: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:  # noqa: ARG002
        return fn(*args, **kwargs)

    def phase(
        self,
        name: str,  # noqa: ARG002 - the words of a run
        fn: Callable[Concatenate[Any, P], Result],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Result:
        return fn(self, *args, **kwargs)

    def each(self, items: Iterable[Item], *, key: Any = None) -> Iterable[Item]:  # noqa: ARG002
        return items

    def state(self, value: State) -> State:
        return value

    def output(self, path: str, *, append: bool = False) -> TextIO:  # noqa: ARG002
        return self._files.enter_context(Path(path).open("w", encoding="utf-8"))

    def checkpoint(self, **asked: Any) -> None:
        pass
