"""Preparing the data: transformers of the inputs, and bins for a regression target.

Every transformer learns from the rows that ``fit`` is given, the training rows, and from nothing
else.  Use them by hand, or hand them to ``Network(preprocessing=...)``, which fits them on the
training rows, applies them wherever it is given inputs, and stores them with itself.

Methods and attributes are named as scikit-learn's; scikit-learn's own transformers work in a
:class:`Chain` and in a network too, but cannot be stored with it.
"""

from fastnn.preprocessing.binned import BinnedTarget
from fastnn.preprocessing.chain import Chain, as_chain
from fastnn.preprocessing.projection import PCA, Whiten
from fastnn.preprocessing.scaling import Center, MinMax, Standardize
from fastnn.preprocessing.transformer import Transformer

__all__ = [
    "PCA",
    "BinnedTarget",
    "Center",
    "Chain",
    "MinMax",
    "Standardize",
    "Transformer",
    "Whiten",
    "as_chain",
]
