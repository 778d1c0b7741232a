"""Contract: what sessions write down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from waycairn.errors import OwnershipLost
from waycairn.model.journal import Iteration, JournalRows, Pattern, Point, RuleOptimization
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase, added
from waycairn.testing.records import NOW, a_checkpoint, a_cut, a_run, an_owner


def a_point(step: int, **values: float) -> Point:
    return Point(step, NOW + step, values)


def an_iteration(number: int, **given: Any) -> Iteration:
    return Iteration(**{"number": number, "metrics": {"loss": 1 / number}, "ended": NOW, "took": 0.5, **given})


def a_rule(rule: str = "r", score: float = 1.2, **given: Any) -> RuleOptimization:
    facts: dict[str, Any] = {"baseline": 1.0, "improvement": score - 1.0, "created": NOW, "is_candidate": True, **given}
    return RuleOptimization(rule=rule, score=score, **facts)


def a_pattern(pattern: str = "p", **given: Any) -> Pattern:
    return Pattern(pattern=pattern, **{"effectiveness": 0.5, "created": NOW, **given})


def exact(metrics: Mapping[str, float]) -> dict[str, str]:
    """So that NaN is NaN and -0.0 is not 0.0."""
    return {name: repr(value) for name, value in metrics.items()}


class SessionContract(CatalogCase):
    def test_points_come_back_by_cut(self, catalog: Catalog) -> None:
        """Exactly, in order, with the entry that logged them; a cut without any has no row."""
        run, other = added(catalog), added(catalog, a_run("other"))
        first = [a_point(1, loss=0.1, odd=math.inf), a_point(2, loss=-0.0), a_point(2, other=5e-324)]
        rows = JournalRows(points=first, entered=NOW - 9, saving=0.25)
        catalog.commit(a_cut(run.id, 1, journal=rows))
        catalog.commit(a_cut(run.id, 2, journal=JournalRows()))
        catalog.commit(a_cut(run.id, 3, journal=JournalRows(points=[a_point(3, loss=math.nan)])))
        catalog.commit(a_cut(other.id, 1, journal=JournalRows(points=[a_point(99, foreign=1.0)])))
        one, three = catalog.metrics(run.id)
        assert (one.sequence, one.epoch, one.entered, one.saving, list(one.points)) == (1, 1, NOW - 9, 0.25, first)
        assert math.copysign(1, one.points[1].values["loss"]) == -1
        assert (three.sequence, three.created) == (3, NOW + 3)
        assert math.isnan(three.points[0].values["loss"])
        assert [cut.sequence for cut in catalog.metrics(run.id, after=1)] == [3]
        assert (catalog.newest_step(run.id), catalog.newest_step(other.id)) == (3, 99)

    def test_many_cuts_are_read_in_pages(self, catalog: Catalog) -> None:
        """None twice, none left out, in order."""
        run = added(catalog)
        for sequence in range(1, 151):
            rows = JournalRows(points=[a_point(sequence * 2 + which, loss=1.0) for which in range(2)])
            catalog.commit(a_cut(run.id, sequence, journal=rows))
        assert [point.step for cut in catalog.metrics(run.id) for point in cut.points] == list(range(2, 302))

    def test_iterations_are_read_by_the_page(self, catalog: Catalog) -> None:
        """Up and down from a number, at most so many, none twice."""
        run = added(catalog)
        rows = JournalRows(iterations=[an_iteration(number) for number in range(1, 8)])
        catalog.commit(a_cut(run.id, 1, journal=rows))
        assert [one.number for one in catalog.next_iterations(run.id, 0, 3)] == [1, 2, 3]
        assert [one.number for one in catalog.next_iterations(run.id, 5, 9)] == [6, 7]
        assert [one.number for one in catalog.former_iterations(run.id, None, 3)] == [7, 6, 5]
        assert [one.number for one in catalog.former_iterations(run.id, 3, 9)] == [2, 1]
        assert catalog.former_iterations(run.id, 1, 9) == []

    def test_nothing_was_logged(self, catalog: Catalog) -> None:
        """Empty answers, no errors."""
        run = added(catalog)
        assert (list(catalog.metrics(run.id)), catalog.newest_step(run.id)) == ([], None)
        assert (catalog.iterations(run.id), catalog.find_iteration(run.id)) == ([], None)
        assert (catalog.rules(run.id), catalog.patterns(run.id), catalog.patterns()) == ([], [], [])
        assert catalog.rule_metadata() == []

    def test_iterations_come_back(self, catalog: Catalog) -> None:
        """With everything in them, by number; the commit gives epoch and sequence."""
        run = added(catalog)
        metrics = {"": 1e22, "a/b": -0.0, "nan\0": math.nan, "inf": -math.inf, "tiny": 5e-324, "third": 1 / 3}
        error = {"type": "ValueError", "message": "bad\0\udcff", "where": None, "traceback": "Traceback ..."}
        full = an_iteration(7, metrics=metrics, improvement=-0.1, description="x\0", error=error)
        catalog.commit(a_cut(run.id, 1, journal=JournalRows(iterations=[full])))
        strange = [an_iteration(3, metrics={"zero": -0.0, "large": 1e22}, improvement=math.nan), an_iteration(4)]
        catalog.commit(a_cut(run.id, 2, journal=JournalRows(iterations=strange)))
        three, four, seven = catalog.iterations(run.id)
        assert (seven.number, seven.sequence, seven.epoch, seven.description, seven.error) == (7, 1, 1, "x\0", error)
        assert (seven.took, seven.ended, seven.improvement) == (0.5, NOW, -0.1)
        assert exact(seven.metrics) == exact(metrics)
        assert exact(three.metrics) == {"zero": "-0.0", "large": "1e+22"}
        assert three.improvement is not None
        assert math.isnan(three.improvement)
        assert (four.improvement, four.error, four.description) == (None, None, None)
        found = catalog.find_iteration(run.id)
        assert found is not None
        assert found.number == 7
        assert catalog.find_iteration(run.id, 4) == four
        assert catalog.find_iteration(run.id, 5) is None
        assert [iteration.number for iteration in catalog.iterations(run.id, after=1)] == [3, 4]

    def test_a_number_is_given_once(self, catalog: Catalog) -> None:
        """A second iteration of it is refused, with everything beside it; another run may have it."""
        run, other = added(catalog), added(catalog, a_run("other"))
        catalog.commit(a_cut(run.id, 1, journal=JournalRows(iterations=[an_iteration(1)])))
        with pytest.raises(ValueError, match="committed before"):
            catalog.commit(a_cut(run.id, 2, journal=JournalRows(iterations=[an_iteration(1)], rules=[a_rule()])))
        assert (catalog.rules(run.id), catalog.rule_metadata()) == ([], [])
        catalog.commit(a_cut(other.id, 1, journal=JournalRows(iterations=[an_iteration(1)])))

    def test_the_best_candidate_is_promoted(self, catalog: Catalog) -> None:
        """By any run; one that is as good, worse, or no candidate changes nothing. Each trial says what it did."""
        run, other = added(catalog), added(catalog, a_run("other", "k"))
        trials = [a_rule("a", 1.2, parameters={"x": [1, None]}, description="d", iteration=4), a_rule("b\0", 1.3)]
        catalog.commit(a_cut(run.id, 1, journal=JournalRows(rules=trials)))
        later = [a_rule("a", 1.2), a_rule("a", 1.1), a_rule("a", 9.0, is_candidate=False), a_rule("b\0", 1.5)]
        catalog.commit(a_cut(other.id, 1, journal=JournalRows(rules=later)))
        assert [trial.is_promoted for trial in catalog.rules(run.id)] == [True, True]
        assert [trial.is_promoted for trial in catalog.rules(other.id)] == [False, False, False, True]
        first = catalog.rules(run.id)[0]
        assert (first.rule, first.parameters, first.description, first.iteration) == ("a", {"x": [1, None]}, "d", 4)
        assert (first.score, first.baseline, first.sequence, first.is_candidate) == (1.2, 1.0, 1, True)
        a, b = catalog.rule_metadata()
        assert (a.rule, a.score, a.run, a.name, a.parameters, a.iteration) == (
            "a",
            1.2,
            run.id,
            "job",
            {"x": [1, None]},
            4,
        )
        assert (b.rule, b.score, b.run, b.name, b.sequence) == ("b\0", 1.5, other.id, "other", 1)

    def test_patterns_name_who_found_them(self, catalog: Catalog) -> None:
        """Those of a run in the order of its commits, those of the store by time."""
        run, other = added(catalog), added(catalog, a_run("other"))
        found = [a_pattern("p", data={"words": ["a"]}, iteration=1, created=NOW + 2), a_pattern("q", description="d")]
        catalog.commit(a_cut(run.id, 1, journal=JournalRows(patterns=found)))
        catalog.commit(a_cut(other.id, 1, journal=JournalRows(patterns=[a_pattern("p", created=NOW + 1)])))
        p, q = catalog.patterns(run.id)
        assert (p.pattern, p.data, p.iteration, p.run, p.sequence) == ("p", {"words": ["a"]}, 1, run.id, 1)
        assert (q.pattern, q.data, q.description, q.effectiveness) == ("q", None, "d", 0.5)
        everything = [(pattern.pattern, pattern.run) for pattern in catalog.patterns()]
        assert everything == [("q", run.id), ("p", other.id), ("p", run.id)]
        assert catalog.patterns(run.id, after=1) == []

    def test_a_journal_is_read_by_commits(self, catalog: Catalog) -> None:
        """All that one of them wrote down, but for its points."""
        run, other = added(catalog), added(catalog, a_run("other"))
        both = JournalRows(points=[a_point(1, x=1.0)], iterations=[an_iteration(1), an_iteration(2)], rules=[a_rule()])
        catalog.commit(a_cut(run.id, 1, journal=both))
        catalog.commit(a_cut(run.id, 2, journal=JournalRows(points=[a_point(2, x=1.0)])))
        catalog.commit(a_cut(run.id, 3, journal=JournalRows(patterns=[a_pattern("p"), a_pattern("q")])))
        catalog.commit(a_cut(other.id, 1, journal=JournalRows(rules=[a_rule()])))
        cuts = catalog.journal(run.id, 0)
        assert list(cuts) == [1, 3]
        assert cuts[1] == JournalRows(iterations=catalog.iterations(run.id), rules=catalog.rules(run.id))
        assert cuts[3] == JournalRows(patterns=catalog.patterns(run.id))
        assert catalog.journal(run.id, 1) == {3: cuts[3]}
        assert catalog.journal(run.id, 3) == {}

    def test_a_displaced_owner_writes_nothing_down(self, catalog: Catalog) -> None:
        """The fence stands before all of it."""
        run = added(catalog)
        assert catalog.take_over(run.id, 1, an_owner(), NOW)
        everything = JournalRows(
            points=[a_point(1, x=1.0)], iterations=[an_iteration(1)], rules=[a_rule()], patterns=[a_pattern()]
        )
        with pytest.raises(OwnershipLost):
            catalog.commit(a_cut(run.id, 1, journal=everything))
        assert (list(catalog.metrics(run.id)), catalog.iterations(run.id), catalog.rules(run.id)) == ([], [], [])
        assert (catalog.patterns(run.id), catalog.rule_metadata()) == ([], [])

    def test_a_deleted_run_leaves_what_it_promoted(self, catalog: Catalog) -> None:
        """Everything else that it wrote down goes with it."""
        run, other = added(catalog), added(catalog, a_run("other"))
        rows = JournalRows(
            points=[a_point(1, x=1.0)], iterations=[an_iteration(1)], rules=[a_rule()], patterns=[a_pattern()]
        )
        for one in (run, other):
            catalog.commit(a_cut(one.id, 1, journal=rows))
        catalog.delete_run(run.id)
        assert (list(catalog.metrics(run.id)), catalog.iterations(run.id), catalog.rules(run.id)) == ([], [], [])
        assert [pattern.run for pattern in catalog.patterns()] == [other.id]
        assert [rule.run for rule in catalog.rule_metadata()] == [run.id]

    def test_rewind_takes_back_what_was_written_down(self, catalog: Catalog) -> None:
        """Later rows go, their numbers are free again, and of a rule the best that is left stands."""
        run, other = added(catalog), added(catalog, a_run("other"))
        for sequence in (1, 2, 3):
            rows = JournalRows(
                points=[a_point(sequence, x=1.0)],
                iterations=[an_iteration(sequence)],
                rules=[a_rule("a", 1 + sequence), a_rule(f"only {sequence}")],
                patterns=[a_pattern()],
            )
            catalog.commit(a_cut(run.id, sequence, checkpoint=a_checkpoint(), journal=rows))
        catalog.commit(a_cut(other.id, 1, journal=JournalRows(rules=[a_rule("a", 2.5), a_rule("other", 1.5)])))
        catalog.rewind(run.id, 1, 1, NOW)
        assert [cut.sequence for cut in catalog.metrics(run.id)] == [1]
        assert [iteration.number for iteration in catalog.iterations(run.id)] == [1]
        assert [trial.sequence for trial in catalog.rules(run.id)] == [1, 1]
        assert [pattern.sequence for pattern in catalog.patterns(run.id)] == [1]
        best = {rule.rule: (rule.score, rule.run) for rule in catalog.rule_metadata()}
        assert best == {"a": (2.5, other.id), "only 1": (1.2, run.id), "other": (1.5, other.id)}
        catalog.commit(a_cut(run.id, 4, journal=JournalRows(iterations=[an_iteration(2)])))
        assert [iteration.sequence for iteration in catalog.iterations(run.id)] == [1, 4]
