"""What must hold in every store at every instant, and what it is called when something does not.

I1   what was acknowledged is there
I2   a checkpoint, a result of a step or an item is there whole or not at all
I3   it is what was saved, to the bit
I4   items, steps and commits happened once, and the counts are those of the ledgers
I5   one owner per run and epoch; epochs never fall
I6   every chunk of the index lies in a pack that is there and long enough
I7   what was acknowledged as deleted or given up stays so
I8   what waited in a spool is replayed once (there is no spool yet: nothing to verify)
I9   no error was taken for success (only who ran the job can tell: by exit codes, see the harnesses)
I10  looking again, in a store that was opened again, shows the same
I11  what dead processes left behind is bounded
I12  the audit log fits together: no row was changed, removed, inserted or moved
I13  a backup that may be all that is left has its payload: a completed run with an index and every part
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Invariant = Literal["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13"]


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: Invariant
    what: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: ids and numbers, to look further."""

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"
