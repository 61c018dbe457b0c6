"""Files of the estimators for tables: the same predictions, and no forged file gets far."""

import copy
import time
import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import tabular
from fastnn.files import storage
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor
from tests.test_forged import drop, put, say

QUICK = Recipe(hidden=(8,), epochs=2, batch_size=32, folds=2, max_categories=3)
N = 60
NUMBERS = np.random.default_rng(0).normal(size=N)
ROWS = [[NUMBERS[i], "abcde"[i % 5], None if i % 9 == 0 else i] for i in range(N)]
NAMES = ["size", "kind", "day"]


def frame():
    pd = pytest.importorskip("pandas")
    made = pd.DataFrame(ROWS, columns=NAMES)
    return made.assign(date=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(N), "D"))


def loaded(model, path, **options):
    model.save(path, **options)
    return tabular.load(path)


def test_a_loaded_regressor_predicts_the_same(tmp_path):
    X = frame()
    model = TabularRegressor(QUICK, categorical_features=["day"], random_state=3, time_limit=60)
    model.fit(X, NUMBERS)
    again = loaded(model, tmp_path / "m", extra={"a": [1]})
    assert type(again) is TabularRegressor
    assert again.get_params() == model.get_params()
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    assert again.predict_interval(X).tobytes() == model.predict_interval(X).tobytes()
    assert (again.oof_score_, again.extra_, again.histories_) == (model.oof_score_, {"a": [1]}, [])
    assert list(again.feature_names_in_) == list(X) and again.n_features_in_ == 4
    with pytest.raises(ValueError, match="order of training"):
        again.predict(X[list(X)[::-1]])
    again.save(tmp_path / "n")
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()
    again.fit(X, NUMBERS)
    assert again.predict(X).tobytes() == model.fit(X, NUMBERS).predict(X).tobytes()


def test_several_kinds_of_networks(tmp_path):
    recipes = [QUICK, Recipe(hidden=(4,), numbers="piecewise", bins=4, epochs=2, folds=2)]
    model = TabularRegressor(recipes).fit(ROWS, NUMBERS)
    again = loaded(model, tmp_path / "m")
    assert again.preset == recipes and len(again.networks_) == 4
    assert again.predict(ROWS).tobytes() == model.predict(ROWS).tobytes()


def test_a_file_has_no_state_of_the_optimizer(tmp_path):
    TabularRegressor(QUICK).fit(ROWS, NUMBERS).save(tmp_path / "m")
    assert not [name for name in storage.load(tmp_path / "m")[0] if "optimizer" in name]


def test_several_targets(tmp_path):
    y = np.stack([NUMBERS, -NUMBERS], axis=1)
    model = TabularRegressor(QUICK).fit(ROWS, y)
    again = loaded(model, tmp_path / "m")
    assert again.predict_interval(ROWS).tobytes() == model.predict_interval(ROWS).tobytes()


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes", "äöü"], object),
        np.array([-1, 2**40]),
        np.array([3, 4], np.uint8),
        np.array([0.0, 1.0]),
        np.array([False, True]),
        np.array([False, True], object),
    ],
    ids=lambda each: each.dtype.name,
)
def test_a_loaded_classifier_predicts_the_same(classes, tmp_path):
    y = classes[np.arange(N) % len(classes)]
    model = TabularClassifier(QUICK).fit(ROWS, y)
    again = loaded(model, tmp_path / "m")
    assert again.classes_.dtype == model.classes_.dtype
    assert [*map(type, again.classes_)] == [*map(type, model.classes_)]
    assert again.predict_proba(ROWS).tobytes() == model.predict_proba(ROWS).tobytes()
    assert (again.predict(ROWS) == model.predict(ROWS)).all()


def test_what_a_file_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="not fitted: call fit before save"):
        TabularClassifier().save(tmp_path / "m")
    dates = np.array(["2026-01-01", "2026-01-02"], "datetime64[D]")[np.arange(N) % 2]
    model = TabularClassifier(QUICK).fit(ROWS, dates)
    with pytest.raises(TypeError, match="classes_ holds .*, which a file cannot hold"):
        model.save(tmp_path / "m")
    model = TabularRegressor(QUICK, random_state=np.random.default_rng(0)).fit(ROWS, NUMBERS)
    with pytest.raises(TypeError, match="extra is 3, wanted a dict"):
        model.save(tmp_path / "m", extra=3)
    assert not (tmp_path / "m").exists()
    assert loaded(model, tmp_path / "m").random_state is None


def test_each_reader_refuses_the_other_kind_of_file(tmp_path):
    model = TabularRegressor(QUICK).fit(ROWS, NUMBERS)
    model.save(tmp_path / "model")
    model.networks_[0].save(tmp_path / "network")
    with pytest.raises(ValueError, match=r"not a fastnn network .*: fastnn.tabular.load reads it"):
        fastnn.load(tmp_path / "model")
    with pytest.raises(ValueError, match=r"not a fastnn.tabular model: fastnn.load reads networks"):
        tabular.load(tmp_path / "network")


@pytest.fixture(scope="module")
def forged(tmp_path_factory):
    """Return a function that changes the header and arrays of a kind's file, and loads it."""
    path = tmp_path_factory.mktemp("forged") / "model"
    files = {}
    for kind, y in (
        (TabularRegressor, NUMBERS),
        (TabularClassifier, np.array(["no", "yes"])[np.arange(N) % 2]),
    ):
        kind(QUICK).fit(ROWS, y).save(path)
        files[kind] = storage.load(path)

    def load(kind, change):
        now = copy.deepcopy(files[kind])
        change(*now)
        storage.save(path, *now)
        return tabular.load(path)

    return load


ENCODING = "encoding.one_hot."
BOTH = {
    **{
        f"{name} {value!r}"[:50]: say(name, value=value)
        for name, values in {
            "kind": ("TabularEstimator", None, ["a"]),
            "parameters": ({}, 3, {"preset": "fast", "more": 1}),
            "encoding": ({}, None, [1]),
            "feature_names": (["a"], "abc", ["a", "a", "b"], [1.5, 2, 3]),
            "networks": ([], {}, 3, [{}], [3]),
            "target": ({}, 7, []),
            "extra": (3, None),
        }.items()
        for value in values
    },
    **{
        f"{name} {value!r}": say("parameters", name, value=value)
        for name, values in {
            "preset": ("slow", 3, None, {"hidden": 3}, {"hidden": ["a"]}, {"epochs": "a"},
                       {"activation": 3}, {"more": 1}, [], [3], [{"epochs": "a"}]),
            "time_limit": (-1, "a", True),
            "random_state": (-1, "a", [1]),
            "n_threads": (0, 1.5),
            "categorical_features": (["b"], 3),
        }.items()
        for value in values
    },
    **{
        f"errors {value!r}": say("target", "oof_errors", value=value)
        for value in (3, [1], {"a": 3}, {"a": [1]}, {"a": [1, -1]}, {"a": ["b", 1]})
    },
    "another transformer": say("encoding", "one_hot", value={"name": "Standardize"}),
    "no transformer": say("encoding", "one_hot", value=None),
    "other settings of a transformer": say("encoding", "one_hot", "max_categories", value=50),
    "a chain of numbers": say("encoding", "rest", value=[3]),
    "a shorter chain": lambda a, h: h["encoding"]["rest"].pop(),
    "another chain": say("encoding", "rest", 0, "name", value="Standardize"),
    "a longer chain": lambda a, h: h["encoding"]["rest"].append("pca"),
    "no kinds": drop(ENCODING + "kinds_"),
    "huge counts": put(ENCODING + "counts_", lambda a: a + 2**40),
    "counts of numbers": put(ENCODING + "counts_", lambda a: np.roll(a, 1)),
    "bytes of texts": put(ENCODING + "texts_", lambda a: np.full_like(a, 255)),
    "a category twice": put(ENCODING + "texts_", lambda a: a * 0 + a[:1]),
    "another width of the encoding": put("encoding.rest.n_features_in_", lambda a: a + 1),
    "medians of NaN": put("encoding.rest.0.median_", lambda a: a * np.nan),
    "a network of another width": say("networks", 0, "n_inputs", value=3),
    "a network more": lambda a, h: h["networks"].append(h["networks"][0]),
    "a network less": lambda a, h: h["networks"].pop(),
    "huge layers": say("networks", 0, "layers", -1, "units", value=200_000_000),
    "two outputs more": lambda a, h: (
        h["networks"][0]["layers"][-1].update(units=4),
        a.update({
            f"networks.0.layers.{len(h['networks'][0]['layers']) - 1}.{name}": np.zeros(shape, "f4")
            for name, shape in (("kernel", (8, 4)), ("bias", 4))
        }),
    ),
    "weights of NaN": put("networks.1.layers.0.embeddings", lambda a: a * np.nan),
    "an array more": lambda a, h: a.update({"target.more": np.ones(1)}),
    "an array elsewhere": lambda a, h: a.update({"more": np.ones(1)}),
    "a key more": lambda a, h: h.update(more=1),
    "a key of the target more": lambda a, h: h["target"].update(more=1),
    "no score": drop("target.oof_score"),
    "scores": put("target.oof_score", lambda a: np.ones(2)),
    "negative shares": put("target.shares", lambda a: a - 5),
    "shares of NaN": put("target.shares", lambda a: a * np.nan),
    "a share more": put("target.shares", lambda a: np.append(a, 1.0)),
    "no shares": put("target.shares", lambda a: a[:0]),
    "kinds of nothing": put("target.kinds", lambda a: a - 1),
    "kinds in float": put("target.kinds", lambda a: a * 1.0),
    "a kind less": put("target.kinds", lambda a: a[:-1]),
    "another format": say("format", value="fastnn-network-1"),
    "a format in a list": say("format", value=[]),
}  # fmt: skip
REGRESSOR = {
    **{f"vector {value!r}": say("target", "vector", value=value) for value in (3, None, "yes")},
    "a mean of NaN": put("target.mean", lambda a: a * np.nan),
    "no mean": put("target.mean", lambda a: a[:0]),
    "two means": put("target.mean", lambda a: np.ones(2)),
    "a scale of 0": put("target.scale", lambda a: a * 0),
    "the least above the most": put("target.low", lambda a: a + 100),
    "no residuals": put("target.residuals", lambda a: a[:0]),
    "residuals of no shape": put("target.residuals", lambda a: a[0, 0]),
}
CLASSIFIER = {
    **{
        f"{name} {value!r}": say("target", name, value=value)
        for name, values in {
            "dtype": ("O8", "U99999999", "V4", None, [], "datetime64", "float64", "bool"),
            "classes": ([], ["no"], ["yes", "no"], ["no", "no"], ["no", 3], [["no"], ["yes"]],
                        ["a", "b", "c"], "ny", {"no": 1}, [None, "no"]),
        }.items()
        for value in values
    },
}  # fmt: skip
FORGED = {
    f"{kind.__name__}, {name}": (kind, change)
    for kind, own in ((TabularRegressor, REGRESSOR), (TabularClassifier, CLASSIFIER))
    for name, change in (BOTH | own).items()
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_refused(forged, name):
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match="model(:| is not a) ") as error:
            forged(*FORGED[name])
        assert len(str(error.value)) < 1000
        assert time.process_time() - began < 1
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
