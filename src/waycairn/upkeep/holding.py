"""What is said of a run that a living process holds."""

from __future__ import annotations

from waycairn.errors import RunIsHeld
from waycairn.model.records import Owner, RunRecord
from waycairn.upkeep.sizes import moment_text


def held(found: RunRecord, owner: Owner) -> RunIsHeld:
    since = moment_text(owner.since)
    return RunIsHeld(
        f"run {found.name!r} is held by pid {owner.pid} on {owner.host} since {since}. Nothing was changed. Wait "
        "until it is done, or stop that process and run the job again. If it is stopped or hung: "
        f"waycairn takeover {found.name}",
        run=found.id,
        owner=owner,
    )
