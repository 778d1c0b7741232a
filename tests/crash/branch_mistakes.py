"""Known mistakes in going on otherwise, and in writing down who did it. Planted into jobs, never in the library."""

from __future__ import annotations

from typing import Any

__all__ = ["MISTAKES"]


def fork_without_steps() -> None:
    """A fork takes over items and state, and forgets what steps gave."""
    from waycairn.catalog import branching

    branching.step_of = lambda row: _Later()


class _Later:
    sequence = 2**62


def fork_of_now() -> None:
    """A fork has the items of its source as they are now, beside the state of the cut."""
    from waycairn.catalog import branching

    copy_items = branching.copy_items
    branching.copy_items = lambda session, source, num, through: copy_items(session, source, num, 2**62)


def fork_into_the_same_file() -> None:
    """A fork goes on in the output file of its source."""
    from waycairn.upkeep import forking
    from waycairn.work import gathering, output

    forking.beside = output.beside = lambda path, mark: path
    forking._copy = lambda *_: None
    gathering.mark_of = lambda name, key: ""


def fork_copy_unflushed() -> None:
    """The copies of output files are not flushed before the fork is committed."""
    from waycairn.upkeep import forking

    forking.flush = lambda handle: None


def later_items_stay() -> None:
    """A rewind cuts the state back, and leaves later items done."""
    from waycairn.catalog import history

    change = history.Session.change

    def change_all_but(self: Any, statement: Any, values: Any) -> int:
        return 0 if statement is history.FORGET_ITEMS else change(self, statement, values)

    history.Session.change = change_all_but


def audit_apart() -> None:
    """What was done is written to the audit log afterwards, in a transaction of its own."""
    from waycairn.catalog.riding import Rider

    Rider.carried = lambda self, write, work: write(work)


def audit_unchained() -> None:
    """A row of the audit log is hashed without the one before."""
    from waycairn.catalog import audit
    from waycairn.model.audit import BEGINNING

    chain_hash = audit.chain_hash
    audit.chain_hash = lambda secret, previous, number, entry: chain_hash(secret, BEGINNING, number, entry)


MISTAKES = {
    "fork-without-steps": fork_without_steps,
    "fork-of-now": fork_of_now,
    "fork-into-the-same-file": fork_into_the_same_file,
    "fork-copy-unflushed": fork_copy_unflushed,
    "later-items-stay": later_items_stay,
    "audit-apart": audit_apart,
    "audit-unchained": audit_unchained,
}
