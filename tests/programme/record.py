"""What the last runs did, as tables of docs/explanation/reliability.md: by this tool, never by hand."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from programme import mutants, torture
from programme.registry import HARNESSES

__all__ = ["PAGE", "main", "replaced"]

PAGE = torture.ROOT / "docs" / "explanation" / "reliability.md"


def main() -> int:
    """`python -m programme record`"""
    text = PAGE.read_text("utf-8")
    for name, path, render in (("torture", torture.RESULTS, counts_table), ("mutants", mutants.RESULTS, mutants_table)):
        if path.exists():
            text = replaced(text, name, render(json.loads(path.read_text())))
        else:
            print(f"there is no {path.name} yet; the table of the {name} stays as it is")
    PAGE.write_text(text, "utf-8")
    return 0


def replaced(text: str, name: str, table: str) -> str:
    """The text with the table between its two marks. Raises ValueError if there are none."""
    begin, end = (f"<!-- {name}: {word} -->" for word in ("begin", "end"))
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the page has no marks {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", text, count=1)


def counts_table(facts: Mapping[str, Any]) -> str:
    versions = facts["versions"]
    totals: Counter[str] = Counter()
    what = {entry.name: entry.what for entry in HARNESSES}
    lines = ["| harness | what it does | delivered | bad |", "|---|---|---|---|"]
    for name in sorted(facts["harnesses"], key=list(what).index):
        one = facts["harnesses"][name]
        totals.update(one["delivered"])
        later = "" if one["commit"] == facts["commit"] else f"; of commit {one['commit']}"
        lines.append(f"| {name} | {what[name]} | {_counted(one['delivered'])}{later} | {len(one['bad'])} |")
    lines += [f"| {name} | {what[name]} | skipped: {_cell(reason)} | |" for name, reason in facts["skipped"].items()]
    head = (
        f"{facts['date']}, seed {facts['seed']}, {facts['minutes']:g} minutes on {versions['processors']} processors, "
        f"commit {facts['commit']}, Python {versions['python']}, SQLite {versions['sqlite']}, Linux {versions['kernel']}: "
        f"{_counted(totals)}; **{len(facts['bad'])} bad outcomes**."
    )
    return "\n".join([head, "", *lines])


def _counted(delivered: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(delivered.items())) or "nothing"


def mutants_table(facts: Mapping[str, Any]) -> str:
    killed = [one for one in facts["mutants"] if one["by"]]
    lines = ["| mutant | the mistake | found by | after |", "|---|---|---|---|"]
    for one in facts["mutants"]:
        found = one["harness"] if one["by"] else f"**not found** by {one['harness']}"
        lines.append(
            f"| {one['bug']} | {_cell(one['what'])} | {found} | {_plural(one['faults'])}, {one['seconds']:.0f} s |"
        )
    lines += [f"| {bug} | | skipped: {_cell(reason)} | |" for bug, reason in facts["skipped"].items()]
    head = f"{facts['date']}, seed {facts['seed']}: {len(killed)} of {len(facts['mutants'])} found."
    return "\n".join([head, "", *lines])


def _plural(faults: int) -> str:
    return f"{faults:,} fault{'' if faults == 1 else 's'}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
