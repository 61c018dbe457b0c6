"""Weights after training agree with PyTorch's: live where it is installed, recorded elsewhere.

``python -m tests.test_torch`` records them anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Adam, Dense, Network

RECORD = Path(__file__).parent / "data" / "torch_weights.json"
UNITS = ((6, "relu"), (5, "tanh"), (3, None))
ROWS, INPUTS, EPOCHS, BATCH = 37, 7, 5, 10
DECAY = 0.1
RUNS = {
    "mae": ("mae", "SGD", {"lr": 0.05}),
    "mse": ("mse", "SGD", {"lr": 0.05}),
    "softmax": ("softmax_cross_entropy", "SGD", {"lr": 0.5}),
    "logistic": ("logistic", "SGD", {"lr": 0.2}),
    "decay": ("mse", "SGD", {"lr": 0.05, "weight_decay": DECAY}),
    "momentum": ("mse", "SGD", {"lr": 0.02, "momentum": 0.9}),
    "nesterov": ("mse", "SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True}),
    "adam": ("mse", "Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6}),
}
"""Loss, PyTorch's optimizer and its settings."""
AGREEMENT = {"float32": 2e-6, "float64": 1e-10}
"""Largest difference, as a share of the largest weight; float32: 17 units in the last place."""

each_dtype = pytest.mark.parametrize("dtype", AGREEMENT)
each_run = pytest.mark.parametrize("run", RUNS)


def _problem(loss, dtype):
    """Return the inputs, the targets and the starting weights."""
    rng = np.random.RandomState(0)  # its numbers are the same in every version of NumPy
    x = rng.standard_normal((ROWS, INPUTS)).astype(dtype)
    y = rng.standard_normal((ROWS, UNITS[-1][0])).astype(dtype)
    start, n = [], INPUTS
    for units, _ in UNITS:
        start.append((rng.standard_normal((n, units)) / np.sqrt(n)).astype(dtype))
        start.append((rng.standard_normal(units) / 5).astype(dtype))
        n = units
    if loss == "softmax_cross_entropy":
        return x, y.argmax(axis=1), start
    return x, ((y > 0).astype(dtype) if loss == "logistic" else y), start


def _torch_weights(run, dtype):
    import torch

    loss, optimizer, settings = RUNS[run]
    x, y, start = _problem(loss, dtype)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    weights = [torch.tensor(array, requires_grad=True) for array in start]
    optimizer = getattr(torch.optim, optimizer)(weights, **settings)
    activations = {"relu": torch.relu, "tanh": torch.tanh, None: lambda t: t}
    row_losses = {
        "mae": lambda f, y: (f - y).abs().sum(1),
        "mse": lambda f, y: ((f - y) ** 2).sum(1),
        "softmax_cross_entropy": lambda f, y: torch.nn.functional.cross_entropy(
            f, y, reduction="none"
        ),
        "logistic": lambda f, y: torch.nn.functional.binary_cross_entropy_with_logits(
            f, y, reduction="none"
        ).sum(1),
    }
    for _ in range(EPOCHS):
        for first in range(0, ROWS, BATCH):
            out = x[first : first + BATCH]
            for w, b, (_, activation) in zip(weights[::2], weights[1::2], UNITS, strict=True):
                out = activations[activation](out @ w + b)
            optimizer.zero_grad()
            row_losses[loss](out, y[first : first + BATCH]).mean().backward()
            optimizer.step()
    return [weight.detach().numpy() for weight in weights]


def _fastnn_weights(run, dtype, backend="numba"):
    loss, optimizer, settings = RUNS[run]
    x, y, start = _problem(loss, dtype)
    settings = dict(settings)
    decay = fastnn.L2(settings.pop("weight_decay")) if "weight_decay" in settings else None
    if optimizer == "Adam":
        betas = settings["betas"]
        optimizer = Adam(settings["lr"], betas[0], betas[1], settings["eps"])
    else:
        optimizer = SGD(settings.pop("lr"), **settings)
    layers = [
        Dense(units, activation, kernel_regularizer=decay, bias_regularizer=decay)
        for units, activation in UNITS
    ]
    network = Network(layers, loss=loss, optimizer=optimizer, dtype=dtype, backend=backend)
    network.build(INPUTS)
    network.set_weights(start)
    network.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False)
    return network.get_weights()


def _recorded(run, dtype):
    flat = json.loads(RECORD.read_text())[dtype][run]
    shapes = [array.shape for array in _problem(RUNS[run][0], dtype)[2]]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(np.array(flat, dtype), ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _assert_agree(weights, expected, dtype):
    largest = max(np.abs(array).max() for array in expected)
    for actual, wanted in zip(weights, expected, strict=True):
        assert actual.dtype == wanted.dtype == dtype
        assert np.abs(actual - wanted).max() <= AGREEMENT[dtype] * largest


@each_dtype
@each_run
def test_weights_agree_with_the_record(run, dtype):
    _assert_agree(_fastnn_weights(run, dtype), _recorded(run, dtype), dtype)


@each_dtype
@each_run
def test_weights_of_the_reference_agree_with_the_record(run, dtype):
    _assert_agree(_fastnn_weights(run, dtype, "numpy"), _recorded(run, dtype), dtype)


@each_dtype
@each_run
def test_weights_agree_with_torch(run, dtype):
    pytest.importorskip("torch")
    expected = _torch_weights(run, dtype)
    _assert_agree(_fastnn_weights(run, dtype), expected, dtype)
    _assert_agree(_recorded(run, dtype), expected, dtype)


@each_dtype
@each_run
def test_training_moved_the_weights(run, dtype):
    start = _problem(RUNS[run][0], dtype)[2]
    for before, after in zip(start, _recorded(run, dtype), strict=True):
        assert np.abs(after - before).max() > 1e-2


if __name__ == "__main__":
    record = {
        dtype: {
            run: [float(str(w)) for array in _torch_weights(run, dtype) for w in array.flat]
            for run in RUNS
        }
        for dtype in AGREEMENT
    }
    lines = [
        f' "{dtype}": {{\n'
        + ",\n".join(f'  "{run}": {json.dumps(flat)}' for run, flat in runs.items())
        + "\n }"
        for dtype, runs in record.items()
    ]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
