"""Batch normalization against PyTorch: live where it is installed, recorded elsewhere.

PyTorch's momentum is one minus ours, and it follows the variance times m / (m - 1) for batches of
m rows where Keras and fastnn follow the variance; `_torch_results` takes that factor off again.
``python -m tests.test_torch_layers`` prints the record.
"""

import numpy as np
import pytest

from fastnn import SGD, Activation, BatchNormalization, Dense, Network

RATE, MOMENTUM, EPSILON = 0.05, 0.8, 1e-3
ROWS, INPUTS, UNITS, BATCH, EPOCHS = 24, 2, 3, 10, 4  # the last batch of an epoch has 4 rows

RECORD = [
    1.1510865761482723, -1.2191070336624192, 0.3431182194930573, -0.6651005297245971,
    -0.8927346179691789, -0.6166781524938423, -0.31155253212737266, 0.05616534222974544,
    -1.1651498407833565, 0.8862913098490207, 0.9213406454474318, 1.2245412596865395,
    -0.12582837722352205, -0.09744493553417152, 0.29258065942431316, 2.0333274947523083,
    -1.5420180721888013, -0.13391471955899506, 6.4699111132900935, 8.032852296738396,
    4.243580091113758, 0.7776091565790494, 0.2812061845831212, -1.70029263276842,
    1.0778857555718966, 0.8469129670535558, 1.0778857555718966,
]  # fmt: skip
"""W, b, gamma, beta, moving mean and variance, W, b, and predictions of 2 rows: PyTorch 2.13.0."""


def _problem():
    """Return x, y and the start of W, b, W, b."""
    rng = np.random.RandomState(0)  # its numbers are the same in every version of NumPy
    x = rng.standard_normal((ROWS, INPUTS)) * (1, 3) + (2, -1)
    y = np.tanh(x.sum(axis=1, keepdims=True)) + rng.standard_normal((ROWS, 1)) / 5
    shapes = (INPUTS, UNITS), (UNITS,), (UNITS, 1), (1,)
    return x, y, [rng.standard_normal(shape) for shape in shapes]


def _torch_results():
    import torch

    x, y, (w1, b1, w2, b2) = _problem()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    norm = torch.nn.BatchNorm1d(UNITS, eps=EPSILON, momentum=1 - MOMENTUM).double()
    first = torch.nn.Linear(INPUTS, UNITS).double()
    last = torch.nn.Linear(UNITS, 1).double()
    with torch.no_grad():
        for layer, w, b in ((first, w1, b1), (last, w2, b2)):
            layer.weight.copy_(torch.from_numpy(w.T))
            layer.bias.copy_(torch.from_numpy(b))
    model = torch.nn.Sequential(first, norm, torch.nn.ReLU(), last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(EPOCHS):
        for begin in range(0, ROWS, BATCH):
            batch, before = x[begin : begin + BATCH], norm.running_var.clone()
            optimizer.zero_grad()
            ((model(batch) - y[begin : begin + BATCH]) ** 2).sum(1).mean().backward()
            optimizer.step()
            added = norm.running_var - MOMENTUM * before
            share = (len(batch) - 1) / len(batch)
            norm.running_var.copy_(MOMENTUM * before + added * share)
    model.eval()
    arrays = [first.weight.T, first.bias, norm.weight, norm.bias, norm.running_mean]
    arrays += [norm.running_var, last.weight.T, last.bias, model(x[:2])]
    return np.concatenate([array.detach().numpy().ravel() for array in arrays])


def _fastnn_results(backend="numba"):
    x, y, (w1, b1, w2, b2) = _problem()
    layers = [Dense(UNITS), BatchNormalization(MOMENTUM, EPSILON), Activation("relu"), Dense(1)]
    network = Network(layers, optimizer=SGD(RATE), dtype="float64", backend=backend)
    network.build(INPUTS)
    zeros, ones = np.zeros(UNITS), np.ones(UNITS)
    network.set_weights([w1, b1, ones, zeros, zeros, ones, w2, b2])
    network.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False)
    arrays = [*network.get_weights(), network.predict(x[:2])]
    return np.concatenate([array.ravel() for array in arrays])


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_agrees_with_the_record(backend):
    assert np.abs(_fastnn_results(backend) - RECORD).max() < 1e-10


def test_agrees_with_torch():
    pytest.importorskip("torch")
    expected = _torch_results()
    assert np.abs(_fastnn_results() - expected).max() < 1e-10
    assert np.abs(np.array(RECORD) - expected).max() < 1e-10


def test_training_moved_the_weights():
    w1, *_ = _problem()[2]
    assert np.abs(np.array(RECORD[: w1.size]) - w1.ravel()).max() > 1e-2


if __name__ == "__main__":
    print([float(value) for value in _torch_results()])
