"""`diagnose` names planted causes first, and finds nothing in healthy trainings."""

import numpy as np
import pytest

from fastnn import L2, SGD, Adam, Dense, Network, datasets, diagnose, losses, overfit_small
from fastnn.initializers import Constant, Normal
from fastnn.kernels.jit import njit

SEEDS = (0, 1)


def _regression(seed, rows=400, columns=8):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns))
    y = np.tanh(x[:, :1] + x[:, 1:2]) + 0.5 * x[:, 2:3] * x[:, 3:4]
    y = (y - y.mean()) / y.std()
    return x, y + 0.1 * rng.standard_normal(y.shape)


def _classes(seed, rows=400, columns=8, classes=4, apart=2.0):
    rng = np.random.default_rng(seed)
    centers = apart * rng.standard_normal((classes, columns))
    labels = rng.integers(0, classes, rows)
    return centers[labels] + rng.standard_normal((rows, columns)), labels


def _network(seed, *, loss="mse", optimizer=None, activation="relu", last=None, outputs=1, **layer):
    optimizer = optimizer or SGD(0.05)
    hidden = [Dense(24, activation, **layer), Dense(24, activation, **layer)]
    return Network([*hidden, Dense(outputs, last)], loss=loss, optimizer=optimizer, seed=seed)


def _unscaled_inputs(seed):
    x, y = _regression(seed)
    return _network(seed), 50 * x + np.linspace(-500, 900, x.shape[1]), y, {}


def _unscaled_columns(seed):
    x, y = _regression(seed)
    scales = 10.0 ** np.arange(x.shape[1])
    return _network(seed, optimizer=Adam(0.01), activation="tanh"), x * scales, y, {}


def _unscaled_target(seed):
    x, y = _regression(seed)
    return _network(seed, loss="mae"), x, 500 * y + 20000, {}


def _large_target(seed):
    x, y = _regression(seed)
    return _network(seed, loss="mse"), x, 1000 * y, {}


def _tiny_target(seed):
    x, y = _regression(seed)
    return _network(seed, loss="mse"), x, 1e-4 * y, {"epochs": 10}


def _zero(activation):
    def plant(seed):
        x, y = _regression(seed)
        layers = [Dense(24, activation, kernel_initializer="zeros") for _ in range(2)]
        last = Dense(1, kernel_initializer="zeros")
        return Network([*layers, last], optimizer=SGD(0.05), seed=seed), x, y, {}

    return plant


def _equal(seed):
    x, y = _regression(seed)
    start = Constant(0.1)
    layers = [Dense(24, "tanh", kernel_initializer=start), Dense(1, kernel_initializer=start)]
    return Network(layers, optimizer=SGD(0.05), seed=seed), x, y, {}


def _equal_classes(seed):
    x, y = _classes(seed)
    start = Constant(0.05)
    layers = [
        Dense(24, "sigmoid", kernel_initializer=start),
        Dense(4, "softmax", kernel_initializer=start),
    ]
    network = Network(layers, loss="softmax_cross_entropy", optimizer=SGD(0.1), seed=seed)
    return network, x, y, {}


def _saturated(activation):
    def plant(seed):
        x, y = _regression(seed)
        start, optimizer = Normal(8.0), Adam(0.01)
        network = _network(
            seed, activation=activation, kernel_initializer=start, optimizer=optimizer
        )
        return network, x, y, {}

    return plant


def _dead(seed):
    x, y = _regression(seed)
    return _network(seed, bias_initializer=Constant(-12.0)), x, y, {}


def _rate_too_high(seed):
    return _network(seed, optimizer=SGD(3.0)), *_regression(seed), {}


def _rate_too_high_mae(seed):
    return _network(seed, loss="mae", optimizer=SGD(1.0)), *_regression(seed), {}


def _rate_too_high_adam(seed):
    x, y = _classes(seed, apart=0.7)
    network = _network(seed, loss="softmax_cross_entropy", optimizer=Adam(1.0), outputs=4)
    return network, x, y, {}


def _rate_too_low(seed):
    return _network(seed, optimizer=SGD(1e-5)), *_regression(seed), {}


def _rate_too_low_adam(seed):
    x, y = _classes(seed)
    network = _network(
        seed, loss="softmax_cross_entropy", optimizer=Adam(1e-6), outputs=4, last="softmax"
    )
    return network, x, y, {"epochs": 20}


def _signed_error(seed):
    return _network(seed, loss="signed_error"), *_regression(seed), {}


def _large_batch(seed):
    x, y = _regression(seed, rows=1200)
    return _network(seed, optimizer=SGD(0.02)), x, y, {"batch_size": 1200, "epochs": 10}


def _labels_from_one(seed):
    x, y = _classes(seed)
    return _network(seed, loss="softmax_cross_entropy", outputs=4), x, y + 1, {}


def _labels_from_one_and_a_spare_output(seed):
    x, y = _classes(seed)
    return _network(seed, loss="softmax_cross_entropy", outputs=5), x, y + 1, {}


def _negative_labels(seed):
    x, y = _classes(seed)
    return _network(seed, loss="softmax_cross_entropy", outputs=4), x, y - 1, {}


def _signs_for_bits(seed):
    x, y = _classes(seed, classes=2)
    return _network(seed, loss="logistic", outputs=1), x, 2.0 * y[:, None] - 1, {}


def _out_of_range(last):
    def plant(seed):
        x, y = _regression(seed)
        return _network(seed, last=last), x, y - 3, {}

    return plant


def _one_softmax(seed):
    return _network(seed, last="softmax"), *_regression(seed), {}


def _penalty(seed):
    return _network(seed, kernel_regularizer=L2(3.0)), *_regression(seed), {}


def _rows_misaligned(seed):
    x, y = _regression(seed)
    return _network(seed), x, np.roll(y, 1, axis=0), {}


def _unrelated(seed):
    x, y = _regression(seed)
    return _network(seed, optimizer=SGD(0.01)), x, np.random.default_rng(seed).permutation(y), {}


def _only_linear(seed):
    x, _ = _regression(seed)
    return Network([Dense(1)], optimizer=SGD(0.05), seed=seed), x, np.abs(x[:, :1]) - 0.8, {}


def _overfitted(seed):
    x, y = _regression(seed, rows=500, columns=20)
    y = x[:, :1] + 1.8 * np.random.default_rng(seed + 100).standard_normal(y.shape)
    return _network(seed, optimizer=Adam(0.01)), x, y, {"epochs": 200}


def _constant_inputs(seed):
    x, y = _regression(seed)
    return _network(seed), np.ones_like(x), y, {}


def _constant_target(seed):
    x, y = _regression(seed)
    return _network(seed), x, np.full_like(y, 7), {}


PLANTED = {
    "unscaled inputs": (_unscaled_inputs, "unscaled_inputs"),
    "unscaled columns": (_unscaled_columns, "unscaled_inputs"),
    "unscaled target": (_unscaled_target, "unscaled_target"),
    "large target": (_large_target, "unscaled_target"),
    "tiny target": (_tiny_target, "unscaled_target"),
    "zero, tanh": (_zero("tanh"), "zero_weights"),
    "zero, relu": (_zero("relu"), "zero_weights"),
    "equal": (_equal, "equal_weights"),
    "equal, classes": (_equal_classes, "equal_weights"),
    "saturated tanh": (_saturated("tanh"), "saturated"),
    "saturated sigmoid": (_saturated("sigmoid"), "saturated"),
    "dead": (_dead, "dead"),
    "rate too high": (_rate_too_high, "rate_too_high"),
    "rate too high, mae": (_rate_too_high_mae, "rate_too_high"),
    "rate too high, adam": (_rate_too_high_adam, "rate_too_high"),
    "rate too low": (_rate_too_low, "rate_too_low"),
    "rate too low, adam": (_rate_too_low_adam, "rate_too_low"),
    "signed error": (_signed_error, "signed_error"),
    "large batch": (_large_batch, "batch_too_large"),
    "labels from 1": (_labels_from_one, "labels"),
    "labels from 1, a spare output": (_labels_from_one_and_a_spare_output, "labels"),
    "labels from -1": (_negative_labels, "labels"),
    "-1 and 1 for the logistic loss": (_signs_for_bits, "labels"),
    "sigmoid out of range": (_out_of_range("sigmoid"), "output_range"),
    "relu out of range": (_out_of_range("relu"), "output_range"),
    "elu out of range": (_out_of_range("elu"), "output_range"),
    "softmax of one": (_one_softmax, "output_range"),
    "penalty": (_penalty, "penalty"),
    "rows misaligned": (_rows_misaligned, "rows_misaligned"),
    "unrelated": (_unrelated, "unrelated"),
    "overfitted": (_overfitted, "overfitting"),
    "only linear": (_only_linear, "constant_prediction"),
    "constant inputs": (_constant_inputs, "constant_inputs"),
    "constant target": (_constant_target, "constant_target"),
}


def _diabetes(seed):
    data = datasets.load_diabetes()
    x = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    y = (data.y - data.y.mean()) / data.y.std()
    layers = [Dense(16, "relu"), Dense(1)]
    return Network(layers, loss="mae", optimizer=Adam(0.01), seed=seed), x, y, {"epochs": 30}


def _diabetes_as_in_the_readme(seed):
    data = datasets.load_diabetes()
    x = (data.X - data.X.mean(axis=0)) / data.X.std(axis=0)
    network = Network(
        [Dense(64, "relu"), Dense(64, "relu"), Dense(1)],
        loss="mae",
        optimizer=Adam(0.01),
        seed=seed,
    )
    return network, x, data.y, {"epochs": 60}


def _digits(seed):
    data = datasets.load_digits()
    network = Network(
        [Dense(32, "relu"), Dense(10, "softmax")],
        loss="softmax_cross_entropy", optimizer="adam", seed=seed,
    )  # fmt: skip
    return network, data.X / 16, data.y, {"epochs": 20}


def _healthy_regression(seed):
    return _network(seed, optimizer=SGD(0.05, momentum=0.9)), *_regression(seed), {"epochs": 60}


def _healthy_mae(seed):
    return _network(seed, loss="mae", optimizer=Adam(0.01)), *_regression(seed), {"epochs": 60}


def _healthy_noise(seed):
    x, y = _regression(seed)
    y = y + 0.5 * np.random.default_rng(seed + 100).standard_normal(y.shape)
    return _network(seed, optimizer=SGD(0.02)), x, y, {"epochs": 60}


def _healthy_classes(seed):
    x, y = _classes(seed)
    network = _network(seed, loss="softmax_cross_entropy", outputs=4, activation="tanh")
    return network, x, y, {"epochs": 30}


def _healthy_logistic(seed):
    x, y = _classes(seed, classes=2)
    network = _network(seed, loss="logistic", last="sigmoid", activation="sigmoid")
    return network, x, y[:, None].astype(float), {"epochs": 60}


def _healthy_line(seed):
    x, _ = _regression(seed)
    return Network([Dense(1, kernel_initializer="zeros")], seed=seed), x, x[:, :1] + x[:, 1:2], {}


HEALTHY = {
    "diabetes": _diabetes,
    "diabetes, as in the README": _diabetes_as_in_the_readme,
    "digits": _digits,
    "regression": _healthy_regression,
    "regression, mae": _healthy_mae,
    "regression with noise": _healthy_noise,
    "classes": _healthy_classes,
    "logistic": _healthy_logistic,
    "a line, from zero": _healthy_line,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_cause_is_named_first(case, seed):
    plant, cause = PLANTED[case]
    network, x, y, fit = plant(seed)
    found = diagnose(network, x, y, **fit)
    assert found.cause == cause, found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", HEALTHY)
def test_nothing_is_found_in_a_healthy_training(case, seed):
    network, x, y, fit = HEALTHY[case](seed)
    found = diagnose(network, x, y, **fit)
    assert found.findings == [], found


@njit
def _square(prediction, target):
    return ((prediction - target) ** 2).sum()


@njit
def _swapped(prediction, target, d):
    d[:] = target - prediction


@pytest.mark.long
def test_a_wrong_kernel_of_one_s_own():
    x, y = _regression(0)
    network = _network(0, loss=losses.Custom(_square, _swapped))
    found = diagnose(network, x, y)
    assert found.cause == "gradient", found
    assert "layer" in found.findings[0].problem


@pytest.mark.parametrize("built", [False, True])
def test_the_network_stays_as_it_is(built):
    network, x, y, fit = _rate_too_low(0)
    if built:
        network.fit(x, y, epochs=3)
        before, settings = network.get_weights(), network.optimizer.to_config()
    x, y = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    found = diagnose(network, x, y, **fit)
    assert found.cause == "rate_too_low"
    assert network.built is built
    if built:
        assert network.optimizer.to_config() == settings
        for old, new in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_a_trained_network_is_judged_from_its_start():
    network, x, y, fit = _rate_too_high_mae(0)
    network.fit(x, y, epochs=5)
    assert diagnose(network, x, y, **fit).cause == "rate_too_high"


def test_weights_set_by_hand_are_the_start():
    x, y = _regression(0)
    network = _network(0, activation="tanh")
    network.build(x.shape[1])
    network.set_weights([np.zeros_like(each) for each in network.get_weights()])
    assert diagnose(network, x, y).cause == "zero_weights"


def test_the_same_answer_every_time():
    network, x, y, fit = _large_target(0)
    assert diagnose(network, x, y, **fit) == diagnose(network, x, y, **fit)


@pytest.mark.parametrize("rows", [1, 2, 10, 50])
def test_few_rows(rows):
    x, y = _regression(0)
    found = diagnose(_network(0), x[:rows], y[:rows])
    assert found.share >= 0 or np.isnan(found.share)


def test_the_answer_in_words():
    network, x, y, fit = _unscaled_inputs(0)
    found = diagnose(network, x, y, **fit)
    text = str(found)
    assert "1. unscaled_inputs: " in text and "Subtract each column's mean" in text
    finding = found.findings[0]
    size = np.sqrt(np.square(x).mean(axis=0)).max()
    assert finding.number == pytest.approx(size, rel=0.1)
    assert f"{finding.number:.3g}" in finding.problem
    network, x, y, fit = HEALTHY["regression"](0)
    assert "Found nothing wrong" in str(diagnose(network, x, y, **fit))


@pytest.mark.parametrize("loss", dict.fromkeys(losses.TABLE.values()), ids=lambda kind: kind.name)
def test_every_loss_has_its_constant_prediction(loss):
    loss = loss()
    outputs = 2 * loss.outputs
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3))
    y = {
        "real": x[:, :2],
        "count": rng.poisson(np.exp(x[:, :2])),
        "positive": np.exp(x[:, :2]),
        "binary": (x[:, :2] > 0) * 1.0,
        "sign": np.sign(x[:, :2]),
        "class": (x[:, 0] > 0) * 1,
    }[loss.target]
    network = Network([Dense(outputs, loss.activation)], loss=loss, optimizer=Adam(0.01))
    assert 0 <= diagnose(network, x, y, epochs=20).share < 10


def test_losses_of_means_are_judged_above_those_of_perfect_predictions():
    x, y = _regression(0, rows=100)
    y = np.exp(y)
    network = Network([Dense(32, "tanh"), Dense(1)], loss="gamma", optimizer=Adam(0.01))
    assert overfit_small(network, x, y, updates=1000)
    found = diagnose(network, x, 2e5 * y, epochs=40)
    assert found.findings[0].cause == "unscaled_target"
    assert "y / mean" in found.findings[0].change


@pytest.mark.parametrize("optimizer", ["gd", "rprop"])
def test_optimizers_of_full_batches(optimizer):
    x, y = _regression(0)
    found = diagnose(_network(0, optimizer=optimizer), x, y, epochs=5)
    assert found.updates > 0
