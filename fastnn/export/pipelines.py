"""Estimators within scikit-learn pipelines that skl2onnx converts."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.export import to_onnx
from fastnn.export.doors import formulas
from fastnn.formulas import TEXT, Formula, Formulas
from fastnn.inputs import extras


def register_skl2onnx() -> None:
    """Register fastnn's estimators with skl2onnx, which then converts pipelines that hold them.

    The classifier takes the options of skl2onnx's own, "zipmap" among them.  Outputs have the type
    of the pipeline's numbers, float32 or float64; inside, the estimator computes in its own.

    Raises
    ------
    ImportError
        Without the package skl2onnx.

    Examples
    --------
    >>> import fastnn.export
    >>> fastnn.export.register_skl2onnx()  # doctest: +SKIP
    >>> onx = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})  # doctest: +SKIP
    """
    skl2onnx = extras.load("skl2onnx", "register_skl2onnx()", "skl2onnx")
    from fastnn.sklearn import MLPClassifier, MLPRegressor

    options = {"zipmap": [True, False, "columns"], "output_class_labels": [False, True]}
    for kind, own in ((MLPClassifier, options), (MLPRegressor, None)):
        name = f"Fastnn{kind.__name__}"
        skl2onnx.update_registered_converter(kind, name, _shapes, _convert, options=own)


def _described(operator: Any) -> Formulas:
    """Return an estimator's formulas, with numbers of the pipeline's type."""
    given = formulas(operator.raw_operator)
    double = "Double" in type(operator.inputs[0].type).__name__
    dtype = np.float64 if double else np.float32
    outputs = {
        name: each if each.dtype == TEXT else each.cast(dtype)
        for name, each in given.outputs.items()
    }
    return replace(given, outputs=outputs)


def _shapes(operator: Any) -> None:
    """Set the types of an operator's outputs."""
    found = _described(operator).outputs
    rows = operator.inputs[0].get_first_dimension()
    for variable, output in zip(operator.outputs, found.values(), strict=True):
        variable.type = _type(output)([rows] if to_onnx.is_flat(output) else [rows, output.width])


def _type(output: Formula) -> Any:
    types = extras.load("skl2onnx.common.data_types", "register_skl2onnx()", "skl2onnx")
    names = {1: "Float", 7: "Int64", 11: "Double"}
    return getattr(types, f"{names.get(to_onnx.kind(output), 'String')}TensorType")


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add an operator's nodes and arrays."""
    helper = extras.load("onnx.numpy_helper", "register_skl2onnx()", "skl2onnx")
    given = _described(operator)
    (source,) = given.inputs
    start = scope.get_unique_variable_name("fastnn")
    element = to_onnx.element(source.dtype)
    container.add_node(
        "Cast", operator.inputs[0].full_name, start, name=f"{start}_cast", to=element
    )
    names = [each.full_name for each in operator.outputs]
    outputs = dict(zip(given.outputs, names, strict=True))
    graph = to_onnx.Graph(given, {source.name: start}, outputs, f"{start}_")
    for name, array in graph.arrays.items():
        if array.dtype == object:
            container.add_initializer(name, to_onnx.element(object), array.shape, array.tolist())
        else:
            container.add_initializer(name, None, None, helper.from_array(array))
    for number, node in enumerate(graph.nodes):
        container.add_node(
            node.kind,
            node.inputs,
            [node.output],
            op_domain=node.domain,
            name=f"{start}_node_{number}",
            **node.attributes,
        )
