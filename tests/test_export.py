"""Networks exported as ONNX, C and Python predict what they predict here."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn.export
from fastnn import (
    Activation,
    BatchNormalization,
    Dense,
    HierarchicalSoftmax,
    Network,
    activations,
)
from fastnn.formulas import Formula
from fastnn.preprocessing import PCA, Center, Impute, RobustScale
from tests import exported
from tests.exported import (
    ACTIVATIONS,
    DTYPES,
    LAYERS,
    LOSSES,
    close,
    moderate,
    network,
    of_c,
    of_python,
)

NETWORKS = dict(exported.networks())
PREPROCESSING = {
    "center": ["center"],
    "one mean": [Center(per_feature=False)],
    "standardize": "standardize",
    "min_max": "min_max",
    "robust": ["robust_scale", "impute"],
    "left": [RobustScale(smooth_clip=False, leave=[1]), Impute(0.0, indicators=False)],
    "pca": PCA(2),
    "whiten": ["standardize", "whiten"],
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """All networks as one library, whose functions are numbered."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    folder = tmp_path_factory.mktemp("export")
    paths = []
    for number, model in enumerate(NETWORKS.values()):
        paths.append(folder / f"f{number}.c")
        fastnn.export.c(model, paths[-1], name=f"f{number}")
    return exported.library(folder, *paths)


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=list(NETWORKS))
def test_c_and_python_predict_the_same(number, compiled, tmp_path):
    model = [*NETWORKS.values()][number]
    dtype = model.dtype.name
    x = exported.rows(dtype)
    wanted = model.predict(x)
    found, _ = of_c(getattr(compiled, f"f{number}"), x, wanted.shape[1], dtype)
    assert close(found, wanted, dtype)
    (path,) = exported.exported(model, tmp_path, "python").values()
    assert close(of_python(path, x), wanted, dtype)


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_predicts_the_same(name, tmp_path):
    pytest.importorskip("onnxruntime")
    check_onnx(NETWORKS[name], tmp_path)


def check_onnx(model, folder):
    dtype = model.dtype.name
    x = exported.rows(dtype)
    (path,) = exported.exported(model, folder, "onnx").values()
    found = exported.of_onnx(path, {"X": x})["predictions"]
    assert close(found, model.predict(x), dtype), model


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", LAYERS)
def test_onnx_of_each_layer_activation_and_loss(layer, dtype, tmp_path):
    pytest.importorskip("onnxruntime")
    for activation in ACTIVATIONS.values():
        for loss in LOSSES.values():
            last = loss.last_activation or "linear"
            model = network(LAYERS[layer](activation), last, loss, dtype)
            check_onnx(moderate(model, np.random.default_rng(0)), tmp_path)


def random_network(rng):
    """Return a network of one to four random layers and a random last one, of moderate numbers."""
    layers = []
    for place in range(rng.integers(1, 5)):
        name = str(rng.choice([*LAYERS]))
        if place and name in ("embedding", "periodic", "piecewise"):  # they want certain columns
            name = "dense"
        layers += LAYERS[name](ACTIVATIONS[str(rng.choice([*ACTIVATIONS]))])
    for place, layer in enumerate(layers):
        if type(layer) is Dense:
            layers[place] = Dense(int(rng.integers(1, 40)), layer.activation, layer.use_bias)
    loss, dtype = LOSSES[str(rng.choice([*LOSSES]))], str(rng.choice(DTYPES))
    if loss.name == "softmax_cross_entropy" and rng.random() < 0.5:
        layers.append(HierarchicalSoftmax(5))
    last = str(rng.choice([loss.last_activation or "linear", loss.activation or "linear"]))
    return moderate(network(layers, last, loss, dtype), rng)


@pytest.mark.long
def test_onnx_of_200_random_networks(tmp_path):
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    for _ in range(200):
        check_onnx(random_network(rng), tmp_path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PREPROCESSING)
def test_preprocessing_goes_along(name, dtype, tmp_path):
    rng = np.random.default_rng(0)
    x, y = 100 + 3 * rng.normal(size=(40, 5)), rng.normal(size=(40, 1))
    if name in ("robust", "left"):
        x[3, 1] = x[7, 4] = np.nan
    given = PREPROCESSING[name]
    model = Network([Dense(4, "tanh"), Dense(1)], preprocessing=given, dtype=dtype, backend="numpy")
    model.fit(x, y)
    wanted = model.predict(x)
    paths = exported.exported(model, tmp_path, "python", "c")
    assert close(of_python(paths["python"], x), wanted, dtype)
    if shutil.which("gcc"):
        function = exported.library(tmp_path, paths["c"]).predict
        assert close(of_c(function, x, 1, dtype)[0], wanted, dtype)
    pytest.importorskip("onnxruntime")
    paths = exported.exported(model, tmp_path, "onnx")
    assert close(exported.of_onnx(paths["onnx"], {"X": x})["predictions"], wanted, dtype)


def test_batch_normalization_vanishes(tmp_path):
    layers = [Dense(4), BatchNormalization(), Activation("relu")]
    (path,) = exported.exported(network(layers), tmp_path, "python").values()
    body = path.read_text().split("def _outputs")[1]
    assert body.count(" @ ") == 2 and " * " not in body and body.count(" + ") == 2


def test_selected_inputs_are_read(tmp_path):
    model = Network([Dense(1)], backend="numpy")
    model.build(3)
    model.set_weights([[[1], [0], [2]], [1]])
    small = model.compact()
    assert list(small.model.inputs) == [0, 2]
    (path,) = exported.exported(small, tmp_path, "python").values()
    assert np.array_equal(of_python(path, [[1, 5, 10]]), [[22]])


@pytest.mark.parametrize(
    "last, loss", [("softmax", "softmax_cross_entropy"), ("linear", "logistic")]
)
def test_probabilities_or_scores(last, loss, tmp_path):
    model, x = network([Dense(4, "relu")], last, loss, "float64"), exported.rows("float64")
    names = {"probabilities": "predict_proba", "scores": "predict_scores"}
    found = {}
    for output, function in names.items():
        (path,) = exported.exported(model, tmp_path, "python", output=output).values()
        found[output] = of_python(path, x, function)
    direct = found["probabilities" if last == "softmax" else "scores"]
    assert np.allclose(direct, model.predict(x), rtol=1e-13)
    powers = np.exp(found["scores"])
    total = powers.sum(axis=1, keepdims=True) if last == "softmax" else 1 + powers
    assert np.allclose(found["probabilities"], powers / total, rtol=1e-12)


def test_scores_of_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"output is 'scores', but .* neither probabilities"):
        fastnn.export.python(network([Dense(4)]), tmp_path / "a.py", output="scores")
    with pytest.raises(ValueError, match="output"):
        fastnn.export.python(network([Dense(4)]), tmp_path / "a.py", output="logits")


WIDE_AND_DEEP = [784, 512, 256, 10], [5000, 64, 1], [20, *[32] * 20, 1]


def check_wide(sizes, dtype, folder):
    hidden = [Dense(units, "relu") for units in sizes[1:-1]]
    model = Network([*hidden, Dense(sizes[-1])], dtype=dtype, backend="numpy")
    model.build(sizes[0])
    x = np.random.default_rng(0).normal(size=(4, sizes[0])).astype(dtype)
    (path,) = exported.exported(model, folder, "c").values()
    found, _ = of_c(exported.library(folder, path).predict, x, sizes[-1], dtype)
    assert close(found, model.predict(x), dtype)


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
def test_c_sums_wide_inputs_in_blocks(tmp_path):
    check_wide([5000, 4, 1], "float32", tmp_path)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "sizes", [[784, 512, 256, 10], [5000, 64, 1], [20, *[32] * 20, 1]], ids=str
)
def test_c_of_wide_and_deep_networks(sizes, dtype, tmp_path):
    check_wide(sizes, dtype, tmp_path)


def test_int8_is_close_and_small(tmp_path):
    model, x = network([Dense(64, "relu")]), exported.rows("float32", 50)
    texts = []
    for int8 in (False, True):
        (path,) = exported.exported(model, tmp_path, "c", int8=int8).values()
        texts.append(path.read_text())
    assert "static const signed char k" in texts[1] and len(texts[1]) < 0.7 * len(texts[0])
    if shutil.which("gcc"):
        found, _ = of_c(exported.library(tmp_path, path).predict, x, 3, "float32")
        assert 1e-6 < exported.worst(found, model.predict(x)) < 0.02


def test_the_python_file_needs_numpy_only(tmp_path):
    model, x = network([Dense(4, "gelu")], dtype="float64"), exported.rows("float64")
    (path,) = exported.exported(model, tmp_path, "python").values()
    site = Path(np.__file__).parent.parent
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("numpy", "numpy.libs"):
        if (site / name).exists():
            (alone / name).symlink_to(site / name)
    code = (
        f"import sys; sys.path.insert(0, {str(alone)!r}); sys.path.append({str(tmp_path)!r})\n"
        "import model, numpy\n"
        "assert not {'fastnn', 'numba'} & set(sys.modules)\n"
        f"print(model.predict(numpy.array({x.tolist()})).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True, check=True
    )
    assert close(np.array(eval(done.stdout)), model.predict(x), "float64")


class Mine(Dense):
    """A layer that may compute anything."""


def _custom():
    numba = pytest.importorskip("numba")
    square, slope = numba.njit(lambda x: x * x), numba.njit(lambda x, y: 2 * x)
    return [Dense(2, activations.Custom(square, slope, name="square"))]


REFUSED = {
    r"layers\[0\].*Custom is not fastnn's own": _custom,
    r"layers\[0\].*Mine is not fastnn's own": lambda: [Mine(2)],
}


@pytest.mark.parametrize("target", ["c", "python"])
@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_said_is_refused_and_nothing_written(message, target, tmp_path):
    path = tmp_path / "kept"
    path.write_text("kept")
    with pytest.raises(ValueError, match=message):
        getattr(fastnn.export, target)(network(REFUSED[message]()), path)
    assert path.read_text() == "kept" and len([*tmp_path.iterdir()]) == 1


def test_other_libraries_transformers_are_refused(tmp_path):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    given = [preprocessing.PowerTransformer()]
    model = Network([Dense(1)], preprocessing=given, backend="numpy")
    model.fit(np.arange(9.0)[:, None], np.arange(9.0))
    with pytest.raises(ValueError, match="PowerTransformer, which has no formula"):
        fastnn.export.python(model, tmp_path / "a.py")


@pytest.mark.parametrize(
    "model, error, message",
    [
        (Network([Dense(1)]), ValueError, "export wants a network with parameters"),
        ([1], TypeError, "model is a list, wanted a Network"),
    ],
)
def test_other_models_are_refused(model, error, message, tmp_path):
    with pytest.raises(error, match=message):
        fastnn.export.python(model, tmp_path / "a.py")


def test_names_of_c_are_checked(tmp_path):
    with pytest.raises(ValueError, match="name is '1x'"):
        fastnn.export.c(network([Dense(4)]), tmp_path / "a.c", name="1x")


def test_formulas_check_widths_and_types():
    x = Formula.numbers("x", 2, "float32")
    with pytest.raises(TypeError, match=r"add of float32 \(2\) and float32 \(3\)"):
        x + [1, 2, 3]
    with pytest.raises(TypeError, match="float64"):
        x * Formula.numbers("y", 2, "float64")


def test_the_page_of_exports_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parent.parent / "docs" / "export.md"
    blocks = page.read_text(encoding="utf-8").split("```python\n")[1:]
    names = {}
    for block in blocks:
        code = block.split("```")[0]
        if "onnx" not in code or importlib.util.find_spec("onnxruntime"):
            exec(code, names)
    assert (tmp_path / "diabetes.c").exists()
