"""The network of the fourth example: its gradients are those of its loss."""

import importlib.util
import sys
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="numpy is not installed")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def _load():
    spec = importlib.util.spec_from_file_location("network", EXAMPLES / "network.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


network_of = _load()
Momentum, Network, Recipe = network_of.Momentum, network_of.Network, network_of.Recipe


def test_gradients_are_the_slopes_of_the_loss():
    """Measured for some of the parameters of each layer, with labels that are smoothed."""
    chance = np.random.default_rng(3)
    network, images, labels = Network(6, 5, 4, 3), chance.random((7, 6)), chance.integers(0, 3, 7)
    network.begin(chance)
    recipe = Recipe(smoothing=0.1)
    _, gradients = network.learn(images, labels, recipe, chance)
    for parameter, gradient in zip(network.parameters, gradients, strict=True):
        assert parameter.shape == gradient.shape
        place = tuple(size // 2 for size in parameter.shape)
        slopes = []
        for change in (1e-6, -2e-6):
            parameter[place] += change
            slopes.append(network.learn(images, labels, recipe, chance)[0])
        parameter[place] += 1e-6
        assert (slopes[0] - slopes[1]) / 2e-6 == pytest.approx(gradient[place], rel=1e-4, abs=1e-7)


def test_it_learns():
    """Dropout and all: the loss falls."""
    chance = np.random.default_rng(1)
    network, images = Network(4, 16, 2), chance.random((60, 4))
    labels = (images[:, 0] > images[:, 1]).astype(np.int64)
    network.begin(chance)
    optimizer, recipe = Momentum(network), Recipe(dropout=0.1, momentum=0.9)
    losses = []
    for _ in range(200):
        loss, gradients = network.learn(images, labels, recipe, chance)
        optimizer.step(network, gradients, 0.1, recipe.momentum)
        losses.append(loss)
    assert losses[-1] < 0.5 * losses[0]


def test_images_are_moved_by_whole_pixels():
    """What leaves is gone, what comes is empty; without a shift they are the same."""
    image = np.zeros((1, 64))
    image[0, 3 * 8 + 4] = 1
    chance = np.random.default_rng(2)
    places = {int(network_of.shifted(image, 1, chance).argmax()) for _ in range(100)}
    assert places == {row * 8 + column for row in (2, 3, 4) for column in (3, 4, 5)}
    corner = np.eye(1, 64)
    assert {float(network_of.shifted(corner, 1, chance).sum()) for _ in range(50)} == {0.0, 1.0}
    assert (network_of.shifted(image, 0, chance) == image).all()


def test_every_rule_changes_the_recipe():
    """And the rate follows it."""
    recipe = Recipe()
    assert len({network_of.changed(recipe, rule) for rule in network_of.RULES} - {recipe}) == len(network_of.RULES)
    assert recipe.rate_at(0) == recipe.rate_at(0.9) == recipe.rate
    warmed = network_of.changed(network_of.changed(recipe, "warm-up"), "cosine")
    assert warmed.rate_at(0.05) == pytest.approx(recipe.rate / 2)
    assert warmed.rate_at(0.1) == pytest.approx(recipe.rate)
    assert warmed.rate_at(1) == pytest.approx(0)
