"""`run.step`: a call whose result is remembered."""

from __future__ import annotations

import functools
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from waycairn.codec import Types, encode
from waycairn.codec.keys import scope_of, short, shown
from waycairn.errors import StepChanged
from waycairn.store import StepDraft
from waycairn.work.request import PACED
from waycairn.world.crashpoints import crashpoint

if TYPE_CHECKING:
    from waycairn.work.cut import Cutter
    from waycairn.work.execution import Write


LONGEST_NAME = 1000


class Steps:
    """The steps of one run in one entry. A name is used once in a scope: the run, the phase, or the open item."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._used: set[str] = set()
        self._used_in_item: set[str] = set()
        self._item_scope = ""

    @property
    def has_begun(self) -> bool:
        return bool(self._used or self._used_in_item)

    def scope(self) -> str:
        """ "" for the run itself, else the open item."""
        item = self._cutter.open_item
        return scope_of(*item) if item else ""

    def enter(self, name: str) -> str:
        """Note that the name is used now; returns its scope. ValueError if it was used in this scope already."""
        scope = self.scope()
        used = self._used
        if scope:
            if scope != self._item_scope:
                self._item_scope, self._used_in_item = scope, set()
            used = self._used_in_item
        if name in used:
            item = self._cutter.open_item
            where = f"item {shown(item[1])}" if item else "this run"
            raise ValueError(
                f"step {name!r} is used twice in {where}: the second call would return the result of the first. "
                "Nothing was called. Give each step a name of its own."
            )
        used.add(name)
        return scope

    def begin(self, name: str, types: Types, arguments: bytes | None) -> StepCall:
        """A call to be made, or its remembered result. Raises StepChanged if it had other arguments."""
        check_name("step", name)
        self._cutter.check_usable()
        call = StepCall(self._cutter, self.enter(name), name, types, arguments)
        call.recall()
        if not call.is_known:
            crashpoint("step.call")
        return call


class StepCall:
    """One call of `run.step`."""

    def __init__(self, cutter: Cutter, scope: str, name: str, types: Types, arguments: bytes | None) -> None:
        self.is_known = False
        self.result: Any = None
        self._cutter = cutter
        self._scope = scope
        self._name = name
        self._types = types
        self._arguments = arguments
        self._started = cutter.store.clock.monotonic()

    def recall(self) -> None:
        """Find out whether the result is remembered."""
        cutter = self._cutter
        found = cutter.store.catalog.get_step(cutter.run, self._scope, self._name)
        if found is None:
            return
        before = found.step.arguments
        if before is not None and self._arguments is not None and before != self._arguments:
            raise StepChanged(
                f"step {self._name!r} was remembered with other arguments than it is called with now. Nothing was "
                "called or changed. Use another step name for the new call, or start anew with fresh=True or another "
                "key.",
                step=self._name,
            )
        if not self._scope:
            cutter.guard.note_replayed(self._name, found.sequence, cutter.state)
        self.result = cutter.store.load(found.step.result, types=self._types)
        self.is_known = True

    def finish(self, result: Any) -> Write:
        """The call was made: encode its result now, and return what writes it. TypeError if it cannot come back."""
        crashpoint("step.called")
        cutter = self._cutter
        try:
            encoded = encode(result, types=self._types)
        except TypeError as error:
            raise TypeError(
                f"the result of step {self._name!r} cannot be remembered: {error}. The call was made, its result is "
                "not stored. Annotate the return type of the function, or pass returns=."
            ) from error
        took = cutter.store.clock.monotonic() - self._started
        draft = StepDraft(
            scope=self._scope, name=self._name, arguments=self._arguments, encoded=encoded.detached(), took=took
        )
        if self._scope:
            cutter.want(PACED)
            return functools.partial(cutter.commit_beside, steps=[draft])
        return functools.partial(cutter.commit, cutter.prepare(PACED, steps=[draft]))


def check_name(what: str, name: Any) -> None:
    """A name is stored, shown and looked up by: text of 1 to 1,000 characters, as JSON writes them."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a {what} is a string, not a {type(name).__name__}: {name!r}")
    if not name or "\0" in name or not (name.isascii() or all(not "\ud800" <= letter <= "\udfff" for letter in name)):
        raise ValueError(
            f"{short(name)} cannot be the name of a {what}: it is empty, or holds a NUL or a lone surrogate. Nothing "
            "was changed."
        )
    length = len(name) if name.isascii() else len(json.dumps(name)) - 2
    if length > LONGEST_NAME:
        raise ValueError(
            f"the name of this {what}, {name[:40]!r}..., has {len(name):,} characters; a name may have {LONGEST_NAME:,} "
            "(a letter that is not ASCII counts as six). Nothing was changed. Use a shorter one, or a hash of it."
        )


def result_types(function: Callable[..., Any] | None, returns: Any) -> Types:
    """The types a result is decoded into: `returns`, else the return annotation."""
    if returns is not None:
        return Types.of(returns)
    annotation = _return_annotation(function) if function is not None else None
    return Types.of() if annotation is None else Types.of(annotation)


def _return_annotation(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return typing.get_type_hints(function).get("return")
    except (TypeError, NameError, AttributeError):
        return None  # no annotations, or names that only a type checker sees


def arguments_digest(arguments: Sequence[Any], named: Mapping[str, Any]) -> bytes | None:
    """16 bytes over those arguments that can be encoded; None if there are none."""
    digest = blake3()
    compared = False
    for name, value in [*((str(i), v) for i, v in enumerate(arguments)), *sorted(named.items())]:
        try:
            encoded = encode(value)
        except (TypeError, ValueError):
            continue  # an open file, a client: what cannot be encoded cannot be compared
        compared = True
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0" + len(encoded.document).to_bytes(8, "big"))
        digest.update(encoded.document)
        for view in encoded.buffers:
            digest.update(view)
    return digest.digest(16) if compared else None
