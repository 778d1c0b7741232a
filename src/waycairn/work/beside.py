"""Values that a run saves beside its state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from waycairn.codec import Types
from waycairn.model.ids import CheckpointId, RunId
from waycairn.work.request import MODEL_KIND
from waycairn.work.restoring import newest_value
from waycairn.work.saving import Saving

if TYPE_CHECKING:
    from waycairn.work.execution import Execution


class Facts(TypedDict, total=False):
    """What a saved value may carry. `ttl` is seconds until it may be swept."""

    tags: Sequence[str]
    description: str | None
    metadata: Mapping[str, Any] | None
    ttl: float | None


def named_value(name: Any, value: Any) -> tuple[str, Any]:
    """What `save` was called with: a name and a value, or a state alone."""
    if value is not ...:
        return name, value
    if isinstance(name, str):
        raise TypeError(
            f"save({name!r}) names a value and gives none. Nothing was saved. Pass it: save({name!r}, value)"
        )
    return MODEL_KIND, name


class Beside:
    """The part of `Run` that saves and loads them."""

    id: RunId
    _execution: Execution

    @overload
    def save(self, name: str, value: Any, *, wait: Literal[True] = ..., **facts: Unpack[Facts]) -> CheckpointId: ...

    @overload
    def save(self, name: str, value: Any, *, wait: Literal[False], **facts: Unpack[Facts]) -> Saving: ...

    @overload
    def save(self, name: Any, /, *, wait: Literal[True] = ..., **facts: Unpack[Facts]) -> CheckpointId: ...

    @overload
    def save(self, name: Any, /, *, wait: Literal[False], **facts: Unpack[Facts]) -> Saving: ...

    def save(self, name: Any, value: Any = ..., *, wait: bool = True, **facts: Unpack[Facts]) -> CheckpointId | Saving:
        """Save a value under a name (its kind), beside the state; durable when this returns. See `latest`. A state alone,
        `run.save(model.state_dict())`, is saved under the name "model_state".

        With `wait=False` it is copied and written behind the job: durable when `result()` of what this returns has
        returned. One at a time: the next save waits for this one, and raises its error unless somebody asked for it.
        """
        write = self._execution.value(*named_value(name, value), behind=not wait, **facts)
        saved: CheckpointId | Saving = write()
        return saved

    def latest(self, name: str, default: Any = None, *, returns: Any = None) -> Any:
        """The newest intact value that was saved under this name in this run, else `default`."""
        types = None if returns is None else Types.of(returns)
        return newest_value(self._execution.store, self.id, name, default, types)
