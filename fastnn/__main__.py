"""The command line: ``python -m fastnn COMMAND``, with demo, train, predict, explain and others."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from fastnn import losses, optimizers
from fastnn.cli.single import DEFAULTS
from fastnn.tabular.recipe import PRESETS

EXAMPLES = """examples:
  python -m fastnn demo
  python -m fastnn train houses.csv --target price
  python -m fastnn predict houses.fastnn new-houses.csv --output prices.csv
"""
TRAIN_EXAMPLES = """examples:
  python -m fastnn train houses.csv --target price
  python -m fastnn train mail.csv --target spam --preset accurate --time-limit 60
  python -m fastnn train houses.parquet --target price --loss mae --hidden 256,128 \\
      --batch-size 200 --learning-rate 0.0005 --output model.fastnn

The table is CSV (also .gz) or Parquet. Columns of numbers, texts, booleans and dates are used
as they are. Values may be missing except in the target. A target of numbers means regression,
unless there are two whole numbers only; any other target means classification. Notes say
which columns are ignored, and what may go wrong. A column that is mostly numbers, but not
all, is an error, which names the option that settles it.
"""
PREDICT_EXAMPLES = """examples:
  python -m fastnn predict houses.fastnn new-houses.csv
  python -m fastnn predict houses.fastnn new-houses.csv --interval 0.9 --output prices.csv
  python -m fastnn predict mail.fastnn inbox.csv --probabilities --output answers.parquet

The table needs the columns of the training table, in any order. It is read with the options
that the training table was read with, unless they are given again. Without a header, its
columns are those of the training table in the same order, with or without the target.
"""
EXPORT_EXAMPLES = """examples:
  python -m fastnn export houses.fastnn --to onnx
  python -m fastnn export houses.fastnn --to c --name price --output price.c
  python -m fastnn export houses.fastnn --to python --output price.py

The file takes the columns of the training table: numbers, with NaN for a missing one, dates as
days since 1970, and texts, where an empty one is missing. ONNX wants the package onnx.
"""
EXPLAIN_EXAMPLES = """examples:
  python -m fastnn explain 200-64-1
  python -m fastnn explain 784-512-256-10 --batch-size 128 --optimizer sgd --threads 1
  python -m fastnn explain 200-64-1 --no-times --code

The network has ReLU units and learns from random rows. For your own network and data, use
Network.explain.
"""


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


def offered(table: Mapping[str, type[losses.Loss] | type[optimizers.Optimizer]]) -> list[str]:
    """Return the names of the classes that set `on_command_line` themselves."""
    return sorted({kind.name for kind in table.values() if vars(kind).get("on_command_line")})


def sizes(text: str) -> list[int]:
    """Parse the widths of a network, including inputs and outputs: ``200-64-1``."""
    found = [int(number(int, 1)(units)) for units in text.split("-")]
    if len(found) < 2:
        raise argparse.ArgumentTypeError(f"{text} is one size, wanted inputs-units-...-outputs")
    return found


sizes.__name__ = "network, wanted sizes such as 200-64-1,"


def delimiter(text: str) -> str:
    """Parse a separator, which a shell makes hard to type if it is a tab."""
    return "\t" if text in ("tab", "\\t") else text


def thousands(text: str) -> str:
    """Parse the mark between thousands, or ``none``."""
    return "" if text == "none" else text


def add_reading(command: argparse.ArgumentParser) -> None:
    """Add the table, and the options that say how to read it."""
    command.add_argument("data", metavar="DATA", help="the table, CSV or Parquet")
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


def parser() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    top = argparse.ArgumentParser(
        prog="python -m fastnn",
        description="Train neural networks on tables with compiled kernels, on the CPU.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, summary: str, epilog: str | None = None) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    command("demo", "train two networks on real data, and time some kernels (under 20 seconds)")

    train = command("train", "train a network on your own table", TRAIN_EXAMPLES)
    add_reading(train)
    for option, what in (("--text", "read as text"), ("--ignore", "leave out")):
        train.add_argument(
            option,
            action="append",
            default=[],
            metavar="COLUMN",
            help=f"a column to {what} (may be repeated)",
        )
    train.add_argument(
        "--target",
        required=True,
        metavar="COLUMN",
        help="the column to predict; without a header, its number (from 1)",
    )
    train.add_argument(
        "--task",
        choices=["regression", "classification"],
        help="what to learn (default: depends on the target's values)",
    )
    train.add_argument(
        "--preset", choices=list(PRESETS), help="seconds, or the least error (default: fast)"
    )
    train.add_argument(
        "--time-limit",
        type=number(float, 0),
        metavar="S",
        help="seconds that training may take (default: what the preset takes)",
    )
    train.add_argument(
        "--report", metavar="FILE", help="a page about the model and its columns, as HTML"
    )
    group = train.add_argument_group(
        "a single network", "Any of these trains one network of your choice, not an ensemble."
    )
    group.add_argument(
        "--loss",
        choices=offered(losses.TABLE),
        help="default: mae for regression, softmax_cross_entropy for classification",
    )
    group.add_argument(
        "--hidden",
        type=hidden,
        metavar="N,N",
        help="units of the hidden layers, or none (default: "
        f"{','.join(map(str, DEFAULTS['hidden']))})",
    )
    for option in ("epochs", "batch_size"):
        group.add_argument(
            f"--{option.replace('_', '-')}",
            type=number(int, 1),
            metavar="N",
            help=f"default: {DEFAULTS[option]}",
        )
    names = offered(optimizers.TABLE)
    group.add_argument("--optimizer", choices=names, help=f"default: {DEFAULTS['optimizer']}")
    rates = [f"{optimizers.get(name).learning_rate} for {name}" for name in names]
    group.add_argument(
        "--learning-rate",
        type=number(float, 0),
        metavar="R",
        help=f"default: {', '.join(rates)}",
    )
    train.add_argument(
        "--test-size",
        type=number(float, 0, 1),
        default=0.2,
        metavar="SHARE",
        help="share of the rows held out to test on (default: 0.2)",
    )
    train.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="default: 0")
    train.add_argument(
        "--threads", type=number(int, 1), metavar="N", help="default: as many as help"
    )
    train.add_argument(
        "--output", metavar="FILE", help="the model (default: the table's name, with .fastnn)"
    )
    train.add_argument("--force", action="store_true", help="replace an existing model")

    predict = command("predict", "apply a trained network to a table", PREDICT_EXAMPLES)
    predict.add_argument("model", metavar="MODEL", help="a file that train wrote")
    add_reading(predict)
    predict.add_argument(
        "--output",
        metavar="FILE",
        help="a file in the format of its name: .csv, .tsv, either with .gz, or .parquet "
        "(default: print CSV)",
    )
    predict.add_argument("--force", action="store_true", help="replace an existing output")
    predict.add_argument(
        "--probabilities", action="store_true", help="add a column for each class's probability"
    )
    predict.add_argument(
        "--interval",
        type=number(float, 0, 1),
        metavar="SHARE",
        help="add bounds between which this share of the true numbers lies, such as 0.9",
    )

    export = command(
        "export", "write a model as ONNX, as C or as Python that needs NumPy only", EXPORT_EXAMPLES
    )
    export.add_argument("model", metavar="MODEL", help="a file that train or save wrote")
    export.add_argument(
        "--to", required=True, choices=["onnx", "c", "python"], help="what to write"
    )
    export.add_argument(
        "--output", metavar="FILE", help="default: the model's name, with .onnx, .c or .py"
    )
    export.add_argument("--name", help="what the function of C is called (default: predict)")
    export.add_argument("--int8", action="store_true", help="round weights to 8 bits, in C")
    export.add_argument("--force", action="store_true", help="replace an existing file")

    explain = command(
        "explain", "show what a batch of training does, step by step, and time it", EXPLAIN_EXAMPLES
    )
    explain.add_argument("sizes", type=sizes, metavar="SIZES", help="the network, as in 200-64-1")
    explain.add_argument(
        "--loss",
        choices=offered(losses.TABLE),
        help="default: mae for one output, softmax_cross_entropy for more",
    )
    explain.add_argument("--optimizer", choices=names, default="adam", help="default: adam")
    explain.add_argument(
        "--batch-size", type=number(int, 1), default=32, metavar="N", help="default: 32"
    )
    explain.add_argument(
        "--rows", type=number(int, 1), default=20_000, metavar="N", help="default: 20000"
    )
    explain.add_argument(
        "--threads", type=number(int, 1), metavar="N", help="default: as many as help"
    )
    explain.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="keep the order of the rows"
    )
    explain.add_argument(
        "--no-times", dest="times", action="store_false", help="run nothing, only show the steps"
    )
    explain.add_argument("--code", action="store_true", help="show the steps' generated code too")

    command("bench", "time kernels and training against NumPy and peers (from a checkout)")
    command("warmup", "compile the kernels now, so that the first training starts at once")
    command("info", "show versions, processor, cores and cache")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 2 for a usage error or bad input."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv[:1] == ["bench"]:
            from fastnn.cli.system import bench

            return bench(argv[1:])
        arguments = parser().parse_args(argv)
        return _run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing left to flush to
        return 1
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else error)
    except (ValueError, FloatingPointError, ImportError, MemoryError) as error:
        return _fail(str(error) or f"{type(error).__name__}")


def _fail(message: object) -> int:
    print(f"fastnn: error: {message}", file=sys.stderr)
    return 2


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case None:
            parser().print_help(sys.stderr)
            return 2
        case "demo":
            from fastnn.cli.demo import demo

            demo()
        case "train":
            from fastnn.cli.table import train

            train(arguments)
        case "predict":
            from fastnn.cli.table import predict

            predict(arguments)
        case "export":
            from fastnn.cli.exporting import export

            export(arguments)
        case "explain":
            from fastnn.cli.explain import explain

            explain(arguments)
        case "warmup":
            from fastnn.cli.system import warmup

            warmup()
        case "info":
            from fastnn.cli.system import info

            info()
    return 0


if __name__ == "__main__":
    sys.exit(main())
