"""Optimizers: their settings, their state, and the kernels that update the parameters."""

from typing import Any

from fastnn.inputs.settings import look_up, table
from fastnn.optimizers.adaptive import Adadelta, Adagrad, Adam, AdamW, NAdam, RMSprop
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.descent import GD, SGD, Rprop
from fastnn.optimizers.lbfgs import LBFGS

__all__ = [
    "GD",
    "LBFGS",
    "SGD",
    "TABLE",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "Rprop",
    "get",
]

TABLE = table(Optimizer)


def get(optimizer: Any) -> Optimizer:
    """Return an optimizer given as a name, a configuration or an object."""
    found: Optimizer = look_up(optimizer, "optimizer", Optimizer, TABLE)
    return found
