"""Rows of what sessions write down, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from waycairn.catalog.columns import (
    as_text,
    decode_json,
    decode_maybe,
    decode_text,
    encode_json,
    encode_maybe,
    encode_text,
)
from waycairn.catalog.database import Row
from waycairn.catalog.points import decode_points, encode_points
from waycairn.catalog.shapes import reads
from waycairn.catalog.tables import discovered_patterns as patterns
from waycairn.catalog.tables import iterations, metrics, rule_metadata, rule_performance, runs
from waycairn.model.ids import RunId
from waycairn.model.journal import Iteration, LoggedCut, Pattern, PromotedRule, RuleOptimization

LOGGED = (
    metrics.c.sequence,
    metrics.c.epoch,
    metrics.c.entered,
    metrics.c.created,
    metrics.c.saving,
    metrics.c.points,
)
ITERATION = (
    *(iterations.c.number, iterations.c.sequence, iterations.c.epoch, iterations.c.created, iterations.c.took),
    *(iterations.c.improvement, iterations.c.metrics, iterations.c.facts),
)
RULE = tuple(column for column in rule_performance.c if column.name != "run")
PROMOTED = tuple(rule_metadata.c)
PATTERN = (runs.c.id, *(column for column in patterns.c if column.name != "run"))


def values_of_iteration(iteration: Iteration, epoch: int, *, is_sealed: bool) -> dict[str, Any]:
    improvement = iteration.improvement
    # SQLite keeps NaN as NULL; and a column of numbers can hold nothing that is sealed.
    is_apart = improvement is not None and (is_sealed or math.isnan(improvement))
    facts = {
        **({} if iteration.description is None else {"description": iteration.description}),
        **({} if iteration.error is None else {"error": dict(iteration.error)}),
        **({"improvement": str(improvement)} if is_apart else {}),
    }
    return {
        "number": iteration.number,
        "epoch": epoch,
        "created": iteration.ended,
        "took": iteration.took,
        "improvement": None if is_apart else improvement,
        "metrics": encode_metrics(iteration.metrics),
        "facts": encode_json(facts),
    }


def encode_metrics(values: Mapping[str, float]) -> str | None:
    """JSONB knows no -0.0: such a document goes as text, as one with NaN does."""
    if any(value == 0 and math.copysign(1, value) < 0 for value in values.values()):
        return as_text(dict(values))
    return encode_json(dict(values))


@reads(ITERATION)
def iteration_of(row: Row) -> Iteration:
    number, sequence, epoch, created, took, improvement, measured, facts = row
    more = decode_json(facts)
    return Iteration(
        number=number,
        sequence=sequence,
        epoch=epoch,
        ended=float(created),
        took=float(took),
        improvement=None if (apart := more.get("improvement", improvement)) is None else float(apart),
        metrics={name: float(value) for name, value in decode_json(measured).items()},  # JSONB gives 1e22 as an int
        description=more.get("description"),
        error=more.get("error"),
    )


@reads(LOGGED)
def logged_of(row: Row) -> LoggedCut:
    sequence, epoch, entered, created, saving, points = row
    return LoggedCut(
        sequence=sequence,
        epoch=epoch,
        entered=float(entered),
        created=float(created),
        saving=float(saving),
        points=decode_points(bytes(points)),
    )


def values_of_rule(place: int, rule: RuleOptimization) -> dict[str, Any]:
    return {
        "place": place,
        "rule": encode_text(rule.rule),
        "created": rule.created,
        "iteration": rule.iteration,
        "score": rule.score,
        "baseline": rule.baseline,
        "improvement": rule.improvement,
        "candidate": rule.is_candidate,
        "parameters": encode_json(dict(rule.parameters)),
        "description": encode_maybe(rule.description),
    }


@reads(RULE)
def rule_of(row: Row) -> RuleOptimization:
    sequence, _, rule, created, iteration, score, baseline, improvement, candidate, promoted, *more = row
    parameters, description = more
    return RuleOptimization(
        rule=decode_text(rule),
        score=float(score),
        baseline=float(baseline),
        improvement=float(improvement),
        parameters=decode_json(parameters),
        description=decode_maybe(description),
        iteration=iteration,
        created=float(created),
        is_candidate=bool(candidate),
        is_promoted=bool(promoted),
        sequence=sequence,
    )


@reads(PROMOTED)
def promoted_of(row: Row) -> PromotedRule:
    rule, run, name, sequence, iteration, updated, score, baseline, improvement, parameters, description = row
    return PromotedRule(
        rule=decode_text(rule),
        score=float(score),
        baseline=float(baseline),
        improvement=float(improvement),
        parameters=decode_json(parameters),
        description=decode_maybe(description),
        iteration=iteration,
        run=RunId(run),
        name=decode_text(name),
        sequence=sequence,
        updated=float(updated),
    )


def values_of_pattern(place: int, pattern: Pattern) -> dict[str, Any]:
    return {
        "place": place,
        "pattern": encode_text(pattern.pattern),
        "created": pattern.created,
        "iteration": pattern.iteration,
        "effectiveness": pattern.effectiveness,
        "data": encode_json(pattern.data),
        "description": encode_maybe(pattern.description),
    }


@reads(PATTERN)
def pattern_of(row: Row) -> Pattern:
    run, sequence, _, pattern, created, iteration, effectiveness, data, description = row
    return Pattern(
        pattern=decode_text(pattern),
        effectiveness=float(effectiveness),
        data=decode_json(data),
        description=decode_maybe(description),
        iteration=iteration,
        created=float(created),
        run=RunId(run),
        sequence=sequence,
    )


def values_of_logged(cut: LoggedCut) -> dict[str, Any]:
    steps = [point.step for point in cut.points]
    return {
        "sequence": cut.sequence,
        "epoch": cut.epoch,
        "entered": cut.entered,
        "created": cut.created,
        "saving": cut.saving,
        "first": min(steps, default=None),
        "last": max(steps, default=None),
        "count": len(steps),
        "points": encode_points(cut.points),
    }
