"""The members of an ensemble: their rows, their training, and what they predict."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.callbacks import Callback, EarlyStopping, Logs
from fastnn.engine import cores
from fastnn.many import fit_many
from fastnn.network import Network
from fastnn.pretraining import initialize_from_data
from fastnn.tabular.encoding import Encoding
from fastnn.tabular.recipe import Recipe, network

Split = tuple[np.ndarray, np.ndarray]
_FEWEST_EPOCHS = 8
_START_ROWS = 2000


class _Deadline(Callback):
    """Stops a fit when its time is up."""

    def __init__(self, end: float):
        self.end = end

    def on_train_begin(self, network: Any) -> None:
        self.network = network

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if time.monotonic() > self.end:
            self.network.stop_training = True


def folds(n_rows: int, count: int, labels: np.ndarray | None, rng: Any) -> list[Split]:
    """Return training and held-out rows for each of `count` shares, each label spread evenly."""
    order = rng.permutation(n_rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    share = np.empty(n_rows, np.int64)
    share[order] = np.arange(n_rows) % count
    return [((share != k).nonzero()[0], (share == k).nonzero()[0]) for k in range(count)]


class Members:
    """Networks, each trained on all rows but its share.

    Attributes
    ----------
    networks : list of Network
    histories : list of History
    splits : list of (training rows, held-out rows)
    """

    def __init__(self, recipe: Recipe, encoding: Encoding, loss: Any, n_outputs: int):
        self.recipe, self.made_with = recipe, (encoding, loss, n_outputs)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        labels: np.ndarray | None,
        rng: np.random.Generator,
        n_threads: int | None,
        end: float | None,
    ) -> None:
        recipe = self.recipe
        count = min(recipe.folds, len(x))
        self.splits = [
            split for _ in range(recipe.repeats) for split in folds(len(x), count, labels, rng)
        ]
        seeds = rng.integers(2**31, size=len(self.splits))
        if end is not None:
            recipe = self._in_time(recipe, x, y, weight, end, n_threads)
        self.networks = [
            self._network(recipe, len(train), int(seed))
            for (train, _), seed in zip(self.splits, seeds, strict=True)
        ]
        if recipe.from_data:
            for member, (train, _) in zip(self.networks, self.splits, strict=True):
                initialize_from_data(member, x[train[:_START_ROWS]])
        best = [[EarlyStopping(patience=None, ties="last")] for _ in self.networks]
        if end is not None:
            for hooks in best:
                hooks.append(_Deadline(end))
        self.histories = fit_many(
            self.networks,
            x,
            y,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            sample_weight=weight,
            splits=self.splits,
            callbacks=best,
            n_threads=n_threads,
        )

    def _network(self, recipe: Recipe, n_rows: int, seed: int) -> Network:
        updates = recipe.epochs * -(-n_rows // recipe.batch_size)
        return network(recipe, *self.made_with, updates, seed)

    def _in_time(
        self, recipe: Recipe, x: Any, y: Any, weight: Any, end: float, n_threads: int | None
    ) -> Recipe:
        """Return the recipe with as many epochs and members as there is time for."""
        split, seconds = self.splits[0], 0.0
        for _ in range(2):  # the first compiles
            trial = self._network(replace(recipe, epochs=1), len(split[0]), 0)
            started = time.monotonic()
            fit_many(
                [trial], x, y, batch_size=recipe.batch_size, sample_weight=weight, splits=[split]
            )
            seconds = time.monotonic() - started
        left = 0.9 * (end - time.monotonic()) * (n_threads or cores.unused())
        each = max(1, int(left / seconds))
        epochs = min(recipe.epochs, each // len(self.splits))
        if epochs < _FEWEST_EPOCHS:
            self.splits = self.splits[: max(1, each // _FEWEST_EPOCHS)]
            epochs = max(1, min(recipe.epochs, each // len(self.splits)))
        return replace(recipe, epochs=epochs)

    def held_out(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean outputs of the members that did not train on a row, and for which rows.

        The second array says of each row whether there are any.
        """
        total, count = np.zeros((len(x), self.made_with[2])), np.zeros(len(x))
        for member, (_, held) in zip(self.networks, self.splits, strict=True):
            total[held] += member.predict(x[held])
            count[held] += 1
        known = count > 0
        return total[known] / count[known, None], known
