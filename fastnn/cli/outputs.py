"""Where a command may write: never over its input, over other files only with ``--force``."""

import os
from collections.abc import Iterable
from pathlib import Path


def check_output(path: str | Path, inputs: Iterable[str], force: bool) -> None:
    """Refuse a file that cannot be written or must not be, before any work is done.

    Raises
    ------
    ValueError
        If `path` is one of the `inputs`, by whatever name or link.
    OSError
        If it exists and `force` is false, is no regular file, or is in a directory that does not
        exist, or if either of the two is write-protected.
    """
    path = Path(path)
    for given in inputs:
        if path.exists() and os.path.exists(given) and path.samefile(given):
            raise ValueError(f"{path}: is the input {given}, which is never overwritten")
    target = Path(os.path.realpath(path))  # where a link leads: that is what is written
    for directory in (path.parent, target.parent):
        if not directory.is_dir():
            raise FileNotFoundError(f"{path}: there is no directory {directory}")
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
