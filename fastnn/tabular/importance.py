"""How much a model's score depends on each column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.inputs import checks
from fastnn.tabular.base import TabularEstimator, as_model, generator

_SHOWN = 20


@dataclass(frozen=True, repr=False)
class Importances:
    """What :func:`permutation_importance` found, under scikit-learn's names.

    Attributes
    ----------
    importances : array, (n_features, n_repeats)
        By how much the score fell.
    importances_mean, importances_std : array, (n_features,)
    feature_names : list of str
    """

    importances: np.ndarray
    feature_names: list[str]

    @property
    def importances_mean(self) -> np.ndarray:
        return np.asarray(self.importances.mean(axis=1))

    @property
    def importances_std(self) -> np.ndarray:
        return np.asarray(self.importances.std(axis=1))

    def __repr__(self) -> str:
        mean, std = self.importances_mean, self.importances_std
        order = np.argsort(-mean, kind="stable")
        wide = max(len(name) for name in self.feature_names)
        lines = [
            f"{self.feature_names[place]:<{wide}}  {mean[place]:7.4f} ± {std[place]:.4f}"
            for place in order[:_SHOWN]
        ]
        more = len(order) - _SHOWN
        return "\n".join(lines + [f"... and {more} columns more"] * (more > 0))


def permutation_importance(
    model: TabularEstimator,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_repeats: int = 5,
    random_state: Any = 0,
    sample_weight: ArrayLike | None = None,
) -> Importances:
    """Return by how much a model's score falls when the values of a column are shuffled.

    scikit-learn's function of this name does the same for any estimator.  This one encodes the
    rows only once, and shuffles what they became.

    Parameters
    ----------
    model : TabularRegressor or TabularClassifier
        Fitted.
    X, y : array-like
        Rows that the model has not seen, or the importances are of what it has learned by heart.
    n_repeats : int
        How often to shuffle each column.
    random_state : int, None or generator
    sample_weight : array-like, (n,), optional

    Returns
    -------
    Importances

    Raises
    ------
    ValueError, TypeError
        For bad input, or a model that is not fitted.

    Notes
    -----
    Columns that say the same stand in for one another: none of them seems to matter.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.tabular import TabularRegressor, permutation_importance
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = TabularRegressor().fit(x[:150], x[:150, 0])
    >>> permutation_importance(model, x[150:], x[150:, 0]).importances_mean.round()
    array([2., 0.])
    """
    n_repeats = checks.positive_int(n_repeats, "n_repeats")
    rng = generator(random_state)
    model = as_model(model)
    x, blocks = model.encoded(X, "permutation_importance"), model.encoding_.blocks()
    truth, weight = model.checked(y, sample_weight, len(x))
    score = model.score_encoded(x, truth, weight)
    found = np.zeros((len(blocks), n_repeats))
    shuffled = x.copy()
    for place, block in enumerate(blocks):
        own = x[:, block]
        for repeat in range(n_repeats):
            order = rng.permutation(len(x))
            if (own != own[0]).any():  # else nothing changes
                shuffled[:, block] = own[order]
                found[place, repeat] = score - model.score_encoded(shuffled, truth, weight)
        shuffled[:, block] = own
    names = getattr(model, "feature_names_in_", None)
    labels = [f"x{place}" for place in range(len(blocks))] if names is None else map(str, names)
    return Importances(found, list(labels))
