"""Read a user's table, and turn its columns into numbers that a network can learn from.

Needs polars, which the extra ``table`` installs.  :class:`TableEncoder` can return what it learned
from the training rows as a plain dictionary, to save with the network.
"""

try:
    import polars  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "reading tables needs polars; install it with: pip install polars"
    ) from None

from fastnn.tables.doubts import missing_note, missing_option, target_notes
from fastnn.tables.encoder import TableEncoder, read_target
from fastnn.tables.files import is_parquet, open_table, read_table
from fastnn.tables.output import FORMATS, table_bytes
from fastnn.tables.reading import Reading

__all__ = [
    "FORMATS",
    "Reading",
    "TableEncoder",
    "is_parquet",
    "missing_note",
    "missing_option",
    "open_table",
    "read_table",
    "read_target",
    "table_bytes",
    "target_notes",
]
