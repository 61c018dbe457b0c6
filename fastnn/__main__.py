"""The command line: ``fastnn COMMAND``, or ``python -m fastnn COMMAND``."""

import argparse
import os
import sys
from collections.abc import Sequence

from fastnn.cli.parser import parser
from fastnn.cli.usage import ToldElsewhere, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    It is 0, 1 if files or data are wrong, 2 if the command is, or 130 after Ctrl-C.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            return _run(argv)
        finally:
            _flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except ToldElsewhere as end:
        return end.status
    except UsageError as error:
        return _fail(error, 2)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return _fail(what or error)
    except (ValueError, FloatingPointError, ImportError, MemoryError) as error:
        return _fail(str(error) or f"{type(error).__name__}")


def _flush() -> None:
    """Write what is left to standard output, if it is open.

    If that fails, leave nothing that Python would try to write again when it ends.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:  # who read it is gone, or the disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _fail(message: object, status: int = 1) -> int:
    print(f"fastnn: error: {message}", file=sys.stderr)
    return status


def _run(argv: list[str]) -> int:
    if argv[:1] == ["bench"]:
        from fastnn.cli.system import bench

        return bench(argv[1:])
    if argv[:1] == ["train"]:
        from fastnn.cli.ranks import quiet

        with quiet():
            _command(parser("train").parse_args(argv))
        return 0
    arguments = parser(argv[0] if argv else "").parse_args(argv)
    if arguments.command is None:
        parser("").print_help(sys.stderr)
        return 2
    _command(arguments)
    return 0


def _command(arguments: argparse.Namespace) -> None:
    match arguments.command:
        case "demo":
            from fastnn.cli.demo import demo

            demo()
        case "train":
            from fastnn.cli.ranks import together
            from fastnn.cli.table import train

            with together(arguments) as ranks:
                train(arguments, ranks)
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
        case "info" if arguments.model is not None:
            from fastnn.cli.described import describe

            describe(arguments.model)
        case "info":
            from fastnn.cli.system import info

            info()


if __name__ == "__main__":
    sys.exit(main())
