"""Prediction: the programs that a model keeps for it, and how rows are split among threads."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastnn.engine import cores, team, threads
from fastnn.inputs import checks
from fastnn.inputs.settings import revision
from fastnn.inputs.streamed import is_fed
from fastnn.kernels.interrupts import uninterrupted
from fastnn.training import attributes, lowering
from fastnn.training.model import ROW_FLOPS, Model

T = TypeVar("T")
ROWS = 256
"""Rows that a thread computes together: few enough that the layers' outputs stay in the cache."""
_PIECE_FLOPS = 1e8
"""Operations, about a millisecond's worth, between a thread's returns for more rows."""
_START_FACTOR = 10
"""A thread started for one prediction needs this many times the work of a thread of a fit, since
starting it takes 0.1 ms and a fit's thread has many batches to do."""


def predict(model: Model, X: ArrayLike, batch_size: int | None = None) -> np.ndarray:
    """Return the outputs for a caller's rows; see :meth:`fastnn.Network.predict`."""
    access = model.access
    before = access.version
    if before % 2 == 0:
        out = _predict(model, X, batch_size)
        if access.version == before:
            return out
    return consistent(model, _predict, X, batch_size)


def consistent(model: Model, function: Callable[..., T], *arguments: Any) -> T:
    """Return ``function(model, *arguments)`` for weights as they are after a whole update."""
    access = model.access
    before = access.version
    if before % 2 == 0:
        result = function(model, *arguments)
        if access.version == before:
            return result
    with uninterrupted(), access.reading():
        if not access.mine:
            model = model.frozen()
    return function(model, *arguments)


def _predict(model: Model, X: ArrayLike, batch_size: int | None = None) -> np.ndarray:
    if type(X) is not np.ndarray:  # arrays have no names
        if is_fed(X):
            from fastnn.data import feeding  # most programs never need it

            model.need_built("predict")
            found = [_predict(model, rows, batch_size) for rows in feeding.blocks(model, X)]
            return np.concatenate(found)
        model.names.agreed(X)
    if model.preprocessing is not None:
        model.need_built("predict")
        X = model.preprocessing.transform(model.check_inputs(X, empty=True), model.dtype)
    return outputs(model, X, batch_size)


def layer_outputs(model: Model, X: ArrayLike) -> list[np.ndarray]:
    """Return each layer's outputs for a caller's rows; see :meth:`fastnn.Network.layer_outputs`."""
    model.need_built("layer_outputs")
    attributes.settle(model)
    return consistent(model, _layer_outputs, X)


def _layer_outputs(model: Model, X: ArrayLike) -> list[np.ndarray]:
    model.names.agreed(X)
    if model.preprocessing is not None:
        X = model.preprocessing.transform(model.check_inputs(X, empty=True), model.dtype)
    heads = (model.head(end) for end in range(1, len(model.layers) + 1))
    return [Predictor(head).predict(X, None, model.n_threads) for head in heads]


def outputs(model: Model, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
    """Return the outputs for preprocessed rows."""
    predictor = model.predictor
    if predictor is None or not predictor.fits(model):
        model.need_built("predict")
        attributes.settle(model)
        predictor = model.predictor = Predictor(model)
    return predictor.predict(x, batch_size, model.n_threads)


class Predictor:
    """One model's prediction programs, kept between calls.

    A program serves one thread at a time.  A thread that finds none free makes another.
    """

    def __init__(self, model: Model):
        # Changing the model's settings later must not affect programs in use.
        self._model, self._backend = model.head(len(model.layers)), model.backend
        self._layers, self._parameters = self._model.layers, model.parameters
        self._revision, self._settings = revision(), self._snapshots()
        self._n_inputs, self._n_outputs = model.n_inputs, model.n_outputs
        self._flops = model.flops() + ROW_FLOPS
        self._few = min(ROWS, int(_PIECE_FLOPS / self._flops))
        self._free: list[team.Kept] = []

    def fits(self, model: Model) -> bool:
        """Return whether a predictor made now would be the same."""
        if self._revision != (now := revision()):
            if self._settings != self._snapshots():
                return False
            self._revision = now
        return (
            model.layers == self._layers
            and model.parameters is self._parameters
            and model.policy == self._model.policy
            and model.backend == self._backend
        )

    def _snapshots(self) -> list[Any]:
        return [layer.snapshot() for layer in self._layers]

    def predict(self, X: ArrayLike, batch_size: int | None, n_threads: int | None) -> np.ndarray:
        """Return the outputs for the rows of `X`; see :meth:`fastnn.Network.predict`."""
        if batch_size is not None:
            batch_size = checks.positive_int(batch_size, "batch_size")
        x = checks.as_rows(X, self._n_inputs, empty=True)
        dtype = self._model.dtype
        out = np.empty((len(x), self._n_outputs), dtype)
        if not len(x):
            return out
        as_it_is = x.dtype == dtype and x.flags.c_contiguous
        if as_it_is and batch_size is None and len(x) <= self._few:
            finite = self._run(x, out, self._free, ROWS)
        else:
            finite = self._share_out(x, out, as_it_is, batch_size, n_threads)
        if not finite:
            checks.as_inputs(X, self._n_inputs, dtype)  # says where
            raise ValueError("X changed while it was read")
        return out

    def _share_out(self, x, out, as_it_is, batch_size, n_threads) -> bool:
        """Predict piece by piece, on threads if they pay off; return whether `x` is finite."""
        rows, free, x = ROWS, self._free, x.view()  # its shape stays, whatever the caller does
        if batch_size is not None:
            rows, free = min(batch_size, len(x)), []
        if self._backend == "numpy":
            n_threads = 1
        work = self._flops * len(x) / _START_FACTOR
        n_threads = cores.threads_for(work, len(x), n_threads)
        piece = max(rows, int(_PIECE_FLOPS / self._flops)) if as_it_is else rows
        piece = min(piece, -(-len(x) // n_threads))

        def job(first):
            here = x[first : first + piece]
            if not as_it_is:
                with np.errstate(all="ignore"):  # the program finds the infinity
                    here = np.ascontiguousarray(here, out.dtype)
            return self._run(here, out[first : first + piece], free, rows)

        return threads.share_out(job, range(0, len(x), piece), n_threads)

    def _run(self, x, out, free, rows) -> bool:
        """Run a free or new program for batches of `rows` rows; return whether `x` is finite."""
        try:
            kept = free.pop()
        except IndexError:
            kept = team.Kept(lowering.prediction(self._model, rows), self._backend)
        finite = kept.run(x, out)
        free.append(kept)
        return finite
