"""Bad input is one clear error that names the argument, and it changes nothing."""

import numpy as np
import pytest

import fastnn
from fastnn import L1, L1L2, L2, SGD, Adam, Dense, Network

ROWS, INPUTS, OUTPUTS = 12, 3, 2
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, INPUTS), np.float32)
REAL = RNG.standard_normal((ROWS, OUTPUTS), np.float32)
LABELS = np.arange(ROWS) % OUTPUTS
NAN, INF = float("nan"), float("inf")


def _with(array, place, value, dtype=None):
    changed = array.astype(dtype or array.dtype)
    changed[place] = value
    return changed


class Case:
    """A bad call of fit: what differs from a good one, and what the error must say."""

    def __init__(self, error, *said, loss="mse", **arguments):
        self.error, self.said, self.loss, self.arguments = error, said, loss, arguments
        self.id = f"{loss}-{'-'.join(arguments)}-{said[1]}"


_CE, _LOGISTIC = {"loss": "softmax_cross_entropy"}, {"loss": "logistic"}
BAD = [
    Case(ValueError, "X", "nan at row 3, column 1", "finite", X=_with(X, (3, 1), NAN)),
    Case(ValueError, "X", "inf at row 0, column 2", "finite", X=_with(X, (0, 2), INF)),
    Case(ValueError, "X", "-inf", "finite", X=_with(X, (0, 2), -INF, np.float64)),
    Case(ValueError, "X", "1e+39", "float32", X=_with(X, (5, 0), 1e39, np.float64)),
    Case(ValueError, "X", "(3,)", "2-D", X=X[0]),
    Case(ValueError, "X", "(1, 12, 3)", "2-D", X=X[None]),
    Case(ValueError, "X", "no rows", "at least one", X=X[:0], y=REAL[:0]),
    Case(ValueError, "X", "no rows", "at least one", X=np.empty((0, 3)), y=REAL),
    Case(ValueError, "X", "no columns", "at least one", X=X[:, :0]),
    Case(ValueError, "X", "(0,)", "2-D", X=[], y=[]),
    Case(TypeError, "X", "'b' (str) at row 1", "numbers", X=_with(X, (1, 0), "b", object)),
    Case(TypeError, "X", "dtype object", "numbers", X=X.astype(object)),
    Case(TypeError, "X", "'a'", "numbers", X=np.full((ROWS, INPUTS), "a")),
    Case(TypeError, "X", "None", "numbers", X=None),
    Case(TypeError, "X", "'data.csv'", "numbers", X="data.csv"),
    Case(TypeError, "X", "complex", "real", X=X.astype(complex)),
    Case(TypeError, "X", "datetime", "real", X=X.astype("M8[s]")),
    Case(TypeError, "X", "masked", "filled", X=np.ma.masked_array(X, X > 0)),
    Case(ValueError, "X", "different lengths", "equal", X=[[1.0, 2.0], [3.0]]),
    Case(ValueError, "y", "(12,)", "(12, 2)", y=REAL[:, 0]),
    Case(ValueError, "y", "(12, 1)", "(12, 2)", y=REAL[:, :1]),
    Case(ValueError, "y", "11 rows", "12", y=REAL[:-1]),
    Case(ValueError, "y", "nan at row 4", "finite", y=_with(REAL, (4, 0), NAN)),
    Case(ValueError, "y", "inf at row 4", "finite", y=_with(REAL, (4, 0), INF)),
    Case(TypeError, "y", "dtype object", "numbers", y=REAL.astype(object)),
    Case(TypeError, "y", "None", "numbers", y=None),
    Case(ValueError, "y", "label 2 at row 7", "0 to 1", y=_with(LABELS, 7, 2), **_CE),
    Case(ValueError, "y", "label -1 at row 0", "0 to 1", y=_with(LABELS, 0, -1), **_CE),
    Case(TypeError, "y", "float64", "integer", y=LABELS.astype(float), **_CE),
    Case(TypeError, "y", "'cat'", "numbers", y=np.full(ROWS, "cat"), **_CE),
    Case(ValueError, "y", "(12, 2)", "integer", y=np.eye(2, dtype=int)[LABELS], **_CE),
    Case(ValueError, "y", "(12, 1)", "integer", y=LABELS[:, None], **_CE),
    Case(ValueError, "y", "11 rows", "12", y=LABELS[1:], **_CE),
    Case(ValueError, "y", "-1", "0 to 1", y=np.where(REAL > 0, 1, -1), **_LOGISTIC),
    Case(ValueError, "y", "1.5", "0 to 1", y=np.full((ROWS, 2), 1.5), **_LOGISTIC),
    Case(ValueError, "sample_weight", "(12, 1)", "(12,)", sample_weight=np.ones((ROWS, 1))),
    Case(ValueError, "sample_weight", "11 rows", "12", sample_weight=np.ones(ROWS - 1)),
    Case(ValueError, "sample_weight", "-1", "at least 0", sample_weight=-np.ones(ROWS)),
    Case(ValueError, "sample_weight", "nan", "finite", sample_weight=np.full(ROWS, NAN)),
    Case(ValueError, "sample_weight", "all zero", "above 0", sample_weight=np.zeros(ROWS)),
    Case(TypeError, "sample_weight", "'balanced'", "numbers", sample_weight="balanced"),
    *[
        Case(error, name, came, "whole number of at least 1", **{name: value})
        for name in ("epochs", "batch_size")
        for error, value, came in (
            (ValueError, 0, "0"), (ValueError, -3, "-3"), (TypeError, 1.5, "1.5"),
            (TypeError, "8", "'8'"), (TypeError, True, "True"),
        )
    ],
    Case(TypeError, "epochs", "None", "whole number of at least 1", epochs=None),
    Case(TypeError, "shuffle", "'batch'", "True or False", shuffle="batch"),
    Case(TypeError, "drop_last", "is 1 (int)", "True or False", drop_last=1),
    Case(ValueError, "drop_last", "are 12", "batch_size is 32", drop_last=True),
    Case(ValueError, "drop_last", "are 9", "is 10", drop_last=True, batch_size=10,
         validation_split=0.25),
    Case(ValueError, "verbose", "3", "0, 1 or 2", verbose=3),
    Case(ValueError, "verbose", "-1", "0", verbose=-1),
    Case(TypeError, "verbose", "'1'", "0, 1 or 2", verbose="1"),
    Case(ValueError, "validation_split", "1.0", "from 0", validation_split=1.0),
    Case(ValueError, "validation_split", "-0.1", "from 0", validation_split=-0.1),
    Case(ValueError, "validation_split", "nan", "from 0", validation_split=NAN),
    Case(TypeError, "validation_split", "'half'", "from 0", validation_split="half"),
    Case(TypeError, "validation_shuffle", "is 1 (int)", "True or False", validation_shuffle=1),
    Case(ValueError, "validation_split", "0.01 of 12 rows", "no rows", validation_split=0.01),
    Case(ValueError, "validation_data", "ndarray", "(X, y)", validation_data=X),
    Case(ValueError, "validation_data", "tuple", "(X, y)", validation_data=(X,)),
    Case(ValueError, "validation X", "2 columns", "3", validation_data=(X[:, 1:], REAL)),
    Case(ValueError, "validation X", "nan", "finite",
         validation_data=(_with(X, (0, 0), NAN), REAL)),
    Case(ValueError, "validation y", "(12,)", "(12, 2)", validation_data=(X, LABELS)),
    Case(ValueError, "validation y", "label 9", "0 to 1",
         validation_data=(X, LABELS + 9), **_CE),
    Case(ValueError, "validation sample_weight", "11 rows", "12",
         validation_data=(X, REAL, np.ones(ROWS - 1))),
    Case(ValueError, "validation_data", "validation_split", "both",
         validation_data=(X, REAL), validation_split=0.5),
    Case(TypeError, "callbacks", "7", "function", callbacks=[7]),
    Case(TypeError, "callbacks", "class", "object", callbacks=[fastnn.History]),
    Case(TypeError, "callbacks", "7 (int)", "function", callbacks=7),
    Case(TypeError, "callbacks", "'early' (str)", "function", callbacks="early"),
]  # fmt: skip


def _network(loss):
    layers = [Dense(4, "tanh"), Dense(OUTPUTS)]
    return Network(layers, loss=loss, optimizer=Adam(0.01), seed=1)


def _targets(loss):
    if loss == "mse":
        return REAL
    return LABELS if loss == "softmax_cross_entropy" else (REAL > 0).astype(np.float32)


def _state(network):
    """Return all that training depends on, as bytes."""
    parts = [str((network.built, network.model.epochs, network.model.updates)).encode()]
    for parameter in network.model.all_parameters():
        parts += [parameter.value.tobytes()]
        parts += [name.encode() + array.tobytes() for name, array in parameter.state.items()]
    return parts


def _assert_said(caught, said):
    message = str(caught.value)
    for part in said:
        assert part in message, f"{part!r} is not in: {message}"
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_fit(case, built):
    network, untouched = _network(case.loss), _network(case.loss)
    y = _targets(case.loss)
    if built:
        network.fit(X, y)
        untouched.fit(X, y)
    before = _state(network)
    with pytest.raises(case.error) as caught:
        network.fit(**({"X": X, "y": y, "epochs": 2} | case.arguments))
    _assert_said(caught, case.said)
    assert _state(network) == before
    assert network.fit(X, y, epochs=2).history == untouched.fit(X, y, epochs=2).history
    assert _state(network) == _state(untouched)


def test_another_width_than_the_built_one():
    network = _network("mse")
    network.fit(X, REAL)
    before = _state(network)
    calls = (
        lambda x: network.fit(x, REAL),
        lambda x: network.evaluate(x, REAL),
        network.predict,
    )
    for call in calls:
        with pytest.raises(ValueError) as caught:
            call(X[:, :2])
        _assert_said(caught, ("X", "2 columns", "3"))
    with pytest.raises(ValueError) as caught:
        network.build(5)
    _assert_said(caught, ("n_inputs", "5", "3"))
    assert _state(network) == before


@pytest.mark.parametrize(
    ("error", "said", "call"),
    [
        (ValueError, ("predict", "fit"), lambda network: network.predict(X)),
        (ValueError, ("evaluate", "fit"), lambda network: network.evaluate(X, REAL)),
        (ValueError, ("get_weights", "fit"), lambda network: network.get_weights()),
        (ValueError, ("set_weights", "fit"), lambda network: network.set_weights([])),
        (ValueError, ("save", "fit"), lambda network: network.save("never-written")),
        (ValueError, ("n_inputs", "0"), lambda network: network.build(0)),
        (TypeError, ("n_inputs", "2.5"), lambda network: network.build(2.5)),
    ],
)
def test_a_network_without_parameters(error, said, call):
    network = _network("mse")
    with pytest.raises(error) as caught:
        call(network)
    _assert_said(caught, said)
    assert not network.built


@pytest.mark.parametrize(
    ("error", "said", "call"),
    [
        (ValueError, ("X", "nan", "finite"), lambda n: n.predict(_with(X, (0, 0), NAN))),
        (ValueError, ("X", "no rows", "at least one"), lambda n: n.evaluate(X[:0], REAL[:0])),
        (ValueError, ("X", "2 columns", "3"), lambda n: n.predict(X[:0, :2])),
        (ValueError, ("batch_size", "0"), lambda n: n.predict(X, batch_size=0)),
        (ValueError, ("batch_size", "-1"), lambda n: n.predict(X[:0], batch_size=-1)),
        (ValueError, ("y", "(12,)", "(12, 2)"), lambda n: n.evaluate(X, LABELS)),
        (ValueError, ("sample_weight", "-1"), lambda n: n.evaluate(X, REAL, -np.ones(ROWS))),
        (ValueError, ("weights", "1 arrays", "4"), lambda n: n.set_weights([X])),
        (TypeError, ("weights", "int", "list"), lambda n: n.set_weights(3)),
        (
            ValueError,
            ("weights[3]", "(3,)", "(2,)"),
            lambda n: n.set_weights([*n.get_weights()[:3], np.ones(3)]),
        ),
        (
            ValueError,
            ("weights[3]", "nan", "finite"),
            lambda n: n.set_weights([*n.get_weights()[:3], [0.0, NAN]]),
        ),
        (
            TypeError,
            ("weights[3]", "'a'", "numbers"),
            lambda n: n.set_weights([*n.get_weights()[:3], ["a", "b"]]),
        ),
    ],
)
def test_other_calls(error, said, call):
    network = _network("mse")
    network.fit(X, REAL)
    before = _state(network)
    with pytest.raises(error) as caught:
        call(network)
    _assert_said(caught, said)
    assert _state(network) == before


def _made(layers=None, **options):
    return Network([Dense(2)] if layers is None else layers, **options)


@pytest.mark.parametrize(
    ("error", "said", "make"),
    [
        (ValueError, ("layers", "empty", "at least one"), lambda: _made([])),
        (TypeError, ("layers", "Dense"), lambda: _made(Dense(2))),
        (TypeError, ("layers", "int", "Dense"), lambda: _made([Dense(2), 3])),
        (TypeError, ("layers", "type", "Dense"), lambda: _made([Dense])),
        (TypeError, ("layers", "int"), lambda: _made(7)),
        (ValueError, ("units", "0", "at least 1"), lambda: Dense(0)),
        (TypeError, ("units", "2.0", "whole"), lambda: Dense(2.0)),
        (ValueError, ("activation", "rleu", "did you mean 'relu'"), lambda: Dense(1, "rleu")),
        (TypeError, ("activation", "int"), lambda: Dense(1, 3)),
        (TypeError, ("use_bias", "1", "True or False"), lambda: Dense(1, use_bias=1)),
        (ValueError, ("kernel_initializer", "hee"), lambda: Dense(1, kernel_initializer="hee")),
        (ValueError, ("bias_initializer", "zero"), lambda: Dense(1, bias_initializer="zzero")),
        (ValueError, ("kernel_regularizer", "l3"), lambda: Dense(1, kernel_regularizer="l3")),
        (TypeError, ("bias_regularizer", "float"), lambda: Dense(1, bias_regularizer=0.1)),
        (ValueError, ("l1", "-0.1", "at least 0"), lambda: L1(-0.1)),
        (ValueError, ("l2", "nan", "finite"), lambda: L2(NAN)),
        (ValueError, ("l2", "-1"), lambda: L1L2(0.1, -1)),
        (ValueError, ("loss", "msee", "'mse'"), lambda: _made(loss="msee")),
        (TypeError, ("loss", "int"), lambda: _made(loss=2)),
        (ValueError, ("optimizer", "sdg", "'sgd'"), lambda: _made(optimizer="sdg")),
        (TypeError, ("optimizer", "class SGD", "SGD()"), lambda: _made(optimizer=SGD)),
        (ValueError, ("learning_rate", "-0.1", "above 0"), lambda: SGD(-0.1)),
        (ValueError, ("learning_rate", "0", "above 0"), lambda: Adam(0)),
        (ValueError, ("learning_rate", "inf", "finite"), lambda: Adam(INF)),
        (TypeError, ("learning_rate", "'fast'"), lambda: SGD("fast")),
        (ValueError, ("momentum", "1", "from 0"), lambda: SGD(0.1, 1.0)),
        (ValueError, ("momentum", "-0.5"), lambda: SGD(0.1, -0.5)),
        (ValueError, ("nesterov", "momentum"), lambda: SGD(0.1, nesterov=True)),
        (ValueError, ("beta_1", "1.0"), lambda: Adam(beta_1=1.0)),
        (ValueError, ("beta_2", "-1"), lambda: Adam(beta_2=-1)),
        (ValueError, ("epsilon", "0"), lambda: Adam(epsilon=0)),
        (ValueError, ("seed", "-1"), lambda: _made(seed=-1)),
        (ValueError, ("seed", str(2**63)), lambda: _made(seed=2**63)),
        (TypeError, ("seed", "None"), lambda: _made(seed=None)),
        (ValueError, ("dtype", "float16", "float32"), lambda: _made(dtype="float16")),
        (ValueError, ("dtype", "int64", "float32"), lambda: _made(dtype=int)),
        (ValueError, ("dtype", "quad", "float32"), lambda: _made(dtype="quad")),
        (ValueError, ("n_threads", "0"), lambda: _made(n_threads=0)),
        (TypeError, ("n_threads", "'all'"), lambda: _made(n_threads="all")),
        (ValueError, ("backend", "torch", "'numba'"), lambda: _made(backend="torch")),
        (
            ValueError,
            ("loss", "softmax_cross_entropy", "activation", "relu"),
            lambda: _made([Dense(2, "relu")], loss="softmax_cross_entropy"),
        ),
        (
            ValueError,
            ("loss", "logistic", "sigmoid", "softmax"),
            lambda: _made([Dense(2, "softmax")], loss="logistic"),
        ),
        (
            ValueError,
            ("loss", "at least 2", "1"),
            lambda: _made([Dense(1)], loss="softmax_cross_entropy"),
        ),
        (ValueError, ("optimizer", "'lion'"), lambda: _made(optimizer={"name": "lion"})),
    ],
)
def test_settings(error, said, make):
    with pytest.raises(error) as caught:
        make()
    _assert_said(caught, said)


def test_a_file_that_is_no_network(tmp_path):
    from fastnn.files import storage

    path = tmp_path / "other"
    path.write_bytes(b"not a network at all" * 10)
    with pytest.raises(ValueError, match="other"):
        fastnn.load(path)
    storage.save(path, {"w": np.ones(3)}, {"format": "something else"})
    with pytest.raises(ValueError, match="something else"):
        fastnn.load(path)
    storage.save(path, {}, {"format": "fastnn-network-1"})
    with pytest.raises(ValueError, match="not a complete"):
        fastnn.load(path)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_diverging_fit_ends_before_the_bad_step(backend, n_threads):
    options = {"optimizer": SGD(1e4), "n_threads": n_threads, "backend": backend}
    layers = [Dense(4), Dense(OUTPUTS)]
    network, before = Network(layers, **options), Network(layers, **options)
    with pytest.raises(FloatingPointError, match="not finite.*learning rate"):
        network.fit(X, REAL, epochs=10, batch_size=ROWS)
    steps = network.model.updates
    assert 1 <= steps < 10
    before.fit(X, REAL, epochs=steps, batch_size=ROWS)
    assert _state(network) == _state(before)
    assert all(np.isfinite(array).all() for array in network.get_weights())
    network.optimizer = SGD(0.01)
    network.set_weights([array * 0 for array in network.get_weights()])
    assert np.isfinite(network.fit(X, REAL, epochs=2).history["loss"]).all()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    ("scales", "where"),
    [
        ((3e38, 1.0, 1.0), "layer 0"),
        ((1.0, 3e38, 1.0), "layer 1"),
        ((1.0, 1.0, 1e25), "loss 'mse'"),
    ],
)
def test_the_error_names_the_layer_where_it_began(scales, where, backend):
    network = Network([Dense(4), Dense(3, "relu"), Dense(OUTPUTS)], backend=backend)
    network.build(INPUTS)
    weights = [np.full_like(array, 2.0) for array in network.get_weights()]
    for number, scale in enumerate(scales):
        weights[2 * number] = np.minimum(weights[2 * number] * np.float64(scale), 3e38)
    network.set_weights(weights)
    x = np.abs(X) + 1
    before = _state(network)
    with pytest.raises(FloatingPointError) as caught:
        network.fit(x, REAL, epochs=3, batch_size=5, shuffle=False)
    _assert_said(caught, ("not finite", "epoch 0, rows 0 to 4", where))
    assert _state(network) == before
