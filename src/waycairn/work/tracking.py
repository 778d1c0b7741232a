"""What `run.track` keeps: models, optimizers, data, random numbers, and how many steps of each loop are done.

All of it is one state, a dict by the names that the user gave; `only="model.layer1"` reads a part of it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from waycairn.codec import Types, encode
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.work import chance
from waycairn.work.placing import Placing
from waycairn.work.state import StateSlot, is_stateful, types_inside

STATE, STEPS, RNG = "state", "steps", "rng"
RESERVED = {STATE: "run.state keeps it", STEPS: "run.steps counts them", RNG: "say rng=True"}

Compress = Literal["planes", "delta"]

PARTS = "waycairn.tracked"
"""In the metadata of a checkpoint: the names of what it holds."""


class Part(Protocol):
    """One tracked object."""

    @property
    def types(self) -> Types: ...

    def value(self) -> Any:
        """What is stored of it. Shows its memory, uncopied."""
        ...

    def put(self, value: Any, placing: Placing) -> None:
        """What was stored of it, back into it. Raises what the object raises where it does not fit."""
        ...


class StatefulPart:
    """Anything with state_dict and load_state_dict."""

    def __init__(self, target: Any) -> None:
        self.target = target

    @property
    def types(self) -> Types:
        return Types.of(*types_inside(self.value(), 4))

    def value(self) -> Any:
        return self.target.state_dict()

    def put(self, value: Any, placing: Placing) -> None:  # noqa: ARG002 - it places by itself
        self.target.load_state_dict(value)


class GroupPart:
    """Several of those, as a list, tuple or dict: two optimizers, a model for each fold."""

    def __init__(self, target: Sequence[Any] | Mapping[str, Any]) -> None:
        self.parts = {str(name): StatefulPart(one) for name, one in _named(target)}

    @property
    def types(self) -> Types:
        return Types.of(*(kind for part in self.parts.values() for kind in part.types))

    def value(self) -> Any:
        return {name: part.value() for name, part in self.parts.items()}

    def put(self, value: Any, placing: Placing) -> None:
        if set(value) != set(self.parts):
            raise ValueError(f"{', '.join(value)} were stored, {', '.join(self.parts)} are tracked")
        for name, part in self.parts.items():
            part.put(value[name], placing)


class PlainPart:
    """A container, array, tensor, dataclass, or generator of random numbers, put back in place."""

    def __init__(self, target: Any) -> None:
        self.slot = StateSlot(target)
        self.types = self.slot.types

    def value(self) -> Any:
        return self.slot.value()

    def put(self, value: Any, placing: Placing) -> None:
        placed = placing.put(self.slot.target, value)
        if placed is not self.slot.target:
            self.slot.put(placed)


class RandomPart:
    """A random.Random of one's own."""

    types = Types.of()

    def __init__(self, target: random.Random) -> None:
        self._target = target

    def value(self) -> Any:
        version, words, gauss = self._target.getstate()
        return [version, list(words), gauss]

    def put(self, value: Any, placing: Placing) -> None:  # noqa: ARG002 - nothing of it is shared
        version, words, gauss = value
        self._target.setstate((version, tuple(words), gauss))


class ObjectPart:
    """An object of the user's own class: its attributes."""

    def __init__(self, target: Any) -> None:
        self._target = target

    @property
    def types(self) -> Types:
        return Types.of(*types_inside(self.value(), 4))

    def value(self) -> Any:
        return vars(self._target)

    def put(self, value: Any, placing: Placing) -> None:
        attributes = vars(self._target)
        placed = placing.attributes(attributes, value)
        attributes.clear()
        attributes.update(placed)


def part_of(name: str, target: Any) -> Part:
    """TypeError for what cannot be changed in place, or keeps no state."""
    if name in RESERVED:
        raise ValueError(f"the name {name!r} is taken in what is tracked ({RESERVED[name]}). Nothing was changed.")
    if is_stateful(target):
        return StatefulPart(target)
    if name == "data":
        raise TypeError(
            f"data= is a {type(target).__name__}, which has no state_dict: where it was cannot be told, so after a resume "
            "it would begin anew. Nothing was changed. Use torchdata's StatefulDataLoader, or waycairn.training.Batches."
        )
    if isinstance(target, list | tuple | dict) and target and all(is_stateful(one) for _, one in _named(target)):
        return GroupPart(target)
    if isinstance(target, random.Random):
        return RandomPart(target)
    try:
        return PlainPart(target)
    except TypeError:
        if not _is_plain_object(target):
            raise
    return ObjectPart(target)


def _named(target: Any) -> list[tuple[Any, Any]]:
    return list(target.items() if isinstance(target, dict) else enumerate(target))


def _is_plain_object(target: Any) -> bool:
    kind = type(target)
    return hasattr(target, "__dict__") and not callable(target) and kind.__module__ not in sys.builtin_module_names


class Tracked:
    """All of it, in the place of the state of a run, see `state.Slot`."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.steps: dict[str, int] = {}
        """Name of a loop to how many of its steps are done."""
        self.has_rng = False
        self.rng: Mapping[str, Any] | None = None
        """As it was stored, until the first step begins."""
        self.compress: Compress | None = None
        self.is_sought = False
        """Whether this entry has looked for a checkpoint to go on from. What it saves itself is none."""
        self.unclaimed: set[str] = set()
        """Parts of the checkpoint that this entry goes on from which nobody has tracked yet."""

    @property
    def target(self) -> Any:
        """What an error checkpoint shows of it."""
        state = self.parts.get(STATE)
        return {STEPS: dict(self.steps)} | ({STATE: state.value()} if state else {})

    @property
    def types(self) -> Types:
        return Types.of(*(kind for part in self.parts.values() for kind in part.types))

    @property
    def optimizers(self) -> dict[str, Any]:
        return {name: target for name, target in self._stateful() if hasattr(target, "param_groups")}

    def _stateful(self) -> Iterator[tuple[str, Any]]:
        for name, part in self.parts.items():
            if isinstance(part, StatefulPart):
                yield name, part.target
            elif isinstance(part, GroupPart):
                yield from ((f"{name}[{key}]", one.target) for key, one in part.parts.items())

    @property
    def iteration(self) -> int | None:
        """How many steps were done in all."""
        return sum(self.steps.values()) or None

    @property
    def names(self) -> list[str]:
        return sorted(self.parts)

    def check(self) -> None:
        """Raises ValueError where the next checkpoint would lose what the one before has."""
        if self.unclaimed:
            names = ", ".join(sorted(self.unclaimed))
            raise ValueError(
                f"the checkpoint that this run goes on from also holds {names}, which this entry does not track: the next "
                "checkpoint would lose it. Nothing was committed. Track it too, or say run.track(..., strict=False)."
            )

    def encode(self) -> Encoded:
        """On the caller's thread; its buffers show the memory of the tracked objects. TypeError names the path of what
        cannot be stored."""
        return encode(self.tree(), types=self.types)

    def tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = {name: part.value() for name, part in self.parts.items()}
        tree[STEPS] = self.steps
        if self.has_rng:
            tree[RNG] = chance.capture() if self.rng is None else self.rng
        return tree

    def restore(self, value: Mapping[str, Any], *, steps: bool = True, rng: bool = True) -> None:
        """A loaded tree, or a part of one, back into the objects, and what it says of steps and of random numbers. Raises
        ValueError if one of them does not take it."""
        placing = Placing(is_whole=not self.unclaimed)
        for name, part in self.parts.items():
            if name in value:
                self._put(name, part, value[name], placing)
        if steps:
            self.steps = dict(value.get(STEPS, {}))
        if rng:
            self.rng = value.get(RNG) if self.has_rng else None

    def _put(self, name: str, part: Part, value: Any, placing: Placing) -> None:
        try:
            part.put(value, placing)
        except Damaged:
            raise
        except Exception as error:
            raise ValueError(
                f"what was stored of {name!r} does not fit what is tracked now ({type(error).__name__}: {error}). Nothing "
                f"was committed; {name!r} may be changed in memory. Track an object of the same shape, or use fresh=True, or another "
                "key, to start anew."
            ) from error

    def restore_rng(self) -> None:
        """The random numbers as they were; called where the first step begins, so that what ran before it (a model was
        made, weights were initialised) does not matter."""
        if self.rng is not None:
            states, self.rng = self.rng, None
            chance.restore(states)
