"""Rows of an array whose columns have names."""

from collections.abc import Sequence

import numpy as np


class Labeled:
    """A frame of one array, which is not copied, for all who ask a frame for its names.

    Examples
    --------
    >>> from fastnn.inputs.arrays import as_numbers, is_frame
    >>> frame = Labeled(["size", "age"], np.ones((3, 2)))
    >>> is_frame(frame), as_numbers(frame, "X").shape
    (True, (3, 2))
    """

    def __init__(self, columns: Sequence[str], array: np.ndarray | None = None):
        self._columns = list(columns)
        self._array = np.empty((0, len(self._columns))) if array is None else array

    @property
    def columns(self) -> list[str]:
        """The names."""
        return self._columns

    @property
    def dtypes(self) -> list[str]:
        """The type of each column."""
        return [self._array.dtype.name] * len(self._columns)

    def __len__(self) -> int:
        return len(self._array)

    def to_numpy(self) -> np.ndarray:
        """Return the array itself."""
        return self._array
