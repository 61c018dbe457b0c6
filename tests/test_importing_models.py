"""Networks of Keras's models and of ONNX files predict and train as these do."""

import io
import os
import warnings

import numpy as np
import pytest

import fastnn
import fastnn.export
from fastnn import losses
from tests import imported
from tests.imported import INPUTS, close

# Of Keras: when it looks at arrays of its own, and of a softmax of one unit.
pytestmark = [
    pytest.mark.long,  # importing Keras alone takes seconds
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*softmax over axis -1:UserWarning"),
]


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras")


def of_keras(model, **options):
    """Return the network of a model, which computes in NumPy, so that nothing compiles."""
    network = fastnn.from_keras(model, **options)
    network.backend = "numpy"
    return network


def agrees(network, keras, model, x, factor=10):
    """Return whether predictions are equal but for float32's rounding, of which Keras makes use."""
    wanted = keras.ops.convert_to_numpy(model(x, training=False)).astype("float32")
    return close(network.predict(x).astype("float32"), wanted, factor)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_models(dtype, keras, monkeypatch):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        rng = np.random.default_rng(0)
        for _ in range(15):
            model, x = imported.random_keras(rng, dtype), imported.rows(dtype)
            network = of_keras(model)
            assert network.dtype == dtype
            assert agrees(network, keras, model, x), model.get_config()
    finally:
        keras.config.set_dtype_policy(before)


COMPILED = {
    "sgd, mse": (lambda k: k.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mse", None, 1),
    "adam, huber": (
        lambda k: k.optimizers.Adam(0.01),
        lambda k: k.losses.Huber(delta=0.5),
        None,
        1,
    ),
    "adamw, binary": (lambda k: k.optimizers.AdamW(0.01), "binary_crossentropy", "sigmoid", 1),
    "nadam, classes": (
        lambda k: k.optimizers.Nadam(0.01),
        "sparse_categorical_crossentropy",
        "softmax",
        3,
    ),
    "sgd, sum": (
        lambda k: k.optimizers.SGD(0.01),
        lambda k: k.losses.MeanSquaredError(reduction="sum"),
        None,
        1,
    ),
    "adagrad, logits": (
        lambda k: k.optimizers.Adagrad(0.05),
        lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True),
        None,
        3,
    ),
}


@pytest.mark.parametrize("name", COMPILED)
def test_training_goes_on_as_in_keras(name, keras):
    optimizer, loss, last, units = COMPILED[name]
    kinds = keras.layers
    # Of the bias before a normalization, the gradient is rounding, which Adam makes whole steps of:
    # after some starts, losses differ by more than rounding.
    keras.utils.set_random_seed(6)
    model = keras.Sequential(
        [
            keras.Input((INPUTS,)),
            kinds.Dense(6, "tanh", kernel_regularizer=keras.regularizers.L2(0.01)),
            kinds.BatchNormalization(),
            kinds.Dense(units, last, kernel_regularizer="l1"),
        ]
    )
    model.compile(optimizer(keras), loss(keras) if callable(loss) else loss)
    x = imported.rows()
    if units > 1:
        y = np.arange(len(x)) % units
    else:
        y = np.sin(x[:, :1]) if last is None else (x[:, :1] > 0).astype("float32")
    network = of_keras(model)
    for begin in range(0, 40, 8):
        part = slice(begin, begin + 8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = float(np.ravel(model.train_on_batch(x[part], y[part]))[0])
        labels = y[part].ravel().astype(int) if last == "sigmoid" else y[part]
        found = network.train_on_batch(x[part], labels)
        # Keras returns the mean of all batches since the last reset.
        model.reset_metrics()
        assert np.isclose(found, theirs, rtol=1e-4)
    assert agrees(network, keras, model, x, 200)


def test_what_is_not_trained_stays(keras):
    kinds, x = keras.layers, imported.rows()
    model = keras.Sequential(
        [
            keras.Input((INPUTS,)),
            kinds.Dense(4, kernel_regularizer="l2", kernel_constraint="non_neg"),
            kinds.LayerNormalization(),
            kinds.PReLU(),
            kinds.Dense(1, kernel_regularizer="l2"),
        ]
    )
    model.layers[0].kernel.trainable = False
    model.layers[1].trainable = model.layers[2].trainable = False
    model.compile(keras.optimizers.SGD(0.1), "mse")
    network = of_keras(model)
    before = network.get_weights()
    for _ in range(3):
        found = network.train_on_batch(x, x[:, :1])
        assert np.isclose(found, model.train_on_batch(x, x[:, :1]), rtol=1e-5)
        model.reset_metrics()
    after = network.get_weights()
    moved = [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert moved == [False, True, False, False, False, True, True]
    assert agrees(network, keras, model, x)
    model.layers[1].trainable = True
    model.layers[1].gamma.trainable = False
    with pytest.raises(ValueError, match="only some of gamma, beta are trained"):
        fastnn.from_keras(model)


def test_a_norm_of_all_gradients_is_of_all_that_is_trained(keras):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, global_clipnorm=1.0), "mse")
    assert fastnn.from_keras(model).optimizer == fastnn.SGD(0.1, global_clipnorm=1.0)
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match="global_clipnorm leaves out layers"):
        fastnn.from_keras(model)


def test_what_keras_models_are_refused(keras):
    kinds = keras.layers

    def chain(*layers):
        return keras.Sequential([keras.Input((3,)), kinds.Dense(2), *layers])

    again = kinds.Dense(2)
    refused = {
        "it is layer 1 of model, .* again, and shares its weights": chain(
            again, kinds.ReLU(), again
        ),
        "Conv1D": keras.Sequential([keras.Input((3, 1)), kinds.Conv1D(2, 2)]),
        "GaussianNoise": chain(kinds.GaussianNoise(0.1)),
        "BatchNormalization": chain(kinds.Reshape((2, 1)), kinds.BatchNormalization(axis=1)),
    }
    for message, model in refused.items():
        with pytest.raises(ValueError, match=f"cannot import .*({message}|Reshape)"):
            fastnn.from_keras(model)
    model = chain()
    for optimizer, loss, message in (
        ("rmsprop", "mae", "optimizer RMSprop: .*give optimizer= to from_keras"),
        ("adam", "poisson", "loss poisson: fastnn has no such loss; give loss="),
        ("adam", "mae", "it is the mean over 2 outputs"),
        ("adam", keras.losses.MeanAbsoluteError(reduction=None), "its reduction is None, wanted"),
    ):
        model.compile(optimizer, loss)
        with pytest.raises(ValueError, match=message):
            fastnn.from_keras(model, loss="mse" if optimizer == "rmsprop" else None)
    assert fastnn.from_keras(model, loss="mae").loss == losses.MAE()
    with pytest.raises(TypeError, match="model is a list"):
        fastnn.from_keras([1])


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx")


def runs(data, x):
    """Return what a runtime predicts."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (name,) = (given.name for given in session.get_inputs())
    return session.run(None, {name: x})[-1]


def of_onnx(model, **options):
    network = fastnn.from_onnx(model, **options)
    network.backend = "numpy"
    return network


def test_files_of_torch(onnx):
    torch, rng = pytest.importorskip("torch"), np.random.default_rng(0)
    for _ in range(30):
        module, x, file = imported.random_torch(rng, "float32"), imported.rows(), io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            axes = {"x": {0: "rows"}}
            torch.onnx.export(
                module, (torch.from_numpy(x),), file, dynamo=False, input_names=["x"],
                dynamic_axes=axes,
            )  # fmt: skip
        assert close(of_onnx(file.getvalue()).predict(x), runs(file.getvalue(), x), 20), module


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("preprocessing", [None, "standardize"])
def test_our_own_files_come_back(preprocessing, dtype, onnx, tmp_path):
    network = fastnn.Network(
        [fastnn.Dense(6, "silu"), fastnn.Dense(4, "elu"), fastnn.Dense(3, "softmax")],
        loss="softmax_cross_entropy",
        preprocessing=preprocessing,
        dtype=dtype,
        backend="numpy",
    )
    x = imported.rows(dtype)
    network.fit(x, np.arange(len(x)) % 3, epochs=2)
    path = tmp_path / "a.onnx"
    fastnn.export.onnx(network, path)
    back = of_onnx(path)
    assert back.loss == network.loss
    assert close(back.predict(x), network.predict(x), 10)
    assert np.array_equal(of_onnx(path.read_bytes()).predict(x), back.predict(x))
    back.fit(x, np.arange(len(x)) % 3, epochs=1)


@pytest.mark.parametrize("operator", ["Add", "Mul"])
def test_constants_behind_a_norm_without_bias(operator, onnx):
    helper, rng = onnx.helper, np.random.default_rng(0)
    nodes = [
        helper.make_node("LayerNormalization", ["x", "g"], ["h"]),
        helper.make_node(operator, ["h", "c"], ["k"]),
        helper.make_node("MatMul", ["k", "w"], ["y"]),
    ]
    shapes = {"g": INPUTS, "c": INPUTS, "w": (INPUTS, 2)}
    held = [
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype("float32"), name)
        for name, shape in shapes.items()
    ]
    kind = onnx.TensorProto.FLOAT
    ends = [[helper.make_tensor_value_info(name, kind, [None, None])] for name in "xy"]
    model = helper.make_model(
        helper.make_graph(nodes, "graph", *ends, held),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    x = imported.rows()
    assert close(of_onnx(model).predict(x), runs(model.SerializeToString(), x), 10)


@pytest.mark.parametrize("scaled", [False, True])
def test_files_of_scikit_learn(scaled, onnx):
    convert = pytest.importorskip("skl2onnx").to_onnx
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = imported.rows()
    model = MLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    )
    model = make_pipeline(StandardScaler(), model) if scaled else model
    data = convert(model.fit(x, x[:, 0]), x[:1]).SerializeToString()
    network = of_onnx(data)
    assert close(network.predict(x).astype("float32"), runs(data, x), 20)


def test_what_files_are_refused(onnx, tmp_path):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT

    def model(*nodes, weights=()):
        values = [
            helper.make_tensor_value_info(name, kind, [None, width])
            for name, width in (("x", 3), ("y", 2))
        ]
        held = [onnx.numpy_helper.from_array(np.asarray(w, "float32"), n) for n, w in weights]
        return helper.make_model(
            helper.make_graph(nodes, "graph", values[:1], values[1:], held),
            opset_imports=[helper.make_opsetid("", 17)],
        )

    w = ("w", np.ones((3, 2)))
    multiply = helper.make_node("MatMul", ["x", "w"], ["h"])
    assert fastnn.from_onnx(
        model(multiply, helper.make_node("Relu", ["h"], ["y"]), weights=[w])
    ).predict([[1, 2, 3]]).tolist() == [[6, 6]]
    for node, message in (
        (helper.make_node("Sin", ["h"], ["y"]), "Sin"),
        (helper.make_node("Add", ["h", "h"], ["y"]), "Add"),
    ):
        with pytest.raises(ValueError, match=f"cannot import .*{message}"):
            fastnn.from_onnx(model(multiply, node, weights=[w]))
    # Slopes and terms for each row, not for each column.
    for operator, shape in (("PRelu", (2, 1)), ("Add", (2, 1)), ("Mul", (2, 1))):
        node = helper.make_node(operator, ["h", "rows"], ["y"])
        with pytest.raises(ValueError, match=f"cannot import .*{operator}"):
            fastnn.from_onnx(model(multiply, node, weights=[w, ("rows", np.full(shape, 0.5))]))
    path = tmp_path / "no.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="no ONNX"):
        fastnn.from_onnx(path)
    with pytest.raises(OSError):
        fastnn.from_onnx(tmp_path / "missing.onnx")
    with pytest.raises(TypeError, match="model"):
        fastnn.from_onnx(3)
