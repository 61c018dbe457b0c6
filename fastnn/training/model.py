"""The model: the one owner of a network's settings, parameters, optimizer state and counters."""

import copy
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import losses, metrics, optimizers, regularizers
from fastnn.engine import cores
from fastnn.inputs import checks
from fastnn.inputs.columns import Names
from fastnn.kernels import COMPILED
from fastnn.kernels.interrupts import uninterrupted
from fastnn.layers import Dense, Dropout, HierarchicalSoftmax, Layer, penalties
from fastnn.layers.base import Parameter
from fastnn.preprocessing.chain import Chain, as_chain
from fastnn.reference import TWINS


@dataclass
class Data:
    """Rows that :mod:`fastnn.inputs.checks` has checked."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    names: Names = field(default_factory=Names)
    """What the columns are called, here and where the model trained before."""

    def part(self, rows: slice) -> "Data":
        """Return some of the rows, as views."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, x=self.x[rows], y=self.y[rows], weight=weight)

    @np.errstate(all="ignore")
    def weighted(self, factor: np.ndarray | None = None) -> "Data":
        """Return the rows with weights of mean 1, after multiplying them by `factor` if given.

        A common factor of all weights cancels here, in float64: neither very small nor very large
        weights reach the network's dtype.
        """
        # Powers of two are exact, so a product does not depend on how it is divided into factors.
        factors = [
            np.ldexp(each, -np.frexp(each.max())[1])
            for each in (self.weight, factor)
            if each is not None
        ]
        if not factors:
            return self
        weight = np.prod(factors, axis=0)
        if not weight.any():
            raise ValueError(
                "sample_weight (times class_weight) is 0 for all rows to train on or to validate on"
            )
        return replace(self, weight=weight / weight.mean())


@dataclass
class Selection:
    """The columns of the data that a compacted network reads."""

    width: int
    """How many columns the data has."""
    index: np.ndarray
    """The columns in use; all below `width`, because compiled code reads there unchecked."""

    def __post_init__(self) -> None:
        self.index = np.asarray(self.index, np.int64)
        if not ((self.index >= 0) & (self.index < self.width)).all():
            raise ValueError(f"inputs are not all columns of {self.width}")


class Model:
    """A network's settings and everything that training changes.

    :class:`fastnn.Network` is the public face and documents the settings.  Lowering, fitting,
    evaluation, prediction, compaction and files are functions that work on a model.

    Attributes
    ----------
    parameters : list of list of Parameter
        By layer, each with its optimizer state; empty before :meth:`build`.
    columns : int
        How many columns the first layer reads; 0 while unknown.
    selection : Selection or None
        Which columns of the data those are; None means all.
    names : Names
        What the columns of the data are called, if a frame has said so.
    epochs, updates : int
        Whole epochs and updates done, from which the order of rows and the optimizer count on.
    stop_training : bool
    extra : dict
    predictor : object or None
        What :mod:`fastnn.training.prediction` keeps between calls.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        loss: Any,
        optimizer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        seed: int,
        dtype: Any,
        n_threads: int | None,
        backend: str,
        metrics: Iterable[Any] | None,
        preprocessing: Any,
    ):
        self.layers = _as_layers(layers)
        self.loss = losses.get(loss)
        self.optimizer = optimizers.get(optimizer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get_for_bias(bias_regularizer, "bias_regularizer")
        self.seed = _as_seed(seed)
        self.dtype = _as_dtype(dtype)
        if n_threads is not None:
            n_threads = checks.positive_int(n_threads, "n_threads")
        self.n_threads = n_threads
        self.backend = checks.one_of(backend, "backend", ("numba", "numpy"))
        self.preprocessing = as_chain(preprocessing)
        self.parameters: list[list[Parameter]] = []
        self.columns = 0
        self.selection: Selection | None = None
        self.names = Names()
        self.epochs = 0
        self.updates = 0
        self.stop_training = False
        self.extra: dict[str, Any] = {}
        self.predictor: Any = None
        self._check_fit_together()
        self.metrics = _as_metrics(metrics, self)

    def _check_fit_together(self) -> None:
        last = self.layers[-1].activation.name
        wanted = self.loss.fused
        if wanted is not None and last not in (wanted, "linear"):
            raise ValueError(
                f"loss {self.loss.name!r} wants a last layer with activation {wanted!r} or "
                f"'linear' (then predict gives what {wanted} would be applied to), got {last!r}"
            )
        self.loss.n_targets(self.n_outputs)
        for layer in self.layers:
            layer.check(layer is self.layers[-1], self.loss, self.kernel_regularizer)

    def __getstate__(self) -> dict[str, Any]:
        # The predictor holds addresses, which a copy must not share.
        return self.__dict__ | {"predictor": None}

    def __copy__(self) -> "Model":
        """Return a model with the same settings and its own copies of the parameters."""
        twin = self.head(len(self.layers))
        twin.parameters = [[each.copy() for each in layer] for layer in self.parameters]
        twin.extra = dict(self.extra)
        return twin

    def head(self, count: int) -> "Model":
        """Return the first `count` layers as a model that shares their parameters."""
        part = object.__new__(Model)
        part.__dict__.update(self.__getstate__())
        part.layers, part.parameters = self.layers[:count], self.parameters[:count]
        return part

    # Shapes

    @property
    def built(self) -> bool:
        """Whether the parameters exist, which takes the number of inputs."""
        return bool(self.parameters)

    def need_built(self, what: str) -> None:
        """Raise ValueError if there are no parameters yet, which `what` needs."""
        if not self.built:
            raise ValueError(f"{what} wants a network with parameters: call fit or build first")

    @property
    def n_inputs(self) -> int:
        """The number of columns of the data."""
        return self.columns if self.selection is None else self.selection.width

    @property
    def inputs(self) -> np.ndarray:
        """The columns of the data that the first layer reads."""
        return np.arange(self.columns) if self.selection is None else self.selection.index

    @property
    def n_outputs(self) -> int:
        """The number of outputs; 0 if it equals the number of inputs and that is unknown."""
        return functools.reduce(lambda width, layer: layer.width(width), self.layers, self.columns)

    @property
    def n_features(self) -> int | None:
        """How many columns X must have before preprocessing; None while any number will do."""
        if self.preprocessing is not None:
            return self.preprocessing.n_features_in_ if self.preprocessing.fitted else None
        return self.n_inputs if self.built else None

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of the columns of X; AttributeError if no frame has given any."""
        return self.names.feature_names()

    @property
    def fuses(self) -> bool:
        """Whether the loss contains the last layer's activation."""
        return self.layers[-1].activation.name == self.loss.fused

    def flops(self) -> int:
        """Return the floating-point operations of one row's forward pass."""
        return sum(2 * each.value.size for each in self.all_parameters() if each.value.ndim == 2)

    def trains_before(self, number: int) -> bool:
        """Return whether any layer before this one has parameters to train."""
        return any(each.trained for layer in self.parameters[:number] for each in layer)

    # Parameters

    def build(self, n_inputs: int) -> None:
        """Make the parameters; see :meth:`fastnn.Network.build`."""
        n_inputs = checks.positive_int(n_inputs, "n_inputs")
        if self.built:
            if n_inputs != self.n_inputs:
                raise ValueError(
                    f"n_inputs is {n_inputs}, but the network is built for {self.n_inputs} inputs"
                )
            return
        width, rng, parameters = n_inputs, np.random.default_rng(self.seed), []
        for layer in self.layers:
            parameters.append(layer.build(width, rng, self.dtype))
            width = layer.width(width)
        default = {"kernel": self.kernel_regularizer, "bias": self.bias_regularizer}
        for parameter in (each for layer in parameters for each in layer):
            parameter.regularizer = parameter.regularizer or default.get(parameter.name)
        self.parameters, self.columns = parameters, n_inputs

    def all_parameters(self) -> list[Parameter]:
        """Return the parameters of all layers, in order."""
        return [parameter for layer in self.parameters for parameter in layer]

    def weights(self) -> list[np.ndarray]:
        """Return copies of the parameters' values."""
        return [parameter.value.copy() for parameter in self.all_parameters()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the parameters' values, or nothing; see :meth:`fastnn.Network.set_weights`."""
        parameters = self.all_parameters()
        shapes = [parameter.value.shape for parameter in parameters]
        given = checks.as_weights(weights, shapes, self.dtype)
        for number, (parameter, new) in enumerate(zip(parameters, given, strict=True)):
            if new.min() < parameter.least:
                raise ValueError(
                    f"weights[{number}] ({parameter.name}) has {new.min()}, wanted at least "
                    f"{parameter.least:g}"
                )
        given = [np.array(new) for new in given]  # they may be views of the parameters themselves
        with uninterrupted():
            for parameter, new in zip(parameters, given, strict=True):
                parameter.value[...] = new

    def adopt_optimizer(self) -> None:
        """Copy the optimizer, and make its state for parameters that have none."""
        self.optimizer = copy.copy(self.optimizer)
        kept = [parameter.keep_state(self.optimizer) for parameter in self.all_parameters()]
        if not all(kept):
            self.updates = 0  # Adam corrects its moments by their number of updates

    def penalty(self) -> float:
        """Return the sum of the penalties on the current weights."""
        kernels = COMPILED if self.backend == "numba" else TWINS
        values = (penalties.value(p.regularizer, p.value, kernels) for p in self.all_parameters())
        return sum(values, 0.0)

    # Data

    @property
    def input_dtype(self) -> np.dtype:
        """What X is cast to first: preprocessing computes in float64."""
        return self.dtype if self.preprocessing is None else np.dtype(np.float64)

    def check_inputs(
        self, X: ArrayLike, name: str = "X", n_features: int | None = None
    ) -> np.ndarray:
        """Check rows from a caller, not preprocessed yet."""
        return checks.as_inputs(X, n_features or self.n_features, self.input_dtype, name)

    def check_data(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        prefix: str = "",
        like: Data | None = None,
    ) -> Data:
        """Check data from a caller; messages put `prefix` before the arguments' names.

        The columns must be those of `like`, if given, or those that the model knows.
        """
        n_features, names = self.n_features, self.names
        if like is not None:
            n_features, names = like.x.shape[1], like.names
        names = names.agreed(X, y, prefix)
        x = self.check_inputs(X, f"{prefix}X", n_features)
        y = self.loss.as_targets(y, len(x), self.n_outputs, self.dtype, f"{prefix}y")
        weight = None
        if sample_weight is not None:
            weight = checks.as_sample_weight(sample_weight, len(x), f"{prefix}sample_weight")
        return Data(x, y, weight, names)

    def prepared(self, data: Data, chain: Chain | None) -> Data:
        """Return checked rows as the first layer sees them, after preprocessing."""
        return data if chain is None else replace(data, x=chain.transform(data.x, self.dtype))

    def threads(self, rows: int, flops: int, worth: float | None = None) -> int:
        """Return the number of threads for batches of `rows` rows with `flops` operations each."""
        if self.backend == "numpy":
            return 1
        return cores.threads_for(flops * rows, rows, self.n_threads, worth)


def _as_layers(layers: Any) -> list[Layer]:
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


def _as_seed(seed: Any) -> int:
    seed = checks.non_negative_int(seed, "seed")
    if seed >= 2**63:
        raise ValueError(f"seed must be below 2**63, got {seed}")
    return seed


def _as_dtype(dtype: Any) -> np.dtype:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    return np.dtype(checks.one_of(name, "dtype", ("float32", "float64")))


def _as_metrics(given: Iterable[Any] | None, model: Model) -> list[metrics.Metric]:
    """Return the metrics, or raise if one cannot be computed from the model's outputs."""
    found = metrics.get_all(given, model.loss.target)
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
