"""The network: what people import."""

import copy
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks, losses, lowering, optimizers, storage
from fastnn.callbacks import CallbackList, History, ProgressBar
from fastnn.engine import cores, team
from fastnn.engine.clock import Clock
from fastnn.engine.program import aligned_copy
from fastnn.layers import Dense, Parameter
from fastnn.lowering import Data, Model, Order

_FORMAT = "fastnn-network-1"
_PREDICT_ROWS = 256
"""Rows of a batch of prediction or evaluation for each thread: its layers stay in the cache."""


class Network:
    """A fully-connected network.

    Parameters
    ----------
    layers : sequence of Dense
        From the inputs to the outputs; the number of inputs is that of the data.
    loss : str or Loss
        "mse", "mae", "softmax_cross_entropy" or "logistic"; the loss of a batch is the mean over
        its rows.  A last layer with the loss's own activation (softmax, sigmoid) is fused with it.
    optimizer : str or Optimizer
        "sgd", "adam", or an object with settings, such as ``SGD(0.1, momentum=0.9)``, whose
        `learning_rate` may be set anew between fits and, by a callback, between epochs.
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

    Attributes
    ----------
    stop_training : bool
        A callback sets it to end `fit` after the epoch.
    extra : dict
        Anything JSON can hold that should be stored with the network.

    Raises
    ------
    ValueError, TypeError
        For zero layers, unknown names and values out of range.

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
        layers: Sequence[Dense],
        *,
        loss: Any = "mse",
        optimizer: Any = "sgd",
        seed: int = 0,
        dtype: Any = "float32",
        n_threads: int | None = None,
        backend: str = "numba",
    ):
        self.layers = _as_layers(layers)
        self.loss = losses.get(loss)
        self.optimizer = optimizers.get(optimizer)
        self.seed = checks.non_negative_int(seed, "seed")
        if self.seed >= 2**63:
            raise ValueError(f"seed must be below 2**63, got {seed}")
        self.dtype = np.dtype(checks.one_of(_dtype_name(dtype), "dtype", ("float32", "float64")))
        if n_threads is not None:
            n_threads = checks.positive_int(n_threads, "n_threads")
        self.n_threads = n_threads
        self.backend = checks.one_of(backend, "backend", ("numba", "numpy"))
        self.stop_training = False
        self.extra: dict[str, Any] = {}
        self._parameters: list[list[Parameter]] = []
        self._epochs = 0
        self._updates = 0
        self._check_fit_together()

    def _check_fit_together(self) -> None:
        last = self.layers[-1].activation.name
        wanted = self.loss.fused
        if wanted is not None and last not in (wanted, "linear"):
            raise ValueError(
                f"loss {self.loss.name!r} wants a last layer with activation {wanted!r} or "
                f"'linear' (then predict gives logits), got {last!r}"
            )
        if self.loss.target == "class" and self.layers[-1].units < 2:
            raise ValueError(
                f"loss {self.loss.name!r} wants a unit for each class in the last layer, at "
                f"least 2, got {self.layers[-1].units}"
            )

    @property
    def built(self) -> bool:
        """Whether the parameters exist: the number of inputs is known."""
        return bool(self._parameters)

    def build(self, n_inputs: int) -> None:
        """Make the parameters for `n_inputs` inputs; the first `fit` does it.

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
        rng = np.random.default_rng(self.seed)
        parameters = []
        for layer in self.layers:
            parameters.append(layer.build(n_inputs, rng, self.dtype))
            n_inputs = layer.units
        self._parameters = parameters

    def _model(self) -> Model:
        return Model(self.layers, self._parameters, self.loss, self.dtype)

    def _built_model(self, what: str) -> Model:
        if not self.built:
            raise ValueError(f"{what} wants a network with parameters: call fit or build first")
        return self._model()

    def _threads(self, rows: int, flops: int) -> int:
        if self.backend == "numpy":
            return 1
        return cores.threads_for(flops * rows, rows, self.n_threads)

    def _data(self, X, y, sample_weight, prefix="", n_inputs=None) -> Data:
        """Let data in by the door."""
        if n_inputs is None and self.built:
            n_inputs = self._model().n_inputs
        x = checks.as_inputs(X, n_inputs, self.dtype, f"{prefix}X")
        n_outputs, name = self.layers[-1].units, f"{prefix}y"
        if self.loss.target == "class":
            y = checks.as_class_labels(y, len(x), n_outputs, name)
        elif self.loss.target == "binary":
            y = checks.as_binary_targets(y, len(x), n_outputs, self.dtype, name)
        else:
            y = checks.as_regression_targets(y, len(x), n_outputs, self.dtype, name)
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
        batch_size: int = 32,
        shuffle: bool = True,
        validation_data: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        sample_weight: ArrayLike | None = None,
        callbacks: Iterable[Any] | None = None,
        verbose: int = 0,
    ) -> History:
        """Train for `epochs` epochs; a second call goes on where the first ended.

        Parameters
        ----------
        X : array-like, (n, n_inputs)
            Numbers of any dtype and layout; memory maps are read a batch at a time.
        y : array-like
            (n, n_outputs), for one output ``y[:, None]``; integer labels (n,) for softmax
            cross-entropy.
        epochs, batch_size : int
            The last batch of an epoch is smaller if need be; a batch larger than the data is all.
        shuffle : bool
            A new order of the rows each epoch, from the seed.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch.
        validation_split : float in [0, 1)
            Share of the rows, the last ones, to hold out instead.
        sample_weight : array-like, (n,), optional
            The loss is the weighted mean over the rows of a batch.
        callbacks : list of Callback or callables (epoch, logs), optional
        verbose : {0, 1, 2}
            Nothing, a progress bar, a line for each epoch.

        Returns
        -------
        History
            The "loss" of an epoch is the mean over its batches, each before its update.

        Raises
        ------
        ValueError, TypeError
            For bad input, before anything is changed.
        FloatingPointError
            If a loss is not finite.  Its update is not made: the weights are those before it.
        KeyboardInterrupt
            On Ctrl-C, after the step in progress.
        """
        epochs = checks.positive_int(epochs, "epochs")
        batch_size = checks.positive_int(batch_size, "batch_size")
        shuffle = checks.boolean(shuffle, "shuffle")
        verbose = checks.non_negative_int(verbose, "verbose")
        held_out = checks.fraction(validation_split, "validation_split")
        data = self._data(X, y, sample_weight)
        validation = self._validation(validation_data, held_out, data)
        if validation is not None and validation_data is None:
            data = _rows(data, slice(0, len(data.x) - len(validation.x)))
        history = History()
        bar = [ProgressBar(epochs, verbose)] if verbose else []
        if not isinstance(callbacks, Iterable | None):
            raise TypeError(f"callbacks must be a list, got {type(callbacks).__name__}")
        hooks = CallbackList([history, *bar, *(callbacks or ())])
        for part in (data, validation):
            if part is not None and part.weight is not None and not part.weight.any():
                raise ValueError("sample_weight is 0 for all rows to train on or to validate on")

        self.build(data.x.shape[1])
        self._train(data, validation, epochs, batch_size, shuffle, hooks, bool(bar or callbacks))
        return history

    def _validation(self, given, held_out: float, data: Data) -> Data | None:
        if given is not None:
            if held_out:
                raise ValueError("validation_data and validation_split were both given")
            if not isinstance(given, Sequence) or len(given) not in (2, 3):
                raise ValueError(
                    "validation_data must be (X, y) or (X, y, sample_weight), "
                    f"got {type(given).__name__}"
                )
            x, y, weight = (*given, None)[:3]
            return self._data(x, y, weight, "validation ", data.x.shape[1])
        if not held_out:
            return None
        n = int(len(data.x) * held_out)
        if not 0 < n < len(data.x):
            raise ValueError(
                f"validation_split {held_out} of {len(data.x)} rows leaves no rows to train on "
                "or none to validate on"
            )
        return _rows(data, slice(len(data.x) - n, None))

    def _train(self, data, validation, epochs, batch_size, shuffle, hooks, watched) -> None:
        model = self._model()
        n = len(data.x)
        batch_size = min(batch_size, n)
        n_threads = self._threads(batch_size, 3 * model.flops())
        order = Order(shuffle, self.seed)
        settings = None
        by_epoch = watched or validation is not None or self._penalized()
        logs: dict[str, float] = {}
        done = 0
        self.stop_training = False
        hooks.on_train_begin(self)
        try:
            while done < epochs and not self.stop_training:
                if settings != repr(self.optimizer):  # a callback may have changed it
                    self._adopt_optimizer()
                    settings = repr(self.optimizer)
                    program, outputs = lowering.training(
                        model, self.optimizer, data, order, batch_size, n_threads
                    )
                    program.updates = self._updates

                def watch(_, rows, sums, epoch=done):
                    mean = sums[0, 0] / sums[0, 1] if sums[0, 1] else float("nan")
                    hooks.on_progress(epoch, rows, n, float(mean))

                try:
                    outcome = team.run(
                        program,
                        n_rows=n,
                        epochs=1 if by_epoch else epochs - done,
                        first_epoch=self._epochs,
                        backend=self.backend,
                        watch=watch if watched else None,
                    )
                finally:
                    self._updates = program.updates
                for epoch in range(outcome.epochs):
                    logs = {"loss": float(outcome.sums[epoch, 0] / outcome.sums[epoch, 1])}
                    logs["loss"] += self._penalty()
                    logs |= {"seconds": float(outcome.seconds[epoch]), "rows": n}
                    if validation is not None:
                        logs["val_loss"] = self._evaluate(validation)
                    self._epochs += 1
                    hooks.on_epoch_end(done, logs)
                    done += 1
                if not outcome.finite:
                    raise FloatingPointError(_blame(model, outputs, outcome.clock, done))
        finally:
            hooks.on_train_end(logs)

    def _adopt_optimizer(self) -> None:
        """Check the optimizer's settings, and start its state where it has none."""
        self.optimizer = optimizers.get(self.optimizer.to_config())
        kept = [parameter.keep_state(self.optimizer) for parameter in self._all_parameters()]
        if not all(kept):
            self._updates = 0  # Adam's correction counts from the start of its moments

    def _all_parameters(self) -> list[Parameter]:
        return [parameter for layer in self._parameters for parameter in layer]

    def _penalized(self) -> bool:
        return any(parameter.regularizer for parameter in self._all_parameters())

    def _penalty(self) -> float:
        """Return the sum of the penalties on the present weights."""
        return lowering.penalty(self._all_parameters(), self.backend)

    def _evaluate(self, data: Data) -> float:
        model = self._model()
        n_threads = self._threads(min(len(data.x), 2 * _PREDICT_ROWS), model.flops())
        program = lowering.evaluation(
            model, data, min(len(data.x), _PREDICT_ROWS * n_threads), n_threads
        )
        outcome = team.run(program, n_rows=len(data.x), backend=self.backend)
        if not outcome.finite:
            return float("nan")
        return float(outcome.sums[0, 0] / outcome.sums[0, 1]) + self._penalty()

    def evaluate(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the loss on the given rows, penalties included; NaN where it is not finite.

        Raises
        ------
        ValueError, TypeError
            For bad input, or a network that has no parameters yet.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> network = fastnn.Network([fastnn.Dense(1, kernel_initializer="zeros")])
        >>> network.build(1)
        >>> network.evaluate(np.ones((2, 1)), np.array([[1.0], [2.0]]))
        2.5
        """
        self._built_model("evaluate")
        return self._evaluate(self._data(X, y, sample_weight))

    def predict(self, X: ArrayLike, batch_size: int | None = None) -> np.ndarray:
        """Return the network's outputs, (n, n_outputs), of the network's dtype.

        With softmax or sigmoid in the last layer these are probabilities; a linear last layer
        under softmax cross-entropy or the logistic loss gives logits.

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
        model = self._built_model("predict")
        x = checks.as_inputs(X, model.n_inputs, self.dtype)
        out = np.empty((len(x), model.n_outputs), self.dtype)
        n_threads = self._threads(min(len(x), 2 * _PREDICT_ROWS), model.flops())
        if batch_size is None:
            batch_size = _PREDICT_ROWS * n_threads
        batch_size = min(checks.positive_int(batch_size, "batch_size"), len(x))
        program = lowering.prediction(model, x, out, batch_size, n_threads)
        team.run(program, n_rows=len(x), backend=self.backend)
        return out

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
        """Return copies of the parameters: W, b, W, b ... with W of shape (n_in, n_out)."""
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
        values = [parameter.value for parameter in self._all_parameters()]
        given = checks.as_weights(weights, [value.shape for value in values], self.dtype)
        for value, new in zip(values, [np.array(new) for new in given], strict=True):
            value[...] = new

    def save(self, path: str | os.PathLike[str], extra: dict[str, Any] | None = None) -> None:
        """Write the network to a file: safetensors, with its description as JSON in the header.

        The file appears whole or not at all.  It holds the optimizer's state too, so that training
        can go on.  `extra` replaces :attr:`extra`.

        Raises
        ------
        ValueError
            For a network that has no parameters yet.
        TypeError
            If JSON cannot hold `extra`.
        OSError
            If the file cannot be written.
        """
        self._built_model("save")
        extra = self.extra if extra is None else dict(extra)
        arrays = {}
        for number, layer in enumerate(self._parameters):
            for parameter in layer:
                name = f"layers.{number}.{parameter.name}"
                arrays[name] = parameter.value
                for key, state in parameter.state.items():
                    arrays[f"optimizer.{name}.{key}"] = state
        header = {
            "format": _FORMAT,
            "n_inputs": self._model().n_inputs,
            "layers": [layer.to_config() for layer in self.layers],
            "loss": self.loss.name,
            "optimizer": self.optimizer.to_config(),
            "seed": self.seed,
            "dtype": self.dtype.name,
            "n_threads": self.n_threads,
            "backend": self.backend,
            "epochs": self._epochs,
            "updates": self._updates,
            "extra": extra,
        }
        storage.save(path, arrays, header)
        self.extra = extra

    def summary(self) -> None:
        """Print the layers, their shapes and numbers of parameters."""
        rows = [("layer", "activation", "output", "parameters")]
        for number, layer in enumerate(self.layers):
            count = "not built"
            if self.built:
                count = f"{sum(p.value.size for p in self._parameters[number]):,}"
            rows.append((type(layer).__name__, layer.activation.name, str(layer.units), count))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            print(
                f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  "
                f"{row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}"
            )
        total = sum(parameter.value.size for parameter in self._all_parameters())
        print(f"{total:,} parameters, {self.dtype.name}, loss {self.loss.name}, {self.optimizer}")


def load(path: str | os.PathLike[str]) -> Network:
    """Return the network that :meth:`Network.save` wrote, ready to predict or to train on.

    Raises
    ------
    ValueError
        If the file is not one of a network, is damaged, or names a loss or an activation that is
        not built in.
    OSError
        If the file cannot be read.
    """
    arrays, header = storage.load(path)
    if header.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a fastnn network (format {header.get('format')!r})")
    try:
        network = Network(
            [Dense(**config) for config in header["layers"]],
            loss=header["loss"],
            optimizer=header["optimizer"],
            seed=header["seed"],
            dtype=header["dtype"],
            n_threads=header["n_threads"],
            backend=header["backend"],
        )
        network.build(header["n_inputs"])
        for number, layer in enumerate(network._parameters):
            for parameter in layer:
                name = f"layers.{number}.{parameter.name}"
                parameter.value[...] = arrays[name]
                prefix = f"optimizer.{name}."
                parameter.state = {
                    key.removeprefix(prefix): aligned_copy(array)
                    for key, array in arrays.items()
                    if key.startswith(prefix)
                }
        network.extra = header["extra"]
        network._epochs, network._updates = header["epochs"], header["updates"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a whole fastnn network: {error}") from error
    return network


def _as_layers(layers) -> list[Dense]:
    if isinstance(layers, Dense) or not isinstance(layers, Iterable):
        raise TypeError(f"layers must be a sequence of Dense, got {type(layers).__name__}")
    found = list(layers)
    if not found:
        raise ValueError("layers is empty, wanted at least one Dense")
    for number, layer in enumerate(found):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers[{number}] must be a Dense, got {type(layer).__name__}")
    return found


def _dtype_name(dtype) -> str:
    try:
        return np.dtype(dtype).name
    except TypeError:
        return str(dtype)


def _rows(data: Data, rows: slice) -> Data:
    weight = None if data.weight is None else data.weight[rows]
    return Data(data.x[rows], data.y[rows], weight)


def _blame(model: Model, outputs: list[np.ndarray], clock: np.ndarray, epoch: int) -> str:
    """Say where a loss that is not finite began."""
    rows = int(clock[Clock.ROWS])
    where = f"the loss {model.loss.name!r}"
    for number, (layer, out) in enumerate(zip(model.layers, outputs, strict=True)):
        if not np.isfinite(out[:rows]).all():
            where = f"layer {number} ({layer})"
            break
    return (
        f"the loss is not finite in epoch {epoch}, rows {clock[Clock.FIRST]} to "
        f"{clock[Clock.FIRST] + rows - 1}: it began in {where}. The update was not made; "
        "a smaller learning rate, or inputs and targets of a smaller scale, may help"
    )
