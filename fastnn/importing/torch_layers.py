"""PyTorch's layers as ours."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.importing.chain import Chain, refuse
from fastnn.layers import BatchNormalization, Dropout, LayerNormalization, ParametricActivation

_THRESHOLD = 20
"""From where PyTorch's Softplus leaves out the rest, which is smaller than 2.1e-9."""


def array(where: str, tensor: Any) -> np.ndarray:
    """Return a tensor's numbers as an array of their own."""
    if hasattr(tensor, "detach"):
        if "bfloat16" in str(tensor.dtype):  # which NumPy does not have
            refuse(where, f"its weights are {tensor.dtype}, wanted float32 or float64")
        try:
            tensor = tensor.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:  # sparse, or without numbers
            refuse(where, error)
    return np.array(tensor)


def add_all(chain: Chain, found: list[tuple[str, Any]]) -> None:
    """Add modules, each with its place.

    Raises
    ------
    ValueError
        For one that fastnn does not have, naming it, or if two share a parameter.
    """
    owners: dict[int, str] = {}
    for where, module in found:
        if module == "exp":
            chain.activation(where, activations.Exponential())
            continue
        for each in module.parameters():
            if id(each) in owners:
                refuse(where, f"it shares a parameter with {owners[id(each)]}")
            owners[id(each)] = where
        kind = type(module)
        convert = _TABLE.get(kind.__name__)
        if convert is None or not kind.__module__.startswith("torch.nn.modules."):
            refuse(where, "fastnn has no such layer")
        convert(chain, where, module)


def _trained(where: str, **parameters: Any) -> bool | None:
    """Return whether the parameters are trained, all or none; None if there are none."""
    flags = {name: each.requires_grad for name, each in parameters.items() if each is not None}
    if len(set(flags.values())) > 1:
        refuse(where, f"only some of its parameters are trained: requires_grad is {flags}")
    return next(iter(flags.values()), None)


def _factor(where: str, **parameters: Any) -> dict[str, Any]:
    frozen = _trained(where, **parameters) is False
    return {"learning_rate_factor": 0.0} if frozen else {}


def _linear(chain: Chain, where: str, module: Any) -> None:
    pair = {"kernel": module.weight, "bias": module.bias}
    factors = {
        f"{name}_learning_rate_factor": 0.0
        for name, each in pair.items()
        if each is not None and not each.requires_grad
    }
    b = None if module.bias is None else array(where, module.bias)
    chain.dense(where, array(where, module.weight).T, b, factors)


def _batch_norm(chain: Chain, where: str, module: Any) -> None:
    if module.running_mean is None:
        refuse(where, "it predicts with each batch's own statistics: track_running_stats=False")
    if module.momentum is None:
        refuse(where, "its running statistics are plain averages: momentum=None")
    given = [array(where, each) for each in (module.weight, module.bias) if each is not None]
    chain.need_width(where, module.num_features)
    settings = {
        "momentum": 1 - module.momentum,
        "epsilon": module.eps,
        "center": module.bias is not None,
        "scale": module.weight is not None,
        **_factor(where, weight=module.weight, bias=module.bias),
    }
    tracked = [array(where, module.running_mean), array(where, module.running_var)]
    chain.add(where, BatchNormalization, settings, [*given, *tracked])


def _layer_norm(chain: Chain, where: str, module: Any) -> None:
    if len(module.normalized_shape) != 1:
        refuse(where, "it normalizes more than one dimension")
    chain.need_width(where, module.normalized_shape[0])
    given = [each for each in (module.weight, module.bias) if each is not None]
    settings = {
        "epsilon": module.eps,
        "center": module.bias is not None,
        "scale": module.weight is not None,
        **_factor(where, weight=module.weight, bias=module.bias),
    }
    chain.add(where, LayerNormalization, settings, [array(where, each) for each in given])


def _prelu(chain: Chain, where: str, module: Any) -> None:
    slopes = array(where, module.weight)
    if chain.width is None:
        refuse(where, "it stands in front of all layers with a known number of inputs")
    if len(slopes) != chain.width:
        reason = (
            f"one slope for all {chain.width} units is trained, fastnn's PReLU has one for each"
        )
        refuse(where, f"{reason}: PReLU({chain.width})")
    settings = {"function": "relu", **_factor(where, weight=module.weight)}
    chain.add(where, ParametricActivation, settings, [1 - slopes])


def _dropout(chain: Chain, where: str, module: Any) -> None:
    if module.p:
        chain.add(where, Dropout, {"rate": module.p})


def _softmax(chain: Chain, where: str, module: Any) -> None:
    if module.dim not in (1, -1, None):  # without one, it is 1 for matrices
        refuse(where, "wanted dim=1, over the units")
    chain.activation(where, activations.Softmax())


def _softplus(chain: Chain, where: str, module: Any) -> None:
    if module.beta != 1:
        refuse(where, "fastnn's softplus has beta=1")
    if module.threshold < _THRESHOLD:
        refuse(where, f"fastnn's softplus has no threshold, wanted one of at least {_THRESHOLD}")
    chain.activation(where, activations.Softplus())


def _flatten(chain: Chain, where: str, module: Any) -> None:
    if module.start_dim != 1 or module.end_dim not in (-1, 1):
        refuse(where, "wanted start_dim=1 and end_dim=-1, which keep rows as they are")


def _nothing(chain: Chain, where: str, module: Any) -> None:
    """Add nothing."""


def _leaky_relu(module: Any) -> activations.Activation:
    return activations.LeakyReLU(module.negative_slope)


def _elu(module: Any) -> activations.Activation:
    return activations.ELU(module.alpha)


def _gelu(module: Any) -> activations.Activation:
    return activations.GELU({"none": False, "tanh": True}[module.approximate])


def _of(make: Callable[[Any], activations.Activation]) -> Callable[[Chain, str, Any], None]:
    """Return what adds an activation."""

    def add(chain: Chain, where: str, module: Any) -> None:
        try:
            made = make(module)
        except (ValueError, TypeError, KeyError) as error:
            refuse(where, error)
        chain.activation(where, made)

    return add


def _named(name: str) -> Callable[[Chain, str, Any], None]:
    return _of(lambda module: activations.get(name))


_PLAIN = {
    "ReLU": "relu", "SELU": "selu", "SiLU": "silu", "Mish": "mish", "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}  # fmt: skip
_TABLE: dict[str, Callable[[Chain, str, Any], None]] = {
    "Linear": _linear,
    "BatchNorm1d": _batch_norm,
    "LayerNorm": _layer_norm,
    "PReLU": _prelu,
    "Dropout": _dropout,
    "Softmax": _softmax,
    "Softplus": _softplus,
    "Flatten": _flatten,
    "Identity": _nothing,
    "LeakyReLU": _of(_leaky_relu),
    "ELU": _of(_elu),
    "GELU": _of(_gelu),
    **{kind: _named(name) for kind, name in _PLAIN.items()},
}
