"""Optimizers: which kernel updates the parameters, with which settings and state."""

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
    """Return an optimizer by name, by configuration or as it is."""
    found: Optimizer = look_up(optimizer, "optimizer", Optimizer, TABLE)
    return found
