"""``export``: write a model for others to run."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import fastnn
import fastnn.export
from fastnn.cli.models import described, read
from fastnn.cli.outputs import check_output, naming, output_file, refuse_terminal
from fastnn.cli.usage import UsageError

_ENDINGS = {"onnx": ".onnx", "c": ".c", "python": ".py"}


def export(arguments: Namespace) -> None:
    """Write a model that `train` or `save` wrote; one of a table takes the table's columns."""
    path, to = arguments.model, arguments.to
    options: dict[str, Any] = {"name": arguments.name} if arguments.name else {}
    options |= {"int8": True} if arguments.int8 else {}
    if options and to != "c":
        raise UsageError(f"--{next(iter(options))} is for --to c")
    output = arguments.output or f"{Path(path).stem}{_ENDINGS[to]}"
    check_output(output, [path], arguments.force)
    if to == "onnx":
        refuse_terminal(output, "a model")
    model, _ = read(path)
    with naming(path):
        if isinstance(model, fastnn.Network) and "table" in model.extra:
            model = described(model)
        with output_file(output) as written:
            getattr(fastnn.export, to)(model, written, **options)
