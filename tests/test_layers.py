"""Layers beyond Dense: gradients, statistics, errors; for masks see `test_dropout`."""

import numpy as np
import pytest

from fastnn import (
    SGD,
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    LayerNormalization,
    Network,
    ParametricActivation,
    PeriodicEmbedding,
    Scale,
)
from fastnn.training import lowering
from tests.cases import BY_NAME, DTYPES
from tests.networks import LAYERS

ROWS, INPUTS, OUTPUTS = 23, 7, 3

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def _x(rows=ROWS, columns=INPUTS, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns))


def _labels(rows=ROWS):
    return np.random.default_rng(1).integers(0, OUTPUTS, rows)


@pytest.mark.parametrize(
    ("layers", "phases"),
    [
        ([Dense(4, "relu"), Activation("tanh"), Dropout(0.5), Dense(2)], 2),
        ([Dense(4, drop_connect=0.5), Dense(2)], 3),
        ([Dense(4), BatchNormalization(), Dense(2)], 6),
        ([Dense(4), LayerNormalization(), Dense(2)], 2),
        ([Scale(), Dense(4), ParametricActivation("tanh"), Dense(2)], 2),
        ([PeriodicEmbedding(), Embedding(4, 2, [1]), Dense(2)], 3),
    ],
)
def test_threads_meet_no_more_often_than_the_layers_need(layers, phases):
    network = Network(layers)
    network.build(INPUTS)
    data = lowering.Data(_x(), np.zeros((ROWS, 2)))
    order = lowering.Order()
    program, _ = lowering.training(network.model, network.optimizer, data, order, 5, 1)
    assert len({phase for phase, _ in program.groups}) == phases


# Gradients


def _batch_losses(layers, x, y, weight, backend):
    """Return a function of the weights: the mean of the training losses of the batches."""
    network = Network(layers, optimizer=SGD(1e-300), dtype="float64", backend=backend)
    network.build(INPUTS)

    def at(weights):
        network.model.updates = network.model.epochs = 0  # the masks of the first updates
        network.set_weights(weights)
        history = network.fit(x, y, batch_size=5, shuffle=False, sample_weight=weight)
        return history.history["loss"][0]

    return at


CHECKED = {
    "batch norm": [Dense(5), BatchNormalization(), Activation("tanh"), Dense(2)],
    "without center and scale": [
        Dense(4, "tanh"), BatchNormalization(center=False), Dense(3),
        BatchNormalization(scale=False), Activation("sigmoid"), Dense(2),
    ],
    "of inputs and of outputs": [
        BatchNormalization(), Dense(5, "tanh"), Dense(2), BatchNormalization(epsilon=0.1),
    ],
    "layer norm": [Dense(5), LayerNormalization(), Activation("tanh"), Dense(2)],
    "layer norm without center and scale": [
        Dense(4, "tanh"), LayerNormalization(center=False), Dense(3),
        LayerNormalization(scale=False), Activation("sigmoid"),
        LayerNormalization(center=False, scale=False), Dense(2),
    ],
    "layer norm of inputs and of outputs": [
        LayerNormalization(), Dense(2), LayerNormalization(epsilon=10),
    ],
    "scale": [Scale(), Dense(4, "tanh"), Scale(), Dense(2), Scale()],
    "parametric": [
        ParametricActivation("mish"), Dense(3, "tanh"), ParametricActivation("leaky_relu"),
        Dense(2), ParametricActivation("selu"),
    ],
    "dropout": [Dropout(0.2), Dense(6, "tanh"), Dropout(0.5), Dense(5), Dropout(0.3, "test"),
                Activation("sigmoid"), Dense(2)],
    "drop connect": [Dense(6, "tanh", drop_connect=0.4), Dense(2, drop_connect=0.2)],
    "rectified": [Dense(6), Activation("relu"), Dense(2), Activation("linear")],
    "all": [Dropout(0.2), Dense(6, drop_connect=0.3), BatchNormalization(), Activation("tanh"),
            Dropout(0.4), Dense(2)],
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_gradient(name, backend):
    # 8 rows are a batch of 5 and one of 3.  The weights make the loss of the epoch the mean of the
    # batches' means, and the rate is so small that the second batch sees the weights of the first.
    layers, rate, step = CHECKED[name], 1e-8, 1e-5
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((8, INPUTS)), rng.standard_normal((8, 2))
    weight = np.repeat([1 / 5, 1 / 3], [5, 3])
    network = Network(layers, optimizer=SGD(rate), dtype="float64", backend=backend, n_threads=2)
    network.build(INPUTS)
    shapes = [(p.name, p.value.shape) for p in network.model.all_parameters()]
    start = [
        np.zeros(shape) if "moving" in name else rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1])
        for name, shape in shapes
    ]
    network.set_weights(start)
    network.fit(x, y, batch_size=5, shuffle=False)
    loss = _batch_losses(layers, x, y, weight, "numpy" if backend == "numba" else "numba")
    for number, (before, after) in enumerate(zip(start, network.get_weights(), strict=True)):
        if "moving" in shapes[number][0]:
            continue
        gradient, expected = (before - after) / rate / 2, np.empty_like(before)
        for place in np.ndindex(before.shape):
            ends = []
            for change in (step, -step):
                moved = [array.copy() for array in start]
                moved[number][place] += change
                ends.append(loss(moved))
            expected[place] = (ends[0] - ends[1]) / (2 * step)
        assert shapes[number][0] == "bias" or np.abs(expected).max() > 1e-3
        assert np.abs(gradient - expected).max() < 1e-6 * max(0.1, np.abs(expected).max()), number


# Normalization


@each_dtype
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_statistics_do_not_depend_on_the_cut(parts, dtype):
    rng = np.random.default_rng(0)
    for name in ("batch_moments", "batch_norm_gradients", "layer_norm_gradients",
                 "scale_units_gradient", "blend_units_gradient"):  # fmt: skip
        case = BY_NAME[name]
        for rows, columns in ((1, 5), (10, 1), (50, 17), (33, 64)):
            whole = case.make(rng, dtype, rows, columns)
            cut = whole | {output: whole[output].copy() for output in case.outputs}
            case.compiled(*whole.values())
            for part in range(parts):
                ends = {"first": columns * part // parts, "last": columns * (part + 1) // parts}
                case.compiled(*(cut | ends).values())
            for output in case.outputs:
                assert cut[output].tobytes() == whole[output].tobytes()


def test_moving_averages_follow_the_batches_and_prediction_uses_them():
    x, y = _x(11), np.zeros((11, INPUTS))  # batches of 5, 5 and 1: the last changes nothing
    layer = BatchNormalization(momentum=0.9, epsilon=0.01)
    identity = Dense(INPUTS, kernel_initializer="zeros", bias_initializer="zeros")
    network = Network([layer, identity], optimizer=SGD(1e-300), dtype="float64")
    network.fit(x, y, batch_size=5, shuffle=False)
    mean, variance = np.zeros(INPUTS), np.ones(INPUTS)
    for batch in (x[:5], x[5:10]):
        mean = 0.9 * mean + 0.1 * batch.mean(axis=0)
        variance = 0.9 * variance + 0.1 * batch.var(axis=0)
    weights = network.get_weights()
    np.testing.assert_allclose(weights[2], mean, rtol=1e-12)
    np.testing.assert_allclose(weights[3], variance, rtol=1e-12)
    gamma, beta = np.linspace(1, 2, INPUTS), np.linspace(-1, 1, INPUTS)
    network.set_weights([gamma, beta, mean, variance, np.eye(INPUTS), np.zeros(INPUTS)])
    expected = gamma * (x - mean) / np.sqrt(variance + 0.01) + beta
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-12, atol=1e-12)
    loss = (expected**2).sum(axis=1).mean()
    assert network.evaluate(x, y) == pytest.approx(loss, rel=1e-12)


def test_a_bad_loss_leaves_the_moving_averages_alone():
    network = Network([Dense(4), BatchNormalization(), Dense(1)], n_threads=2)
    network.build(INPUTS)
    weights = network.get_weights()
    weights[6] = np.full_like(weights[6], 3e38)
    network.set_weights(weights)
    before = [array.tobytes() for array in network.get_weights()]
    with pytest.raises(FloatingPointError, match=r"began in layer 2 \(Dense"):
        network.fit(_x(), np.zeros((ROWS, 1)), batch_size=ROWS)
    assert [array.tobytes() for array in network.get_weights()] == before


def test_a_single_row_in_training_is_refused():
    network = Network([Dense(4), BatchNormalization(), Dense(1)])
    for rows, batch_size in ((ROWS, 1), (1, 10)):
        with pytest.raises(ValueError, match=r"batch_size is 1 .*at least 2.*BatchNormalization"):
            network.fit(_x(rows), np.zeros((rows, 1)), batch_size=batch_size)
    assert not network.built
    network.fit(_x(), np.zeros((ROWS, 1)), batch_size=11)  # the last batch has one row
    assert np.isfinite(network.predict(_x(1))).all()


# Activations


@pytest.mark.parametrize("activation", ["relu", "tanh", "linear"])
def test_an_activation_by_itself_is_that_of_the_layer_before(activation):
    x, y = _x(), _labels()
    start = "he_normal"
    inside = [Dense(6, activation, kernel_initializer=start), Dense(OUTPUTS, "softmax")]
    apart = [
        Dense(6, kernel_initializer=start), Activation(activation),
        Dense(OUTPUTS), Activation("softmax"),
    ]  # fmt: skip
    results = []
    for layers in (inside, apart):
        network = Network(layers, loss="softmax_cross_entropy", optimizer="adam")
        history = network.fit(x, y, epochs=3, batch_size=5).history["loss"]
        results.append([*network.get_weights(), np.array(history), network.predict(x)])
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


def test_predictions_reach_the_caller_through_a_last_layer_that_does_nothing():
    network = Network([Dense(2), Activation("linear")])
    network.build(INPUTS)
    w, b = network.get_weights()
    np.testing.assert_allclose(network.predict(_x()), _x() @ w + b, rtol=1e-5, atol=1e-5)


# The door


@pytest.mark.parametrize(
    ("error", "said", "make"),
    [
        (ValueError, ("rate", "1.0", "not including 1"), lambda: Dropout(1.0)),
        (ValueError, ("rate", "-0.1"), lambda: Dropout(-0.1)),
        (TypeError, ("rate", "'half'"), lambda: Dropout("half")),
        (ValueError, ("scaling", "'tets'", "did you mean 'test'"), lambda: Dropout(0.5, "tets")),
        (ValueError, ("drop_connect", "1"), lambda: Dense(3, drop_connect=1)),
        (ValueError, ("momentum", "1"), lambda: BatchNormalization(momentum=1)),
        (ValueError, ("epsilon", "0", "above 0"), lambda: BatchNormalization(epsilon=0)),
        (TypeError, ("center", "1", "True or False"), lambda: BatchNormalization(center=1)),
        (TypeError, ("scale", "None"), lambda: BatchNormalization(scale=None)),
        (ValueError, ("epsilon", "-1", "above 0"), lambda: LayerNormalization(epsilon=-1)),
        (TypeError, ("center", "1", "True or False"), lambda: LayerNormalization(center=1)),
        (ValueError, ("activation", "rleu", "'relu'"), lambda: Activation("rleu")),
        (ValueError, ("function", "softmax", "mixes"), lambda: ParametricActivation("softmax")),
        (TypeError, ("initial_share", "'a'"), lambda: ParametricActivation("relu", "a")),
        (ValueError, ("layers", "no Dense"), lambda: Network([Dropout(0.5), Activation("relu")])),
        (ValueError, ("layers ends", "Dropout"), lambda: Network([Dense(3), Dropout(0.5)])),
        (TypeError, ("layers[1]", "type"), lambda: Network([Dense(3), Dropout])),
        (
            ValueError,
            ("softmax_cross_entropy", "'tanh'"),
            lambda: Network([Dense(3), Activation("tanh")], loss="softmax_cross_entropy"),
        ),
    ],
)
def test_bad_settings_and_positions(error, said, make):
    with pytest.raises(error) as caught:
        make()
    for part in said:
        assert part in str(caught.value)


def test_weights_that_are_no_variance_are_refused():
    network = Network([Dense(2), BatchNormalization(), Dense(1)])
    network.build(INPUTS)
    before = network.get_weights()
    with pytest.raises(ValueError, match=r"weights\[5\] \(moving_variance\) has -1.0.*at least 0"):
        network.set_weights([*before[:5], [1.0, -1.0], *before[6:]])
    with pytest.raises(ValueError, match=r"weights\[4\] has shape \(3,\), wanted \(2,\)"):
        network.set_weights([*before[:4], np.ones(3), *before[5:]])
    for one, two in zip(before, network.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes()


def test_summary(capsys):
    network = LAYERS["every layer"].network()
    network.summary()
    assert "inputs" in capsys.readouterr().out
    network.build(INPUTS)
    network.summary()
    printed = capsys.readouterr().out
    wanted = ("BatchNormalization", "Activation", "relu", "drop_connect 0.3",
              "rate 0.2", "rate 0.5, scaled at test", "(104 not trained)")  # fmt: skip
    for part in wanted:
        assert part in printed


def test_training_with_all_of_them_learns():
    x = _x(2000, 2)
    y = np.abs(x[:, :1]) + x[:, 1:] ** 2
    hidden = [Dense(64, use_bias=False), BatchNormalization(0.9), Activation("relu")]
    layers = [*hidden, Dropout(0.1), Dense(64, "relu", drop_connect=0.1), Dense(1)]
    network = Network(layers, optimizer="adam")
    start = network.fit(x, y, batch_size=50, validation_data=(x, y)).history["val_loss"][0]
    history = network.fit(x, y, epochs=40, batch_size=50, validation_data=(x, y)).history
    assert history["val_loss"][-1] < 0.2 * start
    assert history["val_loss"][-1] < history["loss"][-1]  # what is dropped is missing


def test_outputs_of_every_layer():
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    layers = [Dropout(0.5), BatchNormalization(), Activation("relu"), Dense(2)]
    network = Network(layers)
    network.build(3)
    outputs = network.layer_outputs(x)
    assert [each.shape for each in outputs] == [(6, 3)] * 3 + [(6, 2)]
    np.testing.assert_array_equal(outputs[0], x)
    np.testing.assert_array_equal(outputs[-1], network.predict(x))
