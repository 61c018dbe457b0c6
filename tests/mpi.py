"""Ranks as processes: programs that tests run under mpiexec, and how they do.

``mpiexec -n 2 python -m tests.mpi JOB FOLDER [SETTINGS]`` runs one of the jobs below.
"""

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from tests.conftest import threads_however_small_the_work

MPIEXEC = shutil.which("mpiexec", path=os.path.dirname(sys.executable)) or shutil.which("mpiexec")
"""That of the environment in which mpi4py is, or else any."""
needed = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="there is no mpiexec, or no mpi4py",
)


def start(commands: Sequence[Sequence[str]], *options: str, **how: Any) -> subprocess.Popen:
    """Start one rank for each of some commands, in a process group of their own."""
    line = [str(MPIEXEC), *options]
    for number, command in enumerate(commands):
        line += [":"] * (number > 0) + ["-n", "1", *command]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **how}
    return subprocess.Popen(line, stdin=subprocess.DEVNULL, start_new_session=True, **how)


def job(name: str, folder: Path, settings: Any = None, **environment: str) -> list[str]:
    """Return the command of a rank that runs a job, with some more of the environment."""
    own = [f"{key}={value}" for key, value in environment.items()]
    return [
        *(["env", *own] if own else []),
        *(
            sys.executable,
            "-W",
            "error",
            "-m",
            "tests.mpi",
            name,
            str(folder),
            json.dumps(settings),
        ),
    ]


def finish(process: subprocess.Popen, seconds: float) -> tuple[int, str]:
    """Wait for ranks; return the exit status and all that they wrote."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        raise AssertionError(f"ranks hang; they wrote\n{out}{err}") from None
    return process.returncode, out + err


def fits(world: Any, folder: Path, settings: Any) -> None:
    """Fit the networks of `tests.test_shards`, on some numbers of threads.

    Each rank has other rows.
    """
    threads_however_small_the_work(setattr)
    found = [{name: fit(name, world, n_threads) for name in NAMES} for n_threads in settings]
    (folder / f"{world.rank} of {world.size}").write_bytes(pickle.dumps(found))


def checkpointed(world: Any, folder: Path, epochs: int) -> None:
    """Go on from the checkpoint up to so many epochs, and write how that ended."""
    from tests import test_shards  # noqa: F401  # what follows is what may be killed

    (folder / f"rank {world.rank}").write_text(f"{os.getpid()} {os.getppid()}")
    end = folder / f"end {world.rank}"
    try:
        fit_on(folder / "checkpoint", epochs, world)
    except BaseException as error:
        end.write_text(f"{type(error).__name__}: {error}")
        raise
    end.write_text("done")


def fit_on(path: Path, epochs: int, world: Any = None, callbacks: Sequence[Any] = ()) -> Any:
    """Return the network, fitted up to so many epochs, from the checkpoint if there is one."""
    from tests import test_shards as shards

    model = fastnn.load(path) if path.exists() else shards.network("dropped", n_threads=1)
    hooks = [fastnn.ModelCheckpoint(path), *callbacks]
    if left := epochs - model.epochs_done:
        shards.fit(model, world, epochs=left, callbacks=hooks)
    return model


def differ(world: Any, folder: Path, settings: Any) -> None:
    """Fit; this rank is different by some settings."""
    from tests import test_shards as shards

    fastnn.__version__ = settings.pop("version", fastnn.__version__)
    x = shards.X.astype(settings.pop("dtype of X", "float32"))
    options = {name: settings.pop(name) for name in ("epochs", "shards") if name in settings}
    model = shards.network("dense", **settings)
    try:
        shards.fit(model, world, x, **options)
    finally:
        assert not model.epochs_done


def forever(world: Any, folder: Path, settings: Any) -> None:
    """Fit for hours."""
    from tests import test_shards as shards

    def begun(epoch: int, logs: Any) -> None:
        (folder / f"rank {world.rank}").touch()

    shards.fit(shards.network("dense"), world, epochs=10**9, callbacks=begun)


NAMES = "dense", "normalized", "clipped", "dropped"


def fit(name: str, world: Any = None, n_threads: int = 1) -> Any:
    """Return the weights' bits and the losses of a fit of this rank's part of the rows."""
    from tests import test_shards as shards

    rank, size = (0, 1) if world is None else (world.rank, world.size)
    cuts = np.linspace(0, 1, size + 1) ** 1.5 * shards.N
    rows = slice(*cuts.astype(int)[[rank, rank + 1]])
    model = shards.network(name, n_threads=n_threads)
    history = shards.fit(model, world, shards.X[rows], shards.Y[rows], validation_split=0.2)
    return shards.bits(model), history.history


def main() -> None:
    from mpi4py import MPI

    name, folder, settings = sys.argv[1:]
    globals()[name](MPI.COMM_WORLD, Path(folder), json.loads(settings))


if __name__ == "__main__":
    main()
