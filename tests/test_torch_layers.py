"""Normalization layers and PReLU against PyTorch: live where it is installed, recorded elsewhere.

PyTorch's momentum is one minus ours, and it follows the variance times m / (m - 1) for batches of
m rows where Keras and fastnn follow the variance; `_torch_results` takes that factor off again.
``python -m tests.test_torch_layers`` prints the records.
"""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Activation,
    BatchNormalization,
    Dense,
    LayerNormalization,
    Network,
    ParametricActivation,
)

RATES = {"batch": 0.05, "layer": 0.05, "prelu": 0.005}
MOMENTUM, EPSILON = 0.8, 1e-3
ROWS, INPUTS, UNITS, BATCH, EPOCHS = 24, 2, 3, 10, 4  # the last batch of an epoch has 4 rows

RECORDS = {
    "batch": [
        1.1510865761482723, -1.2191070336624192, 0.3431182194930573, -0.6651005297245971,
        -0.8927346179691789, -0.6166781524938423, -0.31155253212737266, 0.05616534222974544,
        -1.1651498407833565, 0.8862913098490207, 0.9213406454474318, 1.2245412596865395,
        -0.12582837722352205, -0.09744493553417152, 0.29258065942431316, 2.0333274947523083,
        -1.5420180721888013, -0.13391471955899506, 6.4699111132900935, 8.032852296738396,
        4.243580091113758, 0.7776091565790494, 0.2812061845831212, -1.70029263276842,
        1.0778857555718966, 0.8469129670535558, 1.0778857555718966,
    ],
    "layer": [
        0.9901325978437411, -1.3633774159708796, 0.6801613234943354, -0.4093473110752789,
        -0.7972822717762321, -0.9278273220350997, -0.39443879669176124, -0.008850452317412156,
        -1.0172477816718104, 0.6143773179353283, 0.9654847263441292, 0.9693922261345124,
        -0.30304508031958455, -0.025687420129248514, 0.1997721375229958, 0.493106359761764,
        0.38821723985152234, -1.5047639435756741, 1.046084356501243, 0.2519987265266834,
        0.9940203020298374,
    ],
    "prelu": [
        1.0050922150060981, -1.2733556219700277, 0.5973608117788518, -0.5923929822796965,
        -0.8132975095878655, -0.7934469708786314, -0.38116962932592335, 0.029900546624274844,
        -1.0493708128061752, 0.7298276802505141, 0.6523800469798697, 0.857006728730306,
        0.6778114669529609, 0.46258226927923884, -1.6015084494107001, 1.3841276306164318,
        1.151777083762569, 0.7608994190959452,
    ],
}  # fmt: skip
"""W, b, gamma, beta, moving mean and variance of 'batch', W, b, and predictions of 2 rows: PyTorch
2.13.0.  For 'prelu' one minus the slopes stand in the place of gamma and beta."""

each_kind = pytest.mark.parametrize("kind", RECORDS)


def _problem():
    """Return x, y and the start of W, b, W, b."""
    rng = np.random.RandomState(0)  # its numbers are the same in every version of NumPy
    x = rng.standard_normal((ROWS, INPUTS)) * (1, 3) + (2, -1)
    y = np.tanh(x.sum(axis=1, keepdims=True)) + rng.standard_normal((ROWS, 1)) / 5
    shapes = (INPUTS, UNITS), (UNITS,), (UNITS, 1), (1,)
    return x, y, [rng.standard_normal(shape) for shape in shapes]


def _torch_results(kind):
    import torch

    x, y, (w1, b1, w2, b2) = _problem()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    norm = {
        "batch": lambda: torch.nn.BatchNorm1d(UNITS, eps=EPSILON, momentum=1 - MOMENTUM),
        "layer": lambda: torch.nn.LayerNorm(UNITS, eps=EPSILON),
        "prelu": lambda: torch.nn.PReLU(UNITS),
    }[kind]().double()
    first = torch.nn.Linear(INPUTS, UNITS).double()
    last = torch.nn.Linear(UNITS, 1).double()
    with torch.no_grad():
        for layer, w, b in ((first, w1, b1), (last, w2, b2)):
            layer.weight.copy_(torch.from_numpy(w.T))
            layer.bias.copy_(torch.from_numpy(b))
    rectified = [] if kind == "prelu" else [torch.nn.ReLU()]
    model = torch.nn.Sequential(first, norm, *rectified, last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATES[kind])
    for _ in range(EPOCHS):
        for begin in range(0, ROWS, BATCH):
            batch, before = x[begin : begin + BATCH], [each.clone() for each in norm.buffers()]
            optimizer.zero_grad()
            ((model(batch) - y[begin : begin + BATCH]) ** 2).sum(1).mean().backward()
            optimizer.step()
            if kind == "batch":
                _, kept, _ = before
                added = norm.running_var - MOMENTUM * kept
                share = (len(batch) - 1) / len(batch)
                norm.running_var.copy_(MOMENTUM * kept + added * share)
    model.eval()
    moving = [norm.running_mean, norm.running_var] if kind == "batch" else []
    own = [1 - norm.weight] if kind == "prelu" else [norm.weight, norm.bias, *moving]
    arrays = [first.weight.T, first.bias, *own]
    arrays += [last.weight.T, last.bias, model(x[:2])]
    return np.concatenate([array.detach().numpy().ravel() for array in arrays])


def _fastnn_results(kind, backend="numba"):
    x, y, (w1, b1, w2, b2) = _problem()
    norm = {
        "batch": BatchNormalization(MOMENTUM, EPSILON),
        "layer": LayerNormalization(epsilon=EPSILON),
        "prelu": ParametricActivation("relu", initial_share=0.75),
    }[kind]
    rectified = [] if kind == "prelu" else [Activation("relu")]
    layers = [Dense(UNITS), norm, *rectified, Dense(1)]
    network = Network(layers, optimizer=SGD(RATES[kind]), dtype="float64", backend=backend)
    network.build(INPUTS)
    zeros, ones = np.zeros(UNITS), np.ones(UNITS)
    moving = [zeros, ones] if kind == "batch" else []
    own = [0.75 * ones] if kind == "prelu" else [ones, zeros, *moving]
    network.set_weights([w1, b1, *own, w2, b2])
    network.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False)
    arrays = [*network.get_weights(), network.predict(x[:2])]
    return np.concatenate([array.ravel() for array in arrays])


@each_kind
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_agrees_with_the_record(backend, kind):
    assert np.abs(_fastnn_results(kind, backend) - RECORDS[kind]).max() < 1e-10


@each_kind
def test_agrees_with_torch(kind):
    pytest.importorskip("torch")
    expected = _torch_results(kind)
    assert np.abs(_fastnn_results(kind) - expected).max() < 1e-10
    assert np.abs(np.array(RECORDS[kind]) - expected).max() < 1e-10


@each_kind
def test_training_moved_the_weights(kind):
    w1, *_ = _problem()[2]
    assert np.abs(np.array(RECORDS[kind][: w1.size]) - w1.ravel()).max() > 1e-2


if __name__ == "__main__":
    print({kind: [float(value) for value in _torch_results(kind)] for kind in RECORDS})
