"""One pass over rows that are not in memory, in batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnn.data.layout import Layout, rounded
from fastnn.data.sources import as_source
from fastnn.inputs.checks import non_negative_int, positive_int


def stream(
    source: Any,
    *,
    target: Any = None,
    sample_weight: str | None = None,
    columns: Any = None,
    batch_size: int = 32,
    shuffle_window: int = 0,
    seed: int = 0,
    dtype: DTypeLike | None = None,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the rows of a source in batches, once, without writing them anywhere.

    For :meth:`fastnn.Network.train_on_batch`, or larger batches for ``partial_fit``.  Of a window
    of rows, shuffled, half is yielded before as many new ones come in.  The order is a function of
    `seed`, `shuffle_window` and the number of rows alone.

    Parameters
    ----------
    source, target, sample_weight, columns
        As in :func:`to_memmap`.
    batch_size : int
        Rows of each batch; the last may be smaller.
    shuffle_window : int
        How many rows to shuffle among, all of them in memory: at least 2, or 0 for their order in
        the source.
    seed : int
    dtype : float type, optional
        What X becomes; by default what the source has.

    Yields
    ------
    (X, y), (X, y, sample_weight), or (X,) without a target

    Raises
    ------
    TypeError, ValueError
        As :func:`to_memmap`, when the rows are read.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> network = fastnn.Network([fastnn.Dense(1)])
    >>> parts = [(np.full((50, 2), n), np.full(50, n)) for n in range(4)]
    >>> for x, y in fastnn.data.stream(parts, batch_size=20, shuffle_window=100):
    ...     loss = network.train_on_batch(x, y)
    >>> y[:8]
    array([3, 3, 3, 0, 3, 2, 3, 3])
    """
    layout = Layout.of(target, sample_weight, columns)
    batch_size = positive_int(batch_size, "batch_size")
    window = non_negative_int(shuffle_window, "shuffle_window")
    if window == 1:
        raise ValueError("shuffle_window is 1, wanted at least 2, or 0 for the order of the source")
    rng = np.random.default_rng([non_negative_int(seed, "seed"), window])
    kind = None if dtype is None else np.dtype(dtype)
    if kind is not None and kind not in (np.float32, np.float64):
        raise ValueError(f"dtype is {kind}, wanted float32 or float64")
    found = _of_size(_rows(as_source(source), layout, kind), max(1, window // 2) or batch_size)
    if window:
        found = _shuffled(found, window // 2, rng)
    return _of_size(found, batch_size)


def _rows(source: Any, layout: Layout, dtype: np.dtype | None) -> Iterator[list[np.ndarray]]:
    for arrays in layout.read(source):
        x = arrays.x if dtype is None else rounded(arrays.x, dtype, arrays.where)
        yield [x, *(each for each in (arrays.y, arrays.weight) if each is not None)]


def _of_size(rows: Iterator[Any], size: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the same rows in arrays of `size` rows."""
    held: list[Any] = []
    count = 0
    for some in rows:
        start = 0
        while len(some[0]) - start >= size - count:
            stop = start + size - count
            held.append([each[start:stop] for each in some])
            yield _joined(held)
            held, count, start = [], 0, stop
        if start < len(some[0]):
            held.append([each[start:] for each in some])
            count += len(some[0]) - start
    if held:
        yield _joined(held)


def _joined(parts: list[Any]) -> tuple[np.ndarray, ...]:
    return tuple(
        np.concatenate(each) if len(each) > 1 else np.ascontiguousarray(each[0])
        for each in zip(*parts, strict=True)
    )


def _shuffled(
    halves: Iterator[tuple[np.ndarray, ...]], size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield rows of a shuffled window of twice `size` rows, of which each half comes in at once."""
    window: tuple[np.ndarray, ...] = ()
    for half in halves:
        if window:
            window = _joined([window, half])
            order = rng.permutation(len(window[0]))
            yield tuple(each[order[:size]] for each in window)
            window = tuple(each[order[size:]] for each in window)
        else:
            window = half
    if window:
        order = rng.permutation(len(window[0]))
        yield tuple(each[order] for each in window)
