"""Fitting: the checks of its arguments, and the loop over programs and epochs."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fastnn.callbacks import Callback, History
from fastnn.callbacks.base import SPEED
from fastnn.engine import cores
from fastnn.engine.clock import Clock
from fastnn.inputs import checks
from fastnn.layers import penalties
from fastnn.preprocessing.chain import Chain
from fastnn.training import evaluation, lowering
from fastnn.training.lowering import Data, Model, Order

if TYPE_CHECKING:
    from fastnn.network import Network


@dataclass
class Plan:
    """What a fit is asked to do, checked; it changes nothing, so that networks can share it."""

    data: Data
    validation: Data | None
    epochs: int
    batch_size: int | None
    shuffle: bool


def make_plan(
    network: "Network", X, y, epochs, batch_size, shuffle, validation_data, validation_split,
    sample_weight, class_weight,
) -> Plan:  # fmt: skip
    """Check the arguments of :meth:`fastnn.Network.fit`."""
    epochs = checks.positive_int(epochs, "epochs")
    if batch_size is not None:
        batch_size = checks.positive_int(batch_size, "batch_size")
    shuffle = checks.boolean(shuffle, "shuffle")
    held_out = checks.fraction(validation_split, "validation_split")
    data = network._data(X, y, sample_weight)
    validation = _validation(network, validation_data, held_out, data)
    if validation is not None and validation_data is None:
        data = _rows(data, slice(0, len(data.x) - len(validation.x)))
    if class_weight is not None:
        weight = network.loss.class_weights(class_weight, data.y, network._model().n_outputs)
        data.weight = weight if data.weight is None else weight * data.weight
    for part in (data, validation):
        if part is not None and part.weight is not None and not part.weight.any():
            raise ValueError(
                "sample_weight (times class_weight) is 0 for all rows to train on or to validate on"
            )
    return Plan(data, validation, epochs, batch_size, shuffle)


def _validation(network: "Network", given, held_out: float, data: Data) -> Data | None:
    """Return the rows to validate on: those given, or the last of the others."""
    if given is not None:
        if held_out:
            raise ValueError("validation_data and validation_split were both given")
        if not isinstance(given, Sequence) or len(given) not in (2, 3):
            raise ValueError(
                "validation_data must be (X, y) or (X, y, sample_weight), "
                f"got {type(given).__name__}"
            )
        x, y, weight = (*given, None)[:3]
        return network._data(x, y, weight, "validation ", data.x.shape[1])
    if not held_out:
        return None
    n = int(len(data.x) * held_out)
    if not 0 < n < len(data.x):
        raise ValueError(
            f"validation_split {held_out} of {len(data.x)} rows leaves no rows to train on "
            "or none to validate on"
        )
    return _rows(data, slice(len(data.x) - n, None))


def _rows(data: Data, rows: slice) -> Data:
    weight = None if data.weight is None else data.weight[rows]
    return Data(data.x[rows], data.y[rows], weight)


def adapt(network: "Network", plan: Plan) -> Plan:
    """Return a plan as the network follows it, or say why it cannot."""
    batch_size, shuffle, n = plan.batch_size or 32, plan.shuffle, len(plan.data.x)
    if network.optimizer.full_batch:
        if plan.batch_size is not None and batch_size < n:
            raise ValueError(
                f"batch_size is {batch_size}, but {type(network.optimizer).__name__} wants all "
                f"{n} rows in every batch: leave it out"
            )
        batch_size, shuffle = n, False
    batch_size = min(batch_size, n)
    for number, layer in enumerate(network.layers):
        if batch_size < layer.least_rows:
            raise ValueError(
                f"batch_size is {batch_size} (or there are no more rows), wanted at least "
                f"{layer.least_rows} for layers[{number}], {type(layer).__name__}"
            )
    if network.optimizer.searches:
        _check_penalties(network)
    return replace(plan, batch_size=batch_size, shuffle=shuffle)


def _check_penalties(network: "Network") -> None:
    """Refuse what changes weights after an update: a line search would not know of it."""
    for number, layer in enumerate(network.layers):
        for name in ("kernel", "bias"):
            own = getattr(layer, f"{name}_regularizer", None)
            penalty = own or getattr(network, f"{name}_regularizer")
            constraint = getattr(layer, f"{name}_constraint", None)
            if penalties.acts_on_weights(penalty, constraint):
                raise ValueError(
                    f"optimizer is {network.optimizer}, which takes no constraints and only "
                    f"penalties in the gradient, got {constraint or penalty!r} for "
                    f"layers[{number}]"
                )


def begin(network: "Network", plan: Plan) -> Plan:
    """Fit what is to be fitted before the training, and return the plan with prepared rows."""
    chain = network.preprocessing
    if chain is not None and not chain.fitted:
        network.preprocessing = Chain(chain.steps).fit(plan.data.x)
    try:
        data = network._prepared(plan.data)
        validation = plan.validation and network._prepared(plan.validation)
        network.build(data.x.shape[1])
    except BaseException:
        network.preprocessing = chain
        raise
    return replace(plan, data=data, validation=validation)


def train(network: "Network", plan: Plan, hooks: Callback, watched: bool) -> None:
    """Follow a plan that :func:`begin` returned; `watched` hooks hear of progress in an epoch."""
    model = network._model()
    data, epochs = plan.data, plan.epochs
    n = len(data.x)
    batch_size = plan.batch_size or n
    flops = 3 * model.flops()
    threads = network._threads(batch_size, flops)
    tried = network._threads(batch_size, flops, cores.FLOPS_PER_TRIED)
    on_trial = tried > 1 and flops * batch_size < tried * cores.FLOPS_PER_CERTAIN
    order = Order(plan.shuffle, network.seed)
    settings = None
    validation = plan.validation
    validate = validation and evaluation.evaluator(network, validation)
    by_epoch = watched or bool(validation or network.metrics) or _penalized(network)
    logs: dict[str, float] = {}
    done = 0
    network.stop_training = False
    hooks.check(log_names(network, validation is not None))
    hooks.on_train_begin(network)
    try:
        while done < epochs and not network.stop_training:
            if settings != network.optimizer.snapshot():  # a callback may have changed it
                adopt_optimizer(network)
                settings = network.optimizer.snapshot()
                program, outputs = lowering.training(
                    model, network.optimizer, data, order, batch_size, max(threads, tried)
                )
                program.threads, program.on_trial = threads, on_trial
                program.updates = network._updates

            def watch(_, rows, sums, epoch=done):
                mean = sums[0, 0] / sums[0, 1] if sums[0, 1] else float("nan")
                hooks.on_progress(epoch, rows, n, float(mean))

            try:
                outcome = network.optimizer.run(
                    program,
                    network._all_parameters(),
                    network._penalty,
                    n_rows=n,
                    epochs=1 if by_epoch else epochs - done,
                    first_epoch=network._epochs,
                    backend=network.backend,
                    watch=watch if watched else None,
                )
            except BaseException:
                # Ctrl-C: epochs that were whole by then count, as the updates do.
                network._epochs += (program.updates - network._updates) // -(-n // batch_size)
                raise
            finally:
                network._updates = program.updates
            for epoch in range(outcome.epochs):
                mean = outcome.sums[epoch, 0] / outcome.sums[epoch, 1]
                logs = {"loss": float(mean) + network._penalty()}
                logs |= evaluation.scored(network, data)
                logs |= {"seconds": float(outcome.seconds[epoch]), "rows": n}
                if validation and validate:
                    logs["val_loss"] = validate()
                    logs |= evaluation.scored(network, validation, "val_")
                network._epochs += 1
                hooks.on_epoch_end(done, logs)
                done += 1
            network.stop_training |= outcome.ended
            if not outcome.finite:
                raise FloatingPointError(_blame(model, outputs, outcome.clock, done))
    finally:
        hooks.on_train_end(logs)


def log_names(network: "Network", validated: bool) -> list[str]:
    """Return the entries that the logs of an epoch have."""
    names = ["loss", *(metric.name for metric in network.metrics)]
    return [*names, *SPEED, *(f"val_{name}" for name in names if validated)]


def adopt_optimizer(network: "Network") -> None:
    """Make the optimizer the network's own, and start its state where it has none."""
    network.optimizer = copy.copy(network.optimizer)
    kept = [parameter.keep_state(network.optimizer) for parameter in network._all_parameters()]
    if not all(kept):
        network._updates = 0  # Adam's correction counts from the start of its moments


def _penalized(network: "Network") -> bool:
    return any(parameter.regularizer for parameter in network._all_parameters())


def _blame(model: Model, outputs: list[np.ndarray], clock: np.ndarray, epoch: int) -> str:
    """Say where a loss that is not finite began."""
    rows = int(clock[Clock.ROWS])
    where = f"the loss {model.loss.name!r}"
    for number, (layer, out) in enumerate(zip(model.layers, outputs, strict=True)):
        if not np.isfinite(out[:rows]).all():
            where = f"layer {number} ({layer})"
            break
    return (
        f"the loss is not finite in epoch {epoch}, rows {clock[Clock.FIRST]} to "
        f"{clock[Clock.FIRST] + rows - 1}: it began in {where}. The update was not made; "
        "a smaller learning rate, or inputs and targets of a smaller scale, may help"
    )


def train_on_batch(network: "Network", data: Data) -> float:
    """Make one update with all rows, which counts as no epoch; return their loss before it."""
    plan = begin(network, adapt(network, Plan(data, None, 1, len(data.x), False)))
    penalty, epochs = network._penalty(), network._epochs
    history = History()
    try:
        train(network, plan, history, False)
    finally:
        network._epochs = epochs
    # An epoch's loss has the penalties after it.
    return history.history["loss"][0] - network._penalty() + penalty
