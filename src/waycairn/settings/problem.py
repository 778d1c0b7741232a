"""What is wrong with settings, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from waycairn.errors import SettingsInvalid
from waycairn.settings.origin import Origin, Path, dotted


@dataclass(frozen=True, slots=True)
class Problem:
    """One value at fault."""

    what: str
    """What is wrong and what is allowed."""
    path: Path = ()
    origin: Origin | None = None

    def __str__(self) -> str:
        where = "" if self.origin is None else f"{self.origin}: "
        return f"{where}{dotted(self.path)}{': ' if self.path else ''}{self.what}"


def invalid(problems: Sequence[Problem]) -> SettingsInvalid:
    """The error that tells all of them."""
    if len(problems) == 1:
        said = f"{problems[0]}."
    else:
        said = f"{len(problems)} settings are wrong. " + " ".join(f"({n}) {one}." for n, one in enumerate(problems, 1))
    return SettingsInvalid(f"{said} Nothing was started.", problems=tuple(problems))


def unknown(key: object, known: Iterable[str], what: str = "setting") -> str:
    """What is said of a key that does not exist."""
    names = list(known)
    import difflib

    near = difflib.get_close_matches(str(key), names, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"there is no such {what}.{meant} These are: {', '.join(names)}"
