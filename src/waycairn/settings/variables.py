"""Names in the environment: which of them are about settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from waycairn.settings.origin import Path

PREFIX = "WAYCAIRN_"
PRESET, FILE = "WAYCAIRN_PRESET", "WAYCAIRN_SETTINGS"


def _flag(text: str) -> str:
    if text not in {"0", "1"}:
        raise ValueError(f"it is 0 or 1, not {text!r}")
    return {"0": "false", "1": "true"}[text]


SHORT: Mapping[str, tuple[Path, Callable[[str], str]]] = {
    "WAYCAIRN_STORE": (("store", "url"), str),
    "WAYCAIRN_GRACE": (("saving", "grace"), str),
    "WAYCAIRN_RETRY_FAILED": (("batches", "retry_failed"), _flag),
    "WAYCAIRN_PROGRESS": (("batches", "progress"), str),
    "WAYCAIRN_PROMOTE_OVER": (("sessions", "promote_over"), str),
    "WAYCAIRN_MIRROR": (("sessions", "mirror"), str),
    "WAYCAIRN_LOG": (("logging", "lines"), str),
}
"""Short names, and what they set. The long name comes first where both are there."""
_HARNESS = ("WAYCAIRN_CRASH", "WAYCAIRN_HISTORY")
"""What fault harnesses say to the processes that they start."""
_LIKENESS = 0.85
"""Of GRACEE to GRACE; LOG_DIR is less like LOG."""


def ours(environment: Mapping[str, str]) -> Mapping[str, str]:
    """What is about settings and says something."""
    return {name: text for name, text in environment.items() if text.strip() and is_ours(name)}


def is_ours(name: str) -> bool:
    """A name without a section that is none of ours is somebody else's, since jobs have variables of their own; unless it
    looks like one of ours with a slip of the pen."""
    if not name.startswith(PREFIX):
        return False
    return name in SHORT or name == PRESET or "__" in name[len(PREFIX) :] or meant(name) is not None


def meant(name: str) -> str | None:
    """The name that it is almost."""
    if name == FILE or name.startswith(_HARNESS):
        return None
    import difflib

    known = [one[len(PREFIX) :] for one in (*SHORT, PRESET, FILE)]
    near = difflib.get_close_matches(name[len(PREFIX) :], known, n=1, cutoff=_LIKENESS)
    return PREFIX + near[0] if near else None
