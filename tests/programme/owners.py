"""Who may write: owners that are stopped, displaced and woken up, that die with living children, whose process ids or
clocks lie; on files, where the kernel's lock decides, and on a server, where leases and the epoch do.

Each scene ends with the same outcome as without a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from crash.zygote import Zygote
from programme.displacing import stop_and_go, zombie, zombie_that_outlives_its_heir
from programme.forking import child_that_outlives_the_owner, child_that_uses_the_run
from programme.lying import clocks_apart, jumping_clock, reused_process_id
from programme.owning import World
from programme.server import Missing, Server, started
from programme.tally import Budget, Tally
from programme.victim import in_memory

__all__ = ["SCENARIOS", "run"]

Scenario = Callable[..., Iterator[str]]
SCENARIOS: tuple[Scenario, ...] = (
    zombie,
    clocks_apart,
    child_that_outlives_the_owner,
    zombie_that_outlives_its_heir,
    jumping_clock,
    zombie,
    reused_process_id,
    child_that_uses_the_run,
    zombie,
    stop_and_go,
)


def run(
    budget: Budget,
    folder: Path,
    server: Server | None = None,
    *,
    scenarios: Sequence[str] = (),
    bug: str = "",
) -> Tally:
    """On a server of its own unless one is given; where there is none, on files only. `scenarios` by name, else all; a
    planted bug is to be found once."""
    tally = Tally("owners")
    with ExitStack() as stack:
        folder = stack.enter_context(in_memory(folder))
        if server is None:
            with suppress(Missing):
                server = stack.enter_context(started())
        world = World(stack.enter_context(Zygote()), server, folder, tally, bug)
        chosen = [one for one in SCENARIOS if one.__name__ in scenarios] or SCENARIOS
        number = 0
        while not budget.is_spent and number != budget.most and not (bug and tally.bad):
            scenario = chosen[number // (1 + world.has_server) % len(chosen)]
            place = {"on_server": world.has_server and number % 2 == 1}
            what = f"{scenario.__name__} (seed {budget.seed}, number {number})"
            tally.bad += _play(what, scenario(world, budget.chance(f"owners {number}"), **place))
            number += 1
    tally.seconds = time.monotonic() - budget.began
    return tally


def _play(what: str, playing: Iterator[str]) -> Iterator[str]:
    """What was bad. A scenario says first what it is going to do."""
    try:
        what += f", {next(playing)}"
        next(playing, None)
    except Exception as error:
        yield f"{what}: {type(error).__name__}: {error}"[:1500]
