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
    from waycairn.streams.records import Standing
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

    def compare(self, standing: Standing, *, is_new: bool) -> None:
        """With what the sink has of the stream; `is_new` if it did not know it. Raises StreamError where the run has a
        state from another stream or sink, or from this one before it was made anew: it would count lines twice."""
        cutter = self._cutter
        known = {(str(one.get("stream")), str(one.get("sink"))) for one in self._known}
        here = self._name, self._sink
        if cutter.state is None:
            if is_new and here in known:
                log.warning("%s: everything is read from its beginning", self._anew())
            return
        if standing.state is not None or not known:
            return
        if cutter.store.catalog.latest_checkpoint(cutter.run, role="state") is None:
            return
        elsewhere = " and ".join(f"stream {name!r} into {sink}" for name, sink in sorted(known))
        what = self._anew() if here in known else f"this run has a state, and followed {elsewhere} with it until now"
        raise StreamError(
            f"{what}. The state has counted lines that would be read again and counted twice. Nothing was read. Put the "
            "sink back as it was, or give the run up and start it again with a new state: waycairn discard "
            f"{cutter.run}",
            stream=self._name,
        )

    def _anew(self) -> str:
        return (
            f"the sink {self._sink} knows nothing of the stream {self._name!r}, which this run followed into it before"
        )
