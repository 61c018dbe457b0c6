"""Watch the units and the loss: saturation, dead units, oscillation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.callbacks import Callback, History, Logs
from fastnn.diagnosis.copies import as_network, copy_of
from fastnn.network import Network
from fastnn.preprocessing import Chain

_FLAT = 0.01
"""A sigmoid or tanh this close to a limit is saturated: its slope is below 0.02."""


@dataclass(frozen=True)
class LayerUnits:
    """One layer's units, on some rows.

    Attributes
    ----------
    layer : int
    activation : str
    saturated : float or None
        Share of sigmoid or tanh outputs within 0.01 of a limit; None for other activations.
    dead : float or None
        Share of ReLU units that are 0 on every row; None for other activations.
    """

    layer: int
    activation: str
    saturated: float | None
    dead: float | None


@np.errstate(all="ignore")
def check_units(network: Network, X: ArrayLike) -> list[LayerUnits]:
    """Return the share of saturated and of dead units in every layer that can have them.

    These are the sigmoid, tanh and ReLU layers, except for a last layer whose activation the loss
    contains: there, saturation only means confidence.  A network without parameters is checked with
    its starting weights.

    Parameters
    ----------
    network : Network
    X : array-like, (n, n_inputs)

    Raises
    ------
    ValueError, TypeError
        For bad input.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> layers = [fastnn.Dense(4, "tanh", kernel_initializer="zeros"), fastnn.Dense(1)]
    >>> fastnn.check_units(fastnn.Network(layers), np.eye(3))
    [LayerUnits(layer=0, activation='tanh', saturated=0.0, dead=None)]
    """
    if not as_network(network).built:
        x = network.model.check_inputs(X)
        if network.preprocessing is not None:
            x = Chain(network.preprocessing.steps).fit_transform(x)
        network, X = copy_of(network, x.shape[1]), x
    found = []
    for number, output in enumerate(network.layer_outputs(X)):
        activation = network.layers[number].activation
        name = activation.name
        if number == len(network.layers) - 1 and name == network.loss.fused:
            continue
        if activation.slope == 0:
            found.append(LayerUnits(number, name, None, float((output <= 0).all(axis=0).mean())))
        elif activation.saturates:
            low, high = activation.range
            flat = (output - low < _FLAT) | (high - output < _FLAT)
            found.append(LayerUnits(number, name, float(flat.mean()), None))
    return found


class WatchUnits(Callback):
    """Follow saturated and dead units through a fit.

    Parameters
    ----------
    X : array-like, (n, n_inputs)
        The rows to check on; a few hundred are enough.

    Attributes
    ----------
    history : list of list of LayerUnits
        What :func:`check_units` found before the first epoch and after each.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 50)[:, None]
    >>> network = fastnn.Network([fastnn.Dense(8, "relu"), fastnn.Dense(1)])
    >>> watch = fastnn.WatchUnits(x)
    >>> history = network.fit(x, x**2, epochs=3, callbacks=[watch])
    >>> len(watch.history)
    4
    """

    def __init__(self, X: ArrayLike):
        self.X = X
        self.history: list[list[LayerUnits]] = []

    def on_train_begin(self, network: Any) -> None:
        self.history = [check_units(network, self.X)]

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.history.append(check_units(self.network, self.X))


@dataclass(frozen=True)
class Oscillation:
    """How much a loss bounces; true if it calls for a smaller learning rate.

    Attributes
    ----------
    rises : float
        Share of the second half of the epochs in which the loss rose.
    height : float
        Its average rise in those epochs, relative to its mean.
    """

    rises: float
    height: float

    def __bool__(self) -> bool:
        return self.rises >= 0.25 and self.height >= 0.05


def check_oscillation(losses: History | Sequence[float] | np.ndarray) -> Oscillation:
    """Say whether a loss bounces up and down rather than falling or staying level.

    Only the second half of the epochs counts.  The loss bounces if it rose in at least a quarter of
    them, by at least 5 % of its mean on average.  If so, lower the learning rate.

    Parameters
    ----------
    losses : History or sequence of float
        What `fit` returned, or the loss of each epoch; at least 6 epochs.

    Raises
    ------
    ValueError, TypeError
        For fewer than 6 epochs, or losses that are not finite numbers.

    Examples
    --------
    >>> from fastnn.diagnosis import check_oscillation
    >>> bool(check_oscillation([9, 5, 3, 2, 1.5, 1.2, 1.1, 1.0]))
    False
    >>> bool(check_oscillation([9, 5, 3, 4, 2, 4, 2, 4]))
    True
    """
    given = losses.history.get("loss", []) if isinstance(losses, History) else losses
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1 or len(values) < 6:
        raise ValueError(f"losses has shape {values.shape}, wanted at least 6 epochs")
    if not np.isfinite(values).all():
        raise ValueError("losses has NaN or infinity, wanted finite numbers")
    late = values[len(values) // 2 :]
    moves = np.diff(late)
    up = moves[moves > 0]
    level = float(np.abs(late).mean())
    height = float(up.mean()) / level if len(up) and level else 0.0
    return Oscillation(len(up) / len(moves), height)
