"""The cache of compiled code: a file for each function and signature, which may be damaged.

A file holds the checksum of what follows it and of the key it was stored under.  Whatever cannot be
read, does not have its checksum or cannot be loaded counts as missing: it is compiled and written
again.  Without the checksum, a flipped bit in machine code would compute other numbers.

A checksum is no signature, and whoever can write a file here can make every process run their code.
Folders and files are therefore private, and what other users could have written is not read.
"""

import contextlib
import hashlib
import os
import re
import stat
import sys
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastnn.kernels.numba_internals import NoCache, packed, target, unpacked
from fastnn.kernels.privacy import exposed_owner, exposure

_SUM_BYTES = 16
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""Opens a pipe, which may lie in a file's place, without waiting for its other end."""
_ALWAYS = "it is compiled at every start"
_told: set[str] = set()


class CodeCache(NoCache):
    """The stored code of one function.

    Its constants, names and byte code are part of the key, and so are the signature and the
    processor.  The directory stands for everything else: functions that it calls, and versions.
    """

    def __init__(self, function: Callable, directory: Callable[[], Path]):
        code = function.__code__
        self._name = re.sub(r"\W", "", function.__qualname__)
        origin = Path(code.co_filename).stem, function.__qualname__
        self._key = repr((*origin, code.co_code, code.co_consts, code.co_names))
        self._directory = directory

    @property
    def cache_path(self) -> str:
        """The directory, for Numba's statistics."""
        return str(self._directory())

    def _place(self, sig: Any, context: Any) -> tuple[Path, bytes]:
        """Return the file of a signature's code, and the key that it must have been stored under.

        Nobody writes a list of the files, in which two processes could overwrite each other's.
        """
        key = repr((self._key, sig, target(context))).encode()
        name = f"{self._name}-{hashlib.sha256(key).hexdigest()[:16]}.nbc"
        return self._directory() / name, key

    def lacks(self, sig: Any, target_context: Any) -> bool:
        """Return whether there is no file of a signature's code, but could be one."""
        path, _ = self._place(sig, target_context)
        if path.exists() or exposure(path.parent):
            return False
        return os.access(next(each for each in path.parents if each.exists()), os.W_OK)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored code, or None."""
        path, key = self._place(sig, target_context)
        if not _private(path.parent):
            return None
        try:
            return unpacked(_unsealed(_read(path), key), target_context)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # unpickling and LLVM may raise anything
            problem = f"{path.name}: {type(error).__name__}: {error}"
            _tell(f"the cache in {path.parent} is damaged ({problem})", "it is compiled again")
            return None

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Store compiled code, if it can be stored."""
        content = packed(cres)
        if content is None:
            return
        path, key = self._place(sig, cres.target_context)
        if not _private(path.parent):
            return
        try:
            _write(path, _checksum(content, key) + content)
        except OSError as error:
            advice = f"{_ALWAYS}; FASTNN_CACHE_DIR names another directory"
            _tell(f"the cache in {path.parent} cannot be written ({error})", advice)


def _private(folder: Path) -> bool:
    """Return whether nobody else could put code into a folder; say so if somebody could."""
    if problem := exposure(folder):
        advice = f"{_ALWAYS}; make it private, or name another directory in FASTNN_CACHE_DIR"
        _tell(f"the cache in {folder} is not used ({problem}, and code lies there)", advice)
    return not problem


def _read(path: Path) -> bytes:
    """Return what a file holds, or raise if it is no file, or one that others could change."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _AT_ONCE)) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no file")
        if problem := exposed_owner(found):
            raise ValueError(problem)
        if sys.platform != "win32" and found.st_mode & 0o022:
            raise ValueError("other users may write to it")
        return file.read()


def _checksum(content: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(
        content, digest_size=_SUM_BYTES, key=hashlib.sha256(key).digest()
    ).digest()


def _unsealed(stored: bytes, key: bytes) -> bytes:
    """Return what was stored, or raise ValueError if it is not exactly that."""
    content = stored[_SUM_BYTES:]
    if stored[:_SUM_BYTES] != _checksum(content, key):
        raise ValueError("wrong checksum")
    return content


def _write(path: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    for folder in reversed(path.parents):
        folder.mkdir(mode=0o700, exist_ok=True)
    for left in path.parent.glob(f"{path.name}.*.tmp"):  # by a process that was killed
        left.unlink(missing_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}.tmp")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
        if path.is_dir():
            path.rmdir()  # a file cannot replace it
        with contextlib.suppress(FileNotFoundError):  # removed as above: another process writes it
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _tell(problem: str, consequence: str) -> None:
    """Warn of a problem, once in a process for each consequence.

    Nobody's run fails for it: where filters turn warnings into errors, the message is printed.
    """
    if consequence in _told:
        return
    _told.add(consequence)
    message = f"fastnn's compiled code: {problem}; {consequence}"
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        print(message, file=sys.stderr)
