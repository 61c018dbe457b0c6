"""A network's attributes: what each may be, alone, together, and once the network is built.

Assignment checks a value at once.  What is changed in place (a layer's setting, the list of layers)
is noticed by :func:`settle`, which everything that uses the attributes calls first.  A `model` is a
:class:`fastnn.training.model.Model`, which imports this module.
"""

import contextlib
import copy
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import numpy as np

from fastnn import activations, initializers, losses, metrics, optimizers, regularizers
from fastnn.inputs import checks
from fastnn.inputs.settings import near, optional, revision
from fastnn.layers import Dense, Dropout, HierarchicalSoftmax, Layer, penalties
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.optimizers import Optimizer
from fastnn.preprocessing.chain import Chain, as_chain
from fastnn.regularizers import Regularizer
from fastnn.training import ownership


def as_layers(layers: Any, name: str = "layers") -> list[Layer]:
    """Return the layers as a list."""
    if isinstance(layers, Layer) or not isinstance(layers, Iterable):
        raise TypeError(f"layers must be a sequence of Dense, got {type(layers).__name__}")
    found = list(layers)
    for number, layer in enumerate(found):
        if not isinstance(layer, Layer):
            wanted = "a Dense or another layer"
            raise TypeError(f"layers[{number}] must be {wanted}, got {type(layer).__name__}")
    if not any(isinstance(layer, Dense | HierarchicalSoftmax) for layer in found):
        what = "has no Dense" if found else "is empty"
        raise ValueError(f"layers {what}, wanted at least one Dense or a HierarchicalSoftmax")
    if isinstance(found[-1], Dropout):
        raise ValueError(f"layers ends with {found[-1]}, which would drop outputs")
    return found


def _as_seed(seed: Any, name: str) -> int:
    seed = checks.non_negative_int(seed, name)
    if seed >= 2**63:
        raise ValueError(f"seed must be below 2**63, got {seed}")
    return seed


DTYPES: dict[str, tuple[np.dtype, str]] = {
    "float32": (np.dtype(np.float32), "float32"),
    "float64": (np.dtype(np.float64), "float64"),
    "mixed_bfloat16": (np.dtype(np.float32), "bfloat16"),
}
"""What a network's `dtype` means: that of its arrays, and what its matrix products multiply."""


def _as_dtype(dtype: Any, name: str) -> str:
    given = dtype
    if dtype is not None:  # which NumPy takes for float64
        with contextlib.suppress(TypeError):
            given = np.dtype(dtype).name
    return str(checks.one_of(given, name, tuple(DTYPES)))


_DEEPEST = 200
"""How deeply `extra` may be nested: Python copies, writes and reads no lists of any depth."""


def _as_extra(extra: Any, name: str) -> dict[str, Any]:
    if not isinstance(extra, Mapping):
        raise TypeError(f"{name} is {extra!r}, wanted a dict")
    level: list[Any] = [extra]
    for _ in range(_DEEPEST):
        inner = [each.values() if isinstance(each, Mapping) else each for each in level]
        level = [x for each in inner for x in each if isinstance(x, Mapping | list | tuple)]
        if not level:
            return dict(extra)
    raise ValueError(f"{name} is nested deeper than {_DEEPEST} levels, or contains itself")


def _as_preprocessing(given: Any, name: str) -> Chain | None:
    return given if isinstance(given, Chain) else as_chain(given)


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "layers": as_layers,
    "loss": lambda value, name: losses.get(value),
    "optimizer": lambda value, name: optimizers.get(value),
    "kernel_regularizer": regularizers.get,
    "bias_regularizer": regularizers.get_for_bias,
    "seed": _as_seed,
    "dtype": _as_dtype,
    "n_threads": optional(checks.positive_int),
    "backend": lambda value, name: checks.one_of(value, name, ("numba", "numpy")),
    "preprocessing": _as_preprocessing,
    "metrics": lambda value, name: metrics.as_list(value),
    "extra": _as_extra,
}
"""What each attribute may be: ``check(value, name)`` returns the value to keep, or raises."""


def _attribute(name: str) -> Any:
    """Return a property that reads and writes an attribute of a network's model."""
    return property(
        lambda network: getattr(network.model, name),
        lambda network, value: setattr(network.model, name, value),
    )


class OfNetwork:
    """Base of :class:`fastnn.Network`: its attributes, which its model keeps."""

    model: Any

    layers: list[Layer] = _attribute("layers")
    loss: Loss = _attribute("loss")
    optimizer: Optimizer = _attribute("optimizer")
    kernel_regularizer: Regularizer | None = _attribute("kernel_regularizer")
    bias_regularizer: Regularizer | None = _attribute("bias_regularizer")
    seed: int = _attribute("seed")
    n_threads: int | None = _attribute("n_threads")
    backend: str = _attribute("backend")
    metrics: list[Metric] = _attribute("metrics")
    preprocessing: Chain | None = _attribute("preprocessing")
    stop_training: bool = _attribute("stop_training")
    extra: dict[str, Any] = _attribute("extra")
    feature_names_in_: np.ndarray = _attribute("feature_names_in_")

    @property
    def dtype(self) -> Any:
        """The dtype of the parameters, or "mixed_bfloat16"."""
        dtype = self.model.dtype
        return dtype if self.model.policy == dtype.name else self.model.policy

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        self.model.dtype = dtype

    @property
    def built(self) -> bool:
        """Whether the parameters exist, which takes the number of inputs."""
        return bool(self.model.built)

    @property
    def inputs_(self) -> np.ndarray:
        """The columns of the data that the network reads: all, except after :meth:`compact`."""
        self.model.need_built("inputs_")
        return np.array(self.model.inputs)

    @property
    def epochs_done(self) -> int:
        """Whole epochs trained so far, over all calls of `fit`, including those before `save`."""
        return int(self.model.epochs)

    @classmethod
    def of(cls, model: Any) -> Self:
        """Return the network that wraps an existing model."""
        network = object.__new__(cls)
        network.model = model
        return network

    def _around(self, model: Any) -> Self:
        """Return a network like this one, with what a subclass added, around another model."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, model=model)
        return twin

    def __copy__(self) -> Self:
        """Return an equal network with its own weights."""
        return self._around(copy.copy(self.model))

    def __setattr__(self, name: str, value: Any) -> None:
        # A subclass may have attributes of its own.
        if type(self).__base__ is OfNetwork and not (name == "model" or hasattr(type(self), name)):
            hint = near(name, CHECKS)
            if name in self.optimizer.settings():
                hint = f"set network.optimizer.{name}; "
            known = ", ".join(CHECKS)
            raise AttributeError(f"Network has no attribute {name!r} ({hint}it has {known})")
        object.__setattr__(self, name, value)


def assign(model: Any, name: str, value: Any) -> None:
    """Set an attribute to a checked value, or raise and change nothing."""
    kept = dict(vars(model))
    value = CHECKS[name](value, name)
    if name == "dtype" and model.built and value != model.policy:
        raise ValueError(
            f"dtype is {value}, but the network was built with {model.policy}: make another "
            "Network and give it the weights, or reset this one"
        )
    if name == "preprocessing" and model.access.version % 2:
        raise ValueError("preprocessing cannot change during a fit, which has transformed its rows")
    vars(model)[name] = value
    if name == "optimizer":
        model.reduced = None
    try:
        settle(model)
    except BaseException:
        vars(model).update(kept)
        raise


class Settled:
    """What :func:`settle` has found right, which most calls find unchanged."""

    def __init__(self, model: Any):
        self._revision, self._seen = revision(), _seen(model)
        self._settings: tuple[Any, ...] | None = None

    def holds(self, model: Any) -> bool:
        """Return whether all is as it was."""
        now = _seen(model)
        same = self._revision == revision() and len(now) == len(self._seen)
        return same and all(map(operator.is_, now, self._seen))

    def settings(self, model: Any) -> tuple[Any, ...]:
        """Return the values of the model's settings."""
        if self._settings is None:
            self._settings = _settings(model)
        return self._settings


def _seen(model: Any) -> list[Any]:
    """Return the objects in which a model can change, other than by a new revision."""
    found = [*_parts(model), *model.metrics, model.policy, model.made_from]
    for layer in model.parameters:
        for each in layer:
            found += each, each.regularizer, each.constraint
    return found


def settle(model: Any) -> None:
    """Check that the attributes go together and with what was built; use them from now on."""
    if model.settled is None or not model.settled.holds(model):
        model.settled = None
        _settle(model)
        model.settled = Settled(model)


def _settle(model: Any) -> None:
    layers = as_layers(model.layers)
    if model.built:
        _check_built(model, layers)
    last = layers[-1].activation.name
    wanted = model.loss.fused
    if wanted is not None and last not in (wanted, "linear"):
        raise ValueError(
            f"loss {model.loss.name!r} wants a last layer with activation {wanted!r} or "
            f"'linear' (then predict gives what {wanted} would be applied to), got {last!r}"
        )
    wanted = model.loss.activation
    if wanted is not None and last != wanted and last in activations.TABLE:
        raise ValueError(
            f"loss {model.loss.name!r} wants a last layer with activation {wanted!r}, got {last!r}"
        )
    model.loss.n_targets(model.n_outputs)
    for layer in layers:
        layer.check(layer is layers[-1], model.loss, model.kernel_regularizer)
    if model.optimizer.searches:
        _check_searched(model)
    _check_rates(model)
    _check_held(model, layers)
    model.metrics[:] = _as_metrics(model)
    for layer, parameters in zip(layers, model.parameters, strict=False):
        for each in parameters:
            each.regularizer, each.constraint = _penalties(model, layer, each.name, each.own)
            each.rate_factor = _factor(layer, each.name, "learning_rate", 1.0)
            each.decay_factor = _factor(layer, each.name, "weight_decay", None)


def _check_held(model: Any, layers: list[Layer]) -> None:
    """Raise if a setting would become 0 or infinite in the model's dtype, and so be ignored."""
    parts: dict[str, Any] = {f"layers[{number}]": layer for number, layer in enumerate(layers)}
    names = ["loss", "kernel_regularizer", "bias_regularizer"]
    if not model.optimizer.searches:  # whose tolerance is compared in float64
        names.append("optimizer")
    parts |= {name: getattr(model, name) for name in names}
    limits = np.finfo(model.dtype)
    least, most = float(limits.smallest_subnormal), float(limits.max)
    for owner, part in parts.items():
        for name, value in (part.get_params() if part else {}).items():
            if type(value) is float and value and not least <= abs(value) <= most:
                raise ValueError(
                    f"{owner}.{name.replace('__', '.')} is {value:g}, which {model.dtype} makes "
                    f"{'infinite' if abs(value) > 1 else '0'}, wanted a number that it can hold"
                )


def settings(model: Any) -> tuple[Any, ...]:
    """Return all settings that a fit reads, as one value."""
    settled = model.settled
    known = settled is not None and settled.holds(model)
    found: tuple[Any, ...] = settled.settings(model) if known else _settings(model)
    return found


def _settings(model: Any) -> tuple[Any, ...]:
    return tuple(part and part.snapshot() for part in _parts(model))


def snapshot(model: Any) -> tuple[Any, ...]:
    """Return a value that equals a later one if nothing that a fit reads has changed since."""
    return *identity(model)[1:], settings(model)


def identity(model: Any) -> tuple[Any, ...]:
    """Return what tells faster that nothing has changed: no object, and no setting of any."""
    own = model.seed, model.n_threads, model.backend
    arrays = ownership.held(model.parameters)  # which may have been put there by hand
    return revision(), *own, *map(id, [*_parts(model), *model.metrics, *arrays])


def _parts(model: Any) -> list[Any]:
    defaults = model.kernel_regularizer, model.bias_regularizer
    return [*model.layers, model.loss, model.optimizer, *defaults]


def building(layers: list[Layer]) -> list[tuple[type, dict[str, Any]]]:
    """Return of the layers what cannot change once their parameters exist."""
    return [(type(layer), layer.building()) for layer in layers]


def _check_built(model: Any, layers: list[Layer]) -> None:
    """Raise if the layers are not those that the parameters were made for."""
    now, then = building(layers), model.made_from
    advice = "make another Network for that, or reset this one, or set it back"
    if [kind for kind, _ in now] != [kind for kind, _ in then]:
        names = ", ".join(kind.__name__ for kind, _ in then)
        raise ValueError(f"layers is {layers}, but the network was built with {names}: {advice}")
    for number, layer in enumerate(layers):
        for name, value in then[number][1].items():
            if now[number][1][name] == value or _follows(layer, name):
                continue
            raise ValueError(
                f"layers[{number}].{name} is {getattr(layer, name)!r}, but the network was built "
                f"with another, and has its parameters already: {advice}"
            )


def _follows(layer: Layer, name: str) -> bool:
    """Return whether a setting is what follows from the layer's activation, so nobody chose it."""
    return name == "kernel_initializer" and getattr(layer, name) == initializers.default_for(
        layer.activation
    )


def _penalties(model: Any, layer: Layer, name: str, own: Any = None) -> tuple[Any, Any]:
    """Return penalty and constraint of a layer's parameter with this name.

    `own` are those that the layer gave it; they hold if the layer has no settings for them.
    """
    regularizer, constraint = own or (None, None)
    default = getattr(model, f"{name}_regularizer", None) if name in ("kernel", "bias") else None
    regularizer = getattr(layer, f"{name}_regularizer", regularizer) or default
    return regularizer, getattr(layer, f"{name}_constraint", constraint)


def _factor(layer: Layer, name: str, what: str, usual: float | None) -> Any:
    """Return a factor of the layer's parameter with this name: its own, or that of the layer."""
    own = getattr(layer, f"{what}_factor", usual)
    return getattr(layer, f"{name}_{what}_factor", own)


def _check_rates(model: Any) -> None:
    """Refuse factors of a learning rate that there is not."""
    if "learning_rate" in model.optimizer.settings():
        return
    for number, layer in enumerate(model.layers):
        for name, value in layer.settings().items():
            if name.endswith("learning_rate_factor") and value != 1:
                raise ValueError(
                    f"optimizer is {model.optimizer}, which takes no learning rate, got "
                    f"layers[{number}].{name} {value:g}"
                )


def _check_searched(model: Any) -> None:
    """Refuse what a line search would miss: penalties and constraints after an update, rounding."""
    if model.products != model.dtype.name:
        raise ValueError(
            f"optimizer is {model.optimizer}, whose line search wants dtype 'float32' or "
            f"'float64', got {model.policy!r}"
        )
    for number, layer in enumerate(model.layers):
        for name in ("kernel", "bias"):
            penalty, constraint = _penalties(model, layer, name)
            if penalties.acts_on_weights(penalty, constraint):
                raise ValueError(
                    f"optimizer is {model.optimizer}, which takes no constraints and only "
                    f"penalties in the gradient, got {constraint or penalty!r} for "
                    f"layers[{number}]"
                )


def _as_metrics(model: Any) -> list[metrics.Metric]:
    """Return the metrics, or raise if one cannot be computed from the model's outputs."""
    found = metrics.get_all(model.metrics, model.loss.target)
    loss, last = model.loss, model.layers[-1].activation.name
    for metric in found:
        if metric.builtin and loss.outputs > 1:
            raise ValueError(
                f"metric {metric.name!r} wants one output for each target, but loss {loss.name!r} "
                f"has {loss.outputs}: wanted a function of (y, prediction)"
            )
        if metric.name == "log_loss" and not {"softmax", "sigmoid"} & {loss.fused, last}:
            raise ValueError(
                f"metric 'log_loss' wants probabilities, but under loss {loss.name!r} the outputs "
                f"of a last layer with activation {last!r} are not probabilities"
            )
    return found
