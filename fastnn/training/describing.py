"""What a network computes of a row, as formulas."""

import copy
from typing import Any

from fastnn import activations
from fastnn.formulas import Formula, Formulas
from fastnn.inputs.checks import one_of
from fastnn.layers import TABLE
from fastnn.training.model import Model

OUTPUTS = "predictions", "probabilities", "scores"


def formulas(model: Model, output: str) -> Formulas:
    """Return a network's inputs and outputs; see :func:`fastnn.export.onnx`."""
    one_of(output, "output", OUTPUTS)
    model.need_built("export")
    if model.preprocessing is None:
        x = Formula.numbers("X", model.n_inputs, model.dtype)
        inputs = [x]
    else:
        inputs, x = model.preprocessing.formulas(model.names.x)
    found = formula(model, x)
    if output != "predictions":
        found = _as_wanted(model, found, output)
    sizes = " - ".join(map(str, [model.n_inputs, *_widths(model)]))
    return Formulas(inputs, {output: found}, f"a network of {sizes}, {model.dtype}")


def formula(model: Model, x: Formula) -> Formula:
    """Return what a network predicts of preprocessed rows.

    Raises
    ------
    ValueError
        If only kernels can say it.
    """
    model = copy.copy(model)  # another thread may fit it
    x = x.cast(model.dtype)
    if model.selection is not None:
        x = x.columns(model.selection.index)
    for number, (layer, parameters) in enumerate(zip(model.layers, model.parameters, strict=True)):
        try:
            x = _known(layer).formula(x, {each.name: each.value for each in parameters})
        except ValueError as error:
            raise ValueError(f"cannot export layers[{number}], {layer!r}: {error}") from None
    return x


def _known(layer: Any) -> Any:
    """Return a layer, or raise ValueError for one that may compute anything."""
    functions = layer.activation, getattr(layer, "function", layer.activation)
    for each in (layer, *functions):
        if type(each) not in (*TABLE.values(), *activations.TABLE.values()):
            raise ValueError(f"{type(each).__name__} is not fastnn's own, and has no formula")
    return layer


def _as_wanted(model: Model, found: Formula, output: str) -> Formula:
    """Return probabilities or scores, whichever a network predicts."""
    makes = {"softmax": found.softmax, "sigmoid": found.sigmoid}
    last, fused = model.layers[-1].activation.name, model.loss.fused
    if found.op in makes:
        return found if output == "probabilities" else found.operands[0]
    if last != "linear" or fused not in makes:
        raise ValueError(
            f"output is {output!r}, but outputs of a last layer with activation {last!r} under "
            f"the loss {model.loss.name!r} are neither probabilities nor scores of classes"
        )
    return makes[fused]() if output == "probabilities" else found


def _widths(model: Model) -> list[int]:
    widths, width = [], len(model.inputs)
    for layer in model.layers:
        width = layer.width(width)
        widths.append(width)
    return widths
