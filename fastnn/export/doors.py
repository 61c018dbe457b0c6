"""What people call: write a model to a file that others run."""

import os
from typing import Any

import numpy as np

from fastnn.export import to_c, to_onnx, to_python
from fastnn.export.folding import folded
from fastnn.files.atomic import whole_file
from fastnn.formulas import Formulas
from fastnn.inputs.checks import boolean
from fastnn.network import Network
from fastnn.training import describing

Path = str | os.PathLike[str]


def formulas(model: Any, output: str = "predictions") -> Formulas:
    """Return what a model computes, in as few steps as there are."""
    if isinstance(model, Network):
        return folded(describing.formulas(model.model, output))
    if not hasattr(model, "formulas"):
        raise TypeError(
            f"model is a {type(model).__name__}, wanted a Network, or an estimator of "
            "fastnn.sklearn or fastnn.tabular"
        )
    if output != "predictions":
        raise ValueError(f"output is {output!r}, which is for a Network")
    return folded(model.formulas())


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


@np.errstate(all="ignore")
def onnx(model: Any, path: Path, *, output: str = "predictions") -> None:
    """Write a model as an ONNX file, which takes the raw columns and has all that it needs.

    A network has one input, "X", (rows, columns), in the network's dtype, or float64 if it has
    `preprocessing`.  One that begins with an encoder, and an estimator of :mod:`fastnn.tabular`,
    has an input (rows, 1) for each column, by its name: float64 for numbers, with NaN for a missing
    one, and for dates, as days since 1970; and texts for categories, "" for a missing one.

    A classifier has the outputs "label", (rows,), and "probabilities", (rows, classes); a
    regressor "predictions"; a network what `output` names.  An input's name gets an underscore
    where an output has it.

    Parameters
    ----------
    model : Network, MLPClassifier, MLPRegressor, TabularClassifier or TabularRegressor
        Fitted.
    path : path-like
        The file appears whole or not at all.
    output : {"predictions", "probabilities", "scores"}
        What a network's file returns: what `predict` does; or in any case probabilities, or in any
        case the scores before the softmax or sigmoid.

    Raises
    ------
    ValueError, TypeError
        For a model that is not fitted or has parts that have no formula, such as your own
        activation or another library's transformer; the message names it.  Nothing is written then.
    ImportError
        Without the package onnx.

    Examples
    --------
    >>> import os, tempfile, fastnn, fastnn.export
    >>> network = fastnn.Network([fastnn.Dense(8, "gelu"), fastnn.Dense(1)])
    >>> network.build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fastnn.export.onnx(network, os.path.join(folder, "network.onnx"))  # doctest: +SKIP
    """
    _write(path, to_onnx.content(formulas(model, output)))


@np.errstate(all="ignore")
def c(
    model: Any,
    path: Path,
    *,
    output: str = "predictions",
    name: str = "predict",
    int8: bool = False,
) -> None:
    """Write a model as one file of C99, which needs the C library only and allocates nothing.

    Its function predicts one row: ``void predict(const float *x, float *y)``, with double where
    :func:`onnx` has float64.  Models with columns of texts take ``const char *const *text`` after
    `x`, and one with classes writes the probabilities to `y` and returns the place of the class in
    ``predict_classes``.  The comment on top lists the columns.

    Parameters
    ----------
    model, path, output
        As in :func:`onnx`, and so are the errors.
    name : str
        What the function is called.
    int8 : bool
        Whether weights of dense layers are rounded to 8 bits, with a scale for each unit: a quarter
        of the size in float32, for an error of up to 0.4 % of a unit's largest weight in each.

    Examples
    --------
    >>> import pathlib, tempfile, fastnn, fastnn.export
    >>> network = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)])
    >>> network.build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "network.c")
    ...     fastnn.export.c(network, path, name="price")
    ...     [line for line in path.read_text().splitlines() if line.startswith("void")]
    ['void price(const float *x, float *y);', 'void price(const float *x, float *y)']
    """
    if not (isinstance(name, str) and name.isidentifier() and name.isascii()):
        raise ValueError(f"name is {name!r}, wanted a name that a function of C can have")
    int8 = boolean(int8, "int8")
    _write(path, to_c.content(formulas(model, output), name, int8))


@np.errstate(all="ignore")
def python(model: Any, path: Path, *, output: str = "predictions") -> None:
    """Write a model as one file of Python, which needs NumPy only.

    It has a function ``predict(X)``, with classes also ``predict_proba(X)``.  X is an array of
    rows, or where :func:`onnx` has an input for each column a frame or a dict of columns.

    Parameters
    ----------
    model, path, output
        As in :func:`onnx`, and so are the errors.

    Examples
    --------
    >>> import pathlib, tempfile, fastnn, fastnn.export
    >>> network = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)])
    >>> network.build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "network.py")
    ...     fastnn.export.python(network, path)
    ...     names = {}
    ...     exec(path.read_text(), names)
    >>> names["predict"]([[1, 2, 3]]).shape
    (1, 1)
    """
    _write(path, to_python.content(formulas(model, output)))
