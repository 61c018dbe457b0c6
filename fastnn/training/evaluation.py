"""Evaluation: a model's loss and metrics on prepared rows."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.engine import team
from fastnn.engine.program import aligned
from fastnn.inputs import checks
from fastnn.kernels import COMPILED
from fastnn.metrics import activated, scores
from fastnn.reference import TWINS
from fastnn.training import lowering, prediction
from fastnn.training.model import Data, Model

_ROWS = 256
"""Rows per thread and batch: few enough that the layers' outputs stay in the cache."""


def evaluate(model: Model, X: Any, y: Any, sample_weight: Any, return_dict: Any) -> Any:
    """Return the loss and the metrics; :meth:`fastnn.Network.evaluate` documents the arguments."""
    model.need_built("evaluate")
    return_dict = checks.boolean(return_dict, "return_dict")
    data = model.check_data(X, y, sample_weight).weighted()
    data = model.prepared(data, model.preprocessing)
    values = prediction.consistent(model, _evaluated, data)
    if return_dict:
        return values
    return list(values.values()) if model.metrics else values["loss"]


def _evaluated(model: Model, data: Data) -> dict[str, float]:
    return {"loss": evaluator(model, data)()} | scored(model, data)


@np.errstate(all="ignore")
def evaluator(model: Model, data: Data) -> Callable[[], float]:
    """Return a function that evaluates the current weights; most of the work is making it."""
    n, dtype = len(data.x), model.dtype
    n_threads = model.threads(min(n, 2 * _ROWS), model.flops())
    # The size of batches depends on the threads, so sums of batches would too.
    row_loss, sums = aligned((n,), dtype), np.empty(2)
    weight = np.ones(n, dtype) if data.weight is None else np.ascontiguousarray(data.weight, dtype)
    program = lowering.evaluation(model, data, row_loss, min(n, _ROWS * n_threads), n_threads)
    add_up = (COMPILED if model.backend == "numba" else TWINS)["batch_loss"]

    @np.errstate(all="ignore")
    def evaluate() -> float:
        team.run(program, n_rows=n, backend=model.backend)
        add_up(row_loss, weight, sums)
        loss = float(sums[0] / sums[1])
        return loss + model.penalty() if math.isfinite(loss) else float("nan")

    return evaluate


def scored(model: Model, data: Data, prefix: str = "") -> dict[str, float]:
    """Return the model's metrics on prepared rows, by name."""
    if not model.metrics:
        return {}
    outputs = prediction.outputs(model, data.x)
    if not model.fuses:  # the outputs lack the activation that the loss contains
        outputs = activated(outputs, model.loss.fused)
    return scores(model.metrics, data.y, outputs, data.weight, prefix)
