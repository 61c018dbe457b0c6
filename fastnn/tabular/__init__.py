"""Estimators for tables: they take data frames as they are, and need no tuning.

::

    from fastnn.tabular import TabularRegressor

    model = TabularRegressor().fit(train.drop(columns="price"), train["price"])
    model.predict(test), model.predict_interval(test, coverage=0.9), model.oof_score_

They follow scikit-learn's rules, but do not need it.  Columns of numbers, texts, booleans,
categories and dates, missing values and unseen categories are all taken care of.  Each model is an
ensemble of networks, each trained on its own share of the rows and stopped by the others, which
also say how good the model is.  ``model.save(path)`` writes a file without code, which :func:`load`
reads.
"""

from fastnn.tabular.base import load
from fastnn.tabular.classifier import TabularClassifier
from fastnn.tabular.diagnosis import diagnose
from fastnn.tabular.importance import Importances, permutation_importance
from fastnn.tabular.page import report
from fastnn.tabular.recipe import Recipe
from fastnn.tabular.regressor import TabularRegressor

__all__ = [
    "Importances",
    "Recipe",
    "TabularClassifier",
    "TabularRegressor",
    "diagnose",
    "load",
    "permutation_importance",
    "report",
]
