"""Planning: check the arguments of a fit, and prepare the model and its rows."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.engine import cores
from fastnn.engine.shards import Shards
from fastnn.inputs import checks, precision
from fastnn.kernels.interrupts import uninterrupted
from fastnn.layers import Dense
from fastnn.preprocessing.chain import Chain
from fastnn.training.data import Data, fed
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
    drop_last: bool = False
    held_out: float = 0.0
    """The share of the rows that :func:`divided` is to hold out, ..."""
    at_random: bool = True
    """... whether at random, ..."""
    class_weight: Any = None
    """... and the factors by which it multiplies the weights of the others."""
    shards: Shards | None = None
    """Into what its batches are cut, and which parts are here."""

    @property
    def all_rows(self) -> int:
        """The rows to train on, of all processes together."""
        return self.shards.n_rows if self.shards else len(self.data)

    @property
    def n_rows(self) -> int:
        """How many rows an epoch trains on, once the model has said in what batches."""
        n = self.all_rows
        return n - n % self.batch_size if self.drop_last and self.batch_size else n


@np.errstate(all="ignore")
def make_plan(
    model: Model,
    X: Any,
    y: Any,
    *,
    epochs: Any = 1,
    batch_size: Any = None,
    shuffle: Any = True,
    drop_last: Any = False,
    validation_data: Any = None,
    validation_split: Any = 0.0,
    validation_shuffle: Any = True,
    sample_weight: Any = None,
    class_weight: Any = None,
) -> Plan:
    """Check the arguments of :meth:`fastnn.Network.fit`; :func:`adapt` does the rest."""
    cores.chosen()  # a bad FASTNN_NUM_THREADS is told before anything changes
    epochs = checks.positive_int(epochs, "epochs")
    if batch_size is not None:
        batch_size = checks.positive_int(batch_size, "batch_size")
    shuffle, drop_last = checks.boolean(shuffle, "shuffle"), checks.boolean(drop_last, "drop_last")
    held_out = checks.fraction(validation_split, "validation_split")
    at_random = checks.boolean(validation_shuffle, "validation_shuffle")
    data = model.check_data(X, y, sample_weight)
    validation = None
    if validation_data is not None:
        if held_out:
            raise ValueError("validation_data and validation_split were both given")
        validation = _validation(model, validation_data, data)
    how = epochs, batch_size, shuffle, drop_last, held_out, at_random, class_weight
    return Plan(data, validation, *how)


def _validation(model: Model, given: Any, data: Data) -> Data:
    """Return the validation rows that the caller gave, checked to suit the training rows."""
    if not isinstance(given, Sequence) or len(given) not in (2, 3):
        raise ValueError(
            f"validation_data must be (X, y) or (X, y, sample_weight), got {type(given).__name__}"
        )
    given = (*given, None)[:3]
    x, y, weight = fed(model, *given, prefix="validation ", names=data.names.x)
    return model.check_data(x, y, weight, "validation ", data)


@np.errstate(all="ignore")
def divided(model: Model, plan: Plan) -> Plan:
    """Return the plan with the rows to validate on held out, by the model's seed, and weighted."""
    data, validation, factor = plan.data, plan.validation, None
    if plan.held_out:
        kept, held = _split(model, plan)
        data, validation = data.part(kept), data.part(held)
    if plan.class_weight is not None:
        factor = model.loss.class_weights(plan.class_weight, data.y, model.n_outputs)
    data = data.weighted(model.loss, factor)
    validation = validation and validation.weighted(model.loss)
    return replace(plan, data=data, validation=validation, held_out=0.0, class_weight=None)


def _split(model: Model, plan: Plan) -> tuple[Any, Any]:
    """Return which rows to train on and which to validate on, both in their order."""
    from fastnn.datasets import split_rows  # which imports what most programs never need

    n, held_out = len(plan.data), plan.held_out
    count = int(n * held_out)
    if not 0 < count < n:
        raise ValueError(
            f"validation_split {held_out} of {n} rows leaves no rows to train on "
            "or none to validate on"
        )
    if not plan.at_random:
        return slice(0, n - count), slice(n - count, None)
    rows = np.arange(n)
    groups = model.loss.places(plan.data.y, model.n_outputs)
    if groups is not None:
        others = rows[np.bincount(groups)[groups] > 1]  # a class's only row is to train on
        rows, groups = (others, groups[others]) if len(others) > count else (rows, None)
    held = rows[split_rows(len(rows), count, model.seed, groups)[1]]
    return np.delete(np.arange(n), held), np.sort(held)


def adapt(model: Model, plan: Plan) -> Plan:
    """Return the plan adjusted to the model, or raise if the model cannot follow it."""
    return in_batches(model, divided(model, plan))


def in_batches(model: Model, plan: Plan) -> Plan:
    """Return the plan with the batches that the model's optimizer and layers want, or raise."""
    batch_size, shuffle, n = plan.batch_size or 32, plan.shuffle, plan.all_rows
    if model.optimizer.full_batch:
        if plan.batch_size is not None and batch_size < n:
            raise ValueError(
                f"batch_size is {batch_size}, but {type(model.optimizer).__name__} wants all "
                f"{n} rows in every batch: leave it out"
            )
        batch_size, shuffle = n, False
    elif plan.drop_last and batch_size > n:
        raise ValueError(
            f"drop_last leaves out all rows: there are {n}, and batch_size is {batch_size}"
        )
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
        targets, x = targets_of(model, chain, data.y), data.inputs()
        if not chain.fitted:
            chain = Chain(chain.steps).fit(x, targets)
            chain.names_ = data.names
        data = replace(data, x=chain.cross_transform(x, targets, model.dtype), rows=None)
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
    rounds = model.products == "bfloat16" and isinstance(model.layers[0], Dense)
    if rounds and model.preprocessing is None:
        precision.warn_of_rounded_inputs(data.x, X, level)
    if data.y.ndim == 2:
        precision.warn_of_lost_digits(data.y, y, "y", model.dtype, level)
