"""Networks from an estimator's parameters."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import optimizers
from fastnn.activations import Activation as Function
from fastnn.inputs import checks
from fastnn.inputs.settings import look_up, one_of
from fastnn.layers import Activation, BatchNormalization, Dense, Dropout, Layer
from fastnn.losses import Loss
from fastnn.network import Network
from fastnn.optimizers import SGD, Adam, Optimizer
from fastnn.regularizers import L2
from fastnn.schedules import Schedule
from fastnn.sklearn.minimizing import Minimizer

OURS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}
"""fastnn's names of scikit-learn's activations, where they differ."""
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
_RATES = ("constant", "invscaling", "adaptive")
_ALPHA = 1e-4
_SOLVERS = {**optimizers.TABLE, "lbfgs": Minimizer}


def sizes(estimator: Any) -> list[int]:
    """Return the hidden layers' sizes."""
    given = estimator.hidden_layer_sizes
    given = list(given) if np.iterable(given) else [given]
    if any(not isinstance(size, int | np.integer) or size <= 0 for size in given):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {given}.")
    return [int(size) for size in given]


def _for_each(value: Any, count: int, name: str) -> list[Any]:
    """Return a value for each hidden layer, from one for all or a sequence."""
    if isinstance(value, str | Function) or not isinstance(value, Iterable):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} values, wanted one for all or {count}")
    return values


def hidden(estimator: Any) -> list[Layer]:
    """Return new hidden layers."""
    if estimator.layers is not None:
        for name in ("dropout", "batch_normalization", "kernel_constraint"):
            if getattr(estimator, name):
                raise ValueError(f"layers and {name} were given, wanted only one of them")
        if not isinstance(estimator.layers, list | tuple):
            raise TypeError(f"layers is {estimator.layers!r}, wanted a list of layers")
        return copy.deepcopy(list(estimator.layers))
    widths = sizes(estimator)
    layers: list[Layer] = []
    functions = _for_each(estimator.activation, len(widths), "activation")
    dropped = _for_each(estimator.dropout, len(widths), "dropout")
    for units, function, share in zip(widths, functions, dropped, strict=True):
        function = OURS.get(function, function) if isinstance(function, str) else function
        constraint = estimator.kernel_constraint
        if estimator.batch_normalization:
            layers += [Dense(units, use_bias=False, kernel_constraint=constraint)]
            layers += [BatchNormalization(), Activation(function)]
        else:
            layers.append(Dense(units, function, kernel_constraint=constraint))
        if checks.fraction(share, "dropout"):
            layers.append(Dropout(share))
    return layers


def optimizer(estimator: Any) -> Optimizer:
    """Return a new optimizer."""
    solver = estimator.solver
    rate = estimator.learning_rate_init
    if isinstance(estimator.learning_rate, Schedule):
        rate = estimator.learning_rate
    elif estimator.learning_rate not in _RATES:
        raise ValueError(
            f"learning_rate is {estimator.learning_rate!r}, wanted a Schedule or one of {_RATES}"
        )
    if isinstance(solver, str):
        one_of(solver, "solver", _SOLVERS)
    made: Optimizer = look_up(solver, "solver", Optimizer, _SOLVERS)
    takes_rate = made is not solver and "learning_rate" in made.settings()
    if isinstance(rate, Schedule) and not takes_rate:
        raise ValueError(
            f"learning_rate is {rate!r}, but solver {solver!r} does not take its rate from there"
        )
    if made is solver:
        return copy.copy(solver)
    if solver == "lbfgs":
        return Minimizer(estimator.tol, estimator.max_iter, estimator.max_fun)
    if solver == "sgd":
        momentum = checks.fraction(estimator.momentum, "momentum")
        return SGD(rate, momentum, nesterov=bool(estimator.nesterovs_momentum and momentum > 0))
    if solver == "adam":
        betas = estimator.beta_1, estimator.beta_2
        return Adam(rate, *betas, epsilon=estimator.epsilon)
    return made.set_params(learning_rate=rate) if takes_rate else made


def rate_rule(estimator: Any) -> str:
    """Return how the learning rate changes after epochs, if :class:`Watch` does that."""
    plain = estimator.solver == "sgd" and isinstance(estimator.learning_rate, str)
    return estimator.learning_rate if plain else ""


def penalty(estimator: Any, rows: float) -> Any:
    """Return the penalty on weights, for batches of so many rows, each times its mean weight.

    scikit-learn divides `alpha` by a batch's sum of weights.  Beside a sum of losses it counts as
    `rows` 1: it is not divided.
    """
    alpha = checks.non_negative_float(estimator.alpha, "alpha")
    if estimator.kernel_regularizer is None:
        return L2(alpha / rows) if alpha else None
    if alpha not in (0, _ALPHA):
        raise ValueError(
            f"alpha is {alpha} and kernel_regularizer is {estimator.kernel_regularizer!r}, wanted "
            "only one of them"
        )
    return estimator.kernel_regularizer


def network(
    estimator: Any, loss: Loss, n_inputs: int, n_outputs: int, dtype: Any, rng: Any
) -> Network:
    """Return a new network with scikit-learn's starting weights, drawn in its order."""
    last = Dense(n_outputs, loss.last_activation)
    layers = [*hidden(estimator), last]
    weights = None
    if estimator.layers is None:
        factor = 2.0 if estimator.activation == "logistic" else 6.0
        units = [n_inputs, *sizes(estimator), n_outputs]
        weights = [_start(factor, *pair, rng) for pair in zip(units, units[1:], strict=False)]
    made = Network(
        layers,
        loss=loss,
        bias_regularizer=estimator.bias_regularizer,
        seed=int(rng.randint(2**32, dtype=np.int64)),
        dtype=dtype,
        n_threads=estimator.n_threads,
        metrics=estimator.metrics,
    )
    made.build(n_inputs)
    if weights is not None:
        for (kernel, bias), (w, b) in zip(dense_parameters(made), weights, strict=True):
            kernel.value[...] = w
            if bias is not None:
                bias.value[...] = b
    return made


def _start(factor: float, n_in: int, n_out: int, rng: Any) -> tuple[np.ndarray, np.ndarray]:
    limit = np.sqrt(factor / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out)), rng.uniform(-limit, limit, n_out)


def dense_parameters(made: Network) -> list[tuple[Any, Any]]:
    """Return kernel and bias (or None) of all dense layers."""
    return [
        (parameters[0], parameters[1] if len(parameters) > 1 else None)
        for layer, parameters in zip(made.layers, made.model.parameters, strict=True)
        if isinstance(layer, Dense)
    ]


def begin_anew(made: Network, new: Optimizer) -> None:
    """Give a network a new optimizer, with no state."""
    for each in made.model.all_parameters():
        each.state.clear()
    made.optimizer = new
