"""The optimizers' steps: PyTorch's numbers, and the way down a parabola and Rosenbrock's valley."""

import numpy as np
import pytest

from fastnn.kernels.updates import adam_update, momentum_update, nesterov_update, sgd_update

# Name: the update, how many arrays of state it has, and the numbers before and after the step's.
SGD = (sgd_update, 0)
MOMENTUM = (momentum_update, 1, 0.9)
NESTEROV = (nesterov_update, 1, 0.9)
ADAM = (adam_update, 2, 0.9, 0.999, 0.01)

# torch 2.13, float64, 3 steps at rate 0.1 from (1, -2) on a**2 / 2 + 2 * (b - 1)**2:
# torch.optim.SGD(momentum=0 | 0.9 | 0.9, nesterov=True) and torch.optim.Adam(eps=0.01).
TORCH = [
    (SGD, (0.7290000000000001, 0.3520000000000001)),
    (MOMENTUM, (0.486, 2.62)),
    (NESTEROV, (0.32732100000000003, 2.299888)),
    (ADAM, (0.7046692617150255, -1.7006348434968088)),
]
IDS = [optimizer[0].__name__ for optimizer, _ in TORCH]


def _parabola(w):
    return np.array([w[0], 4 * (w[1] - 1)])


def _rosenbrock(w):
    across = w[1] - w[0] ** 2
    return np.array([-2 * (1 - w[0]) - 400 * w[0] * across, 200 * across])


def _descend(optimizer, gradient, start, rate, steps):
    update, states, *options = optimizer
    w, state = np.array(start), [np.zeros(2) for _ in range(states)]
    for step in range(1, steps + 1):
        count = [step] if update is adam_update else []
        update(rate, *options, *count, gradient(w), *state, w)
    return w


@pytest.mark.parametrize(("optimizer", "expected"), TORCH, ids=IDS)
def test_three_steps_are_pytorchs(optimizer, expected):
    w = _descend(optimizer, _parabola, (1.0, -2.0), 0.1, 3)
    np.testing.assert_allclose(w, expected, rtol=1e-14)


@pytest.mark.parametrize("optimizer", [row[0] for row in TORCH], ids=IDS)
def test_reaches_the_bottom_of_a_parabola(optimizer):
    w = _descend(optimizer, _parabola, (1.0, -2.0), 0.05, 1000)
    np.testing.assert_allclose(w, (0.0, 1.0), atol=1e-6)


@pytest.mark.parametrize("optimizer", [row[0] for row in TORCH], ids=IDS)
def test_follows_the_valley_of_rosenbrock(optimizer):
    rate = {adam_update: 0.02, sgd_update: 0.002}.get(optimizer[0], 0.0005)
    w = _descend(optimizer, _rosenbrock, (-1.2, 1.0), rate, 10_000)
    np.testing.assert_allclose(w, (1.0, 1.0), atol=1e-2)
