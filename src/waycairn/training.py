"""Batches of a data set, as indices, in an order that a killed training loop goes on with.

    batches = Batches(len(images), 64, seed=1)
    run.track(model=model, data=batches)
    for step in run.steps(10_000):
        chosen = next(batches)
        loss = train(model, images[chosen], labels[chosen])

Needs numpy: pip install 'waycairn[numpy]'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Batches"]

_VERSION = 1
_DATA = ("count", "size", "seed", "shuffle", "drop_last")
"""What has to be the same for a state to make sense."""


class Batches(Iterator["NDArray[np.int64]"]):
    """The numbers 0 to count - 1 in arrays of `size`, epoch after epoch, for ever or for so many `epochs`.

    Each epoch is shuffled anew, by `seed` and its own number alone: what else draws random numbers does not matter. The
    last array of an epoch is shorter where count does not divide, or left out with `drop_last`. `len()` is the number of
    batches an epoch. It is its own iterator; arrays are copies, int64. Not thread-safe.

    Its state is a few numbers, whatever the count: `state_dict`, `load_state_dict`, as `run.track` uses them.

    Raises ValueError for a count, size or seed that cannot be meant, ModuleNotFoundError without numpy.
    """

    def __init__(
        self,
        count: int,
        size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        epochs: int | None = None,
    ) -> None:
        if count < 1 or size < 1:
            raise ValueError(f"count and size are 1 or more, not {count} and {size}")
        if drop_last and size > count:
            raise ValueError(f"with drop_last there is no batch: {count} are fewer than the {size} of one")
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed is a whole number from 0 to 2**64 - 1, not {seed}")
        if epochs is not None and epochs < 0:
            raise ValueError(f"epochs is 0 or more, or None for no end, not {epochs}")
        self.count, self.size, self.seed, self.epochs = count, size, seed, epochs
        self.shuffle, self.drop_last = shuffle, drop_last
        self.epoch = 0
        """The number of the epoch, from 0, that the newest batch belongs to."""
        self.position = 0
        """How many batches of that epoch were given. As many as `len()` when it is over."""
        self._order = _Order(count, seed if shuffle else None)

    def __len__(self) -> int:
        return self.count // self.size if self.drop_last else -(-self.count // self.size)

    def __next__(self) -> NDArray[np.int64]:
        epoch, position = (self.epoch + 1, 0) if self.position == len(self) else (self.epoch, self.position)
        if self.epochs is not None and epoch >= self.epochs:
            raise StopIteration
        first = position * self.size
        chosen = self._order.of(epoch)[first : first + self.size].copy()
        self.epoch, self.position = epoch, position + 1
        return chosen

    def state_dict(self) -> dict[str, Any]:
        """Where it is. `order` is a digest of how the examples of this epoch are ordered."""
        data = {name: getattr(self, name) for name in _DATA}
        return {
            "version": _VERSION,
            **data,
            "epoch": self.epoch,
            "position": self.position,
            "order": self._order.digest(self.epoch),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. ValueError if it was of other data, or this numpy shuffles differently; nothing has changed
        then. `epochs` may be another: training goes on for longer."""
        if state["version"] != _VERSION:
            raise ValueError(
                f"the state of these batches has version {state['version']}, which this waycairn does not know (it knows "
                f"{_VERSION}). Nothing was changed. Use the waycairn that wrote it, or a newer one."
            )
        other = [f"{name}={state[name]}" for name in _DATA if state[name] != getattr(self, name)]
        if other:
            mine = ", ".join(f"{name}={getattr(self, name)}" for name in _DATA)
            raise ValueError(
                f"the state is of batches with {', '.join(other)}, and these have {mine}: going on would repeat some "
                "examples and leave others out. Nothing was changed. Make them as they were, or start anew."
            )
        epoch, position = state["epoch"], state["position"]
        if not (epoch >= 0 and 0 <= position <= len(self)):
            raise ValueError(f"there is no batch {position} in epoch {epoch}. Nothing was changed.")
        if self._order.digest(epoch) != state["order"]:
            raise ValueError(
                f"epoch {epoch} was shuffled in another order than this numpy shuffles it ({_numpy().__version__}): going "
                "on would train on some examples twice in this epoch, and on others never. Nothing was changed. Go on "
                "with the numpy that it was begun with, or start anew."
            )
        self.epoch, self.position = epoch, position


class _Order:
    """The permutation of the newest epoch that was asked for, and its digest."""

    def __init__(self, count: int, seed: int | None) -> None:
        self._count = count
        self._seed = seed
        """None: not shuffled."""
        self._epoch: int | None = None
        self._indices: NDArray[np.int64] = _numpy().arange(count, dtype="int64")
        self._digest: str | None = None

    def of(self, epoch: int) -> NDArray[np.int64]:
        if self._seed is not None and epoch != self._epoch:
            np = _numpy()
            key = np.array([self._seed, epoch], "uint64")  # as a list, large numbers would pass through floats
            chance = np.random.Generator(np.random.Philox(key=key))
            self._indices = chance.permutation(self._count).astype("int64", copy=False)
            self._digest = None
        self._epoch = epoch
        return self._indices

    def digest(self, epoch: int) -> str:
        indices = self.of(epoch)
        if self._digest is None:
            self._digest = hashlib.blake2b(indices.astype("<i8", copy=False).data, digest_size=8).hexdigest()
        return self._digest


def _numpy() -> Any:
    try:
        import numpy as np
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise ModuleNotFoundError(
            "waycairn.training needs numpy, which is not installed. Nothing was done. Install it: pip install 'waycairn[numpy]'",
            name="numpy",
        ) from None
    return np
