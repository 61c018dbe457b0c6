"""Rows that are more than memory: written into files, or streamed once.

:func:`to_memmap` writes the rows of Parquet files, queries, streams or batches into files that a
:class:`Dataset` maps into memory, and :func:`load` finds again.  :func:`stream` yields them in
batches.  ``network.fit("folder", "target")`` calls :func:`to_memmap` itself.  (The folder also
holds the data sets of :mod:`fastnn.datasets`.)
"""

from fastnn.data.dataset import Dataset, load, to_memmap
from fastnn.data.streaming import stream

__all__ = ["Dataset", "load", "stream", "to_memmap"]
