"""Estimators, ensembles and the command line's models, exported with all that they take."""

import shutil

import numpy as np
import pytest

import fastnn
import fastnn.export
from fastnn.__main__ import main
from fastnn.preprocessing import OneHot
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor
from tests import exported
from tests.exported import of_c, of_onnx, of_python, worst

pd = pytest.importorskip("pandas")

CLASSES = {"probabilities", "scores"}
NEAR = {"float32": 2e-6, "float64": 1e-12}


def frame(n=60):
    """Return a frame with columns of all kinds, and one to predict for, with what is new."""
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "rooms": rng.integers(1, 6, n),
            "day": pd.Timestamp("1890-02-28") + pd.to_timedelta(rng.integers(0, 10**8, n), "min"),
            "color": pd.Series(rng.choice(["red", "green", "blue"], n), dtype=object),
            "new": rng.random(n) < 0.5,
            'a "town"': rng.choice([f"town {k}, é?" for k in range(12)], n),
        }
    )
    made["day"] = made["day"].astype("datetime64[us]")
    made.loc[4, "day"], made.loc[5, "color"] = pd.NaT, None
    later = made.copy()
    later.loc[0, "color"], later.loc[1, 'a "town"'] = "purple", "nowhere"
    later.loc[2, "day"] = pd.Timestamp("2000-02-29 12:00")
    return made, later


def columns(given):
    """Return a frame's columns as ONNX takes them."""
    feed = {}
    for name, column in given.items():
        if column.dtype.kind == "M":
            column = (column - pd.Timestamp(0)) / pd.Timedelta(days=1)
        if column.dtype.kind in "fiu":
            feed[name] = column.to_numpy(np.float64)[:, None]
        else:
            texts = ["" if pd.isna(each) else str(each) for each in column]
            feed[name] = np.array(texts, object)[:, None]
    return feed


def check(model, X, feed, folder, wanted, labels=None, dtype="float64"):
    """Check all three files of a model; `wanted` are its numbers, and `labels` its classes."""
    paths = exported.exported(model, folder, "python", "c")
    names = {}
    exec(paths["python"].read_text(encoding="utf-8"), names)
    numbers = next(f for f in ("predict_proba", "predict_scores", "predict") if f in names)
    assert worst(names[numbers](X), wanted) < NEAR[dtype]
    if labels is not None:
        assert np.array_equal(names["predict"](X), labels)
    if shutil.which("gcc"):
        matrices = [each for each in feed.values() if each.dtype != object]
        x = np.hstack(matrices)
        texts = [each for each in feed.values() if each.dtype == object]
        rows = [[text or None for text in row] for row in np.hstack(texts)] if texts else None
        library = exported.library(folder, paths["c"])
        found, places = of_c(library.predict, x, wanted.shape[1], wanted.dtype, rows)
        assert worst(found, wanted) < NEAR[dtype]
        if labels is not None and labels.ndim == 1:
            known = np.unique(labels) if not hasattr(model, "classes_") else model.classes_
            assert np.array_equal(known[places], labels)
    pytest.importorskip("onnxruntime")
    found = of_onnx(exported.exported(model, folder, "onnx")["onnx"], feed)
    answer = next(found[name] for name in found if name != "label")
    assert worst(answer, wanted) < NEAR[dtype]
    if labels is not None:
        assert np.array_equal(found["label"], labels)


ENCODERS = {
    "one_hot": ["one_hot", "impute", "standardize"],
    "few": [OneHot(max_categories=5, binary=False), "impute", "robust_scale"],
    "ordinal": ["ordinal", "impute", "standardize"],
    "target_mean": ["target_mean", "impute", "standardize"],
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_take_the_raw_columns(name, tmp_path):
    X, later = frame()
    layers = [fastnn.Dense(4, "tanh"), fastnn.Dense(1)]
    how = {"dtype": "float64", "backend": "numpy"}
    network = fastnn.Network(layers, preprocessing=ENCODERS[name], **how)
    network.fit(X, np.nan_to_num(X["size"].to_numpy()))
    check(network, later, columns(later), tmp_path, network.predict(later))


@pytest.mark.parametrize("kind", [TabularRegressor, TabularClassifier])
def test_tabular_ensembles(kind, tmp_path):
    X, later = frame(120)
    y = np.nan_to_num(X["size"].to_numpy())
    recipes = [
        Recipe(hidden=(8,), epochs=2, batch_size=32, folds=2, numbers=numbers)
        for numbers in ("periodic", "piecewise")
    ]
    if kind is TabularRegressor:
        model = kind(recipes).fit(X, y)
        check(
            model, later, columns(later), tmp_path, model.predict(later)[:, None], None, "float32"
        )
        return
    model = kind(recipes).fit(X, np.where(y > 0, "yes", "no"))
    given = later, columns(later), tmp_path, model.predict_proba(later), model.predict(later)
    check(model, *given, "float32")


def estimators():
    pytest.importorskip("sklearn")
    from fastnn.sklearn import MLPClassifier, MLPRegressor

    return MLPClassifier, MLPRegressor


X = np.random.default_rng(0).normal(size=(60, 5))
Y = np.random.default_rng(1).normal(size=(60, 2))
REGRESSORS = {
    "plain": ({}, Y[:, 0]),
    "members": ({"n_members": 2}, Y),
    "standardized": ({"target_transform": "standardize"}, Y),
    "logarithms": ({"target_transform": "log"}, np.exp(Y)),
    "bins": ({"n_bins": 5}, Y[:, 0]),
    "quantiles": ({"quantiles": [0.1, 0.4, 0.6, 0.9]}, Y),
}
CLASSIFIERS = {
    "two": ({}, Y[:, 0] > 0),
    "three": ({}, np.array(["a", "b", "c"])[(Y[:, 0] > 0) * 1 + (Y[:, 1] > 0)]),
    "hinge": ({"loss": "hinge"}, (Y[:, 0] > 0) * 3),
    "several": ({}, (Y > 0).astype(int)),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, tmp_path):
    _, kind = estimators()
    options, y = REGRESSORS[name]
    model = kind(hidden_layer_sizes=(4,), max_iter=2, **options).fit(X, y)
    wanted = model.predict(X).reshape(60, -1)
    check(model, X, {"X": X}, tmp_path, wanted)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, tmp_path):
    kind, _ = estimators()
    options, y = CLASSIFIERS[name]
    model = kind(hidden_layer_sizes=(4,), max_iter=2, **options).fit(X, y)
    wanted = model.networks_[0].predict(X) if options else model.predict_proba(X)
    check(model, X, {"X": X}, tmp_path, wanted, model.predict(X))


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_an_estimator_cannot_say(tmp_path):
    _, kind = estimators()
    model = kind(hidden_layer_sizes=(4,), max_iter=2, target_transform="quantile").fit(X, Y)
    with pytest.raises(ValueError, match="'quantile': QuantileTransformer has no formula"):
        fastnn.export.python(model, tmp_path / "a.py")
    with pytest.raises(ValueError, match="which is for a Network"):
        fastnn.export.python(model, tmp_path / "a.py", output="scores")


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore::DeprecationWarning")
@pytest.mark.parametrize("dtype", exported.DTYPES)
def test_a_pipeline_through_skl2onnx(dtype):
    skl2onnx, onnxruntime = map(pytest.importorskip, ("skl2onnx", "onnxruntime"))
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier, regressor = estimators()
    fastnn.export.register_skl2onnx()
    x = X.astype(dtype)
    for kind, y in ((regressor, Y[:, 0]), (classifier, CLASSIFIERS["three"][1])):
        model = kind(hidden_layer_sizes=(4,), max_iter=2)
        pipeline = make_pipeline(StandardScaler(), model).fit(x, y)
        options = {id(model): {"zipmap": False}} if kind is classifier else None
        made = skl2onnx.to_onnx(pipeline, x[:1], options=options)
        session = onnxruntime.InferenceSession(made.SerializeToString())
        *labels, found = session.run(None, {"X": x})
        assert found.dtype == dtype
        if kind is regressor:
            assert worst(found[:, 0], pipeline.predict(x)) < NEAR[dtype]
        else:
            assert np.array_equal(labels[0], pipeline.predict(x))
            assert worst(found, pipeline.predict_proba(x)) < NEAR[dtype]


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A function that saves a network as `train` does, without training; it returns the network."""
    pl = pytest.importorskip("polars")
    from fastnn.tables import TableEncoder

    monkeypatch.chdir(tmp_path)
    table = pl.DataFrame(
        {
            "size": [1.0, None, 3.0, 4.5] * 9,
            "city": ["Oslo", "Bergen", None, "Oslo"] * 9,
            "garden": [True, False, False, True] * 9,
            "price": [10.0, 20.0, 30.0, 45.0] * 9,
        }
    )

    def save(task):
        target = "price" if task == "regression" else "city"
        encoder = TableEncoder.fit(table.drop_nulls(target), target, task)
        outputs = max(1, len(encoder.classes))
        last = fastnn.Dense(outputs, "softmax" if encoder.classes else None)
        loss = "softmax_cross_entropy" if encoder.classes else "mse"
        network = fastnn.Network([fastnn.Dense(4, "relu"), last], loss=loss, backend="numpy")
        network.build(len(encoder.input_names))
        network.save("homes.fastnn", extra={"table": encoder.to_dict()})
        return network, encoder, table

    return save


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_command_exports_a_table_model(task, saved, tmp_path, capsys):
    network, encoder, table = saved(task)
    assert main(["export", "homes.fastnn", "--to", "python"]) == 0
    assert capsys.readouterr().out == "wrote homes.py\n"
    outputs = network.predict(encoder.encode(table))
    wanted = encoder.decode(outputs)
    given = {name: table[name].to_numpy() for name in encoder.used}
    found = of_python(tmp_path / "homes.py", given)
    if task == "classification":
        assert np.array_equal(found, wanted)
        wanted = outputs
        found = of_python(tmp_path / "homes.py", given, "predict_proba")
    assert worst(found, wanted.reshape(found.shape)) < NEAR["float32"]
    spelled = {**given, "garden": [str(each).lower() for each in given["garden"]]}
    assert np.array_equal(of_python(tmp_path / "homes.py", spelled), of_python(
        tmp_path / "homes.py", given))  # fmt: skip


def test_the_command_refuses(saved, capsys):
    saved("regression")

    def refused(*argv, status=1):
        assert main(["export", "homes.fastnn", *argv]) == status
        return capsys.readouterr().err

    assert main(["export", "homes.fastnn", "--to", "c", "--name", "price", "--int8"]) == 0
    assert "exists; give --force" in refused("--to", "c")
    assert "--int8 is for --to c" in refused("--to", "python", "--int8", status=2)
    assert "homes.fastnn: name is 'a b'" in refused("--to", "c", "--name", "a b", "--force")
    assert "is the input" in refused("--to", "c", "--output", "homes.fastnn")
