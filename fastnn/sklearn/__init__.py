"""Estimators for scikit-learn: change the import line of its MLP, and keep the rest.

::

    from fastnn.sklearn import MLPClassifier  # was: from sklearn.neural_network

They need scikit-learn: ``pip install 'fastnn-kernels[sklearn]'``.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "fastnn.sklearn wants scikit-learn: pip install 'fastnn-kernels[sklearn]'"
    ) from error

from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.exchange import from_sklearn, to_sklearn
from fastnn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn", "to_sklearn"]
