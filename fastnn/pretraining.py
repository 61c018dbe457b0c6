"""Unsupervised pre-training: denoising autoencoders, layer by layer, start a network."""

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import optimizers
from fastnn.callbacks import History
from fastnn.inputs import checks
from fastnn.layers import Dense, Dropout
from fastnn.network import Network


def pretrain(
    network: Network,
    X: ArrayLike,
    *,
    noise: float = 0.3,
    epochs: int = 10,
    batch_size: int | None = None,
    optimizer: Any = "adam",
) -> list[History]:
    """Start the hidden layers of a network from inputs alone, without targets.

    Each hidden `Dense` layer in turn is the encoder of a small network that sets a share `noise` of
    its inputs to 0 and learns to give back all of them::

        h = activation(mask(x) @ W + b),    minimize mean (h @ V + c - x)^2

    Its W and b then are the layer's, V and c are dropped, and h of the whole x is what the next
    layer learns from.  The last layer keeps its start: it is for `fit` to train.  A layer's own
    penalties and constraints hold here too, the network's do not.

    Parameters
    ----------
    network : Network
        Of `Dense` and `Dropout` layers; it is built if need be, and its weights are set.  Its
        `preprocessing` is fitted on X if it is not yet.
    X : array-like, (n, n_inputs)
        Rows with or without known targets.  The decoder is linear: inputs of a similar scale
        count alike.
    noise : float in [0, 1)
        0 makes plain autoencoders.
    epochs, batch_size : int
        Of each layer; without a batch size as :meth:`Network.fit` has it.
    optimizer : str or Optimizer

    Returns
    -------
    list of History
        One for each hidden layer.

    Raises
    ------
    ValueError, TypeError
        For bad input, other kinds of layers and a network that has no hidden layer.
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
    drop = [Dropout(checks.fraction(noise, "noise"))]
    epochs = checks.positive_int(epochs, "epochs")
    if batch_size is not None:
        batch_size = checks.positive_int(batch_size, "batch_size")
    optimizer = optimizers.get(optimizer)
    rows = checks.as_inputs(X, network.model.n_features, network.dtype, "X")
    chain = network.preprocessing
    if chain is not None:
        if not chain.fitted:
            chain.fit(rows)
        rows = chain.transform(rows, network.dtype)
    network.build(np.shape(rows)[1])
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
