"""Contract: several threads, several processes, forks, closing and opening again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from waycairn.catalog import open_catalog
from waycairn.errors import OwnershipLost, StoreError, StoreNotFound, UsedAfterFork
from waycairn.model.ids import RunId, checkpoint_id
from waycairn.model.records import CheckpointFilter
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added, present
from waycairn.testing.records import (
    NOW,
    a_checkpoint,
    a_cut,
    a_run,
    a_step,
    an_owner,
    numbers,
    some_data,
    some_items,
)


def together(works: list[Callable[[], None]]) -> None:
    """Run them at the same time; an error of any is raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def guarded(work: Callable[[], None]) -> None:
        try:
            start.wait()
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def commit_until_refused(address: str, run: str, count: str) -> None:
    """In a process of its own: commit as owner of epoch 1 and print the sequences that were acknowledged."""
    catalog = open_catalog(address)
    sequence = present(catalog, RunId(run)).sequence
    for _ in range(int(count)):
        cut = a_cut(RunId(run), sequence + 1, items=[some_items("loop", b"%d" % os.getpid())])
        try:
            catalog.commit(cut)
        except StoreError:
            # The other process was faster.
            sequence = present(catalog, RunId(run)).sequence
            continue
        sequence += 1
        sys.stdout.write(f"{sequence}\n")
    catalog.close()


def start(function: Callable[..., None], *arguments: str) -> subprocess.Popen[str]:
    """Run a function of this module in a fresh interpreter."""
    code = f"import sys; from {__name__} import {function.__name__}; {function.__name__}(*sys.argv[1:])"
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own code


class SharingContract(CatalogCase):
    def test_what_was_committed_is_there_after_opening_again(self, address: str) -> None:
        """Same store, same secret, same rows."""
        first = open_catalog(address)
        run = added(first)
        first.commit(a_cut(run.id, 1, checkpoint=a_checkpoint()))
        info, before = first.info, present(first, run.id)
        first.close()
        second = open_catalog(address, create=False)
        assert (second.info, present(second, run.id)) == (info, before)
        assert len(info.secret) == 32
        assert second.latest_checkpoint(run.id) is not None
        second.close()

    def test_a_missing_store_is_not_created_unasked(self, address: str) -> None:
        """create=False: StoreNotFound, twice, so the first try left nothing."""
        for _ in range(2):
            with pytest.raises(StoreNotFound, match="Nothing was created"):
                open_catalog(address, create=False)
        open_catalog(address).close()

    def test_one_store_is_created_by_many(self, address: str) -> None:
        """Eight threads open a new store at once: all of them get the same one."""
        found = []

        def opening() -> None:
            catalog = open_catalog(address)
            found.append(catalog.info)
            catalog.close()

        together([opening] * 8)
        assert len(found) == 8
        assert len({(info.id, info.secret) for info in found}) == 1

    def test_the_same_damage_is_marked_by_many(self, address: str) -> None:
        """Several who find it at once: each chunk is marked by one of them, and nobody fails."""
        catalogs = [open_catalog(address) for _ in range(6)]
        marked: list[int] = []
        damage = {number: f"bit {number} is wrong" for number in range(1, 200)}
        together([lambda one=one: marked.append(one.mark_chunks(damage, 1.0)) for one in catalogs])  # type: ignore[misc]
        assert sum(marked) == len(damage)
        assert catalogs[0].marked_chunks() == damage
        for catalog in catalogs:
            catalog.close()

    def test_a_closed_catalog_says_so(self, address: str) -> None:
        """Closing twice is fine; using it after that is an error with a sentence."""
        catalog = open_catalog(address)
        run = added(catalog)
        catalog.close()
        catalog.close()
        uses: list[Callable[[], object]] = [
            lambda: catalog.get_run(run.id),
            lambda: catalog.commit(a_cut(run.id, 1)),
        ]
        for use in uses:
            with pytest.raises(StoreError, match="was closed"):
                use()

    def test_only_one_of_many_takes_over(self, address: str, catalog: Catalog) -> None:
        """Eight catalogs compare and swap at once: one wins, and the epoch grew by one."""
        run = added(catalog)
        won: list[int] = []

        def take(number: int) -> Callable[[], None]:
            def work() -> None:
                mine = open_catalog(address)
                if mine.take_over(run.id, 1, an_owner(number), NOW):
                    won.append(number)
                mine.close()

            return work

        together([take(number) for number in range(8)])
        assert len(won) == 1
        after = present(catalog, run.id)
        assert after.owner is not None
        assert (after.epoch, after.owner.pid) == (2, won[0])

    def test_threads_commit_each_on_its_own(self, catalog: Catalog) -> None:
        """Six threads commit to their runs, one is fenced and one fails half way, every time: nobody's commit is lost
        or refused for another's, and nothing of a failed one is there."""
        runs = [added(catalog, a_run(f"job {number}")) for number in range(8)]
        catalog.commit(a_cut(runs[7].id, 1, steps=[a_step("", "fetch")]))

        def committing(number: int) -> Callable[[], None]:
            def work() -> None:
                for sequence in range(1, 41):
                    catalog.commit(a_cut(runs[number].id, sequence, items=[some_items("loop", b"x")]))

            def fenced() -> None:
                for _ in range(40):
                    with pytest.raises(OwnershipLost):
                        catalog.commit(a_cut(runs[6].id, 1, epoch=5, items=[some_items("loop", b"x")]))

            def failing() -> None:
                for _ in range(40):
                    data = some_data(catalog.reserve_numbers(1), b"never")
                    with pytest.raises(ValueError, match="committed before"):
                        catalog.commit(a_cut(runs[7].id, 2, steps=[a_step("", "fetch")], data=[data]))

            return {6: fenced, 7: failing}.get(number, work)

        together([committing(number) for number in range(8)])
        assert [present(catalog, run.id).sequence for run in runs] == [40] * 6 + [0, 1]
        assert [catalog.loops(run.id).get("loop", 0) for run in runs] == [40] * 6 + [0, 0]
        assert catalog.stats()["chunks"] == 0

    def test_values_saved_by_many_threads_are_all_numbered(self, catalog: Catalog) -> None:
        """Last commit wins, and no two commits get the same number, also for the first save."""
        given: list[str] = []

        def saving() -> None:
            for _ in range(10):
                cut = a_cut(RunId(""), 0, checkpoint=a_checkpoint(role="value"))
                given.append(catalog.save_value(cut, a_run("cursor")))

        together([saving] * 6)
        run = catalog.find_run(None, "cursor", None)
        assert run is not None
        assert sorted(given) == sorted(checkpoint_id(run.id, number) for number in range(1, 61))
        assert numbers(catalog.list_checkpoints(CheckpointFilter(run=run.id))) == list(range(60, 0, -1))

    def test_two_processes_commit_to_one_run_in_one_order(self, address: str, catalog: Catalog) -> None:
        """Both believe to own it: every number is acknowledged to one of them only, and is there."""
        run = added(catalog)
        processes = [start(commit_until_refused, address, run.id, "60") for _ in range(2)]
        acknowledged = [[int(line) for line in process.communicate()[0].split()] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        newest = present(catalog, run.id).sequence
        assert sorted(acknowledged[0] + acknowledged[1]) == list(range(1, newest + 1))
        assert newest >= 60
        assert len(list(catalog.done_items(run.id, "loop"))) == newest

    def test_a_forked_child_is_refused_and_harms_nothing(self, address: str, catalog: Catalog) -> None:
        """The parent's catalog raises UsedAfterFork in the child, a fresh one works there, and the parent's goes on."""
        run = added(catalog)
        catalog.commit(a_cut(run.id, 1))
        child = os.fork()
        if child == 0:
            os._exit(_in_child(address, catalog, run.id))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, f"the child ended with {status}"
        assert present(catalog, run.id).sequence == 2
        catalog.commit(a_cut(run.id, 3))


def _in_child(address: str, inherited: Catalog, run: RunId) -> int:
    """Exit code 0 if everything was as it should be; pytest must not go on in here."""
    uses: list[Callable[[], object]] = [
        lambda: inherited.get_run(run),
        lambda: inherited.commit(a_cut(run, 2)),
        inherited.sweep_epoch,
    ]
    for number, use in enumerate(uses, start=1):
        try:
            use()
        except UsedAfterFork:
            continue
        except BaseException:  # noqa: BLE001 - told by the exit code
            return 10 + number
        return 20 + number
    try:
        inherited.close()
        mine = open_catalog(address)
        mine.commit(a_cut(run, 2))
        mine.close()
    except BaseException:  # noqa: BLE001 - told by the exit code
        return 30
    return 0
