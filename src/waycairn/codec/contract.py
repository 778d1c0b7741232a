"""What a walk over a state offers to those who know one kind of value each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from msgspec.msgpack import Ext

from waycairn.codec.marks import Mark

Node = Any
"""What msgpack can write: a leaf, an extension value, a list or a dict of nodes."""


class Region(Protocol):
    """A piece of memory that an array or tensor in the state shows; see `regions`.

    `root` owns the memory; `low` and `high` are the first byte shown and the one behind the last, from its start.
    """

    low: int
    high: int
    width: int
    """Bytes of an element, 0 if they are not of one width. Of a complex number: of its parts."""

    @property
    def root(self) -> object: ...

    def alone(self) -> memoryview:
        """No other value shows any of it: its bytes, contiguous, copied only if they were not dense."""
        ...

    def root_bytes(self, low: int, high: int) -> memoryview:
        """Bytes low to high of the root, uncopied."""
        ...

    def begin(self, low: int) -> None:
        """Others show parts of it too: write into the node where it begins in bytes that begin at `low`."""
        ...

    def place(self, where: int | bytes) -> None:
        """Write into the node where the bytes lie: a number of a buffer, or the bytes themselves."""
        ...


class Packing(Protocol):
    """The encoding walk."""

    def node(self, value: Any) -> Node:
        """Any value of the state to its node. Raises Unstorable."""
        ...

    def are_leaves(self, values: Iterable[Any]) -> bool:
        """True if all of them are nodes as they are."""
        ...

    def marked(
        self,
        code: Ext,
        holder: Any,
        values: Iterable[Any],
        head: Sequence[Node] = (),
        fields: Sequence[str] | None = None,
    ) -> list[Node]:
        """The array [mark, *head, node of each value]. `fields` name the values in errors, else their indices."""
        ...

    def shape(self, code: int, name: str, fields: tuple[str, ...]) -> Ext:
        """The mark of a record of that type name and those fields."""
        ...

    def memory(self, region: Region) -> None:
        """Hand in memory; its place is known when the walk is over."""
        ...


class Unpacking(Protocol):
    """The decoding walk."""

    strict: bool
    device: Any
    """Where tensors shall lie, as torch names it; None for the CPU."""
    kept: dict[Any, Any]
    """What one decoding keeps for itself, such as the storages it made."""

    def value(self, raw: Any) -> Any:
        """A decoded node to the value it stands for."""
        ...

    def values(self, raw: list[Any]) -> list[Any]:
        """A value for each; may be the list that was passed."""
        ...

    def shape_of(self, mark: Mark) -> tuple[str, tuple[str, ...]]: ...

    def find_type(self, name: str) -> type | None: ...

    def memory(self, where: Any, size: int) -> memoryview:
        """At least `size` bytes of a buffer or of inline bytes: writable, aligned, the same memory for the same
        buffer number."""
        ...


Pack = Callable[[Packing, Any], Node]
Unpack = Callable[[Unpacking, Mark, list[Any]], Any]
