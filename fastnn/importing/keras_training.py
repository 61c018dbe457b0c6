"""What Keras's models are compiled with, as ours."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from fastnn import losses, optimizers
from fastnn.importing.chain import Chain
from fastnn.importing.keras_layers import is_keras
from fastnn.layers import ParametricActivation

_ENTROPY = {
    "CategoricalCrossentropy": "softmax",
    "SparseCategoricalCrossentropy": "softmax",
    "BinaryCrossentropy": "sigmoid",
}
_FUNCTIONS = {
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy",
    "MeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
    "LogCosh": "log_cosh",
    "Huber": "huber",
}
"""Keras's losses, and their functions."""
_USUAL = {
    "weight_decay": None, "clipnorm": None, "use_ema": False, "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}  # fmt: skip
"""Settings of Keras's optimizers that ours do not have, and their defaults."""
_REDUCTIONS = {"sum_over_batch_size": "mean", "mean": "mean", "sum": "sum"}
"""Keras's, and ours over rows."""


def _refuse(what: str, given: Any, reason: str) -> NoReturn:
    name = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    raise ValueError(
        f"cannot import the compiled {what} {name}: {reason}; give {what}= to from_keras"
    )


def loss(given: Any, compiled: Mapping[str, Any], chain: Chain) -> losses.Loss:
    """Return the loss that is the same for the chain's outputs."""
    if compiled.get("loss_weights") is not None:
        _refuse("loss", given, "it has loss_weights")
    known = _loss_object(given)
    name, config = type(known).__name__, known.get_config()
    reduction = _REDUCTIONS.get(config.get("reduction", "mean"))
    if reduction is None:
        reason = f"its reduction is {config['reduction']!r}, wanted {', '.join(_REDUCTIONS)}"
        _refuse("loss", given, reason)
    if name in _ENTROPY:
        return _entropy(given, name, config, chain, reduction)
    width = chain.width or 0
    if name == "MeanSquaredError" and width == 2:
        return losses.HalfMSE(reduction=reduction)  # Keras's mean over the outputs
    known_as: dict[str, Callable[..., losses.Loss]] = {
        "MeanSquaredError": losses.MSE,
        "MeanAbsoluteError": losses.MAE,
        "LogCosh": losses.LogCosh,
        "Huber": lambda reduction: losses.Huber(_delta(known, config), reduction=reduction),
    }
    if name not in known_as:
        _refuse("loss", given, "fastnn has no such loss")
    if width != 1:
        _refuse("loss", given, f"it is the mean over {width} outputs, fastnn's their sum")
    return known_as[name](reduction=reduction)


def _delta(known: Any, config: Mapping[str, Any]) -> float:
    """Return a Huber loss's delta, which the configuration of Keras 3.15's does not have."""
    delta = config.get("delta", getattr(known, "_fn_kwargs", {}).get("delta"))
    if delta is None:
        _refuse("loss", known, "it does not say its delta")
    return float(delta)


def _loss_object(given: Any) -> Any:
    """Return an object of Keras's for what `compile` got as the loss: Keras finds it itself."""
    keras = sys.modules["keras"]
    if isinstance(given, str):
        given = keras.losses.get(given)
    for name, function in _FUNCTIONS.items():
        if is_keras(given, name):
            return given
        if given is getattr(keras.losses, function):
            return getattr(keras.losses, name)()
    _refuse("loss", given, "fastnn has no such loss")


def _entropy(
    given: Any, name: str, config: Mapping[str, Any], chain: Chain, reduction: str
) -> losses.Loss:
    logits, wanted = config["from_logits"], _ENTROPY[name]
    if chain.output != ("linear" if logits else wanted):
        reason = f"from_logits={logits}, but the last activation is {chain.output!r}"
        _refuse("loss", given, reason)
    smoothing = float(config.get("label_smoothing") or 0)
    if config.get("ignore_class") is not None:
        _refuse("loss", given, "it has an ignore_class")
    if config.get("axis", -1) not in (-1, 1):
        _refuse("loss", given, "it is not over the last axis")
    if wanted == "softmax":
        return losses.SoftmaxCrossEntropy(smoothing, reduction=reduction)
    if smoothing:
        _refuse("loss", given, "it smooths labels")
    if chain.width != 1:
        _refuse("loss", given, f"it is the mean over {chain.width} outputs, fastnn's their sum")
    return losses.Logistic(reduction=reduction)


def optimizer(given: Any, chain: Chain) -> optimizers.Optimizer:
    """Return the optimizer that makes the same steps, to what the docstring of its class says."""
    name, config = type(given).__name__, given.get_config()
    convert = _OPTIMIZERS.get(name)
    if convert is None or not is_keras(given, name):
        _refuse("optimizer", given, "fastnn has none that makes the same steps")
    if isinstance(config["learning_rate"], dict):
        rate = config["learning_rate"].get("class_name", "schedule")
        _refuse("optimizer", given, f"its learning rate is a schedule, {rate}")
    decays = name in ("Adam", "AdamW")
    for key, usual in _USUAL.items():
        if config.get(key) not in (usual, 0) and not (decays and key == "weight_decay"):
            _refuse("optimizer", given, f"{key} is {config[key]!r}, which fastnn's does not have")
    frozen = any(
        setting.endswith("learning_rate_factor")  # which is only given if it is 0
        for piece in chain.pieces
        for setting in piece.settings
    )
    if config.get("global_clipnorm") and frozen:
        _refuse("optimizer", given, "its global_clipnorm leaves out layers that are not trainable")
    if config.get("weight_decay"):
        if any(vars(given).get(f"_exclude_from_weight_decay{each}") for each in ("", "_pattern")):
            _refuse("optimizer", given, "it excludes variables from weight decay")
        if any(piece.kind is ParametricActivation for piece in chain.pieces):
            _refuse("optimizer", given, "PReLU's slopes decay to 0, fastnn's shares 1 - slope do")
    clip = {key: config.get(key) for key in ("clipvalue", "global_clipnorm")}
    # Keras keeps the rate in float32: 0.01 is 0.009999999776.
    rate = float(str(np.float32(config["learning_rate"])))
    made: optimizers.Optimizer = convert(config, rate, clip)
    return made


def _sgd(config: Mapping[str, Any], rate: float, clip: dict[str, Any]) -> Any:
    nesterov = config["nesterov"] and config["momentum"] > 0
    return optimizers.SGD(rate, config["momentum"], nesterov, **clip)


def _adam(config: Mapping[str, Any], rate: float, clip: dict[str, Any]) -> Any:
    settings = {key: config[key] for key in ("beta_1", "beta_2", "epsilon", "amsgrad")}
    decay = config["weight_decay"]
    if not decay:
        return optimizers.Adam(rate, **settings, **clip)
    return optimizers.AdamW(rate, weight_decay=decay, decay_biases=True, **settings, **clip)


def _nadam(config: Mapping[str, Any], rate: float, clip: dict[str, Any]) -> Any:
    settings = {key: config[key] for key in ("beta_1", "beta_2", "epsilon")}
    return optimizers.NAdam(rate, **settings, momentum_decay=1.0, **clip)


def _adagrad(config: Mapping[str, Any], rate: float, clip: dict[str, Any]) -> Any:
    # Keras adds epsilon to the total, in each step and never for good.
    start = config["initial_accumulator_value"] + config["epsilon"]
    return optimizers.Adagrad(rate, start, 1e-30, **clip)


def _adadelta(config: Mapping[str, Any], rate: float, clip: dict[str, Any]) -> Any:
    return optimizers.Adadelta(rate, config["rho"], config["epsilon"], **clip)


_OPTIMIZERS = {
    "SGD": _sgd,
    "Adam": _adam,
    "AdamW": _adam,
    "Nadam": _nadam,
    "Adagrad": _adagrad,
    "Adadelta": _adadelta,
}
