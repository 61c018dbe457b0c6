"""Estimators for tables: what they take, what they refuse, and what they promise."""

import pickle

import numpy as np
import pytest

from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor

pd = pytest.importorskip("pandas")

QUICK = Recipe(hidden=(8,), epochs=30, batch_size=32, folds=3)
KINDS = TabularRegressor, TabularClassifier


def table(n=120, seed=0):
    """Return a frame with columns of all kinds, and numbers that depend on them."""
    rng = np.random.default_rng(seed)
    size, color = rng.normal(size=n), rng.choice(["red", "green", "blue"], n)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "color": pd.Series(color).where(rng.random(n) > 0.1),
            "new": rng.random(n) < 0.5,
            "kind": pd.Categorical(rng.choice(["a", "b"], n)),
            "town": rng.choice([f"town {k}" for k in range(12)], n),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 400, n), "D"),
        }
    )
    return frame, np.nan_to_num(frame["size"].to_numpy()) + 2.0 * (color == "red")


def fitted(kind, frame, y, **options):
    return kind(QUICK, **options).fit(frame, y if kind is TabularRegressor else y > 1)


def said(model, frame):
    return (
        model.predict(frame) if isinstance(model, TabularRegressor) else model.predict_proba(frame)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_taken_as_it_is(kind):
    frame, y = table()
    model = fitted(kind, frame, y)
    assert model.oof_score_ > 0.75
    assert len(model.oof_prediction_) == len(frame)
    assert list(model.feature_names_in_) == list(frame)
    other, truth = table(seed=1)
    assert model.score(other, truth if kind is TabularRegressor else truth > 1) > 0.75


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_nothing(kind):
    frame, y = table()
    one, two = (said(fitted(kind, frame, y, n_threads=n), frame) for n in (1, 2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_model_predicts_the_same(kind):
    frame, y = table()
    model = fitted(kind, frame, y)
    again = pickle.loads(pickle.dumps(model))
    assert said(again, frame).tobytes() == said(model, frame).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_libraries_of_frames_agree(kind):
    pl = pytest.importorskip("polars")
    frame, y = table()
    frame["kind"] = frame["kind"].astype(str)
    model = fitted(kind, frame, y)
    own = {name: [None if pd.isna(v) else v for v in frame[name]] for name in frame}
    again = fitted(kind, pl.DataFrame(own), y)
    assert said(again, pl.DataFrame(own)).tobytes() == said(model, frame).tobytes()


class TestMessyFrames:
    """The right thing or one clear error."""

    def test_unseen_categories_and_missing_values(self):
        frame, y = table()
        model = fitted(TabularRegressor, frame.dropna(), y[frame.notna().all(axis=1)])
        other = frame.assign(color="violet", town=None, size=np.nan)
        assert np.isfinite(model.predict(other)).all()

    def test_a_column_without_values(self):
        frame, y = table()
        model = fitted(TabularRegressor, frame.assign(none=np.nan), y)
        assert np.isfinite(model.predict(frame.assign(none=3.0))).all()

    def test_a_class_of_one_row(self):
        frame, y = table()
        labels = np.where(y > 1, "much", "little").astype(object)
        labels[7] = "alone"
        model = TabularClassifier(QUICK).fit(frame, labels)
        assert list(model.classes_) == ["alone", "little", "much"]
        np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1)

    def test_infinity(self):
        frame, y = table()
        with pytest.raises(ValueError, match=r"X\['size'\] has inf at row 3, wanted finite"):
            fitted(TabularRegressor, frame.assign(size=[0, 0, 0, np.inf] * 30), y)

    def test_many_texts(self):
        frame, y = table()
        model = fitted(TabularRegressor, frame.assign(id=[f"{k}" for k in range(120)]), y)
        assert model.oof_score_ > 0.6

    def test_names_twice_in_another_order_or_gone(self):
        frame, y = table()
        model = fitted(TabularRegressor, frame, y)
        twice = frame.rename(columns={"color": "size"})
        with pytest.raises(ValueError, match="two columns 'size'"):
            fitted(TabularRegressor, twice, y)
        with pytest.raises(ValueError, match="order of training"):
            model.predict(frame[list(frame)[::-1]])
        with pytest.raises(ValueError, match="4 features|6 features|lacks"):
            model.predict(frame[["size", "color"]])

    def test_another_kind_of_column(self):
        frame, y = table()
        model = fitted(TabularRegressor, frame, y)
        with pytest.raises(TypeError, match=r"X\['size'\] held numbers in training"):
            model.predict(frame.assign(size="much"))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_failed_fit_changes_nothing(self, kind):
        frame, y = table()
        model = fitted(kind, frame, y)
        before = said(model, frame)
        with pytest.raises(ValueError, match="y has|X has"):
            model.fit(frame.assign(more=1.0), y[:-1] > 1)
        assert said(model, frame).tobytes() == before.tobytes()


def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    y = x[:, 0] + 0.5 * rng.normal(size=600)
    model = TabularRegressor(QUICK).fit(x[:300], y[:300])
    low, high = model.predict_interval(x[300:], 0.8).T
    assert 0.7 < np.mean((low <= y[300:]) & (y[300:] <= high)) < 0.9
    quantiles = model.predict_quantiles(x[300:], [0.1, 0.9])
    np.testing.assert_allclose(quantiles, np.stack([low, high], axis=1))


def test_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 1))
    y = rng.random(2000) < 1 / (1 + np.exp(-x[:, 0]))
    model = TabularClassifier(QUICK).fit(x[:1000], y[:1000])
    probability = model.predict_proba(x[1000:])[:, 1]
    sure = probability > 0.7
    assert abs(probability[sure].mean() - y[1000:][sure].mean()) < 0.05


def test_rows_of_weight_0_do_not_count():
    frame, y = table()
    weight = np.where(np.arange(120) < 100, 2.0, 0.0)
    weighted = fitted(TabularRegressor, frame, y)
    weighted.fit(frame, y, weight)
    assert np.isnan(weighted.oof_prediction_[100:]).all()
    assert not np.isnan(weighted.oof_prediction_[:100]).any()


def test_quantiles_and_constants_are_weighted():
    x = np.random.default_rng(0).normal(size=(200, 1))
    rare = np.arange(200) % 10 == 0
    y, weight = np.where(rare, 10.0, 0.0), np.where(rare, 100.0, 1.0)
    model = TabularRegressor(QUICK).fit(x, y, weight)
    assert abs(np.median(model.predict_quantiles(x, [0.5])) - 10) < 2
    assert model.oof_errors_["mean absolute error"][1] == pytest.approx(10 * 180 / 2180)


def test_a_time_limit_is_kept():
    x = np.random.default_rng(0).normal(size=(200, 3))
    endless = Recipe(hidden=(8,), epochs=10**6, folds=3)
    model = TabularRegressor(endless, time_limit=1.0).fit(x, x[:, 0])
    assert max(len(each.epoch) for each in model.histories_) < 10**6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "slow"}, "preset is 'slow', wanted one of 'fast', 'accurate'"),
        ({"time_limit": -1}, "time_limit is -1"),
        ({"n_threads": 0}, "n_threads is 0"),
        ({"random_state": "a"}, "random_state is 'a'"),
        ({"categorical_features": ["no"]}, "categorical_features has 'no'"),
    ],
)
def test_bad_settings(options, message):
    frame, y = table()
    with pytest.raises((ValueError, TypeError), match=message):
        TabularRegressor(**options).fit(frame, y)


@pytest.mark.parametrize("kind", KINDS)
def test_an_estimator_that_is_not_fitted(kind):
    with pytest.raises((ValueError, AttributeError), match="not fitted: call fit before predict"):
        kind().predict([[1.0]])
