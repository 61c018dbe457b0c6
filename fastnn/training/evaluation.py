"""Evaluation: a model's loss and metrics on prepared rows."""

import math
from typing import Any

import numpy as np

from fastnn.engine import team
from fastnn.engine.program import Program, aligned
from fastnn.inputs import checks
from fastnn.kernels import COMPILED
from fastnn.metrics import activated, scores
from fastnn.reference import TWINS
from fastnn.training import lowering, pool, prediction
from fastnn.training.data import Data, fed
from fastnn.training.model import ROW_FLOPS, Model

_ROWS = 256
"""Rows per thread and batch: few enough that the layers' outputs stay in the cache."""
_BLOCK = 2**16
"""Rows of which metrics take a copy at a time."""


def evaluate(model: Model, X: Any, y: Any, sample_weight: Any, return_dict: Any) -> Any:
    """Return the loss and the metrics; :meth:`fastnn.Network.evaluate` documents the arguments."""
    model.need_built("evaluate")
    return_dict = checks.boolean(return_dict, "return_dict")
    X, y, sample_weight = fed(model, X, y, sample_weight)
    data = model.check_data(X, y, sample_weight).weighted(model.loss)
    data = model.prepared(data, model.preprocessing)
    values = prediction.consistent(model, _evaluated, data)
    if return_dict:
        return values
    return list(values.values()) if model.metrics else values["loss"]


def _evaluated(model: Model, data: Data) -> dict[str, float]:
    evaluator = Evaluator(model, data)
    loss = evaluator.loss()
    evaluator.end()
    return {"loss": loss} | scored(model, data)


class Evaluator:
    """Evaluates a model's current weights on rows; most of the work is making it."""

    def __init__(self, model: Model, data: Data):
        n = len(data)
        self._model, self._n = model, n
        n_threads = model.threads(min(n, 2 * _ROWS), model.flops())
        self._together = data.together
        # Batches depend on the threads, so sums of batches would too.
        row_loss, weight = aligned((n,), model.dtype), np.ones(n, model.dtype)
        if data.weight is not None:
            with np.errstate(all="ignore"):
                weight[...] = data.weight
        self._rows = row_loss, weight, np.empty(2)
        how = row_loss, max(1, min(n, _ROWS * n_threads)), n_threads

        def make() -> tuple[Program, list[np.ndarray]]:
            return lowering.evaluation(model, data, *how), []

        arrays = [*model.arrays_of(data), row_loss]
        self._kept = pool.take(("evaluation", *how[1:]), model, arrays, make)
        self._kept.program.brief = n * (model.flops() + ROW_FLOPS) < team.BRIEF

    @np.errstate(all="ignore")
    def loss(self) -> float:
        """Return the loss, NaN if it is not finite."""
        model, program = self._model, self._kept.program
        team.run(program, n_rows=self._n, backend=program.backend)
        row_loss, weights, sums = self._rows
        if self._together is not None:
            row_loss, weights = map(self._together.gathered, (row_loss, weights))
        (COMPILED if program.backend == "numba" else TWINS)["batch_loss"](row_loss, weights, sums)
        total, weight = sums
        loss = float(model.loss.reduced(total, weight))
        return loss + model.penalty() if math.isfinite(loss) else float("nan")

    def end(self) -> None:
        """Leave the program to others."""
        pool.give(self._kept)


def scored(model: Model, data: Data, prefix: str = "") -> dict[str, float]:
    """Return the model's metrics on prepared rows, by name."""
    if not model.metrics:
        return {}
    blocks = range(0, max(1, len(data)), _BLOCK)  # a file may be larger than memory
    outputs = np.concatenate(
        [prediction.outputs(model, data.inputs(slice(each, each + _BLOCK))) for each in blocks]
    )
    if not model.fuses:  # the outputs lack the activation that the loss contains
        outputs = activated(outputs, model.loss.fused)
    y, weight = data.y, data.weight
    if data.together is not None:
        outputs = data.together.gathered(outputs)
        y, weight = data.together.y, data.together.weight
    return scores(model.metrics, y, outputs, weight, prefix)
