"""Fitting: plan, begin, and train."""

import time
import warnings
from typing import Any

from fastnn.callbacks import CallbackList, History, ModelCheckpoint, ProgressBar
from fastnn.callbacks.progress import as_verbose
from fastnn.engine import cores
from fastnn.inputs import checks
from fastnn.inputs.streamed import is_fed
from fastnn.training.data import Data, fed
from fastnn.training.loop import train
from fastnn.training.model import Model
from fastnn.training.planning import (
    Plan,
    adapt,
    begin,
    in_batches,
    make_plan,
    unwarned,
    warn_of_lost_digits,
)
from fastnn.training.stepping import expect

_WHOLE = 0, False
"""How `train_on_batch` trains: on all rows at once, in their order."""


def fit(network: Any, X: Any, y: Any, **options: Any) -> History:
    """Train a network; :meth:`fastnn.Network.fit` documents the arguments."""
    model, started = network.model, time.perf_counter()
    if model.stepper is not None and _is_short(model, **options):
        how = options["batch_size"], options["shuffle"]
        found = model.access.briefly(model.stepper.epoch, model, X, y, how, 1)
        if found is not None:
            history = History()
            history.network = network
            loss, _, penalty = found
            seconds = time.perf_counter() - started
            logs = {"loss": loss + penalty, "seconds": seconds, "rows": len(X)}
            history.on_epoch_end(0, logs)
            return history
    return model.access.exclusively("fit", _fit, network, X, y, **options)


def _is_short(
    model: Model,
    *,
    epochs: Any,
    batch_size: Any,
    shuffle: Any,
    drop_last: Any,
    verbose: Any,
    validation_split: Any,
    validation_shuffle: Any,
    **others: Any,
) -> bool:
    """Return whether a fit is one epoch of nothing but training, with options of plain types."""
    cores.chosen()  # a bad FASTNN_NUM_THREADS is told before anything changes
    return (
        type(epochs) is int
        and epochs == 1
        and (batch_size is None or type(batch_size) is int)
        and type(shuffle) is bool
        and drop_last is False
        and type(verbose) is int
        and verbose == 0
        and type(validation_split) is float
        and validation_split == 0
        and validation_shuffle is True
        and all(each is None for each in others.values())
        and not model.metrics
        and model.loss.warning is None
    )


def _fit(
    network: Any, X: Any, y: Any, *, shards: Any, communicator: Any, **options: Any
) -> History:
    if shards is None and communicator is None:
        return _fit_rows(network, X, y, None, **options)
    from fastnn.training.sharing import Sharing  # most programs never need it

    sharing = Sharing(shards, communicator)
    with sharing.leaving(), sharing.threads(network.model):
        history = _fit_rows(network, X, y, sharing, **options)
        sharing.end()
    return history


def _fit_rows(
    network: Any, X: Any, y: Any, sharing: Any, *, callbacks: Any, verbose: Any, **options: Any
) -> History:
    model = network.model
    verbose = as_verbose(verbose)
    if sharing is not None:
        verbose *= sharing.rank == 0
    own = CallbackList(callbacks).callbacks
    if sharing is not None and sharing.rank:  # one writes for all
        own = [each for each in own if not isinstance(each, ModelCheckpoint)]
    if is_fed(X):
        checks.positive_int(options["epochs"], "epochs")  # before what may take hours
        given = X, y, options["sample_weight"]
        X, y, options["sample_weight"] = fed(model, *given, shown=bool(verbose))
    plan = make_plan(model, X, y, **options)
    if sharing is None:
        plan = adapt(model, plan)
    else:
        sharing.check(model, plan, options)
    history = History()
    bar = [ProgressBar(plan.epochs, verbose)] if verbose else []
    hooks = CallbackList([history, *bar, *own])
    if model.loss.warning is not None and not unwarned.get():
        warnings.warn(model.loss.warning, UserWarning, stacklevel=6)
    warn_of_lost_digits(model, plan.data, X, y, stacklevel=6)
    plan = begin(model, plan) if sharing is None else sharing.planned(model, plan)
    watched = bool(bar or own)
    if sharing is not None:
        watched = any(sharing.agree(watched))
    train(model, plan, hooks, watched, network)
    if sharing is not None:
        return history
    if len(hooks.callbacks) == 1 and _is_short(model, verbose=verbose, **options):
        expect(model, plan, (options["batch_size"], options["shuffle"]))
    return history


def train_on_batch(model: Model, X: Any, y: Any, sample_weight: Any) -> float:
    """Make one update with all rows, without counting an epoch; return their loss before it."""
    if sample_weight is None and model.stepper is not None:
        found = model.access.briefly(model.stepper.epoch, model, X, y, _WHOLE)
        if found is not None:
            loss, before, after = found
            return loss + after - after + before  # rounded as below
    data = model.check_data(X, y, sample_weight)
    warn_of_lost_digits(model, data, X, y, stacklevel=3)
    if not model.access.mine:
        return model.access.exclusively("train_on_batch", _train_on_batch, model, data)
    ending = model.stop_training  # in a callback of a fit
    loss = _train_on_batch(model, data)
    model.stop_training = ending
    return loss


def _train_on_batch(model: Model, data: Data) -> float:
    data = data.weighted(model.loss)
    plan = begin(model, in_batches(model, Plan(data, None, 1, len(data), False)))
    penalty, epochs = model.penalty(), model.epochs
    history = History()
    try:
        train(model, plan, history, False)
    finally:
        model.epochs = epochs
    expect(model, plan, _WHOLE)
    # An epoch's loss includes the penalties on the weights after it.
    return history.history["loss"][0] - model.penalty() + penalty
