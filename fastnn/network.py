"""The network: what people import."""

import copy
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import losses, optimizers, regularizers
from fastnn.callbacks import CallbackList, History, ProgressBar
from fastnn.engine import cores
from fastnn.files import modelfile
from fastnn.inputs import checks
from fastnn.layers import Dense, Dropout, HierarchicalSoftmax
from fastnn.layers.base import Layer, Parameter, Selection
from fastnn.metrics import get_all
from fastnn.preprocessing.chain import as_chain
from fastnn.training import compacting, evaluation, fitting, lowering, summary
from fastnn.training.lowering import Data, Model
from fastnn.training.prediction import Predictor

if TYPE_CHECKING:
    from fastnn.training.explaining import Explanation


class Network:
    """A fully-connected network.

    Parameters
    ----------
    layers : sequence of Dense, Activation, BatchNormalization, Dropout, HierarchicalSoftmax
        From the inputs to the outputs; the number of inputs is that of the data.
    loss : str or Loss
        "mse", "mae", "softmax_cross_entropy" or another name or object of :mod:`fastnn.losses`,
        such as ``Huber(0.5)``, or ``Custom`` of functions of your own; the loss of a batch is the
        mean over its rows.  A last layer with the loss's own activation (softmax, sigmoid,
        exponential) is fused with it.
    optimizer : str or Optimizer
        "sgd", "gd", "adagrad", "adadelta", "rmsprop", "rprop", "adam", "adamw", "nadam", "lbfgs",
        or an object with settings, such as ``SGD(0.1, momentum=0.9)``, whose `learning_rate` may
        be a schedule, and may be set anew between fits and, by a callback, between epochs.
    kernel_regularizer, bias_regularizer : str or Regularizer or None
        Penalties for all layers that have none of their own; ``L2(0)`` exempts a layer.
    seed : int
        Of the starting weights and of the order of rows: the same seed gives the same network, on
        any number of threads.
    dtype : {"float32", "float64"}
    n_threads : int or None
        Most threads to use; None is the cores that this process may use.  Work that is too small
        to gain by a further thread uses fewer.  The weights are the same bit for bit whatever it
        is.
    backend : {"numba", "numpy"}
        "numpy" runs the reference kernels instead: slow, and right.
    metrics : list of str or function, optional
        Computed after each epoch of `fit` from predictions on the training and validation rows,
        which costs a forward pass over both and room for their outputs, and by `evaluate`: "mae",
        "mse", "rmse", "r2", "accuracy", "top_5_accuracy" (any number), "log_loss", or functions
        ``f(y, prediction)``; see :mod:`fastnn.metrics`.
    preprocessing : transformer or list, optional
        What is done to inputs before the first layer: transformers from
        :mod:`fastnn.preprocessing`, their names, or any with scikit-learn's methods.  The first
        `fit` fits copies of them on its training rows, later ones keep them, and `fit`, `evaluate`
        and `predict` apply them, making a copy of their rows in the network's dtype.

    Attributes
    ----------
    preprocessing : Chain or None
        The copies.
    stop_training : bool
        A callback sets it to end `fit` after the epoch.
    extra : dict
        Anything JSON can hold that should be stored with the network.

    Raises
    ------
    ValueError, TypeError
        For layers without a `Dense` or `HierarchicalSoftmax`, a `Dropout` at their end, unknown
        names and values out of range.

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
        metrics: Iterable[Any] | None = None,
        preprocessing: Any = None,
    ):
        self.layers = _as_layers(layers)
        self.loss = losses.get(loss)
        self.optimizer = optimizers.get(optimizer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.bias_regularizer = regularizers.get_for_bias(bias_regularizer, "bias_regularizer")
        self.seed = checks.non_negative_int(seed, "seed")
        if self.seed >= 2**63:
            raise ValueError(f"seed must be below 2**63, got {seed}")
        self.dtype = np.dtype(checks.one_of(_dtype_name(dtype), "dtype", ("float32", "float64")))
        if n_threads is not None:
            n_threads = checks.positive_int(n_threads, "n_threads")
        self.n_threads = n_threads
        self.backend = checks.one_of(backend, "backend", ("numba", "numpy"))
        self.metrics = get_all(metrics, self.loss.target)
        self.preprocessing = as_chain(preprocessing)
        self.stop_training = False
        self.extra: dict[str, Any] = {}
        self._parameters: list[list[Parameter]] = []
        self._columns = 0
        self._selection: Selection | None = None
        self._epochs = 0
        self._updates = 0
        self._predictor: Predictor | None = None
        self._check_fit_together()

    def __getstate__(self) -> dict[str, Any]:
        # What is kept for predictions holds addresses, which no copy shares.
        return self.__dict__ | {"_predictor": None}

    def _check_fit_together(self) -> None:
        last = self.layers[-1].activation.name
        wanted = self.loss.fused
        if wanted is not None and last not in (wanted, "linear"):
            raise ValueError(
                f"loss {self.loss.name!r} wants a last layer with activation {wanted!r} or "
                f"'linear' (then predict gives what {wanted} would be applied to), got {last!r}"
            )
        self.loss.n_targets(self._model().n_outputs)
        for layer in self.layers:
            layer.check(layer is self.layers[-1], self.loss, self.kernel_regularizer)
        evaluation.check_metrics(self)

    @property
    def built(self) -> bool:
        """Whether the parameters exist: the number of inputs is known."""
        return bool(self._parameters)

    def build(self, n_inputs: int) -> None:
        """Make the parameters for `n_inputs` inputs; the first `fit` does it.

        With `preprocessing` these are the columns that it returns, not those of X.

        Raises
        ------
        ValueError
            If the network is built for another number of inputs.
        """
        n_inputs = checks.positive_int(n_inputs, "n_inputs")
        if self.built:
            if n_inputs != self._model().n_inputs:
                raise ValueError(
                    f"n_inputs is {n_inputs}, but the network is built for "
                    f"{self._model().n_inputs} inputs"
                )
            return
        columns = n_inputs
        rng = np.random.default_rng(self.seed)
        parameters = []
        for layer in self.layers:
            parameters.append(layer.build(n_inputs, rng, self.dtype))
            n_inputs = layer.width(n_inputs)
        default = {"kernel": self.kernel_regularizer, "bias": self.bias_regularizer}
        self._parameters, self._columns = parameters, columns
        for parameter in self._all_parameters():
            parameter.regularizer = parameter.regularizer or default.get(parameter.name)

    @property
    def inputs_(self) -> np.ndarray:
        """The columns of the data that the network reads: all, unless :meth:`compact` made it."""
        model = self._built_model("inputs_")
        return np.arange(model.n_inputs) if model.selection is None else model.selection.index

    def _model(self) -> Model:
        return Model(
            self.layers, self._parameters, self.loss, self.dtype, self._columns, self._selection
        )

    def _built_model(self, what: str) -> Model:
        if not self.built:
            raise ValueError(f"{what} wants a network with parameters: call fit or build first")
        return self._model()

    @property
    def epochs_done(self) -> int:
        """Whole epochs trained so far, by all calls of `fit`, also before `save`."""
        return self._epochs

    def _threads(self, rows: int, flops: int, worth: float | None = None) -> int:
        if self.backend == "numpy":
            return 1
        return cores.threads_for(flops * rows, rows, self.n_threads, worth)

    def _n_columns(self) -> int | None:
        """Return how many columns X must have, if that is known."""
        if self.preprocessing is not None:
            return self.preprocessing.n_features_in_ if self.preprocessing.fitted else None
        return self._model().n_inputs if self.built else None

    def _prepared(self, data: Data) -> Data:
        """Return rows that the door let in as the first layer sees them."""
        if self.preprocessing is None:
            return data
        return replace(data, x=self.preprocessing.transform(data.x, self.dtype))

    def _data(self, X, y, sample_weight, prefix="", n_inputs=None) -> Data:
        """Let data in by the door."""
        if n_inputs is None:
            n_inputs = self._n_columns()
        x = checks.as_inputs(X, n_inputs, self.dtype, f"{prefix}X")
        y = self.loss.as_targets(y, len(x), self._model().n_outputs, self.dtype, f"{prefix}y")
        weight = None
        if sample_weight is not None:
            weight = checks.as_sample_weight(sample_weight, len(x), f"{prefix}sample_weight")
        return Data(x, y, weight)

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        shuffle: bool = True,
        validation_data: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        callbacks: Iterable[Any] | None = None,
        verbose: int = 0,
    ) -> History:
        """Train for `epochs` epochs; a second call goes on where the first ended (a warm start).

        Two calls do bit for bit what one does for the sum of their epochs, also with `save` and
        :func:`load` in between.  An epoch that Ctrl-C cut short is begun anew by the next call.

        Parameters
        ----------
        X : array-like, (n, n_inputs)
            Numbers of any dtype and layout; memory maps are read a batch at a time.
        y : array-like
            (n, n_targets), for one target ``y[:, None]``; integer labels (n,) for losses of
            classes.  Most losses have one output for each target.
        epochs : int
        batch_size : int, optional
            32, or all rows for an optimizer that wants them all (GD, Rprop, LBFGS).  The last
            batch of an epoch is smaller if need be; a batch larger than the data is all.
        shuffle : bool
            A new order of the rows each epoch, from the seed.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch.
        validation_split : float in [0, 1)
            Share of the rows, the last ones, to hold out instead.
        sample_weight : array-like, (n,), optional
            The loss is the weighted mean over the rows of a batch.
        class_weight : dict or array-like, optional
            Factors of the training rows' weights by label: ``{1: 5.0}``, classes that are not in
            it having 1, or (n_classes,).  For losses of classes, and for a single output under
            the logistic loss (0 and 1) or the attribute hinge (-1 and 1).  Validation is without.
        callbacks : list of Callback or callables (epoch, logs), optional
        verbose : {0, 1, 2}
            Nothing, a progress bar, a line for each epoch.

        Returns
        -------
        History
            The "loss" of an epoch is the mean over its batches, each before its update; metrics
            are those of the weights after the epoch.

        Raises
        ------
        ValueError, TypeError
            For bad input, before anything is changed.
        FloatingPointError
            If a loss is not finite.  Its update is not made: the weights are those before it.
        KeyboardInterrupt
            On Ctrl-C, after the step in progress.
        """
        verbose = checks.non_negative_int(verbose, "verbose")
        plan = fitting.make_plan(
            self, X, y, epochs, batch_size, shuffle, validation_data, validation_split,
            sample_weight, class_weight,
        )  # fmt: skip
        plan = fitting.adapt(self, plan)
        history = History()
        bar = [ProgressBar(plan.epochs, verbose)] if verbose else []
        if not isinstance(callbacks, Iterable | None):
            raise TypeError(f"callbacks must be a list, got {type(callbacks).__name__}")
        hooks = CallbackList([history, *bar, *(callbacks or ())])
        if self.loss.warning is not None:
            warnings.warn(self.loss.warning, UserWarning, stacklevel=2)
        fitting.train(self, fitting.begin(self, plan), hooks, bool(bar or callbacks))
        return history

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        batch_size: int | None = None,
    ) -> "Network":
        """Train for one epoch on some more rows, for data that come or are read piece by piece.

        `preprocessing` is fitted on the rows of the first call.  Parameters and errors are those of
        :meth:`fit`; returns the network, as scikit-learn does.

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
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        measure: bool = False,
    ) -> "Explanation":
        """Return what `fit` would do in a batch, step by step; print it to read it.

        A line is one call of a kernel, in the order in which they run: what the threads share of
        its work, its arrays, and with `measure` its time and share of an epoch.  The page
        docs/engine.md goes through such a listing.  The network stays as it is: this works on a
        copy, which with `measure` trains for about three seconds, or a few epochs.

        Parameters
        ----------
        X, y, batch_size, shuffle, sample_weight, class_weight
            As in :meth:`fit`.
        measure : bool
            Run epochs with a clock around each step, in alternation with epochs without.

        Returns
        -------
        Explanation
            ``print(explanation)`` shows it; `steps` has its lines, `epoch` an epoch's seconds.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As :meth:`fit` does; ValueError also if `measure` is asked of the backend "numpy".

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1)], loss="mae")
        >>> explanation = network.explain(np.ones((20, 3)), np.ones((20, 1)), batch_size=10)
        >>> [step.kernel for step in explanation.steps if step.purpose.work == "update"]
        ['matmul_tn_add', 'column_sums', '& sgd_update']
        """
        from fastnn.training import explaining  # only who asks waits for it

        measure = checks.boolean(measure, "measure")
        if measure and self.backend == "numpy":
            raise ValueError("measure times compiled steps, which backend 'numpy' does not run")
        network = copy.deepcopy(self)
        plan = fitting.make_plan(
            network, X, y, 1, batch_size, shuffle, None, 0.0, sample_weight, class_weight
        )
        plan = fitting.begin(network, fitting.adapt(network, plan))
        program, _ = fitting.lowered(network, plan)
        layers = [repr(layer) for layer in network.layers]
        if not measure:
            return explaining.explain(program, layers)
        n_rows = len(plan.data.x)
        return explaining.measured(program, layers, network._all_parameters(), n_rows)

    def train_on_batch(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Make one update with all the given rows; return their loss before it.

        For debugging and for loops of one's own, such as training on a row or a feature at a time.
        Each call prepares the network anew, so `fit` is much faster.  No epoch is counted.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As :meth:`fit` does.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1, kernel_initializer="zeros")], seed=1)
        >>> network.train_on_batch(np.ones((2, 1)), np.array([[1.0], [2.0]]))
        2.5
        >>> network.train_on_batch(np.ones((2, 1)), np.array([[1.0], [2.0]])) < 2.5
        True
        """
        return fitting.train_on_batch(self, self._data(X, y, sample_weight))

    def _all_parameters(self) -> list[Parameter]:
        return [parameter for layer in self._parameters for parameter in layer]

    def _penalty(self) -> float:
        """Return the sum of the penalties on the present weights."""
        return lowering.penalty(self._all_parameters(), self.backend)

    def evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss on the given rows, penalties included; NaN where it is not finite.

        Parameters
        ----------
        X, y, sample_weight : array-like
            As in :meth:`fit`.
        return_dict : bool
            Return a dict of the loss and the metrics by name.

        Returns
        -------
        float, list of float or dict
            The loss; a list of the loss and the metrics, in their order, for a network that has
            metrics; a dict if asked for.

        Raises
        ------
        ValueError, TypeError
            For bad input, or a network that has no parameters yet.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> layers = [fastnn.Dense(1, kernel_initializer="zeros")]
        >>> network = fastnn.Network(layers, metrics=["mae"])
        >>> network.build(1)
        >>> network.evaluate(np.ones((2, 1)), np.array([[1.0], [2.0]]))
        [2.5, 1.5]
        """
        self._built_model("evaluate")
        return_dict = checks.boolean(return_dict, "return_dict")
        data = self._prepared(self._data(X, y, sample_weight))
        values = {"loss": evaluation.evaluator(self, data)()} | evaluation.scored(self, data)
        if return_dict:
            return values
        return list(values.values()) if self.metrics else values["loss"]

    def predict(self, X: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the network's outputs, (n, n_outputs), of the network's dtype.

        With softmax or sigmoid in the last layer these are probabilities; a linear last layer
        under softmax cross-entropy or the logistic loss gives logits, under the Poisson loss the
        logarithms of rates, under a hinge scores.

        Parameters
        ----------
        X : array-like, (n, n_inputs)
        batch_size : int, optional
            Rows that are computed together; by default what suits the cache.

        Raises
        ------
        ValueError, TypeError
            For bad input, or a network that has no parameters yet.
        """
        if self.preprocessing is not None:
            self._built_model("predict")
            x = checks.as_inputs(X, self._n_columns(), self.dtype)
            X = self.preprocessing.transform(x, self.dtype)
        return self._outputs(X, batch_size)

    def _outputs(self, x: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the outputs for prepared rows."""
        made_from = self.layers, self._parameters, self.dtype, self.backend
        predictor = self._predictor
        if predictor is None or not predictor.fits(*made_from):
            predictor = Predictor(self._built_model("predict"), self.backend)
            self._predictor = predictor
        return predictor.predict(x, batch_size, self.n_threads)

    def layer_outputs(self, X: ArrayLike) -> list[np.ndarray]:
        """Return the outputs of every layer for the rows of `X`; the last are those of `predict`.

        Raises
        ------
        ValueError, TypeError
            For bad input, or a network that has no parameters yet.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(5, "relu"), fastnn.Dense(2)])
        >>> network.build(3)
        >>> [outputs.shape for outputs in network.layer_outputs(np.ones((4, 3)))]
        [(4, 5), (4, 2)]
        """
        self._built_model("layer_outputs")
        part = copy.copy(self)  # with the same parameters, which predict only reads
        outputs = []
        for end in range(1, len(self.layers) + 1):
            part.layers, part._parameters = self.layers[:end], self._parameters[:end]
            outputs.append(part.predict(X))
        return outputs

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the parameters: W, b, W, b ... with W of shape (n_in, n_out).

        In place of W and b a `BatchNormalization` has gamma, beta, moving_mean, moving_variance.
        """
        self._built_model("get_weights")
        return [parameter.value.copy() for parameter in self._all_parameters()]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the parameters, in the order of :meth:`get_weights`.

        Raises
        ------
        ValueError, TypeError
            If number, shapes or values are not right; nothing is changed then.
        """
        self._built_model("set_weights")
        parameters = self._all_parameters()
        values = [parameter.value for parameter in parameters]
        given = checks.as_weights(weights, [value.shape for value in values], self.dtype)
        for number, (parameter, new) in enumerate(zip(parameters, given, strict=True)):
            if new.min() < parameter.least:
                raise ValueError(
                    f"weights[{number}] ({parameter.name}) has {new.min()}, wanted at least "
                    f"{parameter.least:g}"
                )
        for value, new in zip(values, [np.array(new) for new in given], strict=True):
            value[...] = new

    def save(self, path: str | os.PathLike[str], extra: dict[str, Any] | None = None) -> None:
        """Write the network to a file: safetensors, with its description as JSON in the header.

        The file appears whole or not at all.  It holds the optimizer's state too, so that training
        can go on bit for bit, and the fitted `preprocessing`.  Metrics that are functions are not
        stored, and of a custom activation or loss the name only.  `extra` replaces :attr:`extra`.

        Raises
        ------
        ValueError
            For a network that has no parameters yet.
        TypeError
            If JSON cannot hold `extra`, or `preprocessing` has another library's transformers,
            which only pickle could store.
        OSError
            If the file cannot be written.
        """
        self._built_model("save")
        extra = self.extra if extra is None else dict(extra)
        modelfile.save(self, path, extra)
        self.extra = extra

    def compact(self, tolerance: float = 0.0) -> "Network":
        """Return a smaller network with the same outputs, to rounding, which predicts faster.

        It has no units and inputs whose outgoing weights are all 0, and no units whose incoming
        weights are all 0: those are constants, and go into the next layer's biases.  Proximal
        penalties (:class:`GroupL1`, ``L1(method="proximal")``) leave such weights.  The new network
        takes the same data, of which it reads the columns :attr:`inputs_`.  It can be trained on,
        stored and compacted again.  Each layer keeps at least one unit, hidden softmax layers all.

        Parameters
        ----------
        tolerance : float
            Weights of at most this magnitude count as 0 where all of a group are so small; above 0
            the outputs change accordingly.

        Raises
        ------
        ValueError, TypeError
            For a network that has no parameters yet, layers other than `Dense`, or a tolerance
            below 0.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> layers = [fastnn.Dense(2, "tanh"), fastnn.Dense(1)]
        >>> network = fastnn.Network(layers)
        >>> network.build(3)
        >>> w = [[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]]
        >>> network.set_weights([w, [0.0, 0.5], [[1.0], [1.0]], [0.0]])
        >>> small = network.compact()
        >>> small.layers, small.inputs_
        ([Dense(1, activation='tanh'), Dense(1, activation='linear')], array([0, 2]))
        """
        self._built_model("compact")
        return compacting.compact(self, tolerance)

    def summary(self) -> None:
        """Print the layers, their shapes and numbers of parameters."""
        print(summary.text(self))


def load(path: str | os.PathLike[str], custom: Mapping[str, Any] | None = None) -> Network:
    """Return the network that :meth:`Network.save` wrote, ready to predict or to train on.

    Parameters
    ----------
    path : path
    custom : dict of str to Custom, optional
        The network's own activations and loss by their names: code is not stored.

    Raises
    ------
    ValueError
        If the file is not one of a network, is damaged, or names a loss or an activation that is
        neither built in nor in `custom`.
    OSError
        If the file cannot be read.
    """
    return modelfile.load(Network, path, custom)


def _as_layers(layers) -> list[Layer]:
    if isinstance(layers, Layer) or not isinstance(layers, Iterable):
        raise TypeError(f"layers must be a sequence of Dense, got {type(layers).__name__}")
    found = list(layers)
    for number, layer in enumerate(found):
        if not isinstance(layer, Layer):
            wanted = "a Dense or another layer"
            raise TypeError(f"layers[{number}] must be {wanted}, got {type(layer).__name__}")
    if not any(isinstance(layer, Dense | HierarchicalSoftmax) for layer in found):
        what = "has no Dense" if found else "is empty"
        raise ValueError(f"layers {what}, wanted at least one Dense or a HierarchicalSoftmax")
    if isinstance(found[-1], Dropout):
        raise ValueError(f"layers ends with {found[-1]}, which would drop outputs")
    return found


def _dtype_name(dtype) -> str:
    try:
        return np.dtype(dtype).name
    except TypeError:
        return str(dtype)
