"""What the server does behind its answers: backups, restores, sweeps. Each is safe to be killed at any instant, so nothing is
kept of it but what watchers are told; what it did is in the store."""

from __future__ import annotations

import contextvars
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from waycairn.backups.making import Told
from waycairn.errors import OwnershipLost, WaycairnError
from waycairn.model.backups import BackupProgress
from waycairn.ports import Clock
from waycairn.server.hub import Hub
from waycairn.server.problems import Problem, status_of
from waycairn.settings.secrets import without_passwords

__all__ = ["Job", "JobState", "Jobs"]

log = logging.getLogger("waycairn.server")

_KEPT = 200
"""Jobs that are over and can still be asked for."""
_EVERY = 0.25
"""Seconds between two tellings of progress."""


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    kind: str
    """`backup.create`, `sweep`, ..."""
    object: str | None
    owner: str
    """The account that asked for it."""
    state: JobState
    created: float
    updated: float
    progress: BackupProgress | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    """As a problem: title, status, detail."""


class Jobs:
    """A few threads. Thread-safe."""

    def __init__(self, hub: Hub, clock: Clock, threads: int = 2) -> None:
        self._hub, self._clock = hub, clock
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="waycairn-job")
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._futures: set[Future[None]] = set()

    def start(
        self,
        kind: str,
        object: str | None,  # noqa: A002
        owner: str,
        work: Callable[[Told], Mapping[str, Any]],
    ) -> Job:
        """`work` is handed what it tells its progress to, and gives the result, as JSON values. It acts for who asked for it:
        in the context of the caller."""
        now = self._clock.now()
        job = Job(
            id=secrets.token_hex(8),
            kind=kind,
            object=object,
            owner=owner,
            state=JobState.WAITING,
            created=now,
            updated=now,
        )
        self._note(job)
        future = self._pool.submit(contextvars.copy_context().run, self._do, job, work)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return job

    def get(self, job: str) -> Job:
        """Raises Problem."""
        with self._lock:
            found = self._jobs.get(job)
        if found is None:
            raise Problem(
                404,
                "no such job",
                f"There is no job {job}: the server was started again since, or it was long ago. What it did is in the store.",
            )
        return found

    def list(self) -> Sequence[Job]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def refuse_second(self, kind: str, of: str | None = None) -> None:
        """Raises Problem while a job of that kind waits or runs: two at once would do the same, and others would wait."""
        going = (one for one in self.list() if one.state in {JobState.WAITING, JobState.RUNNING})
        first = next((one for one in going if (one.kind, one.object) == (kind, of)), None)
        if first is not None:
            raise Problem(
                409,
                "already at it",
                f"{kind} is {first.state} already, {first.owner} asked for it. Nothing was begun. See job {first.id}.",
                job=first.id,
            )

    def close(self, within: float | None = None) -> bool:
        """What runs is finished, what waits is not begun. False if it was not finished within so many seconds: it goes on for
        as long as the process lives."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not wait(set(self._futures), within).not_done

    def _do(self, job: Job, work: Callable[[Told], Mapping[str, Any]]) -> None:
        self._note(replace(job, state=JobState.RUNNING))
        told = 0.0

        def tell(progress: BackupProgress) -> None:
            nonlocal told
            now = self._clock.monotonic()
            if now - told >= _EVERY:
                told = now
                self._note(replace(job, state=JobState.RUNNING, progress=progress))

        try:
            result = work(tell)
        except (WaycairnError, OwnershipLost, Problem, OSError, ValueError) as error:
            self._note(replace(job, state=JobState.FAILED, error=_error_of(error)))
        except BaseException:
            log.exception("job %s (%s) ended by an error that nobody foresaw", job.id, job.kind)
            said = {
                "title": "unforeseen error",
                "status": 500,
                "detail": "The server made a mistake; its log has the details.",
            }
            self._note(replace(job, state=JobState.FAILED, error=said))
        else:
            self._note(replace(job, state=JobState.DONE, result=result))

    def _note(self, job: Job) -> None:
        job = replace(job, updated=self._clock.now())
        with self._lock:
            self._jobs[job.id] = job
            over = [one.id for one in self._jobs.values() if one.state in {JobState.DONE, JobState.FAILED}]
            for id_ in over[: max(0, len(over) - _KEPT)]:
                del self._jobs[id_]
        self._hub.publish("job", document_of(job), job.owner)


def document_of(job: Job) -> dict[str, Any]:
    """As the API answers."""
    progress = job.progress
    return {
        "id": job.id,
        "kind": job.kind,
        "object": job.object,
        "owner": job.owner,
        "state": job.state,
        "created": job.created,
        "updated": job.updated,
        "progress": None
        if progress is None
        else {
            "stage": progress.stage,
            "records": progress.records,
            "size": progress.size,
            "total_records": progress.total_records,
            "total_size": progress.total_size,
        },
        "result": dict(job.result),
        "error": None if job.error is None else dict(job.error),
    }


def _error_of(error: BaseException) -> Mapping[str, Any]:
    if isinstance(error, Problem):
        return {"title": error.title, "status": error.status, "detail": error.detail}
    status = status_of(error) if isinstance(error, WaycairnError | OwnershipLost) else 409
    return {"title": type(error).__name__, "status": status, "detail": without_passwords(str(error))}
