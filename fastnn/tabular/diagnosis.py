"""What in a table or a model for it is likely to be wrong."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from fastnn.diagnosis import Diagnosis, Finding
from fastnn.inputs.alone import left_alone, tells
from fastnn.inputs.mixed import Columns, as_columns
from fastnn.tabular.base import TabularEstimator, as_model

_FEW = 5
_ALIKE = 0.95
_HEALTHY = 0.2
_BY_HEART = 0.5
"""A model that leaves less than this of what is left on other rows has learned rows by heart."""
_CONSTANT = {"half_mse": 0.5, "mse": 1.0}
"""What a constant leaves of the losses of standardized numbers."""
_OF_CLASSES = "log loss"


def diagnose(model: TabularEstimator, X: ArrayLike, y: ArrayLike) -> Diagnosis:
    """Say in plain words what is likely to be wrong with a fitted model or its table.

    The causes are "leak" (a column that alone predicts the target nearly perfectly), "identifier"
    (one whose values are all different), "constant_columns", "few_rows" (of a class), "diverged" (a
    member is no better than a constant, unlike others), "unrelated" (the model is no better) and
    "overfitting".

    Parameters
    ----------
    model : TabularRegressor or TabularClassifier
        Fitted.
    X, y : array-like
        The rows that it was fitted to.

    Returns
    -------
    Diagnosis
        Print it to read the answer.  Its `share` is that of the constant's error which is left on
        rows that networks had not seen: squared error, or log loss.

    Raises
    ------
    ValueError, TypeError
        For bad input, or a model that is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.tabular import TabularRegressor, diagnose
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    >>> diagnose(TabularRegressor().fit(x, y), x, y).cause
    'unrelated'
    """
    model, target = as_model(model), np.asarray(y)
    columns = as_columns(X)
    error, share = _share(model.errors(X, y)), _share(model.oof_errors_)
    findings = [*_leaks(columns, target, hasattr(model, "classes_"))]
    findings += [*_identifiers(columns), *_constants(columns)]
    if hasattr(model, "classes_"):
        findings += _rare(target)
    findings += _diverged(model)
    if share > _ALIKE:
        problem = f"on rows not trained on, the error is {share:.2g} times that of the constant"
        change = "Check that the rows of X and y are in the same order, and what the columns tell"
        findings.append(Finding("unrelated", share, problem, change))
    elif share > _HEALTHY and error < _BY_HEART * share:
        problem = (
            f"on rows trained on, the error is {error:.2g} times that of a constant, on others "
            f"{share:.2g} times"
        )
        change = "More rows, fewer columns or a Recipe with dropout and weight_decay may help"
        findings.append(Finding("overfitting", share / max(error, 1e-9), problem, change))
    updates = max(each.model.updates for each in model.networks_)
    return Diagnosis(findings, share, updates)


def _share(errors: dict[str, tuple[float, float]]) -> float:
    """Return the share of the constant's log loss, or of its squared error."""
    found, constant = errors.get(_OF_CLASSES) or np.square(errors["root mean squared error"])
    return float(found / constant) if constant else 1.0


def _codes(column: np.ndarray) -> np.ndarray:
    """Return a number for each value, in their order; missing ones are alike."""
    plain = column if column.dtype != object else np.array([v or "" for v in column], str)
    return np.unique(plain, return_inverse=True)[1].reshape(-1)


def _leaks(columns: Columns, target: np.ndarray, classes: bool) -> Iterator[Finding]:
    if target.ndim > 1 or len(target) < 2:
        return
    truth = target.astype(str) if classes else target.astype(np.float64)
    for place, column in enumerate(columns.values):
        left = left_alone(_codes(column), truth, column.dtype != object)
        if tells(left, len(target)):
            problem = f"{columns.called(place)} alone predicts {1 - left:.1%} of y"
            change = "Leave it out if it will not be known when you predict"
            yield Finding("leak", 1 - left, problem, change)


def _identifiers(columns: Columns) -> Iterator[Finding]:
    for place, column in enumerate(columns.values):
        different, rows = len(np.unique(_codes(column))), len(column)
        whole = column.dtype.kind == "f" and (column == column.round()).all()
        steps = whole and (np.abs(np.diff(column)) == 1).all()
        if rows > _FEW and (steps or (column.dtype == object and 2 * different > rows)):
            problem = f"{columns.called(place)} has {different} different values in {rows} rows"
            change = "Leave it out if it only names or numbers the rows"
            yield Finding("identifier", different / rows, problem, change)


def _constants(columns: Columns) -> Iterator[Finding]:
    same = [
        columns.called(place)
        for place, column in enumerate(columns.values)
        if not _codes(column).any()
    ]
    if same:
        problem = f"{', '.join(same)} {'has' if len(same) == 1 else 'have'} a single value"
        yield Finding("constant_columns", len(same), problem, "They can be left out")


def _rare(target: np.ndarray) -> Iterator[Finding]:
    labels, counts = np.unique(target, return_counts=True)
    few = counts < _FEW
    if few.any():
        problem = f"class {labels[few][0]} has {counts[few][0]} row(s)" + (
            f", and {few.sum() - 1} others have as few" if few.sum() > 1 else ""
        )
        change = "Collect more of them, or merge them with another class"
        yield Finding("few_rows", int(counts.min()), problem, change)


def _diverged(model: TabularEstimator) -> Iterator[Finding]:
    loss = model.networks_[0].loss.name
    constant = _CONSTANT.get(loss) or model.oof_errors_.get(_OF_CLASSES, (0, np.nan))[1]
    best = np.array([np.nanmin(each.history["val_loss"]) for each in model.histories_])
    if not (len(best) and np.median(best) < constant / 2):
        return
    for number in (best > constant).nonzero()[0]:
        problem = f"networks_[{number}] is no better than a constant on its rows, but others are"
        change = "Its rows may be others than the rest, or the learning_rate too high"
        yield Finding("diverged", float(best[number] / constant), problem, change)
