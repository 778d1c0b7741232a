"""One execution of a named job, entered and owned by this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from waycairn.codec import Types
from waycairn.model.ids import CheckpointId
from waycairn.model.records import CheckpointFilter, CheckpointRecord
from waycairn.model.retry import Retry
from waycairn.ports import Executor
from waycairn.work.beside import Beside
from waycairn.work.computed import OnError, Order, Where
from waycairn.work.execution import Execution
from waycairn.work.following import Follow, How, Path
from waycairn.work.items import ItemLoop
from waycairn.work.ledger import Ledger, Summary
from waycairn.work.loop import Loop
from waycairn.work.mapping import Map, make_map
from waycairn.work.output import Output, WholeOutput
from waycairn.work.phase import PhaseCall
from waycairn.work.queueing import Queue
from waycairn.work.request import STATE_KIND
from waycairn.work.step import check_name, result_types
from waycairn.work.training import Training

if TYPE_CHECKING:
    from waycairn.work.session import Session

T = TypeVar("T")
S = TypeVar("S")


class Run(Training, Beside):
    """A run that this process holds. Its methods are called from the thread that entered it.

    Everything between two cuts is committed together or not at all; see `each`, `step`, `phase` and `checkpoint`
    for where cuts lie. In a forked child every call raises UsedAfterFork and leaving does nothing.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        record = execution.record
        self.id = record.id
        self.name = record.name
        self.key = record.key
        self.resumed = execution.resumed
        """True if unfinished work of an earlier entry is continued."""
        self.ledger = Ledger(execution.cutter, record.created, execution.reporter)
        """What is done, by key."""

    # -- loops ---------------------------------------------------------------------------------------------------

    @overload
    def each(
        self,
        items: Iterable[T] | AsyncIterable[T],
        *,
        key: str | Callable[[T], Any] | None = ...,
        name: str = ...,
        total: int | None = ...,
        batch: None = ...,
    ) -> Loop[T]: ...

    @overload
    def each(
        self,
        items: Iterable[T] | AsyncIterable[T],
        *,
        key: str | Callable[[T], Any] | None = ...,
        name: str = ...,
        total: int | None = ...,
        batch: int,
    ) -> Loop[list[T]]: ...

    def each(
        self,
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        key: str | Callable[[Any], Any] | None = None,
        name: str = "items",
        total: int | None = None,
        batch: int | None = None,
    ) -> Loop[Any]:
        """The items that are not done yet, one by one; an item is done when the loop asks for the next one.

        `key` names an item: a function, or the name of an attribute or entry; by default the item itself, or its
        content. Keys are typed and belong to this loop `name`. `break` or an exception leaves the open item undone.
        With `batch=n` lists of at most n items are done together. Items are committed at the run's pace, exactly
        once; after a crash those since the last cut are yielded again.

        Raises ValueError for a repeated key, or a loop name used twice in this entry.
        """
        check_name("loop", name)
        return Loop(self._execution, items, key=key, name=name, total=total, batch=batch)

    def items(
        self,
        items: Iterable[T] | AsyncIterable[T],
        *,
        key: str | Callable[[T], Any] | None = None,
        name: str = "items",
        total: int | None = None,
        retry_failed: bool | None = None,
    ) -> ItemLoop[T]:
        """As `each`, for items of which some may fail: it yields Items, each of which is ended by its own block.

            for item in run.items(prompts, key="id"):
                with item:
                    item.result = ask(item.value)

        An exception in the block is recorded against the item (`run.ledger.failures()`), the state and growing
        outputs are put back as they were at its beginning, and the loop goes on. A run that is left with failed
        items is `partial`; entered again it tries them once more, unless `retry_failed` is False (by default it is as
        the setting `batches.retry_failed` says, which `waycairn resume` sets).
        """
        check_name("loop", name)
        return ItemLoop(self._execution, items, key=key, name=name, total=total, retry_failed=retry_failed)

    def map(
        self,
        function: Callable[[T], Any],
        items: Iterable[T] | AsyncIterable[T],
        *,
        key: str | Callable[[T], Any] | None = None,
        name: str = "items",
        total: int | None = None,
        workers: int | None = None,
        on: Where | Executor | None = None,
        retry: Retry | int | None = None,
        timeout: float | None = None,
        rate: float | str | None = None,
        on_error: OnError = "record",
        retry_failed: bool | None = None,
        order: Order = "done",
        on_progress: Callable[[Summary], None] | None = None,
        returns: Any = None,
    ) -> Map[T, Any]:
        """Compute the function of every item that is not done yet, several at once; see Map for what to do with it::

            for item in run.map(ask, prompts, key="id", workers=8, retry=wc.Retry(attempts=3)):
                out.write(item.json())              # the fold: item.key, item.value, item.result
            run.map(resize, photos, on="processes").drain()

        `on` is "threads" (the default), "processes" (spawned: function and items are pickled, results are not),
        "async" (the default for coroutine functions), or an Executor. `workers` run at once (default: processors + 4
        threads, at most 32; as many processes as processors; 100 coroutines). An item that fails is tried again as
        `retry` says, then recorded (`run.ledger.failures()`) while the others go on; with on_error="raise" the error
        is raised here and the item is undone. `timeout` is seconds an item; a process is killed for it, a coroutine
        cancelled, a thread given up. `rate`, as "500/m", limits how often one begins. Bodies come in the order in
        which results are there, or, reproducibly, in that of the input. `on_progress` is called on this thread with a
        Summary, twice a second at most. `key`, `name`, `total` as in `each`,
        `retry_failed` as in `items`; results come back as the return annotation or `returns` says.

        Raises TypeError and ValueError for what cannot be meant, before anything runs.
        """
        return make_map(
            Map,
            self._execution,
            self.ledger,
            function,
            items,
            key=key,
            name=name,
            total=total,
            workers=workers,
            on=on,
            retry=retry,
            timeout=timeout,
            rate=rate,
            on_error=on_error,
            retry_failed=retry_failed,
            order=order,
            on_progress=on_progress,
            returns=returns,
        )

    def queue(
        self,
        seed: Iterable[T] = (),
        *,
        key: str | Callable[[T], Any] | None = None,
        name: str = "queue",
        returns: Any = None,
    ) -> Queue[T]:
        """An input that grows while it runs; see Queue::

            pages = run.queue([start])
            for item in run.map(fetch, pages, workers=8):
                pages.extend(item.result.links)

        `key` as in `each`: what is known by its key is ignored. What was added is stored, and comes back as it
        was: values of your own types need `returns`. Raises ValueError if the name is used twice in this entry.
        """
        return self._execution.queue(seed, key, name, Types.of(returns) if returns is not None else Types.of())

    @overload
    def follow(
        self, paths: Path | Sequence[Path], *, schema: type[T], sink: Any = ..., **how: Unpack[How]
    ) -> Follow[T]: ...

    @overload
    def follow(
        self, paths: Path | Sequence[Path], *, schema: None = ..., sink: Any = ..., **how: Unpack[How]
    ) -> Follow[Any]: ...

    def follow(
        self, paths: Path | Sequence[Path], *, schema: type[Any] | None = None, sink: Any = None, **how: Unpack[How]
    ) -> Follow[Any]:
        """Batches of the events in growing files, from where the last commit ended, each in a transaction of the sink::

            for batch in run.follow("logs/*.jsonl", sink=engine, schema=Event):
                with batch as tx:
                    tx.execute(insert(rows), [row(event) for event in batch.events])

        Rows and offsets are committed as one, so that after any crash no line is lost and none is there twice. `sink` is
        a SQLAlchemy engine or URL; the path of a file that grows (`tx.write`); or a function, which is called with
        (events, key) at least once for each batch. With `schema` events are of that type (msgspec.Struct, dataclass),
        without they are dicts. See `How` for what else can be said. The state of the run rides in the same transaction.

        It goes on until the run is stopped, or left by `break`; with `once=True` until all that is there was read.
        """
        return Follow(self._execution, paths, schema=schema, sink=sink, **how)

    # -- remembered calls ----------------------------------------------------------------------------------------

    def step(self, name: str, function: Callable[..., T], *arguments: Any, returns: Any = None, **named: Any) -> T:
        """Call the function once; in every later entry return its result instead.

        The result is durable when this returns, together with everything before it. It comes back as the return
        annotation of the function, or `returns`, says. Inside an item the step belongs to the item. Raises
        StepChanged if it was remembered with other arguments, ValueError if the name is used twice in this scope,
        TypeError if the result could not be restored, StateAhead (see there).
        """
        call = self._execution.begin_step(name, function, arguments, named, returns)
        if call.is_known:
            return call.result  # type: ignore[no-any-return]
        result = function(*arguments, **named)
        call.finish(result)()
        self._execution.stop_if_asked()
        return result

    def phase(self, name: str, function: Callable[..., T], *arguments: Any, returns: Any = None, **named: Any) -> T:
        """Call `function(phase, *arguments)` with a run of its own below this one; a completed phase returns its
        result without being called. Its state, items, steps and outputs are its own; nothing of it is lost when the
        process dies inside it. The result comes back as by `step`."""
        call = PhaseCall(self._execution, name, result_types(function, returns))
        if call.is_known:
            return call.result  # type: ignore[no-any-return]
        try:
            result = function(Run(call.child), *arguments, **named)
            call.keep(result)
        except BaseException as error:
            call.leave(error)
            raise
        call.leave(None)
        return result

    # -- state and checkpoints -----------------------------------------------------------------------------------

    def state(self, target: S) -> S:
        """Make this object the state of the run: restored in place if there is a checkpoint, saved at every cut.

        Change it in place; assigning another object to your variable changes nothing here. Raises TypeError for an
        immutable object or contents that cannot be stored, ValueError if the run has a state already. A damaged
        checkpoint is passed over for the newest intact one, and the run goes back to that.
        """
        self._execution.attach_state(target)
        return target

    def checkpoint(
        self,
        kind: str = STATE_KIND,
        *,
        iteration: int | None = None,
        tags: Sequence[str] = (),
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | None = None,
        force: bool = False,
    ) -> CheckpointId | None:
        """Offer a cut here. Durable when an id is returned.

        A plain one is taken at the run's pace; one with any attribute, or `force`, always. Inside an item it is
        taken at the end of the item. Returns None where no checkpoint was written: paced away, deferred, or the
        state is unchanged. `ttl` is seconds until it may be swept. Raises StateAhead (see there).
        """
        write = self._execution.offer(
            kind,
            iteration=iteration,
            tags=tags,
            description=description,
            metadata=metadata,
            ttl=ttl,
            force=force,
        )
        if write is None:
            return None
        taken = write()
        self._execution.stop_if_asked()
        return taken

    def checkpoints(self, kind: str | None = None, limit: int | None = None) -> Sequence[CheckpointRecord]:
        """The checkpoints of this run, newest first."""
        return self._execution.store.catalog.list_checkpoints(CheckpointFilter(run=self.id, kind=kind, limit=limit))

    # -- output and progress -------------------------------------------------------------------------------------

    @overload
    def output(self, path: str | os.PathLike[str], *, append: Literal[True], encoding: str = ...) -> Output: ...

    @overload
    def output(
        self, path: str | os.PathLike[str], *, append: Literal[False] = ..., encoding: str = ...
    ) -> WholeOutput: ...

    def output(
        self, path: str | os.PathLike[str], *, append: bool = False, encoding: str = "utf-8"
    ) -> Output | WholeOutput:
        """A file that holds exactly what was committed.

        With `append` it grows: its length is part of every cut, and it is cut back to that when the run is entered
        again. Without, it is written anew and appears whole when the run or phase is left normally; until then the
        former file stays. Raises ValueError if the path is used twice, Damaged if a growing file lost bytes.
        """
        self._execution.cutter.check_usable()
        return self._execution.files.open(path, append=append, encoding=encoding)

    def progress(
        self, done: int | None = None, *, total: int | None = None, advance: int = 0, note: str | None = None
    ) -> None:
        """Tell how far work without a loop has come; committed at the run's pace."""
        write = self._execution.progress(done, total, advance, note)
        if write is not None:
            write()
            self._execution.stop_if_asked()

    def log(self, step: int | None = None, **metrics: Any) -> None:
        """Keep numbers of a step: int, float, bool, numpy scalars, tensors of one value. Not durable by itself: they are
        committed with the next cut, and undone with an item that is left undone.

        Where steps are counted they belong to the open step; else to `step`, or to the one after the newest that was
        logged, also after a resume. TypeError names a metric that is no number.
        """
        self._execution.log(step, metrics)

    @property
    def session(self) -> Session:
        """Iterations, rules and patterns of a training run, see Session."""
        execution = self._execution
        if execution.session is None:
            from waycairn.work.session import Session

            execution.session = Session(execution)
        return execution.session

    def complete(self, result: Any = None) -> None:
        """The job is done, whatever its loops say; `result` is kept (kind "result"). Durable when this returns if
        the run was made by `store.start`, else when the `with` block is left."""
        self._execution.complete(result)

    # -- leaving -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._execution.is_in_block = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._execution.leave(error)
