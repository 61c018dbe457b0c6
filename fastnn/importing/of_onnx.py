"""ONNX files as networks."""

import os
from typing import Any

import numpy as np

from fastnn.importing.chain import Chain, refuse
from fastnn.importing.onnx_graph import Graph, loaded
from fastnn.importing.onnx_layers import Reader
from fastnn.losses import Loss
from fastnn.network import Network


@np.errstate(all="ignore")
def from_onnx(
    model: str | os.PathLike[str] | bytes | Any,
    *,
    output: str | None = None,
    loss: str | Loss | None = None,
    optimizer: Any = None,
) -> Network:
    """Return a network with the layers and weights of an ONNX file (extra ``onnx``).

    It predicts what a runtime does, to rounding, in the weights' dtype, and can be trained on.

    The file must be a chain from one input, rows of all columns, to one output: `Gemm`, `MatMul`,
    sums and products with constants, batch and layer normalization, `Dropout`, activations, also
    those that PyTorch and fastnn write as several operators, and what leaves rows as they are.
    Sums and products in front of all, and `Scaler`, become preprocessing; others go into the
    weights of the layers beside them.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
    output : str, optional
        The name of an output, or of any value within, to predict.  By default the only output that
        is not of labels.
    loss : str or Loss, optional
        "softmax_cross_entropy" by default if the last layer is softmax, "logistic" if it is
        sigmoid, else "mse".
    optimizer : str or Optimizer, optional
        As in :class:`fastnn.Network`.

    Raises
    ------
    ValueError
        For an operator that fastnn does not have, or that is no part of a chain, naming its place
        and the reason, or if `model` is no ONNX file.
    TypeError, OSError
        For a `model` of another kind, or that cannot be read.
    ImportError
        Without the package onnx.

    Examples
    --------
    >>> import os, tempfile, fastnn, fastnn.export
    >>> network = fastnn.Network([fastnn.Dense(8, "silu"), fastnn.Dense(1)])
    >>> network.build(3)
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     path = os.path.join(folder, "network.onnx")
    ...     fastnn.export.onnx(network, path)
    ...     fastnn.from_onnx(path).layers
    [Dense(8, activation='silu'), Dense(1, activation='linear')]
    """
    graph = Graph(loaded(model), output)
    chain = Chain()
    reader = Reader(chain, graph.opset)
    segments = list(graph.segments())
    if graph.rank not in (None, 2) and segments[0][1][0].kind != "Flatten":
        refuse("model", f"its input has {graph.rank} dimensions, wanted rows of numbers")
    while segments:
        segments = segments[reader.add(segments) :]
    reader.finish()
    return chain.network("model", loss, optimizer)
