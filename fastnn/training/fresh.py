"""Starting over: a model as it was before its first fit, or a new one with the same settings."""

import copy
from typing import Any

from fastnn.inputs.settings import copied
from fastnn.kernels.interrupts import uninterrupted
from fastnn.preprocessing.chain import as_chain
from fastnn.training import attributes
from fastnn.training.model import Model


def reset(model: Model, seed: Any = None) -> None:
    """Forget all that training has made; see :meth:`fastnn.Network.reset`."""
    seed = model.seed if seed is None else attributes.CHECKS["seed"](seed, "seed")
    model.access.check_free("reset")  # even a callback of this thread
    with uninterrupted(), model.access.writing("reset"):
        kept = dict(vars(model))
        model.forget()
        vars(model).update(seed=seed, preprocessing=as_chain(model.preprocessing))
        try:
            attributes.settle(model)
        except BaseException:
            vars(model).update(kept)
            raise
        model.access.ending = False


def clone(model: Model, seed: Any = None) -> Model:
    """Return a model with copies of the settings; see :meth:`fastnn.Network.clone`."""
    chain = model.preprocessing
    twin = Model(
        [copied(layer) for layer in model.layers],
        loss=copied(model.loss),
        optimizer=copied(model.given_optimizer),
        kernel_regularizer=copied(model.kernel_regularizer),
        bias_regularizer=copied(model.bias_regularizer),
        seed=model.seed if seed is None else seed,
        dtype=model.policy,
        n_threads=model.n_threads,
        backend=model.backend,
        metrics=list(model.metrics),
        preprocessing=chain and copy.deepcopy(chain.steps),
    )
    twin.extra = copy.deepcopy(model.extra)
    return twin
