"""The model: the one owner of a network's settings, parameters, optimizer state and counters."""

import copy
import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.engine import cores
from fastnn.engine.access import Access
from fastnn.engine.program import aligned_copy
from fastnn.inputs import checks
from fastnn.inputs.columns import Names
from fastnn.inputs.settings import copied
from fastnn.kernels import COMPILED
from fastnn.kernels.interrupts import interruptible, uninterrupted
from fastnn.layers import Layer, penalties
from fastnn.layers.base import Parameter
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.optimizers import Optimizer
from fastnn.preprocessing.chain import Chain, as_chain
from fastnn.reference import TWINS
from fastnn.regularizers import Regularizer
from fastnn.training import attributes, ownership
from fastnn.training.data import Data, Selection
from fastnn.training.ownership import Own

_MOST_COLUMNS = 2**31 - 1
"""Inputs or units of a layer; their weights fit into no memory long before."""
ROW_FLOPS = 1000
"""Operations that take as long as a row does outside products, as a network may have none."""


class Model:
    """A network's settings and everything that training changes.

    :class:`fastnn.Network` is the public face and documents the settings.  Lowering, fitting,
    evaluation, prediction, compaction and files are functions that work on a model.

    Attributes
    ----------
    access : Access
        Which threads may use the parameters.
    parameters : list of list of Parameter
        By layer, each with its optimizer state; empty before :meth:`build`.
    own : Own
        The parameters and their arrays that are this model's alone; see :meth:`writing`.
    made_from : list
        What of the layers the parameters were made from.
    columns : int
        How many columns the first layer reads; 0 while unknown.
    selection : Selection or None
        Which columns of the data those are; None means all.
    names : Names
        What the columns of the data are called, if a frame has said so.
    epochs, updates : int
        Whole epochs and updates done, from which the order of rows and the optimizer count on.
    reduced : (Optimizer, int) or None
        A changed copy of the caller's optimizer, and the number of that one's changes.
    predictor : object or None
        What :mod:`fastnn.training.prediction` keeps between calls.
    stepper, settled : object or None
        The same of :mod:`fastnn.training.stepping` and :mod:`fastnn.training.attributes`.
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
        metrics: Any,
        preprocessing: Any,
    ):
        self.access = Access()
        self.forget()
        given = {
            "layers": layers,
            "loss": loss,
            "optimizer": optimizer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "seed": seed,
            "dtype": dtype,
            "n_threads": n_threads,
            "backend": backend,
            "metrics": metrics,
            "preprocessing": as_chain(preprocessing),
            "extra": {},
        }
        for name, value in given.items():
            vars(self)[name] = attributes.CHECKS[name](value, name)
        attributes.settle(self)

    def forget(self) -> None:
        """Start with nothing that training has made."""
        self.parameters: list[list[Parameter]] = []
        self.own = Own([])
        self.made_from: list[Any] = []
        self.columns = 0
        self.selection: Selection | None = None
        self.names = Names()
        self.epochs = 0
        self.updates = 0
        self.reduced: tuple[Optimizer, int] | None = None
        self.predictor: Any = None
        self.stepper: Any = None
        self.settled: attributes.Settled | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in attributes.CHECKS and not hasattr(Model, name):
            attributes.assign(self, name, value)
        else:
            object.__setattr__(self, name, value)

    layers: list[Layer]
    loss: Loss
    kernel_regularizer: Regularizer | None
    bias_regularizer: Regularizer | None
    seed: int
    n_threads: int | None
    backend: str
    metrics: list[Metric]
    preprocessing: Chain | None
    extra: dict[str, Any]

    @property
    def policy(self) -> str:
        """The caller's `dtype`, a name."""
        name: str = vars(self)["dtype"]
        return name

    @property
    def dtype(self) -> np.dtype:
        """The dtype of parameters, their state, activations and losses."""
        return attributes.DTYPES[self.policy][0]

    @dtype.setter
    def dtype(self, given: Any) -> None:
        attributes.assign(self, "dtype", given)

    @property
    def products(self) -> str:
        """The numbers that the matrix products of dense layers multiply."""
        return attributes.DTYPES[self.policy][1]

    @property
    def optimizer(self) -> Optimizer:
        """The caller's own object, or what :meth:`change_optimizer` made of it since it changed."""
        if self.reduced is not None:
            changed, number = self.reduced
            if self.given_optimizer.changes_ == number:
                return changed
        return self.given_optimizer

    @optimizer.setter
    def optimizer(self, given: Any) -> None:
        attributes.assign(self, "optimizer", given)

    def change_optimizer(self, **settings: Any) -> None:
        """Give the model a copy of its optimizer with other settings.

        The caller's own, which other networks may have, stays as it is.  It takes over again when
        the caller changes it.
        """
        changed = copy.copy(self.optimizer).set_params(**settings)
        self.reduced = changed, self.given_optimizer.changes_

    @property
    def given_optimizer(self) -> Optimizer:
        """The caller's own object."""
        given: Optimizer = vars(self)["optimizer"]
        return given

    @property
    def stop_training(self) -> bool:
        """Whether a fit is to end after the current epoch."""
        return self.access.ending

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        self.access.ending = checks.boolean(stop, "stop_training")
        if self.access.ending:
            self.access.end()

    def __getstate__(self) -> dict[str, Any]:
        return vars(copy.copy(self)) | {"access": None, "own": Own([]), "settled": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, access=Access(), own=Own([]))
        for each in self.all_parameters():
            vars(each)["value"] = ownership.readable(each.value, self.dtype)

    def __copy__(self) -> "Model":
        """Return an equal model that shares nothing that can change."""
        with uninterrupted(), self.access.reading():
            twin = self.frozen()
            for new, old in zip(twin.all_parameters(), self.all_parameters(), strict=True):
                new.state = {name: aligned_copy(array) for name, array in old.state.items()}
        for name in ("loss", "optimizer", "kernel_regularizer", "bias_regularizer"):
            vars(twin)[name] = copied(getattr(self, name))
        vars(twin)["layers"] = [copied(layer) for layer in self.layers]
        vars(twin)["metrics"] = list(self.metrics)
        vars(twin)["preprocessing"] = copy.deepcopy(self.preprocessing)
        vars(twin)["extra"] = copy.deepcopy(self.extra)
        twin.reduced = None
        twin.own = Own(twin.parameters)
        attributes.settle(twin)
        return twin

    def frozen(self) -> "Model":
        """Return a model with the same settings and the current weights, without optimizer state.

        Whoever calls this is reading.
        """
        twin = self.head(len(self.layers))
        twin.parameters = [[each.frozen() for each in layer] for layer in self.parameters]
        twin.own = Own(twin.parameters)
        twin.access = Access()
        return twin

    def head(self, count: int) -> "Model":
        """Return the first `count` layers as a model that shares their parameters."""
        part = object.__new__(Model)
        vars(part).update(vars(self), predictor=None, stepper=None, settled=None)
        vars(part)["layers"], vars(part)["parameters"] = (
            self.layers[:count],
            self.parameters[:count],
        )
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
        found = (each for each in self.all_parameters() if not each.sparse)
        return sum(2 * each.value.size for each in found if each.value.ndim == 2)

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
        attributes.settle(self)
        with self.writing("build"):
            self._build(n_inputs)

    def _build(self, n_inputs: int) -> None:
        width, rng, parameters = n_inputs, np.random.default_rng(self.seed), []
        for number, layer in enumerate(self.layers):
            where = f"layers[{number}], {type(layer).__name__}, with {width} inputs"
            if max(width, layer.width(width)) > _MOST_COLUMNS:
                raise ValueError(
                    f"{where} and {layer.width(width)} outputs is too large: "
                    f"wanted at most {_MOST_COLUMNS} of each"
                )
            try:
                with interruptible():  # large weights take seconds
                    parameters.append(layer.build(width, rng, self.dtype))
            except MemoryError as error:
                raise MemoryError(f"{where} does not fit into memory: {error}") from None
            width = layer.width(width)
        for each in (each for layer in parameters for each in layer):
            each.own = each.regularizer, each.constraint
        self.columns, self.made_from = n_inputs, attributes.building(self.layers)
        self.parameters = parameters
        attributes.settle(self)

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Change parameters, none of which anybody else has; those made meanwhile are ours too."""
        with uninterrupted(), self.access.writing(what):
            self.parameters = ownership.owned(self.parameters, self.own, self.dtype)
            try:
                yield
            finally:
                if not self.own.holds(self.parameters):
                    self.own = Own(self.parameters)

    def all_parameters(self) -> list[Parameter]:
        """Return the parameters of all layers, in order."""
        return [parameter for layer in self.parameters for parameter in layer]

    def weights(self) -> list[np.ndarray]:
        """Return copies of the parameters' values."""
        with uninterrupted(), self.access.reading():
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
        with self.writing("set_weights"):
            for parameter, new in zip(self.all_parameters(), given, strict=True):
                parameter.value[...] = new

    def keep_state(self) -> None:
        """Make the optimizer's state for parameters that have none."""
        wanted = {*self.optimizer.state, *self.optimizer.memory}
        complete = all(
            wanted == each.state.keys() for each in self.all_parameters() if each.trained
        )
        if complete and self.own.holds(self.parameters):
            return
        with self.writing("fit"):
            kept = [each.keep_state(self.optimizer) for each in self.all_parameters()]
        if not all(kept):
            self.updates = 0  # Adam corrects its moments by their number of updates

    def penalty(self) -> float:
        """Return the sum of the penalties on the current weights."""
        kernels = COMPILED if self.backend == "numba" else TWINS
        found = [each for each in self.all_parameters() if each.regularizer]
        return sum((penalties.value(p.regularizer, p.value, kernels) for p in found), 0.0)

    # Data

    @property
    def input_dtype(self) -> np.dtype:
        """What X is cast to first: preprocessing computes in float64."""
        return self.dtype if self.preprocessing is None else np.dtype(np.float64)

    def check_inputs(
        self, X: ArrayLike, name: str = "X", n_features: int | None = None, *, empty: bool = False
    ) -> np.ndarray:
        """Check rows from a caller, not preprocessed yet."""
        n_features = n_features or self.n_features
        if self.preprocessing is not None:
            return self.preprocessing.rows(X, n_features, name, empty=empty)
        return checks.as_inputs(X, n_features, self.dtype, name, empty=empty)

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
        attributes.settle(self)
        n_features, names = self.n_features, self.names
        if like is not None:
            n_features, names = like.x.shape[1], like.names
        names = names.agreed(X, y, prefix)
        x = self.check_inputs(X, f"{prefix}X", n_features)
        y = self.loss.as_targets(y, len(x), self.n_outputs, self.dtype, f"{prefix}y")
        weight = None
        if sample_weight is not None:
            weight = checks.as_sample_weight(sample_weight, len(x), f"{prefix}sample_weight")
        return Data(x.view(), y.view(), weight, names)  # their shapes stay, whatever X's become

    def arrays_of(self, data: Data) -> list[np.ndarray]:
        """Return the arrays that a program reads beside the parameters."""
        columns = None if self.selection is None else self.selection.index
        given = data.x, data.y, data.weight, data.rows, columns
        return [each for each in given if each is not None]

    def held(self) -> Own:
        """Return the parameters with their arrays, as they are now."""
        return self.own if self.own.holds(self.parameters) else Own(self.parameters)

    def prepared(self, data: Data, chain: Chain | None) -> Data:
        """Return checked rows as the first layer sees them, after preprocessing."""
        if chain is None:
            return data
        return replace(data, x=chain.transform(data.inputs(), self.dtype), rows=None)

    def threads(self, rows: int, flops: int, worth: float | None = None) -> int:
        """Return the number of threads for batches of `rows` rows with `flops` operations each."""
        if self.backend == "numpy":
            return 1
        return cores.threads_for(flops * rows, rows, self.n_threads, worth)
