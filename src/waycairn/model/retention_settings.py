"""The section `retention`: which checkpoints stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from waycairn.model.policies import Policies, Rule, read_rule, read_size, read_zone


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """Which checkpoints stay. Lengths of time as "24h", "7d", "never" or seconds; sizes as "20GB" or bytes."""

    keep: int | str = "all"
    """Of each kind in a run: 20, "last 10, best 3 by loss, 7 daily, 4 weekly, 12 monthly"."""
    keep_sessions: int | str = "last 50"
    """The same of iterations of sessions."""
    keep_phases: int | str = "last 10"
    """The same in each phase."""
    max_age: float | str = "never"
    """How old a checkpoint gets that is not the newest of its kind."""
    max_age_completed: float | str = "24h"
    """The same once the run is completed or given up, counted from then; models that a training kept are left alone."""
    max_age_final: float | str = "never"
    """How long the newest one of such a run stays."""
    after_success: str = "keep"
    """What becomes of checkpoints when their run is completed: "keep", "delete", "keep last 1"."""
    max_size: int | str | None = None
    """What all checkpoints together may take; the order in which they are given up is documented."""
    timezone: str = "UTC"
    """In which days, weeks and months begin."""
    rules: Sequence[Mapping[str, Any]] = ()
    """For some only: each names a kind, phase, run or task (patterns), and what is different there."""

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> Policies:
        """What all of it means. ValueError names the place that cannot be read."""
        if isinstance(self.rules, str | Mapping) or not isinstance(self.rules, Sequence):
            raise ValueError(f"retention.rules is a list of rules, not {self.rules!r}")  # noqa: TRY004 - as all settings
        rules = [
            *self._of_the_store(),
            *(read_rule(f"retention.rules[{at}]", one) for at, one in enumerate(self.rules)),
        ]
        max_size = read_size("retention.max_size", self.max_size)
        return Policies(rules, max_size, read_zone("retention.timezone", self.timezone))

    def _of_the_store(self) -> list[Rule]:
        whole = ("keep", "max_age", "max_age_completed", "max_age_final", "after_success")
        store = read_rule("retention", {name: getattr(self, name) for name in whole}, "the settings of the store")
        sessions = {"kind": "iteration", "keep": self.keep_sessions}
        phases = {"phase": "*", "keep": self.keep_phases}
        models = {"kind": "model_state", "max_age_completed": "never"}
        return [
            store,
            _named("keep_sessions", sessions),
            _named("keep_phases", phases),
            read_rule("retention", models, "what a training kept"),
        ]


def _named(name: str, given: Mapping[str, Any]) -> Rule:
    """A setting that stands for a rule: an error names the setting."""
    try:
        return read_rule("retention", given, f"the setting {name}")
    except ValueError as error:
        raise ValueError(str(error).replace("retention.keep:", f"retention.{name}:")) from None
