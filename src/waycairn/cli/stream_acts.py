"""`waycairn stream process`, `retry-dead` and `reset`: acts on streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Yes
from waycairn.cli.output import FOUND_BAD, Face, Refused, ask, wrong_use
from waycairn.cli.stream_naming import (
    Kind,
    OfPath,
    SinkUrl,
    StreamName,
    standing_here,
    stream_named,
    wanted_letters,
)
from waycairn.errors import RunIsHeld

if TYPE_CHECKING:
    from waycairn.streams.records import Generation
    from waycairn.upkeep.consumed import Consumed
    from waycairn.upkeep.streams import StreamStanding


def process(
    face: Face,
    name: StreamName,
    *,
    once: Annotated[bool, typer.Option("--once", help="End when everything that is there was read.")] = False,
) -> None:
    """Follow a stream that is registered in the settings file until it is stopped: what a service starts."""
    from waycairn.upkeep.configuration import registered_stream
    from waycairn.upkeep.consumed import consumed
    from waycairn.work import configured

    with wrong_use():
        job = configured.job_of(registered_stream(name))
    with face.open(create=True) as store:
        before = consumed(job.settings, store.core.ledgers)
        try:
            configured.process(store, job, once=once)
        except RunIsHeld:
            raise  # it did nothing
        except BaseException:
            _tell_done(face, name, before, consumed(job.settings, store.core.ledgers))
            raise
        _tell_done(face, name, before, consumed(job.settings, store.core.ledgers))


def _tell_done(face: Face, name: str, before: Consumed | None, after: Consumed | None) -> None:
    """By the ledger: what it has now that it had not before."""
    from waycairn.upkeep.sizes import size_text

    done = None if before is None or after is None else after.since(before)
    if face.as_json:
        face.document({"stream": name, "done": None if done is None else msgspec.structs.asdict(done)})
    elif done is None:
        face.done(f"stream {name!r}: its database is away, so nobody can say what was done")
    else:
        dead = f", {done.dead:,} dead letters" if done.dead else ""
        face.done(f"stream {name!r}: {done.events:,} events{dead}, {size_text(done.bytes)} in {done.commits:,} commits")


def retry_dead(
    face: Face,
    name: StreamName,
    *,
    kind: Kind = None,
    path: OfPath = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    sink: SinkUrl = None,
) -> int:
    """Read the lines of dead letters again, and write those that can be used now, each exactly once."""
    from waycairn.streams.parsing import Parser
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.configuration import registered_streams
    from waycairn.work.configured import job_of
    from waycairn.work.retrying import Retry

    wanted = wanted_letters(kind, path, limit=limit)
    with face.open() as store:
        stream = stream_named(store.core, name, sink)
        with wrong_use():
            settings = registered_streams().get(name)
            if settings is None:
                raise _only_in_code(name)
            job = job_of(settings)
        limit_of_lines = settings.options.get("line_limit")
        retry = Retry(stream, Parser(job.schema), job.write, clock=store.core.clock, line_limit=limit_of_lines)
        with audited(store.core, "stream.retry", name) as act:
            retried = retry.run(wanted)
            act.facts.update(settled=retried.settled, failed=retried.failed, unreadable=retried.unreadable)
    left = retried.failed + retried.unreadable
    if face.as_json:
        face.document({"stream": name, **msgspec.structs.asdict(retried)})
    gone = f", {retried.unreadable:,} whose lines cannot be read any more" if retried.unreadable else ""
    face.done(f"stream {name!r}: {retried.settled:,} dead letters settled, {retried.failed:,} still of no use{gone}")
    return FOUND_BAD if left else 0


def _only_in_code(name: str) -> Refused:
    return Refused(
        f"stream {name!r} is not registered in a settings file here, so that only your code knows what writes its rows. "
        f"Nothing was changed. Call there: wc.open().retry_dead({name!r}, write, schema=...), where write(tx, events) is "
        "the body of the loop"
    )


def reset(
    face: Face,
    name: StreamName,
    *,
    path: Annotated[
        list[str] | None, typer.Option(help="Only the files seen last at this path; may be repeated.")
    ] = None,
    sink: SinkUrl = None,
    yes: Yes = False,
) -> None:
    """Read the files of a stream from their beginning again. Rows that were written stay: see to them first."""
    from waycairn.upkeep.auditing import audited
    from waycairn.upkeep.holding import held
    from waycairn.upkeep.streams import holder_in, reset_stream

    with face.open() as store:
        found = standing_here(store.core, name, sink)
        assert found.standing is not None
        living = holder_in(store.core, found.standing)
        if living is not None:
            raise held(*living)
        paths = [os.fsencode(Path(one).absolute()) for one in path or ()]
        chosen = _chosen(found, paths)
        ask(_question(found, chosen), yes=yes)
        with audited(store.core, "stream.reset", name, files=[os.fsdecode(one.path) for one in chosen]):
            numbers = reset_stream(found.known, paths, store.core.clock.now())
    if face.as_json:
        face.document({"stream": name, "reset": [os.fsdecode(one.path) for one in chosen], "generations": numbers})
    face.done(f"{len(chosen)} files of stream {name!r} will be read from their beginning; rows that are there stay")


def _chosen(found: StreamStanding, paths: Sequence[bytes]) -> Sequence[Generation]:
    assert found.standing is not None
    for path in paths:
        if all(one.path != path for one in found.standing.generations):
            raise Refused(
                f"stream {found.known.name!r} knows no file at {os.fsdecode(path)}. Nothing was changed. See: waycairn "
                f"stream show {found.known.name}"
            )
    return [one for one in found.standing.generations if not paths or one.path in paths]


def _question(found: StreamStanding, chosen: Sequence[Generation]) -> str:
    standing = found.standing
    assert standing is not None
    consumed = sum(one.offset for one in chosen)
    state = " The state beside the stream stays as it is, too." if standing.state is not None else ""
    return (
        f"Read {len(chosen)} files of stream {found.known.name!r} again, of which {consumed:,} bytes are consumed? Rows "
        f"that were written to {found.known.sink} stay: what is read again will be there twice, unless you remove it "
        f"first.{state}"
    )


COMMANDS = (
    Command("process", process, has_quiet=True),
    Command("retry-dead", retry_dead, has_quiet=True),
    Command("reset", reset, has_quiet=True),
)
