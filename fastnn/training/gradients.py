"""Gradients: what a training step would be given, computed by its kernels."""

from typing import Any

import numpy as np

from fastnn.engine import team
from fastnn.engine.program import aligned
from fastnn.inputs import checks
from fastnn.layers import penalties as of_layers
from fastnn.optimizers.lbfgs import Searching
from fastnn.training import lowering, prediction
from fastnn.training.data import Data
from fastnn.training.lowering import Order
from fastnn.training.model import ROW_FLOPS, Model
from fastnn.training.planning import Plan, in_batches


@np.errstate(all="ignore")
def gradients(model: Model, X: Any, y: Any, sample_weight: Any, penalties: Any) -> list[np.ndarray]:
    """Return the gradients; :meth:`fastnn.Network.gradients` documents the arguments."""
    model.need_built("gradients")
    penalties = checks.boolean(penalties, "penalties")
    data = model.check_data(X, y, sample_weight).weighted(model.loss)
    if penalties:
        check_penalties(model)
    in_batches(model, Plan(data, None, 1, len(data), False))
    data = model.prepared(data, model.preprocessing)
    return prediction.consistent(model, _gradients, data, penalties)


def check_penalties(model: Model) -> None:
    """Raise ValueError if a penalty has no gradient, because it acts on the weights themselves."""
    for number, layer in enumerate(model.parameters):
        for each in layer:
            if of_layers.acts_on_weights(each.regularizer, None):
                raise ValueError(
                    f"the {each.name} of layers[{number}] has the penalty {each.regularizer!r}, "
                    "which changes the weights before or after an update and has no gradient: "
                    "penalties=False leaves all penalties out"
                )


def _gradients(model: Model, data: Data, penalties: bool) -> list[np.ndarray]:
    twin = model.frozen()  # a step tracks statistics
    optimizer = Searching()
    for each in twin.all_parameters():
        each.constraint = None
        if not penalties:
            each.regularizer = None
        if each.trained:
            each.state = {"gradient": aligned(each.value.shape, each.value.dtype)}
    n_threads = model.threads(len(data), 3 * model.flops() + ROW_FLOPS)
    order = Order(False, model.seed)
    program, _ = lowering.training(twin, optimizer, data, order, len(data), n_threads)
    program.updates = model.updates
    outcome = team.run(program, n_rows=len(data), backend=model.backend)
    if not outcome.finite:
        raise FloatingPointError("the loss is not finite at these weights")
    return [
        each.state["gradient"] if each.trained else np.zeros_like(each.value)
        for each in twin.all_parameters()
    ]
