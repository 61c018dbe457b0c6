"""Fitting: plan, begin, and train."""

import warnings
from typing import Any

from fastnn.callbacks import CallbackList, History, ProgressBar
from fastnn.callbacks.progress import as_verbose
from fastnn.training.loop import train
from fastnn.training.model import Data, Model
from fastnn.kernels.interrupts import uninterrupted
from fastnn.training.planning import (
    Plan,
    adapt,
    begin,
    make_plan,
    unwarned,
    warn_of_lost_digits,
)
from fastnn.training.stepping import expect


def fit(network: Any, X: Any, y: Any, **options: Any) -> History:
    """Train a network; :meth:`fastnn.Network.fit` documents the arguments."""
    return network.model.access.exclusively("fit", _fit, network, X, y, **options)


def _fit(network: Any, X: Any, y: Any, *, callbacks: Any, verbose: Any, **options: Any) -> History:
    model = network.model
    verbose = as_verbose(verbose)
    plan = adapt(model, make_plan(model, X, y, **options))
    history = History()
    bar = [ProgressBar(plan.epochs, verbose)] if verbose else []
    own = CallbackList(callbacks).callbacks
    hooks = CallbackList([history, *bar, *own])
    if model.loss.warning is not None and not unwarned.get():
        warnings.warn(model.loss.warning, UserWarning, stacklevel=5)
    warn_of_lost_digits(model, plan.data, X, y, stacklevel=5)
    train(model, begin(model, plan), hooks, bool(bar or own), network)
    return history


def train_on_batch(model: Model, X: Any, y: Any, sample_weight: Any) -> float:
    """Make one update with all rows, without counting an epoch; return their loss before it."""
    if sample_weight is None and model.stepper is not None:
        loss = model.access.briefly(model.stepper.step, model, X, y)
        if loss is not None:
            return loss
    data = model.check_data(X, y, sample_weight)
    warn_of_lost_digits(model, data, X, y, stacklevel=3)
    if not model.access.mine:
        return model.access.exclusively("train_on_batch", _train_on_batch, model, data)
    ending = model.stop_training  # in a callback of a fit
    loss = _train_on_batch(model, data)
    model.stop_training = ending
    return loss


def _train_on_batch(model: Model, data: Data) -> float:
    plan = begin(model, adapt(model, Plan(data.weighted(), None, 1, len(data.x), False)))
    penalty, epochs = model.penalty(), model.epochs
    history = History()
    try:
        train(model, plan, history, False)
    finally:
        model.epochs = epochs
    if data.weight is None:
        with uninterrupted():
            expect(model, data)
    # An epoch's loss includes the penalties on the weights after it.
    return history.history["loss"][0] - model.penalty() + penalty
