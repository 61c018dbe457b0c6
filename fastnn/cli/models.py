"""Read a model's file, of whichever kind it is."""

from typing import Any

import fastnn
from fastnn import tabular
from fastnn.cli import ensemble, single
from fastnn.cli.outputs import STANDARD, ending, naming
from fastnn.cli.usage import need
from fastnn.files import storage
from fastnn.tabular.file import FORMAT

_TABLES = ".csv", ".tsv", ".gz", ".parquet", ".pq", ".feather"


def read(path: str) -> tuple[Any, dict[str, Any]]:
    """Return a network or an ensemble of :mod:`fastnn.tabular`, and what its file's header says.

    Raises
    ------
    ValueError, OSError
        If the file holds neither, or is damaged.
    """
    need(path != STANDARD, "MODEL is the name of a file; standard input is for DATA")
    try:
        header = storage.load(path)[1]  # its messages name the file
    except ValueError:
        need(ending(path, _TABLES) is None, f"{path}: is a table, wanted a model that train wrote")
        raise
    ours = header.get("format") == FORMAT
    return (tabular.load if ours else fastnn.load)(path), header


def of_table(path: str) -> Any:
    """Return a model that `train` wrote, with what it knows of tables.

    Raises
    ------
    ValueError, OSError
        If the file is no such model, or damaged.
    """
    found, _ = read(path)
    with naming(path):
        return described(found)


def described(model: Any) -> Any:
    """Return a model with what its file says of tables; ValueError if it says nothing."""
    return (single if isinstance(model, fastnn.Network) else ensemble).Loaded(model)
