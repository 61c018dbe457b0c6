"""Planning: check the arguments of a fit, and prepare the model and its rows."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.engine import cores
from fastnn.inputs import checks, precision
from fastnn.kernels.interrupts import uninterrupted
from fastnn.preprocessing.chain import Chain
from fastnn.training.data import Data
from fastnn.training.model import Model

unwarned: ContextVar[bool] = ContextVar("unwarned", default=False)
"""Whether `fit` does not warn here.  A filter of warnings would be one of all threads."""


@dataclass
class Plan:
    """The checked arguments of a fit.  Nothing changes them, so networks can share a plan."""

    data: Data
    validation: Data | None
    epochs: int
    batch_size: int | None
    shuffle: bool


@np.errstate(all="ignore")
def make_plan(
    model: Model,
    X: Any,
    y: Any,
    *,
    epochs: Any = 1,
    batch_size: Any = None,
    shuffle: Any = True,
    validation_data: Any = None,
    validation_split: Any = 0.0,
    sample_weight: Any = None,
    class_weight: Any = None,
) -> Plan:
    """Check the arguments of :meth:`fastnn.Network.fit`."""
    cores.chosen()  # a bad FASTNN_NUM_THREADS is told before anything changes
    epochs = checks.positive_int(epochs, "epochs")
    if batch_size is not None:
        batch_size = checks.positive_int(batch_size, "batch_size")
    shuffle = checks.boolean(shuffle, "shuffle")
    held_out = checks.fraction(validation_split, "validation_split")
    data = model.check_data(X, y, sample_weight)
    validation = None
    if validation_data is not None:
        if held_out:
            raise ValueError("validation_data and validation_split were both given")
        validation = _validation(model, validation_data, data)
    elif held_out:
        data, validation = _split(data, held_out)
    factor = None
    if class_weight is not None:
        factor = model.loss.class_weights(class_weight, data.y, model.n_outputs)
    data, validation = data.weighted(factor), validation and validation.weighted()
    return Plan(data, validation, epochs, batch_size, shuffle)


def _validation(model: Model, given: Any, data: Data) -> Data:
    """Return the validation rows that the caller gave, checked to suit the training rows."""
    if not isinstance(given, Sequence) or len(given) not in (2, 3):
        raise ValueError(
            f"validation_data must be (X, y) or (X, y, sample_weight), got {type(given).__name__}"
        )
    x, y, weight = (*given, None)[:3]
    return model.check_data(x, y, weight, "validation ", data)


def _split(data: Data, held_out: float) -> tuple[Data, Data]:
    """Return the training rows, and the last share `held_out` of the rows as validation rows."""
    n = len(data.x)
    first = n - int(n * held_out)
    if not 0 < first < n:
        raise ValueError(
            f"validation_split {held_out} of {n} rows leaves no rows to train on "
            "or none to validate on"
        )
    return data.part(slice(0, first)), data.part(slice(first, None))


def adapt(model: Model, plan: Plan) -> Plan:
    """Return the plan adjusted to the model, or raise if the model cannot follow it."""
    batch_size, shuffle, n = plan.batch_size or 32, plan.shuffle, len(plan.data.x)
    if model.optimizer.full_batch:
        if plan.batch_size is not None and batch_size < n:
            raise ValueError(
                f"batch_size is {batch_size}, but {type(model.optimizer).__name__} wants all "
                f"{n} rows in every batch: leave it out"
            )
        batch_size, shuffle = n, False
    batch_size = min(batch_size, n)
    for number, layer in enumerate(model.layers):
        if batch_size < layer.least_rows:
            raise ValueError(
                f"batch_size is {batch_size} (or there are no more rows), wanted at least "
                f"{layer.least_rows} for layers[{number}], {type(layer).__name__}"
            )
    return replace(plan, batch_size=batch_size, shuffle=shuffle)


@np.errstate(all="ignore")
def begin(model: Model, plan: Plan) -> Plan:
    """Fit the preprocessing, build the model, and return the plan with prepared rows."""
    chain = model.preprocessing
    data = plan.data
    if chain is not None:
        targets = targets_of(model, chain, data.y)
        if not chain.fitted:
            chain = Chain(chain.steps).fit(data.x, targets)
            chain.names_ = data.names
        data = replace(data, x=chain.cross_transform(data.x, targets, model.dtype))
    validation = plan.validation and model.prepared(plan.validation, chain)
    with uninterrupted():
        model.build(data.x.shape[1])
        vars(model)["preprocessing"], model.names = chain, plan.data.names
    return replace(plan, data=data, validation=validation)


def targets_of(model: Model, chain: Chain, y: np.ndarray) -> np.ndarray | None:
    """Return what preprocessing learns from, if it does: numbers, or labels as one-hot rows."""
    if not chain.supervised:
        return None
    if model.loss.target != "class":
        return y
    return np.eye(model.n_outputs)[y][:, model.n_outputs == 2 :]


def warn_of_lost_digits(model: Model, data: Data, X: Any, y: Any, stacklevel: int) -> None:
    """Warn if the model's dtype loses what tells the rows of `data` apart; X and y name columns."""
    if unwarned.get():
        return
    level = stacklevel + 1
    precision.warn_of_lost_digits(data.x, X, "X", model.input_dtype, level)
    if data.y.ndim == 2:
        precision.warn_of_lost_digits(data.y, y, "y", model.dtype, level)
