"""The fourth example: networks that learn digits, killed again and again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import waycairn as wc

pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")
np = pytest.importorskip("numpy", reason="numpy is not installed")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
KILLS, ITERATIONS = 2, 8
SEED = 74
"""The second kill comes half-way: late ones may find that the job has ended."""


def _run(script, *options):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("WAYCAIRN", "FORCE_COLOR"))
    }
    command = [sys.executable, EXAMPLES / script, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The demo, small: one SIGKILL, one SIGTERM, the second start by `waycairn resume`."""
    place = tmp_path_factory.mktemp("training") / "place"
    ran = _run(
        "training_demo.py",
        "--kills",
        str(KILLS),
        "--iterations",
        str(ITERATIONS),
        "--seed",
        str(SEED),
        "--place",
        place,
    )
    return place, ran


def test_killed_it_ends_with_the_same_weights_losses_and_report(shown):
    """The demo compares by itself; here its files are compared once more."""
    place, ran = shown
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"Killed {KILLS} times; weights, losses and report are the same to the bit." in ran.stdout
    for name in ("best.npz", "losses.txt"):
        assert (place / "golden" / name).read_bytes() == (place / "killed" / name).read_bytes()
    said = (place / "killed" / "said.log").read_text("utf-8")
    assert "was stopped by SIGTERM; its cut was taken" in said
    assert said.count("goes on at step") == KILLS


def test_the_report_is_that_of_one_session(shown):
    """Each iteration once, though it was entered three times; every step has its loss; a page shows it."""
    place, ran = shown
    assert "session digits" in ran.stdout
    page = (place / "killed" / "report.html").read_text("utf-8")
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    with wc.open(place / "killed" / "store", create=False) as store:
        report = store.report("digits")
    assert (report.run.status, report.run.entered) == ("completed", KILLS + 1)
    assert [one.number for one in report.iterations] == list(range(1, ITERATIONS + 1))
    steps = len((place / "killed" / "losses.txt").read_text("utf-8").splitlines())
    loss = report.curve("loss")
    assert loss.places == list(range(steps))
    assert [f"{step} {value!r}" for step, value in zip(loss.places, loss.values, strict=True)] == (
        place / "killed" / "losses.txt"
    ).read_text("utf-8").splitlines()
    assert [rule.iteration for rule in report.rules] == list(range(2, ITERATIONS + 1))
    kept = [one.metrics["accuracy"] for one in report.iterations if one.description.endswith(": kept")]
    assert kept == sorted(kept)


def test_the_best_network_is_as_good_as_the_report_says(shown, monkeypatch):
    """Its weights, read from the file, on the images that it was not trained on."""
    place, _ = shown
    monkeypatch.syspath_prepend(EXAMPLES)
    from network import Network
    from training import read

    network, digits = Network(64, 64, 10), read()
    with np.load(place / "killed" / "best.npz") as stored:
        for parameter, name in zip(network.parameters, stored.files, strict=True):
            parameter[:] = stored[name]
    right = network.probabilities(digits.unseen_images).argmax(axis=1) == digits.unseen_labels
    with wc.open(place / "killed" / "store", create=False) as store:
        best = max(one.metrics["accuracy"] for one in store.report("digits").iterations)
    assert right.mean() == pytest.approx(best)
    assert best > 0.9
