"""The members of an ensemble: their rows, their training, and what they predict."""

import functools
import operator
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from fastnn.callbacks import Callback, EarlyStopping, History, Logs
from fastnn.formulas import Formula
from fastnn.many import fit_many
from fastnn.network import Network
from fastnn.pretraining import initialize_from_data
from fastnn.tabular.encoding import Encoding
from fastnn.tabular.recipe import Recipe, network
from fastnn.training import describing

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
    """Networks of one or several kinds, each trained on all rows but its share.

    Attributes
    ----------
    networks : list of Network
    histories : list of History
    kinds : array
        Which recipe each network has.
    splits : list of (training rows, held-out rows)
        Those of each network.
    """

    def __init__(self, recipes: Sequence[Recipe], encoding: Encoding, loss: Any, n_outputs: int):
        self.recipes, self.made_with = recipes, (encoding, loss, n_outputs)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        labels: np.ndarray | None,
        rng: np.random.Generator,
        n_threads: int,
        end: float | None,
        verbose: int = 0,
    ) -> None:
        """Train all networks; `end` is when to be done, by the monotonic clock."""
        data: dict[str, Any] = {"X": x, "y": y, "sample_weight": weight}
        rows = len(x) - len(x) // self.recipes[0].folds
        self.recipes = [each.of_rows(rows) for each in self.recipes]
        kinds, self.splits = [], []
        for kind, recipe in enumerate(self.recipes):
            for _ in range(recipe.repeats):
                shares = folds(len(x), min(recipe.folds, len(x)), labels, rng)
                self.splits += shares
                kinds += [kind] * len(shares)
        self.kinds = np.array(kinds)
        recipes = list(self.recipes)
        if end is not None:
            recipes = self._in_time(data, end, n_threads)
        seeds = rng.integers(2**31, size=len(self.kinds)).tolist()
        self.networks = [
            self._network(recipes[kind], len(train), seed)
            for kind, (train, _), seed in zip(self.kinds, self.splits, seeds, strict=True)
        ]
        self.histories: list[History] = []
        for (epochs, batch_size), group in groupby(
            range(len(self.kinds)), lambda n: recipes[self.kinds[n]].rhythm
        ):
            chosen = list(group)
            for number in chosen:
                if recipes[self.kinds[number]].from_data:
                    some = self.splits[number][0][:_START_ROWS]
                    initialize_from_data(self.networks[number], x[some])
            self.histories += fit_many(
                [self.networks[number] for number in chosen],
                **data,
                epochs=epochs,
                batch_size=batch_size,
                splits=[self.splits[number] for number in chosen],
                callbacks=[self._hooks(end) for _ in chosen],
                verbose=verbose,
                n_threads=n_threads,
            )

    @staticmethod
    def _hooks(end: float | None) -> list[Callback]:
        best: list[Callback] = [EarlyStopping(patience=None, ties="last")]
        return best if end is None else [*best, _Deadline(end)]

    def _network(self, recipe: Recipe, n_rows: int, seed: int) -> Network:
        updates = recipe.epochs * -(-n_rows // recipe.batch_size)
        return network(recipe, *self.made_with, updates, seed)

    def _in_time(self, data: dict[str, Any], end: float, n_threads: int) -> list[Recipe]:
        """Return the recipes with as many epochs as there is time for, or drop members.

        Each recipe's time of an epoch is measured once, after a first one that compiles.
        """
        seconds = []
        for kind, recipe in enumerate(self.recipes):
            split = self.splits[int((self.kinds == kind).argmax())]
            for _ in range(2):
                trial = self._network(replace(recipe, epochs=1), len(split[0]), 0)
                started = time.monotonic()
                fit_many([trial], **data, batch_size=recipe.batch_size, splits=[split])
                took = time.monotonic() - started
            seconds.append(took)
        left = 0.9 * (end - time.monotonic()) * n_threads
        wanted = sum(seconds[kind] * self.recipes[kind].epochs for kind in self.kinds)
        share = min(1.0, max(0.0, left / wanted))
        recipes = [
            replace(each, epochs=min(each.epochs, max(_FEWEST_EPOCHS, int(each.epochs * share))))
            for each in self.recipes
        ]
        cost = np.cumsum([seconds[kind] * recipes[kind].epochs for kind in self.kinds])
        count = max(1, int((cost <= left).sum()))
        self.kinds, self.splits = self.kinds[:count], self.splits[:count]
        left_kinds = int(self.kinds[-1]) + 1
        self.recipes = self.recipes[:left_kinds]
        return recipes[:left_kinds]

    def held_out(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean outputs of each kind's members that did not train on a row.

        They are (kinds, n, n_outputs), for the rows for which the second array is true: those that
        every kind has such members for.
        """
        kinds, n_outputs = len(self.recipes), self.made_with[2]
        total, count = np.zeros((kinds, len(x), n_outputs)), np.zeros((kinds, len(x)))
        for kind, member, (_, held) in zip(self.kinds, self.networks, self.splits, strict=True):
            total[kind, held] += member.predict(x[held])
            count[kind, held] += 1
        known = np.asarray(count.all(axis=0))
        return total[:, known] / count[:, known, None], known

    def formula(self, x: Formula, shares: np.ndarray) -> Formula:
        """Return the formula of `outputs`."""
        factor = shares[self.kinds] / np.bincount(self.kinds)[self.kinds]
        parts = [
            describing.formula(member.model, x).cast(np.float64) * own
            for member, own in zip(self.networks, factor, strict=True)
            if own
        ]
        return functools.reduce(operator.add, parts)

    def outputs(self, x: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Return the sum of the kinds' mean outputs, each times its share."""
        factor = shares[self.kinds] / np.bincount(self.kinds)[self.kinds]
        total = np.zeros((len(x), self.made_with[2]))
        for member, own in zip(self.networks, factor, strict=True):
            if own:
                total += own * member.predict(x)
        return total
