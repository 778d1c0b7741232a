"""Records of streams as JSON values with stable keys. Sizes are bytes."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import msgspec

from waycairn.documents.moments import When, iso
from waycairn.settings.secrets import without_passwords

if TYPE_CHECKING:
    from waycairn.model.records import Owner, RunRecord
    from waycairn.streams.dead_letters import KeptLetter
    from waycairn.streams.records import Generation
    from waycairn.streams.rereading import Checked
    from waycairn.upkeep.streams import StreamStanding


def stream_facts(one: StreamStanding, when: When = iso) -> dict[str, Any]:
    """One stream as lists show it. `breaker` is what the one who follows it knows of its database: open while it is away."""
    known, standing = one.known, one.standing
    return {
        "name": known.name,
        "state": one.word,
        "run": _run_facts(known.run),
        "owner": _owner_facts(one.holder, when),
        "sink": known.sink,
        "paths": list(known.paths),
        "files": None if standing is None else len(standing.generations),
        "commits": None if standing is None else standing.commits,
        "counts": None if standing is None else msgspec.structs.asdict(standing.counts),
        "dead_letters": None if standing is None else one.letters,
        "behind": _behind_facts(one),
        "created": None if standing is None else when(standing.created),
        "updated": None if standing is None else when(standing.updated),
        "error": without_passwords(one.error) or None,
        "breaker": _breaker_facts(one, when),
    }


def whole_stream_facts(one: StreamStanding, when: When = iso) -> dict[str, Any]:
    """One stream with everything its ledger has."""
    standing = one.standing
    assert standing is not None
    return {
        **stream_facts(one, when),
        "parser": standing.parser,
        "former_parsers": [
            {**former, "until": when(former.get("until"))} for former in standing.facts.get("former_parsers", ())
        ],
        "holder": {"run": standing.holder.run, "epoch": standing.holder.epoch},
        "former_runs": [_run_facts(run) for run in one.known.former],
        "sink_length": standing.sink_length,
        "state_bytes": None if standing.state is None else len(standing.state),
        "generations": [_generation_facts(generation, when) for generation in standing.generations],
    }


def lag_facts(one: StreamStanding) -> dict[str, Any]:
    """How far one stream is behind; null where nobody can say."""
    oldest = _oldest(one)
    return {
        "name": one.known.name,
        "state": one.word,
        "behind": _behind_facts(one),
        "oldest_unread": None if oldest is None else os.fsdecode(oldest.path),
        "error": without_passwords(one.error) or None,
    }


def letter_facts(kept: KeptLetter, when: When = iso) -> dict[str, Any]:
    """Everything of a dead letter. `line_base64` is the beginning of the line as it is, `text` the same for people."""
    letter = kept.letter
    return {
        "id": kept.id,
        "generation": letter.generation,
        "path": os.fsdecode(letter.path),
        "offset": letter.offset,
        "length": letter.length,
        "line": letter.line,
        "kind": letter.kind,
        "error": letter.error,
        "text": letter.head.decode("utf-8", "backslashreplace"),
        "line_base64": base64.b64encode(letter.head).decode(),
        "sha256": letter.digest.hex(),
        "at": when(letter.at),
        "tries": kept.tries,
        "tried": when(kept.tried),
        "tried_error": kept.tried_error,
        "settled": when(kept.settled),
    }


def _oldest(one: StreamStanding) -> Generation | None:
    if one.standing is None or one.lag is None:
        return None
    return next((generation for generation in one.standing.generations if generation.id == one.lag.oldest), None)


def _behind_facts(one: StreamStanding) -> dict[str, Any] | None:
    if one.lag is None:
        return None
    return {"bytes": one.lag.bytes, "seconds": round(one.lag.seconds, 3), "files": one.lag.files}


def _owner_facts(owner: Owner | None, when: When) -> dict[str, Any] | None:
    """Of one who lives."""
    return None if owner is None else {"pid": owner.pid, "host": owner.host, "since": when(owner.since), "alive": True}


def _breaker_facts(one: StreamStanding, when: When) -> dict[str, Any] | None:
    """Null: nobody follows it, so that nobody asks."""
    if one.holder is None:
        return None
    if one.outage is None:
        return {"state": "closed"}
    said = msgspec.structs.asdict(one.outage)
    return {"state": "open", **said, "since": when(one.outage.since), "next_try": when(one.outage.next_try)}


def _run_facts(run: RunRecord | None) -> dict[str, Any] | None:
    return None if run is None else {"id": run.id, "name": run.name, "key": run.key}


def _generation_facts(one: Generation, when: When) -> dict[str, Any]:
    return {
        "id": one.id,
        "path": os.fsdecode(one.path),
        "state": one.state.value,
        "offset": one.offset,
        "size": one.size,
        "lines": one.lines,
        "unread": one.unread,
        "compression": one.compression or None,
        "copy_of": one.copy_of,
        "device": one.identity.device,
        "inode": one.identity.inode,
        "first_seen": when(one.first_seen),
        "updated": when(one.updated),
    }


def checked_facts(one: Checked) -> dict[str, Any]:
    """A file as it was compared."""
    return {
        "generation": one.generation.id,
        "path": os.fsdecode(one.generation.path),
        "consumed": one.generation.offset,
        "there": one.is_there,
        "marks": one.marks,
        "changed": [list(span) for span in one.changed],
        "error": without_passwords(one.error) or None,
    }
