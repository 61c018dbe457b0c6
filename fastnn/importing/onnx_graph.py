"""The nodes of an ONNX file on the way from its input to one of its outputs."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn.importing.chain import refuse
from fastnn.inputs import extras

_HOW = "fastnn.from_onnx", "onnx, or fastnn-kernels[onnx]"
_LABELS = 7, 8
"""The element types int64 and string."""


@dataclass
class Step:
    """A node, with the constants among its inputs."""

    kind: str
    inputs: list[str]
    output: str
    constants: dict[int, np.ndarray]
    """By the place among the inputs."""
    attributes: dict[str, Any] = field(default_factory=dict)
    place: int = 0
    name: str = ""

    @property
    def where(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"node {self.place} of model, {self.kind}{named}"

    @property
    def data(self) -> list[str]:
        """The names of the inputs that are no constants."""
        return [name for place, name in enumerate(self.inputs) if place not in self.constants]


def loaded(model: Any) -> Any:
    """Return a ModelProto.

    Raises
    ------
    TypeError, OSError, ValueError
        If it is no path, bytes or ModelProto, or no file that ONNX reads.
    """
    onnx = extras.load("onnx", *_HOW)
    if isinstance(model, onnx.ModelProto):
        return model
    if not isinstance(model, str | bytes | os.PathLike):
        raise TypeError(f"model is a {type(model).__name__}, wanted a path, bytes or a ModelProto")
    read = onnx.load_from_string if isinstance(model, bytes) else onnx.load
    try:
        found = read(model)
    except OSError:
        raise
    except Exception as error:  # protobuf's own, which nobody can name without it
        raise ValueError(f"model is no ONNX file: {error}") from None
    if not found.graph.node:
        raise ValueError("model is no ONNX file: it has no nodes")
    return found


class Graph:
    """A file's graph.

    Attributes
    ----------
    source : str
        The name of its input.
    target : str
        The name of the value that is wanted of it.
    rank : int or None
        How many dimensions the input has, if the file says so.
    opset : int
        That of the operators without a domain.
    """

    def __init__(self, model: Any, output: str | None):
        self._helper = extras.load("onnx.helper", *_HOW)
        self._numpy = extras.load("onnx.numpy_helper", *_HOW)
        self._reference = extras.load("onnx.reference", *_HOW)
        graph = model.graph
        self.opset = max((e.version for e in model.opset_import if not e.domain), default=13)
        self._arrays = {each.name: self._numpy.to_array(each) for each in graph.initializer}
        inputs = [each for each in graph.input if each.name not in self._arrays]
        if len(inputs) != 1:
            refuse("model", f"it has {len(inputs)} inputs, wanted one with all columns")
        (given,) = inputs
        self.source = given.name
        tensor = given.type.tensor_type
        self.rank = len(tensor.shape.dim) if tensor.HasField("shape") else None
        self._steps = [self._step(number, node) for number, node in enumerate(graph.node)]
        self._opsets = list(model.opset_import)
        self.target = self._wanted(graph, output)

    def _step(self, number: int, node: Any) -> Step:
        attributes = {each.name: self._value(each) for each in node.attribute}
        kind = node.op_type
        if node.domain not in ("", "ai.onnx", "ai.onnx.ml"):
            kind = f"{node.domain}.{kind}"
        inputs, outputs = list(node.input), list(node.output)
        constants = {
            place: self._arrays[name] for place, name in enumerate(inputs) if name in self._arrays
        }
        known = [place in constants or not name for place, name in enumerate(inputs)]
        if all(known) and all(self._arrays.get(each) is None for each in outputs):
            self._compute(node)
        return Step(kind, inputs, outputs[0], constants, attributes, number, node.name)

    def _compute(self, node: Any) -> None:
        """Keep what a node makes of constants alone."""
        feed = {name: self._arrays[name] for name in node.input if name}
        try:
            found = self._reference.ReferenceEvaluator(node).run(None, feed)
        except Exception as error:  # whatever its operator raises
            refuse(f"model, {node.op_type} of constants", error)
        self._arrays |= dict(zip(node.output, found, strict=True))

    def _value(self, attribute: Any) -> Any:
        value = self._helper.get_attribute_value(attribute)
        return value.decode() if isinstance(value, bytes) else value

    def _wanted(self, graph: Any, output: str | None) -> str:
        """Return the name of the value that is wanted: `output`, or the only one but labels."""
        makers = {each.output: each for each in self._steps}
        if output is not None:
            if output not in makers:
                names = ", ".join(repr(each.name) for each in graph.output)
                raise ValueError(f"output is {output!r}, wanted a value of the model, as {names}")
            return output
        found = []
        for each in graph.output:
            maker = makers.get(each.name)
            if maker is not None and maker.kind == "ZipMap":
                found.append(maker.inputs[0])
            elif each.type.tensor_type.elem_type not in _LABELS:
                found.append(each.name)
        if len(found) != 1:
            names = ", ".join(repr(each.name) for each in graph.output)
            raise ValueError(
                f"model has {len(found)} outputs that are no labels, of {names}: give output="
            )
        return found[0]

    def steps(self) -> list[Step]:
        """Return the nodes that the wanted value is computed by, in order."""
        needed, found = {self.target}, []
        for step in reversed(self._steps):
            if step.output in needed and step.output not in self._arrays:
                found.append(step)
                needed |= set(filter(None, step.data))
        if self.source not in needed:
            refuse("model", f"{self.target!r} does not depend on the input {self.source!r}")
        return found[::-1]

    def segments(self) -> Iterator[tuple[str, list[Step]]]:
        """Yield the nodes between values that everything goes through, with the first value."""
        steps = self.steps()
        uses: dict[str, int] = {}
        for step in steps:
            for name in set(filter(None, step.data)):
                uses[name] = uses.get(name, 0) + 1
        live, begin, segment = {self.source}, self.source, []
        for step in steps:
            segment.append(step)
            for name in set(filter(None, step.data)):
                uses[name] -= 1
                if not uses[name]:
                    live.discard(name)
            live.add(step.output)
            if live == {step.output}:
                yield begin, segment
                begin, segment = step.output, []


def defaults(step: Step, **given: Any) -> Mapping[str, Any]:
    """Return a node's attributes, with the defaults of its operator."""
    return {**given, **step.attributes}
