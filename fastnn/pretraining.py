"""Starts from inputs alone, layer by layer: from their spread, or by denoising autoencoders."""

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import optimizers
from fastnn.callbacks import History
from fastnn.inputs import checks, precision
from fastnn.layers import Dense, Dropout
from fastnn.network import Network
from fastnn.preprocessing import Chain
from fastnn.training.model import Model
from fastnn.training.prediction import Predictor

_CORNERS = 5
"""Rows between which a unit's zero lies."""


@np.errstate(all="ignore")
def pretrain(
    network: Network,
    X: ArrayLike,
    *,
    noise: float = 0.3,
    epochs: int = 10,
    batch_size: int | None = None,
    optimizer: Any = "adam",
) -> list[History]:
    """Initialize the hidden layers of a network from inputs alone, without targets.

    Each hidden `Dense` layer in turn becomes the encoder of a small network, which sets a share
    `noise` of its inputs to 0 and learns to reconstruct them all::

        h = activation(mask(x) @ W + b),    minimize mean (h @ V + c - x)^2

    The layer keeps W and b; V and c are dropped.  The next layer learns from h of the unmasked x.
    The last layer keeps its start, for `fit` to train.  A layer's own penalties and constraints
    apply here, the network's do not.

    Parameters
    ----------
    network : Network
        `Dense` and `Dropout` layers only.  The network is built if need be, and its weights are
        set.  Its `preprocessing` is fitted to X unless it already is.
    X : array-like, (n, n_inputs)
        Rows with or without known targets.  The decoder is linear, so only inputs of similar scale
        count equally.
    noise : float in [0, 1)
        0 gives plain autoencoders.
    epochs, batch_size : int
        For each layer.  `batch_size` has the default of :meth:`Network.fit`.
    optimizer : str or Optimizer

    Returns
    -------
    list of History
        One for each hidden layer.

    Raises
    ------
    ValueError, TypeError
        For bad input, other kinds of layers, and a network without hidden layers.
    FloatingPointError
        If an autoencoder's loss is not finite; the weights stay as they were.

    References
    ----------
    P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked Denoising
    Autoencoders", JMLR 11, 2010; Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle, "Greedy
    Layer-Wise Training of Deep Networks", NIPS 2006.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.random.default_rng(0).normal(size=(200, 3)) @ np.ones((3, 6))
    >>> network = fastnn.Network([fastnn.Dense(4, "tanh"), fastnn.Dense(1)])
    >>> (history,) = fastnn.pretrain(network, x, epochs=20)
    >>> history.history["loss"][-1] < history.history["loss"][0]
    True
    """
    layers = _trained_layers(network)
    network.model.access.check_free("pretrain")
    drop = [Dropout(checks.fraction(noise, "noise"))]
    epochs = checks.positive_int(epochs, "epochs")
    if batch_size is not None:
        batch_size = checks.positive_int(batch_size, "batch_size")
    optimizer = optimizers.get(optimizer)
    rows = _begun(network, X)[:, network.inputs_]
    settings: dict[str, Any] = {
        "seed": network.seed,
        "dtype": network.dtype,
        "backend": network.backend,
    }
    settings["n_threads"] = network.n_threads
    weights, histories = [], []
    for layer in layers[:-1]:
        encoder = copy.copy(layer)
        decoder = Dense(rows.shape[1])
        coder = Network([*drop, encoder, decoder], optimizer=optimizer, **settings)
        histories.append(coder.fit(rows, rows, epochs=epochs, batch_size=batch_size))
        learned = coder.get_weights()[: 1 + layer.use_bias]
        half = Network([encoder], **settings)
        half.build(rows.shape[1])
        half.set_weights(learned)
        rows = half.predict(rows)
        weights += learned
    network.set_weights(weights + network.get_weights()[len(weights) :])
    return histories


@np.errstate(all="ignore")
def initialize_from_data(network: Network, X: ArrayLike) -> None:
    """Start every `Dense` layer from the rows that it sees: where they lie, and how far apart.

    For each unit of each `Dense` layer in turn, with the outputs x of the layer before::

        W = W / std(x @ W),    b = -sum_k c_k x_k @ W

    so that what goes into the activation has deviation 1 over the rows, and is 0 at a random point
    among them: x_1 to x_5 are random rows, and c_1 to c_5 exponential random numbers divided by
    their sum, others for each unit.  A unit that is the same for all rows keeps its W.  Biases
    that :class:`Dense` leaves at 0 put all these points at 0.

    The directions of W stay those of `kernel_initializer`.  All other layers work as in `predict`
    and keep their parameters.  The result depends on the network's seed, its weights and X.

    Parameters
    ----------
    network : Network
        Before its first `fit`.  It is built if need be, and its weights are set.  Its
        `preprocessing` is fitted to X unless it already is.
    X : array-like, (n, n_inputs)
        The rows to train on, or some thousands of them.

    Raises
    ------
    ValueError, TypeError
        For bad input.
    FloatingPointError
        If weights would not be finite; they stay as they were.

    References
    ----------
    T. Salimans and D. Kingma, "Weight Normalization", NIPS 2016; D. Mishkin and J. Matas, "All You
    Need Is a Good Init", ICLR 2016 (deviations).  I. Steinwart, "A Sober Look at Neural Network
    Initializations", 2019 (biases).  D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by
    Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data", NeurIPS 2024 (both).

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.random.default_rng(0).normal(5.0, 2.0, size=(100, 3))
    >>> network = fastnn.Network([fastnn.Dense(4), fastnn.Dense(1)])
    >>> fastnn.initialize_from_data(network, x)
    >>> network.layer_outputs(x)[0].std(axis=0).round(3)
    array([1., 1., 1., 1.], dtype=float32)
    """
    _check_network(network)
    network.model.access.check_free("initialize_from_data")
    rows = _begun(network, X)
    twin = copy.copy(network)
    for number, layer in enumerate(twin.layers):
        if isinstance(layer, Dense):
            _start(twin.model, number, layer, rows)
    network.set_weights(twin.get_weights())


def _start(model: Model, number: int, layer: Dense, rows: np.ndarray) -> None:
    """Set the weights of a Dense layer, by the network's inputs `rows`."""
    kernel, *biases = (each.value for each in model.parameters[number])
    for bias in biases:
        bias[...] = 0
    head = model.head(number + 1)
    head.layers[number] = Dense(layer.units, use_bias=layer.use_bias)  # without the activation
    z = Predictor(head).predict(rows, None, model.n_threads)
    deviation = np.std(z, axis=0, dtype=np.float64)
    rounding = np.finfo(z.dtype).eps * np.abs(z).max(axis=0)
    deviation[deviation <= rounding] = 1
    kernel /= deviation
    rng = np.random.default_rng([model.seed, number])
    shares = rng.exponential(size=(_CORNERS, layer.units))
    chosen = rng.integers(len(z), size=shares.shape)
    for bias in biases:
        points = np.take_along_axis(z, chosen, axis=0) / deviation
        bias[...] -= (shares * points).sum(axis=0) / shares.sum(axis=0)
    if not all(np.isfinite(each).all() for each in (deviation, kernel, *biases)):
        raise FloatingPointError(
            f"X gives layers[{number}], {layer}, numbers that are too large or too small: "
            "standardize it"
        )


def _begun(network: Network, X: ArrayLike) -> np.ndarray:
    """Fit the preprocessing, build the network, and return the rows as its first layer gets them.

    It is for functions that users call.
    """
    names = network.model.names.agreed(X)
    rows = network.model.check_inputs(X)
    # Between the user and that function is what `errstate` wraps it in.
    precision.warn_of_lost_digits(rows, X, "X", network.model.input_dtype, stacklevel=4)
    chain = network.preprocessing
    if chain is not None:
        if not chain.fitted:
            chain = Chain(chain.steps).fit(rows)  # other networks may have the unfitted one
            chain.names_ = names
            network.preprocessing = chain
        rows = chain.transform(rows, network.model.dtype)
    network.build(np.shape(rows)[1])
    network.model.names = names
    return np.asarray(rows, network.model.dtype)


def _check_network(network: Any) -> None:
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")


def _trained_layers(network: Network) -> list[Dense]:
    _check_network(network)
    for number, layer in enumerate(network.layers):
        if not isinstance(layer, Dense | Dropout):
            raise ValueError(
                f"network.layers[{number}] is {layer}, wanted Dense and Dropout layers only"
            )
    layers = [layer for layer in network.layers if isinstance(layer, Dense)]
    if len(layers) < 2:
        raise ValueError("network has no hidden layer, wanted at least two Dense layers")
    return layers
