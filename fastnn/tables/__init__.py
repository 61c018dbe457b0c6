"""Read a user's table, and turn its columns into numbers that a network can learn from.

Needs polars, which the extra ``table`` installs.  :class:`Selection` makes frames for the models of
:mod:`fastnn.tabular`, and :class:`TableEncoder` inputs for a single network.  Both can return what
they learned from the training rows as a plain dictionary, to save with the model.
"""

try:
    import polars  # noqa: F401
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "reading tables needs polars; install it with: pip install polars"
    ) from None

from fastnn.tables.doubts import missing_note, missing_option, target_notes
from fastnn.tables.encoder import TableEncoder, in_order, read_target, refuse_infinite
from fastnn.tables.files import binary_format, open_table, read_table
from fastnn.tables.output import FORMATS, beside, one_below_another, table_bytes
from fastnn.tables.pieces import Piece, Pieces, sampled, targets_of
from fastnn.tables.reading import Reading
from fastnn.tables.selection import Selection
from fastnn.tables.table import Table

__all__ = [
    "FORMATS",
    "Piece",
    "Pieces",
    "Reading",
    "Selection",
    "Table",
    "TableEncoder",
    "beside",
    "binary_format",
    "in_order",
    "missing_note",
    "missing_option",
    "one_below_another",
    "open_table",
    "read_table",
    "read_target",
    "refuse_infinite",
    "sampled",
    "table_bytes",
    "target_notes",
    "targets_of",
]
