"""Streams."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from waycairn.server.models import Document
from waycairn.streams.records import DeadKind

State = Literal["following", "left", "sink away", "gone"]


class StreamRun(Document):
    id: str
    name: str
    key: str | None


class StreamOwner(Document):
    pid: int
    host: str
    since: float
    alive: bool


class Counts(Document):
    events: int
    dead: int
    skipped: int
    blank: int
    nuls: int
    bytes: int


class Behind(Document):
    bytes: int
    seconds: float
    files: int


class BreakerDocument(Document):
    """What the process that follows the stream knows of the database of its sink, as it noted it."""

    state: Literal["closed", "open"]
    since: float | None = Field(default=None, description="When it went away.")
    tries: int | None = Field(default=None, description="To reach it, that failed.")
    error: str | None = None
    next_try: float | None = None


class StreamDocument(Document):
    name: str
    state: State = Field(
        description="`sink away`: its database cannot be read from here; `gone`: it knows nothing of the stream."
    )
    run: StreamRun | None = Field(description="The one that followed it last.")
    owner: StreamOwner | None = Field(description="Who follows it now.")
    account: str | None = Field(description="Whose that run is.")
    may_touch: bool = Field(description="Whether the caller may read its dead letters, and process it.")
    registered: bool = Field(description="In the settings file of the server, so that it can be processed from here.")
    sink: str
    paths: list[str]
    files: int | None = Field(description="Null, like all that its ledger has, where that cannot be read.")
    commits: int | None
    counts: Counts | None
    dead_letters: int | None = Field(description="That are not settled.")
    behind: Behind | None
    created: float | None
    updated: float | None
    error: str | None
    breaker: BreakerDocument | None = Field(description="Null: nobody follows it, so that nobody asks its database.")
    spool: None = Field(
        default=None,
        description="Always null: there is no spool. While its database is away, lines wait in their files.",
    )


class RegisteredStream(Document):
    name: str
    sink: str
    paths: list[str]


class StreamList(Document):
    streams: list[StreamDocument]
    registered: list[RegisteredStream] = Field(
        description="In the settings file, and followed by no run of this store yet."
    )


class FormerParser(Document):
    parser: str | None
    until: float | None


class Holder(Document):
    run: str
    epoch: int


class GenerationDocument(Document):
    """One life of one file."""

    id: int
    path: str
    state: str
    offset: int = Field(description="The byte after the last consumed newline.")
    size: int
    lines: int
    unread: int
    compression: str | None
    copy_of: int | None
    device: int
    inode: int
    first_seen: float
    updated: float


class WholeStream(StreamDocument):
    """With what its ledger has; null where that cannot be read."""

    parser: str | None = None
    former_parsers: list[FormerParser] = Field(default_factory=list)
    holder: Holder | None = None
    former_runs: list[StreamRun] = Field(default_factory=list)
    sink_length: int | None = None
    state_bytes: int | None = None
    generations: list[GenerationDocument] = Field(default_factory=list)


class LetterDocument(Document):
    """A line that could not be used."""

    id: int
    generation: int
    path: str
    offset: int
    length: int
    line: int
    kind: DeadKind
    error: str
    text: str = Field(description="The beginning of the line, for people.")
    line_base64: str = Field(description="The same as it is.")
    sha256: str
    at: float
    tries: int = Field(description="To read it again, that failed.")
    tried: float | None
    tried_error: str | None
    settled: float | None = Field(description="When it was read after all.")


class LetterList(Document):
    dead: list[LetterDocument]
    next: str | None
