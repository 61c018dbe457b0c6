"""Prediction with the noise of training left on, several passes averaged."""

import copy
from typing import Any

import numpy as np

from fastnn.engine import team
from fastnn.engine.buffers import InPlace
from fastnn.inputs import checks
from fastnn.layers import Dense, Dropout
from fastnn.schedules import Schedule
from fastnn.training import attributes, lowering, prediction
from fastnn.training.model import ROW_FLOPS, Model

_ROWS = 256
"""Rows of a batch.  Masks depend on it, so it depends on nothing."""


@np.errstate(all="ignore")
def predict_mc(model: Model, X: Any, passes: Any, seed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread; :meth:`fastnn.Network.predict_mc` documents the arguments."""
    model.need_built("predict_mc")
    attributes.settle(model)
    passes = checks.positive_int(passes, "passes")
    if passes < 2:
        raise ValueError(f"passes is {passes}, wanted at least 2, for there to be a spread")
    seed = model.seed if seed is None else attributes.CHECKS["seed"](seed, "seed")
    if not any(_is_noisy(layer) for layer in model.layers):
        raise ValueError(
            "predict_mc wants a layer with noise, a Dropout or a Dense with drop_connect, "
            f"got {model.layers}"
        )
    model.names.agreed(X)
    x = model.check_inputs(X, empty=True)
    if model.preprocessing is not None:
        x = model.preprocessing.transform(x, model.dtype)
    if not len(x):
        mean, std = np.empty((2, 0, model.n_outputs), model.dtype)
        return mean, std
    return prediction.consistent(
        model, _sampled, np.ascontiguousarray(x, model.dtype), passes, seed
    )


def _is_noisy(layer: Any) -> bool:
    rate = layer.rate if isinstance(layer, Dropout) else getattr(layer, "drop_connect", 0)
    return bool(rate)


def _with_rates(model: Model) -> Model:
    """Return the model with the rates of the next update in place of schedules."""
    part = model.head(len(model.layers))
    for place, layer in enumerate(part.layers):
        if isinstance(layer, Dropout) and isinstance(layer.rate, Schedule):
            part.layers[place] = copy.copy(layer)
            part.layers[place].rate = float(layer.rate(model.updates))
    return part


def _sampled(model: Model, x: np.ndarray, passes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    model = _with_rates(model)
    n, batches = len(x), -(-len(x) // _ROWS)
    out = np.empty((n, model.n_outputs), model.dtype)
    noisy = [isinstance(layer, Dense | Dropout) for layer in model.layers]
    n_threads = model.threads(min(n, _ROWS), model.flops() + ROW_FLOPS)
    how = InPlace(x), InPlace(out), noisy, seed, min(n, _ROWS), n_threads
    program = lowering.sampling(model, *how)
    # Welford's sums, which do not cancel: the spread may be small beside the mean.
    mean, squares = np.zeros((2, *out.shape))
    for number in range(passes):
        program.updates = model.updates + number * batches
        team.run(program, n_rows=n, backend=model.backend)
        deviation = out - mean
        mean += deviation / (number + 1)
        squares += deviation * (out - mean)
    return mean.astype(model.dtype), np.sqrt(squares / (passes - 1)).astype(model.dtype)
