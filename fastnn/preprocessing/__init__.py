"""Preprocessing: transformers for inputs, and bins for a regression target.

A transformer learns only from the training rows, those that are passed to ``fit``.  Use
transformers directly, or pass them to ``Network(preprocessing=...)``, which fits them to the
training rows, applies them to all inputs, and saves them with the network.

Methods and attributes have scikit-learn's names.  scikit-learn's own transformers also work in a
:class:`Chain` and in a network, but cannot be saved with it.
"""

from fastnn.preprocessing.binned import BinnedTarget
from fastnn.preprocessing.categories import OneHot, Ordinal, TargetMean
from fastnn.preprocessing.chain import Chain, as_chain
from fastnn.preprocessing.imputation import Impute
from fastnn.preprocessing.projection import PCA, Whiten
from fastnn.preprocessing.scaling import Center, MinMax, RobustScale, Standardize
from fastnn.preprocessing.transformer import Transformer

__all__ = [
    "PCA",
    "BinnedTarget",
    "Center",
    "Chain",
    "Impute",
    "MinMax",
    "OneHot",
    "Ordinal",
    "RobustScale",
    "Standardize",
    "TargetMean",
    "Transformer",
    "Whiten",
    "as_chain",
]
