"""OpenTelemetry spans around what is measured, where the program has set up a tracer provider; else nothing at all.

Nothing is imported for it: a program that traces has imported the API itself, and without a provider there is nobody to
tell. Spans are named `waycairn.save` and so on; the run's own span is the parent of what it does in other threads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_MODULE = "opentelemetry.trace"
_runs: dict[str, Any] = {}
"""The open spans of runs, by id."""


def is_on() -> bool:
    """Whether somebody listens. Costs some tens of nanoseconds where nobody does."""
    api = sys.modules.get(_MODULE)
    return api is not None and not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


def traced(act: str, call: Callable[..., T], given: Sequence[Any], facts: Mapping[str, Any]) -> T:
    """The call inside a span; an error is recorded in it and goes on."""
    api = sys.modules[_MODULE]
    context = None
    if not api.get_current_span().get_span_context().is_valid and facts.get("run") in _runs:
        context = api.set_span_in_context(_runs[facts["run"]])
    with _tracer(api).start_as_current_span(f"waycairn.{act}", context=context, attributes=_attributes(facts)):
        return call(*given)


def note(name: str, value: float) -> None:
    """A fact about the act that is under way, as `bytes`."""
    if is_on():
        span = sys.modules[_MODULE].get_current_span()
        if span.is_recording() and str(getattr(span, "name", "")).startswith("waycairn."):
            span.set_attribute(f"waycairn.{name}", value)


class RunSpan:
    """Of one entry into a run, from entering to leaving it. The current one for the thread or task that entered."""

    def __init__(self, run: str, name: str, **facts: Any) -> None:
        self._run = run
        self._span: Any = None
        self._current: Any = None
        if is_on():
            api = sys.modules[_MODULE]
            self._span = _tracer(api).start_span(
                "waycairn.run", attributes=_attributes({"run": run, "name": name, **facts})
            )
            _runs[run] = self._span

    def enter(self) -> None:
        """Make it the current one; to be called where `leave` is called, too."""
        if self._span is not None:
            api = sys.modules[_MODULE]
            self._current = api.use_span(self._span, record_exception=False, set_status_on_exception=False)
            self._current.__enter__()

    def leave(self, status: str | None, error: BaseException | None) -> None:
        """Ends it. Idempotent."""
        span, self._span = self._span, None
        if span is None:
            return
        _runs.pop(self._run, None)
        if status is not None:
            span.set_attribute("waycairn.status", status)
        if isinstance(error, Exception):
            api = sys.modules[_MODULE]
            span.record_exception(error)
            span.set_status(api.Status(api.StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        if self._current is not None:
            self._current.__exit__(None, None, None)
        span.end()


def _tracer(api: Any) -> Any:
    return api.get_tracer("waycairn")


def _attributes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is None is left out: OpenTelemetry has no such value."""
    return {f"waycairn.{name}": value for name, value in facts.items() if value is not None}
