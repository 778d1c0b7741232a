"""Which policy is in force for a checkpoint. Pure.

What is set for fewer goes before what is set for more, setting by setting (so a rule that only says `keep` leaves the ages
of the less specific ones in force). In order:

1. of two rules the one that names more of kind, phase, run and task;
2. of those that name as many the one that names the kind, then the phase, the run, the task;
3. then the one without a wildcard; then the one that is written later;
4. what is set for the whole store comes last.

Values (`save`, not the state of a run) are only touched by rules that name their kind: how many stay was said where they
were saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from waycairn.model.thinning import Stay
from waycairn.model.units import seconds, size

if TYPE_CHECKING:
    from waycairn.model.retention_settings import RetentionSettings

SELECTORS = ("kind", "phase", "run", "task")
"""What a rule may name, the most telling first."""
AGES = ("max_age", "max_age_completed", "max_age_final")
_WILD = frozenset("*?[")
NEVER = float("inf")


class Subject(NamedTuple):
    """What rules are compared with."""

    kind: str
    phase: str | None
    """Its name; None in a run that is nobody's phase."""
    run: str
    """The name of the outermost run."""
    task: str | None
    is_value: bool = False


class Said(NamedTuple):
    """A setting and who said so."""

    value: Any
    by: str


@dataclass(frozen=True, slots=True)
class AfterSuccess:
    """What becomes of the checkpoints of a run as soon as it is completed."""

    keep: int | None
    """How many of each kind stay; None: as the other settings say."""

    @classmethod
    def of(cls, value: str) -> AfterSuccess:
        match str(value).split():
            case ["keep"]:
                return cls(None)
            case ["delete"]:
                return cls(0)
            case ["keep", "last", number] if number.isdigit() and int(number) > 0:
                return cls(int(number))
        raise ValueError(f'{value!r} is not understood; use "keep", "delete" or "keep last 1"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for the checkpoints that it names. What is None here, a less specific rule says."""

    kind: str | None = None
    phase: str | None = None
    run: str | None = None
    task: str | None = None
    keep: Stay | None = None
    max_age: float | None = None
    """Seconds since it was taken, of all but the newest of its kind."""
    max_age_completed: float | None = None
    """The same in a run that is completed or given up, since then."""
    max_age_final: float | None = None
    """Of the newest one of such a run."""
    after_success: AfterSuccess | None = None
    title: str = field(default="", compare=False)
    """What it is called in explanations."""

    def names(self, subject: Subject) -> bool:
        if subject.is_value and self.kind is None:
            return False
        return all(
            pattern is None or ((value := getattr(subject, name)) is not None and fnmatchcase(value, pattern))
            for name in SELECTORS
            if (pattern := getattr(self, name)) is not None
        )

    @property
    def weight(self) -> tuple[int, ...]:
        """Greater is more specific."""
        named = [pattern for name in SELECTORS if (pattern := getattr(self, name)) is not None]
        which = [getattr(self, name) is not None for name in SELECTORS]
        return (len(named), *which, sum(not _WILD & set(pattern) for pattern in named))


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force for one kind of checkpoints in one run."""

    keep: Said
    max_age: Said
    max_age_completed: Said
    max_age_final: Said
    after_success: Said


_NOTHING = Rule(
    keep=Stay.of(None),
    max_age=NEVER,
    max_age_completed=NEVER,
    max_age_final=NEVER,
    after_success=AfterSuccess(None),
    title="no rule",
)


class Policies:
    """All that is set about retention in one store."""

    def __init__(self, rules: Sequence[Rule], max_size: int | None = None, zone: tzinfo = UTC) -> None:
        """`rules` in the order in which they are written."""
        ordered = sorted(enumerate(rules), key=lambda pair: (*pair[1].weight, pair[0]), reverse=True)
        self.rules = tuple(rule for _, rule in ordered)
        self.max_size = max_size
        self.zone = zone
        self._known: dict[Subject, Settings] = {}

    @classmethod
    def of(cls, given: RetentionSettings | Mapping[str, Any]) -> Policies:
        """From the section `retention`. ValueError names the place, as in `retention.rules[2].keep`."""
        from waycairn.model.retention_settings import RetentionSettings

        if isinstance(given, RetentionSettings):
            return given.read()
        _refuse_unknown("retention", given, [one.name for one in fields(RetentionSettings)])
        return RetentionSettings(**given).read()

    @property
    def needs_metrics(self) -> bool:
        return any(rule.keep is not None and rule.keep.needs_metrics for rule in self.rules)

    def in_force(self, subject: Subject) -> Settings:
        found = self._known.get(subject)
        if found is None:
            if len(self._known) > 4096:  # names without end: nothing is kept for ever
                self._known.clear()
            matching = [rule for rule in self.rules if rule.names(subject)]
            names = [one.name for one in fields(Settings)]
            found = self._known[subject] = Settings(*(_first(matching, name) for name in names))
        return found


def _first(matching: Sequence[Rule], name: str) -> Said:
    for rule in matching:
        value = getattr(rule, name)
        if value is not None:
            return Said(value, rule.title)
    return Said(getattr(_NOTHING, name), _NOTHING.title)


# -- reading what a user wrote ---------------------------------------------------------------------------------------

_ALLOWED = (*SELECTORS, "keep", *AGES, "after_success")


def read_rule(place: str, given: Mapping[str, Any], title: str | None = None) -> Rule:
    """One rule as it is written in the settings. ValueError names the place."""
    if not isinstance(given, Mapping):
        # Not a programmer's mistake but a person's, in a file of settings.
        raise ValueError(f"{place} is a rule such as {{run: 'nightly-*', keep: 'last 5'}}, not {given!r}")  # noqa: TRY004
    _refuse_unknown(place, given, _ALLOWED)
    named: dict[str, Any] = {
        name: _pattern(f"{place}.{name}", given[name]) for name in SELECTORS if given.get(name) is not None
    }
    if not named and title is None:
        raise ValueError(f"{place} names nothing; say for which {', '.join(SELECTORS)} it is, or set it for the store")
    which = ", ".join(f"{name} {pattern!r}" for name, pattern in named.items())
    said: dict[str, Any] = {name: _age(f"{place}.{name}", given[name]) for name in AGES if given.get(name) is not None}
    for name, read in (("keep", Stay.of), ("after_success", AfterSuccess.of)):
        if given.get(name) is not None:
            said[name] = _read(f"{place}.{name}", read, given[name])
    return Rule(**named, **said, title=title or f"the rule for {which}")


def read_zone(place: str, name: str) -> tzinfo:
    """A time zone by its name. ValueError names the place."""
    if name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'{place} is the name of a time zone such as "Europe/Berlin" or "UTC", not {name!r}') from None


def read_size(place: str, value: int | str | None) -> int | None:
    return None if value is None else size(place, value)


def _read(place: str, read: Any, value: Any) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _age(place: str, value: float | str) -> float:
    return NEVER if value == "never" else seconds(place, value)


def _pattern(place: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f'{place} is a name, or a pattern such as "nightly-*", not {value!r}')
    return value


def _refuse_unknown(place: str, given: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for name in given:
        if name not in allowed:
            raise ValueError(f"{place}.{name} is no setting; there are {', '.join(allowed)}")
