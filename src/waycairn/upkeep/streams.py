"""Streams as a store knows them: where each lies, who follows it, where it stands, how far it is behind."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import make_url

from waycairn.crypto.ledgers import ledger_vault
from waycairn.errors import StoreError, StoreNotFound, StreamNotFound
from waycairn.model.ids import RunId
from waycairn.model.records import CheckpointFilter, CheckpointRecord, Owner, RunRecord
from waycairn.model.stream_settings import StreamSettings
from waycairn.store import StoreCore
from waycairn.streams import dead_letters, ledger, resetting
from waycairn.streams.discovery import AnyPath
from waycairn.streams.lag import Lag, lag_of
from waycairn.streams.outage import Outage
from waycairn.streams.records import Generation, Standing
from waycairn.streams.rereading import Checked, Rereading
from waycairn.upkeep.outages import noted_outage
from waycairn.upkeep.sink_database import is_same, looking, shown, writing
from waycairn.upkeep.standing import holder_of

_MOST_FORMER = 20
"""Runs that are looked up for a stream: where --once is started every minute, each time is a run."""
FOLLOWING, LEFT, AWAY, GONE = "following", "left", "sink away", "gone"


class KnownStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that a run of this store follows or followed, or one that was found in a database."""

    name: str
    sink: str
    """As it may be shown: a database without its password, a file, or a function."""
    address: str
    """Of the database that its ledger lies in; it may lack the password."""
    paths: Sequence[str] = ()
    run: RunRecord | None = None
    """The one that followed it last, as far as this store knows."""
    vault: Any = None
    """Opens what an encrypted store keeps in the ledger (ports.Vault)."""
    former: Sequence[RunRecord] = ()
    """Runs that followed it before, the newest first; twenty at most."""


class StreamStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as it stands now."""

    known: KnownStream
    word: str
    """FOLLOWING, LEFT, AWAY, or GONE: its database is there and knows nothing of it."""
    holder: Owner | None = None
    """The living owner of the run that follows it."""
    standing: Standing | None = None
    """What its ledger has; None if it is away or gone."""
    letters: int = 0
    """Dead letters that are not settled."""
    lag: Lag | None = None
    error: str = ""
    """Why its database is away, seen from here."""
    outage: Outage | None = None
    """Why it is away for the one who follows it, as that one noted it; None where it answers, or nobody follows."""


# -- which there are ----------------------------------------------------------------------------------------------


def known_streams(core: StoreCore, settings: Mapping[str, StreamSettings]) -> list[KnownStream]:
    """Every stream that a run of this store registered, by name. `settings` may know the passwords of their sinks."""
    listed = core.catalog.list_checkpoints(CheckpointFilter(role="stream"))
    listed = sorted(listed, key=lambda record: (*_name_and_sink(record), -record.created))
    return [
        _known(core, list(records), settings.get(name)) for (name, _), records in groupby(listed, key=_name_and_sink)
    ]


def _name_and_sink(record: CheckpointRecord) -> tuple[str, str]:
    facts = record.checkpoint.metadata
    return str(facts.get("stream", "")), str(facts.get("sink", ""))


def _known(core: StoreCore, records: Sequence[CheckpointRecord], settings: StreamSettings | None) -> KnownStream:
    """From what its runs registered, the newest first."""
    name, sink = _name_and_sink(records[0])
    runs = [
        run for record in records[: _MOST_FORMER + 1] if (run := core.catalog.get_run(RunId(record.run))) is not None
    ]
    run = runs[0] if runs else None
    address = _absolute(sink, run) if "://" in sink else core.ledgers
    if settings is not None and settings.has_database and "://" in sink and is_same(settings.sink, address):
        address = settings.sink  # with the password
    return KnownStream(
        name=name,
        sink=sink,
        address=address,
        paths=[str(path) for path in records[0].checkpoint.metadata.get("paths", ())],
        run=run,
        vault=ledger_vault(core.catalog.info),
        former=runs[1:],
    )


def streams_at(core: StoreCore, address: str, known: Sequence[KnownStream]) -> list[KnownStream]:
    """Those of one database, whoever follows them. Raises errors of the store."""
    with looking(address) as connection:
        standings = [] if connection is None else ledger.all_streams(connection)
    by_name = {stream.name: stream for stream in reversed(known)}
    found = []
    for one in standings:
        stream = by_name.get(one.name)
        run = core.catalog.get_run(RunId(one.holder.run)) or (stream.run if stream else None)
        found.append(
            KnownStream(
                name=one.name,
                sink=shown(address),
                address=address,
                paths=[str(path) for path in one.facts.get("paths", ())],
                run=run,
                vault=ledger_vault(core.catalog.info),
                former=stream.former if stream else (),
            )
        )
    return found


def streams_of(
    core: StoreCore, settings: Mapping[str, StreamSettings], sink: str | None = None
) -> Sequence[KnownStream]:
    """All that the store knows; with `sink` those in that database. Raises errors of the store; ValueError for what is no
    address."""
    known = known_streams(core, settings)
    return known if sink is None else streams_at(core, sink, known)


def find_stream(
    core: StoreCore, name: str, sink: str | None = None, settings: Mapping[str, StreamSettings] | None = None
) -> KnownStream:
    """The one of that name that was followed last; with `sink` the one in that database. Raises StreamNotFound if there is
    none, and errors of the store; ValueError for what is no address."""
    found = streams_of(core, settings or {}, sink)
    named = [stream for stream in found if stream.name == name]
    if named:
        return max(named, key=lambda stream: stream.run.updated if stream.run else 0.0)
    where = f"in {shown(sink)}" if sink else f"known to the store at {core.url}"
    others = ", ".join(repr(stream.name) for stream in found) or "none"
    hint = "" if sink else " If its ledger is elsewhere, name the database of its sink: --sink"
    raise StreamNotFound(f"there is no stream {name!r} {where}; these are: {others}.{hint}", stream=name)


def directory_of(stream: KnownStream) -> Path | None:
    """Where its run was started: what relative paths are relative to."""
    launch = stream.run.launch if stream.run else None
    return Path(launch.directory) if launch else None


def _absolute(address: str, run: RunRecord | None) -> str:
    url = make_url(address)
    if url.get_backend_name() != "sqlite" or not url.database or run is None or run.launch is None:
        return address
    return url.set(database=str(Path(run.launch.directory) / url.database)).render_as_string(hide_password=False)


# -- how they stand -----------------------------------------------------------------------------------------------


def stand(core: StoreCore, streams: Sequence[KnownStream]) -> Iterator[StreamStanding]:
    """Each of them; one whose database is away is no error."""
    for stream in streams:
        holder = holder_of(core, stream.run) if stream.run else None
        outage = noted_outage(core, stream.name, stream.run) if stream.run and holder else None
        try:
            found = _look(core, stream, holder)
        except (StoreError, OSError) as error:
            found = StreamStanding(known=stream, word=AWAY, holder=holder, error=str(error))
        yield msgspec.structs.replace(found, outage=outage)


def _look(core: StoreCore, stream: KnownStream, holder: Owner | None) -> StreamStanding:
    with looking(stream.address) as connection:
        standing = None if connection is None else ledger.standing(connection, stream.name)
        if connection is None or standing is None:
            return StreamStanding(known=stream, word=GONE, holder=holder)
        open_letters = dead_letters.LetterFilter(stream=stream.name, is_settled=False)
        letters = sum(dead_letters.counted(connection, open_letters).values())
    return StreamStanding(
        known=stream,
        word=FOLLOWING if holder and stream.run and standing.holder.run == stream.run.id else LEFT,
        holder=holder,
        standing=standing,
        letters=letters,
        lag=_lag(stream, standing.generations, core.clock.now()),
    )


def standing_in(stream: KnownStream) -> Standing:
    """What its ledger has. Raises StoreNotFound where that knows nothing of it, and errors of the store."""
    standing = find_standing(stream)
    if standing is None:
        raise StoreNotFound(
            f"the database of its sink, {stream.sink}, knows no stream {stream.name!r}: it was made anew, or is another "
            "one. Nothing was changed. If it is elsewhere, name it: --sink",
            stream=stream.name,
        )
    return standing


def find_standing(stream: KnownStream) -> Standing | None:
    """The same, or None. Raises errors of the store."""
    with looking(stream.address) as connection:
        return None if connection is None else ledger.standing(connection, stream.name)


def patterns_of(stream: KnownStream, generations: Sequence[Generation]) -> Sequence[AnyPath]:
    """What it follows, from wherever this process is; where that is not known, the files that it has met."""
    if not stream.paths:
        return [glob.escape(one.path) for one in generations]
    directory = directory_of(stream)
    return [str(Path(glob.escape(str(directory))) / path) if directory else path for path in stream.paths]


def _lag(stream: KnownStream, generations: Sequence[Generation], now: float) -> Lag:
    patterns = patterns_of(stream, generations)
    return lag_of(patterns, generations, now) if patterns else Lag()


def check_files(stream: KnownStream) -> Iterator[Checked]:
    """Its files, compared with what was consumed of them. Raises StoreNotFound and errors of the store."""
    generations = standing_in(stream).generations
    return Rereading(patterns_of(stream, generations), generations).check()


# -- reading again ------------------------------------------------------------------------------------------------


def reset_stream(stream: KnownStream, paths: Sequence[bytes], now: float) -> list[int]:
    """Its files, or those at these paths, are read from their beginning by whoever follows next. Which generations
    that were. Raises errors of the store; nothing was changed then."""
    with writing(stream.address) as connection, connection.begin():
        return resetting.reset(connection, stream.name, paths=paths, now=now)


def holder_in(core: StoreCore, standing: Standing) -> tuple[RunRecord, Owner] | None:
    """The run that the ledger names, and its living owner, as far as this store can tell."""
    run = core.catalog.get_run(RunId(standing.holder.run))
    holder = holder_of(core, run) if run else None
    return (run, holder) if run and holder else None
