"""What training made of a model, to be taken over by the model of which it is a copy."""

import copy
from typing import Any

from fastnn.inputs.settings import Configured
from fastnn.kernels.interrupts import uninterrupted
from fastnn.training import attributes, ownership
from fastnn.training.model import Model
from fastnn.training.ownership import Own

_MADE = (
    *("parameters", "made_from", "columns", "selection", "names", "epochs", "updates"),
    "preprocessing",
)
"""What a fit makes, and a later one depends on."""
_SETTINGS = (
    *("layers", "loss", "optimizer", "kernel_regularizer", "bias_regularizer", "seed"),
    *("n_threads", "backend", "metrics", "extra"),
)
"""What callbacks may change."""


def settings_of(model: Model) -> dict[str, Any]:
    """Return copies of all that callbacks may change, to compare with later."""
    found = {name: vars(model)[name] for name in _SETTINGS}
    return {name: _noted(value) for name, value in found.items()} | {
        "extra": copy.deepcopy(model.extra)
    }


def _noted(value: Any) -> Any:
    if isinstance(value, list):
        return [_noted(each) for each in value]
    return value.snapshot() if isinstance(value, Configured) else value


def made(model: Model, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what training made of a model, and its settings that are others than `before`."""
    found = {name: vars(model)[name] for name in _MADE}
    changed = {}
    if before is not None:
        now = settings_of(model)
        changed = {name: vars(model)[name] for name in _SETTINGS if now[name] != before[name]}
    reduced = None if model.optimizer is model.given_optimizer else model.optimizer
    return found | {"changed": changed, "reduced": reduced, "ending": model.access.ending}


def take_over(model: Model, found: dict[str, Any], what: str) -> None:
    """Give a model what :func:`made` returned of its copy: all of it, or nothing if this raises.

    Settings that the copy's callbacks changed are changed in the model's own objects.
    """
    made_now = {name: found[name] for name in _MADE}
    made_now["parameters"] = ownership.owned(found["parameters"], Own([]), model.dtype)
    with uninterrupted(), model.access.writing(what):
        kept = dict(vars(model))
        try:
            vars(model).update(made_now, settled=None, predictor=None, stepper=None)
            for name, value in found["changed"].items():
                _change(model, name, value)
            if found["changed"]:
                attributes.settle(model)
            model.own = Own(model.parameters)
        except BaseException:
            vars(model).update(kept)
            raise
        reduced = found["reduced"]
        model.reduced = reduced and (reduced, model.given_optimizer.changes_)
        model.access.ending = found["ending"]


def _change(model: Model, name: str, value: Any) -> None:
    mine = vars(model)[name]
    if name == "layers" and [*map(type, mine)] == [*map(type, value)]:
        for own, other in zip(mine, value, strict=True):
            _assume(own, other)
    elif isinstance(mine, Configured) and type(mine) is type(value):
        _assume(mine, value)
    else:
        vars(model)[name] = value


def _assume(mine: Configured, other: Configured) -> None:
    """Give an object the settings of another of its kind."""
    if mine.snapshot() != other.snapshot():
        mine.set_params(**other.settings())
