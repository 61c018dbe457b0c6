"""Optimizers: which kernel updates the parameters, with which settings and state."""

from typing import Any

from fastnn.inputs.settings import look_up
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

TABLE = {
    "sgd": SGD,
    "gd": GD,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "rprop": Rprop,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "lbfgs": LBFGS,
}


def get(optimizer: Any) -> Optimizer:
    """Return an optimizer by name, by configuration or as it is."""
    found: Optimizer = look_up(optimizer, "optimizer", Optimizer, TABLE)
    return found
