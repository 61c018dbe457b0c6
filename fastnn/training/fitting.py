"""Fitting: check the arguments, then loop over epochs."""

import math
import warnings
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.callbacks import Callback, CallbackList, History, ProgressBar
from fastnn.callbacks.base import SPEED
from fastnn.engine import cores, team
from fastnn.engine.clock import Clock
from fastnn.engine.program import Program
from fastnn.inputs import checks, precision
from fastnn.kernels.interrupts import uninterrupted
from fastnn.preprocessing.chain import Chain
from fastnn.training import attributes, evaluation, lowering
from fastnn.training.lowering import Order
from fastnn.training.model import Data, Model
from fastnn.training.recovery import Start, go_back, not_finite

_ROWS = 1000
"""Training on so many rows takes much longer than looking at all weights and copying them."""
_ADVICE = (
    "The network keeps its last good weights; a smaller learning rate, or inputs and targets of a "
    "smaller scale, may help"
)

unwarned: ContextVar[bool] = ContextVar("unwarned", default=False)
"""Whether `fit` does not warn here.  A filter of warnings would be one of all threads."""


def fit(network: Any, X: Any, y: Any, *, callbacks: Any, verbose: Any, **options: Any) -> History:
    """Train a network; :meth:`fastnn.Network.fit` documents the arguments."""
    model = network.model
    with model.access.claim("fit"):
        return _fit(network, X, y, callbacks=callbacks, verbose=verbose, **options)


def _fit(network: Any, X: Any, y: Any, *, callbacks: Any, verbose: Any, **options: Any) -> History:
    model = network.model
    verbose = checks.non_negative_int(verbose, "verbose")
    plan = adapt(model, make_plan(model, X, y, **options))
    history = History()
    bar = [ProgressBar(plan.epochs, verbose)] if verbose else []
    if not isinstance(callbacks, Iterable | None):
        raise TypeError(f"callbacks must be a list, got {type(callbacks).__name__}")
    hooks = CallbackList([history, *bar, *(callbacks or ())])
    if model.loss.warning is not None and not unwarned.get():
        warnings.warn(model.loss.warning, UserWarning, stacklevel=4)
    warn_of_lost_digits(model, plan.data, X, y, stacklevel=4)
    train(model, begin(model, plan), hooks, bool(bar or callbacks), network)
    return history


def warn_of_lost_digits(model: Model, data: Data, X: Any, y: Any, stacklevel: int) -> None:
    """Warn if the model's dtype loses what tells the rows of `data` apart; X and y name columns."""
    if unwarned.get():
        return
    level = stacklevel + 1
    precision.warn_of_lost_digits(data.x, X, "X", model.input_dtype, level)
    if data.y.ndim == 2:
        precision.warn_of_lost_digits(data.y, y, "y", model.dtype, level)


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
    if chain is not None and not chain.fitted:
        chain = Chain(chain.steps).fit(plan.data.x)
        chain.names_ = plan.data.names
    data = model.prepared(plan.data, chain)
    validation = plan.validation and model.prepared(plan.validation, chain)
    with uninterrupted():
        model.build(data.x.shape[1])
        vars(model)["preprocessing"], model.names = chain, plan.data.names
    return replace(plan, data=data, validation=validation)


def train(model: Model, plan: Plan, hooks: Callback, watched: bool, network: Any = None) -> None:
    """Follow a plan that :func:`begin` returned.

    `hooks` are told that `network` trains and, if `watched`, about progress within an epoch.
    """
    run = _Run(model, plan, hooks, watched)
    model.stop_training = False
    hooks.check(log_names(model, plan.validation is not None))
    hooks.on_train_begin(network)
    try:
        while run.done < plan.epochs and not model.stop_training:
            run.some_epochs()
        run.verify()
    finally:
        hooks.on_train_end(run.logs)


class _Run:
    """A fit in progress: its program, and the epochs done so far."""

    def __init__(self, model: Model, plan: Plan, hooks: Callback, watched: bool):
        self.model, self.plan, self.hooks, self.watched = model, plan, hooks, watched
        self.done = 0
        self.callers: Any = np.geterr()  # for callbacks that are called while we compute
        self.logs: dict[str, float] = {}
        # If nobody needs to know in between, all epochs are one run of the compiled code.
        penalized = any(each.regularizer for each in model.all_parameters())
        self.by_epoch = bool(watched or plan.validation or model.metrics or penalized)
        self.identity: tuple[Any, ...] = ()
        self.settings: tuple[Any, ...] = ()
        self.starts: list[Start] = []
        self.targets = _targets(model)
        self.program: Program
        self.outputs: list[np.ndarray]

    def lower(self) -> None:
        """Make the program if there is none yet or if the model's attributes have changed."""
        model, plan = self.model, self.plan
        if self.settings:  # a callback may have changed them
            if self.identity == (now := attributes.identity(model)):
                return
            self.identity = now
            if self.settings == attributes.snapshot(model):
                return
            attributes.settle(model)
            adapt(model, plan)
        if _targets(model) != self.targets:
            raise ValueError(
                f"loss is {model.loss!r}, which wants other targets than this fit began with: "
                "set it before a fit"
            )
        with uninterrupted():
            self.program, self.outputs = lowered(model, plan)
        self.validate = plan.validation and evaluation.evaluator(model, plan.validation)
        self.identity, self.settings = attributes.identity(model), attributes.snapshot(model)

    def due(self) -> bool:
        """Return whether to look at all weights now, and to copy them.

        If nobody else looks at them, that happens seldom enough to cost little.
        """
        if self.watched or not self.starts:
            return True
        epochs = self.model.epochs - self.starts[-1].epoch
        return epochs * len(self.plan.data.x) >= _ROWS

    def some_epochs(self) -> None:
        """Train for one epoch, or for all remaining ones, and tell the hooks."""
        self.lower()
        model, plan = self.model, self.plan
        self.epochs, self.updates = model.epochs, model.updates
        self.program.updates = model.updates  # a callback may have made some
        if self.due() and not model.optimizer.searches:  # which itself stays at good weights
            self.starts = [*self.starts[-1:], Start(model, self.program)]
        problem = spoilt = None
        with uninterrupted():  # what is trained and what is counted belong together
            try:
                outcome = model.optimizer.run(
                    self.program,
                    model.all_parameters(),
                    model.penalty,
                    n_rows=len(plan.data.x),
                    epochs=1 if self.by_epoch else plan.epochs - self.done,
                    first_epoch=model.epochs,
                    backend=model.backend,
                    watch=self.watch if self.watched else None,
                    access=model.access,
                    pause=self.count,
                )
            except BaseException:
                self.count()
                if self.starts and not_finite(model):
                    self.go_back()
                raise
            self.count()
            epochs = model.epochs - self.epochs
            if not outcome.finite:
                where = self.outputs, outcome.clock, self.done + epochs
                problem = _blame(model, self.program, *where)
            elif self.starts and (self.due() or self.done + epochs == plan.epochs):
                spoilt = not_finite(model)
            if self.starts and (problem or spoilt):
                self.go_back()
                epochs = max(0, model.epochs - self.epochs)
        if spoilt:
            problem = f"an update in epoch {self.done + epochs} made {spoilt} not finite"
        with np.errstate(all="ignore"):
            means = outcome.sums[:, 0] / outcome.sums[:, 1]
        for epoch in range(epochs):
            self.end_epoch(float(means[epoch]), float(outcome.seconds[epoch]))
        model.stop_training |= outcome.ended
        if problem:
            raise FloatingPointError(f"{problem}. {_ADVICE}")

    def count(self) -> bool:
        """Count the updates so far, and whole epochs; return whether to go on after this epoch."""
        model, batches = self.model, -(-len(self.plan.data.x) // self.program.batch_size)
        model.epochs = self.epochs + (self.program.updates - self.updates) // batches
        model.updates = self.program.updates
        return not model.stop_training

    def go_back(self) -> None:
        """Return to the last good weights, and count the epochs and updates that made them."""
        model, n = self.model, len(self.plan.data.x)
        start, end = self.starts[-1], self.program.updates
        if end == start.updates and len(self.starts) > 1:  # the run before ended badly
            start, end = self.starts[0], start.updates
        try:
            if end > start.updates:
                with model.access.writing("fit"):
                    go_back(model, start, end - start.updates, n)
        except BaseException:  # Ctrl-C
            start.restore()
            raise
        finally:
            made = start.program.updates - start.updates
            model.updates = start.program.updates
            model.epochs = start.epoch + made // -(-n // start.program.batch_size)

    def verify(self) -> None:
        """Raise if the last update was bad, which the next batch would have noticed."""
        model, data = self.model, self.plan.data
        if not self.starts:
            return
        how: dict[str, Any] = {"n_rows": len(data.x), "backend": model.backend}
        outcome = team.run(self.program, first_epoch=model.epochs, updates=0, **how)
        loss, weight = self.program.loss[0]
        if not outcome.finite:
            problem = _blame(model, self.program, self.outputs, outcome.clock, self.done)
        elif loss < weight * math.sqrt(np.finfo(model.dtype).max):
            return
        elif math.isfinite(evaluation.evaluator(model, data)()):  # but do other rows overflow?
            return
        else:
            problem = f"the loss is not finite after epoch {self.done - 1}"
        with uninterrupted():
            self.go_back()
        raise FloatingPointError(f"{problem}. {_ADVICE}")

    def watch(self, _: int, rows: int, sums: np.ndarray) -> None:
        """Report the progress within an epoch to the hooks."""
        mean = float(sums[0, 0]) / float(sums[0, 1]) if sums[0, 1] else float("nan")
        with np.errstate(**self.callers):
            self.hooks.on_progress(self.done, rows, len(self.plan.data.x), mean)

    def end_epoch(self, mean: float, seconds: float) -> None:
        """Evaluate an epoch's weights, and tell the hooks."""
        model, data, validation = self.model, self.plan.data, self.plan.validation
        logs = {"loss": mean + model.penalty()}
        logs |= evaluation.scored(model, data)
        logs |= {"seconds": seconds, "rows": len(data.x)}
        if validation and self.validate:
            logs["val_loss"] = self.validate()
            logs |= evaluation.scored(model, validation, "val_")
        self.logs = logs
        self.hooks.on_epoch_end(self.done, logs)
        self.done += 1


@np.errstate(all="ignore")
def lowered(model: Model, plan: Plan) -> tuple[Program, list[np.ndarray]]:
    """Return the program of the plan's epochs, and the layers' outputs."""
    model.keep_state()
    batch_size, flops = plan.batch_size or len(plan.data.x), 3 * model.flops()
    threads = model.threads(batch_size, flops)
    tried = model.threads(batch_size, flops, cores.FLOPS_PER_TRIED)
    order, most = Order(plan.shuffle, model.seed), max(threads, tried)
    program, outputs = lowering.training(model, model.optimizer, plan.data, order, batch_size, most)
    program.threads, program.updates = threads, model.updates
    program.on_trial = tried > 1 and flops * batch_size < tried * cores.FLOPS_PER_CERTAIN
    return program, outputs


def _targets(model: Model) -> tuple[str, int]:
    """Return what the loss wants y to hold."""
    return model.loss.target, model.loss.n_targets(model.n_outputs)


def log_names(model: Model, validated: bool) -> list[str]:
    """Return the names of the entries in an epoch's logs."""
    names = ["loss", *(metric.name for metric in model.metrics)]
    return [*names, *SPEED, *(f"val_{name}" for name in names if validated)]


def _blame(
    model: Model, program: Program, outputs: list[np.ndarray], clock: np.ndarray, epoch: int
) -> str:
    """Say where a loss that is not finite came from."""
    if np.isfinite(program.loss[0, 0]):
        return f"the gradient, or a penalty, is not finite in epoch {epoch}"
    rows = int(clock[Clock.ROWS])
    where = f"the loss {model.loss.name!r}"
    for number, (layer, out) in enumerate(zip(model.layers, outputs, strict=True)):
        if not np.isfinite(out[:rows]).all():
            where = f"layer {number} ({layer})"
            break
    return (
        f"the loss is not finite in epoch {epoch}, rows {clock[Clock.FIRST]} to "
        f"{clock[Clock.FIRST] + rows - 1}: it began in {where}"
    )


def train_on_batch(model: Model, X: Any, y: Any, sample_weight: Any) -> float:
    """Make one update with all rows, without counting an epoch; return their loss before it."""
    data = model.check_data(X, y, sample_weight)
    warn_of_lost_digits(model, data, X, y, stacklevel=3)
    ending = model.access.mine and model.stop_training  # in a callback of a fit
    with model.access.claim("train_on_batch", again=True):
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
    # An epoch's loss includes the penalties on the weights after it.
    return history.history["loss"][0] - model.penalty() + penalty
