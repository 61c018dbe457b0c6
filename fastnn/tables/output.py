"""Tables as the bytes of a file whose name says the format."""

import gzip
import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from numpy.typing import NDArray

FORMATS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".pq", ".feather")
"""The endings of the names that :func:`table_bytes` knows."""


def beside(kept: pl.DataFrame, columns: Mapping[str, NDArray[Any]]) -> pl.DataFrame:
    """Return predictions after the columns that are kept of a table.

    One whose name is taken is called ``prediction of <name>``.

    Raises
    ------
    ValueError
        If that name is taken too.

    Examples
    --------
    >>> beside(pl.DataFrame({"price": [2]}), {"price": [1.5]}).columns
    ['price', 'prediction of price']
    """
    added = {}
    for name, values in columns.items():
        named = f"prediction of {name}" if name in kept.columns else name
        if named in kept.columns:
            raise ValueError(f"--keep {named!r} is the name of a prediction; rename the column")
        added[named] = values
    return pl.DataFrame([*kept, *pl.DataFrame(added)])


def one_below_another(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of several frames with the same columns as one."""
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def table_bytes(frame: pl.DataFrame, ending: str) -> bytes:
    """Return a table in the format of one of the :data:`FORMATS`.

    Raises
    ------
    ValueError
        If the format cannot hold a column, as CSV no lists.
    """
    content = io.BytesIO()
    try:
        if ending in (".parquet", ".pq"):
            frame.write_parquet(content)
        elif ending == ".feather":  # in types that older readers know too
            frame.write_ipc(content, compat_level=pl.CompatLevel.oldest())
        else:
            frame.write_csv(content, separator="\t" if ending.startswith(".tsv") else ",")
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"cannot be written as {ending}: {str(error).splitlines()[0]}") from None
    data = content.getvalue()
    return gzip.compress(data, mtime=0) if ending.endswith(".gz") else data  # mtime: no clock in it
