"""Who learns tables in the benchmark, all with their default settings.

A contender gets the frame as it is.  What a library cannot take is prepared as its users would: for
networks that take numbers only, medians and indicators for what is missing, and for scikit-learn's
also standardized numbers and targets, and a column for each category.  That is part of its fit.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

from bench.measure import ROOT


def is_text(column) -> bool:
    """Tell whether a column of a frame holds something other than numbers."""
    return column.dtype.kind not in "biuf"


def texts(X) -> list[str]:
    return [name for name in X if is_text(X[name])]


def as_categories(most=None):
    """Return a transformer to pandas categories: those of the rows that it was fitted on.

    Columns of more than `most` categories become numbers.  Columns are named by their place,
    because LightGBM rejects names with brackets and the like.
    """
    import numpy as np
    import pandas as pd
    from sklearn.base import BaseEstimator, TransformerMixin

    class AsCategories(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.categories_ = {name: sorted(X[name].dropna().unique()) for name in texts(X)}
            return self

        def transform(self, X):
            columns = {}
            for place, name in enumerate(X):
                column = X[name]
                if name in self.categories_:
                    column = pd.Categorical(column, self.categories_[name])
                    if most is not None and len(column.categories) > most:
                        column = np.where(column.codes < 0, np.nan, column.codes)
                columns[f"x{place}"] = column
            return pd.DataFrame(columns, index=X.index)

    return AsCategories()


def fill_numbers(*further):
    """Return steps for columns of numbers: medians and indicators for what is missing."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(strategy="median", add_indicator=True), *further)


def ours(preset: str):
    def make(X, labels, seed, threads):
        from fastnn.tabular import TabularClassifier, TabularRegressor

        kind = TabularClassifier if labels else TabularRegressor
        return kind(preset=preset, random_state=seed, n_threads=threads)

    return make


def mlp(X, labels, seed, threads):
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepare = ColumnTransformer(
        [("texts", OneHotEncoder(handle_unknown="ignore"), texts(X))],
        remainder=fill_numbers(StandardScaler()),
    )
    if labels:
        return make_pipeline(prepare, MLPClassifier(random_state=seed))
    network = MLPRegressor(random_state=seed)
    return make_pipeline(prepare, TransformedTargetRegressor(network, transformer=StandardScaler()))


def hist_gradient_boosting(X, labels, seed, threads):
    from sklearn import ensemble
    from sklearn.pipeline import make_pipeline

    kind = "Classifier" if labels else "Regressor"
    trees = getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=seed)
    return make_pipeline(as_categories(most=255), trees)  # its limit


def lightgbm(X, labels, seed, threads):
    from lightgbm import LGBMClassifier, LGBMRegressor
    from sklearn.pipeline import make_pipeline

    kind = LGBMClassifier if labels else LGBMRegressor
    return make_pipeline(as_categories(), kind(random_state=seed, n_jobs=threads, verbose=-1))


def catboost(X, labels, seed, threads):
    from catboost import CatBoostClassifier, CatBoostRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    kind = CatBoostClassifier if labels else CatBoostRegressor
    trees = kind(random_state=seed, thread_count=threads, cat_features=texts(X),
                 allow_writing_files=False, verbose=0)  # fmt: skip
    return make_pipeline(FunctionTransformer(_missing_as_text), trees)


def _missing_as_text(X):
    return X.assign(**{name: X[name].fillna("missing") for name in texts(X)})


def realmlp(kind: str):
    def make(X, labels, seed, threads):
        from pytabkit.models.sklearn import sklearn_interfaces
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import make_pipeline

        named = as_categories().fit(X).transform(X)
        numbers = [name for name in named if named[name].dtype.kind in "biuf"]
        prepare = ColumnTransformer([("numbers", fill_numbers(), numbers)], remainder="passthrough")
        task = "Classifier" if labels else "Regressor"
        network = getattr(sklearn_interfaces, f"RealMLP_{kind}_{task}")(
            device="cpu", random_state=seed, n_threads=threads
        )
        return make_pipeline(as_categories(), prepare.set_output(transform="pandas"), network)

    return make


@dataclass(frozen=True)
class Contender:
    name: str
    make: Callable
    """``make(X, labels, seed, threads)`` returns an estimator for rows like X, and for labels if
    `labels`."""
    module: str = "sklearn"
    distribution: str = "scikit-learn"

    @property
    def installed(self) -> bool:
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:  # the package that the module should be in
            return False

    @property
    def version(self) -> str:
        """The installed version; of fastnn, which changes from day to day, a hash of its code."""
        if self.distribution != "fastnn":
            return version(self.distribution)
        total = hashlib.sha256()
        for path in sorted((ROOT / "fastnn").rglob("*.py")):
            total.update(path.read_bytes())
        return total.hexdigest()[:12]


CONTENDERS = {
    "fast": Contender("fastnn, fast", ours("fast"), "fastnn.tabular", "fastnn"),
    "accurate": Contender("fastnn, accurate", ours("accurate"), "fastnn.tabular", "fastnn"),
    "mlp": Contender("scikit-learn MLP", mlp),
    "hist": Contender("HistGradientBoosting", hist_gradient_boosting),
    "lightgbm": Contender("LightGBM", lightgbm, "lightgbm", "lightgbm"),
    "catboost": Contender("CatBoost", catboost, "catboost", "catboost"),
    "td": Contender("RealMLP-TD", realmlp("TD"), "pytabkit", "pytabkit"),
    "td_s": Contender("RealMLP-TD-S", realmlp("TD_S"), "pytabkit", "pytabkit"),
}
