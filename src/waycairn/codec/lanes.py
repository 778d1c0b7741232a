"""What staging needs of devices: few and small, so that all of its logic also runs where there is no device.

A lane belongs to one device: a stream beside the one on which the job works there. `cuda` has the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Memory(Protocol):
    """Memory of the host that devices copy into by themselves (pinned), touched already."""

    @property
    def size(self) -> int: ...

    @property
    def view(self) -> memoryview:
        """All of it, as bytes."""
        ...

    @property
    def tensor(self) -> Any:
        """The same memory, as a tensor of uint8."""
        ...


class Event(Protocol):
    """A moment of a lane."""

    def synchronize(self) -> None:
        """Until the device is there, on the host, from any thread. Raises what the device says went wrong."""
        ...


class Lane(Protocol):
    """Calls return at once; what they ask for is done in their order."""

    def begin(self) -> None:
        """What follows waits, on the device, for what the job has asked of it up to here."""
        ...

    def copy(self, sources: Sequence[Any], target: Any) -> None:
        """These flat tensors of the device, one behind the other, into memory of the host."""
        ...

    def mark(self) -> Event:
        """The moment when all of the above is done."""
        ...

    def hold_job(self, event: Event) -> None:
        """What the job asks for from here on waits, on the device, for that moment. The host goes on."""
        ...


class Devices(Protocol):
    """All those of a process."""

    def has(self, tensor: Any) -> bool:
        """Whether it lies on one of them."""
        ...

    def lane(self, device: Any) -> Lane:
        """The one lane of that device."""
        ...

    def memory(self, size: int) -> Memory:
        """Allocates and touches it, which takes its time. From any thread."""
        ...
