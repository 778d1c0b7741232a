"""Search for rules by which a network learns to read digits better, one training after the other.

    python examples/training.py                    results in ./digits
    waycairn report digits                         how the session went, also while it runs

Stop it whenever you like, with Ctrl-C, kill -9 or the power switch, and start it again with the same command: it ends with
the same weights, to the bit. Each iteration changes the best recipe so far by one rule, trains a network by it, and keeps
the recipe if the network is better. Everything that makes it go on is in `search`; the network is in network.py.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from network import RULES, Array, Labels, Momentum, Network, Recipe, changed, shifted
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

import waycairn as wc
from waycairn.training import Batches


@dataclass
class Search:
    """Where the session stands."""

    best: Recipe = field(default_factory=Recipe)
    accuracy: float = 0.0
    """Of the best recipe."""
    rule: str = "start"
    """That is being tried; `trial` is what it makes of the best recipe."""
    trial: Recipe = field(default_factory=Recipe)

    def next_rule(self) -> None:
        self.rule = random.choice([rule for rule in RULES if rule != self.rule])
        self.trial = changed(self.best, self.rule)


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 pixels from 0 to 1."""

    images: Array
    labels: Labels
    unseen_images: Array
    unseen_labels: Labels


def search(run: wc.Run, digits: Digits, given: argparse.Namespace) -> None:
    """One loop over the steps of all iterations: a save lies between any two of them."""
    random.seed(given.seed)
    chance = np.random.default_rng(given.seed)
    batches = Batches(len(digits.labels), 32, seed=given.seed)
    network = Network(64, 64, 10)
    optimizer = Momentum(network)
    found = Search()
    run.track(network=network, optimizer=optimizer, data=batches, chance=chance, search=found, rng=True)
    losses = run.output(given.output_dir / "losses.txt", append=True)
    steps = given.epochs * len(batches)
    for step in run.steps(given.iterations * steps, save_every=given.save_every):
        iteration, done = divmod(step, steps)
        if not done:
            if iteration:
                found.next_rule()
            network.begin(chance)
            optimizer.begin()
        chosen, recipe = next(batches), found.trial
        images = shifted(digits.images[chosen], recipe.shift, chance)
        loss, gradients = network.learn(images, digits.labels[chosen], recipe, chance)
        optimizer.step(network, gradients, recipe.rate_at(done / steps), recipe.momentum)
        run.log(loss=loss)
        losses.write(f"{step} {loss!r}\n")
        if done == steps - 1:
            judge(run, found, network, digits)


def judge(run: wc.Run, found: Search, network: Network, digits: Digits) -> None:
    """The iteration is over: written down, with what it showed, in one commit with all that is tracked."""
    probabilities = network.probabilities(digits.unseen_images)
    predicted = probabilities.argmax(axis=1)
    accuracy = float(accuracy_score(digits.unseen_labels, predicted))
    is_kept = accuracy > found.accuracy
    run.session.iteration(
        metrics={"accuracy": accuracy, "unseen_loss": log_loss(digits.unseen_labels, probabilities)},
        improvement=accuracy - found.accuracy,
        description=f"{found.rule}: {'kept' if is_kept else 'dropped'}",
        rules=[] if found.rule == "start" else [tried(found, accuracy)],
        patterns=confusions(digits.unseen_labels, predicted),
    )
    if is_kept:
        found.best, found.accuracy = found.trial, accuracy
        run.save("best-network", network.parameters, wait=False, metadata={"accuracy": accuracy})


def tried(found: Search, accuracy: float) -> dict[str, Any]:
    """The rule, how it did against the best recipe so far, and what it changed in that."""
    values = {name: value for name, value in vars(found.trial).items() if value != getattr(found.best, name)}
    return {"rule_id": found.rule, "score": accuracy, "baseline": found.accuracy, "parameters": values}


def confusions(labels: Labels, predicted: Labels) -> list[dict[str, Any]]:
    """The digit that is most often taken for a certain other one, and which share of the mistakes that is."""
    mistakes = Counter(
        (int(label), int(taken)) for label, taken in zip(labels, predicted, strict=True) if label != taken
    )
    return [
        {"pattern_id": f"{label}-read-as-{taken}", "effectiveness": count / mistakes.total(), "data": {"images": count}}
        for (label, taken), count in mistakes.most_common(1)
    ]


def read() -> Digits:
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, labels.astype(np.int64), test_size=0.3, random_state=0, stratify=labels)
    return Digits(parts[0], parts[2], parts[1], parts[3])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output-dir", type=Path, default=Path("digits"), help="folder for the results")
    parser.add_argument("--store", type=Path, help="where to remember; the default store if not given")
    parser.add_argument("--iterations", type=int, default=24, help="rules to try (default 24)")
    parser.add_argument("--epochs", type=int, default=15, help="of each iteration (default 15)")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default 1)")
    parser.add_argument("--save-every", default="auto", help='"500 steps", "5s", or "auto" (default)')
    return parser.parse_args()


def main() -> None:
    given = parse()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder: Path = given.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    with (
        wc.open(given.store) as store,
        store.run("digits", fingerprint={"seed": given.seed, "epochs": given.epochs}) as run,
    ):
        search(run, read(), given)
        np.savez(folder / "best.npz", *run.latest("best-network"))
        best = run.session.best("accuracy")
    if best:
        print(f"best accuracy: {best.metrics['accuracy']:.4f}, of iteration {best.number} ({best.description})")
    print(f"best.npz:      sha256 {hashlib.sha256((folder / 'best.npz').read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
