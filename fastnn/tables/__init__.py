"""Read a table of a user's own, and turn its columns into numbers a network learns from.

Needs polars, which the extra ``table`` installs. What :class:`TableEncoder` learns from the
training rows goes into a plain dictionary, to be stored with the network.
"""

try:
    import polars  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "reading tables needs polars; install it with: pip install 'fastnn-kernels[table]'"
    ) from None

from fastnn.tables.encoder import TableEncoder, read_target
from fastnn.tables.files import read_table

__all__ = ["TableEncoder", "read_table", "read_target"]
