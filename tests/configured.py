"""Every class that declares settings, and for each setting a value other than the default."""

import inspect

import fastnn
from fastnn import diagnosis, preprocessing
from fastnn.callbacks import Monitor
from fastnn.constraints import Constraint
from fastnn.initializers import Initializer
from fastnn.inputs.settings import Configured, Stateful, subclasses
from fastnn.layers import Layer
from fastnn.layers.base import Factors, KernelFactors
from fastnn.optimizers.base import Descent, Optimizer
from fastnn.optimizers.lbfgs import Searching
from fastnn.preprocessing.encoding import Encoder
from fastnn.regularizers import Regularizer

BASES = {
    Stateful,
    fastnn.activations.Activation,
    fastnn.losses.Loss,
    Initializer,
    Regularizer,
    Constraint,
    fastnn.Schedule,
    Optimizer,
    Descent,
    Searching,
    Layer,
    Factors,
    KernelFactors,
    preprocessing.Transformer,
    Encoder,
    Monitor,
}
"""What nobody makes objects of."""
CUSTOM = {fastnn.activations.Custom, fastnn.losses.Custom}
assert diagnosis.WatchUnits  # all modules that may have such classes are imported

KINDS = [
    kind
    for kind in dict.fromkeys(subclasses(Configured))
    if kind.__module__.startswith("fastnn.")
    and not kind.__name__.startswith("_")
    and kind not in BASES | CUSTOM
]

REQUIRED = {
    "units": 3,
    "n_classes": 4,
    "n_categories": 5,
    "edges": [[0.0, 1.0]],
    "rate": 0.5,
    "activation": "relu",
    "function": "relu",
    "initial_learning_rate": 0.1,
    "max_learning_rate": 0.1,
    "learning_rate": 0.1,
    "decay_steps": 10,
    "decay_rate": 0.5,
    "total_steps": 100,
    "warmup_steps": 5,
    "filepath": "network",
    "steps": ["pca", "center"],
}
"""Values for what has no default."""
WITH = {"nesterov": {"momentum": 0.9}, "frequencies": {"tree": "huffman"}}
"""What a setting wants of others."""
CANDIDATES = (
    0.3, 0.2, 7, True, False, "max", "last", "test", "input", "shrink", "sparse", "l1", "non_neg",
    "softplus", "sum", "fan_avg", "uniform", (0.4, 1.3), ["whiten"], [[0, 2], [5, 0]],
    [[0, 1], [2, 3]], [4, 3, 2, 1], 0,
)  # fmt: skip


NONE = inspect.Parameter.empty


def defaults(kind):
    """Return the settings of a class with their defaults, NONE where there is none."""
    return {each.name: each.default for each in inspect.signature(kind).parameters.values()}


def made(kind, **settings):
    """Return an object with these settings, and others where there is no default."""
    required = {name: REQUIRED[name] for name, usual in defaults(kind).items() if usual is NONE}
    for name in settings:
        required |= WITH.get(name, {})
    return kind(**required | settings)


def other(kind, name):
    """Return a value of a setting that the class takes, other than the usual one."""
    usual = made(kind).settings()[name]
    for value in CANDIDATES:
        try:
            changed = made(kind, **{name: value}).settings()[name]
        except (TypeError, ValueError):
            continue
        if changed != usual:
            return value
    raise AssertionError(f"no candidate for {kind.__name__}.{name}")
