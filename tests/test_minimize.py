"""`fastnn.minimize`: its steps are PyTorch's, and its ends SciPy's."""

import numpy as np
import pytest

import fastnn
from fastnn import (
    GD,
    LBFGS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    ExponentialDecay,
    NAdam,
    RMSprop,
    Rprop,
)  # fmt: skip

CURVES = np.array([[1.0, 10.0], [3.0, 0.1]])
B0 = np.array([[-1.2, 1.0], [0.5, -0.3]])


def rosenbrock(b):
    x, y = b.reshape(2, -1)
    return ((1 - x) ** 2 + 100 * (y - x**2) ** 2).sum()


def bowl(b):
    return 0.5 * (b**2 * CURVES).sum(), b * CURVES


TORCH = {
    "SGD": (SGD(0.05), {"lr": 0.05}),
    "momentum": (SGD(0.05, 0.9), {"lr": 0.05, "momentum": 0.9}),
    "Adam": (Adam(0.1, epsilon=1e-8), {"lr": 0.1, "eps": 1e-8}),
    "AdamW": (AdamW(0.1, 0.1, epsilon=1e-8), {"lr": 0.1, "weight_decay": 0.1, "eps": 1e-8}),
    "Rprop": (Rprop(), {}),
    "decay": (SGD(ExponentialDecay(0.05, 1, 0.9)), {"lr": 0.05}),
}


@pytest.mark.parametrize("name", TORCH)
def test_steps_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    optimizer, settings = TORCH[name]
    found = fastnn.minimize(bowl, B0, optimizer, steps=20)
    b = torch.tensor(B0, requires_grad=True)
    kind = {"momentum": "SGD", "decay": "SGD"}.get(name, name)
    if name == "Rprop":
        settings = {"lr": optimizer.initial_step, "step_sizes": optimizer.step_sizes}
    theirs = getattr(torch.optim, kind)([b], **settings)
    schedule = torch.optim.lr_scheduler.ExponentialLR(theirs, 0.9 if name == "decay" else 1.0)
    path = [B0]
    for _ in range(20):
        theirs.zero_grad()
        (0.5 * (b**2 * torch.tensor(CURVES)).sum()).backward()
        theirs.step()
        schedule.step()
        path.append(b.detach().numpy().copy())
    np.testing.assert_allclose(found.path, path, rtol=1e-12, atol=1e-14)


def test_gradient_descent_by_hand_and_what_is_returned():
    found = fastnn.minimize(lambda b: (b - 3) ** 2, 0.0, GD(0.25), steps=4)
    np.testing.assert_allclose(found.path, [0, 1.5, 2.25, 2.625, 2.8125], rtol=1e-9)
    np.testing.assert_allclose(found.values, (found.path - 3) ** 2)
    np.testing.assert_allclose(found.gradients, 2 * (found.path - 3), rtol=1e-9)
    assert found.x == found.path[-1] and found.value == found.values[-1]
    assert found.evaluations == 5 * 3  # a value and two for its gradient
    assert "after 4 updates" in repr(found)


@pytest.mark.parametrize("gradient", [False, True], ids=["differences", "gradient"])
def test_it_ends_where_scipy_ends(gradient):
    optimize = pytest.importorskip("scipy.optimize")
    start = np.array([-1.2, 0.3, 1.0, -0.5])

    def slope(b):
        return np.ravel(np.transpose([optimize.rosen_der(pair) for pair in b.reshape(2, 2).T]))

    f = (lambda b: (rosenbrock(b), slope(b))) if gradient else rosenbrock
    theirs = optimize.minimize(rosenbrock, start, jac=slope, method="BFGS")
    ours = fastnn.minimize(f, start, LBFGS(), steps=200)
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)
    assert len(ours.path) < 100 and (np.diff(ours.values) < 0).all()


@pytest.mark.parametrize("optimizer", [
    SGD(0.1, 0.9, True), Adagrad(0.5), Adadelta(5.0), RMSprop(0.02), Rprop(), Adam(0.1), NAdam(0.1),
    Adam(0.1, global_clipnorm=1.0), SGD(0.1, clipvalue=0.5), LBFGS(),
], ids=lambda each: type(each).__name__)  # fmt: skip
def test_every_optimizer_solves_a_parabola(optimizer):
    if isinstance(optimizer, LBFGS):
        pytest.importorskip("scipy")
    found = fastnn.minimize(bowl, B0, optimizer, steps=600, tolerance=1e-3)
    assert np.abs(found.gradients[-1]).max() < 0.05
    assert found.value < 0.02
    assert repr(fastnn.minimize(bowl, B0, optimizer, steps=5).path) == repr(found.path[:6])


def test_it_ends_at_the_tolerance_and_keeps_the_callers_arrays():
    kept = []

    def f(b):
        kept.append(b)
        value = (b**2).sum()
        b[...] = 7
        return value

    start = np.array([1.0, 2.0])
    found = fastnn.minimize(f, start, SGD(0.25), steps=50, tolerance=0.01)
    assert 5 < len(found.path) < 15 and np.abs(found.gradients[-1]).max() <= 0.01
    assert (start == [1, 2]).all() and found.path[1] == pytest.approx([0.5, 1.0])


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_values_and_gradients_of_libraries_that_differentiate(library):
    module = pytest.importorskip(library)
    made = module.tensor if library == "torch" else module.numpy.array

    def f(b):  # what jax.value_and_grad returns
        return made(float((b**2).sum())), made((2 * b).tolist())

    assert fastnn.minimize(f, [1.0, 2.0], SGD(0.25), steps=1).path[1] == pytest.approx([0.5, 1.0])
    assert fastnn.minimize(f, made(1.0), SGD(0.25), steps=1).x == pytest.approx(0.5)


REFUSED = [
    (("f", 0.0), {}, TypeError, "f is 'f', wanted a function"),
    ((bowl, "b"), {}, TypeError, "b0"),
    ((bowl, []), {}, ValueError, "b0 is .., wanted finite numbers"),
    ((bowl, [np.nan]), {}, ValueError, "b0 is .nan., wanted finite"),
    ((bowl, B0, "descent"), {}, ValueError, "optimizer"),
    ((bowl, B0), {"steps": 0}, ValueError, "steps"),
    ((lambda b: b, B0), {}, ValueError, r"shape \(2, 2\), wanted a number"),
    ((lambda b: None, B0), {}, TypeError, "the value of f"),
    ((lambda b: (1.0, b[0]), B0), {}, ValueError, r"gradient of shape \(2,\), wanted \(2, 2\)"),
    ((lambda b: np.float32(b.sum()), B0), {}, TypeError, "too coarse .* wanted float64"),
    ((bowl, B0, SGD(1e10)), {}, FloatingPointError, "is not finite after .* a smaller learning"),
    ((lambda b: np.inf, 0.0), {}, FloatingPointError, r"the value .* after 0 updates, at 0.0$"),
]


@pytest.mark.parametrize(("given", "options", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(given, options, error, message):
    with pytest.raises(error, match=message), np.errstate(over="ignore"):
        fastnn.minimize(*given, **options)
