"""scikit-learn's own tests of its MLP, with the import line replaced, and its estimator checks."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn", "1.6")

from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from fastnn.sklearn import MLPClassifier, MLPRegressor
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]

PRIVATE = {"test_gradient": "calls `_loss_grad_lbfgs`, scikit-learn's own backward pass"}
"""Tests of scikit-learn's private methods, and which."""


def _theirs():
    """Return scikit-learn's tests by name, with our estimators in place of theirs."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    if spec is None or spec.origin is None:
        return {}
    source = Path(spec.origin).read_text(encoding="utf-8")
    wanted = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
    assert source.count(wanted) == 1
    names = {"__name__": spec.name}
    code = source.replace(wanted, "from fastnn.sklearn import MLPClassifier, MLPRegressor")
    exec(compile(code, spec.origin, "exec"), names)
    return {name: test for name, test in names.items() if re.match("test_", name)}


THEIRS = _theirs()
globals().update(THEIRS)
for _name, _reason in PRIVATE.items():
    if _name in THEIRS:
        globals()[_name] = pytest.mark.xfail(reason=_reason, raises=AttributeError)(THEIRS[_name])


@pytest.fixture
def global_random_seed():
    return 42


def test_their_tests_are_there():
    assert len(THEIRS) > 40 or not THEIRS


SOLVERS = ({"max_iter": 100}, {"solver": "sgd", "max_iter": 100}, {"solver": "lbfgs"})


@parametrize_with_checks([kind(**s) for kind in (MLPClassifier, MLPRegressor) for s in SOLVERS])
def test_estimator(estimator, check):
    check(estimator)


QUICK = Recipe(hidden=(8,), epochs=30, batch_size=32, folds=3)
WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": "copies of a row may be held out by different "
    "networks, whereas a row of their weight is held out by one"
}


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_estimators_of_tables(kind):
    found = check_estimator(kind(QUICK), expected_failed_checks=WEIGHTS, on_skip=None)
    assert {each["check_name"] for each in found if each["status"] == "xfail"} == set(WEIGHTS)
    assert sum(each["status"] == "passed" for each in found) > 50
