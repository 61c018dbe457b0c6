"""Every backward kernel against central differences of its forward kernel, in float64."""

import numpy as np
import pytest

from tests.cases import BY_NAME, copied

ROWS, COLUMNS = 5, 3
STEP = 1e-6


def _names(ending, output):
    cases = (case for case in BY_NAME.values() if case.outputs == (output,))
    return sorted(case.name.removesuffix(ending) for case in cases if case.name.endswith(ending))


ACTIVATIONS = [
    (name, {})
    for name in _names("_backward", "dx")
    if "activations" in BY_NAME[f"{name}_backward"].module
]
ACTIVATIONS += [("relu", {"slope": 0.2})]
LOSSES = [(name, {}) for name in _names("_forward", "row_loss")]
LOSSES += [("softmax_cross_entropy", {"label_smoothing": 0.0})]
FLAT = {("softmax", "signed_error")}
"""What has no gradient: the outputs of softmax always add up to 1."""
POSITIVE = {"exponential", "sigmoid", "softmax", "softplus"}
OF_POSITIVE = {"probability_cross_entropy"}
PAIRS = [
    (activation, loss)
    for activation in ACTIVATIONS
    for loss in LOSSES
    if (activation[0], loss[0]) not in FLAT
    and (loss[0] not in OF_POSITIVE or activation[0] in POSITIVE)
]
PENALTIES = _names("_value", "total")


def _call(name, arguments, **values):
    """Run a kernel on the case's own arguments but for `values`, and return what it wrote."""
    case = BY_NAME[name]
    given = copied(arguments) | {k: v for k, v in values.items() if k in arguments}
    case.compiled(*given.values())
    (output,) = case.outputs
    return given[output]


def _made(name, shape=(ROWS, COLUMNS)):
    case = BY_NAME[name]
    return case.make(np.random.default_rng(0), np.float64, *shape[: case.dimensions])


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


def _inputs(shape=(ROWS, COLUMNS)):
    """Return inputs that keep their distance from 0, where ReLU has its kink."""
    rng = np.random.default_rng(7)
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.1, 2.0, shape)


@pytest.mark.parametrize(
    ("activation", "loss"), PAIRS, ids=lambda value: " ".join(filter(None, map(str, value)))
)
def test_gradient_of_loss_after_activation(activation, loss):
    (name, options), (loss, settings) = activation, loss
    loss_made, gradient_made = _made(f"{loss}_forward"), _made(f"{loss}_backward")
    scale, target = gradient_made["row_scale"], loss_made["target"]
    drawn = set(loss_made) & set(gradient_made) - {"prediction", "target"}
    settings = {key: gradient_made[key] for key in drawn} | settings
    shape = loss_made["prediction"].shape
    ahead, back = _made(f"{name}_forward", shape), _made(f"{name}_backward", shape)

    def value(x):
        y = _call(f"{name}_forward", ahead, x=x, **options)
        return scale @ _call(f"{loss}_forward", loss_made, **settings | {"prediction": y})

    x = _inputs(shape)
    y = _call(f"{name}_forward", ahead, x=x, **options)
    # Where |prediction - target| has its kink no difference means anything.
    blocks = y.reshape(ROWS, -1, *target.shape[1:])
    assert target.ndim == 1 or np.abs(blocks - target[:, np.newaxis]).min() > 10 * STEP
    dy = _call(f"{loss}_backward", gradient_made, **settings | {"prediction": y, "target": target})
    gradient = _call(f"{name}_backward", back, x=x, y=y, dy=dy, **options)
    _assert_close(gradient, _differences(value, x))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient_of_penalty(penalty):
    made = _made(f"{penalty}_value")
    w = _inputs().ravel()

    def value(at):
        return _call(f"{penalty}_value", made, w=at)[0]

    gradient = _call(f"{penalty}_gradient", _made(f"{penalty}_gradient"), w=w, dw=np.zeros_like(w))
    _assert_close(gradient, _differences(value, w))
