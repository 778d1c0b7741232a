"""Streams in the catalog of a store: which a run followed, and into which sink, so that `waycairn stream` finds them and
nobody goes on with a state whose sink is another one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from waycairn.codec import encode
from waycairn.errors import StreamError
from waycairn.model.records import CheckpointFilter
from waycairn.store import CheckpointDraft

if TYPE_CHECKING:
    from waycairn.work.cut import Cutter

log = logging.getLogger("waycairn")


class Registration:
    """Of one stream of one run."""

    def __init__(self, cutter: Cutter, name: str, sink: str, facts: Mapping[str, Any]) -> None:
        self._cutter, self._name, self._sink = cutter, name, sink
        self._facts = {"stream": name, "sink": sink, **facts}
        listed = cutter.store.catalog.list_checkpoints(CheckpointFilter(run=cutter.run, role="stream"))
        self._known = [one.checkpoint.metadata for one in listed]

    @property
    def is_there(self) -> bool:
        """With the paths and the sink as they are now."""
        return self._facts in self._known

    def add(self) -> None:
        """Commit it."""
        draft = CheckpointDraft(kind="stream_offset", role="stream", encoded=encode(None), metadata=self._facts)
        self._cutter.commit_beside(checkpoint=draft)

    def look_at_new(self) -> None:
        """The sink has no commit of the stream. Raises StreamError where the run has followed it into this sink before
        and has a state from then."""
        if all((one.get("stream"), one.get("sink")) != (self._name, self._sink) for one in self._known):
            return
        cutter = self._cutter
        anew = (
            f"the sink {self._sink} knows nothing of the stream {self._name!r}, which this run followed into it before"
        )
        if cutter.state is None or cutter.store.catalog.latest_checkpoint(cutter.run, role="state") is None:
            log.warning("%s: everything is read from its beginning", anew)
            return
        raise StreamError(
            f"{anew}. The run's state has counted lines that would now be read again. Nothing was read. Put the database "
            f"back as it was, or give the run up and start it again with a new state: waycairn discard {cutter.run}",
            stream=self._name,
        )
