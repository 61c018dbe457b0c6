"""Two small real data sets that ship with the package, and random splits.

``fastnn/data/README.md`` gives sources, citations and licenses.
"""

import gzip
import numbers
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.inputs.arrays import check_kind, is_frame, take_rows

__all__ = [
    "Dataset",
    "load_diabetes",
    "load_digits",
    "train_test_split",
    "train_validation_test_split",
]


class Dataset(NamedTuple):
    """Rows to learn from, with names.

    Attributes
    ----------
    X : float64 array of shape (n, n_features)
        One row per sample.
    y : array
        Class labels, int64 of shape (n,), or regression targets, float64 of shape (n, 1).
    feature_names : tuple of str
        Names of the columns of `X`.
    target_names : tuple of str
        Names of the classes in the order of their labels, or of the one regression target.
    description : str
        What the data are, and whom to cite.
    """

    X: NDArray[np.float64]
    y: NDArray[Any]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str


def _read(name: str) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    path = resources.files("fastnn") / "data" / name
    with path.open("rb") as packed, gzip.open(packed, "rt", encoding="ascii") as text:
        header = tuple(text.readline().rstrip().split(","))
        return header, np.loadtxt(text, delimiter=",")


def load_digits() -> Dataset:
    """Return 1,797 handwritten digits: 8x8 pixels from 0 to 16, with labels 0 to 9.

    These are the test part of UCI's Optical Recognition of Handwritten Digits, the same rows as
    scikit-learn's ``load_digits``.

    Returns
    -------
    Dataset
        `X` is (1797, 64), `y` int64 (1797,).

    References
    ----------
    E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49. CC BY 4.0.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.X.shape, digits.X.max(), digits.y[:5]
    ((1797, 64), np.float64(16.0), array([0, 1, 2, 3, 4]))
    """
    names, table = _read("digits.csv.gz")
    return Dataset(
        X=np.ascontiguousarray(table[:, :-1]),
        y=table[:, -1].astype(np.int64),
        feature_names=names[:-1],
        target_names=tuple(str(digit) for digit in range(10)),
        description="Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998), "
        "UCI Machine Learning Repository, CC BY 4.0",
    )


def load_diabetes() -> Dataset:
    """Return 442 diabetes patients: 10 unscaled measurements, and the progression in a year.

    Returns
    -------
    Dataset
        `X` is (442, 10), in the units of the study; `y` is (442, 1), from 25 to 346.

    References
    ----------
    B. Efron, T. Hastie, I. Johnstone and R. Tibshirani (2004). Least Angle Regression.  The Annals
    of Statistics 32(2), 407-499.

    Examples
    --------
    >>> diabetes = load_diabetes()
    >>> diabetes.X.shape, diabetes.y.shape, diabetes.feature_names[:4]
    ((442, 10), (442, 1), ('age', 'sex', 'bmi', 'bp'))
    """
    names, table = _read("diabetes.csv.gz")
    return Dataset(
        X=np.ascontiguousarray(table[:, :-1]),
        y=np.ascontiguousarray(table[:, -1:]),
        feature_names=names[:-1],
        target_names=names[-1:],
        description="the diabetes study of Least Angle Regression (Efron, Hastie, Johnstone and "
        "Tibshirani, 2004)",
    )


def split_rows(
    n_rows: int, test_size: float = 0.2, seed: int = 0, stratify: ArrayLike | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of random training and test rows, each in random order.

    Parameters and errors are those of :func:`train_test_split`.

    Examples
    --------
    >>> train, test = split_rows(10, test_size=0.3)
    >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
    (7, 3, True)
    """
    n_test = _part_size(test_size, n_rows, n_rows, "test")
    generator = np.random.default_rng(seed)
    order = generator.permutation(n_rows)
    if stratify is None:
        return order[n_test:], order[:n_test]
    groups = np.asarray(stratify)
    if groups.shape != (n_rows,):
        raise ValueError(f"stratify must have shape ({n_rows},), got {groups.shape}")
    # With the rows laid out group by group, n_test evenly spaced ones take each group's share,
    # rounded down or up.
    order = order[np.argsort(groups[order], kind="stable")]
    start = generator.integers(n_rows)
    is_test = np.diff((np.arange(n_rows + 1) * n_test + start) // n_rows).astype(bool)
    return generator.permutation(order[~is_test]), generator.permutation(order[is_test])


def _of_one_length(X: Any, y: Any) -> tuple[tuple[Any, Any], int]:
    """Return frames as they are and all else as arrays, and how many rows they have."""
    check_kind(X, "X")
    check_kind(y, "y")
    X, y = (each if is_frame(each) else np.asarray(each) for each in (X, y))
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows and y has {len(y)}; wanted the same number")
    return (X, y), len(X)


def _part_size(size: Any, n_rows: int, n_left: int, name: str) -> int:
    """Return a part's number of rows from `size`, a share of all rows or that number."""
    if isinstance(size, bool) or not isinstance(size, numbers.Real):
        raise TypeError(f"{name}_size is {size!r}, wanted a share of the rows or their number")
    n_part = int(size) if isinstance(size, numbers.Integral) else round(float(size) * n_rows)
    if not 0 < n_part < n_left:
        raise ValueError(
            f"{name}_size={size} leaves {n_part} of {n_left} rows for the {name} part; "
            "wanted at least one row there and one to train on"
        )
    return n_part


def train_test_split(
    X: ArrayLike,
    y: ArrayLike,
    test_size: float = 0.2,
    seed: int = 0,
    stratify: ArrayLike | None = None,
) -> tuple[Any, ...]:
    """Split rows at random into a training and a test part.

    Parameters
    ----------
    X, y : array-like
        Inputs and targets, with the same number of rows.
    test_size : float or int
        The share of rows to test on, between 0 and 1, or an int: how many.
    seed : int
        The same seed gives the same split.
    stratify : array-like of shape (n,), optional
        Groups, usually the labels.  Each keeps its share in both parts, to within one row.

    Returns
    -------
    X_train, X_test, y_train, y_test : arrays or frames
        Copies of the rows: frames of pandas, polars or pyarrow from frames, arrays from all else.

    Raises
    ------
    ValueError
        If `X`, `y` and `stratify` differ in rows, or one of the parts would be empty.
    TypeError
        If `test_size` is not a number, or for sparse matrices, masked arrays and lazy frames.

    Examples
    --------
    >>> X, y = np.arange(20).reshape(10, 2), np.arange(10) % 2
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, stratify=y)
    >>> X_train.shape, X_test.shape, y_test.sum()
    ((6, 2), (4, 2), np.int64(2))
    """
    both, n_rows = _of_one_length(X, y)
    train, test = split_rows(n_rows, test_size, seed, stratify)
    return tuple(take_rows(data, rows) for data in both for rows in (train, test))


def train_validation_test_split(
    X: ArrayLike,
    y: ArrayLike,
    validation_size: float = 0.1,
    test_size: float = 0.2,
    seed: int = 0,
    stratify: ArrayLike | None = None,
) -> tuple[Any, ...]:
    """Split rows at random into a training, a validation and a test part.

    Parameters
    ----------
    X, y : array-like
        Inputs and targets, with the same number of rows.
    validation_size, test_size : float or int
        Shares of all rows, between 0 and 1, or ints: how many.
    seed : int
        The same seed gives the same split, with the same test part as :func:`train_test_split`.
    stratify : array-like of shape (n,), optional
        Groups, usually the labels.  Each keeps its share in all parts, to within two rows.

    Returns
    -------
    X_train, X_validation, X_test, y_train, y_validation, y_test : arrays or frames
        Copies of the rows: frames of pandas, polars or pyarrow from frames, arrays from all else.

    Raises
    ------
    ValueError
        If `X`, `y` and `stratify` differ in rows, or one of the parts would be empty.
    TypeError
        If a size is not a number, or for sparse matrices, masked arrays and lazy frames.

    Examples
    --------
    >>> X, y = np.arange(20).reshape(10, 2), np.arange(10) % 2
    >>> parts = train_validation_test_split(X, y, validation_size=0.2, test_size=2, stratify=y)
    >>> [part.shape for part in parts]
    [(6, 2), (2, 2), (2, 2), (6,), (2,), (2,)]
    """
    both, n_rows = _of_one_length(X, y)
    rest, test = split_rows(n_rows, test_size, seed, stratify)
    groups = None if stratify is None else np.asarray(stratify)[rest]
    n_validation = _part_size(validation_size, n_rows, len(rest), "validation")
    train, validation = (rest[part] for part in split_rows(len(rest), n_validation, seed, groups))
    return tuple(take_rows(data, rows) for data in both for rows in (train, validation, test))
