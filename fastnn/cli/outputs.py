"""Where a command reads and writes: never over its input, over other files only by ``--force``."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fastnn.cli.usage import UsageError

STANDARD = "-"
"""The name of standard input and output."""


def check_output(path: str | Path, inputs: Iterable[str], force: bool) -> None:
    """Refuse a file that cannot be written or must not be, before any work is done.

    Standard input and output are no files.

    Raises
    ------
    ValueError
        If `path` is one of the `inputs`, by whatever name or link.
    OSError
        If it exists and `force` is false, is no regular file, or is in a directory that does not
        exist, or if either of the two is write-protected.
    """
    if path == STANDARD:
        return
    path = Path(path)
    for given in inputs:
        if given == STANDARD:
            continue
        if path.exists() and os.path.exists(given) and path.samefile(given):
            raise ValueError(f"{path}: is the input {given}, which is never overwritten")
    target = Path(os.path.realpath(path))  # where a link leads: that is what is written
    for directory in (path.parent, target.parent):
        if not directory.is_dir():
            raise FileNotFoundError(f"{path}: there is no directory {directory}")
    if target.is_dir():
        raise IsADirectoryError(f"{path}: is a directory, wanted the name of a file")
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: is not a regular file")
    if os.path.lexists(path) and not force:
        raise FileExistsError(f"{path}: exists; give --force to replace it")
    for needed in (target.parent, target):
        if needed.exists() and not os.access(needed, os.W_OK):
            raise PermissionError(f"{path}: cannot be written, as {needed} is write-protected")


def ending(path: str | Path, known: Iterable[str]) -> str | None:
    """Return the longest of the `known` endings that a file's name has, or None."""
    name = Path(path).name.lower()
    return max((one for one in known if name.endswith(one)), key=len, default=None)


@contextmanager
def input_file(name: str) -> Iterator[str]:
    """Yield the path of an input; what comes through standard input is in a file meanwhile."""
    if name != STANDARD:
        yield name
        return
    if sys.stdin is None:
        raise ValueError(f"{shown(name)}: is closed")
    if sys.stdin.isatty():
        print("fastnn: reading the table from the terminal; Ctrl-D ends it", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="fastnn-") as folder:
        path = os.path.join(folder, "table")
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path


@contextmanager
def output_file(name: str) -> Iterator[str]:
    """Yield a path to write a file to; one for standard output is copied there at the end."""
    if name != STANDARD:
        yield name
        print(f"wrote {name}")
        return
    with tempfile.TemporaryDirectory(prefix="fastnn-") as folder:
        path = os.path.join(folder, "output")
        yield path
        write_standard(Path(path).read_bytes())


def write_standard(content: bytes) -> None:
    """Write bytes to standard output."""
    if sys.stdout is None:
        raise OSError("standard output is closed")
    sys.stdout.buffer.write(content)


def refuse_terminal(name: str, what: str) -> None:
    """Raise UsageError for bytes that nobody can read on a terminal."""
    if name == STANDARD and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError(f"{what} is not for a terminal; give --output FILE, or send it on")


def shown(name: str) -> str:
    """Return what messages call an input."""
    return "standard input" if name == STANDARD else name


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Prefix messages about a file's contents with its name."""
    try:
        yield
    except UsageError:
        raise
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from None
