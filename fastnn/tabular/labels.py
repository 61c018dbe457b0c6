"""Labels of classes, as users have them."""

import warnings
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from fastnn.inputs.arrays import as_array, check_kind
from fastnn.inputs.mixed import is_missing
from fastnn.tabular.base import of_sklearn

_ALIKE: tuple[Any, ...] = str, (bool, np.bool_), (Real, Decimal)
"""Labels of these types have an order; those of other types only among themselves."""
_CONTINUOUS = "which is continuous. Unknown label type: wanted labels"


def as_labels(y: Any) -> np.ndarray:
    """Return labels as a 1-D array.

    Raises
    ------
    ValueError, TypeError
        If there is not one label a row, or labels are missing, continuous or of several types.
    """
    if y is None:
        raise ValueError("TabularClassifier requires y to be passed, but the target y is None")
    check_kind(y, "y")
    labels = as_array(y, "y")
    mixed = isinstance(y, list | tuple) and labels.dtype.kind == "U"  # perhaps made of numbers
    given = np.array(y, object) if mixed else labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected: it was taken as y.ravel()",
            of_sklearn("DataConversionWarning", UserWarning),
            stacklevel=4,
        )
        labels, given = labels[:, 0], given[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y has shape {labels.shape}, wanted one label a row, (n,)")
    if labels.dtype.kind in "cV":
        raise TypeError(f"y has dtype {labels.dtype}, wanted labels")
    if given.dtype.kind in "OT":
        _check_objects(given)
    missing = np.isnat(labels) if labels.dtype.kind in "mM" else labels != labels
    _refuse(missing, given)
    if labels.dtype.kind == "f":
        _refuse(np.isinf(labels), given)
        _refuse(labels != labels.round(), given, _CONTINUOUS)
    return labels


def _check_objects(labels: np.ndarray) -> None:
    """Raise ValueError or TypeError for objects that are no labels, or of several types."""
    _refuse(np.array([is_missing(each) for each in labels], bool), labels)
    types = [*map(type, labels)]
    known = {each: _kind(each) for each in set(types)}
    kinds = [known[each] for each in types]
    for row, (label, kind) in enumerate(zip(labels, kinds, strict=True)):
        if type(label).__hash__ is None:
            raise TypeError(f"y has {label!r} ({type(label).__name__}) at row {row}, wanted labels")
        if kind != kinds[0]:
            first, other = (f"{each!r} ({type(each).__name__})" for each in (labels[0], label))
            raise TypeError(
                f"y has {first} at row 0 and {other} at row {row}, wanted labels of one type"
            )
    if kinds[:1] == [len(_ALIKE) - 1]:
        parts = [not isinstance(each, int) and float(each) % 1 != 0 for each in labels]
        _refuse(np.array(parts, bool), labels, _CONTINUOUS)


def _kind(type_: type) -> Any:
    """Return the place of a type among those with a common order, or itself."""
    return next((place for place, own in enumerate(_ALIKE) if issubclass(type_, own)), type_)


def _refuse(wrong: np.ndarray, labels: np.ndarray, why: str = "wanted labels") -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"y has {labels[row]} at row {row}, {why}")
