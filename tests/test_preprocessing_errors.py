"""What transformers refuse, and that a fit that fails changes nothing."""

import math
import re

import numpy as np
import pytest

from fastnn.preprocessing import (
    PCA,
    Center,
    Chain,
    Impute,
    MinMax,
    RobustScale,
    Standardize,
    Whiten,
    as_chain,
)
from tests.test_preprocessing import WIDE, Foreign, X, each


def _fitted(transformer):
    return transformer.fit(X)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: PCA().transform(X), "PCA is not fitted: call fit before transform"),
        (ValueError, lambda: Chain(["pca"]).inverse_transform(X), "Chain is not fitted: call fit "),
        (
            ValueError,
            lambda: _fitted(Standardize()).transform(X[:, :2]),
            "X has 2 columns, wanted 3 (Standardize was fitted on 3)",
        ),
        (
            ValueError,
            lambda: _fitted(PCA(2)).inverse_transform(X),
            "X has 3 columns, wanted 2 (PCA was fitted on 3)",
        ),
        (ValueError, lambda: _fitted(Center()).transform(X * math.nan), "X has nan at row 0, colu"),
        (
            ValueError,
            lambda: Center().fit(np.where(X == 9, math.inf, X)),
            "X has inf at row 4, colu",
        ),
        (ValueError, lambda: Center().fit(X[0]), "X has shape (3,), wanted 2-D"),
        (ValueError, lambda: Center().fit(X[:0]), "X has no rows"),
        (TypeError, lambda: Center().fit([["a"]]), "X has 'a' (str) at row 0"),
        (
            ValueError,
            lambda: Standardize().fit(X * 1e300),
            "X has numbers too large for the variance: sums or squares of them overflow",
        ),
        (ValueError, lambda: Center().fit(X * 1.9e307), "X has numbers too large for the mean"),
        (ValueError, lambda: Whiten().fit(X * 1e300), "X has numbers too large for the covaria"),
        (ValueError, lambda: MinMax().fit([[-1e308], [1e308]]), "X has numbers too large for the"),
        (
            ValueError,
            lambda: _fitted(Center()).transform([[1e39, 0, 0]], dtype="float32"),
            "transformed X has inf at row 0, column 0, wanted finite numbers",
        ),
        (ValueError, lambda: PCA(ddof=2), "ddof is 2, wanted 0 or 1"),
        (ValueError, lambda: Center(channels=2).fit(X), "X has 3 columns, wanted a multiple of ch"),
        (ValueError, lambda: Center(False, 3), "channels is 3 and per_feature is False"),
        (ValueError, lambda: PCA(4).fit(X), "n_components is 4, wanted at most 3"),
        (ValueError, lambda: PCA(3).fit(X[:2]), "n_components is 3, wanted at most 2"),
        (ValueError, lambda: PCA(1.5), "n_components is 1.5, wanted a whole number of at least 1"),
        (ValueError, lambda: PCA(0), "n_components is 0, wanted a whole number of at least 1"),
        (TypeError, lambda: PCA("mle"), "n_components is 'mle' (str), wanted"),
        (ValueError, lambda: Whiten(eps=0), "eps is 0, wanted a finite number above 0"),
        (ValueError, lambda: Whiten(4).fit(X), "n_components is 4, wanted at most 3"),
        (TypeError, lambda: Center(1), "per_feature is 1 (int), wanted True or False"),
        (ValueError, lambda: MinMax((1, 1)), "feature_range is (1, 1), wanted two numbers, the sm"),
        (ValueError, lambda: MinMax((0, math.inf)), "feature_range is inf, wanted a finite number"),
        (ValueError, lambda: Impute("mean"), "fill is 'mean', wanted 'median' or a number"),
        (ValueError, lambda: Impute(math.nan), "fill is nan, wanted a finite number"),
        (ValueError, lambda: Impute().fit(np.where(X == 2, math.inf, X)), "X has inf at row 0"),
        (ValueError, lambda: RobustScale(leave=[3]).fit(X), "leave has 3, wanted positions below"),
        (TypeError, lambda: RobustScale(leave="a"), "leave is 'a', wanted a list of positions"),
        (TypeError, lambda: MinMax(3), "feature_range is 3, wanted two numbers"),
        (ValueError, lambda: Chain([]), "steps is empty, wanted at least one transformer"),
        (TypeError, lambda: Chain("pca"), "steps is 'pca', wanted a list of transformers"),
        (TypeError, lambda: Chain([PCA]), "steps[0] is the class PCA, wanted an object"),
        (ValueError, lambda: Chain(["pca", "zca"]), "steps[1] is 'zca', wanted one of 'ordinal', "),
        (TypeError, lambda: Chain([3]), "steps[0] must be a name ('ordinal', 'one_hot',"),
        (TypeError, lambda: as_chain(3), "preprocessing: steps[0] must be a name"),
        (ValueError, lambda: as_chain([]), "preprocessing: steps is empty"),
        (
            ValueError,
            lambda: Chain([Foreign("rows")]).fit(X),
            "the output of Foreign has 4 rows, wanted 5",
        ),
        (ValueError, lambda: Chain([Foreign("nan")]).fit(X), "the output of Foreign has nan at ro"),
        (
            ValueError,
            lambda: Chain([Foreign("flat")]).fit(X),
            "the output of Foreign has shape (15",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


@each
def test_a_failed_fit_changes_nothing(transformer):
    expected = transformer.fit_transform(WIDE)
    signs = np.where(np.arange(60) < 30, 1, -1)[:, None]
    numbers = [
        WIDE * math.inf,
        *([] if isinstance(transformer, Impute) else [WIDE * 1e306 * signs]),
    ]
    for bad in numbers:
        with pytest.raises(ValueError, match="^X has "):
            transformer.fit(bad)
    assert transformer.transform(WIDE).tobytes() == expected.tobytes()
