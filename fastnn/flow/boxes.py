"""The boxes of a flow graph: layers, activations, losses and penalties."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import losses, regularizers
from fastnn.engine import team
from fastnn.engine.buffers import Buffer, InPlace
from fastnn.engine.program import Program, aligned
from fastnn.inputs import checks
from fastnn.kernels import COMPILED
from fastnn.layers import Activation, Layer, penalties
from fastnn.layers.base import Node, Parameter
from fastnn.optimizers.lbfgs import Searching
from fastnn.optimizers.updater import Updater
from fastnn.reference import TWINS
from fastnn.training import attributes
from fastnn.training.data import Data


class Box:
    """Base of boxes.

    Attributes
    ----------
    name : str
    value : array or float or None
        What the last `fprop` returned.
    """

    name = ""
    value: Any = None

    def __init__(self, dtype: Any, backend: str):
        policy = attributes.CHECKS["dtype"](dtype, "dtype")
        self._dtype, self._products = attributes.DTYPES[policy]
        self._backend = attributes.CHECKS["backend"](backend, "backend")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    def need_value(self) -> None:
        """Raise ValueError before the first `fprop`."""
        if self.value is None:
            raise ValueError(f"bprop of {self!r} wants the inputs of a value: call fprop first")

    def given(self, gradient: ArrayLike) -> np.ndarray:
        """Return the gradient in an array of outputs, checked."""
        self.need_value()
        dy = checks.as_inputs(gradient, None, self._dtype, "gradient")
        if dy.shape != self.value.shape:
            raise ValueError(
                f"gradient has shape {dy.shape}, wanted the value's {self.value.shape}"
            )
        return np.ascontiguousarray(dy, self._dtype)

    def factor(self, gradient: Any) -> float:
        """Return the gradient in a number, checked."""
        self.need_value()
        return checks.finite_float(gradient, "gradient")


class LayerBox(Box):
    """A layer with its parameters, as it computes in training.

    Parameters
    ----------
    layer : Layer
    weights : sequence of array-like, optional
        Its parameters, in the order of :meth:`fastnn.Network.get_weights`; by default its starting
        ones, by `seed`, which the first `fprop` makes.
    dtype : {"float32", "float64", "mixed_bfloat16"}
    seed, number, update : int
        What masks are drawn by: the network's seed, the layer's place in it, and how many updates
        there were.
    backend : {"numba", "numpy"}

    Raises
    ------
    ValueError, TypeError
        For what is no layer or computes only together with its loss (`HierarchicalSoftmax`), for
        arrays of wrong shapes, or settings out of range.

    Attributes
    ----------
    gradients : list of arrays
        Of the parameters, after `bprop`; 0 for what no optimizer changes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Dense
    >>> box = LayerBox(Dense(2), weights=[[[1.0, -1.0]], [0.0, 0.0]])
    >>> box.fprop([[3.0]])
    array([[ 3., -3.]])
    >>> box.bprop([[1.0, 2.0]])
    array([[-1.]])
    >>> box.gradients
    [array([[3., 6.]]), array([1., 2.])]
    """

    def __init__(
        self,
        layer: Layer,
        weights: Sequence[ArrayLike] | None = None,
        *,
        dtype: Any = "float64",
        seed: int = 0,
        number: int = 0,
        update: int = 0,
        backend: str = "numba",
    ):
        super().__init__(dtype, backend)
        if not isinstance(layer, Layer):
            raise TypeError(f"layer is {layer!r}, wanted a Layer")
        if type(layer).loss_forward is not Layer.loss_forward:
            raise ValueError(f"layer is {layer!r}, which computes with its loss, not by itself")
        self.layer, self.name = layer, repr(layer)
        self.weights = None if weights is None else [np.array(each) for each in weights]
        self.seed = attributes.CHECKS["seed"](seed, "seed")
        self.number = checks.non_negative_int(number, "number")
        self.update = checks.non_negative_int(update, "update")
        self.gradients: list[np.ndarray] = []
        self._x = np.empty((0, 0))

    @np.errstate(all="ignore")
    def fprop(self, x: ArrayLike) -> np.ndarray:
        """Return the layer's outputs for the inputs `x`, (n, n_inputs)."""
        rows = np.array(checks.as_inputs(x, None, self._dtype, "x"), self._dtype, order="C")
        if len(rows) < self.layer.least_rows:
            raise ValueError(
                f"x has {len(rows)} rows, wanted at least {self.layer.least_rows} for {self.name}"
            )
        self._check(rows.shape[1])
        self._x = rows
        self.value, _ = self._run(None)
        return self.value.copy()

    @np.errstate(all="ignore")
    def bprop(self, gradient: ArrayLike) -> np.ndarray:
        """Return the gradient in the inputs from that in the outputs; set :attr:`gradients`."""
        _, dx = self._run(self.given(gradient))
        return dx

    def _check(self, width: int) -> None:
        """Make the parameters, or check that they suit so many inputs."""
        if self.weights is None:
            built = self.layer.build(width, np.random.default_rng(self.seed), self._dtype)
            self.weights = [each.value for each in built]
        shapes = [each.value.shape for each in self._parameters(width)]
        self.weights = checks.as_weights(self.weights, shapes, self._dtype)

    def _parameters(self, width: int) -> list[Parameter]:
        """Return new parameters, without penalties, for the layer to work on."""
        built = self.layer.build(width, np.random.default_rng(0), self._dtype)
        for each in built:
            each.regularizer = each.constraint = None
            if each.trained:
                each.state = {"gradient": aligned(each.value.shape, each.value.dtype)}
        return built

    def _run(self, dy: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Run forward and, with `dy`, backward; return the outputs and the inputs' gradient."""
        parameters = self._parameters(self._x.shape[1])
        for each, value in zip(parameters, self.weights or (), strict=True):
            each.value[...] = value
        program = Program(self._dtype, len(self._x), 1, self._products)
        program.begin("forward", self.number)
        where = parameters, InPlace(self._x), self.number, self.seed
        node = Node(program, *where, training=True, plain_descent=False, fused=False)
        self.layer.forward(node)
        outputs: np.ndarray = node.y.array
        inputs = np.empty(0)
        if dy is None:
            program.add_check()
        else:
            program.begin("backward", self.number)
            inputs = self.layer.backward(node, InPlace(dy), True).array
            program.add_check()
            updater = Updater(program, Searching(), self.layer.updated(node))
            program.begin("update", self.number)
            self.layer.update(node, updater)
        program.updates = self.update
        team.run(program, n_rows=len(self._x), backend=self._backend)
        if dy is not None:
            self.gradients = [
                each.state["gradient"] if each.trained else np.zeros_like(each.value)
                for each in parameters
            ]
        return outputs.copy(), inputs.copy()


class ActivationBox(LayerBox):
    """An activation: `fprop` returns ``f(x)``, and `bprop` its derivative times the gradient.

    Parameters
    ----------
    activation : str or fastnn.activations.Activation
    dtype, backend
        As in :class:`LayerBox`.

    Examples
    --------
    >>> box = ActivationBox("relu")
    >>> box.fprop([[-1.0, 2.0]]), box.bprop([[5.0, 5.0]])
    (array([[0., 2.]]), array([[0., 5.]]))
    """

    def __init__(self, activation: Any, *, dtype: Any = "float64", backend: str = "numba"):
        super().__init__(Activation(activation), dtype=dtype, backend=backend)
        self.name = self.layer.activation.name


class LossBox(Box):
    """A loss of all rows.

    Parameters
    ----------
    loss : str or Loss
    dtype, backend
        As in :class:`LayerBox`.

    Attributes
    ----------
    row_losses : array, (n,)
        After `fprop`: the loss of every row.

    Examples
    --------
    >>> box = LossBox("probability_cross_entropy")
    >>> box.fprop([[0.25, 0.75]], [0])
    1.3862943611198906
    >>> box.bprop()
    array([[-4.,  0.]])
    """

    def __init__(self, loss: Any, *, dtype: Any = "float64", backend: str = "numba"):
        super().__init__(dtype, backend)
        self.loss = losses.get(loss)
        self.name = self.loss.name
        self.row_losses = np.empty(0)
        self._data = Data(np.empty((0, 0)), np.empty(0))

    @np.errstate(all="ignore")
    def fprop(
        self, prediction: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the loss: the weighted mean of the rows' losses, or their sum.

        Predictions are the last layer's outputs, before an activation that the loss contains.
        """
        rows = checks.as_inputs(prediction, None, self._dtype, "prediction")
        given = len(rows), rows.shape[1], self._dtype
        y = self.loss.as_targets(target, *given, "target")
        weight = None
        if sample_weight is not None:
            weight = checks.as_sample_weight(sample_weight, len(rows))
        rows = np.array(rows, self._dtype, order="C")
        data = self._data = Data(rows, np.array(y), weight).weighted(self.loss)
        self.row_losses = self._run(None)
        total = np.ones(len(rows)) if data.weight is None else data.weight
        sums = float((total * self.row_losses).sum(dtype=np.float64)), float(total.sum())
        self.value = float(self.loss.reduced(*sums))
        return self.value

    @np.errstate(all="ignore")
    def bprop(self, gradient: float = 1.0) -> np.ndarray:
        """Return the gradient in the predictions from that in the loss, a number."""
        return self._run(self.factor(gradient))

    def _run(self, factor: float | None) -> np.ndarray:
        """Return the rows' losses or, with a factor, the gradient times it."""
        data, n = self._data, len(self._data)
        program = Program(self._dtype, n, 1, self._products)
        program.begin("loss")
        kind = np.int64 if self.loss.target == "class" else self._dtype
        prediction, target = InPlace(data.x), InPlace(np.ascontiguousarray(data.y, kind))
        node = Node(program, [], prediction, 0, 0, True, False, fused=False)
        node.y = prediction
        out: Buffer
        if factor is None:
            out = program.buffer()
            Layer().loss_forward(node, self.loss, target, out)
        else:
            weight = np.ones(n) if data.weight is None else data.weight
            scale = factor * weight / (1 if self.loss.sums else n)
            out = Layer().loss_backward(node, self.loss, target, InPlace(scale.astype(self._dtype)))
        program.add_check()
        team.run(program, n_rows=n, backend=self._backend)
        return out.array.copy()


class PenaltyBox(Box):
    """A penalty on one array of weights.

    Parameters
    ----------
    regularizer : str or Regularizer
        One whose penalties act through the gradient.
    dtype, backend
        As in :class:`LayerBox`.

    Raises
    ------
    ValueError, TypeError
        For a penalty that changes the weights by itself (proximal, shrink) and has no gradient.

    Examples
    --------
    >>> from fastnn import L2
    >>> box = PenaltyBox(L2(0.5))
    >>> box.fprop([[2.0, -4.0]]), box.bprop()
    (5.0, array([[ 1., -2.]]))
    """

    def __init__(self, regularizer: Any, *, dtype: Any = "float64", backend: str = "numba"):
        super().__init__(dtype, backend)
        found = regularizers.get(regularizer, "regularizer")
        if found is None or penalties.acts_on_weights(found, None):
            raise ValueError(f"regularizer is {found!r}, wanted one that has a gradient")
        self.regularizer, self.name = found, found.name
        self._kernels = COMPILED if self._backend == "numba" else TWINS
        self._w = np.empty(0)

    @np.errstate(all="ignore")
    def fprop(self, w: ArrayLike) -> float:
        """Return the penalty on `w`, an array of any shape."""
        self._w = np.array(checks.as_weights([w], [np.shape(w)], self._dtype, "w")[0])
        self.value = penalties.value(self.regularizer, self._w, self._kernels)
        return self.value

    @np.errstate(all="ignore")
    def bprop(self, gradient: float = 1.0) -> np.ndarray:
        """Return the gradient in `w` from that in the penalty, a number."""
        factor = self.factor(gradient)
        dw = np.zeros(self._w.size, self._dtype)
        for term in self.regularizer.terms():
            self._kernels[f"{term.name}_gradient"](*term.settings, self._w.reshape(-1), dw)
        dw *= self._dtype.type(factor)
        return dw.reshape(self._w.shape)
