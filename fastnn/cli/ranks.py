"""``train`` on several processes, which mpiexec starts: they train one network together.

Each reads the table; rank 0 alone prints, draws and writes.  An error is printed by one of them.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

from fastnn.cli import single
from fastnn.cli.outputs import STANDARD
from fastnn.cli.usage import ToldElsewhere, UsageError, need
from fastnn.engine.exchange import RankError, RankLeftError, Ranks, timeout
from fastnn.training.sharing import SHARDS

_SIZES = "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"
"""What MPICH, Intel MPI and Slurm call the number of processes, and what Open MPI does."""
_RANKS = "PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK"


def number(environment: Mapping[str, str] = os.environ) -> int:
    """Return this process's number among those that mpiexec started, from the environment.

    Examples
    --------
    >>> number({"PMI_SIZE": "4", "PMI_RANK": "3"}), number({})
    (3, 0)
    """
    return next((int(environment[name]) for name in _RANKS if name in environment), 0)


def several(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether mpiexec, or what a cluster has in its place, may have started several.

    Examples
    --------
    >>> several({"PMI_SIZE": "4"}), several({"PMI_SIZE": "1"}), several({"PMIX_RANK": "0"})
    (True, False, True)
    """
    sizes = [int(environment[name]) for name in _SIZES if name in environment]
    return max(sizes) > 1 if sizes else "PMIX_RANK" in environment


class Alone:
    """A process that trains by itself."""

    rank = 0
    options: Mapping[str, Any] = {}
    """More options for the fit."""

    def ready(self) -> None:
        """Wait until all ranks are about to train."""


class Several(Alone):
    """One of several processes."""

    def __init__(self, communicator: Any):
        self.communicator, self.rank = communicator, communicator.Get_rank()
        self.options = {"communicator": communicator}
        self._ranks = Ranks(communicator, timeout())

    def ready(self) -> None:
        self._agree(None)
        print(f"{self.communicator.Get_size()} processes share out each batch", flush=True)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Let one rank tell what any of them raises, and all end with its exit status."""
        try:
            yield
        except ToldElsewhere:
            raise
        except KeyboardInterrupt:
            if self.rank:
                raise ToldElsewhere(130) from None
            raise
        except Exception as error:
            if isinstance(error, RankError) and not isinstance(error, RankLeftError):
                # No other may be there to agree with, or to end MPI with.
                print(f"fastnn: error: {error}", file=sys.__stderr__, flush=True)
                self.communicator.Abort(1)
            self._agree(error)
            raise
        self._agree(None)

    def _agree(self, error: Exception | None) -> None:
        """Raise ToldElsewhere if another rank is the one to tell of an error."""
        own = None
        if error is not None:
            own = isinstance(error, RankError), self.rank, 2 if isinstance(error, UsageError) else 1
        found = [each for each in self._ranks.agree(own) if each is not None]
        if found and min(found)[1] != self.rank:
            raise ToldElsewhere(min(found)[2])


@contextmanager
def quiet() -> Iterator[None]:
    """Let the first process alone print, of those that mpiexec started."""
    if not (several() and number()):
        yield
        return
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        yield


@contextmanager
def together(arguments: Namespace) -> Iterator[Alone]:
    """Yield the ranks that this process is one of; set how many shards batches are cut into.

    Raises
    ------
    UsageError
        For options that several processes cannot follow.
    ImportError
        Without mpi4py.
    """
    if not several():
        yield Alone()
        return
    communicator = _world()
    if communicator.Get_size() == 1:
        yield Alone()
        return
    ranks = Several(communicator)
    with ranks.ending():
        _check(arguments)
        if arguments.shards is None:
            arguments.shards = SHARDS
        yield ranks


def _world() -> Any:
    """Return the communicator of all processes."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # mpi4py is not there, or finds no MPI
        raise _once(
            ImportError(
                f"mpiexec has started several processes, which needs mpi4py ({error}): "
                "pip install 'fastnn-kernels[mpi]', and mpich unless the system has an MPI"
            )
        ) from None
    world = MPI.COMM_WORLD
    sizes = [int(os.environ[name]) for name in _SIZES if name in os.environ]
    if sizes and world.Get_size() != max(sizes):
        raise _once(
            ValueError(
                f"mpiexec has started {max(sizes)} processes, but mpi4py finds {world.Get_size()}: "
                "they belong to different MPIs; use the mpiexec of the MPI that mpi4py was built "
                "for, which `python -m mpi4py --mpi-lib-version` tells"
            )
        )
    return world


def _once(error: Exception) -> Exception:
    """Return an error that each process finds by itself, for the first to tell."""
    return ToldElsewhere(1) if number() else error


def _check(arguments: Namespace) -> None:
    need(
        single.wanted(arguments),
        "mpiexec has started several processes, which train a single network together: choose "
        "one, as by --hidden 64,64; an ensemble is trained by one process",
    )
    for name in ("data", "validation"):
        need(
            getattr(arguments, name) != STANDARD,
            "several processes cannot read one table from standard input; give a file",
        )
