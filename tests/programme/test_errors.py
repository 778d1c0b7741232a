"""Calls of every kind that fail, in every kind of job: each is told or survived, nothing is lost, nothing is only said."""

from __future__ import annotations

import errno

import pytest

from programme import errors, flushes
from programme.faulty_job import JOBS
from programme.mutants import hunt, quick
from programme.refusing import Fault
from programme.tally import Budget

pytestmark = pytest.mark.skipif(errors.missing() is not None, reason=str(errors.missing()))


def test_a_device_that_fails_is_told(tmp_path):
    """Two errors in every job, one that gives up and one that goes on, at calls of every kind; 0 bad outcomes. A random
    sample of a million: `make torture` goes on."""
    tally = errors.run(Budget(seconds=400, seed=1, most=170), tmp_path)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["I/O errors"] == 170
    assert tally.touched >= {*JOBS, "flush", "write", "open", "read", "rename", "lock"}


def test_what_a_failed_flush_lost_is_not_built_upon(tmp_path):
    """Eighty flushes of packs, outputs, the catalog and its log that lose their data; 0 bad outcomes."""
    tally = flushes.run(Budget(seconds=200, seed=1, most=80), tmp_path)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["lost flushes"] == 80
    assert tally.touched == {*flushes.FLUSHED, "flush"}


@pytest.mark.parametrize("mutant", quick("errors", "flushes"), ids=lambda one: one.bug)
def test_a_planted_mistake_is_found(mutant, tmp_path):
    """Errors that are ignored, swallowed, or answered by asking again."""
    found = hunt(mutant, Budget(seconds=mutant.seconds, seed=1), tmp_path)
    print(f"{found.bug}: {found.faults} faults, {found.seconds} s: {found.by}")
    assert found.by, f"{found.bug} survived {found.faults} faults: {found.what}"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("range lock", 12, errno.ENOLCK),
        Fault("write", 3, errno.ENOSPC, "dead", short=True),
        Fault("flush", 1, errno.EIO, loses="at once"),
    ],
    ids=str,
)
def test_a_case_can_be_named(fault):
    """What a bad outcome names can be had again."""
    assert Fault.read(str(fault)) == fault
