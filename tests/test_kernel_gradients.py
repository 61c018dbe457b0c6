"""Every backward kernel against central differences of its forward kernel, in float64."""

import numpy as np
import pytest

from tests.cases import BY_NAME, copied

ROWS, COLUMNS = 5, 3
STEP = 1e-6


def _names(module, ending):
    names = (case.name for case in BY_NAME.values() if case.module == module)
    return sorted(name.removesuffix(ending) for name in names if name.endswith(ending))


ACTIVATIONS = [(name, {}) for name in _names("activations", "_forward")]
ACTIVATIONS += [("relu", {"slope": 0.2})]
LOSSES = _names("losses", "_forward")
PENALTIES = _names("regularizers", "_value")


def _call(name, arguments, **values):
    """Run a kernel on the case's own arguments but for `values`, and return what it wrote."""
    case = BY_NAME[name]
    given = copied(arguments) | {k: v for k, v in values.items() if k in arguments}
    case.compiled(*given.values())
    (output,) = case.outputs
    return given[output]


def _made(name, seed=0):
    case = BY_NAME[name]
    return case.make(np.random.default_rng(seed), np.float64, *(ROWS, COLUMNS)[: case.dimensions])


def _differences(value, at):
    """Return the gradient of the scalar function `value` at the array `at`."""
    gradient = np.empty_like(at)
    for place in np.ndindex(at.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = at.copy()
            moved[place] += step
            ends.append(value(moved))
        gradient[place] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient


def _assert_close(gradient, expected):
    assert np.abs(expected).max() > 1e-3
    assert np.abs(gradient - expected).max() < 1e-6 * np.abs(expected).max()


def _inputs():
    """Return inputs that keep their distance from 0, where ReLU has its kink."""
    rng = np.random.default_rng(7)
    return rng.choice([-1.0, 1.0], (ROWS, COLUMNS)) * rng.uniform(0.1, 2.0, (ROWS, COLUMNS))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("activation", "options"), ACTIVATIONS, ids=lambda value: str(value) if value else ""
)
def test_gradient_of_loss_after_activation(activation, options, loss):
    forward, backward = f"{activation}_forward", f"{activation}_backward"
    loss_made, gradient_made = _made(f"{loss}_forward"), _made(f"{loss}_backward")
    scale, target = gradient_made["row_scale"], loss_made["target"]

    def value(x):
        y = _call(forward, _made(forward), x=x, **options)
        return scale @ _call(f"{loss}_forward", loss_made, prediction=y)

    x = _inputs()
    y = _call(forward, _made(forward), x=x, **options)
    # Where |prediction - target| has its kink no difference means anything.
    assert target.ndim == 1 or np.abs(y - target).min() > 10 * STEP
    dy = _call(f"{loss}_backward", gradient_made, prediction=y, target=target)
    gradient = _call(backward, _made(backward), x=x, y=y, dy=dy, **options)
    _assert_close(gradient, _differences(value, x))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient_of_penalty(penalty):
    made = _made(f"{penalty}_value")
    w = _inputs().ravel()

    def value(at):
        return _call(f"{penalty}_value", made, w=at)[0]

    gradient = _call(f"{penalty}_gradient", _made(f"{penalty}_gradient"), w=w, dw=np.zeros_like(w))
    _assert_close(gradient, _differences(value, w))
