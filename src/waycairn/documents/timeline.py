"""The life of a run as JSON values with stable keys."""

from __future__ import annotations

from typing import Any

from waycairn.documents.moments import When, iso
from waycairn.upkeep.timeline import Attempt, Event, Timeline


def timeline_facts(timeline: Timeline, moment: When = iso) -> dict[str, Any]:
    """`moment` writes times."""
    return {
        "attempts": [attempt_facts(one, moment) for one in timeline.attempts],
        "events": [event_facts(one, moment) for one in timeline.events],
    }


def attempt_facts(one: Attempt, moment: When = iso) -> dict[str, Any]:
    return {
        "epoch": one.epoch,
        "begun": moment(one.begun),
        "ended": moment(one.ended),
        "commits": one.commits,
        "end": one.end,
        "seconds": one.seconds,
        "owner": {"pid": one.owner.pid, "host": one.owner.host},
    }


def event_facts(one: Event, moment: When = iso) -> dict[str, Any]:
    return {"at": moment(one.at), "what": one.what, "text": one.text, "actor": one.actor}
