"""``export``: write a model for others to run."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import fastnn
import fastnn.export
from fastnn import tabular
from fastnn.cli import single
from fastnn.cli.outputs import check_output
from fastnn.files import storage
from fastnn.tabular.file import FORMAT

_ENDINGS = {"onnx": ".onnx", "c": ".c", "python": ".py"}


def export(arguments: Namespace) -> None:
    """Write a model that `train` or `save` wrote; one of a table takes the table's columns."""
    path, to = arguments.model, arguments.to
    options: dict[str, Any] = {"name": arguments.name} if arguments.name else {}
    options |= {"int8": True} if arguments.int8 else {}
    if options and to != "c":
        raise ValueError(f"--{next(iter(options))} is for --to c")
    output = arguments.output or f"{Path(path).stem}{_ENDINGS[to]}"
    check_output(output, [path], arguments.force)
    header = storage.load(path)[1]  # its messages name the file
    model: Any
    if header.get("format") == FORMAT:
        model = tabular.load(path)
    else:
        model = fastnn.load(path)
    try:
        if isinstance(model, fastnn.Network) and "table" in model.extra:
            model = single.Loaded(model)
        getattr(fastnn.export, to)(model, output, **options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    print(f"wrote {output}")
