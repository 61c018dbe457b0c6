"""Dropout and DropConnect: masks without pattern, means that prediction agrees with."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    CosineDecay,
    Dense,
    Dropout,
    ExponentialDecay,
    InverseTimeDecay,
    Network,
    OneCycle,
    Schedule,
)
from fastnn.initializers import Constant
from tests.cases import BY_NAME, DTYPES, blank, normal

ROWS, INPUTS = 23, 7
ONES = Constant(1.0)

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def _x(rows=ROWS, columns=INPUTS):
    return np.random.default_rng(0).standard_normal((rows, columns))


def _mask(seed=0, layer=1, step=1, first=0, rows=64, columns=96, rate=0.5):
    out = blank(np.float32, rows, columns)
    ones = np.ones_like(out)
    BY_NAME["dropout"].compiled(rate, 1.0, seed, layer, step, first, ones, out)
    return out


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_as_many_are_kept_as_the_rate_says(rate):
    masks = np.stack([_mask(step=step, rate=rate) for step in range(100)])
    assert set(np.unique(masks)) <= {0.0, 1.0}
    for axis in (None, 0, (0, 1), (0, 2), (1, 2)):
        mean = masks.mean(axis=axis, dtype=np.float64)
        error = np.sqrt(rate * (1 - rate) * mean.size / masks.size)
        assert np.abs(mean - (1 - rate)).max() <= 5 * error


def test_masks_have_nothing_to_do_with_each_other():
    masks = np.stack([_mask(step=step) for step in range(100)]) - 0.5
    limit = 5 * 0.25 / np.sqrt(masks.size)
    for place in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 2), (0, 0, 32), (1, 1, 1)):
        moved = np.roll(masks, place, (0, 1, 2))
        assert abs((masks * moved).mean(dtype=np.float64)) < limit, place
    for change in ({"seed": 1}, {"layer": 2}, {"seed": 1, "layer": 0}, {"first": 64}):
        other = np.stack([_mask(step=step, **change) for step in range(100)]) - 0.5
        assert abs((masks * other).mean(dtype=np.float64)) < limit, change


@each_dtype
def test_a_mask_does_not_depend_on_the_cut(dtype):
    x, whole, cut = normal(np.random.default_rng(0), dtype, 30, 17), *blank(dtype, 2, 30, 17)
    dropout = BY_NAME["dropout"].compiled
    dropout(0.3, 1.5, 4, 2, 9, 100, x, whole)
    for begin, end in ((0, 1), (1, 13), (13, 30)):
        dropout(0.3, 1.5, 4, 2, 9, 100 + begin, x[begin:end], cut[begin:end])
    assert cut.tobytes() == whole.tobytes()


def test_what_is_dropped_is_zero_whatever_it_was():
    out = blank(np.float32, 8, 8)
    BY_NAME["dropout"].compiled(0.5, 2.0, 0, 0, 1, 0, np.full((8, 8), np.inf, np.float32), out)
    assert set(np.unique(out)) == {0.0, np.inf}


@pytest.mark.parametrize(
    "layers",
    [
        [Dropout(0.4), Dense(1, kernel_initializer=ONES)],
        [Dropout(0.4, "test"), Dense(1, kernel_initializer=ONES)],
        [Dense(1, kernel_initializer=ONES, drop_connect=0.4)],
    ],
    ids=["inverted", "scaled at test", "drop connect"],
)
def test_prediction_is_the_mean_of_what_training_uses(layers):
    # Under MAE with targets far below, the loss of a row is its output plus a constant.
    x, y, outputs = _x(1), np.full((1, 1), -100.0), []
    for seed in range(20):
        network = Network(layers, loss="mae", optimizer=SGD(1e-300), dtype="float64", seed=seed)
        outputs += network.fit(x, y, epochs=100).history["loss"]
    outputs = np.array(outputs) - 100
    predicted = network.predict(x)[0, 0]
    if layers[0] == Dropout(0.4, "test"):
        assert predicted == pytest.approx(0.6 * x.sum(), rel=1e-12)
    else:
        assert predicted == pytest.approx(x.sum(), rel=1e-12)
    assert outputs.std() > 0.1
    assert abs(outputs.mean() - predicted) < 4 * outputs.std() / np.sqrt(len(outputs))


def test_each_epoch_and_each_seed_has_masks_of_its_own():
    x, y = _x(), np.zeros((ROWS, 1))

    def losses(seed):
        layers = [Dropout(0.5), Dense(1, kernel_initializer=ONES)]
        network = Network(layers, optimizer=SGD(1e-300), dtype="float64", seed=seed)
        return network.fit(x, y, epochs=5, batch_size=ROWS, shuffle=False).history["loss"]

    assert losses(0) == losses(0)
    assert len({*losses(0), *losses(1)}) == 10


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_schedule_is_the_rate_of_each_update(backend):
    x, y = _x(), _x(columns=2)
    options = {"dtype": "float64", "backend": backend}
    scheduled, by_hand = (
        Network([Dropout(0.5), Dense(4, "relu"), Dropout(0.5), Dense(2)], **options)
        for _ in range(2)
    )
    for place, first in ((0, 0.75), (2, 0.5)):
        scheduled.layers[place].rate = InverseTimeDecay(first, 1, 1)
    scheduled.fit(x, y, epochs=3, batch_size=ROWS)
    for t in range(3):
        by_hand.layers[0].rate, by_hand.layers[2].rate = 0.75 / (1 + t), 0.5 / (1 + t)
        by_hand.fit(x, y, batch_size=ROWS)
    for one, two in zip(scheduled.get_weights(), by_hand.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()
    assert scheduled.predict(x).tobytes() == by_hand.predict(x).tobytes()
    assert scheduled.evaluate(x, y) == by_hand.evaluate(x, y)


class Own(Schedule):
    def __init__(self, most):
        self.most = most

    def upper_bound(self):
        return self.most


def test_a_schedule_must_stay_below_one_and_needs_no_scale_in_prediction():
    assert Dropout({"name": "CosineDecay", "initial_learning_rate": 0.5, "decay_steps": 9}) == (
        Dropout(CosineDecay(0.5, 9))
    )
    assert Dropout(Own(0.5)).rate == Own(0.5)
    for bad in (CosineDecay(1, 9), OneCycle(0.5, 9, div_factor=0.1), Own(1.0), Own(np.nan)):
        with pytest.raises(ValueError, match="^rate is .* may reach .*, wanted one below 1"):
            Dropout(bad)
    with pytest.raises(ValueError, match="which may reach inf"):
        Dropout(ExponentialDecay(0.1, 9, 2))
    layer = Dropout(CosineDecay(0.5, 9))
    for change in (lambda: Dropout(layer.rate, "test"), lambda: setattr(layer, "scaling", "test")):
        with pytest.raises(ValueError, match="scaling is 'test', which wants a constant rate"):
            change()
    network = Network([layer, Dense(2)], backend="numpy")
    network.fit(_x(), _x(columns=2))
    before = network.get_weights()
    layer.rate.initial_learning_rate = 1
    with pytest.raises(ValueError, match="which may reach 1, wanted one below 1"):
        network.fit(_x(), _x(columns=2))
    assert all(map(np.array_equal, before, network.get_weights()))


def test_a_rate_of_zero_is_no_layer():
    x, y = _x(), _x(columns=2)
    plain = Network([Dense(4, "relu"), Dense(2)])
    layers = [Dropout(0.0), Dense(4, "relu", drop_connect=0.0), Dropout(0, "test"), Dense(2)]
    dropping = Network(layers)
    for network in (plain, dropping):
        network.fit(x, y, epochs=3, batch_size=5)
    for one, two in zip(plain.get_weights(), dropping.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()
