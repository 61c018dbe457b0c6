"""Formulas as ONNX."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn.formulas import Formula, Formulas, steps
from fastnn.inputs import extras

OPSET, ML_OPSET = 13, 2
_SIMPLE = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max",
    "minimum": "Min", "greater": "Greater", "equal": "Equal", "where": "Where", "negative": "Neg",
    "abs": "Abs", "exp": "Exp", "log": "Log", "tanh": "Tanh", "sqrt": "Sqrt", "sin": "Sin",
    "floor": "Floor", "round": "Round", "sigmoid": "Sigmoid", "isnan": "IsNaN", "erf": "Erf",
}  # fmt: skip
_FARTHEST = 6.5
"""Where the error function is 1 but for 1e-19."""


@dataclass
class Node:
    """An operator and its attributes, before any library makes one of it."""

    kind: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""


class Graph:
    """Formulas as nodes and arrays, with what inputs and outputs are called; no input is an output.

    Attributes
    ----------
    nodes : list of Node
    arrays : dict
    """

    def __init__(
        self, given: Formulas, inputs: dict[str, str], outputs: dict[str, str], prefix: str = ""
    ):
        self.nodes: list[Node] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._prefix, self._count = prefix, 0
        self._names = {id(source): inputs[source.name] for source in given.inputs}
        for step in steps([*given.outputs.values()]):
            if id(step) not in self._names and step.op != "constant":
                self._names[id(step)] = self._add(step, self._new(step.op))
        for name, output in given.outputs.items():
            last = self._names[id(output)]
            if is_flat(output):
                self._reshaped(last, [-1], outputs[name])
            else:
                self._node("Identity", [last], outputs[name])

    def _new(self, what: str) -> str:
        self._count += 1
        return f"{self._prefix}{what}_{self._count}"

    def _array(self, array: np.ndarray) -> str:
        name = self._new("constant")
        self.arrays[name] = array
        return name

    def _node(
        self, kind: str, inputs: list[str], output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        output = output or self._new(kind.lower())
        self.nodes.append(Node(kind, inputs, output, attributes, domain))
        return output

    def _reshaped(self, name: str, shape: list[int], output: str = "") -> str:
        return self._node("Reshape", [name, self._array(np.array(shape))], output)

    def _cast(self, name: str, dtype: Any, output: str = "") -> str:
        return self._node("Cast", [name], output, to=element(dtype))

    def _add(self, step: Formula, out: str) -> str:
        """Add the nodes of a step; return the name of its result."""
        if step.op == "maximum" and _is_zero(step.operands[1]):
            return self._node("Relu", [self._names[id(step.operands[0])]], out)
        given = [
            self._array(each.constants[0][None]) if each.op == "constant" else self._names[id(each)]
            for each in step.operands
        ]
        if step.op == "erf" and step.dtype == np.float64:
            return self._erf(given[0], out)
        if step.op == "cast":
            return self._cast(given[0], step.dtype, out)
        if step.op in _SIMPLE:
            return self._node(_SIMPLE[step.op], given, out)
        own: str = getattr(self, f"_{step.op}")(step, given, out)
        return own

    def _softmax(self, step: Formula, given: list[str], out: str) -> str:
        return self._node("Softmax", given, out, axis=1)

    def _concatenate(self, step: Formula, given: list[str], out: str) -> str:
        return self._node("Concat", given, out, axis=1)

    def _columns(self, step: Formula, given: list[str], out: str) -> str:
        return self._node("Gather", [*given, self._array(step.constants[0])], out, axis=1)

    def _mean(self, step: Formula, given: list[str], out: str) -> str:
        (x,) = step.operands
        return self._node(
            "MatMul", [*given, self._array(np.full((x.width, 1), 1 / x.width, step.dtype))], out
        )

    def _argmax(self, step: Formula, given: list[str], out: str) -> str:
        place = self._node("ArgMax", given, axis=1, keepdims=1)
        return self._cast(place, step.dtype, out)

    def _of_type(self, step: Formula) -> list[str]:
        return [self._array(each.astype(step.dtype)) for each in step.constants]

    def _dot(self, step: Formula, given: list[str], out: str) -> str:
        return self._node("Gemm", [*given, *self._of_type(step)], out)

    def _blocks(self, step: Formula, given: list[str], out: str) -> str:
        count, size, _ = step.constants[0].shape
        w, b = self._of_type(step)
        x = self._reshaped(given[0], [0, count, 1, size])
        product = self._reshaped(self._node("MatMul", [x, w]), [0, step.width])
        return self._node("Add", [product, b], out)

    def _lookup(self, step: Formula, given: list[str], out: str) -> str:
        rows = self._node("Gather", [*self._of_type(step), self._cast(given[0], np.int64)], axis=0)
        return self._reshaped(rows, [0, step.width], out)

    def _codes(self, step: Formula, given: list[str], out: str) -> str:
        known = step.constants[0].tolist() or [""]
        places = [*range(1, 1 + len(step.constants[0]))] or [0]
        how = {"keys_strings": known, "values_int64s": places, "default_int64": 0}
        return self._cast(self._node("LabelEncoder", given, "", "ai.onnx.ml", **how), float, out)

    def _labels(self, step: Formula, given: list[str], out: str) -> str:
        classes = step.constants[0]
        if classes.dtype.kind in "biu":
            classes = classes.astype(np.int64)
        if classes.dtype.kind in "UTO":
            classes = classes.astype(object)
        place = self._cast(given[0], np.int64)
        return self._node("Gather", [self._array(classes), place], out, axis=0)

    def _erf(self, x: str, out: str) -> str:
        """Add the error function of float64, which runtimes lack.

        With ``t = (a - 4) / (a + 4)``, it is ``1 - exp(-a**2) * p(t)`` for a = abs(x).
        """

        def number(value: float) -> str:
            return self._array(np.array([[value]]))

        def scaled(t: np.ndarray) -> np.ndarray:
            a = 4 * (1 + t) / (1 - t)
            return np.array([math.exp(each * each) * math.erfc(each) for each in a])

        last = (_FARTHEST - 4) / (_FARTHEST + 4)
        p = np.polynomial.Chebyshev.interpolate(scaled, 30, [-1, last])
        first, *rest = p.coef[::-1].tolist()
        a = self._node("Min", [self._node("Abs", [x]), number(_FARTHEST)])
        t = self._node(
            "Div", [self._node("Sub", [a, number(4.0)]), self._node("Add", [a, number(4.0)])]
        )
        # Clenshaw's rule, in the middle of the interval and half its width.
        s = self._node("Add", [self._node("Mul", [t, number(2 / (last + 1))]),
                               number((1 - last) / (last + 1))])  # fmt: skip
        twice = self._node("Mul", [s, number(2.0)])
        high, higher = number(first), number(0.0)
        for coefficient in rest[:-1]:
            product = self._node("Mul", [twice, high])
            new = self._node("Sub", [product, higher])
            high, higher = self._node("Add", [new, number(coefficient)]), high
        end = self._node("Sub", [self._node("Mul", [s, high]), higher])
        end = self._node("Add", [end, number(rest[-1])])
        power = self._node("Exp", [self._node("Neg", [self._node("Mul", [a, a])])])
        size = self._node("Sub", [number(1.0), self._node("Mul", [power, end])])
        return self._node("Mul", [self._node("Sign", [x]), size], out)


def _is_zero(step: Formula) -> bool:
    return step.op == "constant" and step.width == 1 and step.constants[0][0] == 0


def is_flat(output: Formula) -> bool:
    """Return whether an output is a vector: one label for each row."""
    return output.op == "labels" and output.width == 1


def element(dtype: Any) -> int:
    """Return ONNX's number of a type."""
    return {"float32": 1, "int64": 7, "bool": 9, "float64": 11}.get(np.dtype(dtype).name, 8)


def kind(output: Formula) -> int:
    """Return ONNX's number of an output's type."""
    if output.op != "labels":
        return element(output.dtype)
    classes = output.constants[0]
    return element(np.int64 if classes.dtype.kind in "biu" else classes.dtype)


def content(given: Formulas) -> bytes:
    """Return a file's bytes."""
    how = "fastnn.export.onnx", "onnx, or fastnn-kernels[onnx]"
    onnx, helper = (extras.load(name, *how) for name in ("onnx", "onnx.helper"))
    inputs = {each.name: each.name for each in given.inputs}
    outputs: dict[str, str] = {}
    for name in given.outputs:
        outputs[name] = name
        while outputs[name] in inputs:
            outputs[name] += "_"
    graph = Graph(given, inputs, outputs, "/")
    nodes = [
        helper.make_node(
            each.kind, each.inputs, [each.output], domain=each.domain, **each.attributes
        )
        for each in graph.nodes
    ]
    into = [
        helper.make_tensor_value_info(each.name, element(each.dtype), ["rows", each.width])
        for each in given.inputs
    ]
    out = [
        helper.make_tensor_value_info(
            outputs[name], kind(each), ["rows"] if is_flat(each) else ["rows", each.width]
        )
        for name, each in given.outputs.items()
    ]
    arrays = [onnx.numpy_helper.from_array(array, name) for name, array in graph.arrays.items()]
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(
        helper.make_graph(nodes, "fastnn", into, out, arrays),
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="fastnn",
        doc_string=given.text,
    )
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString()
    return made
