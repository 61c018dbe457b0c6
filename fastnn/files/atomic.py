"""Write a file whole or not at all: every file that fastnn writes for a user."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from fastnn.kernels.interrupts import interruptible, uninterrupted

if sys.platform != "win32":
    import fcntl

_STEM_BYTES = 100
"""How much of a file's name its temporary file's repeats: names may have 255 bytes, or just 143."""
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp$")
_SECONDS_TO_RENAME = 60.0
"""When Windows shows that nobody writes a temporary file, its writer may be about to rename it."""


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends, and never if it raises.

    The bytes go to a temporary file in the same folder, which is then renamed.  Readers see the old
    file or the new one, whatever happens: an exception, a full disk, Ctrl-C, a killed process or a
    power failure.  A killed process leaves its temporary file behind, and the next write of the
    same `path` removes it.

    A file that is replaced keeps its permissions and, where the system allows it, its owner; a link
    stays a link.  A device or pipe, which nothing can replace, is written to directly.  A file with
    several names (hard links) keeps them: the complete temporary file is copied into it, and only
    a kill or power failure in just these moments can leave it torn.

    Raises
    ------
    OSError
        If the file cannot be written.  It names `path`, and an existing file stays as it was.
    """
    given = os.fspath(path)
    try:
        with _opened(given) as file:
            yield file
    except OSError as error:
        # A failed write has no name, and a temporary file's would say nothing to the caller.
        if error.filename is None or _TEMPORARY.search(os.fsdecode(error.filename)):
            raise OSError(error.errno, error.strerror, given) from None
        raise


def _opened(given: str) -> AbstractContextManager[BinaryIO]:
    try:
        found = os.stat(given)
    except FileNotFoundError:
        return _replacing(_new_target(given), None)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), given)
    if not os.access(given, os.W_OK):  # a rename would replace even a protected file
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), given)
    if stat.S_ISREG(found.st_mode):
        return _replacing(os.path.realpath(given), found)
    return open(given, "wb")


def _new_target(given: str) -> str:
    """Return where to make a file that does not exist, which a link may point to."""
    target = os.path.realpath(given)
    folder = os.path.dirname(target)
    if not os.path.basename(given):  # "" or "folder/"
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), given)
    if not os.path.isdir(folder):
        named = os.path.dirname(given)
        missing = folder if os.path.isdir(named or ".") else named
        raise FileNotFoundError(errno.ENOENT, f"There is no folder {missing!r}", given)
    return target


@contextlib.contextmanager
def _replacing(target: str, found: os.stat_result | None) -> Iterator[BinaryIO]:
    """Open a file that becomes `target`, where there is nothing or the file that was found."""
    folder, stem = os.path.split(target)
    while len(os.fsencode(stem)) > _STEM_BYTES:
        stem = stem[:-1]
    _sweep(folder, stem)
    with uninterrupted():  # between a file's creation and the block that closes and removes it
        file = _claimed(os.path.join(folder, f".{stem}."))
        try:
            with file:
                with interruptible():
                    _keep_permissions(file, found)
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                if sys.platform != "win32":  # while the lock still protects it
                    if found is not None and found.st_nlink > 1:
                        _copy_into(file.name, target)
                        os.unlink(file.name)
                    else:
                        os.replace(file.name, target)
            if sys.platform == "win32":
                os.replace(file.name, target)  # which renames no open files
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise
    _sync_folder(folder)


def _copy_into(source: str, target: str) -> None:
    """Make a file's contents those of another, once it is certain that there is room for them."""
    with open(source, "rb") as new, open(target, "r+b") as old:
        size = os.fstat(new.fileno()).st_size
        if size and sys.platform == "linux":
            os.posix_fallocate(old.fileno(), 0, size)
        shutil.copyfileobj(new, old)
        old.truncate()
        os.fsync(old.fileno())


def _claimed(beginning: str) -> BinaryIO:
    """Return a new temporary file that no other process will sweep away."""
    while True:
        file = open(f"{beginning}{secrets.token_hex(8)}.tmp", "xb")
        if _locked(file):
            return file
        file.close()


def _locked(file: BinaryIO) -> bool:
    """Lock a new temporary file; return False if another process was faster, to sweep it away."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks, on which nobody sweeps
            return True
    return os.path.exists(file.name)


def _sweep(folder: str, stem: str) -> None:
    """Remove the temporary files that writers of the same file left behind when they were killed.

    A living writer holds a lock, which the system releases when a process ends, however it ends.
    """
    pattern = re.compile(re.escape(f".{stem}") + _TEMPORARY.pattern)
    with contextlib.suppress(OSError):
        for name in filter(pattern.fullmatch, os.listdir(folder)):
            with contextlib.suppress(OSError):  # alive, or another sweep was faster
                _remove_abandoned(os.path.join(folder, name))


def _remove_abandoned(path: str) -> None:
    """Remove a temporary file, or raise OSError if its writer may live."""
    if sys.platform == "win32":  # which does not remove open files
        if time.time() - os.stat(path).st_mtime > _SECONDS_TO_RENAME:
            os.unlink(path)
        return
    with open(path, "r+b") as file:  # NFS locks only what is open for writing
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def _keep_permissions(file: BinaryIO, found: os.stat_result | None) -> None:
    """Give a new file, still empty, the owner and permissions of the one that it will replace."""
    if found is None or sys.platform == "win32":
        return
    number, made = file.fileno(), os.fstat(file.fileno())
    if found.st_gid != made.st_gid:
        with contextlib.suppress(PermissionError):
            os.fchown(number, -1, found.st_gid)
    if found.st_uid != made.st_uid:
        with contextlib.suppress(PermissionError):
            os.fchown(number, found.st_uid, -1)
    if stat.S_IMODE(found.st_mode) != stat.S_IMODE(made.st_mode):
        os.fchmod(number, stat.S_IMODE(found.st_mode))


def _sync_folder(folder: str) -> None:
    """Make the new name last through a power failure, where the system can."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
