"""What the estimators for tables say of themselves: importances, and what is wrong."""

import numpy as np
import pytest

from fastnn import tabular
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor, permutation_importance

pd = pytest.importorskip("pandas")

QUICK = Recipe(hidden=(8,), epochs=30, batch_size=32, folds=3, max_categories=3)


def table(n=200, seed=0):
    """Return a frame of which some columns matter, and the target."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "noise": rng.normal(size=n),
            "size": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "kind": rng.choice(["a", "b", "c"], n),
            "town": rng.choice([f"town {k}" for k in range(6)], n),
            "same": "x",
        }
    )
    return frame, 2 * np.nan_to_num(frame["size"]) + 3.0 * (frame["kind"] == "a").to_numpy()


FRAME, Y = table()
OTHER, TRUTH = table(seed=1)


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(QUICK).fit(FRAME, Y)


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(QUICK).fit(FRAME, np.where(Y > 1, "much", "little"))


def test_importances(regressor):
    found = permutation_importance(regressor, OTHER, TRUTH)
    assert found.importances.shape == (5, 5)
    mean = dict(zip(found.feature_names, found.importances_mean, strict=True))
    assert mean["size"] > 0.5 and mean["kind"] > 0.3 and mean["same"] == 0
    assert abs(mean["noise"]) < 0.1 and abs(mean["town"]) < 0.1
    assert repr(found).startswith("size ") and "±" in repr(found)


def test_importances_are_those_of_scikit_learn(regressor, classifier):
    inspection = pytest.importorskip("sklearn.inspection")
    for model, y in ((regressor, TRUTH), (classifier, np.where(TRUTH > 1, "much", "little"))):
        ours = permutation_importance(model, OTHER, y, n_repeats=10)
        theirs = inspection.permutation_importance(model, OTHER, y, n_repeats=10, random_state=0)
        allowed = 5 * (ours.importances_std + theirs.importances_std) / np.sqrt(10) + 1e-12
        assert (np.abs(ours.importances_mean - theirs.importances_mean) < allowed).all()


def test_a_column_moves_with_all_that_encodes_it(regressor):
    blocks = regressor.encoding_.blocks()
    assert [len(block) for block in blocks] == [1, 2, 3, 1, 1]  # a flag of missing sizes
    every = np.sort(np.concatenate(blocks))
    np.testing.assert_array_equal(every, np.arange(regressor.encoding_.width))


def test_importances_refuse_bad_input(regressor):
    with pytest.raises(ValueError, match="n_repeats"):
        permutation_importance(regressor, OTHER, TRUTH, n_repeats=0)
    with pytest.raises(ValueError, match="not fitted: call fit before permutation_importance"):
        permutation_importance(TabularRegressor(), OTHER, TRUTH)


@pytest.mark.parametrize("tool", [tabular.diagnose, permutation_importance])
def test_tools_are_for_estimators_of_tables(tool):
    with pytest.raises(TypeError, match="model is 3, wanted a TabularRegressor or TabularClassif"):
        tool(3, OTHER, TRUTH)


def test_errors_stand_beside_those_of_a_constant(regressor, classifier, tmp_path):
    assert list(regressor.oof_errors_) == ["root mean squared error", "mean absolute error"]
    assert list(classifier.oof_errors_) == ["error rate", "log loss"]
    root, constant = regressor.oof_errors_["root mean squared error"]
    assert 1 - (root / constant) ** 2 == pytest.approx(regressor.oof_score_)
    assert constant == pytest.approx(Y.std())
    rate, constant = classifier.errors(OTHER, np.where(TRUTH > 1, "much", "little"))["error rate"]
    assert constant == pytest.approx(min(np.mean(TRUTH > 1), np.mean(TRUTH <= 1)))
    assert rate < constant / 2
    with pytest.raises(ValueError, match="y has classes that training had not"):
        classifier.errors(OTHER, np.where(TRUTH > 1, "huge", "little"))
    regressor.save(tmp_path / "m")
    assert tabular.load(tmp_path / "m").oof_errors_ == regressor.oof_errors_


def causes(model, X, y):
    return [finding.cause for finding in tabular.diagnose(model, X, y).findings]


def test_a_good_model_has_nothing_wrong(regressor):
    frame = FRAME.drop(columns="same")
    model = TabularRegressor(QUICK).fit(frame, Y)
    diagnosis = tabular.diagnose(model, frame, Y)
    assert diagnosis.findings == [] and diagnosis.share < 0.3
    assert "Found nothing wrong" in repr(diagnosis)
    assert causes(regressor, FRAME, Y) == ["constant_columns"]


def test_columns_that_will_hurt():
    frame = FRAME.assign(
        leak=Y * 7 - 1, number=range(200), name=[f"{k}" for k in range(200)], same=1.5
    )
    diagnosis = tabular.diagnose(TabularRegressor(QUICK).fit(frame, Y), frame, Y)
    found = [(each.cause, each.problem.split("'")[1]) for each in diagnosis.findings[:4]]
    assert found == [
        ("leak", "leak"), ("identifier", "number"), ("identifier", "name"),
        ("constant_columns", "same"),
    ]  # fmt: skip
    labels = np.where(Y > 1, 5, 7)
    frame = FRAME.assign(leak=np.where(Y > 1, "yes", None))
    assert causes(TabularClassifier(QUICK).fit(frame, labels), frame, labels)[0] == "leak"


def test_a_class_of_few_rows(classifier):
    labels = np.where(Y > 1, "much", "little").astype(object)
    labels[:2], labels[2] = "rare", "alone"
    model = TabularClassifier(QUICK).fit(FRAME, labels)
    finding = tabular.diagnose(model, FRAME, labels).findings[1]
    assert (finding.cause, finding.number) == ("few_rows", 1)
    assert "class alone has 1 row(s), and 1 others have as few" in finding.problem


def test_overfitting_unrelated_targets_and_members_that_diverge():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(100, 20)), rng.normal(size=100)
    large = Recipe(hidden=(64,), epochs=60, batch_size=32, folds=2)
    assert causes(TabularRegressor(large).fit(x, noise), x, noise) == ["unrelated"]
    y = x[:, 0] + 0.5 * noise
    assert causes(TabularRegressor(large).fit(x, y), x, y) == ["overfitting"]
    model = TabularRegressor(QUICK).fit(x[:, :2], x[:, 0])
    assert "diverged" not in causes(model, x[:, :2], x[:, 0])
    model.histories_[1].history["val_loss"] = [100.0] * 30
    assert "diverged" in causes(model, x[:, :2], x[:, 0])
