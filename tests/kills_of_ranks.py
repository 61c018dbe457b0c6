"""Kill one of a fit's processes at random moments: no hang, no torn file, the same bits at the end.

``python -m tests.kills_of_ranks --times 30`` kills so many under mpiexec, which then ends the
others, and as many while mpiexec is stopped, so that the others must notice by themselves.  Each
fit goes on from the checkpoint of the one before, with another number of processes.  It prints its
seed; ``--seed`` repeats the moments.
"""

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastnn
from tests import long_runs, mpi
from tests.kills import state

EPOCHS, SIZES, TIMEOUT = 300, (2, 4, 1), 3
"""Of the whole fit; the numbers of processes, in turn; seconds that a rank waits for others."""
_LATEST = 2.5
"""Until so many seconds after the ranks have begun one is killed."""
WAYS = "ended by mpiexec", "left alone"
"""What becomes of the other processes."""


class Kill(NamedTuple):
    """What a kill did.

    Attributes
    ----------
    early : bool
        Whether it came before the fit's end.
    seconds : float
        How long the other ranks took to end.
    newer : bool
        Whether the fit had written another checkpoint.
    """

    early: bool
    seconds: float
    newer: bool


def undisturbed(folder: Path) -> list[dict]:
    """Return the states after each epoch of one process that nothing disturbs."""
    states: list[dict] = []

    class Keep(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            states.append(state(self.network))

    mpi.fit_on(folder / "quiet", EPOCHS, callbacks=[Keep()])
    return states


def begun(folder: Path, size: int) -> list[list[int]]:
    """Wait until all ranks have begun; return their processes, each with its parent."""
    files = [folder / f"rank {rank}" for rank in range(size)]
    until = time.monotonic() + 60
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < until, "the ranks do not begin"
        time.sleep(0.01)
    return [[int(word) for word in file.read_text().split()] for file in files]


def runs(pid: int) -> bool:
    """Return whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill(rng, folder: Path, states: list[dict], size: int, rank: int, way: str, late: bool) -> Kill:
    """Kill one rank of a fit that goes on, anywhen or `late`: after a new checkpoint."""
    for pattern in ("rank *", "end *"):
        for file in folder.glob(pattern):
            file.unlink()
    path = folder / "checkpoint"

    def written() -> int:
        return path.stat().st_mtime_ns if path.exists() else 0

    old = written()
    before = fastnn.load(path).epochs_done if path.exists() else 0
    command = mpi.job("checkpointed", folder, EPOCHS, FASTNN_RANK_TIMEOUT=str(TIMEOUT))
    ranks = mpi.start([command] * size)
    processes = begun(folder, size)

    def ends() -> list[str]:
        return [file.read_text() for file in folder.glob("end *")]

    while late and not any(folder.glob("end *")) and written() == old:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.2 if late else _LATEST))
    killed = time.monotonic()
    with suppress(ProcessLookupError), ExitStack() as stack:
        victim, launcher = processes[rank]
        if way == "left alone":
            stack.enter_context(stopped(launcher))
        os.kill(victim, signal.SIGKILL)
        while way == "left alone" and len(ends()) < size - 1:
            assert time.monotonic() < killed + TIMEOUT + 2, "a rank hangs"
            time.sleep(0.01)
    code, text = mpi.finish(ranks, TIMEOUT + 2)
    seconds = time.monotonic() - killed
    found = ends()
    assert not any(runs(pid) for pid, _ in processes), "a rank is left"
    assert code or found == ["done"] * size, f"the exit status is 0, and the ranks ended: {found}"
    assert all(end == "done" or end.startswith("RankError: ") for end in found), f"{found}\n{text}"
    known = ("rank ", "end ", "checkpoint", "quiet")
    left = [file.name for file in folder.iterdir() if not file.name.startswith(known)]
    assert len(left) <= 1, f"several temporary files: {left}"
    done = 0
    if path.exists():
        model = fastnn.load(path)
        done = model.epochs_done
        assert done >= before, "the checkpoint is an older one"
        assert state(model) == states[done - 1], "the checkpoint is another network"
        if done == EPOCHS:
            path.unlink()
    else:
        assert not before, "the checkpoint is gone"
    return Kill(code != 0, seconds, done > before)


def kill_all(rng, folder: Path, times: int, way: str) -> list[Kill]:
    """Kill ranks in turn, and let the last fit end."""
    states, found = undisturbed(folder), []
    for number in range(times):
        size = SIZES[number % len(SIZES)]
        rank = number // len(SIZES) % size
        try:
            found.append(kill(rng, folder, states, size, rank, way, number % 2 == 0))
        except BaseException as error:
            error.add_note(f"kill {number}, rank {rank} of {size}, {way}")
            raise
    model = mpi.fit_on(folder / "checkpoint", EPOCHS)
    assert state(model) == states[-1], "the fit ends differently"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    rng = np.random.default_rng(arguments.seed)
    for way in WAYS:
        with tempfile.TemporaryDirectory() as name:
            found = kill_all(rng, Path(name), arguments.times, way)
        early = [each for each in found if each.early]
        print(
            f"{len(found)} ranks killed, {len(early)} before the fit's end, "
            f"{sum(each.newer for each in found)} after a new checkpoint; the others, {way}, ended "
            f"within {max((each.seconds for each in early), default=0):.1f} s",
            flush=True,
        )
    how = f"--times {arguments.times} --seed {arguments.seed}"
    counts = {"kills of ranks": len(WAYS) * arguments.times}
    long_runs.record("kills of ranks", f"python -m tests.kills_of_ranks {how}", counts)
    print("nothing lost, nothing torn")


if __name__ == "__main__":
    main()
