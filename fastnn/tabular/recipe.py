"""Recipes: what networks an estimator trains, and how."""

import math
from dataclasses import dataclass, replace
from typing import Any

from fastnn.layers import (
    Dense,
    Dropout,
    Embedding,
    Layer,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Scale,
)
from fastnn.network import Network
from fastnn.optimizers import AdamW
from fastnn.schedules import CosineDecay, CosLog, Schedule
from fastnn.tabular.encoding import Encoding


@dataclass(frozen=True)
class Recipe:
    """What networks an estimator trains, and how.

    Attributes
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    activation : str
    parametric : bool
        Whether each unit learns how much of its activation to use.
    numbers : {"periodic", "piecewise"} or None
        Whether numbers get a :class:`~fastnn.PeriodicEmbedding`, or a
        :class:`~fastnn.PiecewiseLinearEmbedding` of `bins` bins and `bin_units` units.
    scale : bool
        Whether inputs get a :class:`~fastnn.Scale`.
    max_categories : int
        Columns with more categories get an :class:`~fastnn.Embedding` instead of a column each.
    embedding_units : int
    epochs, batch_size : int
    least_updates : int
        Where `epochs` make fewer updates there are more epochs, up to `most_epochs`.
    most_epochs : int
    learning_rate : float
        At its highest, for weights of unit variance: divided by the root of a layer's inputs.
    beta_2 : float
    cycles : int
        How often the learning rate rises and falls, each time twice as long; 0 means half a cosine.
    dropout, weight_decay : float
        For half of the fit; then they fall to 0.
    label_smoothing : float
        For classes only.
    from_data : bool
        Whether hidden units start by :func:`fastnn.initialize_from_data`.
    folds, repeats : int
        How many shares the rows are divided into, each held out by one network, and how often.
    """

    hidden: tuple[int, ...] = (128, 128)
    activation: str = "relu"
    parametric: bool = False
    numbers: str | None = "periodic"
    bins: int = 48
    bin_units: int = 4
    scale: bool = True
    max_categories: int = 8
    embedding_units: int = 8
    epochs: int = 60
    batch_size: int = 256
    least_updates: int = 0
    most_epochs: int = 256
    learning_rate: float = 0.1
    beta_2: float = 0.95
    cycles: int = 0
    dropout: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    from_data: bool = False
    folds: int = 5
    repeats: int = 1

    def of_rows(self, n_rows: int) -> "Recipe":
        """Return the recipe with the epochs that so many rows to train on want."""
        batches = -(-n_rows // self.batch_size)
        wanted = min(self.most_epochs, -(-self.least_updates // batches))
        return replace(self, epochs=max(self.epochs, wanted))

    @property
    def rhythm(self) -> tuple[int, int]:
        """What networks that are trained together have in common."""
        return self.epochs, self.batch_size


_KINDS = "periodic", "piecewise"
PRESETS = {
    "fast": [Recipe(numbers=each, epochs=20, least_updates=600, most_epochs=60) for each in _KINDS],
    "accurate": [
        Recipe(numbers=each, dropout=0.1, least_updates=500, repeats=2) for each in _KINDS
    ],
}


def network(
    recipe: Recipe, encoding: Encoding, loss: Any, n_outputs: int, n_updates: int, seed: int
) -> Network:
    """Return a new network by the recipe for encoded rows, to be trained by so many updates."""
    layers: list[Layer] = []
    if encoding.codes:  # first: the embedding of numbers moves columns
        counts, codes = [*encoding.codes.values()], [*encoding.codes]
        layers.append(Embedding(counts, recipe.embedding_units, columns=codes))
    numbers = [
        column - sum(code < column for code in encoding.codes) for column in encoding.numbers
    ]
    if recipe.numbers == "periodic" and numbers:
        layers.append(PeriodicEmbedding(columns=numbers))
    if recipe.numbers == "piecewise" and numbers:
        edges = encoding.edges(recipe.bins)
        layers.append(PiecewiseLinearEmbedding(edges, recipe.bin_units, columns=numbers))
    if recipe.scale:
        layers.append(Scale(learning_rate_factor=6))
    width = encoding.width
    for layer in layers:
        width = layer.width(width)
    for units in recipe.hidden:
        plain = not recipe.parametric
        layers.append(_dense(units, width, recipe.activation if plain else None))
        if recipe.parametric:
            layers.append(ParametricActivation(recipe.activation, learning_rate_factor=0.1))
        if recipe.dropout:
            layers.append(Dropout(_falling(recipe.dropout, n_updates)))
        width = units
    layers.append(_dense(n_outputs, width, None, "zeros"))
    rate: Schedule = CosineDecay(recipe.learning_rate, n_updates)
    if recipe.cycles:
        rate = CosLog(recipe.learning_rate, n_updates, recipe.cycles)
    decay = recipe.weight_decay and _falling(recipe.weight_decay, n_updates)
    optimizer = AdamW(rate, decay, 0.9, recipe.beta_2, epsilon=1e-8)
    return Network(layers, loss=loss, optimizer=optimizer, seed=seed, n_threads=1)


def _falling(start: float, n_updates: int) -> Schedule:
    half = max(1, n_updates // 2)
    return CosineDecay(start, half, hold_steps=half)


def _dense(units: int, n_inputs: int, activation: Any, start: str = "lecun_normal") -> Dense:
    return Dense(
        units,
        activation,
        kernel_initializer=start,
        bias_initializer={"name": "normal", "stddev": 1.0} if start != "zeros" else "zeros",
        kernel_learning_rate_factor=1 / math.sqrt(n_inputs),
        bias_learning_rate_factor=0.1,
    )
