"""Filling the compile cache, so that no later process waits for the compiler."""

import numpy as np

from fastnn import activations, constraints, losses, optimizers, regularizers
from fastnn.layers import Dense
from fastnn.network import Network


def warmup() -> None:
    """Compile what the built-in layers, losses and optimizers need, in both dtypes.

    It trains tiny networks that between them use every built-in, on data of both float types.
    """
    rng = np.random.default_rng(0)
    names = sorted({activation.name for activation in activations.TABLE.values()})
    settings = [
        optimizers.SGD(),
        optimizers.SGD(momentum=0.9),
        optimizers.SGD(momentum=0.9, nesterov=True),
        optimizers.Adam(),
    ]
    penalties: list[regularizers.Regularizer]
    penalties = [regularizers.L1(method=method) for method in regularizers.METHODS]
    penalties += [regularizers.GroupL1(per=per) for per in ("unit", "input")]
    penalties += [kind() for kind in regularizers.TABLE.values()]
    for dtype in ("float32", "float64"):
        x = rng.standard_normal((4, 3)).astype(dtype)
        for loss in {loss.name: loss for loss in losses.TABLE.values()}.values():
            y = np.array([0, 1, 1, 0]) if loss.target == "class" else np.abs(x[:, :2]) % 1
            network = Network([Dense(2)], loss=loss, dtype=dtype)
            network.fit(x, y, sample_weight=np.ones(4))
            network.evaluate(x, y)
        for optimizer in settings:
            layers = [Dense(4, name, kernel_regularizer="l1l2") for name in names]
            network = Network([*layers, Dense(2)], optimizer=optimizer, dtype=dtype)
            other = x.astype("float64" if dtype == "float32" else "float32")
            network.fit(other, other[:, :2])
            network.predict(other)
        layers = [Dense(4, kernel_regularizer=penalty) for penalty in penalties]
        layers += [Dense(4, kernel_constraint=name) for name in constraints.TABLE]
        network = Network([*layers, Dense(2)], dtype=dtype)
        network.fit(x, x[:, :2])
        first, *rest = network.get_weights()
        network.set_weights([first * [[1], [0], [0]], *rest])
        network = network.compact()
        network.fit(x, x[:, :2])
        network.predict(x)
