"""What cannot be stored, and where in the state it stands."""

from __future__ import annotations

from typing import Any


class Unstorable(Exception):
    """Raised deep in a walk; each container on the way out adds where it was (nothing is spent while all is well)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.parts: list[str] = []
        self.holders: list[int] = []

    def within(self, holder: Any, part: str) -> None:
        self.parts.append(part)
        self.holders.append(id(holder))

    @property
    def path(self) -> str:
        return "state" + "".join(reversed(self.parts))

    def refusal(self) -> Exception:
        """The exception for the user."""
        return TypeError(f"{self.path} {self.reason} Nothing was stored.")


class Carried(Exception):
    """An error for the caller that is not about the stored bytes, on its way through what takes errors for damage."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class TooDeep(Unstorable):
    """Nested beyond the limit: either it contains itself, or it really is that deep."""

    def __init__(self) -> None:
        super().__init__("")

    def refusal(self) -> Exception:
        holders, parts = self.holders[::-1], self.parts[::-1]
        first: dict[int, int] = {}
        for at, holder in enumerate(holders):
            if holder in first:
                inner = "state" + "".join(parts[:at])
                outer = "state" + "".join(parts[: first[holder]])
                return ValueError(
                    f"{inner} is {outer} again: a state that contains itself cannot be stored. Nothing was stored. "
                    "Keep a key or an index instead of the object."
                )
            first[holder] = at
        return ValueError(
            f"the state is nested more than {len(parts)} levels deep below {''.join(['state', *parts[:8]])}. Nothing "
            "was stored. Keep chains and trees as lists of nodes with indices, or register() their class."
        )


def key_part(key: Any) -> str:
    """`["optimizer"]`, as it is written in Python."""
    import json  # only for the message of an error

    return f"[{json.dumps(key, ensure_ascii=False)}]" if type(key) is str else f"[{key!r:.80}]"
