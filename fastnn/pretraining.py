"""Unsupervised pre-training: denoising autoencoders start a network layer by layer."""

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
    names = network.model.names.agreed(X)
    rows = network.model.check_inputs(X)
    # Between the caller and this function is what `errstate` wraps it in.
    precision.warn_of_lost_digits(rows, X, "X", network.model.input_dtype, stacklevel=3)
    chain = network.preprocessing
    if chain is not None:
        if not chain.fitted:
            chain = Chain(chain.steps).fit(rows)  # other networks may have the unfitted one
            chain.names_ = names
            network.preprocessing = chain
        rows = chain.transform(rows, network.dtype)
    network.build(np.shape(rows)[1])
    network.model.names = names
    rows = np.asarray(rows, network.dtype)[:, network.inputs_]
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


def _trained_layers(network: Network) -> list[Dense]:
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")
    for number, layer in enumerate(network.layers):
        if not isinstance(layer, Dense | Dropout):
            raise ValueError(
                f"network.layers[{number}] is {layer}, wanted Dense and Dropout layers only"
            )
    layers = [layer for layer in network.layers if isinstance(layer, Dense)]
    if len(layers) < 2:
        raise ValueError("network has no hidden layer, wanted at least two Dense layers")
    return layers
