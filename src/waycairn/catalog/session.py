"""What sessions write down: logged points, iterations, rules, patterns. Written by commits, taken back by rewinds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from waycairn.catalog.database import Row, Session
from waycairn.catalog.moments import at_one_moment
from waycairn.catalog.parts import NUM, RUN_ID, Part, Target
from waycairn.catalog.session_rows import (
    ITERATION,
    LOGGED,
    PATTERN,
    PROMOTED,
    RULE,
    iteration_of,
    logged_of,
    pattern_of,
    promoted_of,
    rule_of,
    values_of_iteration,
    values_of_logged,
    values_of_pattern,
    values_of_rule,
)
from waycairn.catalog.shapes import nonsense_of
from waycairn.catalog.sql import ClauseElement, Integer, bindparam, delete, func, insert, select
from waycairn.catalog.statement import Build, Statement
from waycairn.catalog.tables import discovered_patterns as patterns
from waycairn.catalog.tables import iterations, metrics, rule_metadata, rule_performance, runs
from waycairn.model.ids import RunId
from waycairn.model.journal import Iteration, JournalRows, LoggedCut, Pattern, PromotedRule, RuleOptimization

ADD_LOGGED = Statement(
    "add_logged",
    "What one cut holds of the metrics.",
    insert(metrics).values(**{column.name: bindparam(column.name) for column in metrics.c}),
)
ADD_ITERATION = Statement(
    "add_iteration",
    "An iteration. A second one of that number is refused by the key.",
    insert(iterations).values(**{column.name: bindparam(column.name) for column in iterations.c}),
)
ADD_RULE = Statement(
    "add_rule",
    "One trial of a rule.",
    insert(rule_performance).values(**{column.name: bindparam(column.name) for column in rule_performance.c}),
)
ADD_PATTERN = Statement(
    "add_pattern",
    "A pattern that was found.",
    insert(patterns).values(**{column.name: bindparam(column.name) for column in patterns.c}),
)


def _promote(build: Build) -> ClauseElement:
    name = select(runs.c.name).where(runs.c.num == bindparam("num")).scalar_subquery()
    others: dict[str, Any] = {
        column.name: bindparam(column.name) for column in rule_metadata.c if column.name != "name"
    }
    added = build.insert(rule_metadata).values(name=name, **others)
    better: ClauseElement = added.on_conflict_do_update(
        index_elements=["rule"],
        set_={column.name: added.excluded[column.name] for column in rule_metadata.c if column.name != "rule"},
        where=added.excluded.score > rule_metadata.c.score,
    )
    return better


PROMOTE = Statement(
    "promote", "The best of its rule, if nothing as good stands there. One changed row says so.", _promote
)

LOGGED_AFTER = Statement(
    "logged_after",
    "A bounded number of the cuts that hold metrics, in order.",
    select(*LOGGED)
    .where(metrics.c.run == NUM, metrics.c.sequence > bindparam("after"))
    .order_by(metrics.c.sequence)
    .limit(bindparam("limit", type_=Integer)),
)
NEWEST_STEP = Statement(
    "newest_step", "The highest step.", select(func.max(metrics.c.last)).where(metrics.c.run == NUM)
)
ITERATIONS_AFTER = Statement(
    "iterations_after",
    "Iterations of later commits, by number.",
    select(*ITERATION)
    .where(iterations.c.run == NUM, iterations.c.sequence > bindparam("after"))
    .order_by(iterations.c.number),
)
NEXT_ITERATIONS = Statement(
    "next_iterations",
    "Iterations of higher numbers, a bounded number.",
    select(*ITERATION)
    .where(iterations.c.run == NUM, iterations.c.number > bindparam("number"))
    .order_by(iterations.c.number)
    .limit(bindparam("limit", type_=Integer)),
)
FORMER_ITERATIONS = Statement(
    "former_iterations",
    "Iterations of lower numbers, a bounded number, the highest first.",
    select(*ITERATION)
    .where(iterations.c.run == NUM, iterations.c.number < bindparam("number"))
    .order_by(iterations.c.number.desc())
    .limit(bindparam("limit", type_=Integer)),
)
GET_ITERATION = Statement(
    "get_iteration",
    "The iteration of a number.",
    select(*ITERATION).where(iterations.c.run == NUM, iterations.c.number == bindparam("number")),
)
NEWEST_ITERATION = Statement(
    "newest_iteration",
    "The iteration of the highest number.",
    select(*ITERATION).where(iterations.c.run == NUM).order_by(iterations.c.number.desc()).limit(1),
)
RULES_AFTER = Statement(
    "rules_after",
    "Trials of rules in later commits, in order.",
    select(*RULE)
    .where(rule_performance.c.run == NUM, rule_performance.c.sequence > bindparam("after"))
    .order_by(rule_performance.c.sequence, rule_performance.c.place),
)
PROMOTED_RULES = Statement("promoted_rules", "The best of each rule.", select(*PROMOTED))
PATTERNS_AFTER = Statement(
    "patterns_after",
    "Patterns that a run found in later commits, in order.",
    select(*PATTERN)
    .join(runs, runs.c.num == patterns.c.run)
    .where(patterns.c.run == NUM, patterns.c.sequence > bindparam("after"))
    .order_by(patterns.c.sequence, patterns.c.place),
)
ALL_PATTERNS = Statement(
    "all_patterns",
    "Patterns that any run found, by time.",
    select(*PATTERN).join(runs, runs.c.num == patterns.c.run).order_by(patterns.c.created, patterns.c.place),
)

_LATER = "Rows of later commits."
FORGET = tuple(
    Statement(
        f"forget_{table.name}",
        _LATER,
        delete(table).where(table.c.run == bindparam("num"), table.c.sequence > bindparam("number")),
    )
    for table in (metrics, iterations, rule_performance, patterns)
)
UNDONE_RULES = Statement(
    "undone_rules",
    "Rules whose best a later commit of this run had set.",
    select(rule_metadata.c.rule).where(
        rule_metadata.c.run == bindparam("of"), rule_metadata.c.sequence > bindparam("number")
    ),
)
DROP_PROMOTED = Statement(
    "drop_promoted", "What stands of a rule.", delete(rule_metadata).where(rule_metadata.c.rule == bindparam("which"))
)
BEST_LEFT = Statement(
    "best_left",
    "The best trial of a rule that still stands, of any run.",
    select(runs.c.num, runs.c.id, *RULE)
    .join(runs, runs.c.num == rule_performance.c.run)
    .where(rule_performance.c.rule == bindparam("which"), rule_performance.c.candidate)
    .order_by(rule_performance.c.score.desc(), rule_performance.c.created)
    .limit(1),
)

_PAGE = 64
_LAST = 2**62
_JOURNAL: Mapping[str, tuple[Statement, Callable[[Row], Any]]] = {
    "iterations": (ITERATIONS_AFTER, iteration_of),
    "rules": (RULES_AFTER, rule_of),
    "patterns": (PATTERNS_AFTER, pattern_of),
}


class SessionPart(Part):
    """Implements `ports.SessionRows`."""

    def metrics(self, run: RunId, after: int = -1) -> Iterator[LoggedCut]:
        values: dict[str, Any] = {"id": run, "after": after, "limit": _PAGE}
        while rows := self._database.read(lambda session: session.all(LOGGED_AFTER, values)):
            yield from map(logged_of, rows)
            values["after"] = rows[-1][0]

    def newest_step(self, run: RunId) -> int | None:
        row = self._database.read(lambda session: session.one(NEWEST_STEP, {"id": run}))
        with nonsense_of(metrics.name):
            return None if row is None or row[0] is None else int(row[0])

    def iterations(self, run: RunId, after: int = -1) -> Sequence[Iteration]:
        values = {"id": run, "after": after}
        return [*map(iteration_of, self._database.read(lambda session: session.all(ITERATIONS_AFTER, values)))]

    def next_iterations(self, run: RunId, number: int, limit: int) -> Sequence[Iteration]:
        values = {"id": run, "number": number, "limit": limit}
        return [*map(iteration_of, self._database.read(lambda session: session.all(NEXT_ITERATIONS, values)))]

    def former_iterations(self, run: RunId, number: int | None, limit: int) -> Sequence[Iteration]:
        values = {"id": run, "number": _LAST if number is None else number, "limit": limit}
        return [*map(iteration_of, self._database.read(lambda session: session.all(FORMER_ITERATIONS, values)))]

    def find_iteration(self, run: RunId, number: int | None = None) -> Iteration | None:
        statement = NEWEST_ITERATION if number is None else GET_ITERATION
        values: dict[str, Any] = {"id": run} if number is None else {"id": run, "number": number}
        row = self._database.read(lambda session: session.one(statement, values))
        return None if row is None else iteration_of(row)

    def rules(self, run: RunId, after: int = -1) -> Sequence[RuleOptimization]:
        values = {"id": run, "after": after}
        return [*map(rule_of, self._database.read(lambda session: session.all(RULES_AFTER, values)))]

    def rule_metadata(self) -> Sequence[PromotedRule]:
        rows = self._database.read(lambda session: session.all(PROMOTED_RULES))
        return sorted(map(promoted_of, rows), key=lambda promoted: promoted.rule)  # databases sort as they are told to

    def patterns(self, run: RunId | None = None, after: int = -1) -> Sequence[Pattern]:
        statement, values = (ALL_PATTERNS, {}) if run is None else (PATTERNS_AFTER, {"id": run, "after": after})
        return [*map(pattern_of, self._database.read(lambda session: session.all(statement, values)))]

    def journal(self, run: RunId, after: int) -> Mapping[int, JournalRows]:
        values = {"id": run, "after": after}
        found = at_one_moment(
            self._database, lambda session: [session.all(statement, values) for statement, _ in _JOURNAL.values()]
        )
        cuts: defaultdict[int, dict[str, Any]] = defaultdict(dict)
        for (kind, (_, record_of)), rows in zip(_JOURNAL.items(), found, strict=True):
            for record in map(record_of, rows):
                cuts[record.sequence].setdefault(kind, []).append(record)
        return {sequence: JournalRows(**cuts[sequence]) for sequence in sorted(cuts)}


# -- writing -------------------------------------------------------------------------------------------------------


class EncodedJournal:
    """The rows of a commit, encoded before its transaction: what cannot be stored never takes a lock."""

    def __init__(self, rows: JournalRows, run: RunId, epoch: int, now: float, *, is_sealed: bool = False) -> None:
        self._run = run
        self._logged = values_of_logged(
            LoggedCut(
                sequence=0,  # `add` knows it
                epoch=epoch,
                entered=rows.entered or now,
                created=now,
                saving=rows.saving,
                points=rows.points,
            )
        )
        self._iterations = [values_of_iteration(iteration, epoch, is_sealed=is_sealed) for iteration in rows.iterations]
        self._rules = [values_of_rule(place, rule) for place, rule in enumerate(rows.rules)]
        self._patterns = [values_of_pattern(place, pattern) for place, pattern in enumerate(rows.patterns)]

    def add(self, session: Session, num: int, sequence: int) -> None:
        """In the transaction of the commit."""
        where = {RUN_ID: self._run, "run": num, "sequence": sequence}
        session.change(ADD_LOGGED, {**self._logged, **where})
        for iteration in self._iterations:
            session.change(ADD_ITERATION, {**iteration, **where})
        for rule in self._rules:
            promoted = rule["candidate"] and promote(session, num, self._run, {**rule, **where})
            session.change(ADD_RULE, {**rule, **where, "promoted": promoted})
        for pattern in self._patterns:
            session.change(ADD_PATTERN, {**pattern, **where})


def promote(session: Session, num: int, run: RunId, rule: Mapping[str, Any]) -> bool:
    """Whether this trial is the best of its rule now."""
    return session.change(PROMOTE, {**rule, "num": num, "run": run, "updated": rule["created"]}) == 1


def take_back(session: Session, run: RunId, values: Mapping[str, Any]) -> None:
    """What commits after `number` of run `num` wrote down goes, in the transaction of a rewind."""
    undone = [row[0] for row in session.all(UNDONE_RULES, {"of": run, "number": values["number"]})]
    for forget in FORGET:
        session.change(forget, values)
    for rule in undone:
        session.change(DROP_PROMOTED, {"which": rule})
        best = session.one(BEST_LEFT, {"which": rule})
        if best is not None:
            named = dict(zip((column.name for column in RULE), best[2:], strict=True))
            promote(session, best[0], best[1], named)


# -- taking over -----------------------------------------------------------------------------------------------------


def copy_journal(session: Session, source: RunId, target: Target, through: int) -> None:
    """What a run had written down up to a cut, into another run; what is promoted stays with who found it."""
    to = {RUN_ID: target.id, "run": target.num}
    values: dict[str, Any] = {"id": source, "after": -1, "limit": _PAGE}
    while rows := session.all(LOGGED_AFTER, values):
        kept = [row for row in rows if row[0] <= through]
        session.many(ADD_LOGGED, [{**values_of_logged(logged_of(row)), **to} for row in kept])
        if len(kept) < len(rows):
            break
        values["after"] = rows[-1][0]
    everything = {"id": source, "after": -1}
    for one in map(iteration_of, session.all(ITERATIONS_AFTER, everything)):
        if one.sequence <= through:
            values = values_of_iteration(one, one.epoch, is_sealed=session.is_sealed)
            session.change(ADD_ITERATION, {**values, **to, "sequence": one.sequence})
    for row in session.all(RULES_AFTER, everything):
        _, place, *_ = row
        rule = rule_of(row)
        if rule.sequence <= through:
            where = {**to, "sequence": rule.sequence, "promoted": rule.is_promoted}
            session.change(ADD_RULE, {**values_of_rule(place, rule), **where})
    for row in session.all(PATTERNS_AFTER, everything):
        _, _, place, *_ = row
        pattern = pattern_of(row)
        if pattern.sequence <= through:
            where = {**to, "sequence": pattern.sequence}
            session.change(ADD_PATTERN, {**values_of_pattern(place, pattern), **where})
