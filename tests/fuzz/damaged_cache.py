"""Compiled code on disk that something has damaged."""

import contextlib
import functools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from fastnn.engine import steps
from fastnn.kernels import code_cache, jit
from fastnn.training import pool
from tests.fuzz.running import outcome, trained

IN_A_PROCESS, IN_THIS_ONE = 64, 8
"""One case in so many does it; in a process of its own it takes seconds."""

TRAINS = """
import hashlib, json, sys, warnings
read = []
sys.addaudithook(lambda event, args: event == "open" and read.append(str(args[0])))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    import fastnn
    X = np.random.default_rng(0).standard_normal((60, 3), np.float32)
    layers = [fastnn.Dense(8, "relu"), fastnn.Dense(1)]
    network = fastnn.Network(layers, optimizer="adam", seed=1)
    network.fit(X, np.sin(X[:, :1]), epochs=3, batch_size=15)
weights = b"".join(each.tobytes() for each in network.get_weights())
files = sorted({each for each in read if each.endswith(".nbc")})
said = [str(each.message) for each in caught if "compiled code" in str(each.message)]
print(json.dumps([hashlib.sha256(weights).hexdigest(), said, files]))
"""


def a_damaged_cache(checked: Any) -> None:
    """Compiled code that is damaged on disk is compiled again, and said once: the same bits."""
    rng = random.Random(checked.case.seed)
    if checked.case.seed % IN_A_PROCESS == 1:
        _in_a_process(rng)
        checked.counts["starts on a damaged cache"] += 1
    elif checked.case.seed % IN_THIS_ONE == 0:
        _in_this_process(checked, rng)


def _in_this_process(checked: Any, rng: random.Random) -> None:
    """Fit with steps that are loaded anew, one of them damaged."""
    files: list[Path] = []
    read = code_cache._read
    noting = mock.patch.object(code_cache, "_read", lambda path: files.append(path) or read(path))
    with _forgotten(jit.cache_directory()), noting:
        trained(checked.case, checked.data, n_threads=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = [shutil.copy(path, folder) for path in files if path.exists()]
        if not whole:
            return  # nothing can be kept here
        what = _damaged([Path(path) for path in whole], rng)
        with _forgotten(folder), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            again = trained(checked.case, checked.data, n_threads=1)
        said = [str(each.message) for each in caught if "compiled code" in str(each.message)]
        assert len(said) == 1 and "damaged" in said[0], (what, said)
        assert outcome(again, checked.x) == checked.results, what
        _check_whole(folder)


@contextlib.contextmanager
def _forgotten(folder: Path) -> Iterator[None]:
    """Look for the code of steps in a folder, as a process that has just begun."""
    with (
        mock.patch.object(jit, "cache_directory", lambda: folder),
        mock.patch.object(steps, "_steps", {}),
        mock.patch.object(code_cache, "_told", set()),
    ):
        pool.clear()
        yield


def _in_a_process(rng: random.Random) -> None:
    """Train in a new process some of whose compiled code is damaged."""
    expected, files = _undamaged()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / jit.cache_directory().name
        folder.mkdir()
        whole = [Path(shutil.copy(path, folder)) for path in files]
        what = [_damaged(whole, rng) for _ in range(rng.randint(1, 3))]
        found, said, _ = _trains(Path(name))
        assert len(said) == 1 and "damaged" in said[0], (what, said)
        assert found == expected, what
        _check_whole(folder)
        found, said, _ = _trains(Path(name))
        assert (found, said) == (expected, []), what


@functools.cache
def _undamaged() -> tuple[str, list[str]]:
    """Return what comes of the training, and the files of compiled code that it reads."""
    for _ in range(2):  # the first may compile
        found, said, files = _trains(jit.cache_directory().parent)
        assert not said
    return found, files


def _trains(folder: Path) -> Any:
    process = subprocess.run(
        [sys.executable, "-c", TRAINS],
        env=os.environ | {"FASTNN_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 0, (process.returncode, process.stderr[-3000:])
    return json.loads(process.stdout)


def _damaged(files: list[Path], rng: random.Random) -> str:
    """Damage one of the files, and take it from the list; return how."""
    path = files.pop(rng.randrange(len(files)))
    how = rng.choice(_DAMAGES)
    how(path, rng)
    return f"{path.name}: {how.__name__}"


def _flipped(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 8, 1000])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content + b"\0" * (bytes(content) == path.read_bytes()))


def _cut(path: Path, rng: random.Random) -> None:
    os.truncate(path, rng.choice([0, rng.randrange(20), rng.randrange(path.stat().st_size)]))


def _appended(path: Path, rng: random.Random) -> None:
    with open(path, "ab") as file:
        file.write(rng.randbytes(rng.choice([1, 16, 5000])))


def _swapped(path: Path, rng: random.Random) -> None:
    others = [each for each in path.parent.glob("*.nbc") if each != path and each.is_file()]
    path.write_bytes(rng.choice(others).read_bytes() if others else b"")


def _a_directory(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _a_circle(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)  # which nobody can read, not even the superuser


def _a_pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


_DAMAGES: list[Callable[[Path, random.Random], None]] = [_flipped, _flipped, _cut, _appended]
_DAMAGES += [_swapped, _a_directory]
if os.name == "posix":
    _DAMAGES += [_a_circle, _a_pipe]


def _check_whole(folder: Path) -> None:
    """Fail if anything but files of compiled code is left."""
    left = [path.name for path in folder.iterdir() if path.suffix != ".nbc" or not path.is_file()]
    assert not left, left
