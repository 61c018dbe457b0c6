"""`Network`, the public face of a model, and `load`."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastnn.callbacks import History
from fastnn.files import modelfile
from fastnn.layers import Layer
from fastnn.training import attributes, compacting, evaluation, fitting, fresh, prediction, summary
from fastnn.training.inspection import Inspected
from fastnn.training.model import Model

if TYPE_CHECKING:
    from fastnn.training.explaining import Explanation


class Network(attributes.OfNetwork, Inspected):
    """A fully-connected network.

    Methods raise ValueError or TypeError for bad input, and then change nothing.  Those that need
    parameters do so too before `fit` or `build` has made them.

    Parameters
    ----------
    layers : sequence of Layer
        `Dense`, `Activation`, `ParametricActivation`, `BatchNormalization`, `LayerNormalization`,
        `Scale`, `Dropout`, `Embedding`, `PeriodicEmbedding`, `PiecewiseLinearEmbedding` and
        `HierarchicalSoftmax`, from input to output.  The data determine the number of inputs.
    loss : str or Loss
        A name such as "mse", "mae" or "softmax_cross_entropy", an object such as ``Huber(0.5)``, or
        ``Custom`` with your own functions; see :mod:`fastnn.losses`.  A batch's loss is the mean
        over its rows, or their sum.  If the last layer has the loss's own activation (softmax,
        sigmoid or exponential), the two are fused.
    optimizer : str or Optimizer
        "sgd", "gd", "adagrad", "adadelta", "rmsprop", "rprop", "adam", "adamw", "nadam", "lbfgs",
        or an object such as ``SGD(0.1, momentum=0.9)``.  Its `learning_rate` may be a schedule.
        The network holds this very object, and several networks may hold the same.
    kernel_regularizer, bias_regularizer : str or Regularizer or None
        Penalties for every layer without its own; ``L2(0)`` exempts a layer.
    seed : int
        Seeds the starting weights, the order of the rows, and which of them are held out.
    dtype : {"float32", "float64", "mixed_bfloat16"}
        The last is float32, but `Dense` rounds what it multiplies to bfloat16: see the README.
    n_threads : int or None
        Upper limit on threads, which are never more than the cores; None is FASTNN_NUM_THREADS, or
        else the cores this process may use, within other libraries' limits (README, "Threads").
        The weights do not depend on it.
    backend : {"numba", "numpy"}
        "numpy" runs the reference kernels: slow; use it to verify results.
    metrics : str or function or list of them, optional
        "mae", "mse", "rmse", "r2", "accuracy", "top_5_accuracy" (any number), "log_loss", or
        functions ``f(y, prediction)``; see :mod:`fastnn.metrics`.  `evaluate` computes them, and
        `fit` after each epoch, at the cost of predicting the training and validation rows.
    preprocessing : transformer or list, optional
        Transformers for the inputs: objects or names from :mod:`fastnn.preprocessing`, or any with
        scikit-learn's methods.  The attribute holds copies, a Chain, that the first `fit` fits to
        its training rows.  `fit`, `evaluate` and `predict` apply them, in float64, to a copy of X.
        With "one_hot", "ordinal" or "target_mean" first, X may have texts, booleans and dates;
        with "impute", missing values.

    Attributes
    ----------
    stop_training : bool
        Set by a callback to end `fit` after the current epoch.
    extra : dict
        Anything JSON can hold, to be saved with the network.

    Notes
    -----
    Attributes and settings may change, also in a callback: predictions follow at once, a fit from
    its next epoch.  What the parameters were made from (units, initializers, dtype) then raises
    ValueError, at the latest when the network is used; `seed` is that of rows and dropout only.

    Threads may share a network.  While one fits, others that change it, as `fit` within a callback,
    get RuntimeError.  Those that read (`predict`, `save`, a copy, a fork) wait up to 20 ms and a
    batch, and get weights after a whole update (under LBFGS, an iteration).

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> layers = [fastnn.Dense(16, "tanh"), fastnn.Dense(1)]
    >>> network = fastnn.Network(layers, optimizer=fastnn.Adam(0.01))
    >>> history = network.fit(x, x**2, epochs=200, batch_size=20)
    >>> bool(np.abs(network.predict(x) - x**2).mean() < 0.05)
    True
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        loss: Any = "mse",
        optimizer: Any = "sgd",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        seed: int = 0,
        dtype: Any = "float32",
        n_threads: int | None = None,
        backend: str = "numba",
        metrics: Any = None,
        preprocessing: Any = None,
    ):
        self.model = Model(
            layers,
            loss=loss,
            optimizer=optimizer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            seed=seed,
            dtype=dtype,
            n_threads=n_threads,
            backend=backend,
            metrics=metrics,
            preprocessing=preprocessing,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({summary.line(self.model)})"

    def _repr_html_(self) -> str:
        return summary.html(self.model)

    def build(self, n_inputs: int) -> None:
        """Make the parameters for `n_inputs` inputs, as the first `fit` does.

        With `preprocessing`, count the columns that it returns.  Raises ValueError if the network
        is already built for another number of inputs.
        """
        self.model.build(n_inputs)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        validation_data: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        validation_shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: Any = None,
        callbacks: Any = None,
        verbose: int = 0,
        shards: int | None = None,
        communicator: Any = None,
    ) -> History:
        """Train for `epochs` epochs, continuing from the current weights (a warm start).

        Two calls give the weights of one call for the sum of their epochs, bit for bit, even with
        `save` and :func:`load` in between.  A call after Ctrl-C restarts the interrupted epoch.

        Parameters
        ----------
        X : array-like, (n, n_inputs), or what :func:`fastnn.data.to_memmap` takes
            Numbers of any dtype and layout.  Memory maps are read one batch at a time.  Paths,
            LazyFrames and the like go into files first, and `y` and `sample_weight` name columns.
            All later frames must have the columns of the first, by name and in order.
        y : array-like
            Targets (n, n_targets), or (n,), most with an output each; integer labels for classes.
        epochs, batch_size : int
            The default `batch_size` is 32, or all rows for GD, Rprop and LBFGS, which need all.
        shuffle : bool
            Reorder the rows every epoch, from the seed.
        drop_last : bool
            Leave out the last batch of an epoch if it is smaller than the others, as PyTorch does.
            With `shuffle`, that is other rows each time.  The loss is that of the rows used.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Rows to evaluate after each epoch.
        validation_split : float in [0, 1)
            Instead, hold out this share of the rows.
        validation_shuffle : bool
            Draw them at random, by the seed: the same at each call.  Each class loses the same
            share, but not its only row.  With False, they are the last rows, as in Keras.
        sample_weight : array-like, (n,), optional
            Weights of the rows; a common factor cancels in a mean.  See :mod:`fastnn.losses`.
        class_weight : dict, array-like or "balanced", optional
            Factors for the training rows' weights, by label: (n_classes,), or a dict or Series such
            as ``{1: 5.0}``, which gives other classes 1.  "balanced" gives all the same total.  For
            class losses, and one output with labels 0 and 1 (logistic) or -1 and 1 (hinge).
        callbacks : Callback or function of (epoch, logs), or list of them, optional
        verbose : {0, 1, 2} or bool
            Show nothing, a progress bar, or a line per epoch.
        shards : int, optional
            Cut each batch into so many slices, and sum them along a fixed tree: then the weights do
            not depend on how many processes share them, a power of two up to `shards`.
        communicator : mpi4py.MPI.Comm, optional
            The processes that share the batches; `shards` is then 16 by default.  All pass the same
            rows, or each its own: docs/guides/mpi.md.

        Returns
        -------
        History
            An epoch's "loss" is the mean over its batches, or the sum, each before its update.
            Metrics are those of the weights after the epoch.

        Raises
        ------
        FloatingPointError
            If a loss or a weight is not finite.  The network goes back to its last weights, all
            finite, with a finite loss.
        RankError
            If another process has left the fit, or none has come within FASTNN_RANK_TIMEOUT s, 300.
        KeyboardInterrupt
            On Ctrl-C, after the step in progress.
        """
        how = {"epochs": epochs, "batch_size": batch_size, "shuffle": shuffle}
        held_out = {"validation_split": validation_split, "validation_shuffle": validation_shuffle}
        weights = {"sample_weight": sample_weight, "class_weight": class_weight}
        others = {"validation_data": validation_data, "callbacks": callbacks, "verbose": verbose}
        others |= {"drop_last": drop_last, "shards": shards, "communicator": communicator}
        return fitting.fit(self, X, y, **how, **held_out, **weights, **others)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> "Network":
        """Train for one epoch on more rows, for data that arrive in pieces.

        The first call fits `preprocessing` to its rows.  Parameters and errors are those of
        :meth:`fit`.  Returns the network, as scikit-learn does.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1)])
        >>> for part in np.split(np.linspace(-1, 1, 100)[:, None], 5):
        ...     network = network.partial_fit(part, 2 * part)
        >>> network.epochs_done
        5
        """
        self.fit(X, y, batch_size=batch_size, sample_weight=sample_weight)
        return self

    def explain(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        measure: bool = False,
    ) -> "Explanation":
        """Return the steps that `fit` would run for a batch; print the result to read them.

        Each line is one kernel call, in order: how the threads share its work, its arrays, and with
        `measure` its time.  docs/engine.md walks through such a listing.  The result's `steps` are
        its lines, and `epoch` an epoch's seconds.  It works on a copy.

        Parameters
        ----------
        X, y, batch_size, shuffle, drop_last, sample_weight, class_weight
            As in :meth:`fit`, and so are the errors.
        measure : bool
            Also time the steps, in about 3 s or a few epochs.  Not with backend "numpy".

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1)], loss="mae")
        >>> explanation = network.explain(np.ones((20, 3)), np.ones((20, 1)), batch_size=10)
        >>> [step.kernel for step in explanation.steps if step.purpose.work == "update"]
        ['matmul_tn_add', 'column_sums', '& sgd_update']
        """
        from fastnn.training import explaining  # most programs never need it

        options = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
        weights = {"sample_weight": sample_weight, "class_weight": class_weight}
        return explaining.explain(self.model, X, y, measure=measure, **options, **weights)

    def train_on_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Make one update with all the given rows, and return their loss before it.

        For streams and custom loops.  From the third call on, batches of the same shape cost some
        microseconds beside the update, if they are contiguous arrays of the network's dtype, with
        labels as int64.  Errors are those of :meth:`fit`; no epoch is counted.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1, kernel_initializer="zeros")], seed=1)
        >>> network.train_on_batch(np.ones((2, 1)), np.array([[1.0], [2.0]]))
        2.5
        """
        return fitting.train_on_batch(self.model, X, y, sample_weight)

    def evaluate(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss on the given rows, including penalties, and the metrics if there are any.

        Parameters are those of :meth:`fit`.  The result is a float; with metrics, a list of the
        loss and each metric; with `return_dict`, a dict by name.  A loss that is not finite is NaN.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1, kernel_initializer="zeros")], metrics=["mae"])
        >>> network.build(1)
        >>> network.evaluate(np.ones((2, 1)), np.array([[1.0], [2.0]]))
        [2.5, 1.5]
        """
        return evaluation.evaluate(self.model, X, y, sample_weight, return_dict)

    def predict(self, X: Any, batch_size: int | None = None) -> np.ndarray:
        """Return the outputs, (n, n_outputs), in the network's dtype.

        One output is (n, 1), whatever `y` was: compare a vector with ``predict(X)[:, 0]``.  No rows
        have no predictions, (0, n_outputs).  If the last layer has softmax or sigmoid, these are
        probabilities.  If it is linear, they are logits under softmax cross-entropy and the
        logistic loss, logarithms of means under the Poisson and Gamma losses, and scores under a
        hinge.  The default `batch_size` suits the cache.
        """
        return prediction.predict(self.model, X, batch_size)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the parameters: W, b, W, b ... with W of shape (n_in, n_out).

        Instead of W and b a `BatchNormalization` has gamma, beta, moving_mean, moving_variance, a
        `LayerNormalization` gamma, beta, a `Scale` its scales, a `ParametricActivation` its shares,
        an `Embedding` its table, a `PeriodicEmbedding` frequencies, phases, kernel, bias, and a
        `PiecewiseLinearEmbedding` kernel, bias.
        """
        self.model.need_built("get_weights")
        return self.model.weights()

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the parameters, in the order of :meth:`get_weights`, or nothing if any is wrong."""
        self.model.need_built("set_weights")
        self.model.set_weights(weights)

    def save(self, path: str | os.PathLike[str], extra: dict[str, Any] | None = None) -> None:
        """Write the network to a safetensors file, with its description as JSON in the header.

        The file appears whole or not at all, with a checksum by which :func:`load` notices damage.
        It has the fitted `preprocessing` and the optimizer's state, so training can continue bit
        for bit, but no code: no metrics that are functions, and only the names of custom
        activations and losses.  `extra` replaces :attr:`extra`.

        Raises
        ------
        TypeError, OSError
            If JSON cannot hold `extra`, if `preprocessing` has another library's transformers,
            which only pickle could store, or if the file cannot be written.
        """
        modelfile.save(self.model, path, extra)

    def compact(self, tolerance: float = 0.0) -> "Network":
        """Return a smaller, faster network with the same outputs, to rounding.

        It drops inputs and units whose outgoing weights are all 0, as proximal penalties make them
        (:class:`GroupL1`, ``L1(method="proximal")``).  It also drops units whose incoming weights
        are all 0, and adds their constant outputs to the next layer's biases.  The new network
        takes the same data but reads only the columns :attr:`inputs_`.  Every layer keeps at least
        one unit, and a hidden softmax layer keeps all.  Layers other than `Dense` raise TypeError.

        Parameters
        ----------
        tolerance : float
            Treat weights up to this magnitude as 0 if a whole group is that small.  Above 0, the
            outputs change accordingly.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(2, "tanh"), fastnn.Dense(1)])
        >>> network.build(3)
        >>> w = [[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]]
        >>> network.set_weights([w, [0.0, 0.5], [[1.0], [1.0]], [0.0]])
        >>> small = network.compact()
        >>> small.layers, small.inputs_
        ([Dense(1, activation='tanh'), Dense(1, activation='linear')], array([0, 2]))
        """
        return type(self).of(compacting.compact(self.model, tolerance))

    def reset(self, seed: int | None = None) -> None:
        """Forget all that training has made, as before the first `fit`; `seed` replaces the seed.

        Weights, optimizer state, epochs, statistics of `preprocessing`, and names and number of
        columns go; settings and :attr:`extra` stay.  Settings that a built network cannot change,
        such as units, may have changed: the next `fit` starts with them.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> x, y, network = np.ones((20, 3)), np.arange(20), fastnn.Network([fastnn.Dense(1)])
        >>> for fold in np.split(np.arange(20), 5):  # each starts from the same weights
        ...     network.reset()
        ...     history = network.fit(np.delete(x, fold, axis=0), np.delete(y, fold))
        """
        fresh.reset(self.model, seed)

    def clone(self, seed: int | None = None) -> Self:
        """Return a network with copies of the settings, perhaps another seed, and no training.

        ``copy.copy(network)`` copies the weights and all else too.

        Examples
        --------
        >>> import fastnn
        >>> network = fastnn.Network([fastnn.Dense(1)], optimizer=fastnn.Adam(0.1))
        >>> ensemble = [network.clone(seed) for seed in range(8)]
        """
        return self._around(fresh.clone(self.model, seed))

    __sklearn_clone__ = clone  # else its `clone` would copy the weights

    def summary(self) -> None:
        """Print the layers with their output sizes and numbers of parameters."""
        print(summary.text(self.model))


def load(path: str | os.PathLike[str], custom: Mapping[str, Any] | None = None) -> Network:
    """Return a network that :meth:`Network.save` wrote, ready to predict or to train further.

    Parameters
    ----------
    path : path
    custom : dict of str to Custom, optional
        The network's custom activations and loss by name: files contain no code.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, is damaged or holds no network, or if `custom` lacks a name.
    """
    return Network.of(modelfile.load(path, custom))
