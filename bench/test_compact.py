"""Predictions before and after ``compact``: ``pytest bench/test_compact.py``.

The weights are random; those of the units and inputs left out are 0, as GroupL1 leaves them.
"""

import numpy as np
import pytest

import fastnn

SIZES = (784, 512, 256, 10)
ROWS = 10_000


def _network(kept: float) -> fastnn.Network:
    """Return a network of which a share of the inputs and of each layer's units counts."""
    layers = [fastnn.Dense(units, "relu") for units in SIZES[1:-1]]
    network = fastnn.Network([*layers, fastnn.Dense(SIZES[-1])])
    network.build(SIZES[0])
    weights = network.get_weights()
    for w in weights[::2]:
        w[round(kept * len(w)) :] = 0
    network.set_weights(weights)
    return network


@pytest.mark.parametrize("side", ["whole", "compact"])
@pytest.mark.parametrize(
    "kept", [0.5, *(pytest.param(k, marks=pytest.mark.all) for k in (1.0, 0.25))]
)
def test_predict(benchmark, kept, side):
    benchmark.group = f"{'-'.join(map(str, SIZES))}, {kept:.0%} of inputs and units count"
    benchmark.name = side
    network = _network(kept)
    x = np.random.default_rng(0).random((ROWS, SIZES[0]), np.float32)
    expected = network.predict(x)
    if side == "compact":
        network = network.compact()
        assert np.abs(network.predict(x) - expected).max() < 1e-4
    benchmark(network.predict, x)
