"""Read a user's table, and turn its columns into numbers that a network can learn from.

Needs polars, which the extra ``table`` installs.  :class:`TableEncoder` can return what it learned
from the training rows as a plain dictionary, to save with the network.
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
