"""A session beside run.steps: cuts are written behind the loop, and nothing is counted twice or lost."""

import waycairn as wc


def test_iterations_in_steps_that_follow_each_other(tmp_path):
    """The one before may still be on its way to the disk when the next is numbered."""
    with wc.open(tmp_path) as store, store.run("job") as run:
        weights = {"value": 0}
        run.track(weights=weights)
        for step in run.steps(30, save_every=5):
            weights["value"] += 1
            run.log(loss=1.0 / (step + 1))
            run.session.iteration(metrics={"step": step})
            run.session.rule("halve", score=1.0, baseline=0.5)
        assert [one.number for one in run.session.iterations()] == list(range(1, 31))
        assert [one.metrics["step"] for one in run.session.iterations()] == list(range(30))
        assert len(run.session.rules()) == 30
        assert run.session.report().curve("loss").places == list(range(30))
