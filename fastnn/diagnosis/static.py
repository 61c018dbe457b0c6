"""Causes visible without training: data, loss and start."""

from collections.abc import Iterator

import numpy as np

from fastnn.activations import Softmax
from fastnn.diagnosis.findings import Finding
from fastnn.diagnosis.trials import Study
from fastnn.inputs.precision import constant_columns
from fastnn.network import Network


def labels(kind: str, y: np.ndarray, n_outputs: int) -> Finding | None:
    """Class labels or logistic targets outside their range or off by one."""
    least, most = y.min(), y.max()
    if kind == "binary" and (least < 0 or most > 1):
        how = "(y + 1) / 2 maps -1 and 1 to 0 and 1" if least == -1 and most == 1 else "Scale them"
        return Finding(
            "labels", float(most), f"the targets go from {least:g} to {most:g}, wanted 0 to 1", how
        )
    if kind != "class":
        return None
    span = f"the labels go from {least} to {most}, and the {n_outputs} outputs are for 0 to "
    span += str(n_outputs - 1)
    if least == 1 and most >= n_outputs - 1 and n_outputs > 2:
        change = "Labels count from 0: use y - 1"
        if most == n_outputs - 1:
            change += f", and {n_outputs - 1} outputs"
        return Finding("labels", float(least), f"{span}: they seem to count from 1", change)
    if least < 0 or most >= n_outputs:
        change = f"Give the last layer {most + 1} units, or renumber the classes"
        if least < 0:
            change = "np.unique(y, return_inverse=True)[1] numbers the classes from 0"
        return Finding("labels", float(most if most >= n_outputs else least), span, change)
    return None


def constants(study: Study) -> Iterator[Finding]:
    """Inputs or targets that are equal in every row, except for rounding."""
    if len(study.x) > 1 and constant_columns(study.x).all():
        number = float(len(study.x))
        problem = f"the inputs are the same in all {len(study.x):,} rows"
        yield Finding("constant_inputs", number, problem, "Check how X is made")
    elif len(study.y) > 1 and constant_columns(study.y).all():
        problem = f"the target is {study.y.flat[0]:g} in all {len(study.y):,} rows"
        yield Finding(
            "constant_target", float(study.y.flat[0]), problem, "There is nothing to learn"
        )


def unbounded_loss(study: Study) -> Iterator[Finding]:
    """A loss that falls forever."""
    if study.network.loss.name == "signed_error":
        yield Finding(
            "signed_error",
            float(study.y.mean()),
            "the signed error has no minimum: it falls forever with the predictions, however far "
            f"they are below the targets, whose mean is {study.y.mean():.4g}",
            "Use 'mae', the mean of the error's absolute value",
        )


def symmetry(study: Study) -> Iterator[Finding]:
    """Hidden units that are all equal, and therefore learn the same."""
    for network in (study.start, study.network):
        for number, incoming, outgoing in _hidden(network):
            units = incoming.shape[1]
            same = units > 1 and _equal(incoming.T) and _equal(outgoing)
            silent = network.layers[number].activation.slope == 0 or _equal(outgoing)
            if not incoming[:-1].any() and silent:
                yield Finding(
                    "zero_weights",
                    float(incoming[:-1].size),
                    f"all {incoming[:-1].size:,} weights of layer {number} are 0: its units get "
                    "no gradients, or all the same one",
                    "Omit kernel_initializer='zeros': the default start is random",
                )
                return
            if same:
                yield Finding(
                    "equal_weights",
                    float(units),
                    f"the {units} units of layer {number} have equal weights: they get equal "
                    f"gradients and stay {units} copies of one unit",
                    "Omit the constant kernel_initializer: the default start is random",
                )
                return


def _hidden(network: Network) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each hidden layer's number, incoming weights and biases, and outgoing weights."""
    layers = network.model.parameters if network.built else []
    dense = [(n, layer) for n, layer in enumerate(layers) if layer and layer[0].value.ndim == 2]
    for (number, layer), (_, above) in zip(dense, dense[1:], strict=False):
        kernel = layer[0].value
        bias = layer[1].value if len(layer) > 1 else np.zeros(kernel.shape[1], kernel.dtype)
        yield number, np.vstack([kernel, bias]), above[0].value


def _equal(rows: np.ndarray) -> bool:
    """Whether all rows are equal up to rounding."""
    return bool(np.allclose(rows, rows[:1], rtol=1e-5, atol=0))


def out_of_reach(study: Study) -> Iterator[Finding]:
    """Targets that the last activation cannot reach."""
    if study.network.loss.target != "real":
        return
    activation = study.network.layers[-1].activation
    name, (low, high) = activation.name, activation.range
    if isinstance(activation, Softmax) and study.n_outputs == 1:
        low = 1.0
    share = float(((study.y < low) | (study.y > high)).mean())
    if share > 0.05:
        yield Finding(
            "output_range",
            share,
            f"{share:.0%} of the targets, which go from {study.y.min():.4g} to "
            f"{study.y.max():.4g}, are outside the range of {name!r} in the last layer, "
            f"{low:g} to {high:g}",
            "Use a linear last layer",
        )
