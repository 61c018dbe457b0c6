"""The commands and their options, each with examples."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import fastnn
from fastnn.cli import options
from fastnn.cli.options import number

EXAMPLES = """examples:
  fastnn demo
  fastnn train houses.csv --target price
  fastnn predict houses.fastnn new-houses.csv --output prices.csv
  fastnn info houses.fastnn

fastnn COMMAND --help shows a command's options. The exit status is 0, or 1 if
files or data are wrong, 2 if the command is, and 130 after Ctrl-C.
"""
DEMO = """examples:
  fastnn demo
"""
TRAIN = """examples:
  fastnn train houses.csv --target price
  fastnn train mail.csv --target spam --preset accurate --time-limit 60
  fastnn train houses.parquet --target price --hidden 256,128 --loss huber \\
      --loss-option delta=0.5 --validation recent.parquet --output model.fastnn
  zcat visits.csv.gz | fastnn train - --target visits --missing '?' --decimal ,
  fastnn train visits --target pages --epochs 3
  mpiexec -n 2 fastnn train big.parquet --target price --hidden 512,256

Columns of numbers, texts, booleans and dates are used as they are. Values may
be missing except in the target. A target of numbers means regression, unless
there are two whole numbers only; any other target means classification. Notes
say which columns are ignored, and what may go wrong. A column that is mostly
numbers, but not all, is an error, which names the option that settles it.

A folder of Parquet files, or one of more than 256 MB, may be larger than
memory: it trains a single network, and a sample of its rows says what its
columns hold. At most a million rows test, and as many choose the best epoch.

A single network stops once its loss on rows held out for that has not improved
for a while, and keeps the weights of its best epoch. With --epochs it trains
on all rows for just so long, unless --validation or --patience says otherwise.

Under mpiexec (extra mpi), 2, 4 or another power of two of processes train a
single network together, each on its part of every batch. The model is the same,
bit for bit, for any number of processes, and for one with the same --shards.

losses:
{losses}
Numbers are standardized, so that delta=0.5 is half a standard deviation. A cost
has a row for each true class, in order, and a column for each predicted one.
"""
PREDICT = """examples:
  fastnn predict houses.fastnn new-houses.csv
  fastnn predict houses.fastnn new.csv --keep id --interval 0.9 --output p.csv
  fastnn predict mail.fastnn inbox.csv --probabilities --output answers.parquet
  zcat inbox.csv.gz | fastnn predict mail.fastnn - | head

The table needs the columns of the training table, in any order. It is read
with the options that the training table was read with, unless they are given
again. Without a header, its columns are those of the training table in the
same order, with or without the target.
"""
EXPORT = """examples:
  fastnn export houses.fastnn --to onnx
  fastnn export houses.fastnn --to c --name price --output price.c
  fastnn export houses.fastnn --to python --output - | less

The file takes the columns of the training table: numbers, with NaN for a
missing one, dates as days since 1970, and texts, where an empty one is
missing. ONNX wants the package onnx.
"""
EXPLAIN = """examples:
  fastnn explain 200-64-1
  fastnn explain 784-512-256-10 --batch-size 128 --optimizer sgd --threads 1
  fastnn explain 200-64-1 --no-times --code

The network has ReLU units and learns from random rows. For your own network
and data, use Network.explain.
"""
BENCH = """examples:
  python -m fastnn bench --quick
  python -m fastnn bench --only training --threads 1
"""
WARMUP = """examples:
  fastnn warmup
"""
INFO = """examples:
  fastnn info
  fastnn info houses.fastnn
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as those of the commands are."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"fastnn: error: {message} ({self.prog} --help lists what there is)\n")


def _add_nothing(command: argparse.ArgumentParser) -> None:
    pass


def _add_train(train: argparse.ArgumentParser) -> None:
    from fastnn.cli.single import DEFAULTS, MOST_EPOCHS, PATIENCE, VALIDATION
    from fastnn.optimizers import get
    from fastnn.tabular.recipe import PRESETS
    from fastnn.training.sharing import SHARDS

    train.usage = "fastnn train DATA --target COLUMN [OPTION ...]"
    train.epilog = TRAIN.format(losses=_losses())
    options.add_reading(train)
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
        type=options.loss,
        metavar="NAME",
        help="default: mae for regression, softmax_cross_entropy for classification",
    )
    group.add_argument(
        "--loss-option",
        type=options.setting,
        action="append",
        metavar="NAME=VALUE",
        help="a setting of the loss, such as delta=0.5 or quantiles=0.1,0.9 (may be repeated)",
    )
    shown = ",".join(map(str, DEFAULTS["hidden"]))
    group.add_argument(
        "--hidden",
        type=options.hidden,
        metavar="N,N",
        help=f"units of the hidden layers, or none (default: {shown})",
    )
    group.add_argument(
        "--epochs",
        type=number(int, 1),
        metavar="N",
        help=f"how often to go through the rows (default: at most {MOST_EPOCHS})",
    )
    group.add_argument(
        "--validation",
        type=options.share_or_file,
        metavar="SHARE|FILE",
        help="what chooses the best epoch: a share of the rows to train on, or a table like DATA "
        f"(default: {VALIDATION}; with --epochs, none)",
    )
    group.add_argument(
        "--patience",
        type=number(int, 1),
        metavar="N",
        help=f"stop after so many epochs without improvement (default: {PATIENCE}; with "
        "--epochs, never)",
    )
    group.add_argument(
        "--batch-size",
        type=number(int, 1),
        metavar="N",
        help=f"default: {DEFAULTS['batch_size']}",
    )
    names = options.optimizer_names()
    group.add_argument("--optimizer", choices=names, help=f"default: {DEFAULTS['optimizer']}")
    rates = [f"{get(name).learning_rate} for {name}" for name in names]
    group.add_argument(
        "--learning-rate",
        type=number(float, 0),
        metavar="R",
        help=f"default: {', '.join(rates)}",
    )
    group.add_argument(
        "--shards",
        type=number(int, 1),
        metavar="N",
        help=f"slices of each batch, which processes share out (default: under mpiexec {SHARDS})",
    )
    train.add_argument(
        "--test-size",
        type=number(float, 0, 1),
        default=0.2,
        metavar="SHARE",
        help="share of the rows held out to test on (default: 0.2)",
    )
    train.add_argument("--seed", type=number(int, 0), default=0, metavar="N", help="default: 0")
    options.add_threads(train)
    options.add_output(
        train,
        "the model (default: the table's name, with .fastnn); - is standard output",
        "model or report",
    )


def _losses() -> str:
    """Return the names of the losses, by what they learn, with their settings."""
    import textwrap

    from fastnn import losses

    kinds = {
        "numbers": ("real",),
        "numbers of at least 0": ("count",),
        "numbers above 0": ("positive",),
        "two classes, or shares": ("binary",),
        "two classes": ("sign",),
        "classes": ("class",),
    }
    lines = []
    for what, targets in kinds.items():
        shown = []
        for name in options.loss_names(*targets):
            settings = ", ".join(losses.TABLE[name]().get_params())
            shown.append(f"{name} ({settings})" if settings else name)
        lines += textwrap.wrap(
            f"{what}: {', '.join(shown)}", 78, initial_indent="  ", subsequent_indent="      "
        )
    return "\n".join(lines) + "\n"


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.usage = "fastnn predict MODEL DATA [OPTION ...]"
    predict.add_argument("model", metavar="MODEL", help="a file that train wrote")
    options.add_reading(predict)
    predict.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of the table to write before the predictions, such as an id (may be "
        "repeated)",
    )
    predict.add_argument(
        "--probabilities", action="store_true", help="add a column for each class's probability"
    )
    predict.add_argument(
        "--interval",
        type=number(float, 0, 1),
        metavar="SHARE",
        help="add bounds between which this share of the true numbers lies, such as 0.9",
    )
    options.add_output(
        predict,
        "a file in the format of its name: .csv, .tsv, either also with .gz, .parquet, .pq or "
        ".feather (default: -, CSV on standard output)",
        "output",
    )


def _add_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("model", metavar="MODEL", help="a file that train or save wrote")
    export.add_argument(
        "--to", required=True, choices=["onnx", "c", "python"], help="what to write"
    )
    export.add_argument("--name", help="what the function of C is called (default: predict)")
    export.add_argument("--int8", action="store_true", help="round weights to 8 bits, in C")
    options.add_output(
        export,
        "default: the model's name, with .onnx, .c or .py; - is standard output",
        "file",
    )


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument(
        "sizes", type=options.sizes, metavar="SIZES", help="the network, as in 200-64-1"
    )
    explain.add_argument(
        "--loss",
        type=options.loss,
        metavar="NAME",
        help="default: mae for one output, softmax_cross_entropy for more",
    )
    names = options.optimizer_names()
    explain.add_argument("--optimizer", choices=names, default="adam", help="default: adam")
    explain.add_argument(
        "--batch-size", type=number(int, 1), default=32, metavar="N", help="default: 32"
    )
    explain.add_argument(
        "--rows", type=number(int, 1), default=20_000, metavar="N", help="default: 20000"
    )
    options.add_threads(explain)
    explain.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="keep the order of the rows"
    )
    explain.add_argument(
        "--no-times", dest="times", action="store_false", help="run nothing, only show the steps"
    )
    explain.add_argument("--code", action="store_true", help="show the steps' generated code too")


def _add_info(info: argparse.ArgumentParser) -> None:
    info.add_argument(
        "model", nargs="?", metavar="MODEL", help="a file that train or save wrote (default: none)"
    )


class Command(NamedTuple):
    """What a command does, its examples, and what adds its options."""

    summary: str
    examples: str
    add: Callable[[argparse.ArgumentParser], None]


COMMANDS = {
    "demo": Command(
        "train two networks on real data, and time some kernels (under 20 seconds)",
        DEMO,
        _add_nothing,
    ),
    "train": Command("train a model of your own table", "", _add_train),
    "predict": Command("apply a trained model to a table", PREDICT, _add_predict),
    "info": Command("show what a model file holds, or versions and machine", INFO, _add_info),
    "export": Command(
        "write a model as ONNX, as C or as Python that needs NumPy only", EXPORT, _add_export
    ),
    "explain": Command(
        "show what a batch of training does, step by step, and time it", EXPLAIN, _add_explain
    ),
    "warmup": Command(
        "compile the kernels now, so that the first training starts at once", WARMUP, _add_nothing
    ),
    "bench": Command(
        "time kernels and training against NumPy and peers (from a checkout)", BENCH, _add_nothing
    ),
}


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; the options may be those of one command only.

    What the others need would be imported for nothing.
    """
    how: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    top = Parser(
        prog="fastnn",
        description="Train neural networks on tables with compiled kernels, on the CPU.",
        epilog=EXAMPLES,
        **how,
    )
    top.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (summary, examples, add) in COMMANDS.items():
        said = summary[0].upper() + summary[1:] + "."
        command = commands.add_parser(name, help=summary, description=said, epilog=examples, **how)
        if only in (None, name):
            add(command)
    return top
