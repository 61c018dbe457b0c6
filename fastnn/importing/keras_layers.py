"""Keras's layers as ours."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import activations, constraints, regularizers
from fastnn.importing.chain import Chain, refuse
from fastnn.layers import BatchNormalization, Dropout, LayerNormalization, ParametricActivation

_FUNCTIONS = (
    "linear", "relu", "leaky_relu", "elu", "selu", "gelu", "softplus", "silu", "mish",
    "exponential", "sigmoid", "tanh", "softmax",
)  # fmt: skip
"""Those whose names and defaults are the same here."""


def is_keras(given: Any, *names: str) -> bool:
    """Return whether an object is of one of these classes of Keras 3 itself, not of a subclass."""
    kind = type(given)
    if kind.__name__ not in names or kind.__module__.split(".")[0] != "keras":
        return False
    return not sys.modules["keras"].__version__.startswith("2.")


def add(chain: Chain, where: str, layer: Any) -> None:
    """Add a layer.

    Raises
    ------
    ValueError
        If fastnn does not have it.
    """
    convert = _TABLE.get(type(layer).__name__)
    if convert is None or not is_keras(layer, type(layer).__name__):
        refuse(where, "fastnn has no such layer")
    if layer.dtype_policy.name not in ("float32", "float64"):
        refuse(where, f"it computes in {layer.dtype_policy.name}, wanted float32 or float64")
    if getattr(layer, "activity_regularizer", None) is not None:
        refuse(where, "it has an activity_regularizer")
    if len(layer.output.shape) != 2:
        refuse(where, f"it returns {layer.output.shape}, wanted rows of numbers")
    convert(chain, where, layer)


def activation(chain: Chain, where: str, given: Any) -> None:
    """Add what a layer has as its activation: a function of Keras, or a layer."""
    if is_keras(given, *_LAYERS):
        _LAYERS[type(given).__name__](chain, where, given)
        return
    known = sys.modules["keras"].activations
    for name in _FUNCTIONS:
        if given is getattr(known, name):
            chain.activation(where, activations.get(name))
            return
    refuse(where, f"its activation is {getattr(given, '__name__', given)!r}")


def _activation(chain: Chain, where: str, layer: Any) -> None:
    activation(chain, where, layer.activation)


def _plain(where: str, layer: Any, *names: str) -> None:
    """Refuse settings that fastnn does not have, unless they are None or False."""
    for name in names:
        value = layer.get_config().get(name)
        if value is not None and value is not False:
            refuse(where, f"it has a {name}")


def _regularizer(where: str, given: Any) -> regularizers.Regularizer | None:
    if given is None:
        return None
    if is_keras(given, "L1", "L2", "L1L2"):
        config = given.get_config()
        l1, l2 = float(config.get("l1", 0)), 2 * float(config.get("l2", 0))
        if l1 and l2:
            return regularizers.L1L2(l1, l2)
        return regularizers.L1(l1) if l1 else regularizers.L2(l2)
    refuse(where, f"its regularizer is {type(given).__name__}, wanted L1, L2 or L1L2")


def _constraint(where: str, given: Any) -> constraints.Constraint | None:
    if given is None:
        return None
    if is_keras(given, "NonNeg"):
        return constraints.NonNeg()
    if is_keras(given, "MaxNorm", "UnitNorm"):
        config = given.get_config()
        if config["axis"] not in (0, [0], (0,)):
            refuse(where, f"its constraint is over axis {config['axis']}, wanted 0")
        if is_keras(given, "UnitNorm"):
            return constraints.UnitNorm()
        return constraints.MaxNorm(float(config["max_value"]))
    refuse(where, f"its constraint is {type(given).__name__}, wanted MaxNorm, UnitNorm or NonNeg")


def _dense(chain: Chain, where: str, layer: Any) -> None:
    if layer.quantization_mode is not None or layer.lora_enabled:
        refuse(where, "it is quantized, or has LoRA's weights beside its own")
    settings: dict[str, Any] = {}
    for name in ("kernel", "bias"):
        if name == "bias" and not layer.use_bias:
            continue
        if _trains(layer, getattr(layer, name)):
            for kind, convert in (("regularizer", _regularizer), ("constraint", _constraint)):
                key = f"{name}_{kind}"
                settings[key] = convert(where, getattr(layer, key))
        else:  # without a constraint, which would move it, and a penalty, which Keras leaves out
            settings[f"{name}_learning_rate_factor"] = 0.0
    w, *b = layer.get_weights()
    chain.dense(where, w, b[0] if b else None, settings)
    activation(chain, where, layer.activation)


def _trains(layer: Any, variable: Any) -> bool:
    return bool(layer.trainable and variable.trainable)


def _factor(where: str, layer: Any, *names: str) -> dict[str, float]:
    """Return the setting of a layer whose variables are all trained, or none."""
    variables = [getattr(layer, name, None) for name in names]
    trained = {_trains(layer, each) for each in variables if each is not None}
    if len(trained) > 1:
        refuse(where, f"only some of {', '.join(names)} are trained")
    return {"learning_rate_factor": 0.0} if trained == {False} else {}


_GAMMA_BETA = "beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"


def _normalized(where: str, layer: Any) -> None:
    if layer.axis not in (-1, 1, [-1], [1]):
        refuse(where, f"it normalizes axis {layer.axis}, wanted -1")
    _plain(where, layer, *_GAMMA_BETA)


def _batch_normalization(chain: Chain, where: str, layer: Any) -> None:
    _normalized(where, layer)
    _plain(where, layer, "renorm", "synchronized")
    if not layer.trainable:
        refuse(where, "with trainable=False it trains with its moving averages, not the batch's")
    names = "momentum", "epsilon", "center", "scale"
    weights = layer.get_weights()
    chain.need_width(where, len(weights[0]))
    settings = {name: getattr(layer, name) for name in names}
    settings |= _factor(where, layer, "gamma", "beta")
    chain.add(where, BatchNormalization, settings, weights)


def _layer_normalization(chain: Chain, where: str, layer: Any) -> None:
    _normalized(where, layer)
    _plain(where, layer, "rms_scaling")
    weights = layer.get_weights()
    chain.need_width(where, layer.output.shape[1])
    settings = {name: getattr(layer, name) for name in ("epsilon", "center", "scale")}
    settings |= _factor(where, layer, "gamma", "beta")
    chain.add(where, LayerNormalization, settings, weights)


def _dropout(chain: Chain, where: str, layer: Any) -> None:
    if layer.noise_shape not in (None, (None, None)):
        refuse(where, "it has a noise_shape")
    if layer.rate:
        chain.add(where, Dropout, {"rate": layer.rate})


def _relu(chain: Chain, where: str, layer: Any) -> None:
    if layer.max_value is not None or layer.threshold:
        refuse(where, "it has a max_value or threshold")
    slope = float(layer.negative_slope or 0)
    made = activations.LeakyReLU(slope) if slope else activations.ReLU()
    chain.activation(where, made)


def _leaky_relu(chain: Chain, where: str, layer: Any) -> None:
    chain.activation(where, activations.LeakyReLU(float(layer.negative_slope)))


def _elu(chain: Chain, where: str, layer: Any) -> None:
    try:
        chain.activation(where, activations.ELU(float(layer.alpha)))
    except ValueError as error:
        refuse(where, error)


def _prelu(chain: Chain, where: str, layer: Any) -> None:
    _plain(where, layer, "alpha_regularizer", "alpha_constraint")
    (slopes,) = layer.get_weights()
    width = layer.output.shape[1]
    if len(slopes) != width:
        refuse(where, f"it has one slope for all {width} units, fastnn's PReLU one for each")
    chain.need_width(where, width)
    settings = {"function": "relu", **_factor(where, layer, "alpha")}
    chain.add(where, ParametricActivation, settings, [1 - slopes])


def _softmax(chain: Chain, where: str, layer: Any) -> None:
    if layer.axis not in (-1, 1):
        refuse(where, f"it is over axis {layer.axis}, wanted -1")
    chain.activation(where, activations.Softmax())


def _normalization(chain: Chain, where: str, layer: Any) -> None:
    keras = sys.modules["keras"]
    if layer.invert or layer.axis not in (-1, 1, [-1], [1], (-1,), (1,)):
        refuse(where, "it inverts, or is not over the columns")
    if layer.mean is None:
        refuse(where, "it has no mean and variance yet: call its adapt")
    mean, variance = (
        keras.ops.convert_to_numpy(each).reshape(-1).astype(np.float64)
        for each in (layer.mean, layer.variance)
    )
    width = layer.output.shape[1]
    scale = np.maximum(np.sqrt(variance), keras.config.epsilon())
    chain.standardize(where, np.broadcast_to(mean, width), np.broadcast_to(scale, width))


def _rescaling(chain: Chain, where: str, layer: Any) -> None:
    scale, offset = (np.reshape(each, -1).astype(float) for each in (layer.scale, layer.offset))
    if not (scale > 0).all():
        refuse(where, "it does not multiply by numbers above 0")
    chain.standardize(where, -offset / scale, 1 / scale)


def _nothing(chain: Chain, where: str, layer: Any) -> None:
    """Add nothing."""


Convert = Callable[[Chain, str, Any], None]
_LAYERS: dict[str, Convert] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "Activation": _activation,
}
"""Activations without weights."""
_TABLE: dict[str, Convert] = {
    **_LAYERS,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "PReLU": _prelu,
    "Dropout": _dropout,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Flatten": _nothing,
    "Identity": _nothing,
    "InputLayer": _nothing,
}
