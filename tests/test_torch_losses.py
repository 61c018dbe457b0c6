"""Losses, activations and their gradients are PyTorch's, to rounding; two are scikit-learn's.

Live where they are installed, recorded elsewhere: ``python -m tests.test_torch_losses`` records
PyTorch's numbers anew, with its version.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from fastnn import activations, losses
from fastnn.kernels import COMPILED
from fastnn.reference import TWINS

RECORD = Path(__file__).parent / "data" / "torch_losses.json"
F = np.array([[0.5, -1.25, 2.0], [-0.75, 3.0, 0.25], [1.5, 1.0, -2.5]])
REAL = np.array([[0.75, 1.0, 1.5], [-0.75, 0.5, 0.5], [4.0, 0.25, -0.5]])
COUNT = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 4.0], [1.0, 1.0, 0.0]])
BINARY = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.25], [1.0, 1.0, 0.0]])
LABELS = np.array([2, 0, 1])

# Name: loss, targets, PyTorch's function and settings, and how many times its mean ours is: it
# divides by the number of outputs too, or of classes.
LOSSES = {
    "mse": (losses.MSE(), REAL, "mse_loss", {}, 3),
    "mae": (losses.MAE(), REAL, "l1_loss", {}, 3),
    "half_mse": (losses.HalfMSE(), REAL, "mse_loss", {}, 1.5),
    "huber": (losses.Huber(0.8), REAL, "huber_loss", {"delta": 0.8}, 3),
    "smooth_l1": (losses.SmoothL1(0.8), REAL, "smooth_l1_loss", {"beta": 0.8}, 3),
    "poisson": (losses.Poisson(), COUNT, "poisson_nll_loss", {}, 3),
    "logistic": (losses.Logistic(), BINARY, "binary_cross_entropy_with_logits", {}, 3),
    "softmax": (losses.SoftmaxCrossEntropy(), LABELS, "cross_entropy", {}, 1),
    "smoothed": (
        losses.SoftmaxCrossEntropy(0.2),
        LABELS,
        "cross_entropy",
        {"label_smoothing": 0.2},
        1,
    ),
    "probabilities": (losses.ProbabilityCrossEntropy(), LABELS, "nll_loss", {}, 1),
    "hinge": (losses.MulticlassHinge(0.7), LABELS, "multi_margin_loss", {"margin": 0.7}, 3),
    "squared_hinge": (
        losses.MulticlassSquaredHinge(0.7),
        LABELS,
        "multi_margin_loss",
        {"margin": 0.7, "p": 2},
        3,
    ),
    "gaussian": (losses.GaussianNLL(), REAL[:, :1], "gaussian_nll_loss", {}, 1),
}
X = np.array([-30.0, -5.0, -1.0, -0.1, 0.1, 0.7, 2.0, 6.0, 30.0])
ACTIVATIONS = {
    "elu": (activations.ELU(0.7), "elu", {"alpha": 0.7}),
    "gelu": (activations.GELU(), "gelu", {}),
    "gelu_tanh": (activations.GELU(approximate=True), "gelu", {"approximate": "tanh"}),
    "mish": (activations.Mish(), "mish", {}),
    "selu": (activations.SELU(), "selu", {}),
    "softplus": (activations.Softplus(), "softplus", {"threshold": 50}),
    "silu": (activations.SiLU(), "silu", {}),
    "exponential": (activations.Exponential(), "exp", {}),
}
ROUNDING = {"float32": 1e-6, "float64": 2e-15}

each_dtype = pytest.mark.parametrize("dtype", ROUNDING)
each_kernels = pytest.mark.parametrize("kernels", [COMPILED, TWINS], ids=["compiled", "reference"])


def _predictions(name):
    if name == "probabilities":
        return np.exp(F) / np.exp(F).sum(axis=1, keepdims=True)
    return F[:, :2] if name == "gaussian" else F


def _torch_loss(name):
    import torch

    _, y, function, settings, factor = LOSSES[name]
    f, y = torch.tensor(_predictions(name), requires_grad=True), torch.tensor(y)
    call = getattr(torch.nn.functional, function)
    if name == "gaussian":
        loss = factor * call(f[:, :1], y, f[:, 1:].exp(), **settings)
    elif name == "probabilities":
        loss = call(f.log(), y)
    else:
        loss = factor * call(f, y, **settings)
    loss.backward()
    return [loss.item(), f.grad.ravel().tolist()]


def _torch_activation(name):
    import torch

    _, function, settings = ACTIVATIONS[name]
    x = torch.tensor(X, requires_grad=True)
    module = torch if function == "exp" else torch.nn.functional
    y = getattr(module, function)(x, **settings)
    y.sum().backward()
    return [y.tolist(), x.grad.tolist()]


def _our_loss(name, dtype, kernels):
    loss, y = LOSSES[name][:2]
    f = _predictions(name).astype(dtype)
    y = y if y.dtype.kind == "i" else y.astype(dtype)
    row_loss, d = np.empty(3, dtype), np.empty_like(f)
    settings = loss.arguments(f.shape[1], dtype)
    kernels[loss.forward](f, y, *settings, row_loss)
    kernels[loss.backward](f, y, *settings, np.full(3, 1 / 3, dtype), d)
    return row_loss.mean(), d.ravel()


def _our_activation(name, dtype, kernels):
    activation = ACTIVATIONS[name][0]
    x = X.astype(dtype)[:, np.newaxis]
    y, dx = np.empty_like(x), np.empty_like(x)
    kernels[activation.forward](x, *activation.arguments, y)
    kernels[activation.backward](x, y, *activation.arguments, np.ones_like(x), dx)
    return y[:, 0], dx[:, 0]


def _assert_agree(actual, expected, dtype):
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


@each_kernels
@each_dtype
@pytest.mark.parametrize("name", LOSSES)
def test_losses_agree_with_the_record(name, dtype, kernels):
    record = json.loads(RECORD.read_text())["losses"][name]
    _assert_agree(_our_loss(name, dtype, kernels), record, dtype)


@each_kernels
@each_dtype
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_agree_with_the_record(name, dtype, kernels):
    record = json.loads(RECORD.read_text())["activations"][name]
    _assert_agree(_our_activation(name, dtype, kernels), record, dtype)


def test_the_record_agrees_with_torch():
    pytest.importorskip("torch")
    record = json.loads(RECORD.read_text())
    for name, values in record["losses"].items():
        _assert_agree(_torch_loss(name), values, "float64")
    for name, values in record["activations"].items():
        _assert_agree(_torch_activation(name), values, "float64")


def test_quantiles_agree_with_scikit_learn():
    loss, one = losses.Quantile(0.3), np.empty(3)
    f, y = F[:, :1].copy(), REAL[:, :1].copy()
    COMPILED[loss.forward](f, y, *loss.arguments(1, np.float64), one)
    assert one.mean() == pytest.approx(0.275, rel=1e-15)  # scikit-learn 1.9.1
    metrics = pytest.importorskip("sklearn.metrics")
    assert one.mean() == pytest.approx(metrics.mean_pinball_loss(y, f, alpha=0.3), rel=1e-15)


def test_gamma_is_half_of_scikit_learns_deviance():
    f, y, one = F[:, :1].copy(), np.array([[0.75], [1.0], [4.0]]), np.empty(3)
    COMPILED["gamma_forward"](f, y, one)
    half = one.mean() - losses.Gamma().of_perfect(y)
    assert half == pytest.approx(0.20526878777425317, rel=1e-14)  # scikit-learn 1.9.1
    metrics = pytest.importorskip("sklearn.metrics")
    assert half == pytest.approx(metrics.mean_gamma_deviance(y, np.exp(f)) / 2, rel=1e-14)


if __name__ == "__main__":
    import torch

    record = {
        "torch": torch.__version__,
        "losses": {name: _torch_loss(name) for name in LOSSES},
        "activations": {name: _torch_activation(name) for name in ACTIVATIONS},
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")
