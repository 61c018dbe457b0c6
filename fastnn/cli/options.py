"""The values of options, and the options that several commands share."""

import argparse
from collections.abc import Callable
from typing import Any


def number(kind: type, low: float, high: float = float("inf")) -> Callable[[str], float]:
    """Return a parser for numbers above `low` (for int, at least `low`) and below `high`."""

    def read(text: str) -> float:
        value = kind(text)
        if not (low <= value if kind is int else low < value < high):
            wanted = f"at least {low}" if kind is int else f"above {low:g}"
            wanted += f" and below {high:g}" if high < float("inf") else ""
            raise argparse.ArgumentTypeError(f"{text} is out of range, wanted {wanted}")
        return value

    read.__name__ = {int: "whole number", float: "number"}[kind]  # argparse names it in errors
    return read


def hidden(text: str) -> list[int]:
    """Parse the units of the hidden layers: ``64,64``, or ``none``."""
    return [] if text == "none" else [int(number(int, 1)(units)) for units in text.split(",")]


hidden.__name__ = "list of layer sizes"


def sizes(text: str) -> list[int]:
    """Parse the widths of a network, including inputs and outputs: ``200-64-1``."""
    found = [int(number(int, 1)(units)) for units in text.split("-")]
    if len(found) < 2:
        raise argparse.ArgumentTypeError(f"{text} is one size, wanted inputs-units-...-outputs")
    return found


sizes.__name__ = "network, wanted sizes such as 200-64-1,"


def share_or_file(text: str) -> float | str:
    """Parse a share of the rows, or else the name of a table."""
    try:
        float(text)
    except ValueError:
        return text
    return number(float, 0, 1)(text)


def delimiter(text: str) -> str:
    """Parse a separator, which a shell makes hard to type if it is a tab."""
    return "\t" if text in ("tab", "\\t") else text


def thousands(text: str) -> str:
    """Parse the mark between thousands, or ``none``."""
    return "" if text == "none" else text


def loss(text: str) -> str:
    """Return the name of the loss that has a name or alias.

    Examples
    --------
    >>> loss("absolute_error")
    'mae'
    """
    from fastnn import losses

    kind = losses.TABLE.get(text.lower())
    if kind is None:
        known = ", ".join(loss_names())
        raise argparse.ArgumentTypeError(f"{text!r} is not a loss, wanted one of {known}")
    if kind.warning:
        raise argparse.ArgumentTypeError(kind.warning)
    return kind.name


def loss_names(*targets: str) -> list[str]:
    """Return the names of the losses that learn, of some kinds of targets or of any."""
    from fastnn import losses

    found = (kind for kind in losses.TABLE.values() if not kind.warning)
    return sorted({kind.name for kind in found if not targets or kind.target in targets})


def optimizer_names() -> list[str]:
    """Return the names of the optimizers whose classes set `on_command_line` themselves."""
    from fastnn import optimizers

    table = optimizers.TABLE.values()
    return sorted({kind.name for kind in table if vars(kind).get("on_command_line")})


def setting(text: str) -> tuple[str, Any]:
    """Parse a setting's name and value: ``delta=0.5``, ``quantiles=0.1,0.9``, ``reduction=sum``.

    Examples
    --------
    >>> setting("quantiles=0.1,0.9"), setting("cost=[[0, 1], [5, 0]]")
    (('quantiles', [0.1, 0.9]), ('cost', [[0, 1], [5, 0]]))
    """
    import json

    name, equals, value = (part.strip() for part in text.partition("="))
    try:
        several = "," in value and not value.startswith("[")
        parsed = json.loads(f"[{value}]" if several else value)
    except ValueError:
        parsed = value if value.isidentifier() else None
    if not name or not equals or parsed is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no setting, wanted one such as delta=0.5")
    return name, parsed


def add_reading(command: argparse.ArgumentParser) -> None:
    """Add the table, and the options that say how to read it."""
    command.add_argument(
        "data",
        metavar="DATA",
        help="the table: .csv, .tsv, either also with .gz, .parquet, .pq or .feather; - is "
        "standard input",
    )
    group = command.add_argument_group("how to read the table")
    group.add_argument(
        "--missing",
        action="append",
        default=[],
        metavar="TEXT",
        help="one more text that means a missing value, as in --missing '?' (may be repeated)",
    )
    group.add_argument(
        "--decimal",
        choices=[".", ","],
        metavar="MARK",
        help="the decimal mark, . or , (default: .)",
    )
    group.add_argument(
        "--thousands",
        type=thousands,
        metavar="MARK",
        help="what separates thousands, or none (default: none)",
    )
    group.add_argument(
        "--delimiter",
        type=delimiter,
        metavar="MARK",
        help="what separates fields, such as ';' or tab (default: found)",
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns (default: it does, and must look it)",
    )


def add_threads(command: argparse.ArgumentParser) -> None:
    """Add how many threads may work."""
    command.add_argument(
        "--threads", type=number(int, 1), metavar="N", help="default: as many as help"
    )


def add_output(command: argparse.ArgumentParser, what: str, old: str) -> None:
    """Add where to write."""
    command.add_argument("--output", metavar="FILE", help=what)
    command.add_argument("--force", action="store_true", help=f"replace an existing {old}")
