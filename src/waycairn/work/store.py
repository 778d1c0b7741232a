"""The store as users see it: runs, their history, and plain values."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from waycairn.crypto.locksmith import AskPerson
from waycairn.model.batch_settings import Mode
from waycairn.model.policy import Durability, Pace
from waycairn.model.records import RunFilter, RunRecord
from waycairn.model.settings import Settings
from waycairn.model.states import RunStatus
from waycairn.settings import load
from waycairn.settings.logs import set_up_logging
from waycairn.store import StoreCore
from waycairn.upkeep.auditing import audited, audited_commit
from waycairn.upkeep.holding import held
from waycairn.wiring import default_url, open_core
from waycairn.work.backing import Backing, refuse_backup
from waycairn.work.care import Care
from waycairn.work.healthy import Healthy
from waycairn.work.history import History
from waycairn.work.optimizing import Optimizing
from waycairn.work.step import check_name
from waycairn.work.values import Values
from waycairn.work.verifying import Verifying
from waycairn.world import history

if TYPE_CHECKING:
    from waycairn.model.journal import Pattern, PromotedRule
    from waycairn.upkeep.recovering import Recovered
    from waycairn.upkeep.sessions import SessionReport
    from waycairn.upkeep.streams import StreamStanding
    from waycairn.work.accounts import Accounts
    from waycairn.work.entry import Entry
    from waycairn.work.retrying import Retried
    from waycairn.work.run import Run


class Store(Backing, Care, Healthy, Optimizing, Verifying, History, Values):
    """One place that remembers. Thread-safe. Open it again in a forked child."""

    def __init__(self, core: StoreCore) -> None:
        super().__init__(core)
        self.url = core.url

    def run(
        self,
        name: str,
        *,
        key: str | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        fresh: bool = False,
        total: int | None = None,
        task: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        pace: Pace | float | str | None = None,
        progress: Mode | None = None,
        part: tuple[int, int] | None = None,
    ) -> Entry:
        """A run to be entered with `with` or `async with`; see `waycairn.run`."""
        # Imported here: it is a tenth of what a process loads that only saves a value.
        from waycairn.work.displays import check_mode
        from waycairn.work.entering import Ask
        from waycairn.work.entry import Entry
        from waycairn.work.sharing import Share

        check_name("run", name)
        if key is not None:
            check_name("run's key", key)
        ask = Ask(
            name=name,
            key=key,
            fingerprint=fingerprint,
            fresh=fresh,
            total=total,
            task=task,
            tags=tuple(tags),
            metadata=dict(metadata or {}),
        )
        settings = self.core.settings
        mode = check_mode(progress or settings.batches.progress)
        return Entry(lambda: self.core, ask, settings.saving.pace_of(pace), mode, Share.of(part))

    def start(self, name: str, *, key: str | None = None, total: int | None = None, **facts: Any) -> Run:
        """Enter a run without a `with` block: `run.progress(...)`, then `run.complete(result)`."""
        return self.run(name, key=key, total=total, **facts).open()

    def recover(self, name: str, *, key: str | None = None) -> Run | None:
        """Enter the unfinished run of that name whose owner is dead; None if there is none to recover."""
        found = self.core.catalog.find_run(None, name, key)
        if found is None or found.status.is_finished or self.core.ownership.holder(found) is not None:
            return None
        return self.start(name, key=key)

    # -- acts on runs ----------------------------------------------------------------------------------------------

    def discard(self, run: str) -> RunRecord:
        """Give an unfinished run up: it stays listed, and entering it again starts anew. Raises RunIsHeld."""
        found = self.find(run)
        with audited_commit(self.core, "run.discard", found.id, name=found.name, key=found.key):
            refuse_backup(self.core, found, "given up")
            self._refuse_held(found)
            self.core.catalog.change_run(found.id, found.epoch, self.core.clock.now(), status=RunStatus.DISCARDED)
        history.note(history.Discarded(run=found.id))
        return self.find(found.id)

    def cancel(self, run: str) -> RunRecord:
        """Ask the process that works on a run, on this host, to stop: SIGTERM, upon which it takes its cut and leaves the run
        interrupted; this does not wait for that. Raises CannotCancel if there is none, or it cannot be asked."""
        from waycairn.upkeep.cancelling import cancel

        return cancel(self.core, self.find(run))

    def takeover(self, run: str) -> RunRecord:
        """Forced: fence out the present owner, stopped or hung, so that the run can be entered. Its next commit is
        refused (OwnershipLost); what it committed before stands. Nothing happens to a run that was left."""
        from waycairn.work.entering import displace

        found = self.find(run)
        with audited_commit(self.core, "run.takeover", found.id, name=found.name, epoch=found.epoch) as act:
            act.is_quiet = found.status is not RunStatus.RUNNING  # it was left: nothing is changed
            return displace(self.core, found)

    def remove(self, run: str) -> None:
        """Delete a run with everything below it, and the copies of its session. Raises RunIsHeld."""
        found = self.find(run)
        with audited_commit(
            self.core, "run.remove", found.id, name=found.name, key=found.key, done=found.progress.done
        ):
            refuse_backup(self.core, found, "removed")
            self._refuse_held(found)
            self._remove(found)

    def _refuse_held(self, found: RunRecord) -> None:
        owner = self.core.ownership.holder(found)
        if owner is not None:
            raise held(found, owner)

    def _remove(self, found: RunRecord) -> None:
        below = self.core.catalog.list_runs(RunFilter(root=found.id, roots_only=False))
        what = [found.id, *(run.id for run in below if run.id != found.id)]
        history.note(history.Deleting(what=what))
        self.core.catalog.delete_run(found.id)
        self._forget_copies(found)
        history.note(history.Deleted(what=what))

    # -- sessions --------------------------------------------------------------------------------------------------

    def report(self, run: str, key: str | None = None) -> SessionReport:
        """How the session of a run went, see `waycairn report`. Raises RunNotFound."""
        from waycairn.upkeep.sessions import report_of

        return report_of(self.core, self.find(run, key).id)

    def rules(self) -> Sequence[PromotedRule]:
        """The best that any run found of each rule, and who found it."""
        return self.core.catalog.rule_metadata()

    def patterns(self) -> Sequence[Pattern]:
        """What any run discovered, by time."""
        return self.core.catalog.patterns()

    def recover_session(
        self, mirror: str | os.PathLike[str], name: str | None = None, key: str | None = None
    ) -> Recovered:
        """Put a session whose catalog was lost into this store, from its readable copies: `mirror` is their directory,
        of one run or of all. Iterations, rules, patterns and the states of the newest iterations, exactly; damaged
        copies are left out with a warning. The run is interrupted then: enter it to go on. Raises RunNotFound, RunError
        if the store has a run of that name."""
        from waycairn.upkeep.recovering import find_mirror, recover

        folder = find_mirror(Path(mirror), name, key)
        with audited(self.core, "session.recover", name, folder=folder) as act:
            recovered = recover(self.core, folder)
            act.facts.update(run=recovered.run, iterations=recovered.iterations, damaged=recovered.damaged)
        return recovered

    # -- accounts --------------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> Accounts:
        """Those who use a server over this store, see `waycairn serve`."""
        from waycairn.work.accounts import Accounts

        return Accounts(self.core)

    # -- streams ---------------------------------------------------------------------------------------------------

    def streams(self, sink: str | None = None) -> Sequence[StreamStanding]:
        """Streams that runs of this store follow or followed: counts, files, dead letters, who follows them, and how far
        they are behind their files, all as of now. One whose database is away is among them, with the reason. With
        `sink` those in the database at that URL."""
        from waycairn.upkeep.streams import stand, streams_of

        return list(stand(self.core, streams_of(self.core, {}, sink)))

    def retry_dead(
        self,
        stream: str,
        write: Callable[[Any, Sequence[Any]], Any],
        *,
        schema: Any = None,
        transform: Callable[[Any], Any] | None = None,
        kinds: Sequence[str] = (),
        path: str | os.PathLike[str] | None = None,
        limit: int | None = None,
        line_limit: int | None = None,
        sink: str | None = None,
    ) -> Retried:
        """Read the lines of dead letters of a stream again. `write(tx, events)` writes those that can be used now, each in
        one transaction with the mark that it is settled: exactly once, also while the stream is followed. `sink` is the
        URL of its database, where the one that the store knows lacks the password."""
        from waycairn.streams.parsing import Parser
        from waycairn.upkeep.letters import Wanted
        from waycairn.upkeep.streams import find_stream
        from waycairn.work.retrying import Retry

        wanted = Wanted(kinds=tuple(kinds), path=None if path is None else os.fspath(path), limit=limit)
        parser = Parser(schema, transform=transform)
        found = find_stream(self.core, stream, sink)
        retry = Retry(found, parser, write, clock=self.core.clock, line_limit=line_limit)
        with audited(self.core, "stream.retry", stream) as act:
            retried = retry.run(wanted)
            act.facts.update(settled=retried.settled, failed=retried.failed, unreadable=retried.unreadable)
        return retried

    # -- closing -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections, once what `save(..., wait=False)` began is durable (its error is raised here). Runs of
        this store must have been left."""
        self.stop_upkeep()
        try:
            self._behind.settle()
        finally:
            self._behind.end()
            self.core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(
    where: str | os.PathLike[str] | None = None,
    *,
    packs: str | os.PathLike[str] | None = None,
    durability: Durability | None = None,
    create: bool = True,
    encrypt: bool = False,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
    ask: AskPerson | None = None,
    settings: Settings | str | os.PathLike[str] | None = None,
    **sections: Any,
) -> Store:
    """Open a store, creating it where it is missing (unless create=False: then StoreNotFound).

    `where` is a directory, or `postgresql://user@host/database` (then `packs` is the directory of the pack files);
    by default the store in use here: the setting `store.url`, else the nearest `.waycairn` upwards, else `./.waycairn`.
    `durability="process"` lets the newest commits fall to a power cut, never to kill -9, for faster commits.

    Settings are read now: what the code says, by section (`saving={"pace": "30s"}, preset="phases"`), comes before the
    environment, that before the nearest waycairn.yaml or pyproject.toml. `settings` is the path of a file to be read in
    its place, or Settings that hold as they are. Raises SettingsInvalid, with the place of what is wrong.

    An encrypted store opens with `passphrase` or `key_file`, else with what WAYCAIRN_KEY, WAYCAIRN_KEY_FILE or
    WAYCAIRN_PASSPHRASE say, else `ask` is called with a question for a passphrase. With any of these, or `encrypt`, a new
    store is created encrypted; with an argument a plain one is refused (NotEncrypted). Raises KeyMissing, KeyWrong.
    """
    if isinstance(settings, Settings):
        if sections:
            raise ValueError(
                f"settings are given as a whole and by section too ({', '.join(sections)}). Give one of both."
            )
    else:
        settings = load(sections, file=settings).settings
    set_up_logging(settings.logging)
    return Store(
        open_core(
            where,
            packs=packs,
            durability=durability,
            create=create,
            settings=settings,
            encrypt=encrypt,
            passphrase=passphrase,
            key_file=key_file,
            ask=ask,
        )
    )


_defaults: dict[tuple[int, str], Store] = {}
_settings: dict[tuple[str, ...], Settings] = {}
"""By the directory and what the environment says of the store: read once, a thousandth of the time of reading them."""
_defaults_lock = threading.Lock()


def default_store() -> Store:
    """The store in use here, opened once per process and address, with the settings that held then."""
    here = (os.getcwd(), os.environ.get("WAYCAIRN_STORE", ""), os.environ.get("WAYCAIRN_STORE__URL", ""))  # noqa: PTH109
    with _defaults_lock:
        settings = _settings.get(here)
        if settings is None:
            settings = _settings[here] = load().settings
        address = (os.getpid(), default_url(settings))
        store = _defaults.get(address)
        if store is None:
            set_up_logging(settings.logging)
            store = _defaults[address] = Store(open_core(address[1], settings=settings))
        return store
