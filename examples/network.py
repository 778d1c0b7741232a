"""A small neural network in plain numpy, how it is trained, and the rules by which training may be changed.

Nothing in this file knows about waycairn: networks and optimizers are objects with arrays in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    rate: float = 0.01
    momentum: float = 0.0
    warm_up: float = 0.0
    """Share of the steps in which the rate grows from 0."""
    cosine: bool = False
    """Whether the rate falls to 0 after that."""
    dropout: float = 0.0
    shift: int = 0
    """Pixels by which images are moved, in each direction."""
    decay: float = 0.0
    smoothing: float = 0.0

    def rate_at(self, progress: float) -> float:
        """`progress` is the share of the steps that are done."""
        if progress < self.warm_up:
            return self.rate * progress / self.warm_up
        done = (progress - self.warm_up) / (1 - self.warm_up)
        return self.rate * (1 + math.cos(math.pi * done)) / 2 if self.cosine else self.rate


RULES = ("double-rate", "halve-rate", "momentum", "warm-up", "cosine", "dropout", "shift", "decay", "smooth-labels")


def changed(recipe: Recipe, rule: str) -> Recipe:
    """The recipe after one rule. A switch that is on already is turned off."""
    changes: dict[str, dict[str, Any]] = {
        "double-rate": {"rate": recipe.rate * 2},
        "halve-rate": {"rate": recipe.rate / 2},
        "momentum": {"momentum": 0.0 if recipe.momentum else 0.9},
        "warm-up": {"warm_up": 0.0 if recipe.warm_up else 0.1},
        "cosine": {"cosine": not recipe.cosine},
        "dropout": {"dropout": 0.0 if recipe.dropout else 0.2},
        "shift": {"shift": 1 - recipe.shift},
        "decay": {"decay": 0.0 if recipe.decay else 1e-4},
        "smooth-labels": {"smoothing": 0.0 if recipe.smoothing else 0.1},
    }
    return replace(recipe, **changes[rule])


class Network:
    """Layers with rectifiers between them, and the probabilities of the classes at the end."""

    def __init__(self, *widths: int) -> None:
        self.weights = [np.zeros(shape) for shape in pairwise(widths)]
        self.biases = [np.zeros(width) for width in widths[1:]]

    def begin(self, chance: np.random.Generator) -> None:
        """Random weights, as He et al. (2015) draw them for rectifiers."""
        for weights, biases in zip(self.weights, self.biases, strict=True):
            weights[:] = chance.normal(0, math.sqrt(2 / len(weights)), weights.shape)
            biases[:] = 0

    def probabilities(self, images: Array) -> Array:
        return self._layers(images, 0, None)[-1]

    def learn(
        self, images: Array, labels: Labels, recipe: Recipe, chance: np.random.Generator
    ) -> tuple[float, list[Array]]:
        """The loss, and its gradients in the order of `parameters`."""
        layers = self._layers(images, recipe.dropout, chance)
        classes = layers[-1].shape[1]
        wanted = np.full(layers[-1].shape, recipe.smoothing / classes)
        wanted[np.arange(len(labels)), labels] += 1 - recipe.smoothing
        loss = -float((wanted * np.log(layers[-1] + 1e-12)).sum() / len(labels))
        slope = (layers[-1] - wanted) / len(labels)
        gradients: list[Array] = []
        for values, weights in zip(layers[-2::-1], self.weights[::-1], strict=True):
            gradients += [slope.sum(axis=0), values.T @ slope + recipe.decay * weights]
            slope = slope @ weights.T * (values > 0)
        return loss, gradients[::-1]

    @property
    def parameters(self) -> list[Array]:
        return [array for pair in zip(self.weights, self.biases, strict=True) for array in pair]

    def _layers(self, images: Array, dropout: float, chance: np.random.Generator | None) -> list[Array]:
        """What each layer gives, the images first."""
        layers = [images]
        for weights, biases in zip(self.weights, self.biases, strict=True):
            values = layers[-1] @ weights + biases
            if len(layers) < len(self.weights):
                values = np.maximum(values, 0)
                if chance is not None and dropout:
                    values *= (chance.random(values.shape) >= dropout) / (1 - dropout)
            layers.append(values)
        layers[-1] = np.exp(layers[-1] - layers[-1].max(axis=1, keepdims=True))
        layers[-1] /= layers[-1].sum(axis=1, keepdims=True)
        return layers


class Momentum:
    """Gradient descent that keeps its direction."""

    def __init__(self, network: Network) -> None:
        self.speeds = [np.zeros_like(array) for array in network.parameters]

    def begin(self) -> None:
        self.speeds = [np.zeros_like(speed) for speed in self.speeds]

    def step(self, network: Network, gradients: list[Array], rate: float, momentum: float) -> None:
        changes = zip(self.speeds, gradients, strict=True)
        self.speeds = [momentum * speed - rate * gradient for speed, gradient in changes]
        for parameter, speed in zip(network.parameters, self.speeds, strict=True):
            np.add(parameter, speed, out=parameter)


def shifted(images: Array, most: int, chance: np.random.Generator) -> Array:
    """Each image of 8 x 8 pixels, moved by up to so many of them."""
    if not most:
        return images
    across, down = chance.integers(-most, most + 1, (2, len(images), 1, 1))
    row, column = np.arange(8)[:, None] - down, np.arange(8) - across
    is_inside = (row >= 0) & (row < 8) & (column >= 0) & (column < 8)
    moved = images.reshape(-1, 8, 8)[np.arange(len(images))[:, None, None], row % 8, column % 8]
    return np.asarray(np.where(is_inside, moved, 0.0).reshape(images.shape))
