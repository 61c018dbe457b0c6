"""ONNX's operators as layers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import activations
from fastnn.importing.chain import Chain, refuse
from fastnn.importing.expressions import Algebra, Sum
from fastnn.importing.onnx_expressions import expression, told
from fastnn.importing.onnx_graph import Step, defaults
from fastnn.layers import (
    BatchNormalization,
    Dense,
    Dropout,
    LayerNormalization,
    ParametricActivation,
)

_FOLDING = BatchNormalization, LayerNormalization
_MOST_SEGMENTS = 8
"""Which one layer is made of at most: layer normalization takes six."""
_NO_LAYER = "fastnn has no layer that computes this"
_SELU = {"alpha": 1.6732632, "gamma": 1.0507009}


class Reader:
    """Adds a file's nodes to a chain.

    Sums and products with constants are kept until the layer is known whose weights they go into:
    that before them, or else the dense layer after them.  In front of all, they become
    preprocessing.
    """

    def __init__(self, chain: Chain, opset: int):
        self.chain, self.opset = chain, opset
        self._shift, self._divisor = np.zeros(1), np.ones(1)
        self._waits: str | None = None

    def add(self, segments: list[tuple[str, list[Step]]]) -> int:
        """Add the nodes of the first segments that are a layer; return how many they are.

        A segment is the nodes between two values that everything goes through.
        """
        begin, (step, *others) = segments[0]
        if not others and step.data == [begin]:
            convert = _TABLE.get(step.kind)
            if convert is not None:
                convert(self, step)
                return 1
        steps: list[Step] = []
        for count, (_, segment) in enumerate(segments[:_MOST_SEGMENTS], 1):
            steps += segment
            algebra = Algebra()
            found = expression(algebra, begin, steps)
            if isinstance(found, str):  # no longer segment will do
                first = told(segments[0][1])
                refuse(first, found if count == 1 else _NO_LAYER)
            if self._add_expression(algebra, found, steps):
                return count
        refuse(told(segments[0][1]), _NO_LAYER)

    def finish(self) -> None:
        """Note that no layer follows."""
        if self._waits is not None:
            refuse(self._waits, "no layer is before or after it whose weights could hold it")

    def layer(self, step: Step, kind: Any, settings: Any, weights: list[np.ndarray]) -> None:
        """Add a layer that is not dense."""
        self._in_front()
        self.finish()
        if weights:
            self.chain.need_width(step.where, len(weights[0]))
        self.chain.add(step.where, kind, settings, weights)

    def activation(self, where: str, function: activations.Activation) -> None:
        self._in_front()
        self.finish()
        self.chain.activation(where, function)

    def dense(self, step: Step, w: np.ndarray, b: np.ndarray | None) -> None:
        """Add a dense layer, with what waits for it in its weights."""
        self._in_front()
        if self._waits is not None:
            exact = w.astype(np.float64) / np.broadcast_to(self._divisor, len(w))[:, None]
            shift = -np.broadcast_to(self._shift, len(w)) @ exact
            b = (shift if b is None else b + shift).astype(w.dtype)
            w, self._waits = exact.astype(w.dtype), None
            self._shift, self._divisor = np.zeros(1), np.ones(1)
        self.chain.dense(step.where, w, b)

    def affine(self, step: Step, shift: np.ndarray, divisor: np.ndarray) -> None:
        """Add ``(x - shift) / divisor``."""
        if not (np.isfinite(shift).all() and np.isfinite(divisor).all() and divisor.all()):
            refuse(step.where, "it multiplies or divides by 0, or has numbers that are not finite")
        last = self.chain.pieces[-1] if self.chain.pieces else None
        folds = last is not None and (
            last.kind in _FOLDING or (last.kind is Dense and "activation" not in last.settings)
        )
        if not folds or last is None or self._waits is not None:
            self._shift = self._shift + shift * self._divisor
            self._divisor = self._divisor * divisor
            self._waits = self._waits or step.where
            return
        dtype = last.weights[0].dtype
        first, *others = (each.astype(np.float64) for each in last.weights)
        b = others[0] if others else np.zeros(first.shape[-1])
        if max(len(shift), len(divisor)) not in (1, len(b)):
            refuse(step.where, f"its constants do not fit {len(b)} columns")
        new = first / divisor, np.broadcast_to((b - shift) / divisor, b.shape)
        last.weights[:2] = [each.astype(dtype) for each in new]
        last.settings["use_bias" if last.kind is Dense else "center"] = True

    def _in_front(self) -> None:
        """Let what waits in front of all layers become preprocessing, if it can."""
        if self._waits is not None and not self.chain.pieces and (self._divisor > 0).all():
            self.chain.standardize(self._waits, self._shift, self._divisor)
            self._shift, self._divisor, self._waits = np.zeros(1), np.ones(1), None

    def _add_expression(self, algebra: Algebra, found: Sum, steps: list[Step]) -> bool:
        """Add the layer that computes an expression; return whether there is one."""
        last = steps[-1]
        function = algebra.activation(found)
        if function is not None:
            self.activation(told(steps), function)
            return True
        blend, epsilon = algebra.parametric(found), algebra.layer_norm(found)
        if blend is not None:
            function, share = blend
            self.layer(last, ParametricActivation, {"function": function}, [share])
            return True
        if epsilon is not None and self.chain.width is not None and self.chain.dtype is not None:
            start = [np.full(self.chain.width, number, self.chain.dtype) for number in (1, 0)]
            if self.chain.dtype == np.float32:
                epsilon = _short(epsilon)
            self.layer(last, LayerNormalization, {"epsilon": epsilon}, start)
            return True
        return False


def _gemm(reader: Reader, step: Step) -> None:
    how = defaults(step, alpha=1.0, beta=1.0, transA=0, transB=0)
    w = _constant(step, 1, 2)
    if 0 in step.constants or how["transA"]:
        refuse(step.where, "its first factor is not the rows")
    w = (w.T if how["transB"] else w) * w.dtype.type(how["alpha"])
    b = None
    if len(step.inputs) > 2 and step.inputs[2]:
        b = _row(step, 2, w.shape[1]) * w.dtype.type(how["beta"])
    reader.dense(step, w, b)


def _matmul(reader: Reader, step: Step) -> None:
    if 1 not in step.constants:
        refuse(step.where, "its first factor is not the rows")
    reader.dense(step, _constant(step, 1, 2), None)


def _constant(step: Step, place: int, rank: int) -> np.ndarray:
    found = step.constants.get(place)
    if found is None or found.ndim != rank:
        shape = "computed" if found is None else f"of shape {found.shape}"
        refuse(step.where, f"its input {place} is {shape}, wanted a constant of rank {rank}")
    return found


def _row(step: Step, place: int, width: int) -> np.ndarray:
    """Return a constant as a number for each column."""
    found = step.constants.get(place)
    if found is None or (found.size != 1 and not found.size == found.shape[-1] == width):
        refuse(step.where, f"its input {place} is no constant for {width} columns")
    return np.array(np.broadcast_to(found.reshape(-1), width))


def _affine(reader: Reader, step: Step) -> None:
    """Add a sum, difference, product or quotient of the rows and constants."""
    (place,) = step.constants
    array = step.constants[place]
    if array.dtype.kind != "f" or (array.size > 1 and array.size != array.shape[-1]):
        refuse(step.where, f"its constant is {array.dtype} {array.shape}, wanted one row")
    c = array.reshape(-1).astype(np.float64)
    none, one = np.zeros(1), np.ones(1)
    if step.kind == "Add":
        reader.affine(step, -c, one)
    elif step.kind == "Sub":
        reader.affine(step, c, one if place else -one)
    elif step.kind == "Mul" and c.all():
        reader.affine(step, none, 1 / c)
    elif step.kind == "Div" and place:
        reader.affine(step, none, c)
    else:
        refuse(step.where, "it multiplies by 0, or divides by the rows")


def _scaler(reader: Reader, step: Step) -> None:
    offset, scale = (np.array(step.attributes[name], float) for name in ("offset", "scale"))
    if not scale.all():
        refuse(step.where, "it multiplies by 0")
    reader.affine(step, offset, 1 / scale)


def _linear_regressor(reader: Reader, step: Step) -> None:
    how = defaults(step, targets=1, intercepts=None, post_transform="NONE")
    if how["post_transform"] != "NONE":
        refuse(step.where, f"its post_transform is {how['post_transform']!r}")
    w = np.array(how["coefficients"], np.float32).reshape(how["targets"], -1).T
    b = None if how["intercepts"] is None else np.array(how["intercepts"], np.float32)
    reader.dense(step, w, b)


def _cast(reader: Reader, step: Step) -> None:
    if step.attributes["to"] not in (1, 11):
        refuse(step.where, "wanted float32 or float64")


def _batch_norm(reader: Reader, step: Step) -> None:
    how = defaults(step, epsilon=1e-5, momentum=0.9, training_mode=0)
    if how["training_mode"]:
        refuse(step.where, "it is in training mode")
    weights = [_constant(step, place, 1) for place in (1, 2, 3, 4)]
    settings = {name: _short(how[name]) for name in ("momentum", "epsilon")}
    reader.layer(step, BatchNormalization, settings, weights)


def _layer_norm(reader: Reader, step: Step) -> None:
    how = defaults(step, epsilon=1e-5, axis=-1)
    if how["axis"] not in (-1, 1):
        refuse(step.where, f"it normalizes axis {how['axis']}, wanted -1")
    gamma = _constant(step, 1, 1)
    center = len(step.inputs) > 2 and bool(step.inputs[2])
    weights = [gamma, _constant(step, 2, 1)] if center else [gamma]
    settings = {"epsilon": _short(how["epsilon"]), "center": center}
    reader.layer(step, LayerNormalization, settings, weights)


def _short(value: float) -> float:
    """Return the shortest number that is the same in float32, which attributes are."""
    return float(str(np.float32(value)))


def _dropout(reader: Reader, step: Step) -> None:
    rate = step.attributes.get("ratio", 0.5)
    if 1 in step.constants:
        rate = float(step.constants[1])
    if len(step.inputs) > 2 and (2 not in step.constants or step.constants[2]):
        refuse(step.where, "it is in training mode")
    if rate:
        reader.layer(step, Dropout, {"rate": _short(rate)}, [])


def _prelu(reader: Reader, step: Step) -> None:
    width = reader.chain.width
    slope = step.constants.get(1)
    if slope is None or width is None or slope.shape[-1:] != (width,) or slope.size != width:
        refuse(step.where, f"it does not have one slope for each of {width} units")
    share = 1 - slope.reshape(-1)
    reader.layer(step, ParametricActivation, {"function": "relu"}, [share])


def _softmax(reader: Reader, step: Step) -> None:
    axis = step.attributes.get("axis", -1 if reader.opset >= 13 else 1)
    if axis not in (-1, 1):
        refuse(step.where, f"it is over axis {axis}, wanted -1")
    reader.activation(step.where, activations.Softmax())


def _flatten(reader: Reader, step: Step) -> None:
    if step.attributes.get("axis", 1) not in (1, -1):
        refuse(step.where, "wanted axis=1, which keeps rows as they are")


def _reshape(reader: Reader, step: Step) -> None:
    shape = step.constants.get(1)
    told = None if shape is None else shape.tolist()
    width = reader.chain.width
    if told is None or len(told) != 2 or told not in ([-1, width], [0, width], [0, -1], [0, 0]):
        refuse(step.where, f"it reshapes to {told}, wanted rows as they are, [-1, {width}]")


def _nothing(reader: Reader, step: Step) -> None:
    """Add nothing."""


def _function_of(make: Callable[[Step], activations.Activation]) -> Callable[[Reader, Step], None]:
    def convert(reader: Reader, step: Step) -> None:
        try:
            made = make(step)
        except ValueError as error:
            refuse(step.where, error)
        reader.activation(step.where, made)

    return convert


def _selu(step: Step) -> activations.Activation:
    how = defaults(step, **_SELU)
    if any(not np.isclose(how[name], value, rtol=1e-6) for name, value in _SELU.items()):
        raise ValueError("its alpha and gamma are not SELU's")
    return activations.SELU()


def _named(name: str) -> Callable[[Reader, Step], None]:
    return _function_of(lambda step: activations.get(name))


_TABLE: dict[str, Callable[[Reader, Step], None]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _affine,
    "Sub": _affine,
    "Mul": _affine,
    "Div": _affine,
    "Scaler": _scaler,
    "LinearRegressor": _linear_regressor,
    "Cast": _cast,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Dropout": _dropout,
    "PRelu": _prelu,
    "Softmax": _softmax,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Identity": _nothing,
    "LeakyRelu": _function_of(
        lambda step: activations.LeakyReLU(_short(defaults(step, alpha=0.01)["alpha"]))
    ),
    "Elu": _function_of(lambda step: activations.ELU(_short(defaults(step, alpha=1.0)["alpha"]))),
    "Selu": _function_of(_selu),
    "Gelu": _function_of(
        lambda step: activations.GELU(step.attributes.get("approximate", "none") == "tanh")
    ),
    "Relu": _named("relu"),
    "Softplus": _named("softplus"),
    "Sigmoid": _named("sigmoid"),
    "Tanh": _named("tanh"),
    "Exp": _named("exponential"),
    "Mish": _named("mish"),
}
