"""Tables as the bytes of a file whose name says the format."""

import gzip
import io
from collections.abc import Mapping
from typing import Any

import polars as pl
from numpy.typing import NDArray

FORMATS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
"""The endings of the names that :func:`table_bytes` knows."""


def table_bytes(columns: Mapping[str, NDArray[Any]], ending: str) -> bytes:
    """Return columns as a table in the format of one of the :data:`FORMATS`."""
    frame = pl.DataFrame(dict(columns))
    content = io.BytesIO()
    if ending == ".parquet":
        frame.write_parquet(content)
        return content.getvalue()
    frame.write_csv(content, separator="\t" if ending.startswith(".tsv") else ",")
    data = content.getvalue()
    return gzip.compress(data, mtime=0) if ending.endswith(".gz") else data  # mtime: no clock in it
